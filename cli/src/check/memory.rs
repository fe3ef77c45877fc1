//! The memory that a load is simulated in: every section has an address, and those that are relocated or read have bytes.

use crate::place::At;
use relakit::elf::RelaTable;
use relakit::{Class, Memory, Module, Target, abi};
use relakit_linux::special;
use std::collections::BTreeMap;

/// Most bytes that the sections of a simulated module have together; of a larger file, as many as the file.
const SIMULATED: u64 = 64 << 20;

const THIS_MODULE: &[u8] = b".gnu.linkonce.this_module";

/// What the kernel has written to the begin of `struct module` (include/linux/module.h) before it relocates:
/// `load_module` calls `add_unformed_module` first, which sets `state` and links `list` (kernel/module/main.c).
/// The name that follows is the file's. Where the other fields are depends on the kernel's configuration.
mod unformed {
    /// `enum module_state state`, 4 bytes at 0, and the padding behind it.
    pub(super) const STATE: std::ops::Range<usize> = 0..4;
    /// `struct list_head list`, two pointers at 8.
    pub(super) const LIST: std::ops::Range<usize> = 8..24;
    /// `next` is the `list` of the module before, `prev` the kernel's `modules`. The addresses are made up.
    pub(super) const POINTERS: [u64; 2] = [0xffff_ffff_c0ab_c048, 0xffff_ffff_82a1_b2d8];
}

/// `enum module_state` (include/linux/module.h).
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// `MODULE_STATE_LIVE`: init has succeeded.
    Live = 0,
    /// `MODULE_STATE_COMING`: init is running.
    Coming = 1,
    /// `MODULE_STATE_UNFORMED`: it is being loaded.
    Unformed = 3,
}

/// A section of the module.
#[derive(Debug)]
struct Section {
    at: At,
    /// None if nothing writes or reads it.
    bytes: Option<Vec<u8>>,
}

/// The sections of a module, by section index.
#[derive(Debug)]
pub(crate) struct Simulated {
    sections: Vec<Option<Section>>,
    this_module: Option<u32>,
}

impl Simulated {
    /// The module as the kernel has it right before relocation. Fails with a sentence if it is too large.
    pub(crate) fn new(module: &Module<'_>, places: &BTreeMap<u32, At>) -> Result<Self, String> {
        let object = module.object();
        let most = SIMULATED.max(object.bytes().len() as u64);
        let needed = needed(module);
        let mut total = 0u64;
        let mut sections = Vec::new();
        let mut this_module = None;
        for (index, header) in object.sections() {
            let has_bytes = usize::try_from(index).is_ok_and(|index| needed.get(index) == Some(&true));
            let at = places.get(&index).filter(|_| header.sh_type != abi::SHT_NULL);
            let Some(at) = at else {
                sections.push(None);
                continue;
            };
            let mut bytes = None;
            if has_bytes {
                total = total.saturating_add(header.sh_size);
                if total > most {
                    return Err(format!(
                        "the sections that are relocated have more than {most:#x} bytes together, too many to \
                         simulate (with section {index}, which has {:#x})",
                        header.sh_size
                    ));
                }
                bytes = Some(filled(object.section_bytes(&header), header.sh_size)?);
            }
            if this_module.is_none() && object.section_name(&header) == THIS_MODULE {
                this_module = Some(index);
            }
            sections.push(Some(Section { at: *at, bytes }));
        }
        let mut simulated = Self { sections, this_module };
        simulated.set_state(State::Unformed);
        Ok(simulated)
    }

    /// Writes what the kernel keeps at the begin of `struct module`, if there is room for it.
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
        Some(self.section(index)?.at.address)
    }

    /// The bytes of a section that is relocated or read.
    pub(crate) fn bytes(&self, index: u32) -> Option<&[u8]> {
        self.section(index)?.bytes.as_deref()
    }

    /// The run-time address of each section.
    pub(crate) fn addresses(&self) -> Vec<Option<u64>> {
        let address = |section: &Option<Section>| section.as_ref().map(|section| section.at.address);
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

impl Memory for Simulated {
    fn base(&self, section: u32) -> Option<u64> {
        let at = self.section(section)?.at;
        Some(at.symbols_at.unwrap_or(at.address))
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let section = self.section_mut(section)?;
        Some(Target::new(section.bytes.as_mut()?, section.at.address))
    }
}

/// For each section whether a relocation writes to it, or a reader of special sections reads it.
fn needed(module: &Module<'_>) -> Vec<bool> {
    let object = module.object();
    let is_special = |(_, section)| special::by_name(object.section_name(&section)).is_some();
    let mut needed: Vec<bool> = object.sections().map(is_special).collect();
    for (index, class) in module.classes() {
        let (Class::Ordinary { target } | Class::KlpEarly { target } | Class::KlpLate { target, .. }) =
            class.class
        else {
            continue;
        };
        let Some(section) = object.section(index) else { continue };
        let is_empty = RelaTable::whole_entries(object.section_bytes(&section)).0.is_empty();
        let target = usize::try_from(target).ok().and_then(|target| needed.get_mut(target));
        if let Some(target) = target.filter(|_| !is_empty) {
            *target = true;
        }
    }
    needed
}

/// The content of a section in the file, and zeros up to its size.
fn filled(content: &[u8], size: u64) -> Result<Vec<u8>, String> {
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|error| error.to_string())?;
    bytes.extend_from_slice(content);
    bytes.resize(size, 0);
    Ok(bytes)
}
