//! The loops over plain memory: apply, clear, dry run.
//!
//! Each goes over a run of common relocations, and stops at what is not common or not in order: that is for `Pass::one`.
//! So nothing but the common relocation is in the loop, not even in its registers.

use super::Values;
use super::values::Lookup;
use crate::abi::{self, RELA_SIZE};
use crate::elf::Rela;
use crate::read::index;

/// A relocation of the common kind: a type that Linux modules are made of, and a value that fits.
enum Common {
    Word32(u32),
    Word64(u64),
}

/// A relocation as it stands in the file.
pub(super) type Entry = [u8; RELA_SIZE];

/// The field's offset and value if the entry is of the common kind; everything else is for `Pass::one`.
///
/// Types are told apart by arithmetic: which of PC32, PLT32 and 32S comes next cannot be predicted, the width can.
#[inline(always)]
fn common(entry: &Entry, values: impl Lookup, address: u64) -> Option<(usize, Common)> {
    const WORD32: u32 = 1 << abi::R_X86_64_PC32 | 1 << abi::R_X86_64_PLT32 | 1 << abi::R_X86_64_32S;
    const { assert!(abi::R_X86_64_PC32 >> 3 & 1 == 0 && abi::R_X86_64_PLT32 >> 3 & 1 == 0) };
    const { assert!(abi::R_X86_64_32S >> 3 & 1 == 1) };
    const { assert!(abi::R_X86_64_64 >> 4 == 0 && abi::R_X86_64_PC64 >> 4 == 1) };

    let Rela { r_offset: offset, r_sym: symbol, r_type, r_addend: addend } = Rela::read(entry);
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

#[inline(always)]
fn field<const SIZE: usize>(bytes: &[u8], offset: usize) -> Option<&[u8; SIZE]> {
    bytes.get(offset..)?.first_chunk()
}

/// Applies the entries from the first on while they are common, inside, and their fields zero. Answers how many.
///
/// 32 instructions for a PC32 as for a 64, all checks included (counted in the disassembly, rustc 1.95).
#[inline(never)]
fn apply_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    for (index, entry) in (0..entries.len()).zip(entries) {
        match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => match slot(bytes, offset) {
                Some(slot) if u32::from_le_bytes(*slot) == 0 => *slot = value.to_le_bytes(),
                _ => return index,
            },
            Some((offset, Common::Word64(value))) => match slot(bytes, offset) {
                Some(slot) if u64::from_le_bytes(*slot) == 0 => *slot = value.to_le_bytes(),
                _ => return index,
            },
            None => return index,
        }
    }
    entries.len()
}

/// Clears the entries from the last on while they are common, inside, and hold what was applied. Answers how many are
/// left.
#[inline(never)]
fn clear_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    for (index, entry) in (0..entries.len()).zip(entries).rev() {
        let left = index.wrapping_add(1);
        match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => match slot(bytes, offset) {
                Some(slot) if u32::from_le_bytes(*slot) == value => *slot = [0; 4],
                _ => return left,
            },
            Some((offset, Common::Word64(value))) => match slot(bytes, offset) {
                Some(slot) if u64::from_le_bytes(*slot) == value => *slot = [0; 8],
                _ => return left,
            },
            None => return left,
        }
    }
    0
}

/// Goes over the entries from the first on while they are common, inside, their fields zero and behind `end`, where the
/// field before them ends. Answers how many, and where the last field ends.
#[inline(never)]
fn check_run(
    entries: &[Entry],
    values: impl Lookup,
    bytes: &[u8],
    address: u64,
    mut end: u64,
) -> (usize, u64) {
    for (index, entry) in (0..entries.len()).zip(entries) {
        match common(entry, values, address) {
            Some((offset, Common::Word32(_))) if offset as u64 >= end => match field(bytes, offset) {
                Some(field) if u32::from_le_bytes(*field) == 0 => end = (offset as u64).wrapping_add(4),
                _ => return (index, end),
            },
            Some((offset, Common::Word64(_))) if offset as u64 >= end => match field(bytes, offset) {
                Some(field) if u64::from_le_bytes(*field) == 0 => end = (offset as u64).wrapping_add(8),
                _ => return (index, end),
            },
            _ => return (index, end),
        }
    }
    (entries.len(), end)
}

impl Values<'_> {
    /// Applies the common entries at the beginning of `entries`. Answers how many.
    pub(super) fn apply_run(&self, entries: &[Entry], bytes: &mut [u8], address: u64) -> usize {
        match *self {
            Self::Dense(values) => apply_run(entries, values, bytes, address),
            Self::Symtab(values) => apply_run(entries, values, bytes, address),
        }
    }

    /// Clears the common entries at the end of `entries`, the last first. Answers how many are left.
    pub(super) fn clear_run(&self, entries: &[Entry], bytes: &mut [u8], address: u64) -> usize {
        match *self {
            Self::Dense(values) => clear_run(entries, values, bytes, address),
            Self::Symtab(values) => clear_run(entries, values, bytes, address),
        }
    }

    /// Goes over the common entries at the beginning of `entries` whose fields ascend from `end` on. Answers how many, and
    /// where the last field ends.
    pub(super) fn check_run(&self, entries: &[Entry], bytes: &[u8], address: u64, end: u64) -> (usize, u64) {
        match *self {
            Self::Dense(values) => check_run(entries, values, bytes, address, end),
            Self::Symtab(values) => check_run(entries, values, bytes, address, end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SymtabValues;
    use super::*;
    use abi::{
        R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32,
    };

    /// Symbol 1 is at 0x5000, symbol 2 four GiB above; the target is at 0x1000.
    const ADDRESS: u64 = 0x1000;
    const SYMBOLS: [u64; 3] = [0, 0x5000, 0x1_0000_5000];

    fn entry(offset: u64, symbol: u32, r_type: u32) -> Entry {
        Rela { r_offset: offset, r_sym: symbol, r_type, r_addend: 7 }.to_bytes()
    }

    /// One of each type that modules are made of, and the fields that they write.
    fn usual() -> (Vec<Entry>, Vec<u8>) {
        let mut bytes = Vec::new();
        bytes.extend(0x4007u32.to_le_bytes());
        bytes.extend(0x4003u32.to_le_bytes());
        bytes.extend(0x5007u32.to_le_bytes());
        bytes.extend(0x5007u64.to_le_bytes());
        bytes.extend(0x3ff3u64.to_le_bytes());
        let types = [
            (0, R_X86_64_PC32),
            (4, R_X86_64_PLT32),
            (8, R_X86_64_32S),
            (12, R_X86_64_64),
            (20, R_X86_64_PC64),
        ];
        (types.map(|(offset, r_type)| entry(offset, 1, r_type)).to_vec(), bytes)
    }

    fn both(test: impl Fn(Values<'_>)) {
        let mut table = [[0; abi::SYM_SIZE]; 3];
        for (symbol, value) in table.iter_mut().zip(SYMBOLS) {
            symbol[8..16].copy_from_slice(&value.to_le_bytes());
        }
        test(Values::Dense(&SYMBOLS));
        test(SymtabValues::from_entries(&table).into());
    }

    #[test]
    fn a_run_goes_over_everything_that_modules_are_made_of() {
        both(|values| {
            let (entries, written) = usual();
            let mut bytes = vec![0; written.len()];
            assert_eq!(values.check_run(&entries, &bytes, ADDRESS, 0), (5, 28));
            assert_eq!(values.apply_run(&entries, &mut bytes, ADDRESS), 5);
            assert_eq!(bytes, written);
            assert_eq!(values.clear_run(&entries, &mut bytes, ADDRESS), 0);
            assert_eq!(bytes, vec![0; written.len()]);
        });
    }

    #[test]
    fn a_run_stops_at_what_is_not_common_and_leaves_it_alone() {
        let bad = [
            ("type", entry(28, 1, R_X86_64_NONE)),
            ("type", entry(28, 1, R_X86_64_32)),
            ("type", entry(28, 1, 12)),
            ("type", entry(28, 1, 32 + R_X86_64_PC32)),
            ("symbol", entry(28, 3, R_X86_64_64)),
            ("value", entry(28, 2, R_X86_64_32S)),
            ("inside", entry(33, 1, R_X86_64_PC32)),
            ("inside", entry(29, 1, R_X86_64_64)),
            ("inside", entry(u64::MAX, 1, R_X86_64_64)),
        ];
        both(|values| {
            for (what, bad) in bad {
                let (mut entries, written) = usual();
                let fields = [written.as_slice(), &[0; 8]].concat();
                let mut bytes = vec![0; fields.len()];
                entries.push(bad);
                entries.extend(usual().0);
                assert_eq!(values.check_run(&entries, &bytes, ADDRESS, 0), (5, 28), "{what}");
                assert_eq!(values.apply_run(&entries, &mut bytes, ADDRESS), 5, "{what}");
                assert_eq!(bytes, fields, "{what}");
                assert_eq!(values.clear_run(&entries, &mut bytes, ADDRESS), 6, "{what}");
            }
        });
    }

    #[test]
    fn a_run_stops_at_a_field_that_does_not_hold_what_it_should() {
        both(|values| {
            let (entries, written) = usual();
            // The last byte of each field, the last field first.
            for (field, at) in [27, 19, 11, 7, 3].into_iter().enumerate() {
                let (done, left) = (4 - field, 5 - field);
                let mut bytes = vec![0; written.len()];
                bytes[at] = 1;
                assert_eq!(values.check_run(&entries, &bytes, ADDRESS, 0).0, done);
                assert_eq!(values.apply_run(&entries, &mut bytes, ADDRESS), done);
                let mut bytes = written.clone();
                bytes[at] ^= 1;
                assert_eq!(values.clear_run(&entries, &mut bytes, ADDRESS), left);
            }
        });
    }

    #[test]
    fn a_dry_run_stops_where_a_field_does_not_come_after_the_one_before_it() {
        both(|values| {
            for (r_type, size) in [(R_X86_64_PC32, 4), (R_X86_64_64, 8)] {
                for (end, answer) in [(3, (1, 3 + size)), (4, (0, 4))] {
                    assert_eq!(values.check_run(&[entry(3, 1, r_type)], &[0; 12], ADDRESS, end), answer);
                }
                let twice = [entry(0, 1, r_type), entry(size - 1, 1, r_type)];
                assert_eq!(values.check_run(&twice, &[0; 16], ADDRESS, 0), (1, size));
            }
        });
    }
}
