//! Level 3: the late passes, and the state that is retained for them.

use crate::callbacks::CResolver;
use crate::error::{OrReport, Report};
use crate::memory::{CMemory, relakit_memory};
use crate::module::retained_spans;
use crate::pointers::{Count, ObjectName, Out, Piece, Span};
use crate::resolver::relakit_resolver;
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use relakit::abi::OBJECT_NAME_MAX;

/// Returns in *size the number of bytes that relakit_module_retain needs. It is 0 if the module has
/// no late sections (livepatch sections for modules). Stage: RELAKIT_STAGE_LOADED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_retained_size(
    module: *mut relakit_module,
    size: *mut usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `size` is NULL or writable.
        unsafe { Out::new(size, 2, report) }?.set(loaded.retained_size());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Copies everything that the late passes need into `retained`. After that the caller may free the
/// file, the symbol values and `scratch`.
///
/// - `scratch` is a caller-provided buffer of `count` entries, at least one for each symbol. The
///   call overwrites it. It may be the `values` array of relakit_module_early, if its content is no
///   longer needed.
/// - `retained` is a buffer of `retained_size` bytes, at least the size from
///   relakit_module_retained_size. It needs no alignment. It is retained: relakit uses it until the
///   caller stops using the module.
///
/// Stage: RELAKIT_STAGE_LOADED. It becomes RELAKIT_STAGE_LATE; then the functions that describe the
/// file are no longer allowed. If the function fails, the stage is unchanged. A late section whose
/// target has no memory is not an error here, but in relakit_module_coming.
///
/// Returns RELAKIT_OK, or RELAKIT_ERR_RETAINED_TOO_SHORT, RELAKIT_ERR_VALUES_TOO_SHORT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_retain(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    scratch: *mut u64,
    count: usize,
    retained: *mut c_void,
    retained_size: usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let scratch = Piece::new(scratch, count, 3, report)?;
        let retained = Piece::new(retained.cast::<u8>(), retained_size, 5, report)?;
        let (scratch_span, buffer) = (scratch.span, retained.span);
        let [file, plan] = retained_spans(loaded.module(), report)?;
        scratch_span.apart_from(&[file, plan, own], 3, report)?;
        buffer.apart_from(&[file, plan, scratch_span, own], 5, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory =
            unsafe { CMemory::new(memory, 2, &[file, plan, scratch_span, buffer, own], report) }?;
        // SAFETY: `apart_from` found that `scratch` overlaps neither file, plan, state nor
        // `retained`, and `CMemory` that no section overlaps it. The caller promises that no other
        // code uses it.
        let scratch = unsafe { scratch.write() };
        // SAFETY: `apart_from` found that `retained` overlaps neither file, plan, state nor
        // `scratch`, and `CMemory` that no section overlaps it. The caller promises that only the
        // module uses it.
        let retained = unsafe { retained.write() };
        let late = loaded.retain(&mut memory, scratch, retained).or_report(report)?;
        *stage = Stage::Late(late, buffer);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Size of a buffer for the name of a patched object, with its NUL.
pub const RELAKIT_OBJECT_NAME_SIZE: usize = 56;
const _: () = assert!(RELAKIT_OBJECT_NAME_SIZE == OBJECT_NAME_MAX + 1);

/// Copies the name of the patched object of a late section to `object`.
///
/// `late_index` counts the late sections from 0. Sections with a malformed name have no object and
/// are not counted. `object` is a buffer of RELAKIT_OBJECT_NAME_SIZE bytes. The name ends with NUL,
/// so that relakit_module_coming and relakit_module_going take it. *live is 1 if the object's
/// relocations are applied, otherwise 0; `live` may be NULL. An object with several sections is
/// returned several times. The time is logarithmic in the number of late sections.
///
/// Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_NOT_FOUND if `late_index` is too
/// large.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_object(
    module: *mut relakit_module,
    late_index: u32,
    object: *mut c_char,
    live: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        let Stage::Late(late, _) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or writable; bytes have no alignment.
        let object = unsafe { Out::new(object.cast::<[u8; RELAKIT_OBJECT_NAME_SIZE]>(), 3, report) }?;
        // SAFETY: the caller promises that `live` is NULL or writable.
        let live = unsafe { Count::new(live, 4, report) }?;
        let Some((name, is_live)) = late.object_at(late_index) else { return Ok(RELAKIT_NOT_FOUND) };
        let mut copy = [0; RELAKIT_OBJECT_NAME_SIZE];
        // The grammar allows `OBJECT_NAME_MAX` bytes, so the last byte stays NUL.
        for (to, from) in copy.iter_mut().zip(name) {
            *to = *from;
        }
        object.set(copy);
        live.set(usize::from(is_live));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Applies the late relocations for a patched object, or changes nothing. Call it when that object
/// is loaded (Linux: MODULE_STATE_COMING).
///
/// `object` is the name of the patched object, at most 55 bytes, ended by NUL. `section_total` may
/// be NULL. On success *section_total is the number of sections of the object. It is 0 if the
/// module has no section for `object`. Often this means that the name is misspelt.
///
/// The sections are processed in section order, as in Linux: the function resolves the symbols of a
/// section with resolver->nth_symbol, then applies the section. It does not call
/// resolver->exported.
///
/// Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of
/// these errors:
/// - of the object: RELAKIT_ERR_NOT_A_MODULE (empty or "vmlinux"), RELAKIT_ERR_ALREADY_LIVE;
/// - of the section memory, now or in relakit_module_retain: RELAKIT_ERR_SECTION_MOVED,
///   RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE;
/// - of the names in the module, for every object: RELAKIT_ERR_BAD_KLP_SECTION_NAME,
///   RELAKIT_ERR_KLP_NAME_OUTSIDE;
/// - of the object's sections: RELAKIT_ERR_LATE_NOT_ALLOCATED, RELAKIT_ERR_TARGET_OUT_OF_RANGE,
///   RELAKIT_ERR_TARGET_NOT_ALLOCATED, RELAKIT_ERR_TARGET_PER_CPU,
///   RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, RELAKIT_ERR_TARGET_IS_RELOCATIONS,
///   RELAKIT_ERR_NO_RELOCATION_BYTES, RELAKIT_ERR_TARGET_NOT_ZERO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_coming(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    resolver: *const relakit_resolver,
    section_total: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Late(late, retained) = stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 3, &[*retained, own], report) }?;
        // SAFETY: the caller promises that `resolver` is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let mut resolver = unsafe { CResolver::new(resolver, 4, report) }?;
        // SAFETY: the caller promises that `section_total` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 5, report) }?;
        section_total.set(late.coming(object.bytes(), &mut memory, &mut resolver).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Clears the late relocations for a patched object, or changes nothing. Call it when that object
/// is unloaded (Linux: MODULE_STATE_GOING).
///
/// The function checks that each field still holds the value that relakit_module_coming wrote.
/// Sections and entries are cleared from the last to the first. The arguments are those of
/// relakit_module_coming.
///
/// Linux clears relocations from RELAKIT_LINUX(6, 3) on. With an older profile the function returns
/// RELAKIT_OK and writes nothing. Then the next relakit_module_coming of the object returns
/// RELAKIT_ERR_TARGET_NOT_ZERO.
///
/// Stage: RELAKIT_STAGE_LATE. Returns RELAKIT_OK, a pass error, or RELAKIT_ERR_NOT_A_MODULE (empty
/// or "vmlinux"), RELAKIT_ERR_NOT_LIVE (if the module has sections for `object`),
/// RELAKIT_ERR_TARGET_MISMATCH, RELAKIT_ERR_SECTION_MOVED, RELAKIT_ERR_NOT_ASSIGNED,
/// RELAKIT_ERR_ASSIGNED_SIZE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_going(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    section_total: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Late(late, retained) = stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 3, &[*retained, own], report) }?;
        // SAFETY: the caller promises that `section_total` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 4, report) }?;
        section_total.set(late.going(object.bytes(), &mut memory).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}
