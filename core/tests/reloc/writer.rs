//! A writer is told to do what plain memory has done to it, in the order that `Writer` documents.

use crate::config;
use crate::tables::{Case, Pass, file, flags, flags_zero, good, size, wild};
use proptest::prelude::*;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{RelocFlags, Values, apply, clear};
use relakit::{CallbackError, Error, ErrorKind, Target, Writer};
use relakit_model::guest::{Call, Guest};
use relakit_model::table::{World, ascends, fault};

/// Runs a pass on the guest's memory.
pub fn with_writer(case: &Case, guest: &mut Guest, pass: Pass) -> Result<(), Error> {
    let World { bytes, address, values, flags } = &case.world;
    let file = file(&case.table);
    let table = RelaTable::new(&file).unwrap();
    pass(table, values[..].into(), &mut Target::with_writer(bytes.len() as u64, *address, guest), *flags)
}

/// The case with its table applied.
pub fn after(case: &Case) -> Case {
    let (result, bytes) = case.apply();
    assert_eq!(result, Ok(()));
    Case { world: World { bytes, ..case.world.clone() }, table: case.table.clone() }
}

/// The entries that have a field.
pub fn fields(case: &Case) -> impl DoubleEndedIterator<Item = &Rela> {
    case.table.iter().filter(|entry| size(**entry) != 0)
}

/// Reads come before the first write, one for each field in the table's order; writes are `expected`; then one sync.
fn check_calls(case: &Case, calls: &[Call], expected: &[Call]) {
    let (last, calls) = calls.split_last().unwrap();
    assert_eq!(*last, Call::Sync);
    let first_write = calls.iter().position(|call| matches!(call, Call::Write { .. })).unwrap_or(calls.len());
    let proven: Vec<_> =
        fields(case).map(|entry| Call::Read { offset: entry.r_offset, size: size(*entry) }).collect();
    assert!(calls[..first_write].starts_with(&proven), "every field is read before the first write");
    let writes: Vec<_> = calls.iter().filter(|call| !matches!(call, Call::Read { .. })).collect();
    assert_eq!(writes, expected.iter().collect::<Vec<_>>(), "one write a field, no other sync");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_good_table_is_read_then_written_once_a_field_then_synced_once(case in good(flags())) {
        let mut guest = Guest::new(&case.world);
        prop_assert_eq!(with_writer(&case, &mut guest, apply), Ok(()));
        let now = after(&case).world.bytes;
        prop_assert_eq!(&guest.bytes, &now);
        let writes: Vec<_> = fields(&case).map(|entry| {
            let at = entry.r_offset as usize;
            Call::Write { offset: entry.r_offset, bytes: now[at..at + size(*entry)].to_vec() }
        }).collect();
        check_calls(&case, &guest.calls, &writes);
    }

    #[test]
    fn clearing_reads_then_zeroes_once_a_field_then_syncs_once(case in good(flags_zero())) {
        let now = after(&case);
        let mut guest = Guest::new(&now.world);
        prop_assert_eq!(with_writer(&now, &mut guest, clear), Ok(()));
        prop_assert_eq!(&guest.bytes, &case.world.bytes);
        let writes: Vec<_> = fields(&case).rev().map(|entry| {
            Call::Write { offset: entry.r_offset, bytes: vec![0; size(*entry)] }
        }).collect();
        check_calls(&now, &guest.calls, &writes);
    }

    #[test]
    fn applying_through_a_writer_does_what_it_does_to_plain_memory(case in wild(flags())) {
        let mut guest = Guest::new(&case.world);
        let result = with_writer(&case, &mut guest, apply);
        let (plain, bytes) = case.apply();
        prop_assert_eq!(&guest.bytes, &bytes);
        prop_assert_eq!(result.is_ok(), plain.is_ok());
        if ascends(&case.table, case.world.flags) || case.world.flags.contains(RelocFlags::ALLOW_NONZERO) {
            prop_assert_eq!(result, plain);
            let synced = guest.calls.iter().filter(|call| !matches!(call, Call::Read { .. })).count();
            prop_assert!(result.is_ok() || synced == 0, "a table that is refused is not written, and not synced");
        } else if let (Err(error), Some(first)) = (result, case.world.errors(&case.table).first()) {
            prop_assert_eq!(fault(error), *first, "what is wrong with an entry by itself comes first");
        } else {
            prop_assert_eq!(result, plain);
        }
    }

    #[test]
    fn clearing_through_a_writer_does_what_it_does_to_plain_memory(
        case in wild(flags()), first: bool, spoilt in any::<prop::sample::Index>(), flip: u8,
    ) {
        let mut case = if first && case.apply().0.is_ok() { after(&case) } else { case };
        if !case.world.bytes.is_empty() {
            let at = spoilt.index(case.world.bytes.len());
            case.world.bytes[at] ^= if flip < 64 { flip } else { 0 };
        }
        let mut guest = Guest::new(&case.world);
        let result = with_writer(&case, &mut guest, clear);
        let (plain, bytes) = case.run(clear);
        prop_assert_eq!(&guest.bytes, &bytes);
        prop_assert_eq!(result.is_ok(), plain.is_ok());
        let changed = guest.calls.iter().any(|call| matches!(call, Call::Write { .. }));
        if changed {
            prop_assert_eq!(guest.calls.last(), Some(&Call::Sync), "what was written is synced, undone or not");
        } else if ascends(&case.table, case.world.flags) {
            prop_assert!(result.is_ok() || !guest.calls.contains(&Call::Sync), "nothing to sync");
        }
    }

    #[test]
    fn a_pass_that_undoes_an_overlap_through_a_writer_syncs(case in wild(flags_zero())) {
        let mut guest = Guest::new(&case.world);
        let result = with_writer(&case, &mut guest, apply);
        let wrote = guest.calls.iter().any(|call| matches!(call, Call::Write { .. }));
        if wrote || result.is_ok() {
            prop_assert_eq!(guest.calls.last(), Some(&Call::Sync));
            prop_assert_eq!(guest.calls.iter().filter(|call| **call == Call::Sync).count(), 1);
        }
    }
}

#[test]
fn a_table_without_fields_reads_and_writes_nothing_and_syncs_once() {
    for table in [vec![], vec![crate::tables::rela(99, 0, 0, 0)]] {
        let world = World { bytes: vec![1; 4], address: 0, values: vec![0], flags: RelocFlags::empty() };
        let case = Case { world, table };
        for pass in [apply as Pass, clear] {
            let mut guest = Guest::new(&case.world);
            assert_eq!(with_writer(&case, &mut guest, pass), Ok(()));
            assert_eq!(guest.calls, [Call::Sync]);
        }
    }
}

#[test]
fn a_field_outside_is_not_asked_for() {
    for offset in [13, 16, u64::MAX - 3, u64::MAX] {
        let world = World { bytes: vec![0; 16], address: 0, values: vec![0], flags: RelocFlags::empty() };
        let case = Case { world, table: vec![crate::tables::rela(offset, 0, 11, 0)] };
        let mut guest = Guest::new(&case.world);
        let error = with_writer(&case, &mut guest, apply).unwrap_err();
        assert_eq!((error.kind, error.value, error.limit), (ErrorKind::OffsetOutside, 4, 16));
        assert_eq!(guest.calls, []);
    }
}

/// Counts the calls of `sync`, and fails them all.
struct NeverVisible {
    bytes: [u8; 8],
    syncs: u32,
}

impl Writer for NeverVisible {
    fn read(&mut self, _: u64, _: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        bytes.copy_from_slice(&self.bytes[..bytes.len()]);
        Ok(())
    }

    fn write(&mut self, _: u64, _: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.syncs += 1;
        Err(CallbackError(1))
    }
}

#[test]
fn what_was_undone_is_made_visible_and_what_cannot_be_undone_is_not_tried_again() {
    let rela = Rela { r_offset: 0, r_sym: 0, r_type: 1, r_addend: 5 }.to_bytes();
    let table = RelaTable::new(&rela).unwrap();
    for (flags, kind, bytes, syncs) in [
        (RelocFlags::empty(), ErrorKind::Sync, 0, 2),
        (RelocFlags::ALLOW_NONZERO, ErrorKind::NotUndone, 5, 1),
    ] {
        let mut writer = NeverVisible { bytes: [0; 8], syncs: 0 };
        let mut target = Target::with_writer(8, 0x1000, &mut writer);
        let error = apply(table, Values::Dense(&[0]), &mut target, flags).unwrap_err();
        assert_eq!((error.kind, writer.bytes[0], writer.syncs), (kind, bytes, syncs));
    }
}
