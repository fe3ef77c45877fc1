//! Level 3: a whole module, from its file to the early pass.

use crate::callbacks::CResolver;
use crate::error::{Failed, OrReport, Report, answer};
use crate::memory::{CMemory, relakit_memory};
use crate::pointers::{Out, Piece, Span};
use crate::relocate::Options;
use crate::resolver::relakit_resolver;
use crate::state::{self, Stage, relakit_module, relakit_stage};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use core::mem::{align_of, size_of};
use relakit::Module;

/// In the values of relakit_module_early: the section of this symbol has no memory. A real symbol
/// may have the same value, so check its section too. As an address the number is not canonical.
pub const RELAKIT_UNASSIGNED: u64 = 0x5ec7_1000_0000_0000;
const _: () = assert!(RELAKIT_UNASSIGNED == relakit::UNASSIGNED);

/// Returns the number of bytes that relakit_module_init needs for the state of a module.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_module_size() -> usize {
    size_of::<relakit_module>()
}

/// Returns the alignment of the state of a module, in bytes: RELAKIT_MODULE_ALIGN.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_module_align() -> usize {
    align_of::<relakit_module>()
}

/// Reads and checks a relocatable ELF file, and makes the state of a module.
///
/// - `memory` is a buffer for the state: `size` bytes, at least relakit_module_size(), aligned to
///   RELAKIT_MODULE_ALIGN. It is retained: relakit uses it until the caller stops using the module.
///   No call is needed to release it.
/// - `file` is the ELF file, `file_size` bytes. It is retained, and must not change until
///   relakit_module_retain has succeeded or the caller stops using the module.
///
/// On success *module is `memory`, and the module is in RELAKIT_STAGE_PARSED. Two threads must not
/// use the same module at the same time.
///
/// Returns RELAKIT_OK, or one of these errors:
/// - with every profile: RELAKIT_ERR_STATE_TOO_SHORT, RELAKIT_ERR_EMPTY_FILE,
///   RELAKIT_ERR_TRUNCATED, RELAKIT_ERR_NOT_ELF, RELAKIT_ERR_NOT_RELOCATABLE,
///   RELAKIT_ERR_WRONG_MACHINE, RELAKIT_ERR_BAD_HEADER_SIZE, RELAKIT_ERR_BAD_SECTION_ZERO,
///   RELAKIT_ERR_TOO_MANY_SECTIONS, RELAKIT_ERR_NO_SECTIONS, RELAKIT_ERR_BAD_NAME_TABLE,
///   RELAKIT_ERR_BAD_SECTION_NAME, RELAKIT_ERR_MANY_SYMBOL_TABLES, RELAKIT_ERR_BAD_STRING_TABLE,
///   RELAKIT_ERR_RELOCATIONS_TOO_LARGE;
/// - not with Linux before RELAKIT_LINUX(6, 13): RELAKIT_ERR_BAD_SYMBOL_NAME;
/// - with Linux, Xen and FreeBSD: RELAKIT_ERR_NO_SYMBOL_TABLE;
/// - with Linux: RELAKIT_ERR_SHARED_BYTES, RELAKIT_ERR_NULL_OUTSIDE;
/// - not with Linux: RELAKIT_ERR_BAD_IDENT, RELAKIT_ERR_MANY_SECTION_INDICES.
///
/// The function refuses a file if its relocation tables together are larger than the file.
/// Therefore the time of each relakit_module_ function, except relakit_module_findings, is at most
/// linear in `file_size`, in `count` and in the size of the memory that it fills.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_init(
    memory: *mut c_void,
    size: usize,
    file: *const c_void,
    file_size: usize,
    options: *const relakit_options,
    module: *mut *mut relakit_module,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `memory` is NULL or has `size` writable bytes.
        let state = unsafe { state::StateMemory::new(memory, size, report) }?;
        // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: the caller promises that `module` is NULL or writable.
        let out = unsafe { Out::new(module, 6, report) }?;
        let file = Piece::new(file.cast(), file_size, 3, report)?;
        Span::items(memory.cast::<u8>(), size, 1, report)?.apart_from(&[file.span], 1, report)?;
        // SAFETY: `Piece::new` checked the pointer; the caller promises that the file stays
        // unchanged while the module uses it.
        let parsed = Module::parse(unsafe { file.read() }, profile).or_report(report)?;
        out.set(state.put(memory, parsed));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

/// Returns the stage of a module. If `module` is NULL or not a state, it is RELAKIT_STAGE_NONE. If
/// a callback of a call with this module asks, it is RELAKIT_STAGE_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_stage(module: *const relakit_module) -> relakit_stage {
    // SAFETY: the caller promises that `module` is NULL or readable as a state.
    unsafe { state::stage(module) }
}

/// Checks the memory that the caller provides for the sections. It writes nothing to that memory
/// and retains no pointer.
///
/// Each section that is relocated early needs memory of its own size. If a section has none, it
/// cannot be the target of a late relocation, and relocations cannot use its symbols.
///
/// Stages: RELAKIT_STAGE_PARSED, RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes
/// RELAKIT_STAGE_ASSIGNED, so after a call in RELAKIT_STAGE_FILLED, fill the sections again.
/// Returns RELAKIT_OK, or RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE,
/// RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_ADDRESS_MISALIGNED (the GOT).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_assign(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let (Stage::Parsed(module) | Stage::Assigned(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        let [file, plan] = retained_spans(module, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &[file, plan, own], report) }?;
        module.assign(&mut memory).or_report(report)?;
        *stage = Stage::Assigned(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Copies the content of every section with memory from the file. A section without content in the
/// file (SHT_NOBITS, SHT_NULL) is filled with zeros. The function skips sections with
/// RELAKIT_MEMORY_WRITER. The caller must fill them before relakit_module_early.
///
/// Stages: RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_FILLED. If the
/// function fails, the stage is unchanged, but sections before error->section may be filled.
/// Returns RELAKIT_OK or an error as in relakit_module_assign.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_fill(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let (Stage::Assigned(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        let [file, plan] = retained_spans(module, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &[file, plan, own], report) }?;
        module.assign(&mut memory).and_then(|placed| placed.fill().map(|_| ())).or_report(report)?;
        *stage = Stage::Filled(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Tells relakit that the caller has filled every section with memory itself: with the content from
/// the file, or with zeros if the file has none. The call reads and writes no section.
///
/// Stages: RELAKIT_STAGE_ASSIGNED and RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_FILLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_filled(
    module: *mut relakit_module,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        let (Stage::Assigned(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        *stage = Stage::Filled(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Resolves the symbols and applies the early relocations, or leaves all sections unchanged. The
/// early relocations are the ordinary ones and the livepatch relocations for vmlinux. They are
/// applied in section order, as in Linux.
///
/// `values` is a caller-provided buffer of `count` entries, at least one for each symbol. After the
/// call it holds the symbol values, see also RELAKIT_UNASSIGNED. relakit does not use it later.
///
/// Order of the callbacks: resolver->exported is called first, for the undefined symbols in the
/// order of the symbol table. Then the sections are processed one after the other:
/// resolver->nth_symbol is called for the symbols of a livepatch section, then the section is
/// written. The writer's `sync` is called once at the end. If several symbols have an error, the
/// function returns the error of the last one, as in Linux.
///
/// Stage: RELAKIT_STAGE_FILLED. It becomes RELAKIT_STAGE_LOADED; only then may anything read the
/// special sections. If the function fails, the stage and the sections are unchanged, and the
/// caller can call it again. The exception is RELAKIT_ERR_NOT_UNDONE.
///
/// Returns RELAKIT_OK, a pass error, a livepatch symbol error, or one of these errors:
/// - of the symbols: RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_UNKNOWN_SYMBOL,
///   RELAKIT_ERR_COMMON_SYMBOL, RELAKIT_ERR_SYMBOL_SECTION, RELAKIT_ERR_BAD_SYMBOL_NAME (undefined
///   symbols);
/// - of the section memory: an error as in relakit_module_assign;
/// - of the relocations: RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_TARGET_OUT_OF_RANGE,
///   RELAKIT_ERR_TARGET_IS_SYMBOL_TABLE, RELAKIT_ERR_TARGET_IS_RELOCATIONS,
///   RELAKIT_ERR_NO_RELOCATION_BYTES, RELAKIT_ERR_BAD_KLP_SECTION_NAME,
///   RELAKIT_ERR_KLP_NAME_OUTSIDE, RELAKIT_ERR_SYMBOL_UNASSIGNED, RELAKIT_ERR_TARGET_NOT_ZERO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_early(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    values: *mut u64,
    count: usize,
    resolver: *const relakit_resolver,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Filled(module) = &*stage else { return Err(stage.out_of_order(report)) };
        let values = Piece::new(values, count, 3, report)?;
        let [file, plan] = retained_spans(module, report)?;
        values.span.apart_from(&[file, plan, own], 3, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &[file, plan, values.span, own], report) }?;
        // SAFETY: the caller promises that `resolver` is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let mut resolver = unsafe { CResolver::new(resolver, 5, report) }?;
        // SAFETY: `apart_from` found that `values` overlaps neither file, plan nor state, and
        // `CMemory` that no section overlaps it. The caller promises that no other code uses it.
        let values = unsafe { values.write() };
        let placed = module.assign(&mut memory);
        let loaded = placed
            .and_then(|placed| placed.assume_filled().early(values, &mut resolver))
            .or_report(report)?;
        *stage = Stage::Loaded(loaded);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// What a module refers to before its late passes: the file, and the plan of its GOT.
pub(crate) fn retained_spans(module: &Module<'_>, report: &mut Report) -> Result<[Span; 2], Failed> {
    let (file, plan) = (module.object().bytes(), module.planned_words());
    let file = Span::items(file.as_ptr(), file.len(), 0, report)?;
    Ok([file, Span::items(plan.as_ptr(), plan.len(), 0, report)?])
}
