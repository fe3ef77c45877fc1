//! Both sides of every edge, with numbers written down.

use crate::tables::{Case, check, file, rela};
use relakit::ErrorKind;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, View, apply, clear, errors};
use relakit_model::table::{TYPES, World, fault};

const MORE: RelocFlags = RelocFlags::EXTRA_TYPES;

/// One entry with symbol 1 of value `s` in `bytes` at `address`.
fn one(bytes: &[u8], address: u64, s: u64, entry: (u64, u32, i64), flags: RelocFlags) -> Case {
    let (offset, r_type, addend) = entry;
    let world = World { bytes: bytes.to_vec(), address, values: vec![0, s], flags };
    Case { world, table: vec![rela(offset, 1, r_type, addend)] }
}

#[test]
fn linux_writes_the_low_half_of_a_pc32_that_does_not_fit_and_the_psabi_refuses_it() {
    for r_type in [2, 4] {
        for (s, fits) in [
            (0x1000 + 0x7fff_ffff, true),
            (0x1000 + 0x8000_0000, false),
            (0x1000u64.wrapping_sub(0x8000_0000), true),
            (0x1000u64.wrapping_sub(0x8000_0001), false),
            (0x1234_5678_9abc_def0, false),
        ] {
            let low = (s.wrapping_sub(0x1000) as u32).to_le_bytes();
            let (result, bytes) = one(&[0; 4], 0x1000, s, (0, r_type, 0), RelocFlags::TRUNCATE_PC32).apply();
            assert_eq!((result, &bytes[..]), (Ok(()), &low[..]), "Linux, {s:#x}");
            let (result, bytes) = one(&[0; 4], 0x1000, s, (0, r_type, 0), RelocFlags::empty()).apply();
            assert_eq!(result.is_ok(), fits, "psABI, {s:#x}");
            assert_eq!(bytes, if fits { low } else { [0; 4] });
        }
    }
}

#[test]
fn abs32_is_what_zero_extends_and_abs32s_what_sign_extends() {
    for (r_type, s, addend, fits) in [
        (10, 0xffff_ffff, 0, true),
        (10, 0xffff_ffff, 1, false),
        (10, 0x1_0000_0000, -1, true),
        (10, 0, -1, false),
        (10, u64::MAX, 1, true),
        (10, 0xffff_ffff_8000_0000, 0, false),
        (11, 0x7fff_ffff, 0, true),
        (11, 0x7fff_ffff, 1, false),
        (11, 0xffff_ffff_8000_0000, 0, true),
        (11, 0xffff_ffff_8000_0000, -1, false),
        (11, 0xffff_ffff, 0, false),
        (11, u64::MAX, 1, true),
        (11, 0, i64::MIN, false),
    ] {
        let (result, bytes) = one(&[0; 4], 0, s, (0, r_type, addend), RelocFlags::empty()).apply();
        assert_eq!(result.is_ok(), fits, "type {r_type} {s:#x} {addend}");
        let low = (s.wrapping_add_signed(addend) as u32).to_le_bytes();
        assert_eq!(bytes, if fits { low } else { [0; 4] });
    }
}

#[test]
fn sums_wrap_at_the_end_of_the_address_space() {
    let (result, bytes) = one(&[0; 8], 0, u64::MAX, (0, 1, 2), RelocFlags::empty()).apply();
    assert_eq!((result, bytes), (Ok(()), vec![1, 0, 0, 0, 0, 0, 0, 0]));
    // S - P = 6 - 0xffff_ffff_ffff_fffc = 10.
    let (result, bytes) = one(&[0; 12], u64::MAX - 11, 6, (8, 2, 0), RelocFlags::empty()).apply();
    assert_eq!((result, &bytes[8..]), (Ok(()), &[10, 0, 0, 0][..]));
}

#[test]
fn memory_may_end_with_the_address_space_and_not_wrap_past_it() {
    for (size, address, wraps) in [
        (12usize, u64::MAX - 11, false),
        (12, u64::MAX - 10, true),
        (12, u64::MAX, true),
        (1, u64::MAX, false),
        (0, u64::MAX, false),
    ] {
        let case = one(&vec![0; size], address, 0, (0, 0, 0), RelocFlags::empty());
        let expected = if wraps { Err((ErrorKind::AddressWraps, address, size as u64)) } else { Ok(()) };
        for pass in [apply, check, clear] {
            let (result, bytes) = case.run(pass);
            assert_eq!(result.map_err(|error| (error.kind, error.value, error.limit)), expected);
            assert_eq!(bytes, vec![0; size]);
        }
        let (bytes, file) = (vec![0; size], file(&case.table));
        let mut view = View::new(&bytes, address);
        let found = errors(RelaTable::new(&file).unwrap(), [0, 0][..].into(), &mut view, RelocFlags::empty());
        assert_eq!(
            found.map(|error| error.kind).collect::<Vec<_>>(),
            vec![ErrorKind::AddressWraps; wraps.into()]
        );
    }
}

#[test]
fn the_last_place_for_a_field_is_its_size_before_the_end() {
    for (r_type, _, bits, ..) in TYPES.into_iter().filter(|row| row.2 != 0) {
        let size = u64::from(bits / 8);
        for room in 0..20u64 {
            let case = |offset| one(&vec![0; room as usize], 0, 0, (offset, r_type, 0), MORE).apply();
            for offset in 0..=room {
                let fault = case(offset).0.map_err(fault);
                let outside = (ErrorKind::OffsetOutside, Some(0), Some(1), Some(r_type), offset, size, room);
                assert_eq!(fault.is_ok(), offset + size <= room, "type {r_type} at {offset} of {room}");
                assert_eq!(fault.err().unwrap_or(outside), outside);
            }
        }
    }
}

#[test]
fn an_end_beyond_two_to_the_64_is_outside() {
    for (r_type, _, bits, ..) in TYPES.into_iter().filter(|row| row.2 != 0) {
        let size = u64::from(bits / 8);
        for back in 0..=size + 8 {
            for base in [u64::MAX, i64::MAX as u64, 1 << 63, 1 << 32, u64::from(u32::MAX)] {
                let offset = base.wrapping_sub(back);
                // PC-relative values are small, so that only the offset can be at fault.
                let (result, bytes) =
                    one(&[0; 16], 0u64.wrapping_sub(offset), 0, (offset, r_type, 0), MORE).apply();
                let error = result.unwrap_err();
                assert_eq!((error.kind, error.offset), (ErrorKind::OffsetOutside, offset), "type {r_type}");
                assert_eq!((error.value, error.limit, bytes), (size, 16, vec![0; 16]));
            }
        }
    }
}

#[test]
fn any_byte_of_the_field_counts_and_none_beside_it() {
    for (r_type, _, bits, ..) in TYPES.into_iter().filter(|row| row.2 != 0) {
        let size = bits as usize / 8;
        for byte in 0..24 {
            for content in [1u8, 0x80, 0xff] {
                let mut bytes = vec![0; 24];
                bytes[byte] = content;
                let (result, now) = one(&bytes, 0, 5, (8, r_type, 8), MORE).apply();
                if (8..8 + size).contains(&byte) {
                    let existing = u64::from(content) << (8 * (byte - 8));
                    let value = if [2, 4, 13, 15, 24].contains(&r_type) { 5 } else { 13 };
                    let nonzero =
                        (ErrorKind::TargetNotZero, Some(0), Some(1), Some(r_type), 8, value, existing);
                    assert_eq!(result.map_err(fault), Err(nonzero), "type {r_type}, byte {byte}");
                    assert_eq!(now, bytes);
                } else {
                    assert_eq!(result, Ok(()), "type {r_type}, byte {byte}");
                    assert_eq!(now[byte], content);
                }
            }
        }
    }
}

#[test]
fn the_symbol_index_must_be_below_the_count() {
    for count in 0..4usize {
        for symbol in (0..6).chain([u32::MAX, 1 << 31]) {
            for r_type in [0, 1] {
                let world = World {
                    bytes: vec![0; 8],
                    address: 0,
                    values: vec![7; count],
                    flags: RelocFlags::empty(),
                };
                let (result, bytes) = Case { world, table: vec![rela(0, symbol, r_type, 0)] }.apply();
                let bad = (ErrorKind::SymbolIndex, Some(0), Some(symbol), Some(r_type), 0, 0, count as u64);
                let fits = (symbol as usize) < count;
                assert_eq!(
                    result.map_err(fault),
                    if fits { Ok(()) } else { Err(bad) },
                    "{symbol} of {count}"
                );
                assert_eq!(bytes[0], if fits && r_type == 1 { 7 } else { 0 });
            }
        }
    }
}

#[test]
fn a_symbol_table_that_nobody_resolved_is_no_source_of_values() {
    use relakit::elf::RelaTable;
    use relakit::reloc::{SymtabValues, Target};
    const UNDEF: u16 = 0;
    const ABS: u16 = 0xfff1;
    const LIVEPATCH: u16 = 0xff20;
    for (index, shndx, binding, value, r_type, refused) in [
        (1u32, UNDEF, 1u8, 0u64, 1u32, true),
        (1, UNDEF, 0, 0, 1, true),
        (1, UNDEF, 2, 0, 1, false),
        (1, UNDEF, 1, 1, 1, false),
        (1, LIVEPATCH, 1, 0, 1, true),
        (1, LIVEPATCH, 2, 0, 1, true),
        (1, LIVEPATCH, 1, 1 << 40, 1, false),
        (1, ABS, 1, 0, 1, false),
        (1, 7, 1, 0, 1, false),
        (1, UNDEF, 1, 0, 0, false),
        (0, UNDEF, 0, 0, 1, false),
    ] {
        let mut symbols = [[0; 24]; 2];
        symbols[1][4] = binding << 4;
        symbols[1][6..8].copy_from_slice(&shndx.to_le_bytes());
        symbols[1][8..16].copy_from_slice(&value.to_le_bytes());
        let values = SymtabValues::from_entries(&symbols).into();
        // The entry before it is undone.
        let file = [rela(0, 0, 1, 5), rela(8, index, r_type, 0)].map(relakit::elf::Rela::to_bytes).concat();
        let table = RelaTable::new(&file).unwrap();
        for (flags, refused) in [(RelocFlags::empty(), refused), (RelocFlags::ALLOW_ZERO_SYMBOLS, false)] {
            let mut bytes = [0; 16];
            for pass in [check, apply] {
                let answer = pass(table, values, &mut Target::new(&mut bytes, 0), flags);
                let said = answer.map_err(|error| (error.kind, error.entry, error.value));
                let unresolved = Err((ErrorKind::SymbolUnresolved, Some(1), u64::from(shndx)));
                assert_eq!(
                    said,
                    if refused { unresolved } else { Ok(()) },
                    "{index} {shndx:#x} {binding} {value}"
                );
            }
            assert_eq!(bytes[0], if refused { 0 } else { 5 });
            if !refused {
                clear(table, values, &mut Target::new(&mut bytes, 0), flags).unwrap();
                assert_eq!(bytes, [0; 16]);
            }
        }
    }
}
