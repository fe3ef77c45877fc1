//! The length of an x86-64 instruction, and where its relative fields are.
//!
//! Source: Intel SDM volume 2, chapter 2 (formats) and appendix A (opcode maps). XOP and opcodes
//! that are invalid in 64-bit mode are not decoded.

/// An instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Insn {
    /// Length in bytes.
    pub(super) len: usize,
    /// The opcode without prefixes. If the first byte is 0F, the second follows.
    pub(super) opcode: [u8; 2],
    /// Whether the first prefix is REP.
    pub(super) is_rep: bool,
    /// The immediate value. For a relative branch, it is the displacement.
    pub(super) immediate: Field,
    /// The displacement that is relative to RIP. Its size is 0 if there is none.
    pub(super) displacement: Field,
}

/// A field of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// Offset in the instruction.
    pub(super) at: usize,
    /// Size in bytes.
    pub(super) size: usize,
}

/// The opcode maps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Map {
    /// One byte.
    One,
    /// After 0F.
    Two,
    /// After 0F 38.
    Three38,
    /// After 0F 3A.
    Three3a,
}

/// Prefixes that change sizes.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    /// 66: operands of 16 bits.
    operand: bool,
    /// 67: addresses of 32 bits.
    address: bool,
    /// REX.W: operands of 64 bits.
    wide: bool,
    /// VEX or EVEX.
    vector: bool,
}

/// Returns the instruction at the beginning of `code`, if it is complete.
pub(super) fn decode(code: &[u8]) -> Option<Insn> {
    let byte = |at: usize| code.get(at).copied();
    let next = |at: usize| at.checked_add(1);
    let mut prefixes = Prefixes::default();
    let mut at = 0;
    let mut op = loop {
        let op = byte(at)?;
        at = next(at)?;
        match op {
            0x66 => prefixes.operand = true,
            0x67 => prefixes.address = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            _ => break op,
        }
    };
    let mut map = Map::One;
    let mut opcode = [op, 0];
    match op {
        0x40..=0x4f => {
            prefixes.wide = op & 8 != 0;
            op = byte(at)?;
            at = next(at)?;
            // REX must be the last prefix.
            if matches!(op, 0x40..=0x4f | 0x26 | 0x2e | 0x36 | 0x3e | 0x62 | 0x64..=0x67 | 0xc4 | 0xc5 | 0xf0 | 0xf2 | 0xf3)
            {
                return None;
            }
            opcode = [op, 0];
        }
        0xc5 | 0xc4 | 0x62 => {
            // The number of the map is in the byte after C4 and 62, the opcode after 1, 2 or 3
            // bytes.
            let (number, payload) = match op {
                0xc5 => (1, 1),
                0xc4 => (byte(at)? & 0x1f, 2),
                _ => (byte(at)? & 7, 3),
            };
            map = match number {
                1 => Map::Two,
                2 | 5 | 6 => Map::Three38,
                3 => Map::Three3a,
                _ => return None,
            };
            prefixes.vector = true;
            at = at.checked_add(payload)?;
            op = byte(at)?;
            at = next(at)?;
        }
        _ => {}
    }
    if map == Map::One && op == 0x0f {
        op = byte(at)?;
        at = next(at)?;
        opcode = [0x0f, op];
        map = Map::Two;
        if let 0x38 | 0x3a = op {
            map = if op == 0x38 { Map::Three38 } else { Map::Three3a };
            op = byte(at)?;
            at = next(at)?;
        }
    }
    let mut insn = Insn { opcode, is_rep: byte(0)? == 0xf3, ..Insn::default() };
    let mut register = 0;
    if has_modrm(map, op, prefixes.vector)? {
        let modrm = byte(at)?;
        at = next(at)?;
        register = modrm >> 3 & 7;
        // XOP.
        if map == Map::One && op == 0x8f && register != 0 {
            return None;
        }
        let (mode, base) = (modrm >> 6, modrm & 7);
        let mut size = match mode {
            1 => 1,
            2 => 4,
            _ => 0,
        };
        if mode != 3 && base == 4 {
            let sib = byte(at)?;
            at = next(at)?;
            if mode == 0 && sib & 7 == 5 {
                size = 4;
            }
        } else if mode == 0 && base == 5 {
            size = 4;
            insn.displacement = Field { at, size };
        }
        at = at.checked_add(size)?;
    }
    insn.immediate = Field { at, size: immediate(map, op, register, prefixes) };
    insn.len = at.checked_add(insn.immediate.size)?;
    (insn.len <= MAX && insn.len <= code.len()).then_some(insn)
}

/// Length of the longest instruction in bytes.
const MAX: usize = 15;

/// Returns whether the opcode has a ModRM byte. `None` if it is invalid.
fn has_modrm(map: Map, op: u8, is_vector: bool) -> Option<bool> {
    Some(match (map, op) {
        (Map::Three38 | Map::Three3a, _) => true,
        // vzeroupper.
        (Map::Two, _) if is_vector => op != 0x77,
        (Map::Two, 0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x39 | 0x3b..=0x3f | 0xa6 | 0xa7) => {
            return None;
        }
        (Map::Two, 0x05..=0x09 | 0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0x80..=0x8f) => false,
        (Map::Two, 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf) => false,
        (Map::Two, _) => true,
        (Map::One, 0x06 | 0x07 | 0x0e | 0x16 | 0x17 | 0x1e | 0x1f | 0x27 | 0x2f | 0x37 | 0x3f)
        | (Map::One, 0x60..=0x62 | 0x82 | 0x9a | 0xce | 0xd4..=0xd6 | 0xea) => return None,
        (Map::One, 0x00..=0x3f) => op & 7 <= 3,
        (Map::One, 0x63 | 0x69 | 0x6b | 0x80..=0x8f | 0xc0 | 0xc1 | 0xc6 | 0xc7) => true,
        (Map::One, 0xd0..=0xd3 | 0xd8..=0xdf | 0xf6 | 0xf7 | 0xfe | 0xff) => true,
        (Map::One, _) => false,
    })
}

/// Returns the size of the immediate value in bytes. `register` is the field of the ModRM byte that
/// is part of some opcodes.
fn immediate(map: Map, op: u8, register: u8, prefixes: Prefixes) -> usize {
    let word = if prefixes.operand && !prefixes.wide { 2 } else { 4 };
    match (map, op) {
        (Map::Three38, _) => 0,
        (Map::Three3a, _) => 1,
        (Map::Two, 0x80..=0x8f) if !prefixes.vector => 4,
        (Map::Two, 0x0f | 0xa4 | 0xac | 0xba) if !prefixes.vector => 1,
        (Map::Two, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6) => 1,
        (Map::Two, _) => 0,
        (Map::One, 0x00..=0x3f) if op & 7 == 4 => 1,
        (Map::One, 0x00..=0x3f) if op & 7 == 5 => word,
        (Map::One, 0x6a | 0x6b | 0x70..=0x7f | 0x80 | 0x83 | 0xa8 | 0xb0..=0xb7) => 1,
        (Map::One, 0xc0 | 0xc1 | 0xc6 | 0xcd | 0xe0..=0xe7 | 0xeb) => 1,
        (Map::One, 0x68 | 0x69 | 0x81 | 0xa9 | 0xc7) => word,
        (Map::One, 0xe8 | 0xe9) => 4,
        (Map::One, 0xb8..=0xbf) => {
            if prefixes.wide {
                8
            } else {
                word
            }
        }
        (Map::One, 0xa0..=0xa3) => {
            if prefixes.address {
                4
            } else {
                8
            }
        }
        (Map::One, 0xc2 | 0xca) => 2,
        (Map::One, 0xc8) => 3,
        (Map::One, 0xf6) if register < 2 => 1,
        (Map::One, 0xf7) if register < 2 => word,
        (Map::One, _) => 0,
    }
}

impl Insn {
    /// Whether Linux replaces it when it joins NOPs (`insn_is_nop`): NOP without REP, and NOPL.
    pub(super) fn is_nop(&self) -> bool {
        match self.opcode {
            [0x90, _] => !self.is_rep,
            [0x0f, second] => second == 0x1f,
            _ => false,
        }
    }

    /// Whether it is a relative branch or call.
    pub(super) fn is_branch(&self) -> bool {
        match self.opcode {
            [0x70..=0x7f | 0xe8 | 0xe9 | 0xeb, _] => true,
            [0x0f, second] => second & 0xf0 == 0x80,
            _ => false,
        }
    }
}

impl Field {
    /// Returns the signed number in the field of the instruction at the beginning of `code`.
    pub(super) fn read(&self, code: &[u8]) -> Option<i64> {
        let bytes = code.get(self.at..self.at.checked_add(self.size)?)?;
        Some(match *bytes {
            [byte] => i64::from(byte.cast_signed()),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => return None,
        })
    }

    /// Writes a number that fits.
    pub(super) fn write(&self, code: &mut [u8], value: i64) -> Option<()> {
        let place = code.get_mut(self.at..self.at.checked_add(self.size)?)?;
        match *place {
            [_] => place.copy_from_slice(&i8::try_from(value).ok()?.to_le_bytes()),
            [_, _, _, _] => place.copy_from_slice(&i32::try_from(value).ok()?.to_le_bytes()),
            _ => return None,
        }
        Some(())
    }
}
