//! One relocation without a table does the same as a table with this entry.

use crate::config;
use crate::tables::{Case, flags, number, rela};
use proptest::prelude::*;
use relakit::ErrorKind;
use relakit::reloc::{RelocFlags, relocate};
use relakit_model::table::World;

/// Applies one relocation both ways.
fn both(r_type: u32, s: u64, a: i64, p: u64, field: &[u8], flags: RelocFlags) {
    let world = World { bytes: field.to_vec(), address: p, values: vec![s], flags };
    let case = Case { world, table: vec![rela(0, 0, r_type, a)] };
    let (expected, expected_bytes) = case.apply();
    let mut bytes = field.to_vec();
    let result = relocate(r_type, s, a, p, &mut bytes, flags);
    let told = format!("type {r_type} s {s:#x} a {a:#x} p {p:#x} {field:?} {flags:?}");
    assert_eq!(bytes, expected_bytes, "{told}");
    let Err(error) = result else {
        // The model does not add to fields.
        let adds = flags.contains(RelocFlags::ADD_TO_FIELD);
        assert!(adds || Ok(bytes) == case.world.applied(&case.table), "{told}");
        assert_eq!(expected, Ok(()), "{told}");
        return;
    };
    let expected = expected.unwrap_err();
    assert_eq!((error.kind, error.value, error.limit), (expected.kind, expected.value, expected.limit));
    assert_eq!((error.r_type, error.offset), (expected.r_type, 0), "{told}");
    assert_eq!((error.entry, error.symbol, error.section), (None, None, None), "{told}");
}

/// Both sides of the edges of every range.
fn edges() -> impl Iterator<Item = u64> + Clone {
    let edges = [7, 8, 15, 16, 31, 32, 63].into_iter().map(|bit| 1u64 << bit);
    edges.flat_map(|edge| [edge - 1, edge, edge.wrapping_neg(), edge.wrapping_neg() - 1]).chain([
        0,
        1,
        u64::MAX,
    ])
}

#[test]
fn every_type_flag_and_edge_is_as_in_a_table() {
    for r_type in (0..=26).chain([256 + 2, u32::MAX]) {
        for flags in (0..64).map(|bits| RelocFlags::from_bits(bits).unwrap()) {
            for s in edges() {
                both(r_type, s, 0, 0, &[0; 8], flags);
            }
            for size in [0, 1, 2, 3, 4, 7, 8, 9] {
                for (fill, s) in [(0, 0x12), (1, 0), (0xff, 1)] {
                    both(r_type, s, 0x10, 0x20, &vec![fill; size], flags);
                }
            }
        }
    }
}

#[test]
fn a_field_that_is_too_short_is_an_error_and_a_longer_one_keeps_its_tail() {
    let mut bytes = [0, 0, 0, 0, 9];
    let error = relocate(1, 5, 0, 0, &mut bytes[..4], RelocFlags::empty()).unwrap_err();
    assert_eq!((error.kind, error.value, error.limit), (ErrorKind::OffsetOutside, 8, 4));
    assert_eq!((error.r_type, bytes), (Some(1), [0, 0, 0, 0, 9]));
    assert_eq!(relocate(10, 5, 0, 0, &mut bytes, RelocFlags::empty()), Ok(()));
    assert_eq!(bytes, [5, 0, 0, 0, 9]);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_numbers_give_the_same_as_in_a_table(
        r_type in prop_oneof![0u32..26, any::<u32>()], s in number(), a in number(), p in number(),
        field in prop::collection::vec(prop_oneof![8 => Just(0u8), 1 => any::<u8>()], 0..12), flags in flags(), adds: bool,
    ) {
        let flags = if adds { flags | RelocFlags::ADD_TO_FIELD } else { flags };
        both(r_type, s, a.cast_signed(), p, &field, flags);
    }
}
