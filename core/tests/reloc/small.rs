//! The small apply does the same as `apply` without flags.

use crate::config;
use crate::tables::{Case, file, good, number, rela, wild};
use proptest::prelude::*;
use relakit::ErrorKind;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, apply_small};
use relakit_model::table::World;

/// Applies the table both ways.
fn both(case: &Case) -> Result<(), (ErrorKind, Option<usize>)> {
    let World { bytes, address, values, .. } = &case.world;
    let (mut small, file) = (bytes.clone(), file(&case.table));
    let result = apply_small(RelaTable::new(&file).unwrap(), values, &mut small, *address);
    let (expected, expected_bytes) = case.apply();
    assert_eq!(result, expected.map_err(|error| (error.kind, error.entry.map(|entry| entry as usize))));
    assert_eq!(small, expected_bytes);
    result
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_good_table_is_applied(case in good(Just(RelocFlags::empty()))) {
        prop_assert_eq!(both(&case), Ok(()));
    }

    #[test]
    fn any_table_is_applied_or_refused_as_by_apply(case in wild(Just(RelocFlags::empty()))) {
        let _ = both(&case);
    }

    #[test]
    fn entries_of_any_numbers_are_applied_or_refused_as_by_apply(
        offset in prop_oneof![0u64..12, number()], symbol in 0u32..3, r_type in prop_oneof![0u32..26, any::<u32>()],
        a in number(), address in number(), bytes in prop::collection::vec(prop_oneof![9 => Just(0u8), 1 => any::<u8>()], 0..16),
        values in prop::collection::vec(number(), 0..3),
    ) {
        let world = World { bytes, address, values, flags: RelocFlags::empty() };
        let table = vec![rela(offset, symbol, r_type, a.cast_signed())];
        let _ = both(&Case { world, table });
    }
}

#[test]
fn every_field_before_the_one_that_fails_is_zero_again() {
    // Types 64 and 32 overlap where the first has zero bytes.
    let table = vec![rela(0, 0, 1, 0x11), rela(4, 0, 10, 0x22), rela(8, 0, 11, 0x33), rela(0, 0, 3, 0)];
    let world = World { bytes: vec![0; 12], address: 0, values: vec![0], flags: RelocFlags::empty() };
    let case = Case { world, table };
    assert_eq!(both(&case), Err((ErrorKind::UnknownType, Some(3))));
    let good = Case { table: case.table[..3].to_vec(), ..case };
    assert_eq!(both(&good), Ok(()));
}

#[test]
fn memory_that_wraps_is_refused_without_an_entry() {
    for (size, address, wraps) in
        [(0, u64::MAX, false), (1, u64::MAX, false), (2, u64::MAX, true), (8, u64::MAX - 7, false)]
    {
        let world = World { bytes: vec![0; size], address, values: vec![], flags: RelocFlags::empty() };
        let expected = if wraps { Err((ErrorKind::AddressWraps, None)) } else { Ok(()) };
        assert_eq!(both(&Case { world, table: vec![] }), expected);
    }
}
