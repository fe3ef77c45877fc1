//! `ADD_TO_FIELD`: the value is added to the field. Undoing and clearing are the subtraction.

use crate::config;
use crate::tables::{Case, check, file, flags_zero, good, rela, wild};
use crate::writer::with_writer;
use proptest::prelude::*;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{RelocFlags, View, apply, clear, errors};
use relakit::{Error, ErrorKind};
use relakit_model::guest::{Call, Guest};
use relakit_model::table::{
    Fault, Fit, TYPES, World, fault, first_unordered, fits, largest, number, row, value,
};

const TWO_64: i128 = 1 << 64;

/// The sum of value and content, or the error of the entry. `None` if it has no field.
fn sum(world: &World, index: usize, rela: Rela) -> Result<Option<(usize, usize, i128)>, Fault> {
    let bad = |kind, value: i128, limit: i128| {
        let (value, limit) = (u64::try_from(value).unwrap(), u64::try_from(limit).unwrap());
        (kind, Some(index as u64), Some(rela.r_sym), Some(rela.r_type), rela.r_offset, value, limit)
    };
    let Some(s) = world.values.get(rela.r_sym as usize) else {
        return Err(bad(ErrorKind::SymbolIndex, 0, world.values.len() as i128));
    };
    let Some(row) = row(rela.r_type, world.flags) else { return Err(bad(ErrorKind::UnknownType, 0, 0)) };
    let size = row.2 as usize / 8;
    if size == 0 {
        return Ok(None);
    }
    if i128::from(rela.r_offset) + size as i128 > world.bytes.len() as i128 {
        return Err(bad(ErrorKind::OffsetOutside, size as i128, world.bytes.len() as i128));
    }
    let at = rela.r_offset as usize;
    let content = number(&world.bytes[at..at + size]);
    let is_negative = content >> (row.2 - 1) == 1 && !matches!(row.3, Fit::Any | Fit::Zext);
    let content = if is_negative { content - (1 << row.2) } else { content };
    let place = world.address.wrapping_add(rela.r_offset);
    let sum = (content + value(row, *s, rela.r_addend, place)).rem_euclid(TWO_64);
    match fits(row, sum, world.flags) {
        true => Ok(Some((at, size, sum))),
        false => Err(bad(ErrorKind::Overflow, sum, largest(row, world.flags).unwrap())),
    }
}

/// What applying one entry after the other does, or the first error.
fn applied(case: &Case) -> Result<Vec<u8>, Fault> {
    let mut world = case.world.clone();
    for (index, rela) in case.table.iter().enumerate() {
        if let Some((at, size, sum)) = sum(&world, index, *rela)? {
            world.bytes[at..at + size].copy_from_slice(&(sum as u128).to_le_bytes()[..size]);
        }
    }
    Ok(world.bytes)
}

/// Cases whose fields have any content, some of it small, so that half of the sums fit.
fn cases() -> impl Strategy<Value = Case> {
    let byte = prop_oneof![3 => Just(0u8), 1 => any::<u8>(), 1 => Just(0xff)];
    let content = prop::collection::vec(byte, 256);
    let flags = || flags_zero().prop_map(|flags| flags | RelocFlags::ADD_TO_FIELD);
    (prop_oneof![good(flags()), wild(flags())], content).prop_map(|(mut case, content)| {
        for (byte, content) in case.world.bytes.iter_mut().zip(content) {
            *byte ^= content;
        }
        case
    })
}

/// The case with its table applied, if it can be.
fn after(case: &Case) -> Option<Case> {
    let (result, bytes) = case.apply();
    result.ok().map(|()| Case { world: World { bytes, ..case.world.clone() }, table: case.table.clone() })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_table_is_added_as_the_model_does_it_or_nothing_is_changed(case in cases()) {
        let (result, bytes) = case.apply();
        match applied(&case) {
            Ok(expected) => prop_assert_eq!((result, bytes), (Ok(()), expected)),
            Err(expected) => {
                prop_assert_eq!(result.map_err(fault), Err(expected));
                prop_assert_eq!(bytes, case.world.bytes);
            }
        }
    }

    #[test]
    fn applied_and_cleared_is_as_it_was(case in cases()) {
        let Some(now) = after(&case) else { return Ok(()) };
        prop_assert_eq!(now.run(clear), (Ok(()), case.world.bytes.clone()));
        let mut guest = Guest::new(&now.world);
        prop_assert_eq!(with_writer(&now, &mut guest, clear), Ok(()));
        prop_assert_eq!(guest.bytes, case.world.bytes);
    }

    #[test]
    fn a_writer_gets_the_bytes_of_plain_memory(case in cases()) {
        let mut guest = Guest::new(&case.world);
        let result = with_writer(&case, &mut guest, apply);
        let (plain, bytes) = case.apply();
        // An error of an entry by itself may hide an entry whose sum fits after another one.
        if first_unordered(&case.table, case.world.flags).is_none() {
            prop_assert_eq!(result, plain);
        }
        match result {
            Ok(()) => prop_assert_eq!((plain, guest.bytes), (Ok(()), bytes)),
            Err(_) => prop_assert_eq!(guest.bytes, case.world.bytes),
        }
    }

    #[test]
    fn a_call_that_fails_changes_nothing(case in cases()) {
        let table = case.table.into_iter().take(5).collect();
        let case = Case { table, ..case };
        let Some(now) = after(&case) else { return Ok(()) };
        for (start, pass) in [(&case, apply as crate::tables::Pass), (&now, clear)] {
            let mut calls = Guest::new(&start.world);
            if with_writer(start, &mut calls, pass).is_err() {
                continue;
            }
            for call in 0..calls.calls.len() {
                let mut guest = Guest::new(&start.world);
                guest.fails.insert(call);
                let error = with_writer(start, &mut guest, pass).unwrap_err();
                prop_assert!(matches!(error.kind, ErrorKind::Writer | ErrorKind::Sync), "{}", error);
                prop_assert_eq!(&guest.bytes, &start.world.bytes, "{}", error);
            }
        }
    }

    #[test]
    fn a_rollback_that_fails_names_the_last_entry_that_is_written(case in good(flags_zero()), first: prop::sample::Index, second: prop::sample::Index) {
        let mut case = case;
        case.world.flags |= RelocFlags::ADD_TO_FIELD;
        let mut guest = Guest::new(&case.world);
        prop_assert_eq!(with_writer(&case, &mut guest, apply), Ok(()));
        let first = first.index(guest.calls.len());
        let mut guest = Guest::new(&case.world);
        guest.fails.insert(first);
        with_writer(&case, &mut guest, apply).unwrap_err();
        let rolled_back = first + 1..guest.calls.len();
        if guest.calls.last() != Some(&Call::Sync) || rolled_back.len() < 2 {
            return Ok(());
        }
        let second = rolled_back.start + second.index(rolled_back.len() - 1);
        let mut guest = Guest::new(&case.world);
        guest.fails.extend([first, second]);
        let error = with_writer(&case, &mut guest, apply).unwrap_err();
        prop_assert_eq!(error.kind, ErrorKind::NotUndone);
        let count = error.entry.unwrap() as usize + 1;
        let done = Case { table: case.table[..count].to_vec(), ..case };
        prop_assert_eq!(Ok(guest.bytes), applied(&done));
    }

    #[test]
    fn a_dry_run_says_what_apply_says_up_to_the_first_field_out_of_order(case in cases()) {
        let (answer, bytes) = case.run(check);
        prop_assert_eq!(bytes, &case.world.bytes[..]);
        let applied = case.apply().0;
        let stops_at = applied.err().and_then(|error| error.entry);
        match first_unordered(&case.table, case.world.flags) {
            Some(entry) if stops_at.is_none_or(|stops_at| stops_at >= entry as u64) => {
                let error = answer.unwrap_err();
                prop_assert_eq!((error.kind, error.entry), (ErrorKind::FieldsNotAscending, Some(entry as u64)));
            }
            _ => prop_assert_eq!(answer, applied),
        }
    }
}

/// Applies one entry with value `value` to a field with this content. The error's kind and value, or
/// the new content.
fn one(r_type: u32, content: u64, value: u64) -> Result<u64, (ErrorKind, u64)> {
    let row = TYPES.into_iter().find(|row| row.0 == r_type).unwrap();
    let size = row.2 as usize / 8;
    let bytes = content.to_le_bytes()[..size].to_vec();
    let flags = RelocFlags::EXTRA_TYPES | RelocFlags::ADD_TO_FIELD;
    let case = Case {
        world: World { bytes: bytes.clone(), address: 0, values: vec![value], flags },
        table: vec![rela(0, 0, r_type, 0)],
    };
    let (result, now) = case.apply();
    let said = |error: Error| (error.kind, error.value);
    match result {
        Ok(()) => {
            let now = Case { world: World { bytes: now, ..case.world }, table: case.table };
            assert_eq!(now.run(clear), (Ok(()), bytes));
            Ok(u64::try_from(number(&now.world.bytes)).unwrap())
        }
        Err(error) => Err(said(error)),
    }
}

#[test]
fn the_sum_is_checked_on_both_sides_of_every_edge() {
    let minus = |value: u64| value.wrapping_neg();
    let over = |value: u64| Err((ErrorKind::Overflow, value));
    for (r_type, content, value, expected) in [
        // 64 and PC64 wrap.
        (1, u64::MAX, 2, Ok(1)),
        (24, 5, minus(6), Ok(u64::MAX)),
        // 32 is unsigned: a content with bit 31 is large.
        (10, 0x8000_0000, 0x7fff_ffff, Ok(0xffff_ffff)),
        (10, 0x8000_0000, 0x8000_0000, over(0x1_0000_0000)),
        (10, 1, 0xffff_fffe, Ok(0xffff_ffff)),
        (10, 1, 0xffff_ffff, over(0x1_0000_0000)),
        (10, 4, minus(4), Ok(0)),
        (10, 4, minus(5), over(u64::MAX)),
        // 32S, PC32 and PLT32 are signed: a content with bit 31 is negative.
        (11, 1, 0x7fff_fffe, Ok(0x7fff_ffff)),
        (11, 1, 0x7fff_ffff, over(0x8000_0000)),
        (11, 0xffff_fffc, 0x8000_0003, Ok(0x7fff_ffff)),
        (11, 0xffff_fffc, 0x8000_0004, over(0x8000_0000)),
        (11, 0x8000_0000, 0, Ok(0x8000_0000)),
        (11, 0x8000_0000, minus(1), over(minus(0x8000_0001))),
        (2, 0xffff_fffc, 0x8000_0003, Ok(0x7fff_ffff)),
        (4, 0xffff_fffc, 0x8000_0004, over(0x8000_0000)),
        (4, 0x8000_0000, minus(1), over(minus(0x8000_0001))),
        // 16 and 8 take both signs of the sum, and read the content as signed.
        (12, 0xfffc, 0x1_0003, Ok(0xffff)),
        (12, 0xfffc, 0x1_0004, over(0x1_0000)),
        (12, 0x8000, 0, Ok(0x8000)),
        (12, 0x8000, minus(1), over(minus(0x8001))),
        (13, 1, 0x7ffe, Ok(0x7fff)),
        (13, 1, 0x7fff, over(0x8000)),
        (14, 0xfc, 0x103, Ok(0xff)),
        (14, 0xfc, 0x104, over(0x100)),
        (15, 0x80, 0, Ok(0x80)),
        (15, 0x80, minus(1), over(minus(0x81))),
    ] {
        assert_eq!(one(r_type, content, value), expected, "type {r_type}, {content:#x} + {value:#x}");
    }
}

fn case(bytes: &[u8], values: &[u64], flags: RelocFlags, table: &[Rela]) -> Case {
    let world = World { bytes: bytes.to_vec(), address: 0, values: values.to_vec(), flags };
    Case { world, table: table.to_vec() }
}

#[test]
fn fields_that_overlap_are_added_one_after_the_other_and_undone_exactly() {
    let table = [rela(0, 0, 1, 0), rela(2, 0, 1, 0), rela(1, 0, 10, 1 << 32)];
    let case = case(&[0xff; 12], &[0x11_2233], RelocFlags::ADD_TO_FIELD, &table[..2]);
    let now = after(&case).unwrap();
    assert_eq!(now.run(clear), (Ok(()), vec![0xff; 12]));
    // The third entry does not fit: what the first two have done is undone.
    let case = Case { table: table.to_vec(), ..case };
    let (result, bytes) = case.apply();
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.entry, bytes), (ErrorKind::Overflow, Some(2), vec![0xff; 12]));
}

#[test]
fn clearing_refuses_what_cannot_have_been_applied() {
    // Whatever the field held before, the sum is above 32 bits.
    let case = case(&[7, 0, 0, 0], &[1 << 33], RelocFlags::ADD_TO_FIELD, &[rela(0, 0, 10, 0)]);
    let (result, bytes) = case.run(clear);
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.value), (ErrorKind::Overflow, (1 << 33) + 7));
    assert_eq!(bytes, [7, 0, 0, 0]);
}

#[test]
fn flags_that_exclude_each_other_are_refused() {
    let both = RelocFlags::ALLOW_NONZERO | RelocFlags::ADD_TO_FIELD;
    for table in [vec![], vec![rela(0, 0, 1, 0)], vec![rela(0, 9, 1, 0)]] {
        let case = case(&[1; 8], &[5], both, &table);
        let conflict = (ErrorKind::FlagsConflict, None, None, None, 0, u64::from(both.bits()), 0);
        for pass in [apply as crate::tables::Pass, check, clear] {
            let (result, bytes) = case.run(pass);
            assert_eq!((result.map_err(fault), bytes), (Err(conflict), vec![1; 8]));
            let mut guest = Guest::new(&case.world);
            assert_eq!(with_writer(&case, &mut guest, pass).map_err(fault), Err(conflict));
            assert_eq!(guest.calls, []);
        }
        let file = file(&table);
        let found = errors(RelaTable::new(&file).unwrap(), [5][..].into(), &mut View::new(&[1; 8], 0), both)
            .map(fault)
            .collect::<Vec<_>>();
        assert_eq!(found, vec![conflict; table.len()]);
    }
}
