//! The other forms of `apply`: values by callback, one relocation without a table, the small apply.

use super::case::Case;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{
    RelocFlags, ValueError, ValueSource, Values, apply, apply_small, clear, dry_run, relocate,
};
use relakit::{CallbackError, Error, ErrorKind, Target, View};
use relakit_model::table::{Fault, World, fault, field};
use std::cell::Cell;

/// Each form does what `apply` does with the same numbers.
pub fn run(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    by_callback(case, expected);
    skipped(case);
    skipped_and_rolled_back(case);
    a_call_fails(case);
    case.table.iter().for_each(|rela| alone(case, *rela));
    small(case);
}

/// The case's values. Bit N of `skips`: symbol N is skipped. The calls from `fails_from` on fail.
struct Source<'c> {
    values: &'c [u64],
    skips: u8,
    fails_from: usize,
    calls: Cell<usize>,
}

impl<'c> Source<'c> {
    const fn new(case: &'c Case, skips: u8, fails_from: usize) -> Self {
        Self { values: case.world.values.as_slice(), skips, fails_from, calls: Cell::new(0) }
    }

    fn values(&self) -> Values<'_> {
        Values::Source { count: self.values.len(), source: self }
    }
}

impl ValueSource for Source<'_> {
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError> {
        let call = self.calls.replace(self.calls.get() + 1);
        match call >= self.fails_from {
            true => Err(ValueError::Failed(CallbackError(-9))),
            false => Ok(Some(self.values[symbol as usize]).filter(|_| self.skips >> symbol & 1 == 0)),
        }
    }
}

/// The result and the bytes of a pass over plain memory.
fn passed(
    pass: impl FnOnce(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), Error>,
    file: &[u8],
    values: Values<'_>,
    world: &World,
) -> (Result<(), Error>, Vec<u8>) {
    let mut bytes = world.bytes.clone();
    let table = RelaTable::new(file).expect("whole entries");
    (pass(table, values, &mut Target::new(&mut bytes, world.address), world.flags), bytes)
}

fn by_callback(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    let source = Source::new(case, 0, usize::MAX);
    let (result, bytes) = passed(apply, &case.file, source.values(), &case.world);
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(&case.world.bytes), "all or nothing");
    let dense = Values::Dense(&case.world.values);
    assert_eq!(
        passed(clear, &case.file, source.values(), &case.world),
        passed(clear, &case.file, dense, &case.world)
    );
    let dry = |values| {
        dry_run(
            case.entries(),
            values,
            &mut View::new(&case.world.bytes, case.world.address),
            case.world.flags,
        )
    };
    assert_eq!(dry(source.values()), dry(dense));
}

/// The table without the entries that are skipped.
fn without(case: &Case, skips: u8, table: &[Rela]) -> Vec<(usize, Rela)> {
    let is_skipped =
        |rela: &Rela| (rela.r_sym as usize) < case.world.values.len() && skips >> rela.r_sym & 1 != 0;
    table.iter().copied().enumerate().filter(|(_, rela)| !is_skipped(rela)).collect()
}

fn skipped(case: &Case) {
    let skips = case.fails & 15;
    let source = Source::new(case, skips, usize::MAX);
    let rest = without(case, skips, &case.table);
    let file: Vec<_> = rest.iter().flat_map(|(_, rela)| rela.to_bytes()).collect();
    for pass in [apply, clear] {
        let (expected, bytes) = passed(pass, &file, Values::Dense(&case.world.values), &case.world);
        let place = |error: Error| match error.entry {
            Some(entry) => error.in_entry(rest[entry as usize].0 as u64),
            None => error,
        };
        let skipping = passed(pass, &case.file, source.values(), &case.world);
        assert_eq!(skipping, (expected.map_err(place), bytes), "as if they were not in the table");
    }
}

/// Everything but the fields that are written has content, and the last entry fails.
fn skipped_and_rolled_back(case: &Case) {
    let skips = case.fails & 15;
    let mut world = World { flags: case.world.flags - RelocFlags::ALLOW_NONZERO, ..case.world.clone() };
    let mut is_field = vec![false; world.bytes.len()];
    for (_, rela) in without(case, skips, &case.table) {
        let (at, size) = field(rela, world.flags);
        let end = at.saturating_add(size).min(is_field.len());
        is_field[at.min(end)..end].fill(true);
    }
    for (byte, is_field) in world.bytes.iter_mut().zip(is_field) {
        *byte |= if is_field { 0 } else { 0x5a };
    }
    let bad = Rela { r_offset: 0, r_sym: u32::MAX, r_type: 0, r_addend: 0 };
    let file = [case.file.as_slice(), &bad.to_bytes()].concat();
    let source = Source::new(case, skips, usize::MAX);
    let (result, bytes) = passed(apply, &file, source.values(), &world);
    assert!(result.is_err());
    assert_eq!(bytes, world.bytes);
}

/// All calls from one on fail: nothing is changed, or the state is named.
fn a_call_fails(case: &Case) {
    let skips = case.fails & 15;
    let good = Source::new(case, skips, usize::MAX);
    let (result, _) = passed(apply, &case.file, good.values(), &case.world);
    let Some(fails_from) = usize::from(case.fails >> 4).checked_rem(good.calls.get()) else { return };
    let source = Source::new(case, skips, fails_from);
    let (failed, bytes) = passed(apply, &case.file, source.values(), &case.world);
    let left = match failed {
        Ok(()) => return assert_eq!(result, Ok(()), "the calls that fail only order the checks"),
        Err(error) if error.kind == ErrorKind::NotUndone => error.entry.map_or(0, |entry| entry as usize + 1),
        Err(_) => 0,
    };
    let table: Vec<_> = without(case, skips, &case.table[..left]).into_iter().map(|(_, rela)| rela).collect();
    assert_eq!(Ok(bytes), case.world.applied(&table), "{failed:?}");
    let overwrites = case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
    assert!(left == 0 || skips != 0 || overwrites, "a rollback that needs no value");
}

/// A relocation of the table by itself, at the end of the bytes from its offset on.
fn alone(case: &Case, rela: Rela) {
    let World { bytes, address, values, flags } = &case.world;
    let Some(s) = values.get(rela.r_sym as usize) else { return };
    let offset = usize::try_from(rela.r_offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
    let mut field = bytes[offset..].to_vec();
    let p = address.wrapping_add(offset as u64);
    let world = World { bytes: field.clone(), address: p, values: vec![*s], flags: *flags };
    let expected = world.applied(&[Rela { r_offset: 0, r_sym: 0, ..rela }]);
    let result = relocate(rela.r_type, *s, rela.r_addend, p, &mut field, *flags);
    let numbers = |error: Error| (error.kind, error.r_type, error.value, error.limit);
    let in_table = |error: Fault| (error.0, error.3, error.5, error.6);
    assert_eq!(result.map_err(numbers).err(), expected.as_ref().err().copied().map(in_table));
    assert!(result.err().is_none_or(|error| (error.entry, error.symbol) == (None, None)));
    assert_eq!(&field, expected.as_ref().unwrap_or(&world.bytes));
}

/// The strict rules, whatever the flags are.
fn small(case: &Case) {
    let world = World { flags: RelocFlags::empty(), ..case.world.clone() };
    let expected = world.applied(&case.table);
    let mut bytes = world.bytes.clone();
    let result = apply_small(case.entries(), &world.values, &mut bytes, world.address);
    let named = |error: &Fault| (error.0, error.1.map(|entry| entry as usize));
    assert_eq!(result.err(), expected.as_ref().err().map(named));
    assert_eq!(&bytes, expected.as_ref().unwrap_or(&world.bytes), "all or nothing");
}
