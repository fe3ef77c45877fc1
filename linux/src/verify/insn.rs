//! The length of an x86-64 instruction, and where its relative fields are.
//!
//! Source: Intel SDM volume 2, chapter 2 (formats) and appendix A (opcode maps). XOP and opcodes
//! that are invalid in 64-bit mode are not decoded. SSE4a has the wrong length.

use crate::bytes::copy;

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
    /// REX.
    rex: bool,
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
        // Only a REX prefix right before the opcode counts.
        let is_rex = op & 0xf0 == 0x40;
        match op {
            0x66 => prefixes.operand = true,
            0x67 => prefixes.address = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            _ if is_rex => {}
            _ => break op,
        }
        prefixes.wide = is_rex && op & 8 != 0;
        prefixes.rex = is_rex;
    };
    let mut map = Map::One;
    let mut opcode = [op, 0];
    match op {
        0xc5 | 0xc4 | 0x62 if prefixes.rex => return None,
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
        // Moves from and to control and debug registers ignore the mode.
        let is_move = map == Map::Two && !prefixes.vector && matches!(op, 0x20..=0x23);
        let (mode, base) = (if is_move { 3 } else { modrm >> 6 }, modrm & 7);
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
        (Map::Two, 0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x36 | 0x39 | 0x3b..=0x3f) => {
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
            [_] => copy(place, &i8::try_from(value).ok()?.to_le_bytes()),
            [_, _, _, _] => copy(place, &i32::try_from(value).ok()?.to_le_bytes()),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Code, Decoder, DecoderOptions, OpKind};

    /// What an independent decoder says, if it knows the instruction.
    fn independent(code: &[u8]) -> Option<(iced_x86::Instruction, iced_x86::ConstantOffsets)> {
        let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
        let insn = decoder.decode();
        let offsets = decoder.get_constant_offsets(&insn);
        // SSE4a, which kernels do not use, has other immediate values.
        let is_sse4a = matches!(
            insn.code(),
            Code::Extrq_xmm_imm8_imm8 | Code::Insertq_xmm_xmm_imm8_imm8 | Code::INVALID
        );
        (!is_sse4a).then_some((insn, offsets))
    }

    /// Compares one instruction. Returns whether the other decoder knows it.
    fn compare(code: &[u8]) -> bool {
        let Some((insn, offsets)) = independent(code) else { return false };
        let ours = decode(code).unwrap_or_else(|| panic!("{insn:?} {code:02x?}"));
        assert_eq!(ours.len, insn.len(), "{insn:?} {code:02x?}");
        let is_relative = insn.is_ip_rel_memory_operand();
        assert_eq!(ours.displacement.size != 0, is_relative, "{insn:?} {code:02x?}");
        if is_relative {
            assert_eq!(ours.displacement.at, offsets.displacement_offset(), "{insn:?} {code:02x?}");
        }
        // Linux relocates neither LOOP nor JRCXZ nor XBEGIN.
        let is_other = matches!(ours.opcode, [0xe0..=0xe3 | 0xc7, _]);
        if insn.op0_kind() == OpKind::NearBranch64 && !is_other {
            assert!(ours.is_branch(), "{insn:?} {code:02x?}");
            let to = insn.near_branch64().wrapping_sub(ours.len as u64).cast_signed();
            assert_eq!(ours.immediate.read(code), Some(to), "{insn:?} {code:02x?}");
        }
        true
    }

    #[test]
    fn every_opcode_with_every_form_of_operand_has_its_length() {
        let prefixes: [&[u8]; 10] = [
            &[],
            &[0x66],
            &[0xf2],
            &[0xf3],
            &[0x67],
            &[0x2e],
            &[0x41],
            &[0x48],
            &[0x66, 0x48],
            &[0x65, 0x41],
        ];
        let maps: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];
        let mut known = 0u32;
        for (prefix, map) in prefixes.iter().flat_map(|prefix| maps.iter().map(move |map| (prefix, map))) {
            for (op, modrm) in (0..=255u8).flat_map(|op| (0..=255u8).map(move |modrm| (op, modrm))) {
                // A byte of SIB with the base RBP, and one without.
                for sib in [0x05, 0x20] {
                    let code = [prefix, map, &[op, modrm, sib][..], &[0x11; 12]].concat();
                    known += u32::from(compare(&code));
                }
            }
        }
        assert!(known > 1_000_000, "{known}");
    }

    #[test]
    fn vector_instructions_have_their_length() {
        let mut known = 0u32;
        for (op, modrm) in (0..=255u8).flat_map(|op| (0..=255u8).map(move |modrm| (op, modrm))) {
            for pp in 0..4u8 {
                let tail = [&[op, modrm, 0x25][..], &[0x11; 12]].concat();
                for map in 1..4u8 {
                    for third in [0x78 | pp, 0x7c | pp, 0xf8 | pp, 0xfc | pp] {
                        known += u32::from(compare(&[&[0xc4, 0xe0 | map, third][..], &tail].concat()));
                    }
                    known += u32::from(compare(&[&[0x62, 0xf0 | map, 0x7c | pp, 0x48][..], &tail].concat()));
                    known += u32::from(compare(&[&[0x62, 0xf0 | map, 0xfc | pp, 0x08][..], &tail].concat()));
                }
                known += u32::from(compare(&[&[0xc5, 0xf8 | pp][..], &tail].concat()));
            }
        }
        assert!(known > 100_000, "{known}");
    }

    #[test]
    fn nops_are_those_that_linux_joins() {
        let is_nop = |code: &[u8]| decode(code).unwrap().is_nop();
        assert!(is_nop(&[0x90]) && is_nop(&[0x66, 0x90]) && is_nop(&[0x0f, 0x1f, 0x00]));
        assert!(is_nop(&[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0]));
        assert!(!is_nop(&[0xf3, 0x90]), "PAUSE");
        assert!(!is_nop(&[0xf3, 0x0f, 0x1e, 0xfa]), "ENDBR64");
        assert!(!is_nop(&[0xcc]) && !is_nop(&[0xeb, 0]) && !is_nop(&[0x91]));
    }

    #[test]
    fn an_instruction_that_is_cut_is_none() {
        for code in
            [&[0xe8, 0, 0, 0, 0][..], &[0x0f, 0x84, 0, 0, 0, 0], &[0x48, 0x8b, 0x05, 0, 0, 0, 0], &[0x90]]
        {
            assert_eq!(decode(code).map(|insn| insn.len), Some(code.len()));
            for len in 0..code.len() {
                assert_eq!(decode(&code[..len]), None, "{code:02x?} {len}");
            }
        }
    }
}
