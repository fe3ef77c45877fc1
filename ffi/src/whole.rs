//! Level 3: the whole module, from file bytes to objects that come and go.

use crate::callbacks::CResolver;
use crate::fault::Fault;
use crate::places::Places;
use crate::pointers::{Out, Span, VersionedOut, answer, items, items_mut};
use crate::relocate::Options;
use crate::sechdrs::{Count, name_of_object};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of};
use core::ptr;
use relakit::Module;
use relakit::klp::{Class, FailsAt};

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
/// RELAKIT_ERR_TRUNCATED to RELAKIT_ERR_BAD_SYMBOL_NAME.
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
    // SAFETY: the caller's promise.
    let result = unsafe { init(memory, size, file, file_size, options, module) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// # Safety
/// The caller's promise.
unsafe fn init(
    memory: *mut c_void,
    size: usize,
    file: *const c_void,
    file_size: usize,
    options: *const relakit_options,
    module: *mut *mut relakit_module,
) -> Result<relakit_status, Fault> {
    // SAFETY: the caller's promise.
    let lent = unsafe { state::Lent::new(memory, size) }?;
    // SAFETY: as above.
    let profile = unsafe { Options::new(options, 5) }?.profile()?;
    // SAFETY: as above.
    let out = unsafe { Out::new(module, 6) }?;
    Span::new(memory, size, 1)?.apart_from(&[Span::new(file, file_size, 3)?], 1)?;
    // SAFETY: as above; that the file stays is promised until it is not needed any more.
    let file: &'static [u8] = unsafe { items(file.cast(), file_size, 3) }?;
    out.set(lent.put(memory, Module::parse(file, profile)?));
    Ok(RELAKIT_OK)
}

/// The stage that a module is in: a RELAKIT_STAGE_, or an error when module is not one or is busy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_stage(module: *mut relakit_module) -> relakit_status {
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, |stage| Ok(stage.number())) };
    // SAFETY: NULL.
    unsafe { answer(ptr::null_mut(), result) }
}

/// What a module consists of.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_module_info {
    /// sizeof(struct relakit_module_info), set by the caller.
    pub struct_size: u32,
    /// Number of sections, section 0 included.
    pub section_count: u32,
    /// Number of symbols, the null symbol included: so many values are to be lent.
    pub symbol_count: u32,
    /// Index of the symbol table's section.
    pub symbols_section: u32,
    /// Index of the per-CPU section, if the profile knows one; 0 when there is none.
    pub per_cpu_section: u32,
    /// 0.
    pub reserved: u32,
}

/// Tells what a module consists of. Not after relakit_module_keep.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_describe(
    module: *mut relakit_module,
    info: *mut relakit_module_info,
    error: *mut relakit_error,
) -> relakit_status {
    let describe = |stage: &mut Stage| {
        // SAFETY: the caller's promise.
        let info = unsafe { VersionedOut::new(info, 24, 2) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order())?;
        let object = module.object();
        info.set(relakit_module_info {
            struct_size: 0,
            section_count: object.section_count(),
            symbol_count: object.symbols().len(),
            symbols_section: object.symbols().section(),
            per_cpu_section: module.per_cpu_section().unwrap_or(0),
            reserved: 0,
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, describe) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// The section holds no relocations.
pub const RELAKIT_CLASS_NOT_RELOCATION: u32 = 0;
/// Ordinary relocations: applied early.
pub const RELAKIT_CLASS_ORDINARY: u32 = 1;
/// Livepatch relocations against vmlinux: applied early, in section order with the ordinary ones.
pub const RELAKIT_CLASS_KLP_EARLY: u32 = 2;
/// Livepatch relocations against a module: applied when it comes, cleared when it goes.
pub const RELAKIT_CLASS_KLP_LATE: u32 = 3;
/// Relocations that are never applied; the reason says why.
pub const RELAKIT_CLASS_PASSED_OVER: u32 = 4;
/// A livepatch section of the design before Linux 5.8, which nobody reads.
pub const RELAKIT_CLASS_LEGACY_ARCH: u32 = 5;
/// Relocations that cannot be applied: the module does not load (RELAKIT_FAILS_AT_LOAD), or objects cannot come.
pub const RELAKIT_CLASS_MALFORMED: u32 = 6;

/// The section is in memory while the module runs: it is SHF_ALLOC, and not one that the profile drops.
pub const RELAKIT_SECTION_IN_MEMORY: u32 = 1;
/// A malformed section stops the module from being loaded.
pub const RELAKIT_SECTION_FAILS_LOAD: u32 = 2;
/// A malformed section stops its object from coming; one without an object's name stops every object.
pub const RELAKIT_SECTION_FAILS_COMING: u32 = 4;

/// One section of a module. The pointers lead into the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_section {
    /// sizeof(struct relakit_section), set by the caller.
    pub struct_size: u32,
    /// RELAKIT_SECTION_IN_MEMORY and the like.
    pub flags: u32,
    /// sh_type.
    pub sh_type: u32,
    /// A RELAKIT_CLASS_.
    pub section_class: u32,
    /// Of relocations: the section index of what is relocated, as far as the class knows one. Otherwise 0.
    pub target: u32,
    /// Of a malformed section what is wrong with it, otherwise RELAKIT_OK.
    pub status: relakit_status,
    /// Why it has its class, in English: constant text, ended by NUL.
    pub reason: *const c_char,
    /// Its name, ended by NUL.
    pub name: *const c_char,
    /// Bytes of the name, without the NUL.
    pub name_len: usize,
    /// The object of late relocations, not ended by NUL; otherwise NULL.
    pub object: *const c_char,
    /// Bytes of the object's name.
    pub object_len: usize,
    /// Its content in the file; NULL when it has none.
    pub content: *const c_void,
    /// sh_size: bytes, in the file or (SHT_NOBITS) in memory only.
    pub size: u64,
    /// sh_addralign, as in the file: not checked to be a power of two.
    pub align: u64,
    /// sh_flags, as in the file.
    pub sh_flags: u64,
    /// sh_link, as in the file.
    pub link: u32,
    /// sh_info, as in the file.
    pub info: u32,
}

/// Tells everything about section index. Not after relakit_module_keep. Also RELAKIT_ERR_NO_SUCH_SECTION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_section(
    module: *mut relakit_module,
    index: u32,
    section: *mut relakit_section,
    error: *mut relakit_error,
) -> relakit_status {
    let describe = |stage: &mut Stage| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(section, 104, 3) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order())?;
        out.set(describe_section(module, index)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, describe) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

fn describe_section(module: &Module<'_>, index: u32) -> Result<relakit_section, Fault> {
    let object = module.object();
    let (Some(section), Some(classified)) = (object.section(index), module.class(index)) else {
        let count = u64::from(object.section_count());
        return Err(Fault::argument(RELAKIT_ERR_NO_SUCH_SECTION, u64::from(index), count));
    };
    let (class, target, klp_object, status, fails) = match classified.class {
        Class::Ordinary { target } => (RELAKIT_CLASS_ORDINARY, target, None, RELAKIT_OK, 0),
        Class::KlpEarly { target } => (RELAKIT_CLASS_KLP_EARLY, target, None, RELAKIT_OK, 0),
        Class::KlpLate { object, target } => (RELAKIT_CLASS_KLP_LATE, target, Some(object), RELAKIT_OK, 0),
        Class::PassedOver => (RELAKIT_CLASS_PASSED_OVER, section.info, None, RELAKIT_OK, 0),
        Class::LegacyArch => (RELAKIT_CLASS_LEGACY_ARCH, 0, None, RELAKIT_OK, 0),
        Class::Malformed { error, fails } => {
            let (object, when) = match fails {
                FailsAt::Load => (None, RELAKIT_SECTION_FAILS_LOAD),
                FailsAt::AnyComing => (None, RELAKIT_SECTION_FAILS_COMING),
                FailsAt::Coming(object) => (Some(object), RELAKIT_SECTION_FAILS_COMING),
            };
            (RELAKIT_CLASS_MALFORMED, section.info, object, error.kind as relakit_status, when)
        }
        _ => (RELAKIT_CLASS_NOT_RELOCATION, 0, None, RELAKIT_OK, 0),
    };
    let name = object.section_name(&section);
    let content = object.section_bytes(&section);
    Ok(relakit_section {
        struct_size: 0,
        flags: fails | if module.is_allocated(index) { RELAKIT_SECTION_IN_MEMORY } else { 0 },
        sh_type: section.kind,
        section_class: class,
        target,
        status,
        reason: classified.reason.message().as_ptr(),
        // A name that is there is ended by NUL in the file; the name of an unused header may not be.
        name: if name.is_empty() { c"".as_ptr() } else { name.as_ptr().cast() },
        name_len: name.len(),
        object: klp_object.map_or(ptr::null(), |object| object.as_ptr().cast()),
        object_len: klp_object.map_or(0, <[u8]>::len),
        content: if section.has_bytes() { content.as_ptr().cast() } else { ptr::null() },
        size: section.size,
        align: section.align,
        sh_flags: section.flags.bits(),
        link: section.link,
        info: section.info,
    })
}

/// One symbol of a module. The name leads into the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_symbol {
    /// sizeof(struct relakit_symbol), set by the caller.
    pub struct_size: u32,
    /// st_shndx, as in the file.
    pub shndx: u32,
    /// st_info: binding in the upper four bits, type in the lower four.
    pub info: u32,
    /// 0.
    pub reserved: u32,
    /// Its name, ended by NUL.
    pub name: *const c_char,
    /// Bytes of the name, without the NUL.
    pub name_len: usize,
    /// st_value, as in the file: an offset in its section, not an address. After relakit_module_early the address is in
    /// the values that were lent.
    pub value: u64,
    /// st_size: bytes.
    pub size: u64,
}

/// Tells about symbol index. Not after relakit_module_keep. Also RELAKIT_ERR_SYMBOL_INDEX and RELAKIT_ERR_BAD_SYMBOL_NAME.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_symbol(
    module: *mut relakit_module,
    index: u32,
    symbol: *mut relakit_symbol,
    error: *mut relakit_error,
) -> relakit_status {
    let describe = |stage: &mut Stage| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(symbol, 48, 3) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order())?;
        let symbols = module.object().symbols();
        let none = Fault::argument(RELAKIT_ERR_SYMBOL_INDEX, 0, u64::from(symbols.len()));
        let symbol = symbols.get(index).ok_or(none)?;
        let name = symbols.name(index, &symbol)?;
        out.set(relakit_symbol {
            struct_size: 0,
            shndx: u32::from(symbol.shndx),
            info: u32::from(symbol.info),
            reserved: 0,
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: symbol.value,
            size: symbol.size,
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, describe) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Takes the caller's word on where the sections live. Every section that is relocated early needs a place, of the
/// section's size; a section without one cannot be the target of a late relocation, and its symbols cannot be used.
///
/// The stage becomes RELAKIT_STAGE_PLACED; before relakit_module_early has succeeded it can be called again. Nothing is
/// written, and no pointer is kept.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_NOT_PLACED or
/// RELAKIT_ERR_PLACED_SIZE with the section. RELAKIT_ERR_OVERLAP: error->section is the place that overlaps the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_place(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let place = |stage: &mut Stage| {
        let (Stage::Parsed(module) | Stage::Placed(module)) = &*stage else {
            return Err(stage.out_of_order());
        };
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file_span(module)?]) }?;
        module.place(&mut memory)?;
        *stage = Stage::Placed(module.clone());
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, place) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Copies the content of every placed section from the file, and zeros where it has none (SHT_NOBITS). Sections behind a
/// writer are left to the caller. In RELAKIT_STAGE_PLACED only; may be called again.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or RELAKIT_ERR_PLACED_SIZE: sections before
/// this one are filled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_fill(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    error: *mut relakit_error,
) -> relakit_status {
    let fill = |stage: &mut Stage| {
        let Stage::Placed(module) = &*stage else { return Err(stage.out_of_order()) };
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file_span(module)?]) }?;
        module.place(&mut memory)?.fill()?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, fill) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Resolves all symbols and applies the early relocations, ordinary and vmlinux-specific, in section order as Linux
/// does: all of them, or nothing is changed.
///
/// values is lent: count entries, at least one a symbol. Afterwards it has each symbol's value, and is the caller's again.
/// The resolver's exported is called for the undefined symbols in the order of the symbol table, then candidate for the
/// symbols of vmlinux-specific sections. Memory is written when all symbols are known; then the writer's sync is called,
/// once.
///
/// The stage becomes RELAKIT_STAGE_LOADED: only now may anything read the special sections. When it fails the stage stays
/// RELAKIT_STAGE_PLACED and the sections are as they were, so that it can be called again.
///
/// Returns RELAKIT_OK, or what relakit_module_init says of all functions, or
/// RELAKIT_ERR_VALUES_TOO_SHORT  count is smaller than the number of symbols;
/// RELAKIT_ERR_UNKNOWN_SYMBOL, _COMMON_SYMBOL, _SYMBOL_SECTION, _BAD_SYMBOL_NAME, _RESOLVER
///                               a symbol; where several are at fault the last, as in Linux;
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_REL_SECTION, RELAKIT_ERR_NOT_PLACED, _PLACED_SIZE, _SYMBOL_UNPLACED
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
    let early = |stage: &mut Stage| {
        let Stage::Placed(module) = &*stage else { return Err(stage.out_of_order()) };
        let lent = Span::items(values, count, 3)?;
        let file = file_span(module)?;
        lent.apart_from(&[file], 3)?;
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file, lent]) }?;
        // SAFETY: as above.
        let mut resolver = unsafe { CResolver::new(resolver, 5) }?;
        // SAFETY: as above; it overlaps nothing that is borrowed.
        let values = unsafe { items_mut(values, count, 3) }?;
        let loaded = module.place(&mut memory)?.early(values, &mut resolver)?;
        *stage = Stage::Loaded(loaded);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, early) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Before relocation: what a relocation puts there comes too late.
pub const RELAKIT_READ_AT_LOAD: u32 = 1;
/// Right after relocation, before the code is made executable: alternatives, paravirt, return sites, ...
pub const RELAKIT_READ_AT_FINALIZE: u32 = 2;
/// After that and before the module's state is COMING: ftrace.
pub const RELAKIT_READ_AT_FORMATION: u32 = 3;
/// By the COMING notifiers: jump labels, static calls, tracepoints, ...
pub const RELAKIT_READ_AT_COMING: u32 = 4;
/// After the notifiers, before or in the module's init function.
pub const RELAKIT_READ_AT_INIT: u32 = 5;
/// When something asks: a fault, a trap, a file read.
pub const RELAKIT_READ_ON_DEMAND: u32 = 6;
/// Not at all.
pub const RELAKIT_READ_NEVER: u32 = 7;

/// A special section: one that Linux knows by name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_special {
    /// sizeof(struct relakit_special), set by the caller.
    pub struct_size: u32,
    /// When the profile's Linux first reads it: a RELAKIT_READ_.
    pub read_at: u32,
    /// Bytes of each entry in the profile's Linux; 0 when that is not fixed.
    pub entry_size: u32,
    /// 1 when the reader patches instructions that the entries point to, otherwise 0.
    pub rewrites_code: u32,
}

/// Tells what section index is to the profile's Linux, when every early relocation is in place: in RELAKIT_STAGE_LOADED
/// only, which is how the ordering rule is kept. Returns RELAKIT_OK; RELAKIT_NONE when it is not a special section, or
/// not in memory; or what relakit_module_init says of all functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_special(
    module: *mut relakit_module,
    index: u32,
    special: *mut relakit_special,
    error: *mut relakit_error,
) -> relakit_status {
    let describe = |stage: &mut Stage| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(special, 16, 3) }?;
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order()) };
        let version = loaded.module().profile().since;
        let Some(special) = loaded.special(index) else { return Ok(RELAKIT_NONE) };
        out.set(relakit_special {
            struct_size: 0,
            read_at: crate::names::read_at(special.first_read(version)),
            entry_size: special.entry_size(version).map_or(0, u32::from),
            rewrites_code: u32::from(special.effect.rewrites_code()),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, describe) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
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
    let measure = |stage: &mut Stage| {
        let module = stage.module().ok_or_else(|| stage.out_of_order())?;
        // SAFETY: the caller's promise.
        let size = unsafe { Out::new(size, 4) }?;
        Span::items(scratch, count, 2)?.apart_from(&[file_span(module)?], 2)?;
        // SAFETY: as above; it does not overlap the file.
        size.set(module.late_size(unsafe { items_mut(scratch, count, 2) }?)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, measure) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Puts what objects that come and go need into kept, after which the file and the symbol values may go.
///
/// kept is lent for as long as objects come and go: kept_size bytes, at least what relakit_module_late_size says. scratch
/// is lent for the call: count entries, at least one a symbol; its content is lost. The stage becomes RELAKIT_STAGE_LATE.
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
    let keep = |stage: &mut Stage| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order()) };
        let (lent, buffer) = (Span::items(scratch, count, 3)?, Span::new(kept, kept_size, 5)?);
        let file = file_span(loaded.module())?;
        lent.apart_from(&[file], 3)?;
        buffer.apart_from(&[file, lent], 5)?;
        // SAFETY: the caller's promise.
        let mut memory = unsafe { Places::new(memory, 2, &[file, lent, buffer]) }?;
        // SAFETY: as above; it overlaps nothing that is borrowed.
        let scratch = unsafe { items_mut(scratch, count, 3) }?;
        // SAFETY: as above; that it stays is promised for as long as the module is used.
        let kept = unsafe { items_mut(kept.cast(), kept_size, 5) }?;
        let late = loaded.keep(&mut memory, scratch, kept)?;
        *stage = Stage::Late(late, buffer);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, keep) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

/// Names the object of the index-th late section, counted from 0: *object leads to *object_len bytes in the kept memory,
/// not ended by NUL, and *live is 1 when it has come and not gone. An object with several sections is named several
/// times. In RELAKIT_STAGE_LATE only.
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
    let name = |stage: &mut Stage| {
        let Stage::Late(late, _) = &*stage else { return Err(stage.out_of_order()) };
        // SAFETY: the caller's promise.
        let (object, len) = unsafe { (Out::new(object, 3)?, Out::new(object_len, 4)?) };
        // SAFETY: as above.
        let live = unsafe { Out::new(live, 5) }?;
        let nth = usize::try_from(index).ok().and_then(|index| late.objects().nth(index));
        let Some((name, is_live)) = nth else { return Ok(RELAKIT_NONE) };
        object.set(name.as_ptr().cast());
        len.set(name.len());
        live.set(u32::from(is_live));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, name) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
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
/// RELAKIT_ERR_BAD_KLP_SECTION_NAME to RELAKIT_ERR_NO_RELOCATION_BYTES  a section, or a symbol that it uses;
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
    let coming = |stage: &mut Stage| {
        let Stage::Late(late, kept) = stage else { return Err(stage.out_of_order()) };
        // SAFETY: the caller's promise.
        let object = unsafe { name_of_object(object, 2) }?;
        // SAFETY: as above.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept]) }?;
        // SAFETY: as above.
        let mut resolver = unsafe { CResolver::new(resolver, 4) }?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 5) }?;
        sections.set(late.coming(object, &mut memory, &mut resolver)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, coming) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
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
    let going = |stage: &mut Stage| {
        let Stage::Late(late, kept) = stage else { return Err(stage.out_of_order()) };
        // SAFETY: the caller's promise.
        let object = unsafe { name_of_object(object, 2) }?;
        // SAFETY: as above.
        let mut memory = unsafe { Places::new(memory, 3, &[*kept]) }?;
        // SAFETY: as above.
        let sections = unsafe { Count::new(sections, 4) }?;
        sections.set(late.going(object, &mut memory)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    let result = unsafe { state::with(module, going) };
    // SAFETY: as above.
    unsafe { answer(error, result) }
}

fn file_span(module: &Module<'_>) -> Result<Span, Fault> {
    let file = module.object().bytes();
    Span::items(file.as_ptr(), file.len(), 0)
}
