//! The passes over one table: apply, clear, dry run; all or nothing.
//!
//! Plain memory is relocated in one pass that undoes what it wrote when an entry fails: what was there before was
//! zero, so undoing needs no journal. Behind a writer, and where fields need not be zero, everything is proven
//! before the first write.

use super::howto::howto;
use super::one::{Act, one};
use super::target::Memory;
use super::{Rules, Target, Values};
use crate::abi::{self, RELA_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};
use crate::read::index;

/// Applies every relocation of `table` to `target`, or changes nothing.
///
/// Symbol values are `values`, by symbol index. Behind a [`Writer`](super::Writer), `sync` is called once at the end.
///
/// # Errors
/// The first entry that cannot be applied, with its numbers.
/// [`NotUndone`](ErrorKind::NotUndone): a writer failed and failed again when its fields were to be set to zero, or
/// fields that need not be zero ([`Rules::ALLOW_NONZERO`]) were overwritten before it failed. This is the one case in
/// which something is changed; the fault says up to which entry.
pub fn apply<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    apply_fields(table, values, target, rules)?;
    let Err(error) = target.sync() else { return Ok(()) };
    let undone = undo(table.entries(), target, rules);
    // Whatever this answers, the fault is the first one.
    let _ = target.sync();
    undone.and(Err(ErrorKind::Sync.error(error.number(), 0)))
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
    clear_fields(table, values, target, rules)?;
    let Err(error) = target.sync() else { return Ok(()) };
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
    table.iter().enumerate().filter_map(move |(index, rela)| {
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
    match &mut target.memory {
        Memory::Plain(bytes) if !rules.contains(Rules::ALLOW_NONZERO) => {
            apply_plain(table.entries(), values, bytes, target.address, rules)
        }
        _ => {
            check_each(table, values, target, rules)?;
            write_each(table, values, target, rules)
        }
    }
}

/// `clear` without `sync`.
pub(crate) fn clear_fields<V: Values + ?Sized>(
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

/// A relocation of the common kind: a type that Linux modules are made of, and a value that fits.
enum Common {
    Word32(u32),
    Word64(u64),
}

/// The field's offset and value if the entry is of the common kind; everything else is for [`one`].
///
/// Types are told apart by arithmetic: which of PC32, PLT32 and 32S comes next cannot be predicted, the width can.
#[inline(always)]
fn common<V: Values + ?Sized>(entry: &[u8; RELA_SIZE], values: &V, address: u64) -> Option<(usize, Common)> {
    const WORD32: u32 = 1 << abi::R_X86_64_PC32 | 1 << abi::R_X86_64_PLT32 | 1 << abi::R_X86_64_32S;
    const { assert!(abi::R_X86_64_PC32 >> 3 & 1 == 0 && abi::R_X86_64_PLT32 >> 3 & 1 == 0) };
    const { assert!(abi::R_X86_64_32S >> 3 & 1 == 1) };
    const { assert!(abi::R_X86_64_64 >> 4 == 0 && abi::R_X86_64_PC64 >> 4 == 1) };

    let Rela { offset, symbol, r_type, addend } = Rela::read(entry);
    let sum = values.value(symbol)?.wrapping_add(addend.cast_unsigned());
    let place = address.wrapping_add(offset);
    let offset = index(offset)?;
    if r_type < 32 && WORD32 >> r_type & 1 != 0 {
        // All ones for PC32 and PLT32, zero for 32S.
        let relative = u64::from(r_type >> 3 & 1).wrapping_sub(1);
        let value = sum.wrapping_sub(place & relative).cast_signed();
        let field = i32::try_from(value).ok()?;
        Some((offset, Common::Word32(field.cast_unsigned())))
    } else if r_type == abi::R_X86_64_64 || r_type == abi::R_X86_64_PC64 {
        // Zero for 64, all ones for PC64.
        let relative = 0u64.wrapping_sub(u64::from(r_type >> 4));
        Some((offset, Common::Word64(sum.wrapping_sub(place & relative))))
    } else {
        None
    }
}

#[inline(always)]
fn slot<const SIZE: usize>(bytes: &mut [u8], offset: usize) -> Option<&mut [u8; SIZE]> {
    bytes.get_mut(offset..)?.first_chunk_mut()
}

/// The hot loop.
fn apply_plain<V: Values + ?Sized>(
    entries: &[[u8; RELA_SIZE]],
    values: &V,
    bytes: &mut [u8],
    address: u64,
    rules: Rules,
) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate() {
        match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => {
                if let Some(slot) = slot(bytes, offset)
                    && u32::from_le_bytes(*slot) == 0
                {
                    *slot = value.to_le_bytes();
                    continue;
                }
            }
            Some((offset, Common::Word64(value))) => {
                if let Some(slot) = slot(bytes, offset)
                    && u64::from_le_bytes(*slot) == 0
                {
                    *slot = value.to_le_bytes();
                    continue;
                }
            }
            None => {}
        }
        let mut target = Target::new(bytes, address);
        if let Err(error) = one(Act::Write, Rela::read(entry), values, &mut target, rules) {
            let written = entries.get(..index).unwrap_or_default();
            return undo(written, &mut target, rules).and(Err(at_entry(error, index)));
        }
    }
    Ok(())
}

/// The same loop backwards: verifies each field and sets it to zero.
fn clear_plain<V: Values + ?Sized>(
    entries: &[[u8; RELA_SIZE]],
    values: &V,
    bytes: &mut [u8],
    address: u64,
    rules: Rules,
) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate().rev() {
        match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => {
                if let Some(slot) = slot(bytes, offset)
                    && u32::from_le_bytes(*slot) == value
                {
                    *slot = [0; 4];
                    continue;
                }
            }
            Some((offset, Common::Word64(value))) => {
                if let Some(slot) = slot(bytes, offset)
                    && u64::from_le_bytes(*slot) == value
                {
                    *slot = [0; 8];
                    continue;
                }
            }
            None => {}
        }
        let mut target = Target::new(bytes, address);
        if let Err(error) = one(Act::Clear, Rela::read(entry), values, &mut target, rules) {
            let cleared = index.saturating_add(1);
            return reapply(entries, cleared, values, &mut target, rules).and(Err(at_entry(error, index)));
        }
    }
    Ok(())
}

/// The same loop without writes. Answers the first entry that does not come after the one before it, if any.
fn check_plain<V: Values + ?Sized>(
    entries: &[[u8; RELA_SIZE]],
    values: &V,
    bytes: &mut [u8],
    address: u64,
    rules: Rules,
) -> Result<Option<Error>, Error> {
    let mut order = Order::default();
    for (index, entry) in entries.iter().enumerate() {
        let existing = match common(entry, values, address) {
            Some((offset, Common::Word32(_))) => {
                order.next(offset as u64, 4, index);
                slot(bytes, offset).map(|slot| u64::from(u32::from_le_bytes(*slot)))
            }
            Some((offset, Common::Word64(_))) => {
                order.next(offset as u64, 8, index);
                slot(bytes, offset).map(|slot| u64::from_le_bytes(*slot))
            }
            None => {
                order.next_rela(Rela::read(entry), index, rules);
                None
            }
        };
        if existing != Some(0) {
            let mut target = Target::new(bytes, address);
            one(Act::Prove, Rela::read(entry), values, &mut target, rules)
                .map_err(|error| at_entry(error, index))?;
        }
    }
    Ok(order.broken)
}

/// Whether the fields of a table ascend and do not overlap, as they do in every table that a linker writes.
#[derive(Default)]
struct Order {
    end: u64,
    broken: Option<Error>,
}

impl Order {
    #[inline(always)]
    fn next(&mut self, offset: u64, size: u64, index: usize) {
        if offset < self.end && self.broken.is_none() {
            self.broken = Some(at_entry(ErrorKind::Unordered.error(0, 0).at_offset(offset), index));
        }
        self.end = offset.saturating_add(size);
    }

    fn next_rela(&mut self, rela: Rela, index: usize, rules: Rules) {
        match howto(rela.r_type, rules) {
            Some(howto) if howto.size != 0 => self.next(rela.offset, u64::from(howto.size), index),
            _ => {}
        }
    }
}

/// Proves each entry by itself.
fn check_each<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<Option<Error>, Error> {
    let mut order = Order::default();
    for (index, rela) in table.iter().enumerate() {
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
    for (index, rela) in table.iter().enumerate() {
        let Err(error) = one(Act::Write, rela, values, target, rules) else { continue };
        let error = at_entry(error, index);
        return match index.checked_sub(1) {
            // What was there before is lost.
            Some(last) if rules.contains(Rules::ALLOW_NONZERO) => {
                Err(at_entry(Error { kind: ErrorKind::NotUndone, ..error }, last))
            }
            _ => undo(table.entries().get(..index).unwrap_or_default(), target, rules).and(Err(error)),
        };
    }
    Ok(())
}

/// Clears each entry from the last to the first, or writes those again that were cleared before one failed.
///
/// Fields that ascend are all verified before the first is cleared; others can be verified only on the way.
fn clear_each<V: Values + ?Sized>(
    table: RelaTable<'_>,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    let mut order = Order::default();
    for (index, rela) in table.iter().enumerate() {
        order.next_rela(rela, index, rules);
    }
    if order.broken.is_none() {
        for (index, rela) in table.iter().enumerate() {
            one(Act::Verify, rela, values, target, rules).map_err(|error| at_entry(error, index))?;
        }
    }
    for (index, rela) in table.iter().enumerate().rev() {
        if let Err(error) = one(Act::Clear, rela, values, target, rules) {
            let cleared = index.saturating_add(1);
            return reapply(table.entries(), cleared, values, target, rules).and(Err(at_entry(error, index)));
        }
    }
    Ok(())
}

/// Sets the fields of `entries`, all of which were applied, to zero, the last one first.
#[cold]
#[inline(never)]
fn undo(entries: &[[u8; RELA_SIZE]], target: &mut Target<'_>, rules: Rules) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate().rev() {
        let rela = Rela::read(entry);
        let size = howto(rela.r_type, rules).map_or(0, |howto| howto.size);
        if size != 0
            && let Err(error) = target.write(rela.offset, size, 0)
        {
            return Err(not_undone(error, rela, index));
        }
    }
    Ok(())
}

/// Writes the fields of `entries` from number `from` on, all of which were cleared, again.
#[cold]
#[inline(never)]
fn reapply<V: Values + ?Sized>(
    entries: &[[u8; RELA_SIZE]],
    from: usize,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate().skip(from) {
        let rela = Rela::read(entry);
        let address = target.address.wrapping_add(rela.offset);
        let (Some(howto), Some(s)) = (howto(rela.r_type, rules), values.value(rela.symbol)) else { continue };
        if howto.size != 0
            && let Err(error) = target.write(rela.offset, howto.size, howto.value(s, rela.addend, address))
        {
            // The one before is the last that holds its value; `from` is never 0.
            return Err(not_undone(error, rela, index.saturating_sub(1)));
        }
    }
    Ok(())
}

fn not_undone(error: Error, rela: Rela, index: usize) -> Error {
    let error = Error {
        kind: ErrorKind::NotUndone,
        symbol: Some(rela.symbol),
        r_type: Some(rela.r_type),
        offset: rela.offset,
        ..error
    };
    at_entry(error, index)
}

#[inline(always)]
fn at_entry(error: Error, index: usize) -> Error {
    Error { entry: Some(index as u64), ..error }
}
