//! Where the sections of a module are: `--place` and `--bases`.

use super::addresses::Addresses;
use super::memory::Assigned;
use crate::failure::Failure;
use relakit::verify::CONSTANT;
use relakit::{Group, Memories, Module, Placement};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The error if all addresses are 0.
const HIDDEN: &str = "all addresses are 0; /sys shows addresses only to root";

/// The first assumed address. Linux maps the kernel at least 16 MiB after the begin of its range, so
/// no real section is here, and all relocation types reach it.
const ASSUMED: u64 = 0xffff_ffff_8001_0000;
/// Distance of assumed sections in bytes, in addition to their sizes.
const GAP: u64 = 0x1000;

/// The addresses of the sections that are in memory while the module is loaded.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) sections: BTreeMap<u32, Assigned>,
    /// Sections whose address is an example.
    pub(crate) assumed: BTreeSet<u32>,
    /// Each section with its group and its offset in Linux's memory.
    pub(crate) placements: Vec<Placement>,
    memories: Memories,
}

/// The base of one of Linux's memories, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Base {
    memory: &'static str,
    address: u64,
}

/// The value of `--bases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bases(Vec<Base>);

/// The names of Linux's memories in `--bases`, with their groups: by group, and core and init.
const BY_GROUP: &[(&str, &[Group])] = &[
    ("text", &[Group::Text]),
    ("rodata", &[Group::Rodata]),
    ("ro_after_init", &[Group::RoAfterInit]),
    ("data", &[Group::Data]),
    ("init_text", &[Group::InitText]),
    ("init_data", &[Group::InitData]),
    ("init_rodata", &[Group::InitRodata]),
];
const CORE_AND_INIT: &[(&str, &[Group])] = &[
    ("core", &[Group::Text, Group::Rodata, Group::RoAfterInit, Group::Data]),
    ("init", &[Group::InitText, Group::InitRodata, Group::InitData]),
];

/// Parses `text=0xffffffffc0201000,rodata=0xffffffffc0206000`.
pub(crate) fn bases(text: &str) -> Result<Bases, String> {
    let all = || BY_GROUP.iter().chain(CORE_AND_INIT).map(|(name, _)| *name);
    let mut bases: Vec<Base> = Vec::new();
    for word in text.split(',') {
        let (name, address) = word.split_once('=').ok_or("expected NAME=ADDRESS,...")?;
        let memory = all().find(|known| *known == name).ok_or_else(|| {
            format!("\"{name}\" is no memory of a module; known are {}", all().collect::<Vec<_>>().join(", "))
        })?;
        let address = number(address).ok_or_else(|| format!("{address} is not an address"))?;
        if bases.iter().any(|base| base.memory == memory) {
            return Err(format!("{memory} is given twice"));
        }
        bases.push(Base { memory, address });
    }
    Ok(Bases(bases))
}

/// A hexadecimal number, with or without 0x.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // The standard library accepts a sign.
    u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

impl Place {
    /// The sections of a module whose memories have these bases.
    pub(crate) fn of_bases(
        module: &Module<'_>,
        bases: Option<&Bases>,
        memories: Memories,
    ) -> Result<Self, Failure> {
        let mut place = Self::new(module, memories)?;
        let known = place.memories();
        for Base { memory, address } in bases.into_iter().flat_map(|bases| &bases.0) {
            if !known.iter().any(|(name, _)| name == memory) {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return Err(Failure::Usage(format!(
                    "--bases {memory}: modules of this kernel have the memories {names}; --kernel selects another version"
                )));
            }
            place.set_base(memory, *address);
        }
        place.assume_others(module);
        Ok(place)
    }

    /// Reads the addresses of sections, computes those that the file does not have, and gives
    /// example addresses to the rest.
    pub(crate) fn read(path: &Path, module: &Module<'_>, memories: Memories) -> Result<Self, Failure> {
        let mut place = Self::new(module, memories)?;
        let failed = |why: &str| Failure::file(path, why);
        place.sections = Addresses::read(path, module)?.sections;
        place.sections.retain(|index, _| module.is_allocated(*index));
        if place.sections.is_empty() {
            return Err(failed("has no address of a section in memory"));
        }
        if place.sections.values().all(|section| section.address == 0) {
            return Err(failed(HIDDEN));
        }
        place.complete();
        place.assume_others(module);
        Ok(place)
    }

    /// As [`read`](Self::read), without example addresses. What /sys does not list is computed if
    /// `memories` is given.
    pub(crate) fn given(
        path: &Path,
        module: &Module<'_>,
        memories: Option<Memories>,
    ) -> Result<BTreeMap<u32, Assigned>, Failure> {
        let Addresses { sections, is_complete } = Addresses::read(path, module)?;
        let Some(memories) = memories.filter(|_| !is_complete) else { return Ok(sections) };
        if sections.values().all(|section| section.address == 0) {
            return Err(Failure::file(path, HIDDEN));
        }
        let mut place = Self { sections, ..Self::new(module, memories)? };
        place.complete();
        // /sys does not list it. The symbol files have the base of its symbols.
        if let Some(index) = module.per_cpu_section().filter(|index| !place.sections.contains_key(index)) {
            place.insert(index, ASSUMED);
        }
        Ok(place.sections)
    }

    fn new(module: &Module<'_>, memories: Memories) -> Result<Self, Failure> {
        let placements: Result<Vec<_>, _> = module.offsets(memories).collect();
        let placements =
            placements.map_err(|error| Failure::File(format!("Linux cannot lay the module out: {error}")))?;
        Ok(Self { sections: BTreeMap::new(), assumed: BTreeSet::new(), placements, memories })
    }

    /// The memories of a module, and their groups.
    const fn memories(&self) -> &'static [(&'static str, &'static [Group])] {
        match self.memories {
            Memories::ByGroup => BY_GROUP,
            Memories::CoreAndInit => CORE_AND_INIT,
        }
    }

    /// The sections in memories without constants: the memory, and the offset of the section in it.
    pub(crate) fn in_data(&self) -> BTreeMap<u32, (&'static str, u64)> {
        let has_constants = |groups: &[Group]| groups.iter().any(|group| CONSTANT.contains(group));
        let memories = self.memories().iter().filter(|(_, groups)| !has_constants(groups));
        let sections = memories.flat_map(|(name, groups)| {
            let inside = self.placements.iter().filter(|of| groups.contains(&of.group));
            inside.map(|of| (of.section, (*name, of.offset)))
        });
        sections.collect()
    }

    /// Sets the addresses of the sections of a memory that have none, or an example.
    pub(crate) fn set_base(&mut self, memory: &str, base: u64) {
        let groups = self.memories().iter().find(|(name, _)| *name == memory).map_or(&[][..], |row| row.1);
        for Placement { section, group, offset, .. } in self.placements.clone() {
            let is_open = self.assumed.contains(&section) || !self.sections.contains_key(&section);
            if is_open && groups.contains(&group) {
                self.assumed.remove(&section);
                self.insert(section, base.wrapping_add(offset));
            }
        }
    }

    fn insert(&mut self, section: u32, address: u64) {
        self.sections.insert(section, Assigned { address, symbols_at: None });
    }

    /// Adds the sections that /sys does not list because they are empty, from the others of their
    /// memory.
    fn complete(&mut self) {
        for (memory, groups) in self.memories() {
            let of_memory = self.placements.iter().filter(|placement| groups.contains(&placement.group));
            let known = of_memory.filter_map(|placement| {
                let address = self.sections.get(&placement.section)?.address;
                Some(address.wrapping_sub(placement.offset))
            });
            if let Some(base) = { known }.next() {
                self.set_base(memory, base);
            }
        }
    }

    /// Gives example addresses to all other sections that symbols and relocations can refer to.
    fn assume_others(&mut self, module: &Module<'_>) {
        let mut next = ASSUMED;
        for (index, section) in module.object().sections() {
            let is_wanted = module.is_allocated(index) || module.per_cpu_section() == Some(index);
            if is_wanted && !self.sections.contains_key(&index) {
                let align = section.sh_addralign.clamp(1, GAP);
                let address = next.checked_next_multiple_of(align).unwrap_or(next);
                self.insert(index, address);
                self.assumed.insert(index);
                next = address.saturating_add(section.sh_size.min(u64::from(u32::MAX))).saturating_add(GAP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_names_and_hexadecimal_addresses() {
        let base = |memory, address| Base { memory, address };
        assert_eq!(bases("text=0xc0,rodata=d0"), Ok(Bases(vec![base("text", 0xc0), base("rodata", 0xd0)])));
        assert_eq!(bases("core=0x1000"), Ok(Bases(vec![base("core", 0x1000)])));
        for (bad, why) in [
            ("", "expected NAME"),
            ("text", "expected NAME"),
            ("text=", "not an address"),
            ("text=12g", "not an address"),
            ("text=+12", "not an address"),
            ("code=1", "no memory of a module; known are text, rodata,"),
            ("text=1,text=2", "given twice"),
        ] {
            assert!(bases(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
