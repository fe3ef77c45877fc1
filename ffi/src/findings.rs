//! Level 3: findings, which are mistakes in a module that Linux accepts.

use crate::error::{Failed, OrReport, Report};
use crate::module::retained_spans;
use crate::pointers::{Piece, Span};
use crate::relocate::profile;
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};
use core::ptr;
use relakit::{Module, Profile};
use relakit_linux::findings;
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::special::Version;

/// relakit_finding.severity: information. It is not a mistake by itself.
pub const RELAKIT_SEVERITY_INFO: i32 = 1;
/// relakit_finding.severity: probably a mistake.
pub const RELAKIT_SEVERITY_WARNING: i32 = 2;
/// relakit_finding.severity: the module will not work, or will do harm.
pub const RELAKIT_SEVERITY_ERROR: i32 = 3;

/// relakit_finding.other_section is valid: a section index.
pub const RELAKIT_ERROR_HAS_OTHER_SECTION: u32 = 16;
/// relakit_finding.other_entry is valid: the index of a relocation in `other_section`, from 0.
pub const RELAKIT_ERROR_HAS_OTHER_ENTRY: u32 = 32;

/// Something suspicious in a module that Linux does not report when it loads the module. Linux can
/// load a module in spite of its findings. The functions that load a module return the errors that
/// prevent loading. The size of this struct never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_finding {
    /// Number of the kind of finding, called a lint. relakit_lint_name, relakit_lint_message and
    /// relakit_lint_help return its texts. A number is never reused.
    pub lint: i32,
    /// A RELAKIT_SEVERITY_ number. All findings of a lint have the same one.
    pub severity: i32,
    /// RELAKIT_ERROR_HAS_ flags of the next five members. Others are 0.
    pub has: u32,
    /// Section index. For a relocation, the relocation section, not the target section.
    pub section: u32,
    /// Index of the symbol in the symbol table.
    pub symbol: u32,
    /// Index of another section. relakit_lint_field_name says which one.
    pub other_section: u32,
    /// Index of the relocation in its section, counted from 0.
    pub entry: u64,
    /// Index of a relocation in `other_section`, counted from 0.
    pub other_entry: u64,
    /// r_offset of the relocation, in bytes. 0 if the finding is not about a single relocation.
    pub offset: u64,
    /// A length, the content of a field, or another number. relakit_lint_field_name says which.
    pub value: u64,
    /// A second number, often the one that `value` was compared with.
    pub limit: u64,
}

/// Called once for each finding. *finding is valid during the call. `ctx` is the argument of
/// relakit_module_findings or relakit_module_section_findings.
pub type relakit_finding_fn = Option<unsafe extern "C" fn(ctx: *mut c_void, finding: *const relakit_finding)>;

/// Checks the file of a module for mistakes that Linux accepts, and calls `report` for each.
///
/// Examples: names that match no object or symbol, late relocations for an object that the module
/// does not patch, relocations that are never applied, late relocations of sections that Linux has
/// already read or freed. The call changes neither the module nor the file.
///
/// - `kernel` is the version that loads the module: RELAKIT_LINUX(major, minor), or 0 for the first
///   version of the module's profile. It decides when Linux reads each special section. With a
///   profile that is not of Linux, 0 means the oldest version that relakit knows.
/// - `scratch` is a caller-provided buffer of `count` entries. The call overwrites it. `count` must
///   be at least the larger of `symbol_count` and `section_count` in struct relakit_module_info. To
///   learn the number, pass NULL and 0: the call reports nothing and returns
///   RELAKIT_ERR_VALUES_TOO_SHORT with the number in error->limit.
/// - `ctx` is passed to `report`.
///
/// The findings are not sorted. Each is about one section, symbol or relocation. A bad file can
/// have more findings than relocations. With n symbols, sections and relocations the call takes at
/// most n log n steps, without the time of the callbacks.
///
/// Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, also if there are findings,
/// or RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_PROFILE (`kernel` is neither 0 nor RELAKIT_LINUX(5,
/// 8) or later).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_findings(
    module: *mut relakit_module,
    kernel: u32,
    scratch: *mut u64,
    count: usize,
    report: relakit_finding_fn,
    ctx: *mut c_void,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, errors: &mut Report| {
        let Some(report) = report else { return Err(errors.refuse(RELAKIT_ERR_CALLBACK, 5, 0)) };
        let module = stage.module().ok_or_else(|| stage.out_of_order(errors))?;
        let version = version(kernel, module, errors)?;
        let scratch = Piece::new(scratch, count, 3, errors)?;
        let [file, plan] = retained_spans(module, errors)?;
        scratch.span.apart_from(&[file, plan, own], 3, errors)?;
        // SAFETY: `apart_from` found that `scratch` overlaps neither file, plan nor state. The
        // caller promises that no other code uses it.
        let scratch = unsafe { scratch.write() };
        let report = &mut |finding| {
            let finding = as_c(&finding);
            // SAFETY: the caller promises that `report` accepts `ctx`; `finding` lives during the
            // call.
            unsafe { report(ctx, &raw const finding) };
        };
        findings::file(module, version, scratch, report).or_report(errors)?;
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Checks only section `section_index`, and calls `report` for each finding.
///
/// It reports the findings of relakit_module_findings that need no other section. It does not check
/// whether the section's object is patched, or whether the section shares symbols with the sections
/// of other objects. `kernel`, `report` and `ctx` are those of relakit_module_findings. The time is
/// linear in the size of the section.
///
/// Stages: every stage before RELAKIT_STAGE_LATE. Returns RELAKIT_OK, also if there are findings,
/// or RELAKIT_ERR_NO_SUCH_SECTION, RELAKIT_ERR_PROFILE (`kernel` is neither 0 nor RELAKIT_LINUX(5,
/// 8) or later).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_section_findings(
    module: *mut relakit_module,
    section_index: u32,
    kernel: u32,
    report: relakit_finding_fn,
    ctx: *mut c_void,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, errors: &mut Report| {
        let Some(report) = report else { return Err(errors.refuse(RELAKIT_ERR_CALLBACK, 4, 0)) };
        let module = stage.module().ok_or_else(|| stage.out_of_order(errors))?;
        let version = version(kernel, module, errors)?;
        let sections = module.object().section_count();
        if section_index >= sections {
            let (section_index, sections) = (u64::from(section_index), u64::from(sections));
            return Err(errors.refuse(RELAKIT_ERR_NO_SUCH_SECTION, section_index, sections));
        }
        findings::section(module, section_index, version, &mut |finding| {
            let finding = as_c(&finding);
            // SAFETY: the caller promises that `report` accepts `ctx`; `finding` lives during the
            // call.
            unsafe { report(ctx, &raw const finding) };
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Converts the argument kernel to a version.
pub(crate) fn version(kernel: u32, module: &Module<'_>, errors: &mut Report) -> Result<Version, Failed> {
    let [minor_low, minor_high, major_low, major_high] = kernel.to_le_bytes();
    match (kernel, profile(kernel)) {
        (RELAKIT_PROFILE_DEFAULT, _) => Ok(module.profile().since),
        (_, Some(profile)) if profile.since != Profile::ELF.since => {
            Ok((u16::from_le_bytes([major_low, major_high]), u16::from_le_bytes([minor_low, minor_high])))
        }
        _ => Err(errors.refuse(RELAKIT_ERR_PROFILE, u64::from(kernel), 0)),
    }
}

fn as_c(finding: &Finding) -> relakit_finding {
    let flag = |is_there: bool, flag: u32| if is_there { flag } else { 0 };
    relakit_finding {
        lint: finding.lint as i32,
        severity: finding.lint.severity() as i32,
        has: flag(finding.section.is_some(), RELAKIT_ERROR_HAS_SECTION)
            | flag(finding.entry.is_some(), RELAKIT_ERROR_HAS_ENTRY)
            | flag(finding.symbol.is_some(), RELAKIT_ERROR_HAS_SYMBOL)
            | flag(finding.other_section.is_some(), RELAKIT_ERROR_HAS_OTHER_SECTION)
            | flag(finding.other_entry.is_some(), RELAKIT_ERROR_HAS_OTHER_ENTRY),
        section: finding.section.unwrap_or(0),
        symbol: finding.symbol.unwrap_or(0),
        other_section: finding.other_section.unwrap_or(0),
        entry: finding.entry.unwrap_or(0),
        other_entry: finding.other_entry.unwrap_or(0),
        offset: finding.offset,
        value: finding.value,
        limit: finding.limit,
    }
}

/// Returns the stable name of a lint, such as "late-into-init", or NULL if no lint has the number.
/// A name never changes, and docs/findings has a page of that name. Lints are numbered from 1
/// without gaps. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_lint_name(lint: i32) -> *const c_char {
    Lint::from_number(lint).map_or(ptr::null(), |lint| lint.c_name().as_ptr())
}

/// Returns the message of a lint, an English text without the values of a finding, or NULL if no
/// lint has the number. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_lint_message(lint: i32) -> *const c_char {
    Lint::from_number(lint).map_or(ptr::null(), |lint| lint.message().as_ptr())
}

/// Returns how to fix a finding of a lint, as English text, or NULL if no lint has the number. The
/// text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_lint_help(lint: i32) -> *const c_char {
    Lint::from_number(lint).map_or(ptr::null(), |lint| lint.help().as_ptr())
}

/// Returns the meaning of a member of the findings of a lint. `member` is 0 for `offset`, 1 for
/// `value`, 2 for `limit`, 3 for `other_section` and `other_entry`. It returns "" if the lint does
/// not use the member, and NULL if `lint` or `member` is unknown. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_lint_field_name(lint: i32, member: u32) -> *const c_char {
    let name = |lint: Lint| match usize::try_from(member).ok()? {
        3 => Some(lint.other_c_name()),
        member => lint.field_c_names().get(member).copied(),
    };
    Lint::from_number(lint).and_then(name).map_or(ptr::null(), CStr::as_ptr)
}
