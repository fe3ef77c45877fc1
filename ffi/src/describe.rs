//! Level 3: what a module consists of.

use crate::fault::{OrReport, Report, Stopped};
use crate::pointers::{Span, VersionedOut};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::ptr;
use relakit::special::Effect;
use relakit::{Class, FailsAt, Module};

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
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller's promise.
        let info = unsafe { VersionedOut::new(info, 24, 2, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let object = module.object();
        info.set(&relakit_module_info {
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
    unsafe { state::on(module, error, call) }
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
/// Relocations that cannot be applied: the module does not load (RELAKIT_SECTION_FAILS_LOAD), or objects cannot come.
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
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(section, 104, 3, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        out.set(&describe_section(module, index, report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

fn describe_section(
    module: &Module<'_>,
    index: u32,
    report: &mut Report,
) -> Result<relakit_section, Stopped> {
    let object = module.object();
    let (Some(section), Some(classified)) = (object.section(index), module.class(index)) else {
        let count = u64::from(object.section_count());
        return Err(report.refuse(RELAKIT_ERR_NO_SUCH_SECTION, u64::from(index), count));
    };
    let (class, target, klp_object, status, fails) = match classified.class {
        Class::Ordinary { target } => (RELAKIT_CLASS_ORDINARY, target, None, RELAKIT_OK, 0),
        Class::KlpEarly { target } => (RELAKIT_CLASS_KLP_EARLY, target, None, RELAKIT_OK, 0),
        Class::KlpLate { object, target } => (RELAKIT_CLASS_KLP_LATE, target, Some(object), RELAKIT_OK, 0),
        Class::PassedOver => (RELAKIT_CLASS_PASSED_OVER, section.info, None, RELAKIT_OK, 0),
        Class::LegacyArch => (RELAKIT_CLASS_LEGACY_ARCH, 0, None, RELAKIT_OK, 0),
        Class::Malformed { kind, fails } => {
            let (object, when) = match fails {
                FailsAt::Load => (None, RELAKIT_SECTION_FAILS_LOAD),
                FailsAt::AnyComing => (None, RELAKIT_SECTION_FAILS_COMING),
                FailsAt::Coming(object) => (Some(object), RELAKIT_SECTION_FAILS_COMING),
            };
            (RELAKIT_CLASS_MALFORMED, section.info, object, kind as relakit_status, when)
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
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(symbol, 48, 3, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let symbols = module.object().symbols();
        let Some(symbol) = symbols.get(index) else {
            return Err(report.refuse(RELAKIT_ERR_SYMBOL_INDEX, 0, u64::from(symbols.len())));
        };
        let name = symbols.name(index, &symbol).or_report(report)?;
        out.set(&relakit_symbol {
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
    unsafe { state::on(module, error, call) }
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
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller's promise.
        let out = unsafe { VersionedOut::new(special, 16, 3, report) }?;
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let version = loaded.module().profile().since;
        let Some(special) = loaded.special(index) else { return Ok(RELAKIT_NONE) };
        out.set(&relakit_special {
            struct_size: 0,
            read_at: crate::names::read_at(special.first_read(version)),
            entry_size: special.entry_size(version).map_or(0, u32::from),
            rewrites_code: u32::from(matches!(special.effect, Effect::Rewrites | Effect::UpdatesAndRewrites)),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}
