//! Clearing is applying backwards: every field is verified, and memory comes out as it was.

use crate::config;
use crate::tables::{Case, flags, flags_zero, good, rela, size, wild};
use crate::writer::with_writer;
use proptest::prelude::*;
use proptest::sample::Index;
use relakit::ErrorKind;
use relakit::reloc::{RelocFlags, clear};
use relakit_model::guest::Guest;
use relakit_model::table::{World, fault};

/// The case with its table applied, if it can be.
fn applied(case: &Case) -> Option<Case> {
    let (result, bytes) = case.apply();
    result.ok().map(|()| Case { world: World { bytes, ..case.world.clone() }, table: case.table.clone() })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn applied_and_cleared_is_as_it_was(case in prop_oneof![good(flags_zero()), wild(flags_zero())]) {
        if let Some(now) = applied(&case) {
            let (result, bytes) = now.run(clear);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(&bytes, &case.world.bytes);
            // And again, for an object that comes back.
            let again = Case { world: World { bytes, ..case.world }, table: case.table };
            prop_assert_eq!(again.apply().1, now.world.bytes);
        }
    }

    #[test]
    fn one_changed_byte_of_a_field_is_a_mismatch_and_nothing_is_cleared(
        case in prop_oneof![good(flags_zero()), wild(flags_zero())], at: Index, flip in 1u8..,
    ) {
        let Some(mut now) = applied(&case) else { return Ok(()) };
        let fields: Vec<_> = now.table.iter().flat_map(|entry| {
            let start = entry.r_offset as usize;
            start..start + size(*entry)
        }).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let at = *at.get(&fields);
        now.world.bytes[at] ^= flip;
        let covers = |entry: &relakit::elf::Rela| {
            (entry.r_offset as usize..entry.r_offset as usize + size(*entry)).contains(&at)
        };
        let last = now.table.iter().rposition(covers).map(|entry| entry as u64);
        let (result, bytes) = now.run(clear);
        let error = result.unwrap_err();
        prop_assert_eq!((error.kind, error.entry), (ErrorKind::TargetMismatch, last));
        let byte = 8 * (at as u64 - error.offset);
        prop_assert_eq!(error.value ^ error.limit, u64::from(flip) << byte, "expected and existing");
        prop_assert_eq!(bytes, now.world.bytes);
    }

    #[test]
    fn a_changed_byte_beside_the_fields_stays(case in good(flags_zero()), at: Index, flip in 1u8..) {
        let mut now = applied(&case).unwrap();
        let covered = |at: usize| now.table.iter().any(|entry| {
            (entry.r_offset as usize..entry.r_offset as usize + size(*entry)).contains(&at)
        });
        let beside: Vec<_> = (0..now.world.bytes.len()).filter(|at| !covered(*at)).collect();
        if beside.is_empty() {
            return Ok(());
        }
        let at = *at.get(&beside);
        now.world.bytes[at] ^= flip;
        let mut expected = case.world.bytes;
        expected[at] ^= flip;
        prop_assert_eq!(now.run(clear), (Ok(()), expected));
    }

    #[test]
    fn clearing_anything_does_what_the_model_does_or_changes_nothing(case in wild(flags()), first: bool) {
        let case = if first { applied(&case).unwrap_or(case) } else { case };
        let (result, bytes) = case.run(clear);
        match case.world.cleared(&case.table, 0).ok() {
            Some(expected) => {
                prop_assert_eq!(result, Ok(()));
                prop_assert_eq!(bytes, expected);
            }
            None => {
                let error = result.unwrap_err();
                prop_assert!(error.kind != ErrorKind::TargetNotZero && error.entry.is_some());
                prop_assert_eq!(bytes, case.world.bytes);
            }
        }
    }

    #[test]
    fn a_table_that_was_not_applied_is_cleared_only_where_zero_is_its_value(case in good(flags_zero())) {
        let now = applied(&case).unwrap();
        let (result, bytes) = case.run(clear);
        prop_assert_eq!(result.is_ok(), now.world.bytes == case.world.bytes);
        prop_assert_eq!(bytes, case.world.bytes);
    }
}

fn case(bytes: &[u8], values: &[u64], table: &[relakit::elf::Rela]) -> Case {
    let world =
        World { bytes: bytes.to_vec(), address: 0, values: values.to_vec(), flags: RelocFlags::empty() };
    Case { world, table: table.to_vec() }
}

#[test]
fn two_relocations_of_one_slot_are_in_order_when_the_first_value_is_zero() {
    // Linux applies this (the slot is zero when the second one looks) and clears it only backwards.
    let slot = case(&[0; 8], &[0, 7], &[rela(0, 0, 1, 0), rela(0, 1, 1, 0)]);
    let now = applied(&slot).unwrap();
    assert_eq!(now.world.bytes, [7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(now.run(clear), (Ok(()), vec![0; 8]));
    // The other way round the second one finds the first one's value.
    let other = case(&[0; 8], &[0, 7], &[rela(0, 1, 1, 0), rela(0, 0, 1, 0)]);
    let (result, bytes) = other.apply();
    let nonzero = (ErrorKind::TargetNotZero, Some(1), Some(0), Some(1), 0, 0, 7);
    assert_eq!((result.map_err(fault), bytes), (Err(nonzero), vec![0; 8]));
}

#[test]
fn a_field_inside_another_is_written_where_that_one_is_zero() {
    let nested = case(&[0; 8], &[0x11, 0x22], &[rela(0, 0, 1, 0), rela(4, 1, 11, 0)]);
    let now = applied(&nested).unwrap();
    assert_eq!(now.world.bytes, [0x11, 0, 0, 0, 0x22, 0, 0, 0]);
    assert_eq!(now.run(clear), (Ok(()), vec![0; 8]));
    // Behind a writer too, where such fields can be verified only on the way.
    let mut guest = Guest::new(&now.world);
    assert_eq!((with_writer(&now, &mut guest, clear), guest.bytes), (Ok(()), vec![0; 8]));
    // Three of them, and a fourth that fails: all is undone.
    let mut table = nested.table.clone();
    table.extend([rela(6, 0, 11, 0), rela(8, 0, 1, 0)]);
    let failing = case(&[0; 10], &[0x11, 0x22], &table);
    let (result, bytes) = failing.apply();
    assert_eq!((result.unwrap_err().entry, bytes), (Some(3), vec![0; 10]));
}

#[test]
fn entries_may_stand_in_any_order() {
    let table = [rela(8, 0, 1, 0), rela(0, 0, 1, 0), rela(20, 0, 11, 0), rela(16, 0, 10, 0)];
    let case = case(&[0; 24], &[0x33], &table);
    let now = applied(&case).unwrap();
    assert_eq!(now.world.bytes.iter().filter(|byte| **byte == 0x33).count(), 4);
    assert_eq!(now.run(clear), (Ok(()), vec![0; 24]));
}

#[test]
fn clearing_with_other_values_is_a_mismatch_with_both_numbers() {
    let now =
        applied(&case(&[0; 12], &[0x1_0000_0005, 9], &[rela(0, 0, 1, 0), rela(8, 1, 11, -12)])).unwrap();
    let mut stale = now.clone();
    stale.world.values[1] = 10;
    let mismatch = (ErrorKind::TargetMismatch, Some(1), Some(1), Some(11), 8, 0xffff_fffe, 0xffff_fffd);
    let (result, bytes) = stale.run(clear);
    assert_eq!((result.map_err(fault), bytes), (Err(mismatch), now.world.bytes.clone()));
    // Entry 1 is in order and is cleared first; it is set again.
    stale = now.clone();
    stale.world.values[0] = 5;
    let mismatch = (ErrorKind::TargetMismatch, Some(0), Some(0), Some(1), 0, 5, 0x1_0000_0005);
    let (result, bytes) = stale.run(clear);
    assert_eq!((result.map_err(fault), bytes), (Err(mismatch), now.world.bytes));
}
