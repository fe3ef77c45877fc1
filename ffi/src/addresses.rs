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
    /// What is lent and only read: no target may overlap it.
    read: [Option<Span>; 3],
    /// What is lent and written: nothing that the headers lead to may overlap it.
    written: [Option<Span>; 2],
    /// The relocations that are read now.
    table: Cell<Option<Span>>,
}

impl Addresses {
    /// # Safety
    /// What every `sh_addr` leads to can be used, as large as its header says, for as long as this and what it gives
    /// out live, and is not borrowed but for what is `read` and `written`.
    pub(crate) unsafe fn new(
        writer: Option<CWriter>,
        read: [Option<Span>; 3],
        written: [Option<Span>; 2],
    ) -> Self {
        Self { writer, read, written, table: Cell::new(None) }
    }
}

impl<'m> Mapping<'m> for Addresses {
    fn table(&self, _index: u32, section: &Section) -> Option<&'m [u8]> {
        let size = usize::try_from(section.size).ok()?;
        let start = pointer(section.address).cast_const();
        let span = Span::bytes(start, size)?;
        if self.written.into_iter().flatten().any(|other| !span.is_apart_from(other)) {
            return None;
        }
        self.table.set(Some(span));
        // SAFETY: `new`'s caller vouches for the headers; neither a target nor what is written overlaps the table.
        unsafe { bytes(start, size) }
    }

    fn target(&mut self, _index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        let mut others = self.read.into_iter().chain(self.written).chain([self.table.get()]).flatten();
        if let Some(writer) = &mut self.writer {
            return match writer.overlaps(section.address, section.size, others) {
                true => Err(ErrorKind::TargetOverlaps),
                false => Ok(Target::hooked(section.size, section.address, writer)),
            };
        }
        let size = usize::try_from(section.size).map_err(|_| ErrorKind::NotPlaced)?;
        let start = pointer(section.address);
        let span = Span::bytes(start, size).ok_or(ErrorKind::NotPlaced)?;
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
