//! Relocation tables with addends (gABI 4, "Relocation").

use crate::abi::RELA_SIZE;
use crate::error::{Error, ErrorKind};
use crate::read::{high32, low32, u64_at};
use crate::report::{Failed, Report};

/// One relocation.
///
/// The fields have the names of `Elf64_Rela`; `r_sym` and `r_type` are the halves of `r_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rela {
    /// Offset of the field in the target section, in bytes.
    pub r_offset: u64,
    /// Symbol table index (upper 32 bits of `r_info`).
    pub r_sym: u32,
    /// psABI relocation type (lower 32 bits of `r_info`).
    pub r_type: u32,
    /// Constant that is added to the symbol value.
    pub r_addend: i64,
}

impl Rela {
    /// Reads an `Elf64_Rela`.
    pub fn read(entry: &[u8; RELA_SIZE]) -> Self {
        // The reads are inside of the array, so they succeed.
        let word = |at| u64_at(entry, at).unwrap_or(0);
        let info = word(8);
        Self { r_offset: word(0), r_sym: high32(info), r_type: low32(info), r_addend: word(16).cast_signed() }
    }

    /// Adds this entry, number `index` of its table, to an error.
    pub(crate) fn locate(self, index: usize, failed: Failed, report: &mut Report) -> Failed {
        report.at_relocation(failed, index, self.r_offset, self.r_sym, self.r_type)
    }

    /// Returns the `Elf64_Rela`.
    pub fn to_bytes(self) -> [u8; RELA_SIZE] {
        let info = u64::from(self.r_sym) << 32 | u64::from(self.r_type);
        let mut entry = [0; RELA_SIZE];
        let words = [self.r_offset, info, self.r_addend.cast_unsigned()];
        for (to, from) in entry.as_chunks_mut().0.iter_mut().zip(words) {
            *to = from.to_le_bytes();
        }
        entry
    }
}

/// A table of `Elf64_Rela`. It borrows the file.
#[derive(Clone, Copy, Debug)]
pub struct RelaTable<'f> {
    entries: &'f [[u8; RELA_SIZE]],
}

impl<'f> RelaTable<'f> {
    /// Returns the table in `bytes`.
    ///
    /// # Errors
    /// - `PartialEntry`: the size is not a multiple of 24.
    pub const fn new(bytes: &'f [u8]) -> Result<Self, Error> {
        let (table, rest) = Self::whole_entries(bytes);
        match rest {
            0 => Ok(table),
            _ => Err(Error::new(ErrorKind::PartialEntry, bytes.len() as u64, rest as u64)),
        }
    }

    /// Returns the whole entries in `bytes`, and the number of bytes after them. Linux ignores
    /// these (Linux semantics 15).
    pub const fn whole_entries(bytes: &'f [u8]) -> (Self, usize) {
        let (entries, rest) = bytes.as_chunks::<RELA_SIZE>();
        (Self { entries }, rest.len())
    }

    /// Returns the table with these entries.
    pub const fn from_entries(entries: &'f [[u8; RELA_SIZE]]) -> Self {
        Self { entries }
    }

    /// Returns the entries.
    pub const fn entries(&self) -> &'f [[u8; RELA_SIZE]] {
        self.entries
    }

    /// Returns the number of entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entry at `index`.
    pub fn get(&self, index: usize) -> Option<Rela> {
        self.entries.get(index).map(Rela::read)
    }

    /// Returns all entries in order, with their indices.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (usize, Rela)> + use<'f> {
        let table = *self;
        // Not `enumerate`, which can panic in a build with overflow checks.
        (0..self.len()).filter_map(move |index| Some((index, table.get(index)?)))
    }

    /// Returns all entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Rela> + DoubleEndedIterator + Clone + use<'f> {
        self.entries.iter().map(Rela::read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_that_is_not_a_multiple_of_an_entry_is_refused() {
        let bytes = [0u8; RELA_SIZE * 3];
        for size in 0..=bytes.len() {
            let table = RelaTable::new(&bytes[..size]);
            let (whole, rest) = RelaTable::whole_entries(&bytes[..size]);
            assert_eq!((whole.len(), rest), (size / RELA_SIZE, size % RELA_SIZE));
            match table {
                Ok(table) => assert_eq!((table.len() * RELA_SIZE, rest), (size, 0)),
                Err(error) => assert_eq!((error.value, error.limit), (size as u64, rest as u64)),
            }
        }
    }

    #[test]
    fn an_entry_written_is_the_entry_read() {
        let rela =
            Rela { r_offset: 0x1122_3344_5566_7788, r_sym: 0xaabb_ccdd, r_type: 0x0102_0304, r_addend: -4 };
        assert_eq!(Rela::read(&rela.to_bytes()), rela);
        assert_eq!(rela.to_bytes()[8..16], [4, 3, 2, 1, 0xdd, 0xcc, 0xbb, 0xaa]);
    }
}
