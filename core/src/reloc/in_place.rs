//! A pass over plain memory: one loop that checks and writes each field. After an error, the entries
//! before it are reverted. This needs no journal: a field was zero, or the value is subtracted again.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::values::Values;
use crate::arch;
use crate::report::Failed;

impl Run<'_, '_> {
    /// Applies or clears every field, or changes nothing. The first `done` entries are done already.
    pub(super) fn in_place(&mut self, op: Op, done: usize) -> Result<(), Failed> {
        if self.pass.overwrites(op) {
            // Rollback is impossible, so every entry must be correct before the first write.
            self.check_all(0, 0)?;
        }
        let count = self.pass.table.len();
        let mut done = self.frequent_types(op, done);
        while done < count {
            if let Err(failed) = self.entry(op, Phase::Commit, op.index(done, count)) {
                return self.revert(op, done).and(Err(failed));
            }
            done = self.frequent_types(op, done.saturating_add(1));
        }
        Ok(())
    }

    /// See [`Pass::frequent_types`].
    fn frequent_types(&mut self, op: Op, done: usize) -> usize {
        let address = self.target.address();
        match self.target.bytes_mut() {
            Some(bytes) => self.pass.frequent_types(op, bytes, address, done),
            None => done,
        }
    }
}

impl Pass<'_> {
    /// Continues after `done` entries with the loop for frequent types. Returns how many are done then.
    ///
    /// The loop returns at a field that is not zero before `Apply`. Therefore it is correct for fields
    /// to which the value is added, too.
    #[inline(always)]
    pub(super) fn frequent_types(&self, op: Op, bytes: &mut [u8], address: u64, done: usize) -> usize {
        if !arch::has_frequent_types(self.rules) {
            return done;
        }
        let rest = match op {
            Op::Apply => self.table.entries().get(done..),
            Op::Clear => self.table.entries().get(..self.table.len().saturating_sub(done)),
        };
        let rest = rest.unwrap_or_default();
        done.saturating_add(match (op, self.values) {
            (Op::Apply, Values::Dense(values)) => match self.special {
                None => arch::apply_run(rest, values, bytes, address),
                Some(special) => special.apply_run(rest, values, bytes, address),
            },
            (Op::Apply, Values::Symtab(values)) => arch::apply_run(rest, values, bytes, address),
            (Op::Clear, Values::Dense(values)) => arch::clear_run(rest, values, bytes, address),
            (Op::Clear, Values::Symtab(values)) => arch::clear_run(rest, values, bytes, address),
            _ => 0,
        })
    }
}
