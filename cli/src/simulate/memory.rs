//! The memory of a module: the address of each section, and the bytes of those that are needed.

use super::layout::Area;
use crate::failure::Failure;
use crate::input::memory::Assigned;
use crate::input::symbols::Symbols;
use crate::view::names;
use relakit::elf::{self, RelaTable, SymbolLocation};
use relakit::{Class, Memory, Module, Target, abi};
use relakit_linux::special;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most bytes of all sections together that are simulated. A larger file may have as many as the
/// file.
const SIMULATED: u64 = 64 << 20;
/// Most bytes of all sections together that `apply` writes. The kernel's area for modules is
/// smaller.
const APPLIED: u64 = 1 << 30;

const THIS_MODULE: &[u8] = b".gnu.linkonce.this_module";

/// What the kernel writes to the beginning of `struct module` (include/linux/module.h) before it
/// relocates: `load_module` first calls `add_unformed_module`, which sets `state` and links `list`
/// (kernel/module/main.c). The name after it is that of the file. The offsets of the other fields
/// depend on the kernel's configuration.
mod unformed {
    /// `enum module_state state`, 4 bytes.
    pub(super) const STATE: std::ops::Range<usize> = 0..4;
    /// `struct list_head list`, two pointers.
    pub(super) const LIST: std::ops::Range<usize> = 8..24;
    /// `next` is the `list` of another module, `prev` the kernel's `modules`. Both are examples.
    pub(super) const POINTERS: [u64; 2] = [0xffff_ffff_c0ab_c048, 0xffff_ffff_82a1_b2d8];
}

/// `enum module_state` (include/linux/module.h).
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// `MODULE_STATE_LIVE`: the init function has succeeded.
    Live = 0,
    /// `MODULE_STATE_COMING`: the init function runs.
    Coming = 1,
    /// `MODULE_STATE_UNFORMED`: the module is being loaded.
    Unformed = 3,
}

#[derive(Debug)]
struct Section {
    assigned: Assigned,
    /// None if the section is neither written nor read.
    bytes: Option<Vec<u8>>,
}

/// The sections of a module, by section index.
#[derive(Debug)]
pub(crate) struct ModuleMemory {
    sections: Vec<Option<Section>>,
    this_module: Option<u32>,
}

impl ModuleMemory {
    /// Memory of zeros for all sections that have an address, the global offset table included.
    pub(crate) fn zeroed(module: &Module<'_>, sections: &BTreeMap<u32, Assigned>) -> Result<Self, Failure> {
        let count = module.object().section_count().saturating_add(u32::from(module.got().is_some()));
        if let Some(index) = sections.keys().find(|index| **index >= count) {
            return Err(Failure::File(format!(
                "--place has an address for section {index}, but the module has {count} sections"
            )));
        }
        Self::new(module, sections, APPLIED, |_, _| Some(&[])).map_err(Failure::File)
    }

    /// The module as the kernel has it before relocation. Only sections that are relocated or read
    /// have bytes.
    pub(crate) fn simulated(module: &Module<'_>, sections: &BTreeMap<u32, Assigned>) -> Result<Self, String> {
        let object = module.object();
        let needed = needed(module);
        let limit = SIMULATED.max(object.bytes().len() as u64);
        let mut memory = Self::new(module, sections, limit, |index, header| {
            needed.contains(&index).then(|| object.section_bytes(header))
        })?;
        let is_this_module = |(index, header): &(u32, elf::Section)| {
            memory.section(*index).is_some() && object.section_name(header) == THIS_MODULE
        };
        memory.this_module = object.sections().find(is_this_module).map(|(index, _)| index);
        memory.set_state(State::Unformed);
        Ok(memory)
    }

    /// `content` returns the bytes of a section in the file, or `None` if it needs no memory.
    fn new<'f>(
        module: &Module<'f>,
        sections: &BTreeMap<u32, Assigned>,
        limit: u64,
        content: impl Fn(u32, &elf::Section) -> Option<&'f [u8]>,
    ) -> Result<Self, String> {
        let mut memory = Self { sections: Vec::new(), this_module: None };
        let mut total = 0u64;
        let mut bytes = |index, content, size: u64| {
            total = total.saturating_add(size);
            match total > limit {
                true => Err(format!(
                    "the module is too large: its sections up to {index} have more than {limit:#x} bytes"
                )),
                false => filled(content, size),
            }
        };
        for (index, header) in module.object().sections() {
            let assigned = sections.get(&index).filter(|_| header.sh_type != abi::SHT_NULL);
            let mut section = assigned.map(|&assigned| Section { assigned, bytes: None });
            if let Some((section, content)) = section.as_mut().zip(content(index, &header)) {
                section.bytes = Some(bytes(index, content, header.sh_size)?);
            }
            memory.sections.push(section);
        }
        if let Some((got, &assigned)) = module.got().and_then(|got| Some((got, sections.get(&got.section)?)))
        {
            let bytes = Some(bytes(got.section, &[], got.size)?);
            memory.sections.push(Some(Section { assigned, bytes }));
        }
        Ok(memory)
    }

    /// Writes the fields at the beginning of `struct module`, if the section is large enough.
    pub(crate) fn set_state(&mut self, state: State) {
        let section = self.this_module.and_then(|index| self.section_mut(index));
        let Some(bytes) = section.and_then(|section| section.bytes.as_mut()) else { return };
        let list = unformed::POINTERS.map(u64::to_le_bytes).concat();
        if let Some(field) = bytes.get_mut(unformed::LIST) {
            field.copy_from_slice(&list);
            if let Some(field) = bytes.get_mut(unformed::STATE) {
                field.copy_from_slice(&(state as u32).to_le_bytes());
            }
        }
    }

    /// Run-time address of a section.
    pub(crate) fn address(&self, index: u32) -> Option<u64> {
        Some(self.section(index)?.assigned.address)
    }

    pub(crate) fn bytes(&self, index: u32) -> Option<&[u8]> {
        self.section(index)?.bytes.as_deref()
    }

    /// The bytes of all sections that have some.
    pub(crate) fn contents(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let sections = (0u32..).zip(&self.sections);
        sections.filter_map(|(index, section)| Some((index, section.as_ref()?.bytes.as_deref()?)))
    }

    /// The run-time address of each section.
    pub(crate) fn addresses(&self) -> Vec<Option<u64>> {
        let address = |section: &Option<Section>| section.as_ref().map(|section| section.assigned.address);
        self.sections.iter().map(address).collect()
    }

    #[cfg(test)]
    pub(crate) fn set_bytes(&mut self, index: u32, bytes: &[u8]) {
        self.section_mut(index).unwrap().bytes = Some(bytes.to_vec());
    }

    fn section(&self, index: u32) -> Option<&Section> {
        self.sections.get(usize::try_from(index).ok()?)?.as_ref()
    }

    fn section_mut(&mut self, index: u32) -> Option<&mut Section> {
        self.sections.get_mut(usize::try_from(index).ok()?)?.as_mut()
    }
}

impl Memory for ModuleMemory {
    fn base(&self, section: u32) -> Option<u64> {
        let assigned = self.section(section)?.assigned;
        Some(assigned.symbols_at.unwrap_or(assigned.address))
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let section = self.section_mut(section)?;
        Some(Target::new(section.bytes.as_mut()?, section.assigned.address))
    }
}

/// The addresses that a check uses for the module, if no module is loaded before it: of its sections
/// in memory, and of those that are relocated.
pub(crate) fn automatic(module: &Module<'_>) -> Result<BTreeMap<u32, Assigned>, String> {
    let mut sections = Area::default().assign(module)?;
    let relocated: BTreeSet<u32> = relocated(module).collect();
    sections.retain(|index, _| {
        module.is_allocated(*index) || module.per_cpu_section() == Some(*index) || relocated.contains(index)
    });
    Ok(sections)
}

/// The sections that a relocation writes, or that a reader of special sections reads.
fn needed(module: &Module<'_>) -> BTreeSet<u32> {
    let object = module.object();
    let special =
        object.sections().filter(|(_, header)| special::by_name(object.section_name(header)).is_some());
    special.map(|(index, _)| index).chain(relocated(module)).collect()
}

/// The sections that a relocation writes.
fn relocated(module: &Module<'_>) -> impl Iterator<Item = u32> {
    module.classes().filter_map(|(index, class)| {
        let (Class::Ordinary { target } | Class::KlpEarly { target } | Class::KlpLate { target, .. }) =
            class.class
        else {
            return None;
        };
        let section = module.object().section(index)?;
        let table = module.object().section_bytes(&section);
        (!RelaTable::whole_entries(table).0.is_empty()).then_some(target)
    })
}

/// `content`, and zeros up to `size`.
fn filled(content: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(content);
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Finds the base address of per-CPU symbols, if `--place` does not have it: the
/// address of a per-CPU variable in the symbol files, minus its offset in the section. Returns a
/// note if the symbol files do not determine it.
pub(crate) fn find_per_cpu_base(
    module: &Module<'_>,
    path: &Path,
    sections: &mut BTreeMap<u32, Assigned>,
    symbols: &Symbols,
) -> Option<String> {
    let index = module.per_cpu_section()?;
    let section = sections.get_mut(&index).filter(|section| section.symbols_at.is_none())?;
    let own = names::module_name(module, path);
    let table = module.object().symbols();
    let bases = (1..table.len()).filter_map(|number| {
        let symbol = table.get(number)?;
        let name = table.name(&symbol).ok().filter(|name| !name.is_empty())?;
        let mut addresses = symbols.per_cpu(&own, name);
        // If several variables have the name, their addresses cannot be told apart.
        match (table.location(&symbol), addresses.next(), addresses.next()) {
            (SymbolLocation::Section(section), Some(address), None) if section == index => {
                Some(address.wrapping_sub(symbol.st_value))
            }
            _ => None,
        }
    });
    let bases: BTreeSet<u64> = bases.collect();
    if let (1, Some(&base)) = (bases.len(), bases.first()) {
        section.symbols_at = Some(base);
        return None;
    }
    let why = if bases.is_empty() { "do not list" } else { "disagree on" };
    Some(format!(
        "section {index} is per-CPU and has no \"symbols_at\"; the symbol files {why} the variables of [{own}], \
         so its symbols are relative to {:#x}",
        section.address
    ))
}
