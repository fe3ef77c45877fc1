//! The addresses that Linux would give the sections of a module.

use crate::input::memory::Assigned;
use relakit::elf::{Section, SectionFlags};
use relakit::{Module, PerCpu, abi};
use std::collections::BTreeMap;

/// The kernel's address range for modules. The fixmap follows it.
const MODULES: std::ops::Range<u64> = 0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000;
/// The address of the loader's copy of the file.
const COPIES: u64 = 0xffff_c900_0010_0000;
/// The first per-CPU variable of modules, as an offset from each CPU's base.
const PER_CPU: u64 = 0x3_9000;
const PAGE: u64 = 4096;
/// Limit for alignments in the copy of the file. Linux does not align there.
const ALIGN_MAX: u64 = 1 << 20;
/// Linux aligns 32-bit offsets (`module_get_offset_and_type`). It truncates a larger alignment to
/// 0, and so puts the section at offset 0, over the sections before it.
const OFFSET_ALIGN_MAX: u64 = u32::MAX as u64;

/// The next free addresses. An address is not reused, so a module has another address after a
/// reload.
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

/// The kinds of memory, in the kernel's order (docs/linux-semantics.md, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Text,
    ReadOnly,
    ReadOnlyAfterInit,
    Data,
    InitText,
    InitReadOnly,
    InitData,
    /// Not loaded: the section stays in the copy of the file.
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
    /// Assigns an address to each section. If there is not enough room, or if sections would
    /// overlap in Linux, it returns the reason and uses no addresses.
    pub(crate) fn assign(&mut self, module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, String> {
        let overlaps =
            |section: &Section, group| group != Group::Copy && section.sh_addralign > OFFSET_ALIGN_MAX;
        if let Some((index, section, _)) =
            Group::of_all(module).find(|(index, section, group)| *index != 0 && overlaps(section, *group))
        {
            let align = section.sh_addralign;
            return Err(format!("Linux truncates the alignment {align:#x} of section {index} to 32 bits"));
        }
        let mut after = self.clone();
        let assigned = after.try_assign(module);
        if assigned.is_some() {
            *self = after;
        }
        assigned.ok_or_else(|| "the module is larger than the kernel's address range for modules".to_owned())
    }

    fn try_assign(&mut self, module: &Module<'_>) -> Option<BTreeMap<u32, Assigned>> {
        let mut all = BTreeMap::new();
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
                // The copy of the file has no memory for SHT_NOBITS sections.
                let in_file = group != Group::Copy || section.sh_type != abi::SHT_NOBITS;
                *next = address.checked_add(if in_file { section.sh_size } else { 0 })?;
                let symbols_at = self.per_cpu(module, index, &section);
                all.insert(index, Assigned { address, symbols_at });
            }
            for next in [&mut self.copies, &mut self.modules] {
                *next = next.checked_next_multiple_of(PAGE)?;
            }
            if self.modules > MODULES.end || self.copies < COPIES {
                return None;
            }
        }
        Some(all)
    }

    /// The base address of the section's symbols, if it has per-CPU data.
    fn per_cpu(&mut self, module: &Module<'_>, index: u32, section: &Section) -> Option<u64> {
        if module.profile().per_cpu == PerCpu::Ordinary || module.per_cpu_section() != Some(index) {
            return None;
        }
        let base = self.per_cpu;
        self.per_cpu = base.saturating_add(section.sh_size).checked_next_multiple_of(64).unwrap_or(base);
        Some(base)
    }
}
