//! Level 3: the global offset table of a module.

use crate::error::{OrReport, Report};
use crate::got::{RELAKIT_GOT_ENDBR, RELAKIT_GOT_STUBS, got_flags, relakit_got_flags};
use crate::module::retained_spans;
use crate::pointers::{Out, Piece, Span};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;

/// The GOT of a module: one more section, which is not in the file. Its memory is an element of
/// relakit_memory.sections like that of the others. All members are 0 if no GOT is needed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_got_section {
    /// Its section index: the number of sections in the file.
    pub section: u32,
    /// RELAKIT_GROUP_RODATA, or with RELAKIT_GOT_STUBS, RELAKIT_GROUP_TEXT.
    pub group: u32,
    /// Its size in bytes.
    pub size: u64,
    /// The alignment of its address in bytes: a power of two.
    pub align: u64,
}

/// Finds out which GOT a module needs, so that objects which were compiled with default flags can
/// be loaded. Without this call, relocations that refer to a GOT are RELAKIT_ERR_UNKNOWN_TYPE.
///
/// - `words` is a buffer of `count` words, at least relakit_got_words(number of symbols). It is
///   retained: it must not change until relakit_module_retain has succeeded or the caller stops
///   using the module. The call overwrites it.
/// - `flags` is RELAKIT_GOT_STUBS (undefined symbols that the module calls have stubs),
///   RELAKIT_GOT_ENDBR, both, or 0.
/// - *got is the GOT. relakit_module_layout then contains it. relakit_module_fill or the caller sets
///   it to 0, and relakit_module_early writes it together with the sections, or changes nothing.
///
/// Only RELAKIT_PROFILE_ELF has these types. Late relocations cannot use the GOT.
/// Stage: RELAKIT_STAGE_PARSED. Returns RELAKIT_OK, or RELAKIT_ERR_GOT_PLAN_TOO_SHORT,
/// RELAKIT_ERR_TOO_MANY_SECTIONS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_plan(
    module: *mut relakit_module,
    words: *mut u64,
    count: usize,
    flags: relakit_got_flags,
    got: *mut relakit_got_section,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Parsed(module) = &*stage else { return Err(stage.out_of_order(report)) };
        if flags & !(RELAKIT_GOT_STUBS | RELAKIT_GOT_ENDBR) != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, 4, u64::from(flags)));
        }
        // SAFETY: the caller promises that `got` is NULL or writable.
        let out = unsafe { Out::new(got, 5, report) }?;
        let words = Piece::new(words, count, 2, report)?;
        let [file, plan] = retained_spans(module, report)?;
        words.span.apart_from(&[file, plan, own], 2, report)?;
        // SAFETY: `apart_from` found that the words overlap neither file, plan nor state. The
        // caller promises that only the module uses them.
        let planned = module.plan(unsafe { words.write() }, got_flags(flags)).or_report(report)?;
        let [section, group] = planned.got().map_or([0; 2], |got| [got.section, got.group as u32]);
        let [size, align] = planned.got().map_or([0; 2], |got| [got.size, got.align]);
        *stage = Stage::Parsed(planned);
        out.set(relakit_got_section { section, group, size, align });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}
