//! Level 2: the section headers, symbols and names of a module in memory.

use crate::callbacks::CWriter;
use crate::error::{Failed, OrReport, Report};
use crate::pointers::{Piece, Span, versioned};
use crate::sechdrs_memory::{Addresses, SectionMemory};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use relakit::abi::{SHDR_SIZE, SYM_SIZE};
use relakit::elf::Strings;
use relakit::sechdrs::{Klp, Sechdrs};
use relakit::{Error, ErrorKind};

/// relakit_sechdrs.section_count: the caller does not know the number of headers. Only
/// relakit_apply_relocate_add and relakit_clear_relocate_add take it, see there.
pub const RELAKIT_SECTION_COUNT_UNKNOWN: u32 = 0xffff_ffff;

/// A module that its loader, like Linux, has copied to memory. sh_addr has the addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_sechdrs {
    /// sizeof(struct relakit_sechdrs).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// An array of `section_count` Elf64_Shdr. It needs no alignment. If a function reads a
    /// section, sh_addr must be where it is in memory. For a target in plain memory, sh_addr
    /// must also be its run-time address. For a target with a writer, it is only the run-time
    /// address.
    pub sechdrs: *const c_void,
    /// Number of section headers, including section 0, or RELAKIT_SECTION_COUNT_UNKNOWN. With 0,
    /// every section index is an error.
    pub section_count: u32,
    /// Section index of the symbol table. sh_addr is the address of sh_size / 24 Elf64_Sym,
    /// including the null symbol.
    pub symindex: u32,
    /// The section names. relakit_klp_apply and relakit_klp_clear read them.
    pub shstrtab: *const c_char,
    /// Size of `shstrtab` in bytes. Names end with NUL, so it may be any upper bound of readable
    /// memory without the symbol table and targets, for example up to the end of the module's
    /// data.
    pub shstrtab_size: usize,
    /// The symbol names. relakit_klp_apply reads them.
    pub strtab: *const c_char,
    /// Size of `strtab` in bytes, or an upper bound as for `shstrtab_size`.
    pub strtab_size: usize,
}

/// Section headers and the symbol table, after the checks.
pub(crate) struct Tables<'a> {
    pub(crate) sechdrs: Sechdrs<'a>,
    pub(crate) symbols: Piece<[u8; SYM_SIZE]>,
    headers: Span,
    image: relakit_sechdrs,
}

impl<'a> Tables<'a> {
    /// Reads argument 1. `relsec` is the relocation section if the call reads only one; then the
    /// number of headers may be unknown.
    ///
    /// # Safety
    /// The promise of the crate's documentation holds for the pointer, for the headers, and for the
    /// memory of the symbol table.
    pub(crate) unsafe fn new(
        image: *const relakit_sechdrs,
        relsec: Option<u32>,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises that `image` is NULL or readable for its struct_size.
        let image = unsafe { versioned(image, 1, report) }?;
        if image.flags != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, 1, u64::from(image.flags)));
        }
        let count = match (image.section_count, relsec) {
            // SAFETY: the caller promises that the symbol table and `relsec` are indices of
            // readable headers.
            (RELAKIT_SECTION_COUNT_UNKNOWN, Some(relsec)) => unsafe { used(&image, relsec, report) }?,
            (RELAKIT_SECTION_COUNT_UNKNOWN, None) => 0,
            (count, _) => index(count),
        };
        let headers = headers(&image, count, report)?;
        // SAFETY: `Piece::new` checked the pointer, and `mapping` refuses targets that overlap the
        // headers. The caller promises readable headers.
        let sechdrs = Sechdrs { headers: unsafe { headers.read() }, symbols: image.symindex };
        let table = sechdrs.symbol_table().or_report(report)?;
        let memory = SectionMemory::new(&table).map_err(|kind| {
            let (value, limit) = match kind {
                ErrorKind::AddressWraps => (table.sh_addr, table.sh_size),
                _ => (table.sh_size, 0),
            };
            report.core(&Error::new(kind, value, limit).in_section(image.symindex))
        })?;
        let count = usize::try_from(table.sh_size).unwrap_or(usize::MAX) / SYM_SIZE;
        let symbols = Piece::new(memory.start.cast_const().cast(), count, 1, report)?;
        Ok(Self { sechdrs, symbols, headers: headers.span, image })
    }

    /// Returns the memory of the sections. The symbols are only read.
    ///
    /// # Safety
    /// The memory at each `sh_addr` that is used has the size in its header, and stays valid while
    /// the returned value and its borrows live. Nothing else is borrowed.
    pub(crate) unsafe fn mapping(&self, writer: Option<CWriter>) -> Addresses {
        // SAFETY: `mapping`'s caller promises the memory at each sh_addr. The lists have both
        // borrows: the headers and the symbols.
        unsafe { Addresses::new(writer, [Some(self.headers), Some(self.symbols.span), None], None) }
    }
}

/// The headers of `image`, argument 1.
fn headers(
    image: &relakit_sechdrs,
    count: usize,
    report: &mut Report,
) -> Result<Piece<[u8; SHDR_SIZE]>, Failed> {
    Piece::new(image.sechdrs.cast(), count, 1, report)
}

/// Returns how many headers a call for section `relsec` reads, if the caller does not know their
/// number.
///
/// # Safety
/// The symbol table and `relsec` are indices of readable headers.
unsafe fn used(image: &relakit_sechdrs, relsec: u32, report: &mut Report) -> Result<usize, Failed> {
    let first = headers(image, index(image.symindex.max(relsec)).saturating_add(1), report)?;
    // SAFETY: `Piece::new` checked the pointer; the caller promises readable headers up to these
    // indices.
    let sechdrs = Sechdrs { headers: unsafe { first.read() }, symbols: image.symindex };
    Ok(sechdrs.headers_used(relsec))
}

/// The parts of an image with names, after the checks.
pub(crate) struct Image<'a> {
    sechdrs: Sechdrs<'a>,
    section_names: Strings<'a>,
    pub(crate) symbol_names: Strings<'a>,
    pub(crate) symbols: Piece<[u8; SYM_SIZE]>,
    pub(crate) mapping: Addresses,
}

impl<'a> Image<'a> {
    /// Reads argument 1, and the writer, argument `writer_number`.
    ///
    /// # Safety
    /// The promise of the crate's documentation holds for the pointers and for the memory at each
    /// sh_addr.
    pub(crate) unsafe fn new(
        image: *const relakit_sechdrs,
        writer: *const relakit_writer,
        writer_number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises a readable struct, headers and symbols.
        let Tables { sechdrs, symbols, headers, image } = unsafe { Tables::new(image, None, report) }?;
        let section_names = Piece::new(image.shstrtab.cast(), image.shstrtab_size, 1, report)?;
        let symbol_names = Piece::new(image.strtab.cast(), image.strtab_size, 1, report)?;
        let read = [headers, section_names.span, symbol_names.span];
        symbols.span.apart_from(&read, 1, report)?;
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let writer = unsafe { CWriter::new(writer, writer_number, report) }?;
        Ok(Self {
            sechdrs,
            // SAFETY: `Piece::new` checked the pointer, and `mapping` refuses targets that overlap
            // the names. The caller promises readable names.
            section_names: Strings::new(unsafe { section_names.read() }),
            // SAFETY: `Piece::new` checked the pointer, and `mapping` refuses targets that overlap
            // the names. The caller promises readable names.
            symbol_names: Strings::new(unsafe { symbol_names.read() }),
            symbols,
            // SAFETY: the caller promises the memory at each sh_addr. The lists have all borrows:
            // the headers, both name tables and the symbols.
            mapping: unsafe { Addresses::new(writer, read.map(Some), Some(symbols.span)) },
        })
    }

    pub(crate) fn klp<'k>(&self, object: &'k [u8], report: &mut Report) -> Result<Klp<'k>, Failed>
    where
        'a: 'k,
    {
        self.sechdrs.klp(object, self.section_names).or_report(report)
    }
}

/// An index or a number of items; if it does not fit `usize`, a number that every check refuses.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
