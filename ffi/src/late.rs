//! Level 3: the late passes, and the state that is retained for them.

use crate::callbacks::CResolver;
use crate::error::{OrReport, Report};
use crate::memory::Places;
use crate::module::file_span;
use crate::pointers::{Count, ObjectName, Out, Piece, Span};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};

/// Returns in *size the number of bytes that relakit_module_retain needs. It is 0 if the module has
/// no late sections, which are livepatch sections for modules.
///
/// scratch is a caller-provided buffer of count entries, at least one for each symbol. The call
/// overwrites it. error may be NULL. Every stage before RELAKIT_STAGE_LATE allows the call.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_VALUES_TOO_SHORT    count is less than the number of symbols; error->limit is that
///                                 number;
/// RELAKIT_ERR_ORDER               the module is in RELAKIT_STAGE_LATE;
/// RELAKIT_ERR_NOT_A_MODULE_STATE  see relakit_module_stage;
/// RELAKIT_ERR_BUSY                see relakit_module_stage;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _OVERLAP
///                                 an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_retained_size(
    module: *mut relakit_module,
    scratch: *mut u64,
    count: usize,
    size: *mut usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        // SAFETY: the caller promises that `size` is NULL or writable.
        let size = unsafe { Out::new(size, 4, report) }?;
        let scratch = Piece::new(scratch, count, 2, report)?;
        scratch.span.apart_from(&[file_span(module, report)?, own], 2, report)?;
        // SAFETY: checked, and apart from all else in use; the caller promises it writable.
        size.set(module.retained_size(unsafe { scratch.write() }).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Copies everything that the late passes need into kept. After that the caller may free the file,
/// the symbol values and scratch.
///
/// - memory must have the same addresses and sizes as for relakit_module_early.
/// - scratch is a caller-provided buffer of count entries, at least one for each symbol. The call
///   overwrites it. If it is the values array of relakit_module_early, read what you need first.
/// - kept is a buffer of kept_size bytes, at least the size from relakit_module_retained_size. It needs
///   no alignment. It is lent: relakit uses it until the caller stops using the module.
/// - error may be NULL.
///
/// The function is allowed in RELAKIT_STAGE_LOADED. The stage becomes RELAKIT_STAGE_LATE; then the
/// functions that describe the file are no longer allowed. If the function fails, the stage is
/// unchanged.
///
/// A late section whose target has no memory is not an error here. relakit_module_coming returns
/// the error.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_RETAINED_TOO_SHORT      kept_size is too small; error->limit is the size needed;
/// RELAKIT_ERR_VALUES_TOO_SHORT    count is less than the number of symbols; error->limit is that
///                                 number;
/// RELAKIT_ERR_ORDER               the module is in another stage;
/// RELAKIT_ERR_NOT_A_MODULE_STATE  see relakit_module_stage;
/// RELAKIT_ERR_BUSY                see relakit_module_stage;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _CALLBACK
///                                 an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_retain(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    scratch: *mut u64,
    count: usize,
    kept: *mut c_void,
    kept_size: usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let scratch = Piece::new(scratch, count, 3, report)?;
        let kept = Piece::new(kept.cast::<u8>(), kept_size, 5, report)?;
        let (lent, buffer) = (scratch.span, kept.span);
        let file = file_span(loaded.module(), report)?;
        lent.apart_from(&[file, own], 3, report)?;
        buffer.apart_from(&[file, lent, own], 5, report)?;
        // SAFETY: the caller promises readable structs, section memory and callable callbacks.
        let mut memory = unsafe { Places::new(memory, 2, &[file, lent, buffer, own], report) }?;
        // SAFETY: checked, and apart from all else in use; the caller promises it writable.
        let scratch = unsafe { scratch.write() };
        // SAFETY: apart from all else in use; the caller promises it while the module is used.
        let kept = unsafe { kept.write() };
        let late = loaded.retain(&mut memory, scratch, kept).or_report(report)?;
        *stage = Stage::Late(late, buffer);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Returns the patched object of a late section.
///
/// index counts the late sections that name an object, from 0. *object is the name, *object_len
/// bytes in the kept memory without a NUL; relakit_module_coming needs a copy that ends with NUL.
/// *live is 1 if the object's relocations are applied, otherwise 0. An object with several sections
/// is returned several times.
///
/// The function is allowed in RELAKIT_STAGE_LATE. error may be NULL. The time is logarithmic in the
/// number of late sections.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_NOT_FOUND                    index is not less than the number of such sections;
/// RELAKIT_ERR_ORDER               the module is in another stage;
/// RELAKIT_ERR_NOT_A_MODULE_STATE  see relakit_module_stage;
/// RELAKIT_ERR_BUSY                see relakit_module_stage;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT
///                                 an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_object(
    module: *mut relakit_module,
    index: u32,
    object: *mut *const c_char,
    object_len: *mut usize,
    live: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        let Stage::Late(late, _) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or writable.
        let object = unsafe { Out::new(object, 3, report) }?;
        // SAFETY: the caller promises that `object_len` is NULL or writable.
        let len = unsafe { Out::new(object_len, 4, report) }?;
        // SAFETY: the caller promises that `live` is NULL or writable.
        let live = unsafe { Out::new(live, 5, report) }?;
        let Some((name, is_live)) = late.object_at(index) else { return Ok(RELAKIT_NOT_FOUND) };
        object.set(name.as_ptr().cast());
        len.set(name.len());
        live.set(u32::from(is_live));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Applies the late relocations for a patched object when that object is loaded (Linux:
/// MODULE_STATE_COMING), or changes nothing.
///
/// - object is the name of the patched object, at most 55 bytes, ended by NUL.
/// - memory must have the same addresses and sizes as for relakit_module_retain.
/// - sections and error may be NULL. On success *sections is the number of sections of the object.
///   It is 0 if the module has no section for object. Often this means that the name is misspelt.
///
/// The sections are processed in section order, as in Linux: the function resolves the symbols of a
/// section with resolver->nth_symbol, then applies the section. resolver->exported is not called.
/// The function is allowed in RELAKIT_STAGE_LATE.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_NOT_A_MODULE            object is empty or "vmlinux";
/// RELAKIT_ERR_ALREADY_LIVE            the object's relocations are applied already;
/// RELAKIT_ERR_SECTION_MOVED                   the address of section error->section has changed since
///                                     relakit_module_retain;
/// RELAKIT_ERR_NOT_ASSIGNED              section error->section has no memory, now or in
///                                     relakit_module_retain;
/// RELAKIT_ERR_ASSIGNED_SIZE             the memory of section error->section does not have its size,
///                                     now or in relakit_module_retain;
/// RELAKIT_ERR_ADDRESS_WRAPS           the address of a target's last byte is greater than 2^64 -
///                                     1;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME    the name of a livepatch section does not begin with
///                                     .klp.rela.<object>; this stops every object;
/// RELAKIT_ERR_KLP_NAME_OUTSIDE        the name of an unused header with SHF_RELA_LIVEPATCH is
///                                     outside the section name table; this stops every object;
/// RELAKIT_ERR_LATE_NOT_ALLOCATED      a late section is not SHF_ALLOC;
/// RELAKIT_ERR_TARGET_OUT_OF_RANGE     the target of a section is not valid;
/// RELAKIT_ERR_TARGET_NOT_ALLOCATED    a target is not in memory;
/// RELAKIT_ERR_TARGET_PER_CPU          a target is the template of the per-CPU data;
/// RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE  a target is the symbol table or its string table;
/// RELAKIT_ERR_TARGET_IS_RELOCATIONS   a target is a relocation section;
/// RELAKIT_ERR_NO_RELOCATION_BYTES     a late section has no content in the file;
/// RELAKIT_ERR_SYMBOL_INDEX            a symbol index is not in the symbol table;
/// RELAKIT_ERR_NOT_KLP_SYMBOL          the st_shndx of a symbol is not SHN_LIVEPATCH;
/// RELAKIT_ERR_BAD_SYMBOL_NAME         a symbol name is outside the string table, does not end in
///                                     it or is too long;
/// RELAKIT_ERR_BAD_KLP_SYMBOL_NAME     a symbol name is not .klp.sym.<object>.<name>,<position>;
/// RELAKIT_ERR_VMLINUX_FROM_MODULE     a section uses a vmlinux symbol;
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
/// RELAKIT_ERR_ORDER                   the module is in another stage;
/// RELAKIT_ERR_NOT_A_MODULE_STATE      see relakit_module_stage;
/// RELAKIT_ERR_BUSY                    see relakit_module_stage;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _CALLBACK
///                                     an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_coming(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    resolver: *const relakit_resolver,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Late(late, kept) = stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises readable structs, section memory and callable callbacks.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept, own], report) }?;
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let mut resolver = unsafe { CResolver::new(resolver, 4, report) }?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let sections = unsafe { Count::new(sections, 5, report) }?;
        sections.set(late.coming(object.bytes(), &mut memory, &mut resolver).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Clears the late relocations for a patched object when that object is unloaded (Linux:
/// MODULE_STATE_GOING), or changes nothing.
///
/// Before that, each field must hold the value that relakit_module_coming wrote. Sections and
/// entries are cleared from the last to the first. The arguments are those of
/// relakit_module_coming. The function is allowed in RELAKIT_STAGE_LATE.
///
/// Linux clears since version 6.3. With a profile of an older version the function writes nothing,
/// and the object's relocations cannot be applied to the same memory again.
///
/// Returns RELAKIT_OK or:
/// RELAKIT_ERR_NOT_A_MODULE        object is empty or "vmlinux";
/// RELAKIT_ERR_NOT_LIVE            the object has late sections, and its relocations are not
///                                 applied;
/// RELAKIT_ERR_TARGET_MISMATCH            a field does not hold the relocated value, because something
///                                 else has changed it;
/// RELAKIT_ERR_SECTION_MOVED               the address of section error->section has changed since
///                                 relakit_module_retain;
/// RELAKIT_ERR_NOT_ASSIGNED          section error->section has no memory;
/// RELAKIT_ERR_ASSIGNED_SIZE         the memory of section error->section does not have its size;
/// RELAKIT_ERR_WRITER              read or write of the writer failed; nothing is changed;
/// RELAKIT_ERR_SYNC                sync of the writer failed; nothing is changed;
/// RELAKIT_ERR_NOT_UNDONE          the writer failed and the rollback failed too: in error->section
///                                 the entries 0 to error->entry hold their values and the later
///                                 ones are zero; other sections may be cleared;
/// RELAKIT_ERR_ORDER               the module is in another stage;
/// RELAKIT_ERR_NOT_A_MODULE_STATE  see relakit_module_stage;
/// RELAKIT_ERR_BUSY                see relakit_module_stage;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _CALLBACK
///                                 an argument is invalid, error->value is its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_going(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    sections: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Late(late, kept) = stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises readable structs, section memory and callable callbacks.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept, own], report) }?;
        // SAFETY: the caller promises that `sections` is NULL or writable.
        let sections = unsafe { Count::new(sections, 4, report) }?;
        sections.set(late.going(object.bytes(), &mut memory).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}
