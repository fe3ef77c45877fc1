//! What the rules say (psABI table 4.10, Linux semantics 9), in numbers that cannot wrap: the reference.

use relakit::elf::Rela;
use relakit::reloc::RelocFlags;
use relakit::{Error, ErrorKind};

/// Which numbers a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Any,
    Zext,
    Sext,
    SextIfAsked,
    Both,
}

/// One row of the psABI's table: number, whether P is subtracted, bits, which numbers fit, whether Linux knows it.
pub type Type = (u32, bool, u32, Fit, bool);

pub const TYPES: [Type; 11] = [
    (0, false, 0, Fit::Any, true),
    (1, false, 64, Fit::Any, true),
    (2, true, 32, Fit::SextIfAsked, true),
    (4, true, 32, Fit::SextIfAsked, true),
    (10, false, 32, Fit::Zext, true),
    (11, false, 32, Fit::Sext, true),
    (12, false, 16, Fit::Both, false),
    (13, true, 16, Fit::Sext, false),
    (14, false, 8, Fit::Both, false),
    (15, true, 8, Fit::Sext, false),
    (24, true, 64, Fit::Any, true),
];

const TWO_64: i128 = 1 << 64;

/// The row of a type, if these rules know it.
pub fn row(r_type: u32, flags: RelocFlags) -> Option<Type> {
    TYPES.into_iter().find(|row| row.0 == r_type && (row.4 || flags.contains(RelocFlags::EXTRA_TYPES)))
}

/// S + A or S + A - P modulo 2^64.
pub fn value((_, relative, ..): Type, s: u64, a: i64, p: u64) -> i128 {
    let exact = i128::from(s) + i128::from(a) - if relative { i128::from(p) } else { 0 };
    exact.rem_euclid(TWO_64)
}

/// Reads `value`, 0 to 2^64 - 1, as two's complement.
pub fn signed(value: i128) -> i128 {
    if value >= TWO_64 / 2 { value - TWO_64 } else { value }
}

/// The largest number that fits, if there is one.
pub fn largest((_, _, bits, fit, _): Type, flags: RelocFlags) -> Option<i128> {
    match fit {
        Fit::Any => None,
        Fit::SextIfAsked if !flags.contains(RelocFlags::CHECK_PC32) => None,
        Fit::Sext | Fit::SextIfAsked => Some((1 << (bits - 1)) - 1),
        Fit::Zext | Fit::Both => Some((1 << bits) - 1),
    }
}

/// Whether `value`, 0 to 2^64 - 1, fits.
pub fn fits(row: Type, value: i128, flags: RelocFlags) -> bool {
    let (_, _, bits, fit, _) = row;
    let zext = value < 1 << bits;
    let sext = bits != 0 && (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&signed(value));
    match (largest(row, flags), fit) {
        (None, _) => true,
        (_, Fit::Zext) => zext,
        (_, Fit::Both) => zext || sext,
        _ => sext,
    }
}

/// The number in the little-endian field `bytes`.
pub fn number(bytes: &[u8]) -> i128 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | i128::from(*byte))
}

/// All that an [`Error`] says, so that it can be written down here.
pub type Fault = (ErrorKind, Option<u64>, Option<u32>, Option<u32>, u64, u64, u64);

pub fn fault(error: Error) -> Fault {
    assert_eq!(error.section, None, "the engine does not know its section");
    (error.kind, error.entry, error.symbol, error.r_type, error.offset, error.value, error.limit)
}

/// A memory, the symbol values and the rules.
#[derive(Clone, Debug)]
pub struct World {
    pub bytes: Vec<u8>,
    pub address: u64,
    pub values: Vec<u64>,
    pub flags: RelocFlags,
}

impl World {
    /// One entry, judged against the bytes as they are. The field and its content, `None` for NONE.
    pub fn judge(&self, index: usize, rela: Rela) -> Result<Option<(usize, Vec<u8>)>, Fault> {
        let bad = |kind, value: i128, limit: i128| {
            let (value, limit) = (u64::try_from(value).unwrap(), u64::try_from(limit).unwrap());
            (kind, Some(index as u64), Some(rela.r_sym), Some(rela.r_type), rela.r_offset, value, limit)
        };
        let count = self.values.len();
        if i128::from(rela.r_sym) >= count as i128 {
            return Err(bad(ErrorKind::SymbolIndex, 0, count as i128));
        }
        let s = self.values[rela.r_sym as usize];
        let Some(row) = row(rela.r_type, self.flags) else {
            return Err(bad(ErrorKind::UnknownType, 0, 0));
        };
        let (size, length) = ((row.2 / 8) as i128, self.bytes.len() as i128);
        if size == 0 {
            return Ok(None);
        }
        let place = (i128::from(self.address) + i128::from(rela.r_offset)).rem_euclid(TWO_64);
        let value = value(row, s, rela.r_addend, u64::try_from(place).unwrap());
        let overflow = (!fits(row, value, self.flags))
            .then(|| bad(ErrorKind::Overflow, value, largest(row, self.flags).unwrap()));
        let zero_first = self.flags.contains(RelocFlags::REPORT_NONZERO_FIRST);
        if let (Some(overflow), false) = (overflow, zero_first) {
            return Err(overflow);
        }
        if i128::from(rela.r_offset) + size > length {
            return Err(bad(ErrorKind::OffsetOutside, size, length));
        }
        let at = rela.r_offset as usize;
        let existing = number(&self.bytes[at..at + size as usize]);
        if existing != 0 && !self.flags.contains(RelocFlags::ALLOW_NONZERO) {
            return Err(bad(ErrorKind::TargetNotZero, value, existing));
        }
        if let Some(overflow) = overflow {
            return Err(overflow);
        }
        Ok(Some((at, (0..size).map(|byte| (value >> (8 * byte) & 0xff) as u8).collect())))
    }

    /// What applying one entry after the other does to memory, or the first fault.
    pub fn applied(&self, table: &[Rela]) -> Result<Vec<u8>, Fault> {
        let mut world = self.clone();
        for (index, rela) in table.iter().enumerate() {
            if let Some((at, field)) = world.judge(index, *rela)? {
                world.bytes[at..at + field.len()].copy_from_slice(&field);
            }
        }
        Ok(world.bytes)
    }

    /// All entries that are at fault, each by itself.
    pub fn errors(&self, table: &[Rela]) -> Vec<Fault> {
        table.iter().enumerate().filter_map(|(index, rela)| self.judge(index, *rela).err()).collect()
    }
}

/// Whether each field begins at or after the end of the one before it.
pub fn ascends(table: &[Rela], flags: RelocFlags) -> bool {
    first_unordered(table, flags).is_none()
}

/// The first entry whose field begins before the end of the one before it.
pub fn first_unordered(table: &[Rela], flags: RelocFlags) -> Option<usize> {
    let mut end = 0i128;
    table.iter().position(|rela| {
        let size = row(rela.r_type, flags).map_or(0, |row| i128::from(row.2 / 8));
        let before = size != 0 && i128::from(rela.r_offset) < end;
        if size != 0 {
            end = i128::from(rela.r_offset) + size;
        }
        before
    })
}
