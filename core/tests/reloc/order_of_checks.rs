//! Which fault is named when several are true of one entry.

use crate::tables::{Case, check, rela};
use relakit::ErrorKind::{self, OffsetOutside, Overflow, SymbolIndex, TargetNotZero, UnknownType};
use relakit::elf::Rela;
use relakit::reloc::RelocFlags;
use relakit_model::table::{World, fault};

/// 32 bytes that are not zero, and one entry; what is said of it.
fn said(entry: Rela, flags: RelocFlags) -> Result<(), ErrorKind> {
    let world = World { bytes: vec![0xee; 32], address: 0, values: vec![0, 1 << 40], flags };
    let case = Case { world, table: vec![entry] };
    let (result, bytes) = case.apply();
    assert!(result.is_ok() || bytes == case.world.bytes);
    assert_eq!(case.run(check), (result, case.world.bytes.clone()), "a dry run says the same");
    assert_eq!(case.world.errors(&case.table).first().copied(), result.err().map(fault), "so does the model");
    result.map_err(|error| error.kind)
}

const OUTSIDE: u64 = 29;

#[test]
fn linux_looks_at_the_type_then_the_range_then_the_field() {
    let flags = RelocFlags::empty();
    for (entry, expected) in [
        (rela(OUTSIDE, 2, 99, 0), Err(SymbolIndex)),
        (rela(OUTSIDE, 1, 99, 0), Err(UnknownType)),
        (rela(OUTSIDE, 1, 10, 0), Err(Overflow)),
        (rela(28, 1, 10, 0), Err(Overflow)),
        (rela(OUTSIDE, 0, 10, 0), Err(OffsetOutside)),
        (rela(28, 0, 10, 0), Err(TargetNotZero)),
        (rela(OUTSIDE, 2, 0, 0), Err(SymbolIndex)),
        (rela(OUTSIDE, 1, 0, 0), Ok(())),
    ] {
        assert_eq!(said(entry, flags), expected, "{entry:?}");
    }
}

#[test]
fn before_6_3_it_looked_at_the_field_before_the_range() {
    let flags = RelocFlags::REPORT_NONZERO_FIRST;
    for (entry, expected) in [
        (rela(OUTSIDE, 2, 99, 0), Err(SymbolIndex)),
        (rela(OUTSIDE, 1, 99, 0), Err(UnknownType)),
        (rela(OUTSIDE, 1, 10, 0), Err(OffsetOutside)),
        (rela(28, 1, 10, 0), Err(TargetNotZero)),
        (rela(28, 0, 10, 0), Err(TargetNotZero)),
    ] {
        assert_eq!(said(entry, flags), expected, "{entry:?}");
    }
    assert_eq!(said(rela(28, 1, 10, 0), flags | RelocFlags::ALLOW_NONZERO), Err(Overflow));
}

#[test]
fn a_field_that_may_hold_anything_must_still_exist_and_fit() {
    let flags = RelocFlags::ALLOW_NONZERO;
    for (entry, expected) in [
        (rela(28, 0, 10, 0), Ok(())),
        (rela(28, 1, 10, 0), Err(Overflow)),
        (rela(OUTSIDE, 0, 10, 0), Err(OffsetOutside)),
        (rela(OUTSIDE, 0, 12, 0), Err(UnknownType)),
        (rela(28, 2, 10, 0), Err(SymbolIndex)),
    ] {
        assert_eq!(said(entry, flags), expected, "{entry:?}");
    }
}

#[test]
fn none_is_passed_over_wherever_it_points_but_names_a_symbol() {
    for flags in (0..16).map(|bits| RelocFlags::from_bits(bits).unwrap()) {
        for offset in [0, 28, OUTSIDE, 32, u64::MAX] {
            for addend in [0, 1, i64::MIN, i64::MAX] {
                assert_eq!(said(rela(offset, 1, 0, addend), flags), Ok(()));
                assert_eq!(said(rela(offset, 2, 0, addend), flags), Err(SymbolIndex));
            }
        }
    }
}

#[test]
fn what_linux_does_not_know_must_be_asked_for() {
    for r_type in 12..16 {
        for (flags, expected) in [
            (RelocFlags::empty(), Err(UnknownType)),
            (
                RelocFlags::TRUNCATE_PC32 | RelocFlags::ALLOW_NONZERO | RelocFlags::REPORT_NONZERO_FIRST,
                Err(UnknownType),
            ),
            (RelocFlags::EXTRA_TYPES, Err(TargetNotZero)),
            (RelocFlags::EXTRA_TYPES | RelocFlags::ALLOW_NONZERO, Ok(())),
        ] {
            assert_eq!(said(rela(8, 0, r_type, 8), flags), expected, "type {r_type} {flags:?}");
        }
    }
}

#[test]
fn the_type_is_all_32_bits_of_its_half() {
    for high in [1u32 << 8, 1 << 16, 1 << 31] {
        for r_type in [0, 1, 2, 4, 10, 11, 24] {
            assert_eq!(said(rela(0, 0, r_type | high, 0), RelocFlags::ALLOW_NONZERO), Err(UnknownType));
        }
    }
}
