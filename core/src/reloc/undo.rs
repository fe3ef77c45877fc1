//! The way back: what a pass that failed has written, or cleared.

use super::howto::howto;
use super::{Pass, Target};
use crate::elf::Rela;
use crate::error::{Error, ErrorKind};

impl Pass<'_> {
    /// Sets the fields of the entries before `end`, all of which were applied, to zero, the last one first.
    #[cold]
    #[inline(never)]
    pub(super) fn undo(&self, end: usize, target: &mut Target<'_>) -> Result<(), Error> {
        for (index, rela) in self.table.numbered().rev().filter(|(index, _)| *index < end) {
            let size = self.field_size(rela);
            if size != 0
                && let Err(error) = target.write(rela.offset, size, 0)
            {
                return Err(not_undone(error, Some((index, rela))));
            }
        }
        Ok(())
    }

    /// Writes the fields of the entries from `start` on, all of which were cleared, again.
    #[cold]
    #[inline(never)]
    pub(super) fn reapply(&self, start: usize, target: &mut Target<'_>) -> Result<(), Error> {
        for (index, rela) in self.table.numbered().filter(|(index, _)| *index >= start) {
            let address = target.address.wrapping_add(rela.offset);
            let howto = howto(rela.r_type, self.rules);
            let (Some(howto), Some(s)) = (howto, self.values.value(rela.symbol)) else { continue };
            if howto.size != 0
                && let Err(error) =
                    target.write(rela.offset, howto.size, howto.value(s, rela.addend, address))
            {
                let last = index.checked_sub(1).and_then(|last| Some((last, self.table.get(last)?)));
                return Err(not_undone(error, last));
            }
        }
        Ok(())
    }

    /// The fault of a pass that failed after it wrote the fields of the entries before `end` over what was there, which
    /// is lost. If none of them has a field it is `error`.
    #[cold]
    #[inline(never)]
    pub(super) fn overwritten(&self, end: usize, error: Error) -> Error {
        let mut entries = self.table.numbered();
        let last = entries.rfind(|(index, rela)| *index < end && self.field_size(*rela) != 0);
        if last.is_some() { not_undone(error, last) } else { error }
    }

    fn field_size(&self, rela: Rela) -> u8 {
        howto(rela.r_type, self.rules).map_or(0, |howto| howto.size)
    }
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
