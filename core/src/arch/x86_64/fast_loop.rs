//! The loops over plain memory: apply, clear, dry run.
//!
//! Each loop processes entries of the most frequent types and returns at the first entry that is of
//! another type or needs an error. `Pass::entry` handles this entry. Therefore the loops need
//! registers and instructions for the frequent case only.

use super::types::{R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32};
use crate::abi::RELA_SIZE;
use crate::arch::Lookup;
use crate::read::{high32, index, low32, u64_at};

/// The content of a field, for the types that Linux modules use and a value that fits.
enum Common {
    Word32(u32),
    Word64(u64),
}

/// One `Elf64_Rela`, as in the file.
type Entry = [u8; RELA_SIZE];

/// Returns offset and content of the field, or `None` if `Pass::entry` must handle the entry.
///
/// Arithmetic selects the formula, because a processor cannot predict which of PC32, PLT32 and 32S
/// comes next. It can predict the width.
#[inline(always)]
fn common(entry: &Entry, values: impl Lookup, address: u64) -> Option<(usize, Common)> {
    const WORD32: u32 = 1 << R_X86_64_PC32 | 1 << R_X86_64_PLT32 | 1 << R_X86_64_32S;
    const { assert!(R_X86_64_PC32 >> 3 & 1 == 0 && R_X86_64_PLT32 >> 3 & 1 == 0) };
    const { assert!(R_X86_64_32S >> 3 & 1 == 1) };
    const { assert!(R_X86_64_64 >> 4 == 0 && R_X86_64_PC64 >> 4 == 1) };

    // The reads are inside a fixed-size array: 0 is never returned instead of a word.
    let [offset, info, addend] = [0, 8, 16].map(|at| u64_at(entry, at).unwrap_or(0));
    let r_type = low32(info);
    let sum = values.value(high32(info))?.wrapping_add(addend);
    let p = address.wrapping_add(offset);
    let offset = index(offset)?;
    if r_type < 32 && WORD32 >> r_type & 1 != 0 {
        // All ones for PC32 and PLT32, zero for 32S.
        let relative = u64::from(r_type >> 3 & 1).wrapping_sub(1);
        let value = sum.wrapping_sub(p & relative).cast_signed();
        let field = i32::try_from(value).ok()?;
        Some((offset, Common::Word32(field.cast_unsigned())))
    } else if r_type == R_X86_64_64 || r_type == R_X86_64_PC64 {
        // Zero for 64, all ones for PC64.
        let relative = 0u64.wrapping_sub(u64::from(r_type >> 4));
        Some((offset, Common::Word64(sum.wrapping_sub(p & relative))))
    } else {
        None
    }
}

/// Writes `value` into a field that is zero or, with `clears`, zero into a field that holds `value`.
/// `None` if the field is outside of `bytes` or has another content.
#[inline(always)]
fn exchange<const SIZE: usize>(
    bytes: &mut [u8],
    offset: usize,
    value: [u8; SIZE],
    clears: bool,
) -> Option<()> {
    let (old, new) = if clears { (value, [0; SIZE]) } else { ([0; SIZE], value) };
    let field = bytes.get_mut(offset..)?.first_chunk_mut()?;
    (*field == old).then(|| *field = new)
}

/// Applies or clears entries. Returns the number of the first one that `Pass::entry` must handle.
#[inline(always)]
fn run<'e>(
    mut entries: impl Iterator<Item = (usize, &'e Entry)>,
    values: impl Lookup,
    bytes: &mut [u8],
    address: u64,
    clears: bool,
) -> Option<usize> {
    let stops = entries.find(|(_, entry)| {
        let exchanged = match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => exchange(bytes, offset, value.to_le_bytes(), clears),
            Some((offset, Common::Word64(value))) => exchange(bytes, offset, value.to_le_bytes(), clears),
            None => None,
        };
        exchanged.is_none()
    });
    stops.map(|(index, _)| index)
}

/// Applies entries from the first on, while they are common, inside of `bytes`, and their fields are
/// zero. Returns the number of applied entries.
#[inline(never)]
pub(crate) fn apply_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    let numbered = (0..entries.len()).zip(entries);
    run(numbered, values, bytes, address, false).unwrap_or(entries.len())
}

/// Clears entries from the last on, while they are common, inside of `bytes`, and their fields hold
/// the applied value. Returns the number of cleared entries.
#[inline(never)]
pub(crate) fn clear_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    let numbered = (0..entries.len()).zip(entries).rev();
    let left = run(numbered, values, bytes, address, true).map_or(0, |index| index.wrapping_add(1));
    entries.len().wrapping_sub(left)
}

/// Returns where the field ends, if it is zero.
#[inline(always)]
fn zeros<const SIZE: usize>(bytes: &[u8], offset: usize) -> Option<u64> {
    let field: &[u8; SIZE] = bytes.get(offset..)?.first_chunk()?;
    (*field == [0; SIZE]).then(|| (offset as u64).wrapping_add(SIZE as u64))
}

/// Checks entries from the first on, while they are common, inside of `bytes`, their fields are zero
/// and begin at `end` or later. `end` is first the argument, then the end of the field before.
/// Returns the number of checked entries and the last `end`.
#[inline(never)]
pub(crate) fn check_run(
    entries: &[Entry],
    values: impl Lookup,
    bytes: &[u8],
    address: u64,
    mut end: u64,
) -> (usize, u64) {
    for (done, entry) in (0..entries.len()).zip(entries) {
        let field = match common(entry, values, address) {
            Some((offset, Common::Word32(_))) if offset as u64 >= end => zeros::<4>(bytes, offset),
            Some((offset, Common::Word64(_))) if offset as u64 >= end => zeros::<8>(bytes, offset),
            _ => None,
        };
        match field {
            Some(after) => end = after,
            None => return (done, end),
        }
    }
    (entries.len(), end)
}

#[cfg(test)]
mod tests {
    use super::super::types::{R_X86_64_32, R_X86_64_NONE};
    use super::*;
    use crate::abi::SYM_SIZE;
    use crate::elf::Rela;
    use crate::reloc::{SymtabValues, Values};

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

    impl Values<'_> {
        fn apply_run(self, entries: &[Entry], bytes: &mut [u8]) -> usize {
            match self {
                Self::Dense(values) => apply_run(entries, values, bytes, ADDRESS),
                Self::Symtab(values) => apply_run(entries, values, bytes, ADDRESS),
                _ => unreachable!("the loops read no source"),
            }
        }

        fn check_run(self, entries: &[Entry], bytes: &[u8], end: u64) -> (usize, u64) {
            match self {
                Self::Dense(values) => check_run(entries, values, bytes, ADDRESS, end),
                Self::Symtab(values) => check_run(entries, values, bytes, ADDRESS, end),
                _ => unreachable!("the loops read no source"),
            }
        }

        fn clear_run(self, entries: &[Entry], bytes: &mut [u8]) -> usize {
            match self {
                Self::Dense(values) => clear_run(entries, values, bytes, ADDRESS),
                Self::Symtab(values) => clear_run(entries, values, bytes, ADDRESS),
                _ => unreachable!("the loops read no source"),
            }
        }
    }

    fn both(test: impl Fn(Values<'_>)) {
        let mut table = [[0; SYM_SIZE]; 3];
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
            assert_eq!(values.check_run(&entries, &bytes, 0), (5, 28));
            assert_eq!(values.apply_run(&entries, &mut bytes), 5);
            assert_eq!(bytes, written);
            assert_eq!(values.clear_run(&entries, &mut bytes), 5);
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
                assert_eq!(values.check_run(&entries, &bytes, 0), (5, 28), "{what}");
                assert_eq!(values.apply_run(&entries, &mut bytes), 5, "{what}");
                assert_eq!(bytes, fields, "{what}");
                assert_eq!(values.clear_run(&entries, &mut bytes), 5, "{what}");
            }
        });
    }

    #[test]
    fn a_run_stops_at_a_field_that_does_not_hold_what_it_should() {
        both(|values| {
            let (entries, written) = usual();
            // The last byte of each field, the last field first.
            for (field, at) in [27, 19, 11, 7, 3].into_iter().enumerate() {
                let done = 4 - field;
                let mut bytes = vec![0; written.len()];
                bytes[at] = 1;
                assert_eq!(values.check_run(&entries, &bytes, 0).0, done);
                assert_eq!(values.apply_run(&entries, &mut bytes), done);
                let mut bytes = written.clone();
                bytes[at] ^= 1;
                assert_eq!(values.clear_run(&entries, &mut bytes), field);
            }
        });
    }

    #[test]
    fn a_dry_run_stops_where_a_field_does_not_come_after_the_one_before_it() {
        both(|values| {
            for (r_type, size) in [(R_X86_64_PC32, 4), (R_X86_64_64, 8)] {
                for (end, answer) in [(3, (1, 3 + size)), (4, (0, 4))] {
                    assert_eq!(values.check_run(&[entry(3, 1, r_type)], &[0; 12], end), answer);
                }
                let twice = [entry(0, 1, r_type), entry(size - 1, 1, r_type)];
                assert_eq!(values.check_run(&twice, &[0; 16], 0), (1, size));
            }
        });
    }
}
