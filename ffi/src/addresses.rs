//! Sections that are where the `sh_addr` of their headers says.

use crate::callbacks::CWriter;
use crate::pointers::{Span, bytes, bytes_mut};
use core::cell::Cell;
use core::ptr;
use relakit::elf::Section;
use relakit::sechdrs::Mapping;
use relakit::{ErrorKind, HookError, Target, Writer};

/// The memory that an `sh_addr` names; NULL for an address that is not one here.
pub(crate) fn pointer(address: u64) -> *mut u8 {
    usize::try_from(address).map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
}

/// Sections that are where their `sh_addr` says.
pub(crate) struct Addresses {
    writer: Option<CWriter>,
    /// What no target may overlap.
    reserved: [Option<Span>; 5],
    /// The relocations that are read now.
    table: Cell<Option<Span>>,
}

impl Addresses {
    /// # Safety
    /// What every `sh_addr` leads to can be used, as large as its header says, for as long as this and what it gives
    /// out live, and is not borrowed but for the `reserved`.
    pub(crate) unsafe fn new(writer: Option<CWriter>, reserved: &[Span]) -> Self {
        let mut spans = [None; 5];
        for (to, from) in spans.iter_mut().zip(reserved) {
            *to = Some(*from);
        }
        Self { writer, reserved: spans, table: Cell::new(None) }
    }
}

impl<'m> Mapping<'m> for Addresses {
    fn table(&self, _index: u32, section: &Section) -> Option<&'m [u8]> {
        let size = usize::try_from(section.size).ok()?;
        let start = pointer(section.address).cast_const();
        self.table.set(Some(Span::bytes(start, size)?));
        // SAFETY: `new`'s caller vouches for the headers; no target overlaps the table while it is borrowed.
        unsafe { bytes(start, size) }
    }

    fn target(&mut self, _index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        if let Some(writer) = &mut self.writer {
            return Ok(Target::hooked(section.size, section.address, writer));
        }
        let size = usize::try_from(section.size).map_err(|_| ErrorKind::NotPlaced)?;
        let start = pointer(section.address);
        let span = Span::bytes(start, size).ok_or(ErrorKind::NotPlaced)?;
        let mut others = self.reserved.into_iter().chain([self.table.get()]).flatten();
        if others.any(|other| !span.is_apart_from(other)) {
            return Err(ErrorKind::TargetOverlaps);
        }
        // SAFETY: `new`'s caller vouches for the headers; it overlaps nothing that is borrowed.
        let bytes = unsafe { bytes_mut(start, size) }.ok_or(ErrorKind::NotPlaced)?;
        Ok(Target::new(bytes, section.address))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        self.writer.as_mut().map_or(Ok(()), CWriter::sync)
    }
}
