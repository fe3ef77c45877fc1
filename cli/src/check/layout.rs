//! Where the kernel would put the sections of a module: like Linux, at addresses like Linux's.

use crate::place::At;
use relakit::elf::{Section, SectionFlags};
use relakit::{Module, PerCpu, abi};
use std::collections::BTreeMap;

/// The kernel's area for modules, from its begin to its end; what follows is the fixmap.
const MODULES: std::ops::Range<u64> = 0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000;
/// Where the loader's own copy of a file lies.
const COPIES: u64 = 0xffff_c900_0010_0000;
/// Where the per-CPU variables of modules begin, as offsets from each CPU's base.
const PER_CPU: u64 = 0x3_9000;
const PAGE: u64 = 4096;
/// A larger alignment in the copy of the file counts as this. Linux does not align there.
const ALIGN_MAX: u64 = 1 << 20;
/// Linux aligns offsets of 32 bits (`module_get_offset_and_type`). A larger alignment becomes 0 there, and puts the
/// section at offset 0, over the sections before it.
const OFFSET_ALIGN_MAX: u64 = u32::MAX as u64;

/// Free addresses, in ascending order. What is freed is not used again, so that a module that comes back comes
/// elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    modules: u64,
    copies: u64,
    per_cpu: u64,
}

impl Default for Area {
    fn default() -> Self {
        Self { modules: MODULES.start, copies: COPIES, per_cpu: PER_CPU }
    }
}

/// The kinds of memory, in the order in which the kernel fills them (Linux semantics 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Text,
    ReadOnly,
    ReadOnlyAfterInit,
    Data,
    InitText,
    InitReadOnly,
    InitData,
    /// Not kept: it stays in the copy of the file.
    Copy,
}

impl Group {
    pub(crate) const ALL: [Self; 8] = [
        Self::Text,
        Self::ReadOnly,
        Self::ReadOnlyAfterInit,
        Self::Data,
        Self::InitText,
        Self::InitReadOnly,
        Self::InitData,
        Self::Copy,
    ];

    /// Every section with its index and group.
    pub(crate) fn of_all<'a>(module: &'a Module<'_>) -> impl Iterator<Item = (u32, Section, Self)> + 'a {
        module.object().sections().map(|(index, section)| (index, section, Self::of(module, index, &section)))
    }

    fn of(module: &Module<'_>, index: u32, section: &Section) -> Self {
        let name = module.object().section_name(section);
        let init = name.starts_with(b".init");
        let has = |flag| section.sh_flags.contains(flag);
        let (text, data) = (has(SectionFlags::EXECINSTR), has(SectionFlags::WRITE));
        match () {
            () if !module.is_allocated(index) => Self::Copy,
            () if text && init => Self::InitText,
            () if text => Self::Text,
            () if !data && init => Self::InitReadOnly,
            () if name == b".data..ro_after_init" || name == b"__jump_table" => Self::ReadOnlyAfterInit,
            () if !data => Self::ReadOnly,
            () if init => Self::InitData,
            () => Self::Data,
        }
    }
}

impl Area {
    /// Gives each section of `module` a place. Fails with a sentence, and takes nothing, if there is not enough room, or
    /// if Linux would let sections overlap.
    pub(crate) fn place(&mut self, module: &Module<'_>) -> Result<BTreeMap<u32, At>, String> {
        let overlaps =
            |section: &Section, group| group != Group::Copy && section.sh_addralign > OFFSET_ALIGN_MAX;
        if let Some((index, section, _)) =
            Group::of_all(module).find(|(index, section, group)| *index != 0 && overlaps(section, *group))
        {
            let align = section.sh_addralign;
            return Err(format!("section {index} has the alignment {align:#x}, which Linux cuts to 32 bits"));
        }
        let mut after = self.clone();
        let places = after.try_place(module);
        if places.is_some() {
            *self = after;
        }
        places.ok_or_else(|| "the module is larger than the kernel's area for modules".to_owned())
    }

    fn try_place(&mut self, module: &Module<'_>) -> Option<BTreeMap<u32, At>> {
        let mut places = BTreeMap::new();
        let sections: Vec<_> = Group::of_all(module).collect();
        for group in Group::ALL {
            // Linux aligns the offset in the group, not the address.
            let base = if group == Group::Copy { 0 } else { self.modules };
            for &(index, section, _) in sections.iter().filter(|(index, _, of)| *index != 0 && *of == group) {
                let next = if group == Group::Copy { &mut self.copies } else { &mut self.modules };
                let most = if group == Group::Copy { ALIGN_MAX } else { OFFSET_ALIGN_MAX };
                let offset =
                    next.checked_sub(base)?.checked_next_multiple_of(section.sh_addralign.clamp(1, most))?;
                let address = base.checked_add(offset)?;
                // A copy of the file has no room for what is not in the file.
                let in_file = group != Group::Copy || section.sh_type != abi::SHT_NOBITS;
                *next = address.checked_add(if in_file { section.sh_size } else { 0 })?;
                places.insert(index, At { address, symbols_at: self.per_cpu(module, index, &section) });
            }
            for next in [&mut self.copies, &mut self.modules] {
                *next = next.checked_next_multiple_of(PAGE)?;
            }
            if self.modules > MODULES.end || self.copies < COPIES {
                return None;
            }
        }
        Some(places)
    }

    /// What the section's symbols count from, if it is the template of per-CPU data.
    fn per_cpu(&mut self, module: &Module<'_>, index: u32, section: &Section) -> Option<u64> {
        if module.profile().per_cpu == PerCpu::Ordinary || module.per_cpu_section() != Some(index) {
            return None;
        }
        let base = self.per_cpu;
        self.per_cpu = base.saturating_add(section.sh_size).checked_next_multiple_of(64).unwrap_or(base);
        Some(base)
    }
}
