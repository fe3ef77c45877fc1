//! Where the sections of a running module are: `verify --place` and `--bases`.

use super::files::{self, Kind};
use super::memory::{self, Assigned};
use crate::failure::Failure;
use relakit::verify::CONSTANT;
use relakit::{Group, Memories, Module, Placement};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

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
fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
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

    /// Reads the addresses of sections: a folder like /sys/module/NAME/sections, a text file with
    /// lines `name address`, or the file of `apply --memory`.
    pub(crate) fn read(path: &Path, module: &Module<'_>, memories: Memories) -> Result<Self, Failure> {
        let mut place = Self::new(module, memories)?;
        let failed = |why: String| Failure::file(path, why);
        let text = if path.is_dir() { folder(path, module)? } else { files::read(path, Kind::Memory)? };
        if text.trim_ascii_start().first() == Some(&b'{') {
            place.sections = memory::parse(&text).map_err(failed)?;
            let count = module.object().section_count();
            if let Some(index) = place.sections.keys().find(|index| **index >= count) {
                return Err(failed(format!("section {index}: the module has {count} sections")));
            }
            place.sections.retain(|index, _| module.is_allocated(*index));
        } else {
            place.named(&text, module).map_err(failed)?;
        }
        if place.sections.is_empty() {
            return Err(failed("has no address of a section in memory".to_owned()));
        }
        if place.sections.values().all(|section| section.address == 0) {
            return Err(failed("all addresses are 0; /sys shows addresses only to root".to_owned()));
        }
        place.complete();
        place.assume_others(module);
        Ok(place)
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

    /// The memory of a section without constants, and the offset of the section in it.
    pub(crate) fn in_data(&self, section: u32) -> Option<(&'static str, u64)> {
        let Placement { group, offset, .. } =
            self.placements.iter().find(|placement| placement.section == section)?;
        let (name, groups) = self.memories().iter().find(|(_, groups)| groups.contains(group))?;
        (!groups.iter().any(|group| CONSTANT.contains(group))).then_some((name, *offset))
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

    /// Adds the sections of a text. Sections of one name are in the order of the file.
    fn named(&mut self, text: &[u8], module: &Module<'_>) -> Result<(), String> {
        let mut known: HashMap<&[u8], Vec<u32>> = HashMap::new();
        for (index, section) in module.object().sections() {
            let same = known.entry(module.object().section_name(&section)).or_default();
            if section.sh_size != 0 && module.is_allocated(index) {
                same.insert(0, index);
            }
        }
        let mut ignored = HashSet::new();
        for (line, text) in (1usize..).zip(text.split(|byte| *byte == b'\n')) {
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let split =
                text.iter().rposition(u8::is_ascii_whitespace).and_then(|at| text.split_at_checked(at));
            let address = split.and_then(|(_, address)| number(str::from_utf8(address.trim_ascii()).ok()?));
            let (Some((name, _)), Some(address)) = (split, address) else {
                return Err(format!("line {line} is not \"section-name 0xaddress\""));
            };
            let name = name.trim_ascii();
            let Some(same) = known.get_mut(name) else {
                let name = name.escape_ascii();
                return Err(format!("line {line}: the module has no section {name}; is it another module?"));
            };
            match same.pop() {
                Some(index) => self.insert(index, address),
                // Sections without SHF_ALLOC in the file, such as the symbol table.
                None if ignored.insert(name.to_vec()) => {}
                None => return Err(format!("line {line}: section {} is listed twice", name.escape_ascii())),
            }
        }
        Ok(())
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

/// The files of a folder as lines `name address`.
fn folder(path: &Path, module: &Module<'_>) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::file(path, error);
    let mut text = Vec::new();
    // A file name cannot have a slash. No section that Linux knows has one.
    let allocated = module
        .object()
        .sections()
        .filter(|(index, section)| section.sh_size != 0 && module.is_allocated(*index));
    let wanted: HashSet<_> = allocated.map(|(_, section)| module.object().section_name(&section)).collect();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let address = match wanted.contains(name.as_encoded_bytes()) {
            true => files::read(&entry.path(), Kind::Memory)?,
            // Only its name is compared with those of the module.
            false => b"0".to_vec(),
        };
        text.extend_from_slice(name.as_encoded_bytes());
        text.push(b' ');
        text.extend_from_slice(address.trim_ascii());
        text.push(b'\n');
    }
    Ok(text)
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
            ("code=1", "no memory of a module; known are text, rodata,"),
            ("text=1,text=2", "given twice"),
        ] {
            assert!(bases(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
