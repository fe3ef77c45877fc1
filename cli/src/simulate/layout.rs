//! The addresses that Linux would give the sections of a module.

use crate::input::memory::Assigned;
use relakit::elf::Section;
use relakit::{Memories, Module, PerCpu, Placement, abi};
use std::collections::BTreeMap;

/// The kernel's address range for modules. The fixmap follows it.
const MODULES: std::ops::Range<u64> = 0xffff_ffff_c000_0000..0xffff_ffff_ff00_0000;
/// The address of the loader's copy of the file.
const COPIES: u64 = 0xffff_c900_0010_0000;
/// The first per-CPU variable of modules, as an offset from each CPU's base.
const PER_CPU: u64 = 0x3_9000;
const PAGE: u64 = 4096;
const TOO_LARGE: &str = "the module is larger than the kernel's address range for modules";
/// Limit for alignments in the copy of the file. Linux does not align there.
const ALIGN_MAX: u64 = 1 << 20;

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

impl Area {
    /// Assigns an address to each section. If there is not enough room, or if sections would
    /// overlap in Linux, it returns the reason and uses no addresses.
    pub(crate) fn assign(&mut self, module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, String> {
        let mut after = self.clone();
        let mut all = BTreeMap::new();
        after.load(module, &mut all)?;
        after.copy(module, &mut all).ok_or(TOO_LARGE)?;
        *self = after;
        Ok(all)
    }

    /// Assigns addresses to the sections in memory. Each group has a memory of its own.
    fn load(&mut self, module: &Module<'_>, all: &mut BTreeMap<u32, Assigned>) -> Result<(), String> {
        let mut base = None;
        for placed in module.offsets(Memories::ByGroup) {
            let Placement { section, group, offset, size, .. } = placed.map_err(|_| TOO_LARGE)?;
            let base = match base {
                Some((of, base)) if of == group => base,
                _ => {
                    self.modules = self.modules.checked_next_multiple_of(PAGE).ok_or(TOO_LARGE)?;
                    base.insert((group, self.modules)).1
                }
            };
            let address = base.checked_add(offset).ok_or(TOO_LARGE)?;
            self.modules = address.checked_add(size).filter(|end| *end <= MODULES.end).ok_or(TOO_LARGE)?;
            all.insert(section, Assigned { address, symbols_at: None });
        }
        self.modules = self.modules.checked_next_multiple_of(PAGE).ok_or(TOO_LARGE)?;
        Ok(())
    }

    /// Assigns addresses to the other sections, which stay in the loader's copy of the file.
    fn copy(&mut self, module: &Module<'_>, all: &mut BTreeMap<u32, Assigned>) -> Option<()> {
        for (index, section) in module.object().sections() {
            if index == 0 || all.contains_key(&index) {
                continue;
            }
            let address = self.copies.checked_next_multiple_of(section.sh_addralign.clamp(1, ALIGN_MAX))?;
            // The copy of the file has no memory for SHT_NOBITS sections.
            let size = if section.sh_type == abi::SHT_NOBITS { 0 } else { section.sh_size };
            self.copies = address.checked_add(size)?;
            let symbols_at = self.per_cpu(module, index, &section);
            all.insert(index, Assigned { address, symbols_at });
        }
        self.copies = self.copies.checked_next_multiple_of(PAGE)?;
        Some(())
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
