//! The relocation types that refer to a global offset table, GOT (psABI table 4.10), and the stubs
//! through which a call can reach every address.
//!
//! A GOT has a *slot* of 8 bytes for each symbol whose address code loads from memory. Notation
//! follows the psABI: GOT is the address of the table, G the offset of the symbol's slot in it.

use super::howto::{Formula, Howto, Overflow, RelocTypes};
use super::types::*;

/// What stands for the symbol value in the formula of a [`Howto`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// G + GOT.
    SlotAddress,
    /// G.
    SlotOffset,
    /// GOT.
    Table,
    /// S - GOT. It is L - GOT as well, because a symbol without a stub is called directly.
    FromTable,
}

const fn row(r_type: u32, formula: Formula, size: u8) -> Howto {
    let overflow = if size == 8 { Overflow::None } else { Overflow::Signed };
    Howto { r_type, formula, size, overflow, set: RelocTypes::GOT }
}

/// Each type with what stands for its symbol value. The types of a memory operand differ for a linker
/// only, which may replace the instruction.
const ROWS: [(Howto, Operand); 12] = [
    (row(R_X86_64_GOTPCREL, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_GOTPCRELX, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_REX_GOTPCRELX, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_CODE_4_GOTPCRELX, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_CODE_5_GOTPCRELX, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_CODE_6_GOTPCRELX, Formula::PcRelative, 4), Operand::SlotAddress),
    (row(R_X86_64_GOTPCREL64, Formula::PcRelative, 8), Operand::SlotAddress),
    (row(R_X86_64_GOT64, Formula::Absolute, 8), Operand::SlotOffset),
    (row(R_X86_64_GOTPC32, Formula::PcRelative, 4), Operand::Table),
    (row(R_X86_64_GOTPC64, Formula::PcRelative, 8), Operand::Table),
    (row(R_X86_64_GOTOFF64, Formula::Absolute, 8), Operand::FromTable),
    (row(R_X86_64_PLTOFF64, Formula::Absolute, 8), Operand::FromTable),
];

/// Returns the row of a type that refers to the GOT.
pub(crate) fn got_howto(r_type: u32) -> Option<(Howto, Operand)> {
    ROWS.iter().find(|(howto, _)| howto.r_type == r_type).copied()
}

/// Size of a slot in bytes.
pub(crate) const SLOT_SIZE: u64 = 8;
/// The type with which a symbol value is written to its slot.
pub(crate) const SLOT_TYPE: u32 = R_X86_64_64;

/// Size of a stub in bytes. Each begins at a multiple of it.
pub(crate) const STUB_SIZE: u64 = 16;

/// Returns a stub as two little-endian words: a jump to the address in the slot at `slot`, for a stub
/// at `stub`, both as offsets in the same table. With `endbr`, an indirect branch may lead to it. The
/// rest are `int3`. `None` if the slot is out of reach.
pub(crate) fn stub(slot: u64, stub: u64, endbr: bool) -> Option<[u64; 2]> {
    const ENDBR64: [u8; 4] = (!0x05e1_f00c_u32).to_le_bytes();
    const JUMP: [u8; 2] = [0xff, 0x25];
    let length: u64 = if endbr { 10 } else { 6 };
    let distance = slot.wrapping_sub(stub.wrapping_add(length)).cast_signed();
    let [d0, d1, d2, d3] = i32::try_from(distance).ok()?.to_le_bytes();
    let [e0, e1, e2, e3] = ENDBR64;
    let [j0, j1] = JUMP;
    let code = match endbr {
        true => [[e0, e1, e2, e3, j0, j1, d0, d1], [d2, d3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc]],
        false => [[j0, j1, d0, d1, d2, d3, 0xcc, 0xcc], [0xcc; 8]],
    };
    Some(code.map(u64::from_le_bytes))
}

/// Whether entries of this type are branches to the symbol: with a stub, L is its address.
pub(crate) const fn is_branch(r_type: u32) -> bool {
    r_type == R_X86_64_PLT32
}

/// The addend of a branch to its symbol, because a branch ends with its field of 4 bytes.
pub(crate) const BRANCH_ADDEND: i64 = -4;

/// Whether a field of this type is the operand of a branch if the bytes before it are its opcode.
/// Assemblers before 2018 use PC32 for branches.
pub(crate) const fn may_be_branch(r_type: u32) -> bool {
    r_type == R_X86_64_PC32
}

/// Whether these two bytes before a field of 32 bits are the opcode of a branch: `call`, `jmp` or a
/// conditional jump. A field that is relative to the address after it follows either an opcode or a
/// ModRM byte that has 5 in its low three bits and 0 in its high two, which none of these has.
pub(crate) const fn is_branch_opcode(before: [u8; 2]) -> bool {
    matches!(before, [_, 0xe8 | 0xe9] | [0x0f, 0x80..=0x8f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{HOWTOS, type_name};

    #[test]
    fn each_type_has_a_name_and_is_not_in_the_other_table() {
        for (howto, _) in ROWS {
            assert!(type_name(howto.r_type).is_some(), "{howto:?}");
            assert!(!HOWTOS.iter().any(|row| row.r_type == howto.r_type), "{howto:?}");
        }
    }

    #[test]
    fn no_memory_operand_looks_like_a_branch() {
        for register in 0..8 {
            for before in 0..=255 {
                assert!(!is_branch_opcode([before, register << 3 | 5]));
            }
        }
    }

    #[test]
    fn a_stub_jumps_through_its_slot() {
        let bytes = |words: [u64; 2]| words.map(u64::to_le_bytes).concat();
        assert_eq!(bytes(stub(8, 0x20, false).unwrap())[..6], [0xff, 0x25, 0xe2, 0xff, 0xff, 0xff]);
        let marked = bytes(stub(8, 0x20, true).unwrap());
        assert_eq!(marked[..10], [0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25, 0xde, 0xff, 0xff, 0xff]);
        assert_eq!(stub(0, 1 << 32, false), None);
    }
}
