//! Clearing: fields that hold what was applied become zero, all of them or none, in plain memory
//! and behind a writer.

use super::case::Case;
use super::guest::run as pass_on;
use relakit::reloc::{RelocFlags, Values, clear};
use relakit::{ErrorKind, Target};
use relakit_model::guest::Guest;
use relakit_model::table::{Fault, World, ascends, fault};

/// Clears memory as it was, which may happen to hold what it should, and memory to which the table
/// was applied.
pub fn run(case: &Case, applied: Option<&[u8]>) {
    in_every_way(case, &case.world);
    let Some(applied) = applied else { return };
    let world = World { bytes: applied.to_vec(), ..case.world.clone() };
    in_every_way(case, &world);
    if !world.flags.contains(RelocFlags::ALLOW_NONZERO) {
        assert_eq!(
            world.cleared(&case.table, 0).as_ref(),
            Ok(&case.world.bytes),
            "clearing takes applying back"
        );
    }
}

fn in_every_way(case: &Case, world: &World) {
    let expected = world.cleared(&case.table, 0);
    let mut bytes = world.bytes.clone();
    let mut target = Target::new(&mut bytes, world.address);
    let result = clear(case.entries(), Values::Dense(&world.values), &mut target, world.flags);
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(&world.bytes), "all or nothing");

    let mut guest = Guest::new(world);
    let found = pass_on(&mut guest, case, clear).err().map(fault);
    // Fields that do not overlap are looked at before the first of them is written.
    assert!(expected.is_ok() || !ascends(&case.table, world.flags) || guest.is_only_read());
    assert_eq!(found.is_some(), expected.is_err());
    assert!(is_a_reason(case, world, found, &expected), "{found:?}");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(&world.bytes), "as in plain memory");
    if let Some(fails) = usize::from(case.fails).checked_rem(guest.calls.len()) {
        a_call_fails(case, world, &expected, Guest { fails: [fails].into(), ..Guest::new(world) });
        a_call_fails(case, world, &expected, Guest { fails_from: fails, ..Guest::new(world) });
    }
}

/// Behind a writer another entry may be looked at first.
fn is_a_reason(case: &Case, world: &World, found: Option<Fault>, expected: &Result<Vec<u8>, Fault>) -> bool {
    let first = || (0..case.table.len()).find_map(|index| world.holds(index, case.table[index]).err());
    found == expected.as_ref().err().copied() || found == first()
}

/// Everything is as it was; or the entries up to the one named hold their values, and those after
/// it are zero.
fn a_call_fails(case: &Case, world: &World, expected: &Result<Vec<u8>, Fault>, mut guest: Guest) {
    let error = pass_on(&mut guest, case, clear).expect_err("a call fails");
    let left = match error.kind {
        ErrorKind::NotUndone => error.entry.map_or(0, |entry| entry as usize + 1),
        _ => case.table.len(),
    };
    assert_eq!(Ok(&guest.bytes), world.cleared(&case.table, left).as_ref(), "{error}");
    // Of fields that overlap some are cleared before the fault is seen; then the call may be one that
    // sets them again.
    let may_be_left =
        guest.fails_from != usize::MAX || expected.is_err() && !ascends(&case.table, world.flags);
    assert!(error.kind != ErrorKind::NotUndone || may_be_left, "one failure is undone");
    if !matches!(error.kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone) {
        assert!(expected.is_err() && is_a_reason(case, world, Some(fault(error)), expected), "{error}");
    }
}
