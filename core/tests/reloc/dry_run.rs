//! A dry run answers what applying would, and leaves memory alone.

use crate::config;
use crate::tables::{Case, check, flags, flags_zero, good, rela, wild};
use crate::writer::with_writer;
use proptest::prelude::*;
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, View, apply};
use relakit::{Error, ErrorKind};
use relakit_model::guest::{Call, Guest};
use relakit_model::table::{World, fault, first_unordered};

/// What a dry run behind a writer answers; it must have done nothing but read.
fn hooked_check(case: &Case) -> Result<(), Error> {
    let mut guest = Guest::new(&case.world);
    let result = with_writer(case, &mut guest, check);
    assert!(guest.calls.iter().all(|call| matches!(call, Call::Read { .. })), "{:?}", guest.calls);
    assert_eq!(guest.bytes, case.world.bytes);
    result
}

proptest! {
    // Many: a fault after an overlap is rare.
    #![proptest_config(ProptestConfig { cases: 4096, ..config() })]

    #[test]
    fn a_dry_run_says_what_apply_says_up_to_the_first_field_out_of_order(case in wild(flags())) {
        let World { flags, .. } = case.world;
        let unordered = first_unordered(&case.table, flags).filter(|_| !flags.contains(RelocFlags::ALLOW_NONZERO));
        let (answer, bytes) = case.run(check);
        prop_assert_eq!(bytes, &case.world.bytes[..]);
        let applied = case.apply().0;
        let stops_at = applied.err().and_then(|error| error.entry);
        match unordered {
            Some(entry) if stops_at.is_none_or(|stops_at| stops_at >= entry as u64) => {
                let (kind, at, ..) = fault(answer.unwrap_err());
                prop_assert_eq!((kind, at), (ErrorKind::FieldsNotAscending, Some(entry as u64)));
            }
            _ => prop_assert_eq!(answer, applied),
        }
    }

    #[test]
    fn a_dry_run_of_a_good_table_is_in_order_anywhere(case in good(flags())) {
        prop_assert_eq!(hooked_check(&case), Ok(()));
        prop_assert_eq!(case.run(check), (Ok(()), case.world.bytes));
    }

    #[test]
    fn a_dry_run_behind_a_writer_says_when_only_writing_could_tell(case in wild(flags())) {
        let World { flags, .. } = case.world;
        let unordered = first_unordered(&case.table, flags).filter(|_| !flags.contains(RelocFlags::ALLOW_NONZERO));
        let answer = hooked_check(&case).map_err(fault);
        match (case.world.errors(&case.table).first(), unordered) {
            (Some(first), _) => prop_assert_eq!(answer, Err(*first)),
            (None, Some(entry)) => {
                let (kind, at, ..) = answer.unwrap_err();
                prop_assert_eq!((kind, at), (ErrorKind::FieldsNotAscending, Some(entry as u64)));
            }
            (None, None) => {
                prop_assert_eq!(answer, Ok(()));
                prop_assert_eq!(with_writer(&case, &mut Guest::new(&case.world), apply), Ok(()));
            }
        }
    }

    #[test]
    fn a_reversed_table_can_be_applied_and_not_be_judged(case in good(flags_zero())) {
        let mut case = case;
        case.table.reverse();
        prop_assert_eq!(case.apply().0, Ok(()));
        let fields = case.table.iter().filter(|entry| crate::tables::size(**entry) != 0).count();
        let expected = if fields > 1 { Some(ErrorKind::FieldsNotAscending) } else { None };
        prop_assert_eq!(hooked_check(&case).err().map(|error| error.kind), expected);
        prop_assert_eq!(case.run(check).0.err().map(|error| error.kind), expected);
    }
}

#[test]
fn a_dry_run_needs_no_memory_that_can_be_written() {
    static READ_ONLY: [u8; 16] = [0; 16];
    for (table, expected) in [
        ([rela(0, 0, 1, 0), rela(8, 0, 1, 0)], Ok(())),
        ([rela(8, 0, 1, 0), rela(0, 0, 1, 0)], Err(ErrorKind::FieldsNotAscending)),
        ([rela(0, 0, 1, 0), rela(9, 0, 1, 0)], Err(ErrorKind::OffsetOutside)),
    ] {
        let file = table.map(relakit::elf::Rela::to_bytes).concat();
        let table = RelaTable::new(&file).unwrap();
        let answer =
            reloc::dry_run(table, [7][..].into(), &mut View::new(&READ_ONLY, 0), RelocFlags::empty());
        assert_eq!(answer.map_err(|error| error.kind), expected);
    }
}

fn case(values: &[u64], table: &[relakit::elf::Rela]) -> Case {
    let world = World { bytes: vec![0; 16], address: 0, values: values.to_vec(), flags: RelocFlags::empty() };
    Case { world, table: table.to_vec() }
}

#[test]
fn a_fault_after_an_overlap_does_not_hide_the_overlap() {
    // Entry 1 finds what entry 0 wrote; entry 2 has no symbol.
    let case = case(&[7], &[rela(0, 0, 1, 0), rela(0, 0, 1, 0), rela(8, 1, 1, 0)]);
    let nonzero = (ErrorKind::TargetNotZero, Some(1), Some(0), Some(1), 0, 7, 7);
    assert_eq!(case.apply().0.map_err(fault), Err(nonzero));
    let unordered = case.run(check).0.map_err(|error| (error.kind, error.entry));
    assert_eq!(unordered, Err((ErrorKind::FieldsNotAscending, Some(1))));
}

#[test]
fn fields_that_touch_are_ordered_and_fields_that_share_a_byte_are_not() {
    for (second, ordered) in [(8, true), (7, false), (0, false), (9, false)] {
        // An entry of type NONE in between is no field.
        let case = case(&[0], &[rela(0, 0, 1, 0), rela(0, 0, 0, 0), rela(second, 0, 1, 0)]);
        let answer = hooked_check(&case).map_err(|error| (error.kind, error.entry));
        let expected = match second {
            9 => Err((ErrorKind::OffsetOutside, Some(2))),
            _ if ordered => Ok(()),
            _ => Err((ErrorKind::FieldsNotAscending, Some(2))),
        };
        assert_eq!(answer, expected, "second field at {second}");
    }
}
