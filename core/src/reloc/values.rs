//! Where symbol values come from.

use crate::abi::{SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM_SIZE};
use crate::error::{Error, ErrorKind};
use crate::read::{u8_at, u16_at, u64_at};

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
            Self::Symtab(values) => values.get(index),
        }
    }

    /// The `st_shndx` of symbol `index` where the value is in a symbol table and was not resolved: `SHN_LIVEPATCH`, or `SHN_UNDEF`
    /// and not weak, with value 0. Symbol 0 has its value 0 rightly.
    pub(super) fn unresolved(&self, index: u32) -> Option<u16> {
        match self {
            Self::Dense(_) => None,
            Self::Symtab(values) => values.unresolved(index),
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
    /// The value of symbol `index`; `None` when there is no such symbol, or its value is for `Pass::one` to judge.
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
    fn get(self, index: u32) -> Option<u64> {
        u64_at(self.0.get(usize::try_from(index).ok()?)?, 8)
    }

    /// The `st_shndx` of symbol `index`, if its value says that nobody has resolved it.
    fn unresolved(self, index: u32) -> Option<u16> {
        let symbol = self.0.get(usize::try_from(index).ok()?)?;
        let (binding, shndx) = (u8_at(symbol, 4)? >> 4, u16_at(symbol, 6)?);
        let is_open = shndx == SHN_LIVEPATCH || shndx == SHN_UNDEF && binding != STB_WEAK;
        (index != 0 && is_open && u64_at(symbol, 8)? == 0).then_some(shndx)
    }
}

/// A value of 0 may be that of an unresolved symbol, so it is not common.
impl Lookup for SymtabValues<'_> {
    #[inline(always)]
    fn value(self, index: u32) -> Option<u64> {
        self.get(index).filter(|value| *value != 0)
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
