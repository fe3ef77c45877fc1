//! Symbol values by callback: the same bytes as with an array, entries that are skipped, and a source
//! that fails at any of its calls.

use crate::config;
use crate::tables::{Case, Pass, check, file, flags, flags_zero, good, rela, wild};
use crate::writer::after;
use proptest::prelude::*;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, ValueCallback, ValueError, ValueSource, Values, apply, clear};
use relakit::{CallbackError, Error, ErrorKind, Target};
use relakit_model::guest::Guest;
use relakit_model::table::World;
use std::cell::{Cell, RefCell};
use std::ptr;

/// Values with some symbols that are skipped, and calls that fail.
struct Source<'c> {
    values: &'c [u64],
    /// Bit N: symbol N is skipped.
    skips: u32,
    /// The numbers of the calls that fail.
    fails: Vec<usize>,
    calls: RefCell<Vec<u32>>,
}

/// The number that a failing call returns.
const FAILS: CallbackError = CallbackError(-77);

impl<'c> Source<'c> {
    fn new(values: &'c [u64], skips: u32, fails: Vec<usize>) -> Self {
        Self { values, skips, fails, calls: RefCell::default() }
    }

    /// Runs a pass on plain memory, or on memory behind a writer.
    fn run(&self, case: &Case, pass: Pass, writer: bool) -> (Result<(), Error>, Vec<u8>) {
        let World { bytes, address, flags, .. } = &case.world;
        let (file, mut plain, mut guest) = (file(&case.table), bytes.clone(), Guest::new(&case.world));
        let mut target = match writer {
            true => Target::with_writer(bytes.len() as u64, *address, &mut guest),
            false => Target::new(&mut plain, *address),
        };
        let values = Values::Source { count: self.values.len(), source: self };
        let result = pass(RelaTable::new(&file).unwrap(), values, &mut target, *flags);
        (result, if writer { guest.bytes } else { plain })
    }
}

impl ValueSource for Source<'_> {
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError> {
        let mut calls = self.calls.borrow_mut();
        calls.push(symbol);
        if self.fails.contains(&(calls.len() - 1)) {
            return Err(ValueError::Failed(FAILS));
        }
        Ok(Some(self.values[symbol as usize]).filter(|_| self.skips >> symbol & 1 == 0))
    }
}

/// The case without the entries that are skipped, and the numbers of those that remain.
fn without(case: &Case, skips: u32) -> (Case, Vec<u64>) {
    let skips = |symbol| symbol < case.world.values.len() as u32 && skips >> symbol & 1 != 0;
    let entries = (0u64..).zip(case.table.iter().copied());
    let (numbers, table) = entries.filter(|(_, rela)| !skips(rela.r_sym)).unzip();
    (Case { world: World { ..case.world.clone() }, table }, numbers)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_source_gives_the_same_as_an_array(case in wild(flags()), which in 0usize..3, first: bool) {
        let case = if first && case.apply().0.is_ok() { after(&case) } else { case };
        let pass: Pass = [apply, check, clear][which];
        let source = Source::new(&case.world.values, 0, vec![]);
        prop_assert_eq!(source.run(&case, pass, false), case.run(pass));
        let mut guest = Guest::new(&case.world);
        let expected = crate::writer::with_writer(&case, &mut guest, pass);
        prop_assert_eq!(source.run(&case, pass, true), (expected, guest.bytes));
    }

    #[test]
    fn skipped_entries_are_as_if_they_were_not_in_the_table(
        case in wild(flags()), which in 0usize..3, skips in 0u32..64, first: bool, writer: bool,
    ) {
        let (mut rest, numbers) = without(&case, skips);
        let mut case = case;
        if first && rest.apply().0.is_ok() {
            rest = after(&rest);
            case.world = World { ..rest.world.clone() };
        }
        let pass: Pass = [apply, check, clear][which];
        let expected = Source::new(&case.world.values, 0, vec![]).run(&rest, pass, writer);
        let place = |error: Error| match error.entry {
            Some(entry) => error.in_entry(numbers[entry as usize]),
            None => error,
        };
        let skipping = Source::new(&case.world.values, skips, vec![]).run(&case, pass, writer);
        prop_assert_eq!(skipping, (expected.0.map_err(place), expected.1));
    }
}

/// The passes over one case, with a source that fails at some calls.
struct Failing<'c> {
    /// The case before it is applied.
    start: &'c Case,
    case: &'c Case,
    pass: Pass,
    skips: u32,
    writer: bool,
}

impl Failing<'_> {
    /// The memory after a pass that succeeds.
    fn expected(&self) -> Vec<u8> {
        let source = Source::new(&self.case.world.values, self.skips, vec![]);
        let (result, bytes) = source.run(self.case, self.pass, self.writer);
        assert_eq!(result, Ok(()));
        bytes
    }

    fn with(&self, fails: Vec<usize>) {
        let source = Source::new(&self.case.world.values, self.skips, fails);
        let (result, bytes) = source.run(self.case, self.pass, self.writer);
        let Err(error) = result else {
            // A call that only decides about the order of checks may fail without effect.
            assert_eq!(bytes, self.expected());
            return;
        };
        assert_eq!(error.value, FAILS.0 as u64, "{error}");
        if error.kind == ErrorKind::Resolver {
            assert_eq!(bytes, self.case.world.bytes, "as before, {error}");
            let failed = self.case.table[error.entry.unwrap() as usize];
            assert_eq!((error.symbol, error.r_type), (Some(failed.r_sym), Some(failed.r_type)));
        } else {
            assert_eq!(error.kind, ErrorKind::NotUndone);
            let count = error.entry.map_or(0, |entry| entry as usize + 1);
            let (applied, _) = without(
                &Case { world: self.start.world.clone(), table: self.start.table[..count].to_vec() },
                self.skips,
            );
            assert_eq!(bytes, applied.world.applied(&applied.table).unwrap(), "{error}");
            let overwrites = self.case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
            let needs_values = self.skips != 0
                || self.pass as usize == clear as Pass as usize
                || self.case.world.flags.contains(RelocFlags::ADD_TO_FIELD);
            assert!(overwrites || needs_values, "this rollback needs no value");
        }
    }

    /// Each call fails once, then each two calls, then all calls from one on.
    fn every_failure(&self) {
        let source = Source::new(&self.case.world.values, self.skips, vec![]);
        assert_eq!(source.run(self.case, self.pass, self.writer).0, Ok(()));
        let calls = source.calls.borrow().len();
        for first in 0..calls {
            self.with(vec![first]);
            for second in first + 1..calls + self.case.table.len() {
                self.with(vec![first, second]);
            }
            self.with((first..calls * 3).collect());
        }
    }
}

fn every_failure(case: Case, skips: u32) {
    let case = Case { table: case.table.into_iter().take(5).collect(), ..case };
    let (rest, _) = without(&case, skips);
    if rest.apply().0.is_err() {
        return;
    }
    let now = Case { world: after(&rest).world, table: case.table.clone() };
    for writer in [false, true] {
        Failing { start: &case, case: &case, pass: apply, skips, writer }.every_failure();
        // What was overwritten cannot be cleared to what it was.
        if !case.world.flags.contains(RelocFlags::ALLOW_NONZERO) {
            Failing { start: &case, case: &now, pass: clear, skips, writer }.every_failure();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..config() })]

    #[test]
    fn a_source_that_fails_changes_nothing(case in good(flags())) {
        every_failure(case, 0);
    }

    #[test]
    fn a_source_that_skips_and_fails_changes_nothing_or_the_state_is_named(
        case in good(flags()), skips in 1u32..64,
    ) {
        every_failure(case, skips);
    }

    #[test]
    fn a_source_that_fails_while_the_value_is_added_changes_nothing_or_the_state_is_named(
        case in good(flags_zero()), skips in 0u32..4,
    ) {
        let mut case = case;
        case.world.flags |= RelocFlags::ADD_TO_FIELD;
        every_failure(case, skips);
    }

    #[test]
    fn a_source_that_fails_while_fields_overlap_changes_nothing_or_the_state_is_named(
        case in wild(flags_zero()), skips in 0u32..4,
    ) {
        every_failure(case, skips);
    }
}

/// A source that returns another result at every call.
struct Fickle(Cell<u64>);

impl ValueSource for Fickle {
    fn value(&self, _: u32) -> Result<Option<u64>, ValueError> {
        let next = self.0.get().wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        self.0.set(next);
        match next >> 60 {
            0 | 1 => Err(ValueError::Failed(FAILS)),
            2..6 => Ok(None),
            _ => Ok(Some(next >> 33 & 0xff)),
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_source_that_contradicts_itself_changes_no_byte_outside_of_the_fields(
        case in good(flags()), seed: u64, which in 0usize..2, writer: bool,
    ) {
        let World { bytes, address, flags, .. } = &case.world;
        let (file, mut plain, mut guest) = (file(&case.table), bytes.clone(), Guest::new(&case.world));
        let target = &mut match writer {
            true => Target::with_writer(bytes.len() as u64, *address, &mut guest),
            false => Target::new(&mut plain, *address),
        };
        let source = Fickle(Cell::new(seed));
        let values = Values::Source { count: case.world.values.len(), source: &source };
        let pass: Pass = [apply, clear][which];
        let _ = pass(RelaTable::new(&file).unwrap(), values, target, *flags);
        let now = if writer { guest.bytes } else { plain };
        for (at, (now, before)) in now.iter().zip(bytes).enumerate() {
            let in_field = case.table.iter().any(|rela| {
                (rela.r_offset as usize..rela.r_offset as usize + crate::tables::size(*rela)).contains(&at)
            });
            prop_assert!(in_field || now == before, "byte {at}");
        }
    }
}

/// The value of symbol N is `ctx` + N; symbol 2 is skipped, 3 does not exist, 4 is an error.
fn of_context(ctx: *const (), symbol: u32) -> Result<Option<u64>, ValueError> {
    match symbol {
        2 => Ok(None),
        3 => Err(ValueError::NotFound),
        4 => Err(ValueError::Failed(CallbackError(i32::MIN))),
        _ => Ok(Some(ctx.addr() as u64 + u64::from(symbol))),
    }
}

#[test]
fn each_result_of_a_function_has_its_meaning() {
    let callback = ValueCallback { ctx: ptr::without_provenance(0x5000), value: of_context };
    let values = Values::Callback { count: 5, callback: &callback };
    assert_eq!(values.count(), 5);
    assert_eq!(
        [0, 1, 2, 3, 4, 5].map(|symbol| values.value(symbol)),
        [Some(0x5000), Some(0x5001), None, None, None, None]
    );
    for (symbol, result, byte) in [
        (0, Ok(()), 0),
        (1, Ok(()), 1),
        (2, Ok(()), 0),
        (3, Err((ErrorKind::UnknownSymbol, 0, 0)), 0),
        (4, Err((ErrorKind::Resolver, 0xffff_ffff_8000_0000, 0)), 0),
        (5, Err((ErrorKind::SymbolIndex, 0, 5)), 0),
        (u32::MAX, Err((ErrorKind::SymbolIndex, 0, 5)), 0),
    ] {
        let (file, mut bytes) = (file(&[rela(0, symbol, 1, 0)]), [0; 8]);
        let mut target = Target::new(&mut bytes, 0);
        let applied = apply(RelaTable::new(&file).unwrap(), values, &mut target, RelocFlags::empty());
        let numbers = applied.map_err(|error| {
            assert_eq!((error.entry, error.symbol, error.r_type), (Some(0), Some(symbol), Some(1)));
            (error.kind, error.value, error.limit)
        });
        assert_eq!((numbers, bytes[0]), (result, byte), "{symbol}");
        assert_eq!(bytes[1], if symbol < 2 { 0x50 } else { 0 });
    }
}

#[test]
fn a_skipped_entry_is_not_checked_at_all() {
    for bad in [rela(u64::MAX, 2, 1, 0), rela(0, 2, 3, 0), rela(0, 2, 11, i64::MAX), rela(8, 2, 1, 0)] {
        let callback = ValueCallback { ctx: ptr::null(), value: of_context };
        let (file, mut bytes) = (file(&[bad, bad]), [1; 8]);
        for pass in [apply as Pass, check, clear] {
            let mut target = Target::new(&mut bytes, 0);
            let values = Values::Callback { count: 3, callback: &callback };
            let result = pass(RelaTable::new(&file).unwrap(), values, &mut target, RelocFlags::empty());
            assert_eq!((result, bytes), (Ok(()), [1; 8]), "{bad:?}");
        }
    }
}

#[test]
fn a_rollback_without_skipped_entries_calls_no_source() {
    let (file, mut bytes) = (file(&[rela(0, 0, 1, 5), rela(8, 0, 1, 5), rela(0, 0, 3, 0)]), [0; 16]);
    let source = Source::new(&[7], 0, vec![]);
    let values = Values::Source { count: 1, source: &source };
    let mut target = Target::new(&mut bytes, 0);
    let result = apply(RelaTable::new(&file).unwrap(), values, &mut target, RelocFlags::empty());
    assert_eq!(result.unwrap_err().kind, ErrorKind::UnknownType);
    assert_eq!((bytes, source.calls.into_inner()), ([0; 16], vec![0; 3]));
}

/// A source that skips nothing and does not expect a call in a rollback of `apply`.
struct Whole<'c>(Source<'c>);

impl ValueSource for Whole<'_> {
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError> {
        self.0.value(symbol)
    }

    fn may_skip(&self) -> bool {
        false
    }
}

#[test]
fn a_source_that_skips_nothing_is_not_asked_where_the_next_field_begins() {
    let (file, mut bytes) = (file(&[rela(0, 0, 1, 5), rela(8, 0, 1, 5)]), [0; 16]);
    let table = RelaTable::new(&file).unwrap();
    let whole = Whole(Source::new(&[7], 0, vec![]));
    let values = Values::Source { count: 1, source: &whole };
    assert_eq!(check(table, values, &mut Target::new(&mut bytes, 0), RelocFlags::empty()), Ok(()));
    assert_eq!(whole.0.calls.into_inner(), [0, 0]);
}
