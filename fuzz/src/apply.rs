//! `apply`: one table against one target, held against a model that counts in 128 bits.

mod case;
mod guest;
#[allow(dead_code, reason = "the tests of core use all of it")]
#[path = "../../core/tests/reloc/model.rs"]
mod model;

use case::Case;
use guest::Guest;
use model::{Fault, ascends, fault, fits, number, row, value};
use relakit::elf::RelaTable;
use relakit::reloc::{Rules, SymtabValues, Values, apply, check, clear, faults};
use relakit::{Error, ErrorKind, Target};

/// The table is applied in every way there is, and cleared.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::new(data) else { return };
    let expected = case.world.applied(&case.table);
    partial_entries_are_refused(&case);
    plain_memory(&case, &expected);
    every_fault(&case);
    clearing_anything(&case);
    if let Ok(applied) = &expected {
        decodes(&case, applied);
        clearing_what_was_applied(&case, applied);
    }
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
    let dry = check(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.rules);
    assert_eq!(&bytes, before, "a dry run changes nothing");
    let result = applied(case, &mut bytes, Values::Dense(&case.world.values));
    assert_eq!(dry, result, "a dry run says what applying says");
    assert_eq!(result.err().map(fault), expected.as_ref().err().copied());
    assert_eq!(&bytes, expected.as_ref().unwrap_or(before), "all or nothing");

    let mut bytes = before.clone();
    let symtab = SymtabValues::new(&case.symtab).expect("whole symbols");
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
    let mut named = [false; case::MAX_BYTES];
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

fn clear_in(case: &Case, bytes: &mut [u8]) -> Result<(), Error> {
    let mut target = Target::new(bytes, case.world.address);
    clear(case.entries(), Values::Dense(&case.world.values), &mut target, case.world.rules)
}

fn clearing_what_was_applied(case: &Case, applied: &[u8]) {
    let mut bytes = applied.to_vec();
    let result = clear_in(case, &mut bytes);
    if !case.world.rules.contains(Rules::ALLOW_NONZERO) {
        assert_eq!(result, Ok(()));
        assert_eq!(bytes, case.world.bytes, "clearing takes applying back");
    }
}

/// Whatever there is: cleared are fields that hold what was applied, and all of them or none.
fn clearing_anything(case: &Case) {
    let mut bytes = case.world.bytes.clone();
    let result = clear_in(case, &mut bytes);
    let model = case.cleared();
    assert_eq!(result.is_ok(), model.is_some(), "{result:?}");
    assert_eq!(bytes, model.unwrap_or_else(|| case.world.bytes.clone()));
}

/// A writer that fails at one call, or from there on.
fn behind_a_writer(case: &Case, expected: &Result<Vec<u8>, Fault>) {
    let before = &case.world.bytes;
    let mut guest = Guest::new(&case.world);
    let result = guest.run(case, apply);
    assert_eq!(result.is_ok(), expected.is_ok(), "{result:?}");
    assert_eq!(&guest.bytes, expected.as_ref().unwrap_or(before), "as in plain memory");
    if guest.calls == 0 {
        return;
    }
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
