//! The passes over one table: apply, clear, dry run; all or nothing.
//!
//! Plain memory is relocated in one pass that undoes what it wrote when an entry fails: what was there before was
//! zero, so undoing needs no journal. Behind a writer, and where fields need not be zero, everything is proven
//! before the first write.

use super::one::{Act, at_entry, one};
use super::order::Order;
use super::plain::{apply_plain, check_plain, clear_plain};
use super::target::Memory;
use super::undo::{overwritten, reapply, undo};
use super::{Rules, Target, Values};
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
pub fn apply<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    prove_fields(table, values, target, rules)?;
    let written = write_fields(table, values, target, rules);
    let synced = target.sync();
    // Whatever `sync` answers to a pass that failed, the fault is the first one.
    let (Ok(()), Err(error)) = (written, synced) else { return written };
    let error = ErrorKind::Sync.error(error.number(), 0);
    if rules.contains(Rules::ALLOW_NONZERO) {
        return Err(overwritten(error, table.entries(), rules));
    }
    let undone = undo(table.entries(), target, rules);
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
pub fn clear<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    verify_fields(table, values, target, rules)?;
    let cleared = zero_fields(table, values, target, rules);
    let synced = target.sync();
    let (Ok(()), Err(error)) = (cleared, synced) else { return cleared };
    let undone = reapply(table.entries(), 0, values, target, rules);
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
pub fn check<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    let ordered = match &mut target.memory {
        Memory::Plain(bytes) => check_plain(table.entries(), values, bytes, target.address, rules)?,
        Memory::Hooked { .. } => check_each(table, values, target, rules)?,
    };
    match (ordered, &target.memory) {
        (None, _) => Ok(()),
        (Some(_), _) if rules.contains(Rules::ALLOW_NONZERO) => Ok(()),
        (Some(_), Memory::Plain(_)) => {
            apply_fields(table, values, target, rules)?;
            undo(table.entries(), target, rules)
        }
        (Some(error), Memory::Hooked { .. }) => Err(error),
    }
}

/// Every entry of `table` that cannot be applied, each judged by itself against the bytes as they are. For tools
/// that list all faults; `apply` names the first.
pub fn faults<'a, V: Values + ?Sized>(
    table: RelaTable<'a>,
    values: &'a V,
    target: &'a mut Target<'_>,
    rules: Rules,
) -> impl Iterator<Item = Error> {
    table.numbered().filter_map(move |(index, rela)| {
        one(Act::Prove, rela, values, target, rules).err().map(|error| at_entry(error, index))
    })
}

/// `apply` without `sync`.
pub(crate) fn apply_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    prove_fields(table, values, target, rules)?;
    write_fields(table, values, target, rules)
}

/// What is to be right before the first write. Plain memory that must be zero is judged while it is written.
fn prove_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    match &target.memory {
        Memory::Plain(_) if !rules.contains(Rules::ALLOW_NONZERO) => Ok(()),
        _ => check_each(table, values, target, rules).map(|_| ()),
    }
}

fn write_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    match &mut target.memory {
        Memory::Plain(bytes) if !rules.contains(Rules::ALLOW_NONZERO) => {
            apply_plain(table.entries(), values, bytes, target.address, rules)
        }
        _ => write_each(table, values, target, rules),
    }
}

/// `clear` without `sync`.
pub(crate) fn clear_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    verify_fields(table, values, target, rules)?;
    zero_fields(table, values, target, rules)
}

/// What is to be right before the first field is cleared behind a writer: fields that ascend are all verified, others
/// can be verified only on the way. Plain memory is verified on the way.
fn verify_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    if matches!(target.memory, Memory::Plain(_)) {
        return Ok(());
    }
    let mut order = Order::default();
    for (index, rela) in table.numbered() {
        order.next_rela(rela, index, rules);
    }
    if order.broken.is_none() {
        for (index, rela) in table.numbered() {
            one(Act::Verify, rela, values, target, rules).map_err(|error| at_entry(error, index))?;
        }
    }
    Ok(())
}

fn zero_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    match &mut target.memory {
        Memory::Plain(bytes) => clear_plain(table.entries(), values, bytes, target.address, rules),
        Memory::Hooked { .. } => clear_each(table, values, target, rules),
    }
}

/// Sets every field of a table that `apply_fields` applied to zero without looking.
pub(crate) fn undo_fields(table: RelaTable<'_>, target: &mut Target<'_>, rules: Rules) -> Result<(), Error> {
    undo(table.entries(), target, rules)
}

/// Writes every field of a table that `clear_fields` cleared again.
pub(crate) fn reapply_fields<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    reapply(table.entries(), 0, values, target, rules)
}

/// Proves each entry by itself.
fn check_each<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<Option<Error>, Error> {
    let mut order = Order::default();
    for (index, rela) in table.numbered() {
        one(Act::Prove, rela, values, target, rules).map_err(|error| at_entry(error, index))?;
        order.next_rela(rela, index, rules);
    }
    Ok(order.broken)
}

/// Writes each entry, or undoes those before the one that failed.
fn write_each<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    for (index, rela) in table.numbered() {
        let Err(error) = one(Act::Write, rela, values, target, rules) else { continue };
        let (error, written) = (at_entry(error, index), table.entries().get(..index).unwrap_or_default());
        if rules.contains(Rules::ALLOW_NONZERO) {
            return Err(overwritten(error, written, rules));
        }
        return undo(written, target, rules).and(Err(error));
    }
    Ok(())
}

/// Clears each entry from the last to the first, or writes those again that were cleared before one failed.
fn clear_each<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    for (index, rela) in table.numbered().rev() {
        if let Err(error) = one(Act::Clear, rela, values, target, rules) {
            let cleared = index.saturating_add(1);
            return reapply(table.entries(), cleared, values, target, rules).and(Err(at_entry(error, index)));
        }
    }
    Ok(())
}
