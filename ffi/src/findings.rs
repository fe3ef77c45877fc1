//! Level 3: what Linux would not notice about a module that loads.

use crate::fault::{Report, Stopped};
use crate::pointers::{Piece, Span};
use crate::relocate::profile;
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use crate::whole::file_span;
use core::ffi::{CStr, c_char, c_void};
use core::ptr;
use relakit::Module;
use relakit::check::{self, Finding, Rule};
use relakit::special::Version;

/// finding->severity: it is so, and nothing is wrong by itself.
pub const RELAKIT_SEVERITY_INFO: i32 = 1;
/// finding->severity: probably not what was meant.
pub const RELAKIT_SEVERITY_WARNING: i32 = 2;
/// finding->severity: it will not work, or will do harm.
pub const RELAKIT_SEVERITY_ERROR: i32 = 3;

/// finding->other_section is a section index.
pub const RELAKIT_HAS_OTHER_SECTION: u32 = 16;
/// finding->other_entry is the index of a relocation in it, counted from 0.
pub const RELAKIT_HAS_OTHER_ENTRY: u32 = 32;

/// Something about a module that Linux would pass over in silence, or get wrong later. A module with findings may load: what
/// Linux refuses is told by the functions that load it. Its size never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_finding {
    /// Which rule. relakit_rule_name and the functions after it have its texts; a number is never reused.
    pub rule: i32,
    /// A RELAKIT_SEVERITY_; the same for all findings of a rule.
    pub severity: i32,
    /// RELAKIT_HAS_SECTION, _ENTRY, _SYMBOL, _OTHER_SECTION and _OTHER_ENTRY: which of the next five members say
    /// something. The others are 0.
    pub has: u32,
    /// Index of the section that it is about: for a relocation the section that holds it, not its target.
    pub section: u32,
    /// Index of the symbol in the symbol table.
    pub symbol: u32,
    /// Index of another section; relakit_rule_number_name says of which.
    pub other_section: u32,
    /// Index of the relocation in its section, counted from 0.
    pub entry: u64,
    /// The same in the other section.
    pub other_entry: u64,
    /// r_offset, in bytes; 0 when the finding is not about one relocation.
    pub offset: u64,
    /// The number that it is about: a length, what a field holds. relakit_rule_number_name says what it is.
    pub value: u64,
    /// What the number was held against.
    pub limit: u64,
}

/// Hears of a finding, which is there for the time of the call. ctx is what the function was given. A callback may call any
/// function of relakit, but not for the module that it is called for.
pub type relakit_report = Option<unsafe extern "C" fn(ctx: *mut c_void, finding: *const relakit_finding)>;

/// Looks at the whole file of a module, and calls report for everything that Linux would not notice: names that cannot match,
/// relocations that wait for an object that is not patched or are never applied, late relocations into what is gone or was
/// read by then. Nothing is changed. Not after relakit_module_keep.
///
/// kernel is RELAKIT_LINUX(major, minor), the version that is to load the module: it says which sections are read early. 0 is the
/// first version that the module's profile is true for. scratch is lent: count entries, one a symbol; its content is lost.
/// Livepatch symbols that two objects share are found as far as it reaches, so it may be NULL with a count of 0.
///
/// Findings come in no order, one for each place: many, where a file is bad throughout.
///
/// Returns RELAKIT_OK, whatever was found, or what relakit_module_init says of all functions. RELAKIT_ERR_PROFILE: kernel is
/// older than 5.8. RELAKIT_ERR_CALLBACK: report is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_findings(
    module: *mut relakit_module,
    kernel: u32,
    scratch: *mut u64,
    count: usize,
    report: relakit_report,
    ctx: *mut c_void,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, faults: &mut Report| {
        let Some(report) = report else { return Err(faults.refuse(RELAKIT_ERR_CALLBACK, 5, 0)) };
        let module = stage.module().ok_or_else(|| stage.out_of_order(faults))?;
        let version = version(kernel, module, faults)?;
        let scratch = Piece::new(scratch, count, 3, faults)?;
        scratch.span.apart_from(&[file_span(module, faults)?, own], 3, faults)?;
        // SAFETY: the caller's promise; it does not overlap the file.
        let scratch = unsafe { scratch.write() };
        check::file(module, version, scratch, &mut |finding| {
            let finding = as_c(&finding);
            // SAFETY: the caller's promise.
            unsafe { report(ctx, &raw const finding) };
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// The same for section index alone, as far as it can be told without the others: not whether its object is patched, or
/// which symbols it shares. So a tool that shows sections can show what is wrong beside each, for what one section costs.
///
/// Returns what relakit_module_findings returns, and RELAKIT_ERR_NO_SUCH_SECTION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_section_findings(
    module: *mut relakit_module,
    index: u32,
    kernel: u32,
    report: relakit_report,
    ctx: *mut c_void,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, _: Span, faults: &mut Report| {
        let Some(report) = report else { return Err(faults.refuse(RELAKIT_ERR_CALLBACK, 4, 0)) };
        let module = stage.module().ok_or_else(|| stage.out_of_order(faults))?;
        let version = version(kernel, module, faults)?;
        let sections = module.object().section_count();
        if index >= sections {
            let (index, sections) = (u64::from(index), u64::from(sections));
            return Err(faults.refuse(RELAKIT_ERR_NO_SUCH_SECTION, index, sections));
        }
        check::section(module, index, version, &mut |finding| {
            let finding = as_c(&finding);
            // SAFETY: the caller's promise.
            unsafe { report(ctx, &raw const finding) };
        });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller's promise.
    unsafe { state::on(module, error, call) }
}

/// The version of Linux that is meant.
fn version(kernel: u32, module: &Module<'_>, faults: &mut Report) -> Result<Version, Stopped> {
    let [minor_low, minor_high, major_low, major_high] = kernel.to_le_bytes();
    match (kernel, profile(kernel)) {
        (RELAKIT_PROFILE_DEFAULT, _) => Ok(module.profile().since),
        (RELAKIT_PROFILE_ELF, _) | (_, None) => Err(faults.refuse(RELAKIT_ERR_PROFILE, u64::from(kernel), 0)),
        _ => Ok((u16::from_le_bytes([major_low, major_high]), u16::from_le_bytes([minor_low, minor_high]))),
    }
}

fn as_c(finding: &Finding) -> relakit_finding {
    let flag = |is_there: bool, flag: u32| if is_there { flag } else { 0 };
    relakit_finding {
        rule: finding.rule as i32,
        severity: finding.rule.severity() as i32,
        has: flag(finding.section.is_some(), RELAKIT_HAS_SECTION)
            | flag(finding.entry.is_some(), RELAKIT_HAS_ENTRY)
            | flag(finding.symbol.is_some(), RELAKIT_HAS_SYMBOL)
            | flag(finding.other_section.is_some(), RELAKIT_HAS_OTHER_SECTION)
            | flag(finding.other_entry.is_some(), RELAKIT_HAS_OTHER_ENTRY),
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

fn rule_of(number: i32) -> Option<Rule> {
    Rule::ALL.iter().copied().find(|rule| *rule as i32 == number)
}

/// The stable name of a rule, such as "late-into-init": it never changes, and docs/findings has a page under it. Rules are
/// numbered from 1 without gaps; NULL for a number that is none. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_rule_name(rule: i32) -> *const c_char {
    rule_of(rule).map_or(ptr::null(), |rule| rule.c_name().as_ptr())
}

/// What a rule says, as a sentence in English without the numbers; NULL for a number that is none. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_rule_message(rule: i32) -> *const c_char {
    rule_of(rule).map_or(ptr::null(), |rule| rule.message().as_ptr())
}

/// What to do about it, in English; NULL for a number that is none. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_rule_help(rule: i32) -> *const c_char {
    rule_of(rule).map_or(ptr::null(), |rule| rule.help().as_ptr())
}

/// What a finding's offset (which = 0), value (1) or limit (2) is, or its other section and relocation (3); the empty string
/// when the rule does not use it, NULL for a rule or which that is none. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_rule_number_name(rule: i32, which: u32) -> *const c_char {
    let name = |rule: Rule| {
        let [offset, value, limit] = rule.number_c_names();
        let names = [offset, value, limit, rule.other_c_name()];
        usize::try_from(which).ok().and_then(|which| names.get(which).copied())
    };
    rule_of(rule).and_then(name).map_or(ptr::null(), CStr::as_ptr)
}
