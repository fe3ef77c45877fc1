//! Relocated instructions, read by a disassembler.

use crate::config;
use crate::tables::{Case, rela};
use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};
use proptest::prelude::*;
use proptest::sample::select;
use relakit::reloc::{RelocFlags, clear};
use relakit_model::table::World;

/// What the operand of an instruction is.
#[derive(Clone, Copy, Debug)]
enum Operand {
    /// Where it jumps.
    Branch,
    /// The memory it addresses.
    Memory,
    /// The number it loads, as the 64-bit register holds it.
    Number,
}

/// Bytes with the field zero, offset of the field in them, psABI type, distance from the field to the next
/// instruction where the type is PC-relative, operand.
type Form = (&'static [u8], usize, u32, i64, Operand);

const FORMS: &[Form] = &[
    // call rel32
    (&[0xe8, 0, 0, 0, 0], 1, 4, 4, Operand::Branch),
    // jmp rel32
    (&[0xe9, 0, 0, 0, 0], 1, 4, 4, Operand::Branch),
    // je rel32
    (&[0x0f, 0x84, 0, 0, 0, 0], 2, 2, 4, Operand::Branch),
    // lea rax, [rip+rel32]
    (&[0x48, 0x8d, 0x05, 0, 0, 0, 0], 3, 2, 4, Operand::Memory),
    // mov qword ptr [rip+rel32], 1
    (&[0x48, 0xc7, 0x05, 0, 0, 0, 0, 1, 0, 0, 0], 3, 2, 8, Operand::Memory),
    // cmp byte ptr [rip+rel32], 0
    (&[0x80, 0x3d, 0, 0, 0, 0, 0], 2, 2, 5, Operand::Memory),
    // mov eax, [disp32]
    (&[0x8b, 0x04, 0x25, 0, 0, 0, 0], 3, 11, 0, Operand::Memory),
    // mov rdi, imm32 (sign-extended)
    (&[0x48, 0xc7, 0xc7, 0, 0, 0, 0], 3, 11, 0, Operand::Number),
    // mov edi, imm32 (zero-extended)
    (&[0xbf, 0, 0, 0, 0], 1, 10, 0, Operand::Number),
    // movabs rax, imm64
    (&[0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0], 2, 1, 0, Operand::Number),
    // jmp rel8
    (&[0xeb, 0], 1, 15, 1, Operand::Branch),
];

fn decoded(instruction: &Instruction, operand: Operand) -> u64 {
    match operand {
        Operand::Branch => {
            assert_eq!(instruction.op0_kind(), OpKind::NearBranch64);
            instruction.near_branch_target()
        }
        Operand::Memory => instruction.memory_displacement64(),
        Operand::Number => match instruction.op1_kind() {
            OpKind::Immediate32 => u64::from(instruction.immediate32()),
            OpKind::Immediate32to64 => instruction.immediate32to64().cast_unsigned(),
            OpKind::Immediate64 => instruction.immediate64(),
            other => panic!("{other:?}"),
        },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn instructions_reach_symbol_plus_addend(
        address in prop_oneof![0xffff_ffff_8100_0000u64..0xffff_ffff_f000_0000, 0x1000u64..0x7000_0000],
        picked in prop::collection::vec((select(FORMS.to_vec()), any::<i32>(), -128i64..128, 0u64..0x40), 1..12),
    ) {
        let mut code = Vec::new();
        let (mut values, mut table, mut expected) = (vec![0], Vec::new(), Vec::new());
        for ((bytes, field, r_type, next, operand), raw, extra, near) in picked {
            let start = address + code.len() as u64;
            let end = start + bytes.len() as u64;
            // A target that the form can reach.
            let wanted = match (r_type, operand) {
                (2 | 4, _) => end.wrapping_add_signed(i64::from(raw)),
                (15, _) => end.wrapping_add(near),
                (10, _) => u64::from(raw.cast_unsigned()),
                (11, _) => i64::from(raw).cast_unsigned(),
                _ => (i64::from(raw) << 20).cast_unsigned(),
            };
            // S + A with A = extra - next: the target is S + extra.
            values.push(wanted.wrapping_sub(extra.cast_unsigned()));
            table.push(rela((code.len() + field) as u64, values.len() as u32 - 1, r_type, extra - next));
            expected.push((start, end, wanted, operand));
            code.extend(bytes);
        }
        let flags = RelocFlags::EXTRA_TYPES;
        let case = Case { world: World { bytes: code, address, values, flags }, table };
        let (result, bytes) = case.apply();
        prop_assert_eq!(result, Ok(()));
        let decoder = Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE);
        let instructions: Vec<_> = decoder.into_iter().collect();
        prop_assert_eq!(instructions.len(), expected.len());
        for (instruction, (start, end, wanted, operand)) in instructions.iter().zip(expected) {
            prop_assert!(!instruction.is_invalid());
            prop_assert_eq!((instruction.ip(), instruction.next_ip()), (start, end));
            prop_assert_eq!(decoded(instruction, operand), wanted, "{:?}", instruction.code());
        }
        let now = Case { world: World { bytes, ..case.world.clone() }, table: case.table };
        prop_assert_eq!(now.run(clear), (Ok(()), case.world.bytes));
    }
}

#[test]
fn a_call_relocated_at_another_address_than_its_bytes_reaches_the_symbol() {
    // call printk; the buffer is wherever the test put it, the section runs at 0xffff_ffff_c000_0000.
    let world = World {
        bytes: vec![0xe8, 0, 0, 0, 0],
        address: 0xffff_ffff_c000_0000,
        values: vec![0, 0xffff_ffff_8111_3f20],
        flags: RelocFlags::empty(),
    };
    let (result, bytes) = Case { world, table: vec![rela(1, 1, 4, -4)] }.apply();
    assert_eq!(result, Ok(()));
    let instruction = Decoder::with_ip(64, &bytes, 0xffff_ffff_c000_0000, DecoderOptions::NONE).decode();
    assert_eq!(instruction.near_branch_target(), 0xffff_ffff_8111_3f20);
}
