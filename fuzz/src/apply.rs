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
use relakit::reloc::{Rules, SymtabValues, Values, apply, check, faults};
use relakit::{Error, ErrorKind, Target};

/// The table is applied in every way there is, and cleared.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::new(data) else { return };
    let expected = case.world.applied(&case.table);
    partial_entries_are_refused(&case);
    plain_memory(&case, &expected);
    every_fault(&case);
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

/// Applied to `bytes`, with the values one after the other or in a symbol table.
fn applied(case: &Case, bytes: &mut [u8], values: Values<'_>) -> Result<(), Error> {
    apply(case.entries(), values, &mut Target::new(bytes, case.world.address), case.world.rules)
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
    let dry = check(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.rules);
    assert_eq!(&bytes, before, "a dry run changes nothing");
    let result = applied(case, &mut bytes, Values::Dense(&case.world.values));
    assert_eq!(dry, result, "a dry run says what applying says");
    assert_eq!(Values::from(&case.world.values[..]).count(), case.world.values.len());
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");

    let mut bytes = before.clone();
    let symtab = SymtabValues::new(&case.symtab).expect("whole symbols");
    let cut = case.symtab.get(1..).filter(|cut| !cut.is_empty());
    assert!(cut.is_none_or(|cut| SymtabValues::new(cut).is_err()), "not whole symbols");
    assert_eq!(applied(case, &mut bytes, symtab.into()), result, "wherever the values are");
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before));
}

fn every_fault(case: &Case) {
    let mut bytes = case.world.bytes.clone();
    let mut target = Target::new(&mut bytes, case.world.address);
    let values = Values::Dense(&case.world.values);
    let found = faults(case.entries(), values, &mut target, case.world.rules).map(fault);
    assert!(found.eq(case.world.faults(&case.table)), "each entry by itself");
    assert_eq!(bytes, case.world.bytes, "looking changes nothing");
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
        let row = row(rela.r_type, case.world.rules).expect("applied");
        let p = case.world.address.wrapping_add(rela.offset);
        let wanted = value(row, case.world.values[rela.symbol as usize], rela.addend, p);
        assert_eq!(number(&applied[at..at + size]), wanted & ((1 << (8 * size)) - 1));
        assert!(fits(row, wanted, case.world.rules));
    }
    let changed = applied.iter().zip(&case.world.bytes).map(|(now, before)| now != before);
    assert!(changed.zip(named).all(|(changed, named)| named || !changed), "only what is named");
}

/// A writer that fails at one call, or from there on.
fn behind_a_writer(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    let before = &case.world.bytes;
    let alone = case.world.faults(&case.table).first().copied();
    let mut guest = if alone.is_some() { Guest::reading(&case.world) } else { Guest::new(&case.world) };
    let result = guest.run(case, apply);
    let first = alone.or(expected.as_ref().err().copied());
    assert_eq!(result.err().map(fault), first, "what is wrong with an entry by itself comes first");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(before), "as in plain memory");
    let mut quiet = Guest::new(&case.world);
    let mut writer = Quiet(&mut quiet);
    let mut target = Target::hooked(before.len() as u64, case.world.address, &mut writer);
    let quietly = apply(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.rules);
    assert_eq!((quietly, &quiet.bytes), (result, &guest.bytes), "nothing to sync");
    if guest.calls == 0 {
        return;
    }
    dry_run_behind_a_writer(case, alone);
    let fails = usize::from(case.fails) % guest.calls;
    // What a writer has overwritten it cannot be asked for again. And where fields overlap, only writing tells of some faults.
    let overwrites = case.world.rules.contains(Rules::ALLOW_NONZERO);
    let may_be_left = overwrites || expected.is_err() && !ascends(&case.table, case.world.rules);
    let once = Guest::failing(&case.world, fails, false);
    let kind = fails_as_told(case, once);
    assert!(kind != ErrorKind::NotUndone || may_be_left, "one failure is undone");
    assert!(expected.is_err() || matches!(kind, ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone));
    fails_as_told(case, Guest::failing(&case.world, fails, true));
}

/// It says what is wrong with an entry by itself, or from where on only writing would tell; it calls neither write nor sync.
fn dry_run_behind_a_writer(case: &Case, alone: Option<Fault>) {
    let mut guest = Guest::reading(&case.world);
    assert_eq!(Target::hooked(1, 2, &mut guest).bytes(), None);
    let result = guest.run(case, check);
    assert_eq!(guest.bytes, case.world.bytes);
    let overwrites = case.world.rules.contains(Rules::ALLOW_NONZERO);
    let unordered = first_unordered(&case.table, case.world.rules).filter(|_| !overwrites);
    let unordered = unordered
        .map(|index| (ErrorKind::Unordered, Some(index as u64), None, None, case.table[index].offset, 0, 0));
    assert_eq!(result.err().map(fault), alone.or(unordered));
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
