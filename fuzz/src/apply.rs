//! `apply`: one table against one target, held against a model that counts in 128 bits.

mod case;
mod clearing;
mod guest;
#[allow(dead_code, reason = "the tests of core use all of it")]
#[path = "../../core/tests/reloc/model.rs"]
mod model;

use case::Case;
use guest::{Guest, Quiet};
use model::{Fault, ascends, fault, first_unordered, fits, number, row, value};
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, SymtabValues, Values, apply, clear, dry_run, errors};
use relakit::{Error, ErrorKind, Target, View};

/// The table is applied in every way there is, and cleared.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::new(data) else { return };
    partial_entries_are_refused(&case);
    every_fault(&case);
    if let Some(wraps) = case.wraps() {
        return addresses_that_wrap_are_refused(&case, wraps);
    }
    let expected = case.world.applied(&case.table);
    plain_memory(&case, &expected);
    in_a_symbol_table(&case);
    if let Ok(applied) = &expected {
        decodes(&case, applied);
    }
    clearing::run(&case, expected.as_deref().ok());
    behind_a_writer(&case, &expected);
}

fn partial_entries_are_refused(case: &Case) {
    for cut in [1, 12, 23] {
        let short = case.file.get(..case.file.len().wrapping_sub(cut));
        if let Some(short) = short {
            assert!(RelaTable::new(short).is_err(), "{cut} bytes are missing");
        }
    }
}

/// Each pass refuses the section before it reads or writes anything.
fn addresses_that_wrap_are_refused(case: &Case, wraps: Fault) {
    for pass in [apply, clear] {
        let (mut bytes, values) = (case.world.bytes.clone(), Values::Dense(&case.world.values));
        let mut target = Target::new(&mut bytes, case.world.address);
        let plain = pass(case.entries(), values, &mut target, case.world.flags);
        assert_eq!((plain.map_err(fault), &bytes), (Err(wraps), &case.world.bytes));
        let mut guest = Guest::reading(&case.world);
        assert_eq!((guest.run(case, pass).map_err(fault), guest.calls), (Err(wraps), 0));
    }
    assert_eq!(checked(case, Values::Dense(&case.world.values)).map_err(fault), Err(wraps));
    let mut guest = Guest::reading(&case.world);
    assert_eq!((guest.dry_run(case).map_err(fault), guest.calls), (Err(wraps), 0));
}

/// A dry run on plain memory.
fn checked(case: &Case, values: Values<'_>) -> Result<(), Error> {
    let mut view = View::new(&case.world.bytes, case.world.address);
    dry_run(case.entries(), values, &mut view, case.world.flags)
}

/// The error of a dry run, which knows the memory as it is and stops at the first field that does not ascend. `judge` is
/// the error of one entry by itself. Behind a writer every entry is judged first.
fn dry(case: &Case, is_plain: bool, judge: impl Fn(usize) -> Option<Fault>) -> Result<(), Fault> {
    let overwrites = case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
    let unordered = first_unordered(&case.table, case.world.flags).filter(|_| !overwrites);
    let judged = unordered.filter(|_| is_plain).unwrap_or(case.table.len());
    match ((0..judged).find_map(judge), unordered) {
        (Some(fault), _) => Err(fault),
        (None, Some(index)) => {
            let offset = case.table[index].r_offset;
            Err((ErrorKind::FieldsNotAscending, Some(index as u64), None, None, offset, 0, 0))
        }
        (None, None) => Ok(()),
    }
}

/// Applied to `bytes`, with the values one after the other or in a symbol table.
fn applied(case: &Case, bytes: &mut [u8], values: Values<'_>) -> Result<(), Error> {
    apply(case.entries(), values, &mut Target::new(bytes, case.world.address), case.world.flags)
}

fn plain_memory(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    let before = &case.world.bytes;
    let mut bytes = before.clone();
    let mut target = Target::new(&mut bytes, case.world.address);
    assert_eq!(target.bytes(), Some(&before[..]));
    if case.table.is_empty() {
        let text = format!("Target({:#x} bytes at {:#x})", before.len(), case.world.address);
        assert_eq!(format!("{target:?}"), text);
    }
    let values = Values::Dense(&case.world.values);
    let dry_run = dry_run(case.entries(), values, &mut View::from(&mut target), case.world.flags);
    assert_eq!(&bytes, before, "a dry run changes nothing");
    assert_eq!(dry_run, checked(case, values), "of memory that can be written, and of memory that cannot");
    let judge = |index: usize| case.world.judge(index, case.table[index]).err();
    assert_eq!(dry_run.map_err(fault), dry(case, true, judge));
    let result = applied(case, &mut bytes, values);
    let is_exact = !dry_run.is_err_and(|error| error.kind == ErrorKind::FieldsNotAscending);
    assert!(!is_exact || dry_run == result, "a dry run says what applying says, or that it cannot");
    assert_eq!(Values::from(&case.world.values[..]).count(), case.world.values.len());
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");
}

/// The same values in a symbol table, where an unresolved symbol is refused.
fn in_a_symbol_table(case: &Case) {
    let before = &case.world.bytes;
    let symtab = SymtabValues::new(&case.symtab).expect("whole symbols");
    let cut = case.symtab.get(1..).filter(|cut| !cut.is_empty());
    assert!(cut.is_none_or(|cut| SymtabValues::new(cut).is_err()), "not whole symbols");
    let first = (0..case.table.len()).find_map(|index| Some((index, case.unresolved(index)?)));
    let up_to = first.map_or(case.table.len(), |(index, _)| index);
    let expected = case.world.applied(&case.table[..up_to]);
    let expected = expected.and_then(|bytes| first.map_or(Ok(bytes), |(_, fault)| Err(fault)));
    let mut bytes = before.clone();
    assert_eq!(applied(case, &mut bytes, symtab.into()).err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");
    let judge =
        |index: usize| case.unresolved(index).or_else(|| case.world.judge(index, case.table[index]).err());
    assert_eq!(checked(case, symtab.into()).map_err(fault), dry(case, true, judge));
    let mut view = View::new(before, case.world.address);
    let found = errors(case.entries(), symtab.into(), &mut view, case.world.flags).map(fault);
    assert!(found.eq((0..case.table.len()).filter_map(judge)), "each entry by itself");
}

fn every_fault(case: &Case) {
    let mut view = View::new(&case.world.bytes, case.world.address);
    let values = Values::Dense(&case.world.values);
    let found = errors(case.entries(), values, &mut view, case.world.flags).map(fault);
    assert!(found.eq(case.world.errors(&case.table)), "each entry by itself");
}

/// Only named fields differ from what was there, and a field that no later one overlaps reads back as its formula.
fn decodes(case: &Case, applied: &[u8]) {
    let mut named = vec![false; applied.len()];
    for (index, rela) in case.table.iter().enumerate() {
        let (at, size) = case.field(rela);
        named[at..at + size].fill(true);
        let overlaps = |later: &relakit::elf::Rela| {
            let (other, length) = case.field(later);
            size != 0 && other < at + size && at < other + length
        };
        if size == 0 || case.table[index + 1..].iter().any(overlaps) {
            continue;
        }
        let row = row(rela.r_type, case.world.flags).expect("applied");
        let p = case.world.address.wrapping_add(rela.r_offset);
        let wanted = value(row, case.world.values[rela.r_sym as usize], rela.r_addend, p);
        assert_eq!(number(&applied[at..at + size]), wanted & ((1 << (8 * size)) - 1));
        assert!(fits(row, wanted, case.world.flags));
    }
    let changed = applied.iter().zip(&case.world.bytes).map(|(now, before)| now != before);
    assert!(changed.zip(named).all(|(changed, named)| named || !changed), "only what is named");
}

/// A writer that fails at one call, or from there on.
fn behind_a_writer(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    let before = &case.world.bytes;
    let alone = case.world.errors(&case.table).first().copied();
    let mut guest = if alone.is_some() { Guest::reading(&case.world) } else { Guest::new(&case.world) };
    let result = guest.run(case, apply);
    let first = alone.or(expected.as_ref().err().copied());
    assert_eq!(result.err().map(fault), first, "what is wrong with an entry by itself comes first");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(before), "as in plain memory");
    let mut quiet = Guest::new(&case.world);
    let mut writer = Quiet(&mut quiet);
    let mut target = Target::with_writer(before.len() as u64, case.world.address, &mut writer);
    let quietly = apply(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.flags);
    assert_eq!((quietly, &quiet.bytes), (result, &guest.bytes), "nothing to sync");
    if guest.calls == 0 {
        return;
    }
    dry_run_behind_a_writer(case);
    let fails = usize::from(case.fails) % guest.calls;
    // What a writer has overwritten it cannot be asked for again. And where fields overlap, only writing tells of some errors.
    let overwrites = case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
    let may_be_left = overwrites || expected.is_err() && !ascends(&case.table, case.world.flags);
    let once = Guest::failing(&case.world, fails, false);
    let kind = fails_as_told(case, once);
    assert!(kind != ErrorKind::NotUndone || may_be_left, "one failure is undone");
    assert!(expected.is_err() || matches!(kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone));
    fails_as_told(case, Guest::failing(&case.world, fails, true));
}

/// It says what is wrong with an entry by itself, or from where on only writing would tell; it calls neither write nor sync.
fn dry_run_behind_a_writer(case: &Case) {
    let mut guest = Guest::reading(&case.world);
    assert_eq!(Target::with_writer(1, 2, &mut guest).bytes(), None);
    let result = guest.dry_run(case);
    assert_eq!(guest.bytes, case.world.bytes);
    let judge = |index: usize| case.world.judge(index, case.table[index]).err();
    assert_eq!(result.map_err(fault), dry(case, false, judge));
}

/// The pass fails and leaves everything as it was; or says up to which entry it does not.
fn fails_as_told(case: &Case, mut guest: Guest) -> ErrorKind {
    let error = guest.run(case, apply).expect_err("a call fails");
    let left = match error.kind {
        ErrorKind::NotUndone => error.entry.map_or(0, |entry| entry as usize + 1),
        _ => 0,
    };
    assert_eq!(Ok(&guest.bytes), case.world.applied(&case.table[..left]).as_ref(), "{error}");
    error.kind
}
