//! Level 2: Linux-shaped loaders, which have section headers whose sh_addr are addresses and a resolved symbol table.

use crate::addresses::{Addresses, pointer};
use crate::callbacks::{CResolver, CWriter};
use crate::fault::{OrReport, Report, Stopped, answer};
use crate::pointers::{Count, ObjectName, Piece, Span, versioned};
use crate::relocate::Options;
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use relakit::abi::SYM_SIZE;
use relakit::elf::Strings;
use relakit::reloc::{Rules, SymtabValues};
use relakit::sechdrs::{Klp, Mapping, Sechdrs};

/// A module as a Linux-shaped loader holds it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_image {
    /// sizeof(struct relakit_image).
    pub struct_size: u32,
    /// 0.
    pub flags: u32,
    /// section_count Elf64_Shdr. The sh_addr of each section that a function reads or writes is where it is now and will
    /// run; behind a writer, where it will run.
    pub sechdrs: *const c_void,
    /// Number of section headers, section 0 included.
    pub section_count: u32,
    /// Index of the symbol table's section header. Its sh_addr leads to symbol_count Elf64_Sym.
    pub symindex: u32,
    /// Number of symbols, the null symbol included.
    pub symbol_count: u32,
    /// 0.
    pub reserved: u32,
    /// The section names.
    pub shstrtab: *const c_char,
    /// Bytes of them.
    pub shstrtab_size: usize,
    /// The symbol names.
    pub strtab: *const c_char,
    /// Bytes of them.
    pub strtab_size: usize,
    /// Lent memory for symbol_count values, which relakit_klp_apply works in; its content is lost. NULL for
    /// relakit_klp_clear.
    pub values: *mut u64,
}

/// Applies relocation section relsec, or changes nothing: what such loaders know as apply_relocate_add, with the bounds
/// that they never pass.
///
/// sechdrs is section_count Elf64_Shdr, and need not be aligned. The sh_addr of relsec leads to its relocations, that of
/// the section which its sh_info names is where this one is now and will run (behind a writer: will run), that of symindex
/// leads to symbol_count Elf64_Sym whose st_value are the symbols' values. strtab is unused and may be NULL; it keeps the argument
/// order of Linux's function. writer is NULL for plain memory.
///
/// The symbols must be resolved. The function refuses an entry whose symbol is recognisably not: SHN_LIVEPATCH, or SHN_UNDEF and not
/// weak, with st_value 0. It cannot recognise that the st_value of a symbol in a section is still an offset. A livepatch section
/// (SHF_RELA_LIVEPATCH) is applied like any other; relakit_klp_apply resolves its symbols first.
///
/// Sections must not overlap each other in memory. The time is linear in the size of relsec.
///
/// Returns RELAKIT_OK, or what relakit_apply returns, or
/// RELAKIT_ERR_NO_SUCH_SECTION         relsec or symindex is 0 or not a section;
/// RELAKIT_ERR_NOT_RELOCATIONS, _REL_SECTION  relsec is not of type RELA;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     its sh_info is 0 or not a section;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  its target is the symbol table or its strings;
/// RELAKIT_ERR_NOT_PLACED              an sh_addr is NULL, or so large that the section would wrap around. (A target behind a
///                                     writer may be at address 0; if it wraps, RELAKIT_ERR_ADDRESS_WRAPS);
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   its target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         the target overlaps the headers, the symbols or the relocations; behind a writer too,
///                                     by its addresses, unless the writer has RELAKIT_WRITER_FOREIGN;
/// RELAKIT_ERR_SYMBOL_UNRESOLVED       a symbol is not resolved (see RELAKIT_ALLOW_ZERO_SYMBOLS).
///
/// Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_apply_relocate_add(
    sechdrs: *const c_void,
    section_count: u32,
    strtab: *const c_char,
    symindex: u32,
    symbol_count: u32,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let _ = strtab;
    let image = (sechdrs, section_count, symindex, symbol_count);
    // SAFETY: the caller's promise.
    unsafe { one_section(Sechdrs::apply, image, relsec, writer, options, error) }
}

/// Sets every field of relocation section relsec back to zero, or changes nothing. Each must hold what
/// relakit_apply_relocate_add wrote with the symbol values that are still in the table; the last entry goes first.
///
/// The arguments and what is returned are those of relakit_apply_relocate_add, and RELAKIT_ERR_MISMATCH when a field does
/// not hold what was applied. Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_clear_relocate_add(
    sechdrs: *const c_void,
    section_count: u32,
    strtab: *const c_char,
    symindex: u32,
    symbol_count: u32,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let _ = strtab;
    let image = (sechdrs, section_count, symindex, symbol_count);
    // SAFETY: the caller's promise.
    unsafe { one_section(Sechdrs::clear, image, relsec, writer, options, error) }
}

/// Resolves the symbols of all livepatch sections of one object, and applies them in section order: all of them, or
/// nothing is changed. What a kernel does section by section in klp_apply_section_relocs.
///
/// object is "vmlinux" while the module loads, with its ordinary relocations and before anything reads its special
/// sections (early); afterwards the name of a module that comes, at most 55 bytes and a NUL (late). With "vmlinux", sections
/// whose target is not in memory (no such section, or not SHF_ALLOC) are passed over, as Linux does.
///
/// resolver->candidate is called for the symbols, exported is not. On success the values of the symbols are in the symbol
/// table, for relakit_klp_clear, and *sections, if sections is not NULL, is the number of sections: 0 when the module has
/// none for that object, which is often a misspelt name. error->section names the section at fault. options take
/// RELAKIT_CHECK_PC32 and a profile.
///
/// Returns RELAKIT_OK, or what relakit_apply_relocate_add returns, or
/// RELAKIT_ERR_NOT_A_MODULE            object is empty;
/// RELAKIT_ERR_NOT_PLACED              also where relocations overlap the symbols or image->values;
/// RELAKIT_ERR_BAD_SECTION_NAME, _BAD_KLP_SECTION_NAME  of any section with SHF_RELA_LIVEPATCH, whatever its object;
/// RELAKIT_ERR_LATE_NOT_ALLOCATED, _TARGET_NOT_ALLOCATED  late: the section or its target is not SHF_ALLOC;
/// RELAKIT_ERR_NOT_KLP_SYMBOL, _BAD_SYMBOL_NAME, _BAD_KLP_SYMBOL_NAME, _VMLINUX_FROM_MODULE  of a symbol it uses;
/// RELAKIT_ERR_KLP_NOT_FOUND, _KLP_AMBIGUOUS, _KLP_POSITION, _RESOLVER  by what the resolver answers;
///
/// Nobody remembers that an object has come: when it comes twice its fields are not zero, RELAKIT_ERR_NON_ZERO. The time is linear in
/// the number of sections and the sizes of the object's relocation sections; sections that share a table are counted each.
///
/// Not for two threads with one symbol table. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_apply(
    image: *const relakit_image,
    object: *const c_char,
    resolver: *const relakit_resolver,
    writer: *const relakit_writer,
    options: *const relakit_options,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let mut image = unsafe { Image::new(image, writer, 4, report) }?;
        // SAFETY: as above.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: as above.
        let mut resolver = unsafe { CResolver::new(resolver, 3, report) }?;
        // SAFETY: as above.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 6, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        let values = Piece::new(image.values, image.symbols.count(), 1, report)?;
        // SAFETY: as above; neither overlaps anything that is borrowed, or a target.
        let symbols = unsafe { image.symbols.write() };
        // SAFETY: as above.
        let values = unsafe { values.write() };
        let applied =
            klp.apply(symbols, image.symbol_names, values, &mut image.mapping, &mut resolver, profile);
        sections.set(applied.or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, call) }
}

/// Verifies and sets back to zero every field of all livepatch sections of one object that goes, the last first: all of
/// them, or nothing is changed. Linux does it from 6.3 on.
///
/// The arguments are those of relakit_klp_apply; the symbols' values must be those that it has put into the symbol table.
/// A symbol that two objects share has only one value there: when the other object has come elsewhere since, this fails
/// with RELAKIT_ERR_MISMATCH. (The third level keeps values per section.)
///
/// Returns RELAKIT_OK, or RELAKIT_ERR_MISMATCH when a field does not hold what was applied, or what is wrong with a
/// section as in relakit_klp_apply. Reentrant. Does not allocate, lock, print or keep a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_clear(
    image: *const relakit_image,
    object: *const c_char,
    writer: *const relakit_writer,
    options: *const relakit_options,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller's promise.
        let mut image = unsafe { Image::new(image, writer, 3, report) }?;
        // SAFETY: as above.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: as above.
        let profile = unsafe { Options::new(options, 4, report) }?.profile(report)?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 5, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        // SAFETY: as above; no target overlaps them.
        let symbols = SymtabValues::from_entries(unsafe { image.symbols.read() });
        sections.set(klp.clear(symbols, &mut image.mapping, profile).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, call) }
}

/// One of the two passes over one section.
type Act<'s> =
    fn(&Sechdrs<'s>, u32, SymtabValues<'_>, &mut dyn Mapping<'_>, Rules) -> Result<(), relakit::Error>;

/// The headers, their number, the index of the symbol table's, and the number of symbols.
type Headers = (*const c_void, u32, u32, u32);

/// # Safety
/// The caller's promise.
unsafe fn one_section<'s>(
    act: Act<'s>,
    (sechdrs, section_count, symindex, symbol_count): Headers,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        let headers = Piece::new(sechdrs.cast(), count(section_count), 1, report)?;
        // SAFETY: the caller's promise.
        let sechdrs = Sechdrs { headers: unsafe { headers.read() }, symbols: symindex };
        let symbols = symbol_table(&sechdrs, count(symbol_count), report)?;
        // SAFETY: as above.
        let options = unsafe { Options::new(options, 8, report) }?;
        // SAFETY: as above.
        let writer = unsafe { CWriter::new(writer, 7, report) }?;
        // SAFETY: as above.
        let mut mapping =
            unsafe { Addresses::new(writer, [Some(headers.span), Some(symbols.span), None], [None; 2]) };
        // SAFETY: as above; nothing writes to the symbols, because no target overlaps them.
        let values = SymtabValues::from_entries(unsafe { symbols.read() });
        act(&sechdrs, relsec, values, &mut mapping, options.rules(report)?).or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, call) }
}

/// What an image is made of, checked.
struct Image<'a> {
    sechdrs: Sechdrs<'a>,
    section_names: Strings<'a>,
    symbol_names: Strings<'a>,
    symbols: Piece<[u8; SYM_SIZE]>,
    values: *mut u64,
    mapping: Addresses,
}

impl<'a> Image<'a> {
    /// # Safety
    /// The caller's promise.
    unsafe fn new(
        image: *const relakit_image,
        writer: *const relakit_writer,
        writer_number: u64,
        report: &mut Report,
    ) -> Result<Self, Stopped> {
        // SAFETY: the caller's promise.
        let image = unsafe { versioned(image, 1, report) }?;
        if image.flags != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, 1, u64::from(image.flags)));
        }
        if image.reserved != 0 {
            return Err(report.refuse(RELAKIT_ERR_RESERVED, 1, 0));
        }
        let headers = Piece::new(image.sechdrs.cast(), count(image.section_count), 1, report)?;
        // SAFETY: as above.
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
        // SAFETY: as above.
        let writer = unsafe { CWriter::new(writer, writer_number, report) }?;
        Ok(Self {
            sechdrs,
            // SAFETY: as above.
            section_names: Strings::new(unsafe { section_names.read() }),
            // SAFETY: as above.
            symbol_names: Strings::new(unsafe { symbol_names.read() }),
            symbols,
            values: image.values,
            // SAFETY: as above.
            mapping: unsafe { Addresses::new(writer, read.map(Some), [Some(symbols.span), Some(values)]) },
        })
    }

    fn klp<'k>(&self, object: &'k [u8], report: &mut Report) -> Result<Klp<'k>, Stopped>
    where
        'a: 'k,
    {
        self.sechdrs.klp(object, self.section_names).or_report(report)
    }
}

/// The symbol table.
fn symbol_table(
    sechdrs: &Sechdrs<'_>,
    count: usize,
    report: &mut Report,
) -> Result<Piece<[u8; SYM_SIZE]>, Stopped> {
    let index = sechdrs.symbols;
    let Some(section) = sechdrs.header(index) else {
        let count = sechdrs.headers.len() as u64;
        return Err(report.refuse(RELAKIT_ERR_NO_SUCH_SECTION, u64::from(index), count));
    };
    let symbols = Piece::new(pointer(section.address).cast_const().cast(), count, 0, report);
    symbols.map_err(|_| {
        let stopped = report.refuse(RELAKIT_ERR_NOT_PLACED, section.size, 0);
        report.in_section(stopped, index)
    })
}

/// A number of items; one that does not fit is too many for any object.
fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
