//! A pass over plain memory: one loop that checks and writes each field. After an error, the entries
//! before it are reverted. This needs no journal: a field was zero, or the value is subtracted again.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::values::Values;
use crate::arch;
use crate::report::Failed;

impl Run<'_, '_> {
    /// Applies or clears every field, or changes nothing.
    pub(super) fn in_place(&mut self, op: Op) -> Result<(), Failed> {
        if self.pass.overwrites(op) {
            // Rollback is impossible, so every entry must be correct before the first write.
            self.check_all()?;
        }
        let count = self.pass.table.len();
        let mut done = self.frequent_types(op, 0);
        while done < count {
            if let Err(failed) = self.entry(op, Phase::Commit, op.index(done, count)) {
                return self.revert(op, done).and(Err(failed));
            }
            done = self.frequent_types(op, done.saturating_add(1));
        }
        Ok(())
    }

    /// Continues after `done` entries with the loop for frequent types. Returns how many are done then.
    ///
    /// The loop returns at a field that is not zero before `Apply`. Therefore it is correct for fields
    /// to which the value is added, too.
    fn frequent_types(&mut self, op: Op, done: usize) -> usize {
        let (Pass { table, values, rules }, address) = (*self.pass, self.target.address());
        let Some(bytes) = self.target.bytes_mut().filter(|_| arch::has_frequent_types(rules)) else {
            return done;
        };
        let rest = match op {
            Op::Apply => table.entries().get(done..),
            Op::Clear => table.entries().get(..table.len().saturating_sub(done)),
        };
        let rest = rest.unwrap_or_default();
        done.saturating_add(match (op, values) {
            (Op::Apply, Values::Dense(values)) => arch::apply_run(rest, values, bytes, address),
            (Op::Apply, Values::Symtab(values)) => arch::apply_run(rest, values, bytes, address),
            (Op::Clear, Values::Dense(values)) => arch::clear_run(rest, values, bytes, address),
            (Op::Clear, Values::Symtab(values)) => arch::clear_run(rest, values, bytes, address),
            _ => 0,
        })
    }
}
