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

/// A module in memory, as a loader like Linux's has it: section headers whose sh_addr are
/// addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_sechdrs {
    /// sizeof(struct relakit_sechdrs).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// An array of section_count Elf64_Shdr. It needs no alignment. For each section that a
    /// function reads or writes, sh_addr is the address of its memory now, which is also its
    /// run-time address. For a target with a writer, sh_addr is the run-time address.
    pub sechdrs: *const c_void,
    /// Number of section headers, including section 0.
    pub section_count: u32,
    /// Section index of the symbol table. Its sh_addr is the address of symbol_count Elf64_Sym.
    pub symindex: u32,
    /// Number of symbols, including the null symbol.
    pub symbol_count: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The section names.
    pub shstrtab: *const c_char,
    /// Size of shstrtab in bytes.
    pub shstrtab_size: usize,
    /// The symbol names.
    pub strtab: *const c_char,
    /// Size of strtab in bytes.
    pub strtab_size: usize,
    /// Caller-provided buffer of symbol_count entries, which relakit_klp_apply overwrites. NULL for
    /// relakit_klp_clear.
    pub values: *mut u64,
}

/// Applies one relocation section, or changes nothing. It replaces apply_relocate_add of Linux and
/// checks all bounds.
///
/// - sechdrs is an array of section_count Elf64_Shdr. It needs no alignment.
/// - strtab is unused and may be NULL; it keeps the argument order of Linux's function.
/// - symindex is the section index of the symbol table. Its sh_addr is the address of symbol_count
///   Elf64_Sym whose st_value members are the symbol values.
/// - relsec is the index of the relocation section. Its sh_addr is the address of the relocations.
/// - The target is the section sh_info of relsec. Its sh_addr is the address of its memory now,
///   which is also its run-time address. With a writer it is the run-time address.
/// - writer is NULL for plain memory.
/// - options and error may be NULL. options take every flag.
///
/// The symbols must be resolved. The function returns RELAKIT_ERR_SYMBOL_UNRESOLVED for a symbol
/// with st_value 0 that is SHN_LIVEPATCH, or SHN_UNDEF and not weak. It cannot detect an st_value
/// that is still an offset in a section. A livepatch section (SHF_RELA_LIVEPATCH) is applied like
/// every other section; relakit_klp_apply also resolves its symbols.
///
/// Sections must not overlap each other in memory. The time is linear in the size of relsec.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_NO_SUCH_SECTION         relsec or symindex is 0, or is not less than section_count;
/// RELAKIT_ERR_REL_SECTION             relsec is of type SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         relsec is of another type than SHT_RELA;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of relsec is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     sh_info of relsec is 0, or is not less than section_count;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  the target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   the target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         the target overlaps the section headers, the symbols or the
///                                     relocations; with a writer, its addresses are compared, see
///                                     RELAKIT_WRITER_FOREIGN;
/// RELAKIT_ERR_NOT_ASSIGNED              an sh_addr is NULL, or the section would end after the end
///                                     of the address space;
/// RELAKIT_ERR_ADDRESS_WRAPS           the same for a target with a writer, for which the address 0
///                                     is valid;
/// RELAKIT_ERR_SYMBOL_INDEX            a symbol index is not less than symbol_count;
/// RELAKIT_ERR_SYMBOL_UNRESOLVED       a symbol is not resolved, see above and
///                                     RELAKIT_OPT_ALLOW_ZERO_SYMBOLS;
/// RELAKIT_ERR_UNKNOWN_TYPE            the options do not support a relocation type;
/// RELAKIT_ERR_OVERFLOW                a value does not fit its field; error->value holds it;
/// RELAKIT_ERR_OFFSET_OUTSIDE          a field is not inside the target;
/// RELAKIT_ERR_TARGET_NOT_ZERO                a field is not zero, see RELAKIT_OPT_ALLOW_NONZERO;
/// RELAKIT_ERR_WRITER                  read or write of the writer failed; nothing is changed;
/// RELAKIT_ERR_SYNC                    sync of the writer failed; nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE              the writer failed and there was no rollback: the entries 0
///                                     to error->entry are written;
/// RELAKIT_ERR_PROFILE                 options->profile is unknown; error->value holds it;
/// RELAKIT_ERR_FLAGS_CONFLICT          two flags exclude each other;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _CALLBACK
///                                     an argument is invalid, error->value is its number.
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

/// Sets every field of one relocation section back to zero, or changes nothing.
///
/// Before that, each field must hold the value that relakit_apply_relocate_add wrote. The symbol
/// table must still have the same values. Entries are cleared from the last to the first. The
/// arguments are those of relakit_apply_relocate_add.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_TARGET_MISMATCH                a field does not hold the relocated value: error->value is
///                                     the expected content, error->limit the actual content;
/// RELAKIT_ERR_NO_SUCH_SECTION         relsec or symindex is 0, or is not less than section_count;
/// RELAKIT_ERR_REL_SECTION             relsec is of type SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         relsec is of another type than SHT_RELA;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of relsec is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     sh_info of relsec is 0, or is not less than section_count;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  the target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   the target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         the target overlaps the section headers, the symbols or the
///                                     relocations; with a writer, its addresses are compared, see
///                                     RELAKIT_WRITER_FOREIGN;
/// RELAKIT_ERR_NOT_ASSIGNED              an sh_addr is NULL, or the section would end after the end
///                                     of the address space;
/// RELAKIT_ERR_ADDRESS_WRAPS           the same for a target with a writer, for which the address 0
///                                     is valid;
/// RELAKIT_ERR_SYMBOL_INDEX            a symbol index is not less than symbol_count;
/// RELAKIT_ERR_UNKNOWN_TYPE            the options do not support a relocation type;
/// RELAKIT_ERR_OVERFLOW                a value does not fit its field; error->value holds it;
/// RELAKIT_ERR_OFFSET_OUTSIDE          a field is not inside the target;
/// RELAKIT_ERR_WRITER                  read or write of the writer failed; nothing is changed;
/// RELAKIT_ERR_SYNC                    sync of the writer failed; nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE              the writer failed and the rollback failed too: the entries 0
///                                     to error->entry hold their values, the later ones are zero;
/// RELAKIT_ERR_PROFILE                 options->profile is unknown; error->value holds it;
/// RELAKIT_ERR_FLAGS_CONFLICT          two flags exclude each other;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _CALLBACK
///                                     an argument is invalid, error->value is its number.
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
/// object is the name of the patched object, ended by NUL:
/// - "vmlinux" while the module is loaded, together with its ordinary relocations and before
///   anything reads its special sections. Sections whose target does not exist or is not SHF_ALLOC
///   are skipped, as in Linux.
/// - the name of a module, at most 55 bytes, when that module is loaded later.
///
/// The sections are processed in the order of their indices: the function resolves the symbols of a
/// section with resolver->nth_symbol, then applies the section. resolver->exported is not called.
/// writer is NULL for plain memory. options take RELAKIT_OPT_CHECK_PC32 and a profile. sections,
/// options and error may be NULL.
///
/// On success the function writes the symbol values into the symbol table, where relakit_klp_clear
/// needs them. *sections is then the number of sections of the patched object. It is 0 if the
/// module has no section for object. Often this means that the name is misspelt.
///
/// relakit does not record which objects are applied. If the same object is applied twice, the
/// fields are not zero, and the second call returns RELAKIT_ERR_TARGET_NOT_ZERO. The time is linear in the
/// numbers of sections and symbols and in the sizes of the object's relocation sections. If
/// sections share a table, it counts once for each.
///
/// Two threads must not call the function for the same symbol table at the same time.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_NOT_A_MODULE            object is the empty string;
/// RELAKIT_ERR_NO_SUCH_SECTION         image->symindex is 0, or is not less than
///                                     image->section_count;
/// RELAKIT_ERR_BAD_SECTION_NAME        the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, is outside shstrtab or does not end in it;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME    the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, does not begin with .klp.rela.<object>;
/// RELAKIT_ERR_LATE_NOT_ALLOCATED      object is a module, and a section is not SHF_ALLOC;
/// RELAKIT_ERR_TARGET_NOT_ALLOCATED    object is a module, and a target is not SHF_ALLOC;
/// RELAKIT_ERR_REL_SECTION             a section is of type SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         a section is of another type than SHT_RELA;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of a section is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     object is a module, and sh_info of a section is not the
///                                     index of a section;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  a target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   a target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         a target overlaps the section headers, the symbols, the
///                                     names, the relocations or image->values; with a writer, its
///                                     addresses are compared, see RELAKIT_WRITER_FOREIGN;
/// RELAKIT_ERR_NOT_ASSIGNED              an sh_addr is NULL, or the section would end after the end
///                                     of the address space, or the relocations overlap the symbols
///                                     or image->values;
/// RELAKIT_ERR_ADDRESS_WRAPS           the address of the last byte of a target with a writer is
///                                     greater than 2^64 - 1;
/// RELAKIT_ERR_SYMBOL_INDEX            a symbol index is not less than image->symbol_count;
/// RELAKIT_ERR_NOT_KLP_SYMBOL          the st_shndx of a symbol is not SHN_LIVEPATCH;
/// RELAKIT_ERR_BAD_SYMBOL_NAME         a symbol name is outside strtab, does not end in it or is
///                                     too long;
/// RELAKIT_ERR_BAD_KLP_SYMBOL_NAME     a symbol name is not .klp.sym.<object>.<name>,<position>;
/// RELAKIT_ERR_VMLINUX_FROM_MODULE     object is a module, and a section uses a vmlinux symbol;
/// RELAKIT_ERR_KLP_NOT_FOUND           the resolver does not find a symbol, or its value is 0;
/// RELAKIT_ERR_KLP_AMBIGUOUS           a position is 0, and the resolver finds several symbols of
///                                     that name;
/// RELAKIT_ERR_KLP_SYMPOS            the resolver finds fewer symbols of a name than the
///                                     position;
/// RELAKIT_ERR_RESOLVER                resolver->nth_symbol failed; error->value is its result;
/// RELAKIT_ERR_UNKNOWN_TYPE            relakit does not support a relocation type;
/// RELAKIT_ERR_OVERFLOW                a value does not fit its field; error->value holds it;
/// RELAKIT_ERR_OFFSET_OUTSIDE          a field is not inside its target;
/// RELAKIT_ERR_TARGET_NOT_ZERO                a field is not zero;
/// RELAKIT_ERR_WRITER                  read or write of the writer failed; nothing is changed;
/// RELAKIT_ERR_SYNC                    sync of the writer failed; nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE              the writer failed and the rollback failed too: the entries 0
///                                     to error->entry of error->section are written, and other
///                                     sections may be;
/// RELAKIT_ERR_PROFILE                 options->profile is unknown; error->value holds it;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _CALLBACK
///                                     an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_apply(
    image: *const relakit_sechdrs,
    object: *const c_char,
    resolver: *const relakit_resolver,
    writer: *const relakit_writer,
    options: *const relakit_options,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises readable structs, and memory at each sh_addr that is used.
        let mut image = unsafe { Image::new(image, writer, 4, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let mut resolver = unsafe { CResolver::new(resolver, 3, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let sections = unsafe { Count::new(sections, 6, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        let values = Piece::new(image.values, image.symbols.count(), 1, report)?;
        // SAFETY: `Image::new` kept them apart from all else; the caller promises them writable.
        let symbols = unsafe { image.symbols.write() };
        // SAFETY: `Piece::new` and `Image::new` checked it; the caller promises it writable.
        let values = unsafe { values.write() };
        let applied =
            klp.apply(symbols, image.symbol_names, values, &mut image.mapping, &mut resolver, profile);
        sections.set(applied.or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Sets every field of all livepatch sections of one patched object back to zero when the object is
/// unloaded, or changes nothing. Linux does this since version 6.3; the function does it with every
/// profile.
///
/// Before that, each field must hold the value that relakit_klp_apply wrote. Sections and entries
/// are cleared from the last to the first. The arguments are those of relakit_klp_apply;
/// image->values is NULL.
///
/// The symbol table must still have the values that relakit_klp_apply wrote there. It has one value
/// for each symbol. If two objects share a symbol, and the second is loaded at another address
/// after the first was applied, clearing the first returns RELAKIT_ERR_TARGET_MISMATCH. The functions
/// relakit_module_coming and relakit_module_going have one value for each section and symbol
/// instead.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_TARGET_MISMATCH                a field does not hold the relocated value: error->value is
///                                     the expected content, error->limit the actual content;
/// RELAKIT_ERR_NOT_A_MODULE            object is the empty string;
/// RELAKIT_ERR_NO_SUCH_SECTION         image->symindex is 0, or is not less than
///                                     image->section_count;
/// RELAKIT_ERR_BAD_SECTION_NAME        the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, is outside shstrtab or does not end in it;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME    the name of a section with SHF_RELA_LIVEPATCH, of any
///                                     object, does not begin with .klp.rela.<object>;
/// RELAKIT_ERR_LATE_NOT_ALLOCATED      object is a module, and a section is not SHF_ALLOC;
/// RELAKIT_ERR_TARGET_NOT_ALLOCATED    object is a module, and a target is not SHF_ALLOC;
/// RELAKIT_ERR_REL_SECTION             a section is of type SHT_REL;
/// RELAKIT_ERR_NOT_RELOCATIONS         a section is of another type than SHT_RELA;
/// RELAKIT_ERR_PARTIAL_ENTRY           the size of a section is not a multiple of 24;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     object is a module, and sh_info of a section is not the
///                                     index of a section;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  a target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   a target is a relocation section;
/// RELAKIT_ERR_TARGET_OVERLAPS         a target overlaps the section headers, the symbols, the
///                                     names or the relocations; with a writer, its addresses are
///                                     compared, see RELAKIT_WRITER_FOREIGN;
/// RELAKIT_ERR_NOT_ASSIGNED              an sh_addr is NULL, or the section would end after the end
///                                     of the address space, or the relocations overlap the
///                                     symbols;
/// RELAKIT_ERR_ADDRESS_WRAPS           the address of the last byte of a target with a writer is
///                                     greater than 2^64 - 1;
/// RELAKIT_ERR_SYMBOL_INDEX            a symbol index is not less than image->symbol_count;
/// RELAKIT_ERR_UNKNOWN_TYPE            relakit does not support a relocation type;
/// RELAKIT_ERR_OVERFLOW                a value does not fit its field; error->value holds it;
/// RELAKIT_ERR_OFFSET_OUTSIDE          a field is not inside its target;
/// RELAKIT_ERR_WRITER                  read or write of the writer failed; nothing is changed;
/// RELAKIT_ERR_SYNC                    sync of the writer failed; nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE              the writer failed and the rollback failed too: in
///                                     error->section the entries 0 to error->entry hold their
///                                     values and the later ones are zero; other sections may be
///                                     cleared;
/// RELAKIT_ERR_PROFILE                 options->profile is unknown; error->value holds it;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _CALLBACK
///                                     an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_klp_clear(
    image: *const relakit_sechdrs,
    object: *const c_char,
    writer: *const relakit_writer,
    options: *const relakit_options,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises readable structs, and memory at each sh_addr that is used.
        let mut image = unsafe { Image::new(image, writer, 3, report) }?;
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 4, report) }?.profile(report)?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let sections = unsafe { Count::new(sections, 5, report) }?;
        let klp = image.klp(object.bytes(), report)?;
        // SAFETY: checked, and no target overlaps; the caller promises them readable.
        let symbols = SymtabValues::from_entries(unsafe { image.symbols.read() });
        sections.set(klp.clear(symbols, &mut image.mapping, profile).or_report(report)?);
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
