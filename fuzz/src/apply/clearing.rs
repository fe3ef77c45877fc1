//! Clearing: fields that hold what was applied become zero, all of them or none, in plain memory and behind a writer.

use super::case::Case;
use super::guest::Guest;
use super::model::{Fault, World, ascends, fault, number};
use relakit::reloc::{RelocFlags, Values, clear};
use relakit::{ErrorKind, Target};

/// Clears memory as it was, which may happen to hold what it should, and memory to which the table was applied.
pub fn run(case: &Case, applied: Option<&[u8]>) {
    in_every_way(case, &case.world);
    let Some(applied) = applied else { return };
    let world = World { bytes: applied.to_vec(), ..case.world.clone() };
    in_every_way(case, &world);
    if !world.flags.contains(RelocFlags::ALLOW_NONZERO) {
        assert_eq!(cleared(case, &world, 0).as_ref(), Ok(&case.world.bytes), "clearing takes applying back");
    }
}

fn in_every_way(case: &Case, world: &World) {
    let expected = cleared(case, world, 0);
    let mut bytes = world.bytes.clone();
    let mut target = Target::new(&mut bytes, world.address);
    let result = clear(case.entries(), Values::Dense(&world.values), &mut target, world.flags);
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(&world.bytes), "all or nothing");

    // Fields that do not overlap are looked at before the first of them is written.
    let only_read = expected.is_err() && ascends(&case.table, world.flags);
    let mut guest = if only_read { Guest::reading(world) } else { Guest::new(world) };
    let found = guest.run(case, clear).err().map(fault);
    assert_eq!(found.is_some(), expected.is_err());
    assert!(is_a_reason(case, world, found, &expected), "{found:?}");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(&world.bytes), "as in plain memory");
    if guest.calls != 0 {
        let fails = usize::from(case.fails) % guest.calls;
        a_call_fails(case, world, &expected, Guest::failing(world, fails, false), false);
        a_call_fails(case, world, &expected, Guest::failing(world, fails, true), true);
    }
}

/// Behind a writer another entry may be looked at first.
fn is_a_reason(case: &Case, world: &World, found: Option<Fault>, expected: &Result<Vec<u8>, Fault>) -> bool {
    let judged = judging(world);
    let first = || (0..case.table.len()).find_map(|index| holds(case, &judged, index).err());
    found == expected.as_ref().err().copied() || found == first()
}

/// Everything is as it was; or the entries up to the one named hold their values, and those after it are zero.
fn a_call_fails(
    case: &Case,
    world: &World,
    expected: &Result<Vec<u8>, Fault>,
    mut guest: Guest,
    for_good: bool,
) {
    let error = guest.run(case, clear).expect_err("a call fails");
    let left = match error.kind {
        ErrorKind::NotUndone => error.entry.map_or(0, |entry| entry as usize + 1),
        _ => case.table.len(),
    };
    assert_eq!(Ok(&guest.bytes), cleared(case, world, left).as_ref(), "{error}");
    // Of fields that overlap some are cleared before the fault is seen; then the call may be one that sets them again.
    let may_be_left = for_good || expected.is_err() && !ascends(&case.table, world.flags);
    assert!(error.kind != ErrorKind::NotUndone || may_be_left, "one failure is undone");
    if !matches!(error.kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone) {
        assert!(expected.is_err() && is_a_reason(case, world, Some(fault(error)), expected), "{error}");
    }
}

/// The world in which an entry is judged without a look at what its field holds.
fn judging(world: &World) -> World {
    World { flags: world.flags | RelocFlags::ALLOW_NONZERO, ..world.clone() }
}

/// Where the field of an entry is that holds its value; or why it cannot be cleared.
fn holds(case: &Case, judged: &World, index: usize) -> Result<(usize, usize), Fault> {
    let rela = case.table[index];
    let (at, size) = case.field(&rela);
    let judgement = judged.judge(index, rela);
    let value = match &judgement {
        Ok(None) => return Ok((0, 0)),
        Ok(Some((_, field))) => number(field),
        // The field is looked at before the range, if it is inside.
        Err((ErrorKind::Overflow, .., value, _))
            if judged.flags.contains(RelocFlags::REPORT_NONZERO_FIRST) =>
        {
            i128::from(*value) & ((1 << (8 * size)) - 1)
        }
        Err(fault) => return Err(*fault),
    };
    let existing = number(&judged.bytes[at..at + size]);
    if value != existing {
        let [value, existing] = [value, existing].map(|number| number as u64);
        let kind = ErrorKind::TargetMismatch;
        return Err((
            kind,
            Some(index as u64),
            Some(rela.r_sym),
            Some(rela.r_type),
            rela.r_offset,
            value,
            existing,
        ));
    }
    judgement.map(|_| (at, size))
}

/// What memory holds when the entries from the last to entry `left` are cleared, one after the other; or the first fault.
fn cleared(case: &Case, world: &World, left: usize) -> Result<Vec<u8>, Fault> {
    let mut judged = judging(world);
    for index in (left..case.table.len()).rev() {
        let (at, size) = holds(case, &judged, index)?;
        judged.bytes[at..at + size].fill(0);
    }
    Ok(judged.bytes)
}
