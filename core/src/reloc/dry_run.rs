//! The passes that only read.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::transaction::Sections;
use super::{RelocFlags, Target, Values, View};
use crate::arch;
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind};
use crate::report::{Failed, Report, capture};
use core::ops::Range;

/// Checks whether [`apply`](super::apply) would succeed. Only reads.
///
/// # Errors
/// - The error that `apply` would return.
/// - [`FieldsNotAscending`](ErrorKind::FieldsNotAscending): a field begins before the end of the field before it.
///   Then the content that one entry writes may decide about a later entry. The tables of linkers
///   ascend. With [`RelocFlags::ALLOW_NONZERO`] the order does not matter.
#[inline]
pub fn dry_run(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut View<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    Pass::new(table, values, rules).dry_run(target)
}

/// Continues after `done` entries; the field of the last one ends at `end`. It takes a copy, as
/// `Pass::run_rest` does.
#[cold]
#[inline(never)]
fn check_rest(pass: Pass<'_>, target: &mut Target<'_>, done: usize, end: u64) -> Result<(), Error> {
    capture(|report| {
        let mut run = Run { pass: &pass, target, report, syncs: false, skipped: false };
        run.check_pass()?;
        let Some(index) = run.check_all(done, end)? else { return Ok(()) };
        if pass.overwrites(Op::Apply) {
            return Ok(());
        }
        let offset = pass.table.get(index).map_or(0, |rela| rela.r_offset);
        let failed = report.fail(ErrorKind::FieldsNotAscending, 0, 0);
        Err(report.of_entry(failed, index, offset))
    })
}

/// Returns the errors of all entries. Each entry is checked by itself against the present bytes.
///
/// This is for tools that list all errors. [`apply`](super::apply) returns the first. Every entry has the
/// error [`FlagsConflict`](ErrorKind::FlagsConflict) if flags exclude each other, or
/// [`AddressWraps`](ErrorKind::AddressWraps) if the target wraps past 2^64.
pub fn errors<'a>(
    table: RelaTable<'a>,
    values: Values<'a>,
    target: &'a mut View<'_>,
    rules: RelocFlags,
) -> impl Iterator<Item = Error> {
    let pass = Pass::new(table, values, rules);
    let target = &mut target.0;
    (0..table.len()).filter_map(move |index| {
        capture(|report| {
            let mut run = Run { pass: &pass, target, report, syncs: false, skipped: false };
            run.check_pass()?;
            run.entry(Op::Apply, Phase::Check, index)
        })
        .err()
    })
}

/// Passes every error of the sections to `sink`, and writes nothing. The entries of a section are checked
/// only if all its symbols are resolved, and each by itself against the present bytes.
pub(crate) fn list_errors(sections: &mut dyn Sections, numbers: Range<u32>, sink: &mut dyn FnMut(Error)) {
    for number in numbers {
        let mut resolved = true;
        let prepared = capture(|report| {
            sections.prepare(
                number,
                &mut |failed, report| {
                    resolved = false;
                    sink(*report.error(failed));
                    Ok(())
                },
                report,
            )
        });
        let belongs = prepared.unwrap_or_else(|error| {
            sink(error);
            false
        });
        let mut next = Some(0).filter(|_| belongs && resolved);
        while let Some(from) = next.take() {
            let checked = capture(|report| check_section(sections, number, from, &mut next, report));
            checked.err().into_iter().for_each(&mut *sink);
        }
    }
}

/// Checks the entries of section `number` from entry `from` to the first error. `next` is then the entry
/// after that.
fn check_section(
    sections: &mut dyn Sections,
    number: u32,
    from: usize,
    next: &mut Option<usize>,
    report: &mut Report,
) -> Result<(), Failed> {
    let Some((pass, mut target)) = sections.section(number, report)? else { return Ok(()) };
    let mut run = Run { pass: &pass, target: &mut target, report, syncs: false, skipped: false };
    run.check_pass()?;
    for index in from..pass.table.len() {
        if let Err(failed) = run.entry(Op::Apply, Phase::Check, index) {
            *next = index.checked_add(1);
            return Err(sections.locate(number, failed, report));
        }
    }
    Ok(())
}

impl Run<'_, '_> {
    /// Checks the flags, the address and every entry, see [`check_all`](Self::check_all).
    pub(super) fn check(&mut self) -> Result<Option<usize>, Failed> {
        self.check_pass()?;
        self.check_all(0, 0)
    }

    /// Checks every entry by itself from `index` on; the field before it ends at `end`. Returns the
    /// first entry whose field begins before the end of the field before it. In plain memory whose
    /// fields must be zero the checks end there, because only writing can tell which error comes first.
    pub(super) fn check_all(&mut self, mut index: usize, mut end: u64) -> Result<Option<usize>, Failed> {
        let mut unordered = None;
        loop {
            if let Some(bytes) = self.target.bytes() {
                (index, end) = self.pass.check_frequent_types(bytes, self.target.address(), index, end);
            }
            let Some(rela) = self.pass.table.get(index) else { return Ok(unordered) };
            let size = self.pass.field_size(rela);
            if size != 0 && rela.r_offset < end {
                unordered = unordered.or(Some(index));
                if self.target.bytes().is_some() && !self.pass.overwrites(Op::Apply) {
                    return Ok(unordered);
                }
            }
            self.entry(Op::Apply, Phase::Check, index)?;
            if size != 0 {
                end = rela.r_offset.saturating_add(size);
            }
            index = index.saturating_add(1);
        }
    }
}

impl Pass<'_> {
    /// See [`dry_run`].
    #[inline(always)]
    pub(super) fn dry_run(self, target: &mut View<'_>) -> Result<(), Error> {
        let target = &mut target.0;
        let (mut done, mut end) = (0, 0);
        if self.may_start(target)
            && let Some(bytes) = target.bytes()
        {
            (done, end) = self.check_frequent_types(bytes, target.address(), 0, 0);
            if done == self.table.len() {
                return Ok(());
            }
        }
        check_rest(self, target, done, end)
    }

    /// Continues at entry `index` with the loop for frequent types, see [`arch::check_run`]. Returns the
    /// entry at which it stopped, and the end of the field before it.
    #[inline(always)]
    fn check_frequent_types(&self, bytes: &[u8], address: u64, index: usize, end: u64) -> (usize, u64) {
        if !arch::has_frequent_types(self.rules) {
            return (index, end);
        }
        let rest = self.table.entries().get(index..).unwrap_or_default();
        let (run, end) = match (self.values, self.special) {
            (Values::Dense(values), None) => arch::check_run(rest, values, bytes, address, end),
            (Values::Dense(values), Some(special)) => special.check_run(rest, values, bytes, address, end),
            (Values::Symtab(values), _) => arch::check_run(rest, values, bytes, address, end),
            _ => (0, end),
        };
        (index.saturating_add(run), end)
    }
}
