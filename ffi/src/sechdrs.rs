//! Level 2: loaders like Linux's, with section headers whose sh_addr are addresses, and a resolved
//! symbol table.

use crate::callbacks::{CResolver, CWriter};
use crate::error::{OrReport, Report, answer};
use crate::image::{Image, count, symbol_table};
use crate::pointers::{Count, ObjectName, Piece};
use crate::relocate::Options;
use crate::sechdrs_memory::Addresses;
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use relakit::reloc::{RelocFlags, SymtabValues};
use relakit::sechdrs::{Mapping, Sechdrs};

/// Applies one relocation section, or changes nothing. It replaces apply_relocate_add of Linux and
/// checks all bounds.
///
/// - `sechdrs` is an array of `section_count` Elf64_Shdr. It needs no alignment.
/// - `strtab` is unused and may be NULL; it keeps the argument order of Linux's function.
/// - `symindex` is the section index of the symbol table. Its sh_addr is the address of
///   `symbol_count` Elf64_Sym whose st_value members are the symbol values.
/// - `relsec` is the index of the relocation section. Its sh_addr is the address of the
///   relocations.
/// - The target is the section sh_info of `relsec`. In plain memory, sh_addr must be where the
///   target is in memory, and the target must run at this address. With a writer, sh_addr is the
///   run-time address.
/// - `writer` is NULL for plain memory.
///
/// The caller must resolve the symbols. The function returns RELAKIT_ERR_SYMBOL_UNRESOLVED for a
/// symbol with st_value 0 that is SHN_LIVEPATCH, or SHN_UNDEF and not weak. It cannot detect an
/// st_value that is still an offset in a section. A livepatch section (SHF_RELA_LIVEPATCH) is
/// applied like every other section; relakit_klp_apply also resolves its symbols.
///
/// Sections must not overlap each other in memory; the function checks this only for the target and
/// the memory that RELAKIT_ERR_TARGET_OVERLAPS names below. The time is linear in the size of
/// `relsec`.
///
/// Returns RELAKIT_OK, a pass error or:
/// RELAKIT_ERR_NO_SUCH_SECTION         `relsec` or `symindex` is 0, or is not less than
///                                     `section_count`;
/// RELAKIT_ERR_REL_SECTION             the type of `relsec` is SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         the type of `relsec` is neither SHT_RELA nor SHT_REL;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of `relsec` is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     sh_info of `relsec` is 0, or is not less than
///                                     `section_count`;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  the target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   the target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         the target overlaps the section headers, the symbols or the
///                                     relocations; for a target with a writer, this check uses
///                                     sh_addr, unless RELAKIT_WRITER_FOREIGN is set;
/// RELAKIT_ERR_NOT_ASSIGNED            an sh_addr is NULL, or a section would end after the end of
///                                     the address space;
/// RELAKIT_ERR_ADDRESS_WRAPS           the target has a writer and would end after the end of the
///                                     address space (with a writer, sh_addr 0 is allowed);
/// RELAKIT_ERR_SYMBOL_UNRESOLVED       a symbol is not resolved, see
///                                     RELAKIT_OPT_ALLOW_ZERO_SYMBOLS;
/// RELAKIT_ERR_TARGET_NOT_ZERO         a field is not zero, see RELAKIT_OPT_ALLOW_NONZERO.
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
    // SAFETY: the promise of the crate's documentation, passed on to `one_section`.
    unsafe { one_section(Sechdrs::apply, image, relsec, writer, options, error) }
}

/// Sets every field of one relocation section back to zero, or changes nothing. With
/// RELAKIT_OPT_ADD_TO_FIELD it subtracts the value from the field instead.
///
/// The function checks that each field still holds the value that relakit_apply_relocate_add wrote.
/// The caller must pass the same symbol values and options. Entries are cleared from the last to
/// the first. The arguments are those of relakit_apply_relocate_add.
///
/// Returns RELAKIT_OK, an error as in relakit_apply_relocate_add or:
/// RELAKIT_ERR_TARGET_MISMATCH  a field does not hold the relocated value.
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
    // SAFETY: the promise of the crate's documentation, passed on to `one_section`.
    unsafe { one_section(Sechdrs::clear, image, relsec, writer, options, error) }
}

/// Resolves the symbols of all livepatch sections of one patched object and applies these sections,
/// or changes nothing. Linux does this section by section in klp_apply_section_relocs.
///
/// `object` is the name of the patched object, ended by NUL:
/// - "vmlinux": call the function during the load of the livepatch module, together with the
///   ordinary relocations and before anything reads the special sections. Sections whose target
///   does not exist or is not SHF_ALLOC are skipped, as in Linux.
/// - the name of a module, at most 55 bytes: call the function when that module is loaded (Linux:
///   MODULE_STATE_COMING).
///
/// The sections are processed in the order of their indices: the function resolves the symbols of a
/// section with resolver->nth_symbol, then applies the section. It does not call
/// resolver->exported. `writer` is NULL for plain memory. `section_total` may be NULL.
///
/// On success the function writes the symbol values into the symbol table, where relakit_klp_clear
/// needs them. *section_total is then the number of livepatch sections for `object`. It is 0 if the
/// module has no section for `object`. Often this means that the name is misspelt.
///
/// relakit does not record which objects are applied. If the same object is applied twice, the
/// fields are not zero, and the second call returns RELAKIT_ERR_TARGET_NOT_ZERO. The time is linear
/// in the numbers of sections and symbols and in the sizes of the object's relocation sections. If
/// sections share a table, it counts once for each.
///
/// Two threads must not call the function for the same symbol table at the same time.
///
/// In the list, "a section" is a livepatch section of `object`. Returns RELAKIT_OK, a pass error, a
/// livepatch symbol error or:
/// RELAKIT_ERR_NOT_A_MODULE            `object` is the empty string;
/// RELAKIT_ERR_NO_SUCH_SECTION         sechdrs->symindex is 0, or is not less than
///                                     sechdrs->section_count;
/// RELAKIT_ERR_BAD_SECTION_NAME        the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, is outside shstrtab or does not end in it;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME    the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, does not begin with .klp.rela.<object>;
/// RELAKIT_ERR_LATE_NOT_ALLOCATED      `object` is a module, and a section is not SHF_ALLOC;
/// RELAKIT_ERR_TARGET_NOT_ALLOCATED    `object` is a module, and a target is not SHF_ALLOC;
/// RELAKIT_ERR_REL_SECTION             the type of a section is SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         the type of a section is neither SHT_RELA nor SHT_REL;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of a section is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     `object` is a module, and sh_info of a section is not the
///                                     index of a section;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  a target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   a target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         a target overlaps the section headers, the symbols, the
///                                     names, the relocations or sechdrs->values; for a target with
///                                     a writer, this check uses sh_addr, unless
///                                     RELAKIT_WRITER_FOREIGN is set;
/// RELAKIT_ERR_NOT_ASSIGNED            an sh_addr is NULL, or a section would end after the end of
///                                     the address space, or a section overlaps the symbols or
///                                     sechdrs->values, so that it cannot be read while they are
///                                     written;
/// RELAKIT_ERR_TARGET_NOT_ZERO         a field is not zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_apply(
    sechdrs: *const relakit_sechdrs,
    object: *const c_char,
    resolver: *const relakit_resolver,
    writer: *const relakit_writer,
    options: *const relakit_options,
    section_total: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises readable structs, and memory at each sh_addr that is used.
        let mut image = unsafe { Image::new(sechdrs, writer, 4, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let mut resolver = unsafe { CResolver::new(resolver, 3, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 6, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        let values = Piece::new(image.values, image.symbols.count(), 1, report)?;
        // SAFETY: `Image::new` kept them apart from all else; the caller promises them writable.
        let symbols = unsafe { image.symbols.write() };
        // SAFETY: `Piece::new` and `Image::new` checked it; the caller promises it writable.
        let values = unsafe { values.write() };
        let applied =
            klp.apply(symbols, image.symbol_names, values, &mut image.mapping, &mut resolver, &profile);
        section_total.set(applied.or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Sets every field of all livepatch sections of one patched object back to zero, or changes
/// nothing. Call it when the object is unloaded (Linux: MODULE_STATE_GOING). Linux clears
/// relocations from RELAKIT_LINUX(6, 3) on; the function does it with every profile.
///
/// The function checks that each field still holds the value that relakit_klp_apply wrote. Sections
/// and entries are cleared from the last to the first. The arguments are those of
/// relakit_klp_apply; sechdrs->values may be NULL.
///
/// The symbol table must still have the values that relakit_klp_apply wrote there. The table has
/// only one value for each symbol. If the sections of two objects use the same symbol, and
/// applying the second gives this symbol a new value, clearing the first returns
/// RELAKIT_ERR_TARGET_MISMATCH. relakit_module_coming and relakit_module_going use separate symbol
/// values for each section.
///
/// Returns RELAKIT_OK, an error as in relakit_klp_apply or:
/// RELAKIT_ERR_TARGET_MISMATCH  a field does not hold the relocated value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_clear(
    sechdrs: *const relakit_sechdrs,
    object: *const c_char,
    writer: *const relakit_writer,
    options: *const relakit_options,
    section_total: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises readable structs, and memory at each sh_addr that is used.
        let mut image = unsafe { Image::new(sechdrs, writer, 3, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 4, report) }?.profile(report)?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 5, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        // SAFETY: checked, and no target overlaps; the caller promises them readable.
        let symbols = SymtabValues::from_entries(unsafe { image.symbols.read() });
        section_total.set(klp.clear(symbols, &mut image.mapping, &profile).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Apply or clear, for one section.
type Act<'s> =
    fn(&Sechdrs<'s>, u32, SymtabValues<'_>, &mut dyn Mapping<'_>, RelocFlags) -> Result<(), relakit::Error>;

/// Section headers, their number, section index of the symbol table, number of symbols.
type Headers = (*const c_void, u32, u32, u32);

/// Runs a pass over relocation section `relsec`.
///
/// # Safety
/// The promise of the crate's documentation holds for the pointers and for the memory at each
/// sh_addr.
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
        // SAFETY: `Piece::new` checked them, no target overlaps; the caller promises them readable.
        let sechdrs = Sechdrs { headers: unsafe { headers.read() }, symbols: symindex };
        let symbols = symbol_table(&sechdrs, count(symbol_count), report)?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let options = unsafe { Options::new(options, 8, report) }?;
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let writer = unsafe { CWriter::new(writer, 7, report) }?;
        // SAFETY: the caller promises the memory at each sh_addr; both borrows are listed.
        let mut mapping =
            unsafe { Addresses::new(writer, [Some(headers.span), Some(symbols.span), None], [None; 2]) };
        // SAFETY: checked, and no target overlaps; the caller promises them readable.
        let values = SymtabValues::from_entries(unsafe { symbols.read() });
        act(&sechdrs, relsec, values, &mut mapping, options.reloc_flags(report)?).or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}
