//! Verification of one table, of a module, and of writes to its code.

use crate::callbacks::{CResolver, CValues, CVerifier};
use crate::error::{Failed, OrReport, Report, answer};
use crate::findings::version;
use crate::memory::{CMemory, relakit_memory};
use crate::module::retained_spans;
use crate::pointers::{Count, ObjectName, Out, Piece, Span, VersionedOut, plain};
use crate::relocate::{Options, arrays};
use crate::resolver::relakit_resolver;
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::target::CTarget;
use crate::types::*;
use crate::verifier::*;
use core::ffi::{c_char, c_void};
use core::mem::{MaybeUninit, align_of, size_of};
use core::ptr;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, Values};
use relakit::verify::{self, Difference};
use relakit::{Loaded, Profile};
use relakit_linux::special::{self, Place};
use relakit_linux::verify::{self as linux, Cause, Kernel, Mismatch, Seen};

/// Applies one relocation table to `target`, and compares the result with what `verifier`
/// reads at its run-time address.
///
/// The arguments are those of relakit_apply. target->bytes has the content of the section
/// before relocation, and target->writer is NULL. After the call, it has the relocated
/// content, or what was found where a relocation is wrong. relakit calls only `read` and
/// `report` of the verifier.
///
/// Returns RELAKIT_OK, also if there are differences, an error as in relakit_apply, with which
/// nothing is compared and the bytes are as before, or RELAKIT_ERR_READER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_verify(
    rela: *const c_void,
    rela_size: usize,
    symbols: *const relakit_symbols,
    target: *const relakit_target,
    options: *const relakit_options,
    verifier: *const relakit_verifier,
    verified: *mut relakit_verified,
    error: *mut relakit_error,
) -> relakit_status {
    let call = |report: &mut Report| {
        // SAFETY: the caller promises that `symbols` is NULL or a readable struct.
        let symbols = unsafe { plain(symbols, 3, report) }?;
        // SAFETY: the caller promises that `target` is NULL or a readable struct.
        let target = unsafe { plain(target, 4, report) }?;
        let rules = match options.is_null() {
            true => RelocFlags::empty(),
            // SAFETY: the caller promises that `options` is NULL or readable for its struct_size.
            false => unsafe { Options::new(options, 5, report) }?.reloc_flags(report)?,
        };
        // SAFETY: the caller promises that the verifier is NULL or a readable struct, whose
        // callbacks accept its `ctx`.
        let verifier = unsafe { CVerifier::new(verifier, 6, report) }?;
        // SAFETY: the caller promises that `verified` is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(verified, 7, report) }?;
        let rela = Piece::<u8>::new(rela.cast(), rela_size, 1, report)?;
        let (source, callback);
        let (values, symbols_span) = match symbols.value {
            // SAFETY: the caller promises readable arrays; a target that overlaps them is refused
            // before it is written.
            None => unsafe { arrays(&symbols, 3, report) }?,
            Some(_) if symbols.values.is_null() && symbols.symtab.is_null() => {
                // SAFETY: the caller promises that the callback accepts `ctx`.
                source = unsafe { CValues::new(&symbols) };
                callback = source.callback();
                (Values::Callback { count: symbols.count, callback: &callback }, Span::EMPTY)
            }
            Some(_) => return Err(report.refuse(RELAKIT_ERR_SYMBOLS, 3, 0)),
        };
        // SAFETY: `Piece::new` checked the pointer; the caller promises readable bytes. A target
        // that overlaps them is refused before it is written.
        let (table, rest) = RelaTable::whole_entries(unsafe { rela.read() });
        if rest != 0 {
            return Err(report.refuse(RELAKIT_ERR_PARTIAL_ENTRY, rela_size as u64, rest as u64));
        }
        if !target.writer.is_null() {
            return Err(report.refuse(RELAKIT_ERR_NOT_PLAIN, 0, 0));
        }
        let mut target = CTarget::new(target);
        // SAFETY: `target` has no writer, so nothing of it is read but its members.
        unsafe { target.check(&[rela.span, symbols_span], 4, report) }?;
        // SAFETY: `CTarget::check` found that the memory overlaps neither the table nor the values. The
        // caller promises that it is writable and that no other code uses it.
        let expected = unsafe { target.write() };
        let (mut reader, _, mut on) = verifier.split();
        let on = &mut |difference: &Difference| on(&as_c(difference));
        let found = verify::section(table, values, expected, rules, &mut reader, on).or_report(report)?;
        out.set(&relakit_verified { bytes: found.bytes, differences: found.differences, ..NOTHING });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that `error` is NULL or writable.
    unsafe { answer(error, call) }
}

const NOTHING: relakit_verified =
    relakit_verified { struct_size: 0, reserved: 0, bytes: 0, flexible: 0, not_judged: 0, differences: 0 };

/// Applies the late relocations for `object` to `memory`, or changes nothing, and sets
/// *section_total to the number of its sections. It is for the expected content of a
/// verification: it reads the file and needs no retained state. A loader uses
/// relakit_module_coming.
///
/// `memory`, `values` and `count` are those of relakit_module_early. The call overwrites the
/// values of livepatch symbols.
///
/// Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, a pass error, RELAKIT_ERR_NOT_A_MODULE
/// (empty or "vmlinux"), RELAKIT_ERR_VALUES_TOO_SHORT, RELAKIT_ERR_TARGET_NOT_ZERO (already
/// applied), RELAKIT_ERR_NOT_ASSIGNED, RELAKIT_ERR_ASSIGNED_SIZE, or an error of the resolver
/// as in relakit_module_coming.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_apply_late(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    values: *mut u64,
    count: usize,
    resolver: *const relakit_resolver,
    section_total: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        let [file, plan] = retained_spans(loaded.module(), report)?;
        let values = Piece::new(values, count, 4, report)?;
        values.span.apart_from(&[file, plan, own], 4, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 3, &[file, plan, own, values.span], report) }?;
        // SAFETY: the caller promises that the resolver is NULL or a readable struct, whose
        // callbacks accept its `ctx`.
        let mut resolver = unsafe { CResolver::new(resolver, 6, report) }?;
        // SAFETY: the caller promises that `section_total` is NULL or writable.
        let section_total = unsafe { Count::new(section_total, 7, report) }?;
        // SAFETY: `apart_from` found that the array overlaps neither file, plan nor state, and
        // `CMemory` that no section overlaps it. The caller promises that no other code uses it.
        let values = unsafe { values.write() };
        let total = loaded.apply_late(object.bytes(), &mut memory, values, &mut resolver);
        section_total.set(total.or_report(report)?);
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Sets *is_applied to 1 if the late relocations for `object` are applied to the memory that
/// `verifier` reads, or to 0. They are if one of their fields is not as in `memory`, to which
/// they are not applied. Then call relakit_module_apply_late before relakit_module_verify.
///
/// With a profile of Linux before RELAKIT_LINUX(6, 3), fields stay applied when the object
/// goes.
///
/// Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, or an error as in relakit_module_verify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_is_applied(
    module: *mut relakit_module,
    object: *const c_char,
    memory: *const relakit_memory,
    verifier: *const relakit_verifier,
    is_applied: *mut u32,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `object` is NULL or a string that ends with NUL.
        let object = unsafe { ObjectName::new(object, 2, report) }?;
        let [file, plan] = retained_spans(loaded.module(), report)?;
        let others = [file, plan, own];
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 3, &others, report) }?;
        // SAFETY: the caller promises that the verifier is NULL or a readable struct, whose
        // callbacks accept its `ctx`.
        let verifier = unsafe { CVerifier::new(verifier, 4, report) }?;
        // SAFETY: the caller promises that `is_applied` is NULL or writable.
        let out = unsafe { Out::new(is_applied, 5, report) }?;
        let applied = loaded.is_applied(object.bytes(), &mut memory, &mut verifier.split().0);
        out.set(u32::from(applied.or_report(report)?));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Compares the code and the constants of a module with what they should be, and calls
/// verifier->report for each difference.
///
/// - `memory` has the expected content, in plain memory. After the call, it has what was found
///   where Linux rewrites code or a relocation is wrong, so it is good for one verification.
/// - `kernel` is the version that runs the module: RELAKIT_LINUX(major, minor), or 0 for the
///   first version of the module's profile. It decides which code Linux rewrites, and in which
///   forms. With 0 and a profile that is not of Linux, no code is rewritten.
/// - `scratch` is a caller-provided buffer of `count` entries, at least three for each
///   section. The call overwrites it.
///
/// The time is linear in the sizes of the file and of the memory, apart from sorting: n log n
/// steps for n sections or entries of a table.
///
/// Stage: RELAKIT_STAGE_LOADED. Returns RELAKIT_OK, also if there are differences, or
/// RELAKIT_ERR_READER, RELAKIT_ERR_NOT_PLAIN, RELAKIT_ERR_ASSIGNED_SIZE,
/// RELAKIT_ERR_ADDRESS_WRAPS, RELAKIT_ERR_VALUES_TOO_SHORT (`scratch`), RELAKIT_ERR_PROFILE
/// (`kernel`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_verify(
    module: *mut relakit_module,
    memory: *const relakit_memory,
    verifier: *const relakit_verifier,
    kernel: u32,
    scratch: *mut u64,
    count: usize,
    verified: *mut relakit_verified,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let Stage::Loaded(loaded) = &*stage else { return Err(stage.out_of_order(report)) };
        // SAFETY: the caller promises that `verified` is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(verified, 7, report) }?;
        let [file, plan] = retained_spans(loaded.module(), report)?;
        let version = linux_version(kernel, loaded, report)?;
        let scratch = Scratch::new(scratch, count, 5, report)?;
        scratch.span().apart_from(&[file, plan, own], 5, report)?;
        // SAFETY: the caller promises readable structs, section memory, and callbacks that accept
        // their `ctx`. The list has all other memory that the call borrows.
        let mut memory = unsafe { CMemory::new(memory, 2, &[file, plan, own, scratch.span()], report) }?;
        // SAFETY: the caller promises that the verifier is NULL or a readable struct, whose
        // callbacks accept its `ctx`.
        let verifier = unsafe { CVerifier::new(verifier, 3, report) }?;
        let policies = verifier.policies(3, report)?;
        let (mut reader, mut known, mut on) = verifier.split();
        let Some(version) = version else {
            let on = &mut |difference: &Difference| on(&as_c(difference));
            let found = loaded.verify(&mut memory, &mut reader, on).or_report(report)?;
            let relakit::verify::Verified { bytes, not_judged, differences, .. } = found;
            out.set(&relakit_verified { bytes, not_judged, differences, ..NOTHING });
            return Ok(RELAKIT_OK);
        };
        // SAFETY: `apart_from` found that the buffer overlaps neither file, plan nor state, and
        // `CMemory` that no section overlaps it. The caller promises that no other code uses it.
        let places = unsafe { scratch.fill(loaded, &memory, report) }?;
        let mut kernel = Kernel::new(version, &mut known);
        kernel.policies = policies;
        let on = &mut |mismatch: &Mismatch| on(&mismatch_as_c(mismatch));
        let found = linux::verify(loaded, &mut memory, &mut reader, &mut kernel, places, on);
        let linux::Verified { bytes, flexible, not_judged, mismatches, .. } = found.or_report(report)?;
        out.set(&relakit_verified { bytes, flexible, not_judged, differences: mismatches, ..NOTHING });
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// Converts the argument kernel to a version. `None` if neither it nor the profile is of Linux.
pub(crate) fn linux_version(
    kernel: u32,
    loaded: &Loaded<'_>,
    report: &mut Report,
) -> Result<Option<special::Version>, Failed> {
    let version = version(kernel, loaded.module(), report)?;
    Ok(Some(version).filter(|version| *version != Profile::ELF.since))
}

/// A caller-provided buffer for the places of a module's sections: argument `number`.
pub(crate) struct Scratch {
    places: Piece<MaybeUninit<Place>>,
    words: usize,
}

/// Number of entries of the buffer that a place needs.
const PLACE_WORDS: usize = 3;
const _: () = assert!(size_of::<Place>() <= PLACE_WORDS * size_of::<u64>());
const _: () = assert!(align_of::<Place>() <= align_of::<u64>());

impl Scratch {
    pub(crate) fn new(
        start: *mut u64,
        count: usize,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // Checks the alignment of the entries, too.
        Piece::new(start, count, number, report)?;
        let places = Piece::new(start.cast(), count / PLACE_WORDS, number, report)?;
        Ok(Self { places, words: count })
    }

    pub(crate) const fn span(&self) -> Span {
        self.places.span
    }

    /// Stores the places of the sections, and returns them in their order.
    ///
    /// # Safety
    /// Only the returned slice reads and writes the buffer for `'a`.
    pub(crate) unsafe fn fill<'a>(
        self,
        loaded: &Loaded<'_>,
        memory: &CMemory<'_>,
        report: &mut Report,
    ) -> Result<&'a [Place], Failed> {
        let sections = loaded.module().object().section_count() as usize;
        let needed = sections.saturating_mul(PLACE_WORDS);
        if self.words < needed {
            return Err(report.refuse(RELAKIT_ERR_VALUES_TOO_SHORT, self.words as u64, needed as u64));
        }
        // SAFETY: `new` checked the pointer, and `MaybeUninit` may hold anything. `fill`'s caller
        // promises exclusive access.
        let slots = unsafe { self.places.write() };
        let mut count = 0usize;
        for (slot, place) in slots.iter_mut().zip(special::places(loaded.module(), memory)) {
            slot.write(place);
            count = count.saturating_add(1);
        }
        let filled = slots.get_mut(..count).unwrap_or_default();
        // SAFETY: the loop has written the first `count` slots, so each of them holds a `Place`.
        let places = unsafe { &mut *(ptr::from_mut(filled) as *mut [Place]) };
        relakit::sort::sort(places, &|one, other| one.cmp(&other));
        Ok(places)
    }
}

/// A difference without cause.
fn as_c(difference: &Difference) -> relakit_difference {
    let Difference { section, offset, address, size, expected, found, relocation, .. } = *difference;
    let shown = found.as_slice().len().min(expected.as_slice().len());
    let excerpt = |bytes: &[u8]| {
        let mut excerpt = [0; RELAKIT_EXCERPT_SIZE];
        excerpt.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        excerpt
    };
    let plain = relakit_difference {
        cause: RELAKIT_CAUSE_CONTENT,
        section,
        offset,
        address,
        size,
        other_section: 0,
        r_type: 0,
        entry: 0,
        symbol: 0,
        role: 0,
        leads_to: 0,
        expected_value: 0,
        seen: RELAKIT_SEEN_OTHER,
        shown: u32::try_from(shown).unwrap_or(0),
        expected: excerpt(expected.as_slice()),
        found: excerpt(found.as_slice()),
    };
    match relocation {
        None => plain,
        Some(field) => relakit_difference {
            cause: RELAKIT_CAUSE_RELOCATION,
            other_section: field.section,
            r_type: field.rela.r_type,
            entry: field.entry,
            symbol: field.rela.r_sym,
            leads_to: field.leads_to,
            expected_value: field.expected,
            ..plain
        },
    }
}

fn mismatch_as_c(mismatch: &Mismatch) -> relakit_difference {
    let mut as_c = as_c(&mismatch.difference);
    match mismatch.cause {
        Cause::PatchSite { role, section, entry } => {
            (as_c.cause, as_c.role) = (RELAKIT_CAUSE_PATCH_SITE, role as u32);
            (as_c.other_section, as_c.entry) = (section, entry);
        }
        Cause::Table { section, entry } => {
            (as_c.cause, as_c.other_section, as_c.entry) = (RELAKIT_CAUSE_TABLE, section, entry);
        }
        _ => {}
    }
    match mismatch.seen {
        Seen::Breakpoint => as_c.seen = RELAKIT_SEEN_BREAKPOINT,
        Seen::Branch { to } => (as_c.seen, as_c.leads_to) = (RELAKIT_SEEN_BRANCH, to),
        _ => {}
    }
    as_c
}
