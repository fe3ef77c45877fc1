//! What is found: each section is read once, so that everything that is compared is of one time.

use super::report::NotJudged;
use crate::failure::Failure;
use crate::input::place::Place;
use crate::input::running::Running;
use crate::simulate::memory::ModuleMemory;
use crate::view::names;
use relakit::verify::{CONSTANT, Reader};
use relakit::{CallbackError, Class, Module, Placement};
use std::collections::BTreeSet;

/// The table of jump labels. The verifier compares it, although it is no constant.
const JUMP_TABLE: &[u8] = b"__jump_table";

/// The sections of the running module.
#[derive(Debug)]
pub(super) struct Found {
    /// Sorted by address.
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    address: u64,
    index: u32,
    /// Whether the verifier compares all of it.
    is_compared: bool,
    /// Why there is no memory of it. Then the bytes are those that are expected.
    missing: Option<Missing>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Missing {
    NoAddress,
    NotInMemory,
}

impl Found {
    /// Reads the sections that are compared, and those with late relocations.
    pub(super) fn read(
        module: &Module<'_>,
        place: &Place,
        expected: &ModuleMemory,
        running: &mut Running,
    ) -> Result<Self, Failure> {
        let late: BTreeSet<u32> = module
            .classes()
            .filter_map(|(_, class)| match class.class {
                Class::KlpLate { target, .. } => Some(target),
                _ => None,
            })
            .collect();
        let mut sections = Vec::new();
        for &Placement { section: index, group, size, .. } in
            place.placements.iter().filter(|of| of.size != 0)
        {
            let name = names::section(module, index).unwrap_or_default();
            let is_compared = CONSTANT.contains(&group) || name == JUMP_TABLE;
            let (Some(address), Some(bytes)) = (expected.address(index), expected.bytes(index)) else {
                continue;
            };
            if !is_compared && !late.contains(&index) {
                continue;
            }
            let found = match place.assumed.contains(&index) {
                true => Err(Missing::NoAddress),
                false => running.section(index, address, size)?.ok_or(Missing::NotInMemory),
            };
            let missing = found.as_ref().err().copied();
            let bytes = found.unwrap_or_else(|_| bytes.to_vec());
            sections.push(Section { address, index, is_compared, missing, bytes });
        }
        sections.sort_by_key(|section| section.address);
        Ok(Self { sections })
    }

    fn missing(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.missing.is_some() && section.is_compared)
    }

    /// The compared sections that the memory does not contain.
    pub(super) fn missing_sections(&self) -> BTreeSet<u32> {
        self.missing().map(|section| section.index).collect()
    }

    /// Number of bytes of the sections that the memory does not contain.
    pub(super) fn missing_bytes(&self) -> u64 {
        self.missing().fold(0, |sum, section| sum.saturating_add(section.bytes.len() as u64))
    }

    /// The sections that are compared, and that the memory does not contain.
    pub(super) fn not_judged(&self, module: &Module<'_>) -> Vec<NotJudged> {
        let missing = self.missing().map(|section| {
            let name = names::section(module, section.index).map(names::escaped).unwrap_or_default();
            let (why, give) = match section.missing {
                Some(Missing::NoAddress) => {
                    ("its address is not given".to_owned(), "--place, or its --bases")
                }
                _ => {
                    let (size, address) = (section.bytes.len(), section.address);
                    let why = format!("the memory does not contain {size:#x} bytes at {address:#x}");
                    (why, "--memory with this range, and the right --place")
                }
            };
            NotJudged { what: format!("section {} {name}", section.index), why, give: give.to_owned() }
        });
        missing.collect()
    }

    /// Takes as found what is expected in missing sections, so that there are no differences.
    pub(super) fn expect_missing(&mut self, expected: &ModuleMemory) {
        for section in self.sections.iter_mut().filter(|section| section.missing.is_some()) {
            if let Some(bytes) = expected.bytes(section.index) {
                section.bytes.clear();
                section.bytes.extend_from_slice(bytes);
            }
        }
    }
}

impl Reader for Found {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        const NOT_READ: CallbackError = CallbackError(1);
        let after = self.sections.partition_point(|section| section.address <= address);
        let section = after.checked_sub(1).and_then(|last| self.sections.get(last)).ok_or(NOT_READ)?;
        let inside = usize::try_from(address.wrapping_sub(section.address)).map_err(|_| NOT_READ)?;
        let range = inside..inside.checked_add(bytes.len()).ok_or(NOT_READ)?;
        bytes.copy_from_slice(section.bytes.get(range).ok_or(NOT_READ)?);
        Ok(())
    }
}
