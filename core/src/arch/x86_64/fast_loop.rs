//! The loops over plain memory: apply, clear, dry run.
//!
//! Each loop processes entries of the most frequent types and returns at the first entry that is of
//! another type or needs an error. `Pass::entry` handles this entry. Therefore the loops need
//! registers and instructions for the frequent case only.

use super::types::{R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32};
use crate::abi::RELA_SIZE;
use crate::arch::Lookup;
use crate::read::{index, low32, u32_at, u64_at};

/// One `Elf64_Rela`, as in the file.
type Entry = [u8; RELA_SIZE];

/// Two tables by type. The first has all ones if P is subtracted, else 0. The second has 0 if the
/// field is signed and has 32 bits, else 1.
///
/// Tables, because a processor cannot predict which of PC32, PLT32 and 32S comes next. It can
/// predict the width.
static TYPES: [[u64; 32]; 2] = [
    by_type(0, &[R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_PC64], u64::MAX),
    by_type(1, &[R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32S], 0),
];

/// A table by type: `number` for `types`, and `others` for all other types.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler only")]
const fn by_type(others: u64, mut types: &[u32], number: u64) -> [u64; 32] {
    let mut table = [others; 32];
    while let [r_type, rest @ ..] = types {
        table[*r_type as usize] = number;
        types = rest;
    }
    table
}

/// A relocation whose type is below 32 and whose symbol exists.
struct Value {
    /// Offset of the field, at most `limit`.
    offset: usize,
    /// S + A or S + A - P.
    value: u64,
    r_type: u32,
    /// 0 if the field has 32 bits and is signed.
    is_other: u64,
}

impl Value {
    /// `limit` is the number of bytes of the target less 4.
    #[inline(always)]
    fn of(entry: &Entry, values: impl Lookup, address: u64, limit: usize) -> Option<Self> {
        // The reads are inside a fixed-size array: 0 is never returned instead of a word.
        let [r_offset, addend] = [0, 16].map(|at| u64_at(entry, at).unwrap_or(0));
        let [r_type, symbol] = [8, 12].map(|at| u32_at(entry, at).unwrap_or(0));
        let row = usize::try_from(r_type).ok()?;
        let [masks, others] = &TYPES;
        let (mask, is_other) = (masks.get(row)?, others.get(row)?);
        let sum = values.value(symbol)?.wrapping_add(addend);
        let offset = index(r_offset).filter(|offset| *offset <= limit)?;
        let value = sum.wrapping_sub(address.wrapping_add(r_offset) & mask);
        Some(Self { offset, value, r_type, is_other: *is_other })
    }

    const fn is_64_bits(&self) -> bool {
        matches!(self.r_type, R_X86_64_64 | R_X86_64_PC64)
    }
}

/// The number whose low 32 bits a signed field holds.
#[inline(always)]
fn extended(field: [u8; 4]) -> u64 {
    i64::from(i32::from_le_bytes(field)).cast_unsigned()
}

/// 0 if a signed field of 32 bits can hold `value`, and is zero.
#[inline(always)]
fn excess(value: u64, field: [u8; 4]) -> u64 {
    (extended(low32(value).to_le_bytes()) ^ value) | u64::from(u32::from_le_bytes(field))
}

/// Applies or clears one entry: writes the value into a field that is zero or, with `clears`, zero
/// into a field that holds the value. `None` if `Pass::entry` must handle the entry.
#[inline(always)]
fn exchange(
    entry: &Entry,
    values: impl Lookup,
    bytes: &mut [u8],
    address: u64,
    limit: usize,
    clears: bool,
) -> Option<()> {
    let found = Value::of(entry, values, address, limit)?;
    let value = found.value;
    let field: &mut [u8; 4] = bytes.get_mut(found.offset..)?.first_chunk_mut()?;
    // One branch for the type, the range and the existing bytes.
    let differs = if clears { extended(*field) ^ value } else { excess(value, *field) };
    if differs | found.is_other == 0 {
        *field = if clears { [0; 4] } else { low32(value).to_le_bytes() };
        return Some(());
    }
    let (old, new) = if clears { (value, 0) } else { (0, value) };
    let field: &mut [u8; 8] = bytes.get_mut(found.offset..)?.first_chunk_mut()?;
    (found.is_64_bits() && u64::from_le_bytes(*field) == old).then(|| *field = new.to_le_bytes())
}

/// Applies entries from the first on, while they are common, inside of `bytes`, and their fields are
/// zero. Returns the number of applied entries.
#[inline(never)]
pub(crate) fn apply_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    let Some(limit) = bytes.len().checked_sub(4) else { return 0 };
    let mut rest = entries;
    while let Some((entry, tail)) = rest.split_first() {
        if exchange(entry, values, bytes, address, limit, false).is_none() {
            break;
        }
        rest = tail;
    }
    entries.len().wrapping_sub(rest.len())
}

/// Clears entries from the last on, while they are common, inside of `bytes`, and their fields hold
/// the applied value. Returns the number of cleared entries.
#[inline(never)]
pub(crate) fn clear_run(entries: &[Entry], values: impl Lookup, bytes: &mut [u8], address: u64) -> usize {
    let Some(limit) = bytes.len().checked_sub(4) else { return 0 };
    let mut rest = entries;
    while let Some((entry, head)) = rest.split_last() {
        if exchange(entry, values, bytes, address, limit, true).is_none() {
            break;
        }
        rest = head;
    }
    entries.len().wrapping_sub(rest.len())
}

/// Returns where the field ends, if the entry can be applied and its field begins at `end` or later.
#[inline(always)]
fn check(
    entry: &Entry,
    values: impl Lookup,
    bytes: &[u8],
    address: u64,
    limit: usize,
    end: u64,
) -> Option<u64> {
    let found = Value::of(entry, values, address, limit)?;
    let offset = found.offset as u64;
    if offset < end {
        return None;
    }
    let field = bytes.get(found.offset..)?.first_chunk()?;
    if excess(found.value, *field) | found.is_other == 0 {
        return Some(offset.wrapping_add(4));
    }
    let field: &[u8; 8] = bytes.get(found.offset..)?.first_chunk()?;
    (found.is_64_bits() && *field == [0; 8]).then_some(offset.wrapping_add(8))
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
    let Some(limit) = bytes.len().checked_sub(4) else { return (0, end) };
    let mut rest = entries;
    while let Some((entry, tail)) = rest.split_first() {
        let Some(after) = check(entry, values, bytes, address, limit, end) else { break };
        (rest, end) = (tail, after);
    }
    (entries.len().wrapping_sub(rest.len()), end)
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
