//! The way back: what a pass that failed has written, or cleared.

use super::howto::howto;
use super::{Rules, Target, Values};
use crate::abi::RELA_SIZE;
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};

/// Sets the fields of `entries`, all of which were applied, to zero, the last one first.
#[cold]
#[inline(never)]
pub(super) fn undo(entries: &[[u8; RELA_SIZE]], target: &mut Target<'_>, rules: Rules) -> Result<(), Error> {
    for (index, rela) in RelaTable::from_entries(entries).numbered().rev() {
        let size = howto(rela.r_type, rules).map_or(0, |howto| howto.size);
        if size != 0
            && let Err(error) = target.write(rela.offset, size, 0)
        {
            return Err(not_undone(error, Some((index, rela))));
        }
    }
    Ok(())
}

/// Writes the fields of `entries` from number `from` on, all of which were cleared, again.
#[cold]
#[inline(never)]
pub(super) fn reapply<V: Values + ?Sized>(
    entries: &[[u8; RELA_SIZE]],
    from: usize,
    values: &V,
    target: &mut Target<'_>,
    rules: Rules,
) -> Result<(), Error> {
    for (index, rela) in RelaTable::from_entries(entries).numbered().filter(|(index, _)| *index >= from) {
        let address = target.address.wrapping_add(rela.offset);
        let (Some(howto), Some(s)) = (howto(rela.r_type, rules), values.value(rela.symbol)) else { continue };
        if howto.size != 0
            && let Err(error) = target.write(rela.offset, howto.size, howto.value(s, rela.addend, address))
        {
            let last = index.checked_sub(1).and_then(|last| Some((last, Rela::read(entries.get(last)?))));
            return Err(not_undone(error, last));
        }
    }
    Ok(())
}

/// The fault of a pass that failed after it wrote the fields of `entries` over what was there, which is lost. If none of
/// them has a field it is `error`.
#[cold]
#[inline(never)]
pub(super) fn overwritten(error: Error, entries: &[[u8; RELA_SIZE]], rules: Rules) -> Error {
    let mut entries = RelaTable::from_entries(entries).numbered();
    let last = entries.rfind(|(_, rela)| howto(rela.r_type, rules).is_some_and(|howto| howto.size != 0));
    if last.is_some() { not_undone(error, last) } else { error }
}

/// `last` is the last entry that holds its value; `None` when none does.
fn not_undone(error: Error, last: Option<(usize, Rela)>) -> Error {
    Error {
        kind: ErrorKind::NotUndone,
        entry: last.map(|(index, _)| index as u64),
        symbol: last.map(|(_, rela)| rela.symbol),
        r_type: last.map(|(_, rela)| rela.r_type),
        offset: last.map_or(0, |(_, rela)| rela.offset),
        ..error
    }
}
