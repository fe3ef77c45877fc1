//! A global offset table by the psABI (tables 4.9 and 4.10), slow and plain. It counts in 128 bits.

use super::super::case::Case;
use relakit::ErrorKind;
use relakit::elf::Rela;
use relakit::reloc::{GotFlags, RelocFlags};
use relakit_model::table::{self, Fault, Field, World, about, fits, row, value};

/// What the psABI computes, with its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formula {
    /// G + GOT + A - P
    Slot,
    /// G + A
    Offset,
    /// GOT + A - P
    Table,
    /// S + A - GOT, and L + A - GOT.
    Symbol,
}

/// Number, formula, bits of the field.
pub const TYPES: [(u32, Formula, u32); 12] = [
    (9, Formula::Slot, 32),
    (25, Formula::Symbol, 64),
    (26, Formula::Table, 32),
    (27, Formula::Offset, 64),
    (28, Formula::Slot, 64),
    (29, Formula::Table, 64),
    (31, Formula::Symbol, 64),
    (41, Formula::Slot, 32),
    (42, Formula::Slot, 32),
    (43, Formula::Slot, 32),
    (46, Formula::Slot, 32),
    (49, Formula::Slot, 32),
];

const TWO_64: i128 = 1 << 64;
/// The types that a signed field of 32 bits, and one of 64 bits, have without a GOT.
const SIGNED_32: u32 = 11;
const WORD_64: u32 = 1;
const PC32: u32 = 2;
const PLT32: u32 = 4;

pub struct Got<'c> {
    pub case: &'c Case,
    pub flags: GotFlags,
    pub address: u64,
    /// Whether the section is code.
    pub is_code: bool,
    /// How many entries the plan was made with.
    pub planned: usize,
    /// The symbols with a slot, in their order.
    pub slots: Vec<u32>,
}

impl<'c> Got<'c> {
    pub fn new(case: &'c Case) -> Self {
        let flags = GotFlags::from_bits(u32::from(case.got & 3)).unwrap();
        let planned = case.table.len() - usize::from(case.got & 0x20 != 0).min(case.table.len());
        let has_stubs = case.got & 1 != 0;
        let of_entry = |rela: &Rela| match formula(rela.r_type) {
            Some((Formula::Slot | Formula::Offset, _)) => Some(rela.r_sym),
            // The table has an address, so it has a slot.
            Some(_) => Some(0),
            None => (has_stubs && rela.r_type == PLT32).then_some(rela.r_sym),
        };
        let mut slots: Vec<_> = case.table[..planned].iter().filter_map(of_entry).collect();
        // A word has bits for 32 symbols, even if there are fewer.
        slots.retain(|symbol| (*symbol as usize) < 32 * case.world.values.len().div_ceil(32));
        slots.sort_unstable();
        slots.dedup();
        let mut got = Self { case, flags, address: 0, is_code: case.got & 4 != 0, planned, slots };
        let address = case.world.address;
        got.address = match case.got >> 3 & 3 {
            0 => address.wrapping_add(0x1000) & !15,
            1 => address ^ 1 << 40 & !15,
            // Its last byte has the last address there is; or, with more than one slot, is beyond it.
            2 => 0u64.wrapping_sub(if has_stubs { got.size() } else { 8 }),
            _ => 0x7fff_fff0u64.wrapping_add(address) & !15,
        };
        got.address &= !(got.align() - 1);
        got
    }

    pub fn symbols(&self) -> u32 {
        self.case.world.values.len() as u32
    }

    pub fn words(&self) -> usize {
        self.case.world.values.len().div_ceil(32)
    }

    pub fn has_stubs(&self) -> bool {
        self.flags.contains(GotFlags::STUBS)
    }

    pub fn align(&self) -> u64 {
        if self.has_stubs() { 16 } else { 8 }
    }

    /// Where the stubs begin.
    fn stubs(&self) -> u64 {
        (8 * self.slots.len() as u64).next_multiple_of(16)
    }

    pub fn size(&self) -> u64 {
        let slots = self.slots.len() as u64;
        if self.has_stubs() { self.stubs() + 16 * slots } else { 8 * slots }
    }

    /// Whether the last byte would have an address of 2^64 or more.
    pub fn wraps(&self) -> bool {
        i128::from(self.address) + i128::from(self.size()) > TWO_64
    }

    /// Whether each symbol with a slot exists.
    pub fn has_values(&self) -> bool {
        self.slots.iter().all(|symbol| *symbol < self.symbols())
    }

    /// G of a symbol.
    pub fn slot(&self, symbol: u32) -> Option<u64> {
        self.slots.iter().position(|other| *other == symbol).map(|number| 8 * number as u64)
    }

    /// The content of the table: slots, padding, and stubs of 16 bytes.
    pub fn image(&self) -> Vec<u8> {
        let mut image = Vec::new();
        for symbol in &self.slots {
            let value = self.case.world.values.get(*symbol as usize).copied().unwrap_or_default();
            image.extend(value.to_le_bytes());
        }
        if !self.has_stubs() {
            return image;
        }
        image.resize(self.stubs() as usize, 0);
        for number in 0..self.slots.len() {
            let begin = image.len();
            if self.flags.contains(GotFlags::ENDBR) {
                image.extend([0xf3, 0x0f, 0x1e, 0xfa]);
            }
            image.extend([0xff, 0x25]);
            let next = image.len() as i32 + 4;
            image.extend((8 * number as i32 - next).to_le_bytes());
            image.resize(begin + 16, 0xcc);
        }
        image
    }

    /// The memory of the table before it is filled.
    pub fn of_the_got(&self) -> World {
        World { bytes: vec![0; self.size() as usize], address: self.address, ..self.case.world.clone() }
    }

    /// A relocation with the same field, and without a GOT.
    pub fn sized(&self, rela: Rela) -> Rela {
        match formula(rela.r_type) {
            Some((_, bits)) => Rela { r_type: if bits == 64 { WORD_64 } else { SIGNED_32 }, ..rela },
            None => rela,
        }
    }

    /// Whether a field is in the two bytes that say whether a later field is a branch.
    pub fn may_write_an_opcode(&self) -> bool {
        let field = |rela: &Rela| table::field(self.sized(*rela), self.case.world.flags);
        let overlaps = |rela: &Rela| {
            self.case.table.iter().map(field).any(|(at, size)| {
                let (at, begin) = (at as i128, i128::from(rela.r_offset));
                size != 0 && at < begin && at + size as i128 > begin - 2
            })
        };
        self.is_code && self.case.table.iter().any(|rela| rela.r_type == PC32 && overlaps(rela))
    }

    /// The memory as a world for the model of tables, and the entry without a GOT: its symbol has the
    /// value that stands for S.
    fn translated(&self, bytes: &[u8], index: usize, rela: Rela) -> Result<(World, Rela), Fault> {
        let world = World { bytes: bytes.to_vec(), ..self.case.world.clone() };
        let Some(s) = world.values.get(rela.r_sym as usize).copied() else { return Ok((world, rela)) };
        let p = world.address.wrapping_add(rela.r_offset);
        let s = match formula(rela.r_type) {
            Some((formula, _)) => {
                let (slot, got) = (self.slot(rela.r_sym), i128::from(self.address));
                let slot = slot.map(i128::from).ok_or(about(ErrorKind::NoGotSlot, index, rela, 0, 0));
                let sum = match formula {
                    Formula::Slot => slot? + got - i128::from(p),
                    Formula::Offset => slot?,
                    Formula::Table => got - i128::from(p),
                    Formula::Symbol => i128::from(s) - got,
                };
                sum.rem_euclid(TWO_64) as u64
            }
            None => self.stub(&world, rela, s, p).unwrap_or(s),
        };
        let entry = Rela { r_sym: 0, ..self.sized(rela) };
        Ok((World { values: vec![s], ..world }, entry))
    }

    /// The address of the stub through which a branch leads that does not reach its symbol.
    fn stub(&self, world: &World, rela: Rela, s: u64, p: u64) -> Option<u64> {
        let before = || {
            let end = usize::try_from(rela.r_offset).ok()?;
            world.bytes.get(end.checked_sub(2)?..end)
        };
        let is_opcode = || matches!(before(), Some([_, 0xe8 | 0xe9] | [0x0f, 0x80..=0x8f]));
        let may_change = world.flags.contains(RelocFlags::ALLOW_NONZERO);
        let is_branch =
            rela.r_type == PLT32 || rela.r_type == PC32 && self.is_code && !may_change && is_opcode();
        // A branch in code ends with its field, and leads to the beginning of the stub.
        let is_branch = is_branch && (!self.is_code || rela.r_addend == -4);
        let row = row(rela.r_type, world.flags)?;
        let reaches = fits(row, value(row, s, rela.r_addend, p), world.flags);
        let number = self.slot(rela.r_sym).filter(|_| self.has_stubs() && is_branch && !reaches)? / 8;
        Some(self.address.wrapping_add(self.stubs() + 16 * number))
    }

    /// One entry, judged against the bytes as they are.
    pub fn judge(&self, bytes: &[u8], index: usize, rela: Rela) -> Result<Option<Field>, Fault> {
        let (world, entry) = self.translated(bytes, index, rela)?;
        world.judge(index, entry).map_err(|fault| of(fault, rela))
    }

    /// Where the field of an entry is, if it holds its value.
    pub fn holds(&self, bytes: &[u8], index: usize, rela: Rela) -> Result<(usize, usize), Fault> {
        let (world, entry) = self.translated(bytes, index, rela)?;
        world.holds(index, entry).map_err(|fault| of(fault, rela))
    }

    /// What applying one entry after the other does to memory, or the first fault.
    pub fn applied(&self, before: &[u8], table: &[Rela]) -> Result<Vec<u8>, Fault> {
        let mut bytes = before.to_vec();
        for (index, rela) in table.iter().enumerate() {
            if let Some((at, field)) = self.judge(&bytes, index, *rela)? {
                bytes[at..at + field.len()].copy_from_slice(&field);
            }
        }
        Ok(bytes)
    }

    /// What memory holds when the entries from the last to entry `left` are cleared.
    pub fn cleared(&self, before: &[u8], table: &[Rela], left: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = before.to_vec();
        for (index, rela) in table.iter().enumerate().skip(left).rev() {
            let (at, size) = self.holds(&bytes, index, *rela)?;
            bytes[at..at + size].fill(0);
        }
        Ok(bytes)
    }
}

/// Formula and bits of a type.
fn formula(r_type: u32) -> Option<(Formula, u32)> {
    TYPES.iter().find(|row| row.0 == r_type).map(|row| (row.1, row.2))
}

/// The error about the entry itself.
fn of((kind, entry, _, _, offset, value, limit): Fault, rela: Rela) -> Fault {
    (kind, entry, Some(rela.r_sym), Some(rela.r_type), offset, value, limit)
}
