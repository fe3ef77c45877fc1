//! A pass over memory behind a [`Writer`](super::Writer): check every entry, write every field, call
//! `sync`. If a callback fails after the first check, the pass is rolled back.

use super::op::{Op, Phase};
use super::pass::Run;
use crate::error::ErrorKind;
use crate::report::Failed;

impl Run<'_, '_> {
    /// Applies or clears every field and makes that visible, or changes nothing.
    pub(super) fn through_writer(&mut self, op: Op) -> Result<(), Failed> {
        self.check_first(op)?;
        let written = self.write(op);
        if !self.syncs {
            return written;
        }
        // After an error of `write`, a second one does not matter.
        let (Ok(()), Err(error)) = (written, self.target.sync()) else { return written };
        let failed = self.report.fail(ErrorKind::Sync, error.number(), 0);
        let reverted = self.revert(op, self.pass.table.len());
        if !self.pass.overwrites(op) {
            let _ = self.target.sync();
        }
        reverted.and(Err(failed))
    }

    /// Checks every entry before the first write. Fields that overlap or do not ascend cannot be
    /// checked before they are cleared, because their content depends on the entries cleared before.
    fn check_first(&mut self, op: Op) -> Result<(), Failed> {
        if op == Op::Clear && !self.ascends() {
            return Ok(());
        }
        (0..self.pass.table.len()).try_for_each(|index| self.entry(op, Phase::Check, index))
    }

    /// Writes every field, or reverts those that are written.
    fn write(&mut self, op: Op) -> Result<(), Failed> {
        let count = self.pass.table.len();
        for done in 0..count {
            if let Err(failed) = self.entry(op, Phase::Commit, op.index(done, count)) {
                return self.revert(op, done).and(Err(failed));
            }
        }
        Ok(())
    }

    /// Whether each field begins at or after the end of the one before, as in the tables of linkers.
    fn ascends(&self) -> bool {
        let fields = self.pass.table.iter().map(|rela| (rela.r_offset, self.pass.field_size(rela)));
        let fields = fields.filter(|(_, size)| *size != 0);
        fields.is_sorted_by(|(offset, size), (next, _)| offset.saturating_add(*size) <= *next)
    }
}
