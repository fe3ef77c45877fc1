//! Where symbol values come from.

use crate::abi::{R_X86_64_NONE, SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};
use crate::read::{u8_at, u16_at, u64_at};
use crate::report::{Report, Stopped};

/// Symbol values by index, for a whole symbol table.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// One after the other: eight bytes a symbol, and the fastest.
    Dense(&'a [u64]),
    /// In an `Elf64_Sym` table.
    Symtab(SymtabValues<'a>),
}

impl<'a> From<&'a [u64]> for Values<'a> {
    fn from(values: &'a [u64]) -> Self {
        Self::Dense(values)
    }
}

impl<'a> From<SymtabValues<'a>> for Values<'a> {
    fn from(values: SymtabValues<'a>) -> Self {
        Self::Symtab(values)
    }
}

impl Values<'_> {
    /// The value of symbol `index`; `None` when there is no such symbol.
    pub fn value(&self, index: u32) -> Option<u64> {
        match self {
            Self::Dense(values) => values.value(index),
            Self::Symtab(values) => values.value(index),
        }
    }

    /// Number of symbols.
    pub const fn count(&self) -> usize {
        match self {
            Self::Dense(values) => values.len(),
            Self::Symtab(values) => values.0.len(),
        }
    }
}

/// One kind of values, for the loops that are made for each.
pub(super) trait Lookup: Copy {
    fn value(self, index: u32) -> Option<u64>;
}

impl Lookup for &[u64] {
    #[inline(always)]
    fn value(self, index: u32) -> Option<u64> {
        self.get(usize::try_from(index).ok()?).copied()
    }
}

/// The `st_value` fields of an `Elf64_Sym` table in memory, for a loader that keeps its resolved symbols there.
#[derive(Clone, Copy, Debug)]
pub struct SymtabValues<'a>(&'a [[u8; SYM_SIZE]]);

impl<'a> SymtabValues<'a> {
    /// Values from `bytes`, an `Elf64_Sym` table in little-endian order.
    ///
    /// # Errors
    /// [`ErrorKind::PartialEntry`] when the size is not a multiple of 24.
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.as_chunks() {
            (entries, []) => Ok(Self(entries)),
            (_, rest) => Err(Error::new(ErrorKind::PartialEntry, bytes.len() as u64, rest.len() as u64)),
        }
    }

    /// Values from entries, 24 bytes each.
    pub const fn from_entries(entries: &'a [[u8; SYM_SIZE]]) -> Self {
        Self(entries)
    }
}

impl SymtabValues<'_> {
    /// Refuses an entry whose symbol is not resolved: `SHN_LIVEPATCH`, or `SHN_UNDEF` and not weak, with value 0. Symbol 0 and
    /// entries without a field are no use of a symbol.
    pub(super) fn check_resolved(self, table: RelaTable<'_>, report: &mut Report) -> Result<(), Stopped> {
        let unresolved = |rela: Rela| {
            let symbol = self.0.get(usize::try_from(rela.symbol).ok()?)?;
            let (binding, shndx) = (u8_at(symbol, 4)? >> 4, u16_at(symbol, 6)?);
            let is_open = shndx == SHN_LIVEPATCH || shndx == SHN_UNDEF && binding != STB_WEAK;
            (is_open && u64_at(symbol, 8)? == 0).then_some(shndx)
        };
        let found = table.numbered().find_map(|(entry, rela)| {
            let uses_symbol = rela.symbol != 0 && rela.r_type != R_X86_64_NONE;
            Some((entry, rela, unresolved(rela).filter(|_| uses_symbol)?))
        });
        match found {
            None => Ok(()),
            Some((entry, rela, shndx)) => {
                let stopped = report.fault(ErrorKind::SymbolUnresolved, u64::from(shndx), 0);
                Err(report.at_rela(stopped, entry, rela))
            }
        }
    }
}

impl Lookup for SymtabValues<'_> {
    #[inline(always)]
    fn value(self, index: u32) -> Option<u64> {
        u64_at(self.0.get(usize::try_from(index).ok()?)?, 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_answer_the_same_and_neither_past_its_end() {
        let mut table = vec![0u8; SYM_SIZE * 2];
        table[SYM_SIZE + 8..SYM_SIZE + 16].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
        let symtab = Values::from(SymtabValues::new(&table).unwrap());
        let dense = Values::from(&[0, 0x1122_3344_5566_7788][..]);
        for index in [0, 1, 2, u32::MAX] {
            assert_eq!(symtab.value(index), dense.value(index), "{index}");
        }
        assert_eq!(symtab.count(), dense.count());
        assert!(SymtabValues::new(&table[1..]).is_err());
    }
}
