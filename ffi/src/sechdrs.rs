//! Level 2: relocation sections and livepatch sections of a module in memory.

use crate::callbacks::{CResolver, CWriter};
use crate::error::{OrReport, Report, answer};
use crate::image::{Image, Tables, relakit_sechdrs};
use crate::pointers::{Count, ObjectName};
use crate::relocate::Options;
use crate::resolver::relakit_resolver;
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use relakit::reloc::{RelocFlags, SymtabValues};
use relakit::sechdrs::{Mapping, Sechdrs};

/// Applies one relocation section, or changes nothing. It replaces apply_relocate_add of Linux and
/// checks all bounds.
///
/// - `sechdrs` has the section headers and the index of the symbol table, whose st_value members
///   are the symbol values. `shstrtab` and `strtab` are not used.
/// - `relsec` is the index of the relocation section. Its sh_addr is the address of the
///   relocations, and its sh_info is the target.
/// - `writer` is NULL for plain memory.
///
/// If sechdrs->section_count is RELAKIT_SECTION_COUNT_UNKNOWN, the function reads only the headers
/// of `relsec`, of the symbol table and of the target. The caller must then ensure that `relsec`,
/// sechdrs->symindex and, if the type of `relsec` is SHT_RELA, its sh_info are indices of headers.
/// Everything else is checked as with a number. Only the headers up to the last of the three count
/// as memory that a target must not overlap, and their number is error->limit.
///
/// The caller must resolve the symbols. The function detects st_value 0, see
/// RELAKIT_OPT_ALLOW_ZERO_SYMBOLS, but not an st_value that is still an offset in a section. A
/// livepatch section (SHF_RELA_LIVEPATCH) is applied like every other section; relakit_klp_apply
/// also resolves its symbols.
///
/// Sections must not overlap each other in memory; the function checks this only as
/// RELAKIT_ERR_TARGET_OVERLAPS says. The time is linear in the size of `relsec`.
///
/// Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_NO_SUCH_SECTION (`relsec` or symindex),
/// RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_NOT_RELOCATIONS, RELAKIT_ERR_PARTIAL_ENTRY (of `relsec` or
/// of the symbol table), RELAKIT_ERR_TARGET_OUT_OF_RANGE, RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE,
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS, RELAKIT_ERR_TARGET_OVERLAPS, RELAKIT_ERR_NOT_ASSIGNED,
/// RELAKIT_ERR_SYMBOL_UNRESOLVED, RELAKIT_ERR_TARGET_NOT_ZERO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_apply_relocate_add(
    sechdrs: *const relakit_sechdrs,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: `one_section` needs pointers as the crate's documentation says; the caller promises
    // that these are.
    unsafe { one_section(Sechdrs::apply, sechdrs, relsec, writer, options, error) }
}

/// Sets every field of one relocation section back to zero, or changes nothing. With
/// RELAKIT_OPT_ADD_TO_FIELD it subtracts the value from the field instead, and cannot check the
/// field.
///
/// The function checks that each field still holds the value that relakit_apply_relocate_add wrote.
/// The arguments are those of relakit_apply_relocate_add; the caller must pass the same symbol
/// values and options. Entries are cleared from the last to the first.
///
/// Returns RELAKIT_OK, an error as in relakit_apply_relocate_add, or
/// RELAKIT_ERR_TARGET_MISMATCH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_clear_relocate_add(
    sechdrs: *const relakit_sechdrs,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    // SAFETY: `one_section` needs pointers as the crate's documentation says; the caller promises
    // that these are.
    unsafe { one_section(Sechdrs::clear, sechdrs, relsec, writer, options, error) }
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
/// After all sections are applied and writer->sync has returned, the function writes the symbol
/// values into the symbol table, where relakit_klp_clear needs them. *section_total is then the
/// number of livepatch sections for `object`. It is 0 if the module has no section for `object`.
/// Often this means that the name is misspelt.
///
/// The function needs no memory for the values: it stores at most 8 of them at a time, and looks a
/// symbol up again when it needs another one. It can look up the symbol of a relocation up to three
/// times in plain memory: before the section is written, while it is written, and when the symbol
/// table is written. With a writer it is up to four times, and up to six times with a profile that
/// ignores the content of fields. The resolver must return the same result each time. If it does
/// not, the memory accesses remain inside of the targets and the symbol table, and one of these
/// happens:
/// - The call fails, for example with RELAKIT_ERR_UNKNOWN_SYMBOL for a symbol that the resolver has
///   found before, and the sections are rolled back (if that is impossible,
///   RELAKIT_ERR_NOT_UNDONE). If this happens in the last step, some symbols in the symbol table
///   have their new values already.
/// - The call succeeds, and a field has another value than the symbol table. relakit_klp_clear then
///   returns RELAKIT_ERR_TARGET_MISMATCH.
///
/// relakit does not record which objects are applied. If the same object is applied twice, the
/// fields are not zero, and the second call returns RELAKIT_ERR_TARGET_NOT_ZERO. The time is linear
/// in the number of sections and in the sizes of the object's relocation sections. If sections
/// share a table, it counts once for each. Two threads must not call the function for the same
/// symbol table at the same time.
///
/// Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of these errors:
/// - of the call: RELAKIT_ERR_NOT_A_MODULE (`object` is empty), RELAKIT_ERR_NO_SUCH_SECTION
///   (symindex; if section_count is RELAKIT_SECTION_COUNT_UNKNOWN, error->limit is 0);
/// - of a section with SHF_RELA_LIVEPATCH of any object: RELAKIT_ERR_BAD_SECTION_NAME,
///   RELAKIT_ERR_BAD_KLP_SECTION_NAME;
/// - of a section of `object`: RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_NOT_RELOCATIONS,
///   RELAKIT_ERR_PARTIAL_ENTRY (also of the symbol table), RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE,
///   RELAKIT_ERR_TARGET_IS_RELOCATIONS, RELAKIT_ERR_TARGET_OVERLAPS, RELAKIT_ERR_TABLE_OVERLAPS,
///   RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_TARGET_NOT_ZERO;
/// - of a section of `object`, if that is a module: RELAKIT_ERR_LATE_NOT_ALLOCATED,
///   RELAKIT_ERR_TARGET_NOT_ALLOCATED, RELAKIT_ERR_TARGET_OUT_OF_RANGE.
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
        // SAFETY: the caller promises readable structs, and that each sh_addr leads to memory of
        // the size in its header.
        let mut image = unsafe { Image::new(sechdrs, writer, 4, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises that `resolver` is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let mut resolver = unsafe { CResolver::new(resolver, 3, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: the caller promises that `section_total` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 6, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        // SAFETY: `Image::new` found that the symbols overlap neither headers nor names, and
        // `mapping` refuses sections that overlap them. The caller promises that no other code uses
        // them.
        let symbols = unsafe { image.symbols.write() };
        let applied = klp.apply(symbols, image.symbol_names, &mut image.mapping, &mut resolver, &profile);
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
/// The function checks that each field still holds the value that relakit_klp_apply wrote. The
/// arguments are those of relakit_klp_apply. Sections and entries are cleared from the last to the
/// first.
///
/// The symbol table must still have the values that relakit_klp_apply wrote there. The table has
/// only one value for each symbol. If the sections of two objects use the same symbol, and applying
/// the second gives this symbol a new value, clearing the first returns
/// RELAKIT_ERR_TARGET_MISMATCH. relakit_module_coming and relakit_module_going use separate symbol
/// values for each section.
///
/// Returns RELAKIT_OK, an error as in relakit_klp_apply, or RELAKIT_ERR_TARGET_MISMATCH.
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
        // SAFETY: the caller promises readable structs, and that each sh_addr leads to memory of
        // the size in its header.
        let mut image = unsafe { Image::new(sechdrs, writer, 3, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 4, report) }?.profile(report)?;
        // SAFETY: the caller promises that `section_total` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 5, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        // SAFETY: `Tables::new` checked the pointer, and `mapping` refuses targets that overlap the
        // symbols. The caller promises readable symbols.
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

/// Runs a pass over relocation section `relsec`.
///
/// # Safety
/// The promise of the crate's documentation holds for the pointers and for the memory at each
/// sh_addr.
unsafe fn one_section<'s>(
    act: Act<'s>,
    sechdrs: *const relakit_sechdrs,
    relsec: u32,
    writer: *const relakit_writer,
    options: *const relakit_options,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises a readable struct, headers and symbols.
        let tables = unsafe { Tables::new(sechdrs, Some(relsec), report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let options = unsafe { Options::new(options, 4, report) }?;
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let writer = unsafe { CWriter::new(writer, 3, report) }?;
        // SAFETY: the caller promises that each sh_addr leads to memory of the size in its header.
        let mut mapping = unsafe { tables.mapping(writer) };
        // SAFETY: `Tables::new` checked the pointer, and `mapping` refuses targets that overlap the
        // symbols. The caller promises readable symbols.
        let values = SymtabValues::from_entries(unsafe { tables.symbols.read() });
        let flags = options.reloc_flags(report)?;
        act(&tables.sechdrs, relsec, values, &mut mapping, flags).or_report(report)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}
