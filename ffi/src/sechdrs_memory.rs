//! Section memory at the `sh_addr` of each section header.

use crate::callbacks::CWriter;
use crate::pointers::{Span, bytes, bytes_mut};
use core::cell::Cell;
use core::ptr;
use relakit::elf::Section;
use relakit::sechdrs::Mapping;
use relakit::{CallbackError, ErrorKind, Target};

/// Returns an `sh_addr` as a pointer; NULL if it does not fit a pointer.
pub(crate) fn pointer(address: u64) -> *mut u8 {
    usize::try_from(address).map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
}

/// Section memory at the `sh_addr` of each section header.
pub(crate) struct Addresses {
    writer: Option<CWriter>,
    /// Buffers that the call reads. No target may overlap them.
    read: [Option<Span>; 3],
    /// Buffers that the call writes. No table and no target may overlap them.
    written: [Option<Span>; 2],
    /// The relocation table in use. No target may overlap it.
    table: Cell<Option<Span>>,
}

impl Addresses {
    /// # Safety
    /// The memory at each `sh_addr` that is used has the size in its header, and stays valid while
    /// the returned value and its borrows live. `read` and `written` list everything else that is
    /// borrowed.
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
        let size = usize::try_from(section.sh_size).ok()?;
        let start = pointer(section.sh_addr).cast_const();
        let span = Span::bytes(start, size)?;
        if self.written.into_iter().flatten().any(|other| !span.is_apart_from(other)) {
            return None;
        }
        self.table.set(Some(span));
        // SAFETY: promised by `new`'s caller; the check above keeps it apart from written buffers.
        unsafe { bytes(start, size) }
    }

    fn target(&mut self, _index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        let mut others = self.read.into_iter().chain(self.written).chain([self.table.get()]).flatten();
        if let Some(writer) = &mut self.writer {
            return match writer.overlaps(section.sh_addr, section.sh_size, others) {
                true => Err(ErrorKind::TargetOverlaps),
                false => Ok(writer.target(section.sh_size, section.sh_addr)),
            };
        }
        let size = usize::try_from(section.sh_size).map_err(|_| ErrorKind::NotAssigned)?;
        let start = pointer(section.sh_addr);
        let span = Span::bytes(start, size).ok_or(ErrorKind::NotAssigned)?;
        if others.any(|other| !span.is_apart_from(other)) {
            return Err(ErrorKind::TargetOverlaps);
        }
        // SAFETY: promised by `new`'s caller; it is apart from `others`, which are borrowed.
        let bytes = unsafe { bytes_mut(start, size) }.ok_or(ErrorKind::NotAssigned)?;
        Ok(Target::new(bytes, section.sh_addr))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.writer.as_mut().map_or(Ok(()), CWriter::sync)
    }
}
