//! A pass does all that the model does, or changes no byte and names the model's fault.

use crate::config;
use crate::tables::{Case, Pass, check, file, flags, flags_zero, good, rela, size, wild};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use relakit::ErrorKind;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, SymtabValues, Target, Values, View, apply, clear, errors};
use relakit_model::table::{World, ascends, fault};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_good_table_is_applied_as_the_model_does_it(case in good(flags())) {
        let (result, bytes) = case.apply();
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(Ok(bytes), case.world.applied(&case.table));
    }

    #[test]
    fn any_table_is_applied_as_the_model_does_it_or_changes_nothing(case in wild(flags())) {
        let expected = case.world.applied(&case.table);
        // RelocFlags that allow nonzero fields are proven first; that makes no difference in plain memory.
        let (result, bytes) = case.apply();
        match expected {
            Ok(expected) => {
                prop_assert_eq!(result, Ok(()));
                prop_assert_eq!(bytes, expected);
            }
            Err(expected) => {
                prop_assert_eq!(result.map_err(fault), Err(expected));
                prop_assert_eq!(bytes, case.world.bytes);
            }
        }
    }

    #[test]
    fn one_bad_entry_anywhere_is_named_and_nothing_is_changed(
        case in good(flags_zero()), at: Index, which in 0usize..6, more: Index,
    ) {
        let mut case = case;
        let at = at.index(case.table.len() + 1);
        let count = case.world.values.len() as u32;
        let length = case.world.bytes.len() as u64;
        let (bad, kind) = match which {
            0 => {
                let symbol = *more.get(&[count, count + 1, u32::MAX]);
                (rela(0, symbol, 1, 0), ErrorKind::SymbolIndex)
            }
            1 => (rela(0, 0, *more.get(&[3, 5, 9, 16, 23, 37, 257, u32::MAX]), 0), ErrorKind::UnknownType),
            2 => {
                case.world.values.push(0x1_0000_0000);
                (rela(0, count, *more.get(&[10, 11]), 0), ErrorKind::Overflow)
            }
            3 => {
                let outside = *more.get(&[length.saturating_sub(7), length, u64::MAX, u64::MAX - 7]);
                (rela(outside, 0, 1, 0), ErrorKind::OffsetOutside)
            }
            4 => {
                case.world.bytes.extend([0, 0, 0, 1]);
                (rela(length, 0, 2, 0), ErrorKind::TargetNotZero)
            }
            _ => {
                case.world.bytes.extend([0, 1]);
                case.world.flags |= RelocFlags::EXTRA_TYPES;
                (rela(length, 0, 13, 0), ErrorKind::TargetNotZero)
            }
        };
        // Of two things wrong with one entry the one meant is to be named.
        case.world.flags.insert(RelocFlags::TRUNCATE_PC32);
        case.world.flags.set(RelocFlags::REPORT_NONZERO_FIRST, which == 5);
        let before: Vec<_> = case.table.clone();
        case.table.insert(at, bad);
        let (result, bytes) = case.apply();
        let error = result.unwrap_err();
        prop_assert_eq!((error.kind, error.entry), (kind, Some(at as u64)));
        prop_assert_eq!((error.symbol, error.r_type), (Some(bad.r_sym), Some(bad.r_type)));
        prop_assert_eq!(error.offset, bad.r_offset);
        prop_assert_eq!(&bytes, &case.world.bytes);
        // Two bad entries: the first is named.
        case.table.push(rela(u64::MAX, u32::MAX, u32::MAX, 0));
        prop_assert_eq!(case.apply(), (Err(error), bytes));
        // Without it the table is good.
        case.table = before;
        prop_assert_eq!(case.apply().0, Ok(()));
    }

    #[test]
    fn a_table_that_allows_nonzero_fields_ends_as_if_written_in_order(case in wild(Just(RelocFlags::ALLOW_NONZERO))) {
        let (result, bytes) = case.apply();
        prop_assert!(!matches!(result, Err(error) if error.kind == ErrorKind::TargetNotZero));
        prop_assert_eq!(bytes, case.world.applied(&case.table).unwrap_or(case.world.bytes));
    }

    #[test]
    fn values_in_a_symbol_table_are_the_same_values(case in wild(flags()), other in 0usize..3) {
        let World { bytes, address, values, flags } = &case.world;
        let file = file(&case.table);
        let table = RelaTable::new(&file).unwrap();
        let symtab = crate::common::symtab_bytes(values);
        let symtab = Values::from(SymtabValues::new(&symtab).unwrap());
        let (mut dense, mut sparse) = (bytes.clone(), bytes.clone());
        let pass: Pass = [apply, check, clear][other];
        let a = pass(table, values[..].into(), &mut Target::new(&mut dense, *address), *flags);
        let b = pass(table, symtab, &mut Target::new(&mut sparse, *address), *flags);
        prop_assert_eq!(a, b);
        prop_assert_eq!(dense, sparse);
    }

    #[test]
    fn faults_are_all_the_models_and_the_first_is_what_apply_answers(case in wild(flags())) {
        let World { bytes, address, values, flags } = &case.world;
        let (file, mut now) = (file(&case.table), bytes.clone());
        let mut target = Target::new(&mut now, *address);
        let found: Vec<_> =
            errors(RelaTable::new(&file).unwrap(), values[..].into(), &mut View::from(&mut target), *flags).map(fault).collect();
        prop_assert_eq!(&now, bytes);
        prop_assert_eq!(&found, &case.world.errors(&case.table));
        if ascends(&case.table, *flags) || flags.contains(RelocFlags::ALLOW_NONZERO) {
            prop_assert_eq!(found.first().copied(), case.apply().0.err().map(fault));
        }
    }

    #[test]
    fn a_second_time_is_refused_unless_every_value_is_zero(case in good(flags_zero()), r_type in select(vec![1u32, 24])) {
        let mut case = case;
        case.table.push(rela(case.world.bytes.len() as u64, 0, r_type, 1));
        case.world.bytes.extend([0; 8]);
        let (_, bytes) = case.apply();
        case.world.bytes = bytes;
        let set = |entry: &relakit::elf::Rela| {
            let at = entry.r_offset as usize;
            case.world.bytes[at..at + size(*entry)].iter().any(|byte| *byte != 0)
        };
        let expected = case.table.iter().position(set);
        let (result, bytes) = case.apply();
        prop_assert_eq!(result.err().map(|error| (error.kind, error.entry)),
            expected.map(|entry| (ErrorKind::TargetNotZero, Some(entry as u64))));
        prop_assert_eq!(bytes, case.world.bytes);
    }
}

#[test]
fn undoing_stops_at_no_type_that_writes() {
    // Every type is written before the entry that fails.
    let sizes =
        [(0, 0), (1, 8), (2, 4), (4, 4), (10, 4), (11, 4), (12, 2), (13, 2), (14, 1), (15, 1), (24, 8)];
    let mut table = Vec::new();
    let mut offset = 0;
    for (r_type, size) in sizes {
        table.push(rela(offset, 0, r_type, (offset as i64) + 1));
        offset += size;
    }
    let bytes = vec![0; offset as usize];
    let world = World { bytes, address: 0, values: vec![0x11], flags: RelocFlags::EXTRA_TYPES };
    let mut case = Case { world, table };
    let (result, bytes) = case.apply();
    assert_eq!(result, Ok(()));
    for (r_type, size) in sizes {
        let entry = case.table.iter().find(|entry| entry.r_type == r_type).unwrap();
        let field = &bytes[entry.r_offset as usize..][..size as usize];
        assert!(size == 0 || field[0] != 0, "type {r_type} was written");
    }
    case.table.push(rela(0, 0, 3, 0));
    assert_eq!(case.apply().1, case.world.bytes);
}

#[test]
fn an_empty_table_is_applied_to_anything() {
    for bytes in [vec![], vec![1, 2, 3]] {
        let world = World { bytes: bytes.clone(), address: 0, values: vec![], flags: RelocFlags::empty() };
        let case = Case { world, table: vec![] };
        assert_eq!(case.apply(), (Ok(()), bytes.clone()));
        assert_eq!(case.run(check), (Ok(()), bytes.clone()));
        assert_eq!(case.run(clear), (Ok(()), bytes));
    }
}
