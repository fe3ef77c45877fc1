//! Symbol values.

use crate::abi::{SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM_SIZE};
use crate::arch::Lookup;
use crate::error::{CallbackError, Error, ErrorKind};
use crate::read::{u8_at, u16_at, u64_at};
use crate::report::{Failed, Report};
use core::fmt;

/// Symbol values by index, for a whole symbol table.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// An array with one value for each symbol. This is the fastest form.
    Dense(&'a [u64]),
    /// The `st_value` members of an `Elf64_Sym` table.
    Symtab(SymtabValues<'a>),
    /// The values of a source, for `count` symbols.
    Source {
        /// Number of symbols. The source is not called for other indices.
        count: usize,
        /// Returns the values.
        source: &'a dyn ValueSource,
    },
    /// The same with a function pointer instead of a trait object. It needs no vtable, so a program
    /// that is linked at address 0 needs no relocation of its own for it.
    Callback {
        /// Number of symbols. The function is not called for other indices.
        count: usize,
        /// Returns the values.
        callback: &'a ValueCallback,
    },
}

/// Returns symbol values one by one, for loaders that have no array of them.
///
/// A pass calls the source once or several times for each entry. The source must return the same
/// result for the same symbol during the whole pass.
///
/// A pass that is rolled back calls the source again in these cases: the pass was clearing, or has
/// [`RelocFlags::ADD_TO_FIELD`](super::RelocFlags::ADD_TO_FIELD), or has skipped an entry. If the
/// source then fails, the pass fails with [`ErrorKind::NotUndone`]. If it then returns another value
/// than before, or another decision to skip, the fields of these entries can have a wrong content
/// after the rollback. Even then the pass writes no byte outside of the fields of its table.
pub trait ValueSource {
    /// Returns the value of `symbol`. `None` means that entries with this symbol are skipped: they are
    /// neither checked nor written.
    ///
    /// # Errors
    /// See [`ValueError`].
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError>;

    /// Whether [`value`](Self::value) can return `None`. If it cannot, no pass that applies without
    /// `ADD_TO_FIELD` calls the source during its rollback.
    fn may_skip(&self) -> bool {
        true
    }
}

/// Why a source has no value for a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueError {
    /// The symbol does not exist. The pass fails with [`ErrorKind::UnknownSymbol`].
    NotFound,
    /// Another error. The pass fails with [`ErrorKind::Resolver`].
    Failed(CallbackError),
}

/// A source as a function and its first argument.
#[derive(Clone, Copy, Debug)]
pub struct ValueCallback {
    /// First argument of `value`. relakit does not dereference it.
    pub ctx: *const (),
    /// See [`ValueSource::value`].
    pub value: fn(ctx: *const (), symbol: u32) -> Result<Option<u64>, ValueError>,
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} symbols)", self.count())
    }
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
    /// Returns the value of symbol `index`. `None` if the symbol does not exist, or if a source skips it
    /// or fails.
    pub fn value(&self, index: u32) -> Option<u64> {
        match self {
            Self::Dense(values) => values.value(index),
            Self::Symtab(values) => values.get(index),
            Self::Source { .. } | Self::Callback { .. } => self.call(index)?.ok()?,
        }
    }

    /// Returns the value of symbol `index`, or `None` if its entries are skipped.
    pub(super) fn resolve(&self, index: u32, report: &mut Report) -> Result<Option<u64>, Failed> {
        let value = match self {
            Self::Dense(values) => values.value(index).map(|value| Ok(Some(value))),
            Self::Symtab(values) => values.get(index).map(|value| Ok(Some(value))),
            Self::Source { .. } | Self::Callback { .. } => self.call(index),
        };
        match value {
            Some(Ok(value)) => Ok(value),
            Some(Err(ValueError::NotFound)) => Err(report.fail(ErrorKind::UnknownSymbol, 0, 0)),
            Some(Err(ValueError::Failed(error))) => Err(report.fail(ErrorKind::Resolver, error.number(), 0)),
            None => Err(report.fail(ErrorKind::SymbolIndex, 0, self.count() as u64)),
        }
    }

    /// Whether a source skips the entries of symbol `index`.
    pub(super) fn skips(&self, index: u32) -> bool {
        self.may_skip() && matches!(self.call(index), Some(Ok(None)))
    }

    /// Whether an entry may be skipped.
    pub(super) fn may_skip(&self) -> bool {
        match self {
            Self::Source { source, .. } => source.may_skip(),
            Self::Callback { .. } => true,
            _ => false,
        }
    }

    /// Calls a source. `None` if there is no such symbol, or no source.
    fn call(&self, index: u32) -> Option<Result<Option<u64>, ValueError>> {
        usize::try_from(index).ok().filter(|index| *index < self.count())?;
        match self {
            Self::Source { source, .. } => Some(source.value(index)),
            Self::Callback { callback, .. } => Some((callback.value)(callback.ctx, index)),
            _ => None,
        }
    }

    /// Returns the `st_shndx` of symbol `index` if a symbol table has the value 0 for it although it is
    /// a livepatch symbol, or undefined and not weak. Symbol 0 always has the value 0.
    pub(super) fn unresolved(&self, index: u32) -> Option<u16> {
        match self {
            Self::Symtab(values) => values.unresolved(index),
            _ => None,
        }
    }

    /// Number of symbols.
    pub const fn count(&self) -> usize {
        match self {
            Self::Dense(values) => values.len(),
            Self::Symtab(values) => values.0.len(),
            Self::Source { count, .. } | Self::Callback { count, .. } => *count,
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
