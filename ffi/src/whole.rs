//! Level 3: the whole module, from file bytes to objects that come and go.

use crate::callbacks::CResolver;
use crate::fault::{OrReport, Report, Stopped, answer};
use crate::places::Places;
use crate::pointers::{Count, ObjectName, Out, Piece, Span};
use crate::relocate::Options;
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of};
use core::ptr;
use relakit::Module;

/// Sentinel in the values of relakit_module_early for a symbol whose section has no memory. As an address it is not canonical, but
/// any number may be the value of a real symbol: whether a symbol's section has memory is told by its section.
pub const RELAKIT_UNPLACED: u64 = 0x5ec7_1000_0000_0000;
const _: () = assert!(RELAKIT_UNPLACED == relakit::UNPLACED);

/// Bytes of memory that relakit_module_init needs for the state of a module.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_module_size() -> usize {
    size_of::<relakit_module>()
}

/// What the memory for the state of a module must be aligned to, in bytes: RELAKIT_MODULE_ALIGN.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_module_align() -> usize {
    align_of::<relakit_module>()
}

/// Reads and checks a whole relocatable object, file_size bytes at file, and makes its state in memory.
///
/// memory is lent: size bytes, at least relakit_module_size(), aligned to relakit_module_align(). It belongs to the module
/// until the caller takes it back, which needs no call: nothing has to be freed. The file is lent as well, until
/// relakit_module_keep has succeeded or the module is given up, and must not change meanwhile. On success *module is
/// memory, and the module's stage is RELAKIT_STAGE_PARSED. options take RELAKIT_CHECK_PC32 and a profile.
///
/// Each function below that takes a module must not be called for the same module by two threads at once, and answers
///
/// RELAKIT_ERR_ORDER               the module is not in a stage for this call;
/// RELAKIT_ERR_NOT_A_MODULE_STATE  module is not what this function made, or was copied elsewhere;
/// RELAKIT_ERR_BUSY                a callback called it for the module that it is called for;
/// RELAKIT_ERR_NULL, _LENGTH, _ALIGNMENT, _STRUCT_SIZE, _FLAGS, _RESERVED, _OVERLAP, _PROFILE, _CALLBACK
///                                 the call itself is wrong, error->value is the number of the argument.
///
/// This one returns RELAKIT_OK, or one of these, or RELAKIT_ERR_STATE_TOO_SHORT, or what is wrong with the file:
/// RELAKIT_ERR_TRUNCATED to RELAKIT_ERR_BAD_SYMBOL_NAME, RELAKIT_ERR_EMPTY_FILE, _MANY_SECTION_INDICES,
/// _RELOCATIONS_TOO_LARGE, _SHARED_BYTES or _NULL_OUTSIDE.
///
/// Relocation tables together are no larger than the file (RELAKIT_ERR_RELOCATIONS_TOO_LARGE), so that the time of each function is
/// linear in file_size, count and the memory that it fills.
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
        // SAFETY: the caller's promise.
        let lent = unsafe { state::Lent::new(memory, size, report) }?;
        // SAFETY: as above.
        let profile = unsafe { Options::new(options, 5, report) }?.profile(report)?;
        // SAFETY: as above.
        let out = unsafe { Out::new(module, 6, report) }?;
        let file = Piece::new(file.cast(), file_size, 3, report)?;
        Span::items(memory.cast::<u8>(), size, 1, report)?.apart_from(&[file.span], 1, report)?;
        // SAFETY: as above; that the file stays is promised until it is not needed any more.
        let parsed = Module::parse(unsafe { file.read() }, profile).or_report(report)?;
        out.set(lent.put(memory, parsed));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { answer(error, call) }
}

/// The stage that a module is in: a RELAKIT_STAGE_, or an error when module is not one or is busy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_stage(module: *mut relakit_module) -> relakit_status {
    // SAFETY: the caller's promise.
    unsafe { state::on(module, ptr::null_mut(), &mut |stage, _, _| Ok(stage.number())) }
}

/// Takes the caller's word on where the sections live. Every section that is relocated early needs a place, of the
/// section's size; a section without one cannot be the target of a late relocation, and its symbols cannot be used.
///
/// The stage becomes RELAKIT_STAGE_PLACED; before relakit_module_early has succeeded it can be called again. Nothing is
/// written, and no pointer is kept.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_NOT_PLACED,
/// RELAKIT_ERR_PLACED_SIZE or RELAKIT_ERR_ADDRESS_WRAPS with the section. RELAKIT_ERR_OVERLAP: error->section is the place that overlaps something
/// else that is lent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_place(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let (Stage::Parsed(module) | Stage::Placed(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file_span(module, report)?, own], report) }?;
        module.place(&mut memory).or_report(report)?;
        *stage = Stage::Placed(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Copies the content of every section with memory from the file, and zeros where the file has none (SHT_NOBITS, SHT_NULL). The
/// caller fills sections behind a writer, before relakit_module_early.
///
/// In RELAKIT_STAGE_PLACED and RELAKIT_STAGE_FILLED only. The stage becomes RELAKIT_STAGE_FILLED.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_PLACED_SIZE,
/// RELAKIT_ERR_ADDRESS_WRAPS or RELAKIT_ERR_NOT_PLACED (the memory is not the one that was placed): sections before this one
/// are filled, and the stage stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_fill(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let (Stage::Placed(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file_span(module, report)?, own], report) }?;
        module.place(&mut memory).and_then(|placed| placed.fill().map(|_| ())).or_report(report)?;
        *stage = Stage::Filled(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Says that the caller has filled every section with memory by itself: with the file's bytes, or zeros where the file has none.
/// Nothing is read or written.
///
/// In RELAKIT_STAGE_PLACED and RELAKIT_STAGE_FILLED only. The stage becomes RELAKIT_STAGE_FILLED.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_filled(
    module: *mut relakit_module,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        let (Stage::Placed(module) | Stage::Filled(module)) = &*stage else {
            return Err(stage.out_of_order(report));
        };
        *stage = Stage::Filled(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Resolves all symbols and applies the early relocations, ordinary and vmlinux-specific, in section order as Linux
/// does: all of them, or nothing is changed.
///
/// In RELAKIT_STAGE_FILLED only: relakit_module_fill, or relakit_module_filled, comes before.
///
/// values is lent: count entries, at least one a symbol. Afterwards it has each symbol's value, and is the caller's again. A
/// symbol whose section has no memory has the value RELAKIT_UNPLACED; a real symbol may have it as well.
/// The resolver's exported is called for the undefined symbols in the order of the symbol table, then candidate for the
/// symbols of vmlinux-specific sections. Memory is written when all symbols are known; then the writer's sync is called,
/// once.
///
/// The stage becomes RELAKIT_STAGE_LOADED: only now may anything read the special sections. When it fails the stage stays
/// RELAKIT_STAGE_FILLED and the sections are as they were, so that it can be called again.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or
/// RELAKIT_ERR_VALUES_TOO_SHORT  count is smaller than the number of symbols;
/// RELAKIT_ERR_UNKNOWN_SYMBOL, _COMMON_SYMBOL, _SYMBOL_SECTION, _BAD_SYMBOL_NAME, _RESOLVER
///                               a symbol; where several are at fault the last, as in Linux;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_KLP_NAME_OUTSIDE, _TARGET_IS_RELOCATIONS,
/// _NOT_PLACED, _PLACED_SIZE, _ADDRESS_WRAPS, _SYMBOL_UNPLACED
///                               a section, or a symbol that it uses;
/// RELAKIT_ERR_UNKNOWN_TYPE to RELAKIT_ERR_NOT_UNDONE  a relocation: see relakit_apply.
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
        let file = file_span(module, report)?;
        values.span.apart_from(&[file, own], 3, report)?;
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file, values.span, own], report) }?;
        // SAFETY: as above.
        let mut resolver = unsafe { CResolver::new(resolver, 5, report) }?;
        // SAFETY: as above; it overlaps nothing that is borrowed.
        let values = unsafe { values.write() };
        let placed = module.place(&mut memory);
        let loaded = placed
            .and_then(|placed| placed.assume_filled().early(values, &mut resolver))
            .or_report(report)?;
        *stage = Stage::Loaded(loaded);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Bytes that relakit_module_keep needs; *size is 0 when the module has no late relocations. scratch is lent: count
/// entries, at least one a symbol; its content is lost. Not after relakit_module_keep.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_VALUES_TOO_SHORT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_late_size(
    module: *mut relakit_module,
    scratch: *mut u64,
    count: usize,
    size: *mut usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        // SAFETY: the caller's promise.
        let size = unsafe { Out::new(size, 4, report) }?;
        let scratch = Piece::new(scratch, count, 2, report)?;
        scratch.span.apart_from(&[file_span(module, report)?, own], 2, report)?;
        // SAFETY: as above; it does not overlap the file.
        size.set(module.late_size(unsafe { scratch.write() }).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Puts what objects that come and go need into kept, after which the file and the symbol values may go.
///
/// kept is lent for as long as objects come and go: kept_size bytes, at least what relakit_module_late_size says. scratch
/// is lent for the call: count entries, at least one a symbol; its content is lost. So whoever lends the values of
/// relakit_module_early here has looked up before what he wants of them; names and symbols cannot be asked for afterwards. The
/// stage becomes RELAKIT_STAGE_LATE.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_KEPT_TOO_SHORT or
/// RELAKIT_ERR_VALUES_TOO_SHORT, and the stage stays RELAKIT_STAGE_LOADED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_keep(
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
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file, lent, buffer, own], report) }?;
        // SAFETY: as above; it overlaps nothing that is borrowed.
        let scratch = unsafe { scratch.write() };
        // SAFETY: as above; that it stays is promised for as long as the module is used.
        let kept = unsafe { kept.write() };
        let late = loaded.keep(&mut memory, scratch, kept).or_report(report)?;
        *stage = Stage::Late(late, buffer);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// Names the object of the index-th late section, counted from 0: *object leads to *object_len bytes in the kept memory,
/// not ended by NUL (relakit_module_coming wants a copy that is), and *live is 1 when it has come and not gone. An object with several sections is named several
/// times. In RELAKIT_STAGE_LATE only. The time is logarithmic in the number of late sections.
///
/// Returns RELAKIT_OK, or RELAKIT_NONE after the last one, or what relakit_module_init says of all functions.
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
        // SAFETY: the caller's promise.
        let object = unsafe { Out::new(object, 3, report) }?;
        // SAFETY: as above.
        let len = unsafe { Out::new(object_len, 4, report) }?;
        // SAFETY: as above.
        let live = unsafe { Out::new(live, 5, report) }?;
        let Some((name, is_live)) = late.object_at(index) else { return Ok(RELAKIT_NONE) };
        object.set(name.as_ptr().cast());
        len.set(name.len());
        live.set(u32::from(is_live));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// An object has come: resolves the symbols of its sections and applies them, in section order as Linux does: all of
/// them, or nothing is changed. In RELAKIT_STAGE_LATE only.
///
/// object is its name, at most 55 bytes and a NUL. memory is that of relakit_module_early. resolver->candidate is called
/// for each symbol, exported is not. On success *sections, if sections is not NULL, is the number of sections: 0 when the
/// module has none for that object, which is often a misspelt name.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or
/// RELAKIT_ERR_NOT_A_MODULE     object is empty or "vmlinux";
/// RELAKIT_ERR_ALREADY_LIVE     it came before and has not gone;
/// RELAKIT_ERR_MOVED, _NOT_PLACED, _PLACED_SIZE  a section is not where it was, or not there;
/// RELAKIT_ERR_ADDRESS_WRAPS    the addresses of a section wrap past 2^64;
/// RELAKIT_ERR_KLP_NAME_OUTSIDE, _TARGET_IS_RELOCATIONS  a section;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_NO_RELOCATION_BYTES  a section, or a symbol that it uses;
/// RELAKIT_ERR_SYMBOL_INDEX, _BAD_SYMBOL_NAME  a relocation's symbol does not exist, or its name cannot be read;
/// RELAKIT_ERR_RESOLVER         the resolver failed;
/// RELAKIT_ERR_UNKNOWN_TYPE to RELAKIT_ERR_NOT_UNDONE  a relocation: see relakit_apply.
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
        // SAFETY: the caller's promise.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: as above.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept, own], report) }?;
        // SAFETY: as above.
        let mut resolver = unsafe { CResolver::new(resolver, 4, report) }?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 5, report) }?;
        sections.set(late.coming(object.bytes(), &mut memory, &mut resolver).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// An object goes: verifies and clears every field that its coming wrote, the last first: all of them, or nothing is
/// changed. With a profile that does not clear (Linux before 6.3) nothing is written, and the object cannot come again
/// into the same memory. In RELAKIT_STAGE_LATE only.
///
/// The arguments are those of relakit_module_coming. Returns RELAKIT_OK, or what relakit_module_init says of all
/// functions, or
/// RELAKIT_ERR_NOT_A_MODULE     object is empty or "vmlinux";
/// RELAKIT_ERR_NOT_LIVE         it has not come;
/// RELAKIT_ERR_MISMATCH         somebody else changed a field;
/// RELAKIT_ERR_MOVED, _NOT_PLACED, _PLACED_SIZE  a section is not where it was, or not there;
/// RELAKIT_ERR_WRITER, _SYNC, _NOT_UNDONE  the writer failed: see relakit_clear.
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
        // SAFETY: the caller's promise.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        // SAFETY: as above.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept, own], report) }?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 4, report) }?;
        sections.set(late.going(object.bytes(), &mut memory).or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

pub(crate) fn file_span(module: &Module<'_>, report: &mut Report) -> Result<Span, Stopped> {
    let file = module.object().bytes();
    Span::items(file.as_ptr(), file.len(), 0, report)
}
