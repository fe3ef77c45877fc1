//! One table of relocations (psABI table 4.10, Linux semantics 9), in numbers that cannot wrap.

use relakit::abi::{RELA_SIZE, SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM_SIZE};
use relakit::elf::Rela;
use relakit::reloc::RelocFlags;
use relakit::{Error, ErrorKind};

/// Which numbers a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the psABI's words")]
pub enum Fit {
    Any,
    Zext,
    Sext,
    SextOrCut,
    Both,
}

/// One row of the psABI's table: number, whether P is subtracted, bits, which numbers fit, whether
/// Linux knows it.
pub type Type = (u32, bool, u32, Fit, bool);

/// The psABI's types.
pub const TYPES: [Type; 11] = [
    (0, false, 0, Fit::Any, true),
    (1, false, 64, Fit::Any, true),
    (2, true, 32, Fit::SextOrCut, true),
    (4, true, 32, Fit::SextOrCut, true),
    (10, false, 32, Fit::Zext, true),
    (11, false, 32, Fit::Sext, true),
    (12, false, 16, Fit::Both, false),
    (13, true, 16, Fit::Sext, false),
    (14, false, 8, Fit::Both, false),
    (15, true, 8, Fit::Sext, false),
    (24, true, 64, Fit::Any, true),
];

const TWO_64: i128 = 1 << 64;

/// The types in the order of their bits in `RelocTypes`.
const BITS: [u32; 11] = [0, 1, 2, 4, 10, 11, 24, 12, 13, 14, 15];

/// The row of a type, if these flags know it.
pub fn row(r_type: u32, flags: RelocFlags) -> Option<Type> {
    let unknown = flags.bits() >> 16;
    let bit = BITS.iter().position(|known| *known == r_type)?;
    let row = TYPES.into_iter().find(|row| row.0 == r_type)?;
    let known = (row.4 || flags.contains(RelocFlags::EXTRA_TYPES)) && unknown >> bit & 1 == 0;
    known.then_some(row)
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
        Fit::SextOrCut if flags.contains(RelocFlags::TRUNCATE_PC32) => None,
        Fit::Sext | Fit::SextOrCut => Some((1 << (bits - 1)) - 1),
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

/// All that an [`Error`] says: kind, entry, symbol, type, offset, value, limit.
pub type Fault = (ErrorKind, Option<u64>, Option<u32>, Option<u32>, u64, u64, u64);

/// What an error of one table says.
pub fn fault(error: Error) -> Fault {
    assert_eq!(error.section, None, "the engine does not know its section");
    (error.kind, error.entry, error.symbol, error.r_type, error.offset, error.value, error.limit)
}

/// The entries of a table as they stand in a file.
pub fn entries(bytes: &[u8]) -> Vec<Rela> {
    let entry = |entry: &[u8; RELA_SIZE]| {
        let part = |at: usize, size: usize| number(&entry[at..at + size]) as u64;
        let (symbol, r_type) = (part(12, 4) as u32, part(8, 4) as u32);
        Rela { r_offset: part(0, 8), r_sym: symbol, r_type, r_addend: part(16, 8).cast_signed() }
    };
    bytes.as_chunks().0.iter().map(entry).collect()
}

/// A field and its content.
pub type Field = (usize, Vec<u8>);

/// A memory, the symbol values and the rules.
#[derive(Clone, Debug)]
pub struct World {
    /// The section that is relocated.
    pub bytes: Vec<u8>,
    /// Its run-time address.
    pub address: u64,
    /// The values of the symbols.
    pub values: Vec<u64>,
    /// By which rules it is relocated.
    pub flags: RelocFlags,
}

impl World {
    /// The error of a section whose last byte would have an address of 2^64 or more.
    pub fn wraps(&self) -> Option<Fault> {
        let length = self.bytes.len() as i128;
        let error = (ErrorKind::AddressWraps, None, None, None, 0, self.address, self.bytes.len() as u64);
        (length != 0 && i128::from(self.address) + length > TWO_64).then_some(error)
    }

    /// One entry, judged against the bytes as they are. `None` for a type without a field.
    pub fn judge(&self, index: usize, rela: Rela) -> Result<Option<Field>, Fault> {
        self.judge_by(self.flags, index, rela)
    }

    fn judge_by(&self, flags: RelocFlags, index: usize, rela: Rela) -> Result<Option<Field>, Fault> {
        let bad = |kind, value: i128, limit: i128| about(kind, index, rela, value as u64, limit as u64);
        let count = self.values.len();
        if i128::from(rela.r_sym) >= count as i128 {
            return Err(bad(ErrorKind::SymbolIndex, 0, count as i128));
        }
        let s = self.values[rela.r_sym as usize];
        let Some(row) = row(rela.r_type, flags) else {
            return Err(bad(ErrorKind::UnknownType, 0, 0));
        };
        let (size, length) = ((row.2 / 8) as i128, self.bytes.len() as i128);
        if size == 0 {
            return Ok(None);
        }
        let place = (i128::from(self.address) + i128::from(rela.r_offset)).rem_euclid(TWO_64);
        let value = value(row, s, rela.r_addend, u64::try_from(place).unwrap());
        let overflow =
            (!fits(row, value, flags)).then(|| bad(ErrorKind::Overflow, value, largest(row, flags).unwrap()));
        let zero_first = flags.contains(RelocFlags::REPORT_NONZERO_FIRST);
        if let (Some(overflow), false) = (overflow, zero_first) {
            return Err(overflow);
        }
        if i128::from(rela.r_offset) + size > length {
            return Err(bad(ErrorKind::OffsetOutside, size, length));
        }
        let at = rela.r_offset as usize;
        let existing = number(&self.bytes[at..at + size as usize]);
        if existing != 0 && !flags.contains(RelocFlags::ALLOW_NONZERO) {
            return Err(bad(ErrorKind::TargetNotZero, value, existing));
        }
        if let Some(overflow) = overflow {
            return Err(overflow);
        }
        Ok(Some((at, (0..size).map(|byte| (value >> (8 * byte) & 0xff) as u8).collect())))
    }

    /// Applies one entry after the other. The fields that it writes, or the first fault; the bytes
    /// are then those before the entry.
    pub fn apply(&mut self, table: &[Rela]) -> Result<Vec<Field>, Fault> {
        let mut fields = Vec::with_capacity(table.len());
        for (index, rela) in table.iter().enumerate() {
            if let Some((at, field)) = self.judge(index, *rela)? {
                self.bytes[at..at + field.len()].copy_from_slice(&field);
                fields.push((at, field));
            }
        }
        Ok(fields)
    }

    /// What applying one entry after the other does to memory, or the first fault.
    pub fn applied(&self, table: &[Rela]) -> Result<Vec<u8>, Fault> {
        let mut world = self.clone();
        world.apply(table).map(|_| world.bytes)
    }

    /// All entries that are at fault, each by itself.
    pub fn errors(&self, table: &[Rela]) -> Vec<Fault> {
        if let Some(wraps) = self.wraps() {
            return vec![wraps; table.len()];
        }
        table.iter().enumerate().filter_map(|(index, rela)| self.judge(index, *rela).err()).collect()
    }

    /// Where the field of an entry is (offset and size), if it holds its value; or why the entry
    /// cannot be cleared.
    pub fn holds(&self, index: usize, rela: Rela) -> Result<(usize, usize), Fault> {
        let (at, size) = field(rela, self.flags);
        let judgement = self.judge_by(self.flags | RelocFlags::ALLOW_NONZERO, index, rela);
        let value = match &judgement {
            Ok(None) => return Ok((0, 0)),
            Ok(Some((_, field))) => number(field),
            // The field is read before the range is checked, if it is inside.
            Err((ErrorKind::Overflow, .., value, _))
                if self.flags.contains(RelocFlags::REPORT_NONZERO_FIRST) =>
            {
                i128::from(*value) & ((1 << (8 * size)) - 1)
            }
            Err(fault) => return Err(*fault),
        };
        let existing = number(&self.bytes[at..at + size]);
        match value == existing {
            true => judgement.map(|_| (at, size)),
            false => Err(about(ErrorKind::TargetMismatch, index, rela, value as u64, existing as u64)),
        }
    }

    /// What memory holds when the entries from the last to entry `left` are cleared, one after the
    /// other; or the first fault.
    pub fn cleared(&self, table: &[Rela], left: usize) -> Result<Vec<u8>, Fault> {
        let mut world = self.clone();
        for (index, rela) in table.iter().enumerate().skip(left).rev() {
            let (at, size) = world.holds(index, *rela)?;
            world.bytes[at..at + size].fill(0);
        }
        Ok(world.bytes)
    }
}

/// An error of entry `index`.
pub fn about(kind: ErrorKind, index: usize, rela: Rela, value: u64, limit: u64) -> Fault {
    (kind, Some(index as u64), Some(rela.r_sym), Some(rela.r_type), rela.r_offset, value, limit)
}

/// Where the field of an entry that can be applied begins, and its bytes.
pub fn field(rela: Rela, flags: RelocFlags) -> (usize, usize) {
    match row(rela.r_type, flags).map_or(0, |row| row.2 as usize / 8) {
        0 => (0, 0),
        size => (rela.r_offset as usize, size),
    }
}

/// The error of an entry whose symbol is unresolved in the symbol table `symtab`. Symbol 0 is 0,
/// and a weak symbol may be.
pub fn unresolved(index: usize, rela: Rela, symtab: &[u8], flags: RelocFlags) -> Option<Fault> {
    let symbol = symtab.as_chunks::<SYM_SIZE>().0.get(rela.r_sym as usize)?;
    let (is_weak, shndx) = (symbol[4] >> 4 == STB_WEAK, u16::from_le_bytes([symbol[6], symbol[7]]));
    let is_open = shndx == SHN_LIVEPATCH || shndx == SHN_UNDEF && !is_weak;
    let has_field = row(rela.r_type, flags).is_some_and(|row| row.2 != 0);
    let is_refused = rela.r_sym != 0
        && is_open
        && has_field
        && symbol[8..16] == [0; 8]
        && !flags.contains(RelocFlags::ALLOW_ZERO_SYMBOLS);
    is_refused.then(|| about(ErrorKind::SymbolUnresolved, index, rela, u64::from(shndx), 0))
}

/// The error of a dry run. It reads memory as it is, and stops at the first field that does not
/// ascend. `judge` is the error of one entry by itself. Behind a writer every entry is judged
/// first.
pub fn dry(
    table: &[Rela],
    flags: RelocFlags,
    is_plain: bool,
    judge: impl Fn(usize) -> Option<Fault>,
) -> Result<(), Fault> {
    let unordered = first_unordered(table, flags).filter(|_| !flags.contains(RelocFlags::ALLOW_NONZERO));
    let judged = unordered.filter(|_| is_plain).unwrap_or(table.len());
    match ((0..judged).find_map(judge), unordered) {
        (Some(fault), _) => Err(fault),
        (None, Some(index)) => {
            Err((ErrorKind::FieldsNotAscending, Some(index as u64), None, None, table[index].r_offset, 0, 0))
        }
        (None, None) => Ok(()),
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
