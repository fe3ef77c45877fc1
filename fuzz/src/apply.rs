//! `apply`: one table against one target, held against a model that counts in 128 bits.

mod case;
mod clearing;
mod forms;
mod got;
mod guest;

use case::Case;
use guest::{Quiet, dry_run, run as pass_on};
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, SymtabValues, Values, apply, clear, errors};
use relakit::{Error, ErrorKind, Target, View};
use relakit_model::guest::Guest;
use relakit_model::table::{Fault, ascends, dry, fault, field, fits, number, row, unresolved, value};

/// The table is applied in every way there is, and cleared.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::new(data) else { return };
    partial_entries_are_refused(&case);
    every_fault(&case);
    if let Some(wraps) = case.world.wraps() {
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
    forms::run(&case, &expected);
    got::run(&case);
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
        let mut guest = Guest::new(&case.world);
        assert_eq!((pass_on(&mut guest, case, pass).map_err(fault), guest.calls.len()), (Err(wraps), 0));
    }
    assert_eq!(checked(case, Values::Dense(&case.world.values)).map_err(fault), Err(wraps));
    let mut guest = Guest::new(&case.world);
    assert_eq!((pass_on(&mut guest, case, dry_run).map_err(fault), guest.calls.len()), (Err(wraps), 0));
}

/// A dry run on plain memory.
fn checked(case: &Case, values: Values<'_>) -> Result<(), Error> {
    let mut view = View::new(&case.world.bytes, case.world.address);
    reloc::dry_run(case.entries(), values, &mut view, case.world.flags)
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
    let dry_run = reloc::dry_run(case.entries(), values, &mut View::from(&mut target), case.world.flags);
    assert_eq!(&bytes, before, "a dry run changes nothing");
    assert_eq!(dry_run, checked(case, values), "of memory that can be written, and of memory that cannot");
    let judge = |index: usize| case.world.judge(index, case.table[index]).err();
    assert_eq!(dry_run.map_err(fault), dry(&case.table, case.world.flags, true, judge));
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
    let unresolved_at = |index| unresolved(index, case.table[index], &case.symtab, case.world.flags);
    let cut = case.symtab.get(1..).filter(|cut| !cut.is_empty());
    assert!(cut.is_none_or(|cut| SymtabValues::new(cut).is_err()), "not whole symbols");
    let first = (0..case.table.len()).find_map(|index| Some((index, unresolved_at(index)?)));
    let up_to = first.map_or(case.table.len(), |(index, _)| index);
    let expected = case.world.applied(&case.table[..up_to]);
    let expected = expected.and_then(|bytes| first.map_or(Ok(bytes), |(_, fault)| Err(fault)));
    let mut bytes = before.clone();
    assert_eq!(applied(case, &mut bytes, symtab.into()).err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");
    let judge =
        |index: usize| unresolved_at(index).or_else(|| case.world.judge(index, case.table[index]).err());
    assert_eq!(checked(case, symtab.into()).map_err(fault), dry(&case.table, case.world.flags, true, judge));
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

/// Only named fields differ from what was there, and a field that no later one overlaps reads back
/// as its formula.
fn decodes(case: &Case, applied: &[u8]) {
    let mut named = vec![false; applied.len()];
    for (index, rela) in case.table.iter().enumerate() {
        let (at, size) = field(*rela, case.world.flags);
        named[at..at + size].fill(true);
        let overlaps = |later: &relakit::elf::Rela| {
            let (other, length) = field(*later, case.world.flags);
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
    let mut guest = Guest::new(&case.world);
    let result = pass_on(&mut guest, case, apply);
    assert!(alone.is_none() || guest.is_only_read());
    let first = alone.or(expected.as_ref().err().copied());
    assert_eq!(result.err().map(fault), first, "what is wrong with an entry by itself comes first");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(before), "as in plain memory");
    let mut quiet = Guest::new(&case.world);
    let mut writer = Quiet(&mut quiet);
    let mut target = Target::with_writer(before.len() as u64, case.world.address, &mut writer);
    let quietly = apply(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.flags);
    assert_eq!((quietly, &quiet.bytes), (result, &guest.bytes), "nothing to sync");
    let Some(fails) = usize::from(case.fails).checked_rem(guest.calls.len()) else { return };
    dry_run_behind_a_writer(case);
    // What a writer has overwritten it cannot be asked for again. And where fields overlap, only
    // writing tells of some errors.
    let overwrites = case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
    let may_be_left = overwrites || expected.is_err() && !ascends(&case.table, case.world.flags);
    let kind = fails_as_told(case, Guest { fails: [fails].into(), ..Guest::new(&case.world) });
    assert!(kind != ErrorKind::NotUndone || may_be_left, "one failure is undone");
    assert!(expected.is_err() || matches!(kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone));
    fails_as_told(case, Guest { fails_from: fails, ..Guest::new(&case.world) });
}

/// It says what is wrong with an entry by itself, or from where on only writing would tell; it
/// calls neither write nor sync.
fn dry_run_behind_a_writer(case: &Case) {
    let mut guest = Guest::new(&case.world);
    assert_eq!(Target::with_writer(1, 2, &mut guest).bytes(), None);
    let result = pass_on(&mut guest, case, dry_run);
    assert!(guest.is_only_read());
    let judge = |index: usize| case.world.judge(index, case.table[index]).err();
    assert_eq!(result.map_err(fault), dry(&case.table, case.world.flags, false, judge));
}

/// The pass fails and leaves everything as it was; or says up to which entry it does not.
fn fails_as_told(case: &Case, mut guest: Guest) -> ErrorKind {
    let error = pass_on(&mut guest, case, apply).expect_err("a call fails");
    let left = match error.kind {
        ErrorKind::NotUndone => error.entry.map_or(0, |entry| entry as usize + 1),
        _ => 0,
    };
    assert_eq!(Ok(&guest.bytes), case.world.applied(&case.table[..left]).as_ref(), "{error}");
    error.kind
}
