//! Section memory at the `sh_addr` of each section header.

use crate::callbacks::CWriter;
use crate::pointers::{Span, bytes, bytes_mut};
use core::cell::Cell;
use core::ptr;
use relakit::elf::Section;
use relakit::sechdrs::Mapping;
use relakit::{CallbackError, ErrorKind, Target};

/// The memory of a section: its addresses, the first byte, and the size.
pub(crate) struct SectionMemory {
    pub(crate) span: Span,
    pub(crate) start: *mut u8,
    size: usize,
}

impl SectionMemory {
    /// Memory of `section` at its `sh_addr`.
    pub(crate) fn new(section: &Section) -> Result<Self, ErrorKind> {
        if section.sh_addr == 0 && section.sh_size != 0 {
            return Err(ErrorKind::NotAssigned);
        }
        // What does not fit a pointer is past the end of the address space.
        let size = usize::try_from(section.sh_size).map_err(|_| ErrorKind::AddressWraps)?;
        let address = usize::try_from(section.sh_addr).map_err(|_| ErrorKind::AddressWraps)?;
        let start = ptr::with_exposed_provenance_mut(address);
        let span = Span::bytes(start, size).ok_or(ErrorKind::AddressWraps)?;
        Ok(Self { span, start, size })
    }
}

/// Section memory at the `sh_addr` of each section header.
pub(crate) struct Addresses {
    writer: Option<CWriter>,
    /// Buffers that the call reads. No target may overlap them.
    read: [Option<Span>; 3],
    /// The symbols, if the call writes them. No table and no target may overlap them.
    written: Option<Span>,
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
        written: Option<Span>,
    ) -> Self {
        Self { writer, read, written, table: Cell::new(None) }
    }
}

impl<'m> Mapping<'m> for Addresses {
    fn table(&self, _index: u32, section: &Section) -> Result<&'m [u8], ErrorKind> {
        let SectionMemory { span, start, size } = SectionMemory::new(section)?;
        if self.written.is_some_and(|written| !span.is_apart_from(written)) {
            return Err(ErrorKind::TableOverlaps);
        }
        self.table.set(Some(span));
        // SAFETY: `new`'s caller promised `size` bytes at sh_addr, and they do not overlap
        // `written`.
        unsafe { bytes(start, size) }.ok_or(ErrorKind::AddressWraps)
    }

    fn target(&mut self, _index: u32, section: &Section) -> Result<Target<'_>, ErrorKind> {
        let mut others = self.read.into_iter().chain([self.written, self.table.get()]).flatten();
        if let Some(writer) = &mut self.writer {
            return match writer.overlaps(section.sh_addr, section.sh_size, others) {
                true => Err(ErrorKind::TargetOverlaps),
                false => Ok(writer.target(section.sh_size, section.sh_addr)),
            };
        }
        let SectionMemory { span, start, size } = SectionMemory::new(section)?;
        if others.any(|other| !span.is_apart_from(other)) {
            return Err(ErrorKind::TargetOverlaps);
        }
        // SAFETY: `new`'s caller promised `size` bytes at sh_addr, and they do not overlap
        // `others`, which has all borrows.
        let bytes = unsafe { bytes_mut(start, size) }.ok_or(ErrorKind::AddressWraps)?;
        Ok(Target::new(bytes, section.sh_addr))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.writer.as_mut().map_or(Ok(()), CWriter::sync)
    }
}
