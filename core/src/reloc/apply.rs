//! The passes over one table: apply, clear, dry run; all or nothing.
//!
//! Plain memory is relocated in one pass that undoes what it wrote when an entry fails: what was there before was
//! zero, so undoing needs no journal. Behind a writer, and where fields need not be zero, everything is proven
//! before the first write.

use super::howto::howto;
use super::one::Act;
use super::target::Memory;
use super::{Pass, RelocFlags, Target, Values, View};
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};
use crate::report::{Failed, Report, capture};
use core::ops::Range;

/// Applies every relocation of `table` to `target`, or changes nothing.
///
/// Symbol values are `values`, by symbol index. Behind a [`Writer`](super::Writer), `sync` is called once at the end.
///
/// # Errors
/// The first entry that cannot be applied, with its numbers. (Behind a writer what is wrong with an entry by itself comes
/// before fields that overlap.)
/// [`NotUndone`](ErrorKind::NotUndone): a writer failed and failed again when its fields were to be set to zero, or
/// fields that need not be zero ([`RelocFlags::ALLOW_NONZERO`]) were overwritten before it failed. This is the one case in
/// which something is changed; the fault says up to which entry.
pub fn apply(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    capture(|report| pass.run(Direction::Apply, target, report))
}

/// Sets every field of `table` back to zero, or changes nothing. Each must hold what `apply` wrote with these
/// `values`; the last entry goes first, so that fields that overlap come out as they were.
///
/// # Errors
/// An entry whose field does not hold what it should ([`TargetMismatch`](ErrorKind::TargetMismatch)) or that `apply` would have
/// refused. [`NotUndone`](ErrorKind::NotUndone) when a writer fails while the pass is undone: the entries up to the one
/// named hold their values, those after it are zero.
pub fn clear(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    capture(|report| pass.run(Direction::Clear, target, report))
}

/// Says whether `apply` would succeed. This only reads.
///
/// # Errors
/// The error that `apply` would return; or [`FieldsNotAscending`](ErrorKind::FieldsNotAscending) at the first field that does not come after the
/// one before it, because then what one entry writes may decide about a later one. Tables that linkers write ascend. With
/// [`RelocFlags::ALLOW_NONZERO`] the order does not matter.
pub fn dry_run(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut View<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    capture(|report| pass.check(&mut target.0, report))
}

/// Every entry of `table` that cannot be applied, each judged by itself against the bytes as they are. For tools
/// that list all errors; `apply` names the first.
pub fn errors<'a>(
    table: RelaTable<'a>,
    values: Values<'a>,
    target: &'a mut View<'_>,
    rules: RelocFlags,
) -> impl Iterator<Item = Error> {
    let pass = Pass { table, values, rules };
    let target = &mut target.0;
    (0..table.len())
        .filter_map(move |index| capture(|report| pass.one(Act::Prove, index, target, report)).err())
}

/// What a pass does with its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// In the table's order.
    Apply,
    /// From the last to the first.
    Clear,
}

impl Pass<'_> {
    /// Applies or clears every field and makes that visible, or changes nothing.
    pub(crate) fn run(
        &self,
        direction: Direction,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        target.check_address(report)?;
        self.prove(direction, target, report)?;
        let written = self.write(direction, target, report);
        let synced = target.sync();
        // Whatever `sync` answers to a pass that failed, the fault is the first one.
        let (Ok(()), Err(error)) = (written, synced) else { return written };
        let stopped = report.fail(ErrorKind::Sync, error.number(), 0);
        let undone = self.take_back(direction, 0..self.table.len(), stopped, target, report);
        if !self.overwrites(direction) {
            let _ = target.sync();
        }
        undone.and(Err(stopped))
    }

    /// Whether what was there before is lost, so that nothing can be undone.
    fn overwrites(&self, direction: Direction) -> bool {
        direction == Direction::Apply && self.rules.contains(RelocFlags::ALLOW_NONZERO)
    }

    /// Applies or clears every field, or changes nothing; without `sync`.
    pub(crate) fn run_fields(
        &self,
        direction: Direction,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        target.check_address(report)?;
        self.prove(direction, target, report)?;
        self.write(direction, target, report)
    }

    /// Takes back what `run_fields` has done.
    pub(crate) fn undo_fields(
        &self,
        direction: Direction,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        self.undo(direction, 0..self.table.len(), target, report)
    }

    fn check(&self, target: &mut Target<'_>, report: &mut Report) -> Result<(), Failed> {
        target.check_address(report)?;
        let Some(index) = self.prove_each(target, report)? else { return Ok(()) };
        if self.rules.contains(RelocFlags::ALLOW_NONZERO) {
            return Ok(());
        }
        let offset = self.table.get(index).map_or(0, |rela| rela.r_offset);
        let stopped = report.fail(ErrorKind::FieldsNotAscending, 0, 0);
        Err(report.of_entry(stopped, index, offset))
    }

    /// What is to be right before the first write. Plain memory whose fields hold what they should is judged while it is
    /// written; and so are fields behind a writer that are to be cleared and do not ascend.
    fn prove(
        &self,
        direction: Direction,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let plain = matches!(target.memory, Memory::Plain(_));
        match direction {
            Direction::Apply if plain && !self.rules.contains(RelocFlags::ALLOW_NONZERO) => Ok(()),
            Direction::Apply => self.prove_each(target, report).map(|_| ()),
            Direction::Clear if plain || !self.ascends() => Ok(()),
            Direction::Clear => {
                self.each(Act::Verify, 0..self.table.len(), target, report).map_err(|(_, stopped)| stopped)
            }
        }
    }

    /// Proves every entry by itself. Answers the first that does not come after the one before it, if there is one: in
    /// plain memory that must be zero only writing can tell then which fault comes first, and this ends there.
    fn prove_each(&self, target: &mut Target<'_>, report: &mut Report) -> Result<Option<usize>, Failed> {
        let (mut index, mut end, mut broken) = (0usize, 0u64, None);
        loop {
            if let Some(bytes) = target.bytes() {
                let rest = self.table.entries().get(index..).unwrap_or_default();
                let (run, last) = self.values.check_run(rest, bytes, target.address, end);
                index = index.saturating_add(run);
                end = last;
            }
            let Some(rela) = self.table.get(index) else { return Ok(broken) };
            let size = self.field_size(rela);
            if size != 0 && rela.r_offset < end {
                broken = broken.or(Some(index));
                if target.bytes().is_some() && !self.rules.contains(RelocFlags::ALLOW_NONZERO) {
                    return Ok(broken);
                }
            }
            self.one(Act::Prove, index, target, report)?;
            if size != 0 {
                end = rela.r_offset.saturating_add(size);
            }
            index = index.saturating_add(1);
        }
    }

    /// Writes or clears each field, or takes back what was done when one fails.
    fn write(
        &self,
        direction: Direction,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let all = 0..self.table.len();
        let (done, stopped) = match direction {
            Direction::Apply => match self.each(Act::Write, all, target, report) {
                Ok(()) => return Ok(()),
                Err((index, stopped)) => (0..index, stopped),
            },
            Direction::Clear => match self.each(Act::Clear, all.clone(), target, report) {
                Ok(()) => return Ok(()),
                Err((index, stopped)) => (index.saturating_add(1)..all.end, stopped),
            },
        };
        self.take_back(direction, done, stopped, target, report).and(Err(stopped))
    }

    /// The way back from a fault: the entries `done` were written or cleared. What was written over fields that need not
    /// be zero cannot be taken back.
    #[cold]
    #[inline(never)]
    fn take_back(
        &self,
        direction: Direction,
        done: Range<usize>,
        stopped: Failed,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        if !self.overwrites(direction) {
            return self.undo(direction, done, target, report);
        }
        match self.table.numbered().rfind(|(index, rela)| done.contains(index) && self.field_size(*rela) != 0)
        {
            Some((index, _)) => Err(self.not_undone(stopped, Some(index), report)),
            None => Ok(()),
        }
    }

    /// Sets the fields of the entries `done` to zero, or to their values if they were cleared, without looking.
    #[cold]
    #[inline(never)]
    fn undo(
        &self,
        direction: Direction,
        done: Range<usize>,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let act = match direction {
            Direction::Apply => Act::Undo,
            Direction::Clear => Act::Redo,
        };
        self.each(act, done, target, report).map_err(|(index, stopped)| {
            // Writing again goes upwards, so this one does not hold its value.
            let last = if direction == Direction::Apply { Some(index) } else { index.checked_sub(1) };
            self.not_undone(stopped, last, report)
        })
    }

    /// The fault in the report, a writer's, could not be undone: `last` is the last entry that holds its value.
    fn not_undone(&self, stopped: Failed, last: Option<usize>, report: &mut Report) -> Failed {
        let stopped = report.not_undone(stopped);
        match last.and_then(|index| Some((index, self.table.get(index)?))) {
            Some((index, rela)) => rela.locate(index, stopped, report),
            None => stopped,
        }
    }

    /// Does `act` with each of `entries`, in the order that it asks for. Answers the entry that failed.
    fn each(
        &self,
        act: Act,
        entries: Range<usize>,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), (usize, Failed)> {
        let Range { mut start, mut end } = entries;
        loop {
            if let Memory::Plain(bytes) = &mut target.memory {
                let rest = self.table.entries().get(start..end).unwrap_or_default();
                match act {
                    Act::Write => {
                        start = start.saturating_add(self.values.apply_run(rest, bytes, target.address));
                    }
                    Act::Clear => {
                        end = start.saturating_add(self.values.clear_run(rest, bytes, target.address));
                    }
                    _ => {}
                }
            }
            if start >= end {
                return Ok(());
            }
            let index = if act.is_backward() { end.saturating_sub(1) } else { start };
            self.one(act, index, target, report).map_err(|stopped| (index, stopped))?;
            if act.is_backward() {
                end = index;
            } else {
                start = start.saturating_add(1);
            }
        }
    }

    /// Whether the fields ascend and do not overlap, as they do in every table that a linker writes.
    fn ascends(&self) -> bool {
        let mut end = 0;
        self.table.iter().all(|rela| {
            let size = self.field_size(rela);
            let ascends = size == 0 || rela.r_offset >= end;
            end = if size == 0 { end } else { rela.r_offset.saturating_add(size) };
            ascends
        })
    }

    /// Bytes of the entry's field; 0 for types that have none or are not known.
    #[cold]
    #[inline(never)]
    fn field_size(&self, rela: Rela) -> u64 {
        howto(rela.r_type, self.rules).map_or(0, |howto| u64::from(howto.size))
    }
}
