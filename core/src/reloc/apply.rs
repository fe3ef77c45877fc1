//! The passes over one table: apply, clear, dry run; all or nothing.
//!
//! Plain memory is relocated in one pass that undoes what it wrote when an entry fails: what was there before was
//! zero, so undoing needs no journal. Behind a writer, and where fields need not be zero, everything is proven
//! before the first write.

use super::one::Act;
use super::order::Order;
use super::target::Memory;
use super::{Pass, Rules, Target, Values};
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind};

/// Applies every relocation of `table` to `target`, or changes nothing.
///
/// Symbol values are `values`, by symbol index. Behind a [`Writer`](super::Writer), `sync` is called once at the end.
///
/// # Errors
/// The first entry that cannot be applied, with its numbers. (Behind a writer what is wrong with an entry by itself comes
/// before fields that overlap.)
/// [`NotUndone`](ErrorKind::NotUndone): a writer failed and failed again when its fields were to be set to zero, or
/// fields that need not be zero ([`Rules::ALLOW_NONZERO`]) were overwritten before it failed. This is the one case in
/// which something is changed; the fault says up to which entry.
pub fn apply(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    pass.prove_fields(target)?;
    let written = pass.write_fields(target);
    let synced = target.sync();
    // Whatever `sync` answers to a pass that failed, the fault is the first one.
    let (Ok(()), Err(error)) = (written, synced) else { return written };
    let error = ErrorKind::Sync.error(error.number(), 0);
    if rules.contains(Rules::ALLOW_NONZERO) {
        return Err(pass.overwritten(table.len(), error));
    }
    let undone = pass.undo_fields(target);
    let _ = target.sync();
    undone.and(Err(error))
}

/// Sets every field of `table` back to zero, or changes nothing. Each must hold what `apply` wrote with these
/// `values`; the last entry goes first, so that fields that overlap come out as they were.
///
/// # Errors
/// An entry whose field does not hold what it should ([`Mismatch`](ErrorKind::Mismatch)) or that `apply` would have
/// refused. [`NotUndone`](ErrorKind::NotUndone) when a writer fails twice: the entries up to the one named hold their
/// values, those after it are zero.
pub fn clear(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    pass.verify_fields(target)?;
    let cleared = pass.zero_fields(target);
    let synced = target.sync();
    let (Ok(()), Err(error)) = (cleared, synced) else { return cleared };
    let undone = pass.reapply_fields(target);
    let _ = target.sync();
    undone.and(Err(ErrorKind::Sync.error(error.number(), 0)))
}

/// Says whether `apply` would succeed, and leaves every byte as it is.
///
/// A table whose fields overlap or do not ascend can only be judged by writing: in plain memory it is applied and
/// undone, behind a writer it is refused.
///
/// # Errors
/// What `apply` would answer; [`Unordered`](ErrorKind::Unordered) behind a writer.
pub fn check(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    let pass = Pass { table, values, rules };
    let allows_nonzero = rules.contains(Rules::ALLOW_NONZERO);
    match &mut target.memory {
        Memory::Plain(bytes) => {
            if !pass.check_plain(bytes, target.address)? && !allows_nonzero {
                pass.apply_fields(target)?;
                pass.undo_fields(target)?;
            }
            Ok(())
        }
        Memory::Hooked { .. } => match pass.check_each(target)? {
            Some(index) if !allows_nonzero => {
                let offset = table.get(index).map_or(0, |rela| rela.offset);
                Err(Error { entry: Some(index as u64), offset, ..ErrorKind::Unordered.error(0, 0) })
            }
            _ => Ok(()),
        },
    }
}

/// Every entry of `table` that cannot be applied, each judged by itself against the bytes as they are. For tools
/// that list all faults; `apply` names the first.
pub fn faults<'a>(
    table: RelaTable<'a>,
    values: Values<'a>,
    target: &'a mut Target<'_>,
    rules: Rules,
) -> impl Iterator<Item = Error> {
    let pass = Pass { table, values, rules };
    table.numbered().filter_map(move |(index, rela)| pass.one(Act::Prove, index, rela, target).err())
}

/// The passes without `sync`.
impl Pass<'_> {
    pub(crate) fn apply_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        self.prove_fields(target)?;
        self.write_fields(target)
    }

    pub(crate) fn clear_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        self.verify_fields(target)?;
        self.zero_fields(target)
    }

    /// Sets every field that `apply_fields` wrote to zero without looking.
    pub(crate) fn undo_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        self.undo(self.table.len(), target)
    }

    /// Writes every field that `clear_fields` cleared again.
    pub(crate) fn reapply_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        self.reapply(0, target)
    }

    /// What is to be right before the first write. Plain memory that must be zero is judged while it is written.
    fn prove_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        match &target.memory {
            Memory::Plain(_) if !self.rules.contains(Rules::ALLOW_NONZERO) => Ok(()),
            _ => self.check_each(target).map(|_| ()),
        }
    }

    fn write_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        match &mut target.memory {
            Memory::Plain(bytes) if !self.rules.contains(Rules::ALLOW_NONZERO) => {
                self.apply_plain(bytes, target.address)
            }
            _ => self.write_each(target),
        }
    }

    /// What is to be right before the first field is cleared behind a writer: fields that ascend are all verified,
    /// others can be verified only on the way. Plain memory is verified on the way.
    fn verify_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        if matches!(target.memory, Memory::Plain(_)) {
            return Ok(());
        }
        let mut order = Order::default();
        for (index, rela) in self.table.numbered() {
            order.next_rela(index, rela, self.rules);
        }
        if order.broken_at.is_none() {
            for (index, rela) in self.table.numbered() {
                self.one(Act::Verify, index, rela, target)?;
            }
        }
        Ok(())
    }

    fn zero_fields(&self, target: &mut Target<'_>) -> Result<(), Error> {
        match &mut target.memory {
            Memory::Plain(bytes) => self.clear_plain(bytes, target.address),
            Memory::Hooked { .. } => self.clear_each(target),
        }
    }

    /// Proves each entry by itself. Answers the first that does not come after the one before it, if any.
    fn check_each(&self, target: &mut Target<'_>) -> Result<Option<usize>, Error> {
        let mut order = Order::default();
        for (index, rela) in self.table.numbered() {
            self.one(Act::Prove, index, rela, target)?;
            order.next_rela(index, rela, self.rules);
        }
        Ok(order.broken_at)
    }

    /// Writes each entry, or undoes those before the one that failed.
    fn write_each(&self, target: &mut Target<'_>) -> Result<(), Error> {
        for (index, rela) in self.table.numbered() {
            let Err(error) = self.one(Act::Write, index, rela, target) else { continue };
            if self.rules.contains(Rules::ALLOW_NONZERO) {
                return Err(self.overwritten(index, error));
            }
            return self.undo(index, target).and(Err(error));
        }
        Ok(())
    }

    /// Clears each entry from the last to the first, or writes those again that were cleared before one failed.
    fn clear_each(&self, target: &mut Target<'_>) -> Result<(), Error> {
        for (index, rela) in self.table.numbered().rev() {
            if let Err(error) = self.one(Act::Clear, index, rela, target) {
                return self.reapply(index.saturating_add(1), target).and(Err(error));
            }
        }
        Ok(())
    }
}
