//! The arguments of level 2: section headers, symbols and names of a module in memory, checked.

use crate::callbacks::CWriter;
use crate::error::{Failed, OrReport, Report};
use crate::pointers::{Piece, Span, versioned};
use crate::sechdrs_memory::{Addresses, pointer};
use crate::status::*;
use crate::types::*;
use relakit::abi::SYM_SIZE;
use relakit::elf::Strings;
use relakit::sechdrs::{Klp, Sechdrs};

/// The parts of an image, after the checks.
pub(crate) struct Image<'a> {
    pub(crate) sechdrs: Sechdrs<'a>,
    pub(crate) section_names: Strings<'a>,
    pub(crate) symbol_names: Strings<'a>,
    pub(crate) symbols: Piece<[u8; SYM_SIZE]>,
    pub(crate) values: *mut u64,
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
        // SAFETY: the caller promises that `image` is NULL or readable for its struct_size.
        let image = unsafe { versioned(image, 1, report) }?;
        if image.flags != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, 1, u64::from(image.flags)));
        }
        if image.reserved != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, 1, 0));
        }
        let headers = Piece::new(image.sechdrs.cast(), count(image.section_count), 1, report)?;
        // SAFETY: `Piece::new` checked them, no target overlaps; the caller promises them readable.
        let sechdrs = Sechdrs { headers: unsafe { headers.read() }, symbols: image.symindex };
        let symbols = symbol_table(&sechdrs, count(image.symbol_count), report)?;
        let value_count = if image.values.is_null() { 0 } else { symbols.count() };
        let values = Span::items(image.values, value_count, 1, report)?;
        let section_names = Piece::new(image.shstrtab.cast(), image.shstrtab_size, 1, report)?;
        let symbol_names = Piece::new(image.strtab.cast(), image.strtab_size, 1, report)?;
        let read = [headers.span, section_names.span, symbol_names.span];
        symbols.span.apart_from(&read, 1, report)?;
        values.apart_from(&read, 1, report)?;
        values.apart_from(&[symbols.span], 1, report)?;
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let writer = unsafe { CWriter::new(writer, writer_number, report) }?;
        Ok(Self {
            sechdrs,
            // SAFETY: checked, and no target overlaps; the caller promises them readable.
            section_names: Strings::new(unsafe { section_names.read() }),
            // SAFETY: checked, and no target overlaps; the caller promises them readable.
            symbol_names: Strings::new(unsafe { symbol_names.read() }),
            symbols,
            values: image.values,
            // SAFETY: the caller promises the memory at each sh_addr; all borrows are listed.
            mapping: unsafe { Addresses::new(writer, read.map(Some), [Some(symbols.span), Some(values)]) },
        })
    }

    pub(crate) fn klp<'k>(&self, object: &'k [u8], report: &mut Report) -> Result<Klp<'k>, Failed>
    where
        'a: 'k,
    {
        self.sechdrs.klp(object, self.section_names).or_report(report)
    }
}

/// Finds the memory of the symbol table.
pub(crate) fn symbol_table(
    sechdrs: &Sechdrs<'_>,
    count: usize,
    report: &mut Report,
) -> Result<Piece<[u8; SYM_SIZE]>, Failed> {
    let index = sechdrs.symbols;
    let Some(section) = sechdrs.header(index) else {
        let count = sechdrs.headers.len() as u64;
        return Err(report.refuse(RELAKIT_ERR_NO_SUCH_SECTION, u64::from(index), count));
    };
    let symbols = Piece::new(pointer(section.sh_addr).cast_const().cast(), count, 0, report);
    symbols.map_err(|_| {
        let failed = report.refuse(RELAKIT_ERR_NOT_ASSIGNED, section.sh_size, 0);
        report.in_section(failed, index)
    })
}

/// A number of items; if it does not fit `usize`, a number that every check refuses.
pub(crate) fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
