//! The way back: what a pass that failed has written, or cleared.

use super::howto::howto;
use super::one::at_entry;
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
            return Err(not_undone(error, rela, index));
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
