//! Symbol values.

use crate::abi::{SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM_SIZE};
use crate::arch::Lookup;
use crate::error::{Error, ErrorKind};
use crate::read::{u8_at, u16_at, u64_at};

/// Symbol values by index, for a whole symbol table.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// An array with one value for each symbol. This is the fastest form.
    Dense(&'a [u64]),
    /// The `st_value` members of an `Elf64_Sym` table.
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
    /// Returns the value of symbol `index`, or `None` if the symbol does not exist.
    pub fn value(&self, index: u32) -> Option<u64> {
        match self {
            Self::Dense(values) => values.value(index),
            Self::Symtab(values) => values.get(index),
        }
    }

    /// Returns the `st_shndx` of symbol `index` if a symbol table has the value 0 for it although it is
    /// a livepatch symbol, or undefined and not weak. Symbol 0 always has the value 0.
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

impl Lookup for &[u64] {
    #[inline(always)]
    fn value(self, index: u32) -> Option<u64> {
        self.get(usize::try_from(index).ok()?).copied()
    }
}

/// The `st_value` members of a resolved `Elf64_Sym` table in memory.
#[derive(Clone, Copy, Debug)]
pub struct SymtabValues<'a>(&'a [[u8; SYM_SIZE]]);

impl<'a> SymtabValues<'a> {
    /// Values of `bytes`, a little-endian `Elf64_Sym` table.
    ///
    /// # Errors
    /// [`ErrorKind::PartialEntry`]: the size is not a multiple of 24 bytes.
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.as_chunks() {
            (entries, []) => Ok(Self(entries)),
            (_, rest) => Err(Error::new(ErrorKind::PartialEntry, bytes.len() as u64, rest.len() as u64)),
        }
    }

    /// Values of the entries of a table.
    pub const fn from_entries(entries: &'a [[u8; SYM_SIZE]]) -> Self {
        Self(entries)
    }
}

impl SymtabValues<'_> {
    fn get(self, index: u32) -> Option<u64> {
        u64_at(self.0.get(usize::try_from(index).ok()?)?, 8)
    }

    /// See [`Values::unresolved`].
    fn unresolved(self, index: u32) -> Option<u16> {
        let symbol = self.0.get(usize::try_from(index).ok()?)?;
        let (binding, shndx) = (u8_at(symbol, 4)? >> 4, u16_at(symbol, 6)?);
        let is_open = shndx == SHN_LIVEPATCH || shndx == SHN_UNDEF && binding != STB_WEAK;
        (index != 0 && is_open && u64_at(symbol, 8)? == 0).then_some(shndx)
    }
}

/// The loops return at the value 0, because it may be the value of an unresolved symbol.
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
