//! Where symbol values come from.

use crate::abi::SYM_SIZE;
use crate::error::{Error, ErrorKind};

/// Symbol values by index, for a whole symbol table.
pub trait Values {
    /// The value of symbol `index`; `None` when there is no such symbol.
    fn value(&self, index: u32) -> Option<u64>;
    /// Number of symbols.
    fn count(&self) -> usize;
}

/// Dense: eight bytes a symbol, and the fastest.
impl Values for [u64] {
    #[inline]
    fn value(&self, index: u32) -> Option<u64> {
        self.get(usize::try_from(index).ok()?).copied()
    }

    fn count(&self) -> usize {
        self.len()
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
            (_, rest) => Err(ErrorKind::PartialEntry.error(bytes.len() as u64, rest.len() as u64)),
        }
    }

    /// Values from entries, 24 bytes each.
    pub const fn from_entries(entries: &'a [[u8; SYM_SIZE]]) -> Self {
        Self(entries)
    }
}

impl Values for SymtabValues<'_> {
    #[inline]
    fn value(&self, index: u32) -> Option<u64> {
        crate::read::u64_at(self.0.get(usize::try_from(index).ok()?)?, 8)
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_answer_the_same_and_neither_past_its_end() {
        let mut table = vec![0u8; SYM_SIZE * 2];
        table[SYM_SIZE + 8..SYM_SIZE + 16].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());
        let symtab = SymtabValues::new(&table).unwrap();
        let dense: &[u64] = &[0, 0x1122_3344_5566_7788];
        for index in [0, 1, 2, u32::MAX] {
            assert_eq!(symtab.value(index), dense.value(index), "{index}");
        }
        assert_eq!(symtab.count(), dense.count());
        assert!(SymtabValues::new(&table[1..]).is_err());
    }
}
