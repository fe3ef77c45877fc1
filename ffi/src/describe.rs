//! Level 3: descriptions of a module, its sections and its symbols.

use crate::error::{Failed, OrReport, Report};
use crate::pointers::{self, Span, VersionedOut};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{c_char, c_void};
use core::ptr;
use relakit::elf::{Symbol, SymbolTable};
use relakit::{Class, FailsAt, Module};
use relakit_linux::special::{self, Effect, ReadAt};

/// Numbers that describe a module.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_module_info {
    /// sizeof(struct relakit_module_info), set by the caller.
    pub struct_size: u32,
    /// Number of sections, including section 0.
    pub section_count: u32,
    /// Number of symbols, including the null symbol: entries of buffers for symbol values.
    pub symbol_count: u32,
    /// Section index of the symbol table. 0 if the module has none.
    pub symbols_section: u32,
    /// Section index of the per-CPU section. 0 if the module has none, or if the profile does not
    /// treat it specially.
    pub per_cpu_section: u32,
    /// 0.
    pub reserved: u32,
}

/// Fills *info with numbers of the module. Stages: every stage before RELAKIT_STAGE_LATE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_describe(
    module: *mut relakit_module,
    info: *mut relakit_module_info,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let info = unsafe { VersionedOut::new(info, 2, report) }?;
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
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Class of a section: when its relocations are applied. A RELAKIT_CLASS_ number.
pub type relakit_section_class = u32;
/// The section holds no relocations.
pub const RELAKIT_CLASS_NOT_RELOCATION: u32 = 0;
/// The section holds ordinary relocations. They are applied early.
pub const RELAKIT_CLASS_ORDINARY: u32 = 1;
/// The section holds livepatch relocations for vmlinux. They are applied early.
pub const RELAKIT_CLASS_KLP_EARLY: u32 = 2;
/// The section holds livepatch relocations for a module: it is a late section. The relocations are
/// applied when that module is loaded and cleared when it is unloaded.
pub const RELAKIT_CLASS_KLP_LATE: u32 = 3;
/// The section holds relocations that the loader skips. relakit_section.reason says why.
pub const RELAKIT_CLASS_SKIPPED: u32 = 4;
/// A livepatch section of the design before RELAKIT_LINUX(5, 8). Later loaders do not read it.
pub const RELAKIT_CLASS_LEGACY_ARCH: u32 = 5;
/// The section holds relocations that cannot be applied. RELAKIT_SECTION_FAILS_LOAD and
/// RELAKIT_SECTION_FAILS_COMING say which call fails.
pub const RELAKIT_CLASS_MALFORMED: u32 = 6;

/// relakit_section.flags: RELAKIT_SECTION_ flags.
pub type relakit_section_flags = u32;
/// The section is in memory while the module runs: it is SHF_ALLOC, and the loader of the profile
/// loads it. Linux does not load .modinfo, for example.
pub const RELAKIT_SECTION_IN_MEMORY: u32 = 1;
/// The section is malformed, and relakit_module_early fails because of it.
pub const RELAKIT_SECTION_FAILS_LOAD: u32 = 2;
/// The section is malformed, and relakit_module_coming fails because of it: for
/// relakit_section.object, or for every object if that is NULL.
pub const RELAKIT_SECTION_FAILS_COMING: u32 = 4;

/// One section of a module. Pointers are into the file, except for `reason` and an empty name.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_section {
    /// sizeof(struct relakit_section), set by the caller.
    pub struct_size: u32,
    /// RELAKIT_SECTION_IN_MEMORY and other flags, or 0.
    pub flags: relakit_section_flags,
    /// sh_type.
    pub sh_type: u32,
    /// A RELAKIT_CLASS_ number.
    pub section_class: relakit_section_class,
    /// Section index of the target of relocations: sh_info, which may be invalid for
    /// RELAKIT_CLASS_SKIPPED and RELAKIT_CLASS_MALFORMED. Otherwise 0.
    pub target: u32,
    /// For a malformed section, the RELAKIT_ERR_ number of its error. Otherwise RELAKIT_OK.
    pub status: relakit_status,
    /// Why the section has its class: a constant English text that ends with NUL.
    pub reason: *const c_char,
    /// Name of the section, ended by NUL.
    pub name: *const c_char,
    /// Length of the name in bytes, without the NUL. 4097 if the name has more than 4096 bytes.
    pub name_len: usize,
    /// Name of the patched object of a late section, not ended by NUL. NULL if there is none.
    pub object: *const c_char,
    /// Length of the object's name in bytes.
    pub object_len: usize,
    /// Content of the section in the file. NULL if it has none.
    pub content: *const c_void,
    /// sh_size in bytes. For SHT_NOBITS it is the size in memory; the file has no such bytes.
    pub sh_size: u64,
    /// sh_addralign, as in the file. relakit does not check that it is a power of two.
    pub sh_addralign: u64,
    /// sh_flags, as in the file.
    pub sh_flags: u64,
    /// sh_link, as in the file.
    pub sh_link: u32,
    /// sh_info, as in the file.
    pub sh_info: u32,
}

/// Fills *section with the description of section `section_index`. Index 0 is allowed. Stages:
/// every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_ERR_NO_SUCH_SECTION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_section(
    module: *mut relakit_module,
    section_index: u32,
    section: *mut relakit_section,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(section, 3, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        out.set(&describe_section(module, section_index, report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

fn describe_section(module: &Module<'_>, index: u32, report: &mut Report) -> Result<relakit_section, Failed> {
    let object = module.object();
    let (Some(section), Some(classified)) = (object.section(index), module.class(index)) else {
        let count = u64::from(object.section_count());
        return Err(report.refuse(RELAKIT_ERR_NO_SUCH_SECTION, u64::from(index), count));
    };
    let (class, target, klp_object, status, fails) = match classified.class {
        Class::Ordinary { target } => (RELAKIT_CLASS_ORDINARY, target, None, RELAKIT_OK, 0),
        Class::KlpEarly { target } => (RELAKIT_CLASS_KLP_EARLY, target, None, RELAKIT_OK, 0),
        Class::KlpLate { object, target } => (RELAKIT_CLASS_KLP_LATE, target, Some(object), RELAKIT_OK, 0),
        Class::Skipped => (RELAKIT_CLASS_SKIPPED, section.sh_info, None, RELAKIT_OK, 0),
        Class::LegacyArch => (RELAKIT_CLASS_LEGACY_ARCH, 0, None, RELAKIT_OK, 0),
        Class::Malformed { kind, fails } => {
            let (object, when) = match fails {
                FailsAt::Load => (None, RELAKIT_SECTION_FAILS_LOAD),
                FailsAt::AnyComing => (None, RELAKIT_SECTION_FAILS_COMING),
                FailsAt::Coming(object) => (Some(object), RELAKIT_SECTION_FAILS_COMING),
            };
            (RELAKIT_CLASS_MALFORMED, section.sh_info, object, kind as relakit_status, when)
        }
        _ => (RELAKIT_CLASS_NOT_RELOCATION, 0, None, RELAKIT_OK, 0),
    };
    let name = object.section_name(&section);
    let content = object.section_bytes(&section);
    Ok(relakit_section {
        struct_size: 0,
        flags: fails | if module.is_allocated(index) { RELAKIT_SECTION_IN_MEMORY } else { 0 },
        sh_type: section.sh_type,
        section_class: class,
        target,
        status,
        reason: classified.reason.message().as_ptr(),
        // The file ends a name with NUL. An unused header may have no name in the file, so it gets
        // a constant.
        name: if name.is_empty() { c"".as_ptr() } else { name.as_ptr().cast() },
        name_len: name.len(),
        object: klp_object.map_or(ptr::null(), |object| object.as_ptr().cast()),
        object_len: klp_object.map_or(0, <[u8]>::len),
        content: if section.has_bytes() { content.as_ptr().cast() } else { ptr::null() },
        sh_size: section.sh_size,
        sh_addralign: section.sh_addralign,
        sh_flags: section.sh_flags.bits(),
        sh_link: section.sh_link,
        sh_info: section.sh_info,
    })
}

/// One symbol of a module. `name` points into the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_symbol {
    /// sizeof(struct relakit_symbol), set by the caller.
    pub struct_size: u32,
    /// st_shndx, as in the file.
    pub st_shndx: u32,
    /// st_info: binding in the upper four bits, type in the lower four.
    pub st_info: u32,
    /// Index of the symbol in the symbol table.
    pub index: u32,
    /// Name of the symbol, ended by NUL.
    pub name: *const c_char,
    /// Length of the name in bytes, without the NUL. 4097 if the name has more than 4096 bytes.
    pub name_len: usize,
    /// st_value, as in the file. For a symbol in a section it is an offset, not an address.
    /// relakit_module_early returns the addresses in its values array.
    pub st_value: u64,
    /// st_size, in bytes.
    pub st_size: u64,
}

/// Fills *symbol with the description of symbol `symbol_index`. Index 0 is allowed. Stages: every
/// stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or RELAKIT_ERR_SYMBOL_INDEX,
/// RELAKIT_ERR_BAD_SYMBOL_NAME.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_symbol(
    module: *mut relakit_module,
    symbol_index: u32,
    symbol: *mut relakit_symbol,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(symbol, 3, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let symbols = module.object().symbols();
        let Some(symbol) = symbols.get(symbol_index) else {
            return Err(report.refuse(RELAKIT_ERR_SYMBOL_INDEX, 0, u64::from(symbols.len())));
        };
        out.set(&describe_symbol(symbols, &symbol, report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Fills *symbol with the description of the symbol `name`: the first global or weak symbol of this
/// name that the module defines, or else the first local one. Its value is at symbol->index in the
/// values array of relakit_module_early.
///
/// `name` ends with NUL. A name of more than 4096 bytes is not found. Symbols of the types
/// STT_SECTION and STT_FILE, and common and livepatch symbols, do not count. The time is linear in
/// the number of symbols. Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, or
/// RELAKIT_NOT_FOUND if the module defines no symbol of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_find_symbol(
    module: *mut relakit_module,
    name: *const c_char,
    symbol: *mut relakit_symbol,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(symbol, 3, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let symbols = module.object().symbols();
        // SAFETY: the caller promises that `name` is NULL or a string that ends with NUL.
        let found = symbols.find(unsafe { pointers::name(name, 2, report) }?);
        let Some(symbol) = found else { return Ok(RELAKIT_NOT_FOUND) };
        out.set(&describe_symbol(symbols, &symbol, report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

fn describe_symbol(
    symbols: &SymbolTable<'_>,
    symbol: &Symbol,
    report: &mut Report,
) -> Result<relakit_symbol, Failed> {
    let name = symbols.name(symbol).or_report(report)?;
    Ok(relakit_symbol {
        struct_size: 0,
        st_shndx: u32::from(symbol.st_shndx),
        st_info: u32::from(symbol.st_info),
        index: symbol.index(),
        name: name.as_ptr().cast(),
        name_len: name.len(),
        st_value: symbol.st_value,
        st_size: symbol.st_size,
    })
}

/// When Linux first reads a special section: a RELAKIT_READ_ number.
pub type relakit_read_at = u32;
/// Before relocation. A relocation that changes the section has no effect on what Linux reads.
pub const RELAKIT_READ_AT_LOAD: u32 = 1;
/// Right after relocation, before the code is executable: alternatives, paravirt, return sites.
pub const RELAKIT_READ_AT_FINALIZE: u32 = 2;
/// After RELAKIT_READ_AT_FINALIZE and before the module's state is COMING: ftrace.
pub const RELAKIT_READ_AT_FORMATION: u32 = 3;
/// In the COMING notifiers: jump labels, static calls, tracepoints.
pub const RELAKIT_READ_AT_COMING: u32 = 4;
/// After the notifiers, before or in the module's init function.
pub const RELAKIT_READ_AT_INIT: u32 = 5;
/// On demand, for example for a page fault, a trap or a file read.
pub const RELAKIT_READ_ON_DEMAND: u32 = 6;
/// Never.
pub const RELAKIT_READ_NEVER: u32 = 7;

/// A special section: a section that Linux recognises by its name. If several Linux versions have
/// the same rules, see `profile` in struct relakit_options, the members describe the oldest of
/// them. With a profile that is not of Linux, they describe the oldest version relakit knows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_special {
    /// sizeof(struct relakit_special), set by the caller.
    pub struct_size: u32,
    /// When Linux first reads the section: a RELAKIT_READ_ number.
    pub read_at: relakit_read_at,
    /// Size of each entry in bytes. 0 if it is not fixed.
    pub entry_size: u32,
    /// 1 if Linux patches the instructions to which the entries point, otherwise 0.
    pub rewrites_code: u32,
}

/// Fills *special with the description of section `section_index`, if it is a special section.
///
/// Stage: RELAKIT_STAGE_LOADED, because special sections must not be read before all early
/// relocations are applied. Returns RELAKIT_OK, or RELAKIT_NOT_FOUND if the section does not exist,
/// is not a special section or is not in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_special(
    module: *mut relakit_module,
    section_index: u32,
    special: *mut relakit_special,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(special, 3, report) }?;
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        let version = loaded.module().profile().since;
        let Some(special) = special::of_section(loaded, section_index) else { return Ok(RELAKIT_NOT_FOUND) };
        out.set(&relakit_special {
            struct_size: 0,
            read_at: read_at(special.first_read(version)),
            entry_size: special.entry_size(version).map_or(0, u32::from),
            rewrites_code: u32::from(matches!(special.effect, Effect::Rewrites | Effect::UpdatesAndRewrites)),
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Returns the RELAKIT_READ_ number.
const fn read_at(read_at: Option<ReadAt>) -> u32 {
    match read_at {
        Some(ReadAt::Load) => RELAKIT_READ_AT_LOAD,
        Some(ReadAt::Finalize) => RELAKIT_READ_AT_FINALIZE,
        Some(ReadAt::Formation) => RELAKIT_READ_AT_FORMATION,
        Some(ReadAt::Coming) => RELAKIT_READ_AT_COMING,
        Some(ReadAt::Init) => RELAKIT_READ_AT_INIT,
        Some(ReadAt::OnDemand) => RELAKIT_READ_ON_DEMAND,
        _ => RELAKIT_READ_NEVER,
    }
}
