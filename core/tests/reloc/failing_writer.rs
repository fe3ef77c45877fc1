//! A writer fails at every call there is, once, twice, or from there on: memory is as before, or the fault says how it is.

use crate::config;
use crate::tables::{Case, Pass, flags, flags_zero, good, wild};
use crate::writer::{after, with_writer};
use proptest::prelude::*;
use relakit::reloc::{RelocFlags, apply, clear};
use relakit::{Error, ErrorKind};
use relakit_model::guest::{Call, Guest, hook_number};
use relakit_model::table::World;

/// The bytes of `start` with the first `count` entries applied.
fn written(start: &Case, count: usize) -> Vec<u8> {
    let World { bytes, .. } = World { ..start.world.clone() };
    if count == 0 { bytes } else { start.world.applied(&start.table[..count]).unwrap() }
}

/// One pass with failing calls, judged. `start` is the case before it is applied.
struct Run<'c> {
    start: &'c Case,
    case: &'c Case,
    pass: Pass,
}

impl Run<'_> {
    fn with(&self, fails: impl IntoIterator<Item = usize>) -> (Result<(), Error>, Guest) {
        let mut guest = Guest::new(&self.case.world);
        guest.fails.extend(fails);
        let result = with_writer(self.case, &mut guest, self.pass);
        (result, guest)
    }

    /// Fails call `first` and those of `more`, all later, that happen.
    fn judge(&self, first: usize, more: &[usize]) {
        let overwrites = self.case.world.flags.contains(RelocFlags::ALLOW_NONZERO);
        let (result, guest) = self.with(more.iter().copied().chain([first]));
        let error = result.unwrap_err();
        let happened = || more.iter().copied().filter(|call| *call < guest.calls.len());
        let undo_failed = happened().find(|call| matches!(guest.calls[*call], Call::Write { .. }));
        let wrote = guest.calls[..first].iter().any(|call| matches!(call, Call::Write { .. }));

        if let (Some(call), false) = (undo_failed, overwrites) {
            assert_eq!((error.kind, error.value), (ErrorKind::NotUndone, hook_number(call)), "{error}");
        } else if overwrites && wrote {
            assert_eq!((error.kind, error.value), (ErrorKind::NotUndone, hook_number(first)), "{error}");
        } else {
            let kind = if guest.calls[first] == Call::Sync { ErrorKind::Sync } else { ErrorKind::Writer };
            assert_eq!((error.kind, error.value), (kind, hook_number(first)), "{error}");
            assert_eq!(error.entry.is_some(), kind == ErrorKind::Writer);
            assert_eq!(guest.bytes, self.case.world.bytes, "as before, {error}");
        }
        if error.kind == ErrorKind::NotUndone {
            // "The entries from 0 to `entry` hold their values, those after it are as they were."
            let count = error.entry.map_or(0, |entry| entry as usize + 1);
            assert_eq!(guest.bytes, written(self.start, count), "{error}");
            if let Some(entry) = error.entry {
                let named = self.case.table[entry as usize];
                let says = (error.symbol, error.r_type, error.offset);
                assert_eq!(
                    says,
                    (Some(named.r_sym), Some(named.r_type), named.r_offset),
                    "one entry, {error}"
                );
            }
        }
        if let (ErrorKind::Writer, Some(entry)) = (error.kind, error.entry) {
            let named = self.case.table[entry as usize];
            let (Call::Read { offset, .. } | Call::Write { offset, .. }) = guest.calls[first] else {
                panic!("not a call of an entry")
            };
            assert_eq!((named.r_offset, error.offset), (offset, offset));
            assert_eq!((error.symbol, error.r_type), (Some(named.r_sym), Some(named.r_type)));
        }
        let mut writes =
            guest.calls.iter().enumerate().filter(|(_, call)| matches!(call, Call::Write { .. }));
        if writes.any(|(call, _)| !guest.fails.contains(&call)) {
            assert_eq!(guest.calls.last(), Some(&Call::Sync), "after a write that failed too, {error}");
        }
        // The way back is the way there in the opposite direction, without reading.
        let offset_of = |call: &Call| match call {
            Call::Write { offset, bytes } => Some((*offset, bytes.len())),
            _ => None,
        };
        assert!(guest.calls[first + 1..].iter().all(|call| !matches!(call, Call::Read { .. })));
        let back: Vec<_> = guest.calls[first + 1..].iter().filter_map(offset_of).collect();
        let there: Vec<_> = guest.calls[..first].iter().filter_map(offset_of).rev().collect();
        if overwrites {
            assert_eq!(back, []);
        } else {
            assert!(there.starts_with(&back) && (undo_failed.is_some() || there == back), "{back:?}");
        }
    }

    /// Every call fails once; then every two; then all from one on.
    fn every_failure(&self) {
        let (result, guest) = self.with([]);
        assert_eq!(result, Ok(()));
        let calls = guest.calls.len();
        for first in 0..calls {
            self.judge(first, &[]);
            let most = self.with([first]).1.calls.len();
            for second in first + 1..most {
                self.judge(first, &[second]);
            }
            let rest: Vec<_> = (first + 1..calls + most).collect();
            self.judge(first, &rest);
        }
    }
}

fn short(case: Case) -> Case {
    Case { table: case.table.into_iter().take(5).collect(), ..case }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..config() })]

    #[test]
    fn applying_is_undone_or_its_state_is_named(case in good(flags_zero())) {
        let case = short(case);
        Run { start: &case, case: &case, pass: apply }.every_failure();
    }

    #[test]
    fn overwriting_is_never_said_to_be_undone_when_it_is_not(case in good(flags())) {
        let mut case = short(case);
        case.world.flags |= RelocFlags::ALLOW_NONZERO;
        Run { start: &case, case: &case, pass: apply }.every_failure();
    }

    #[test]
    fn clearing_is_undone_or_its_state_is_named(case in good(flags_zero())) {
        let case = short(case);
        let now = after(&case);
        Run { start: &case, case: &now, pass: clear }.every_failure();
    }
}

proptest! {
    // Many: a third of them can be applied, and a third of those overlap.
    #![proptest_config(ProptestConfig { cases: 512, ..config() })]

    #[test]
    fn overlapping_fields_are_undone_too(case in wild(flags_zero())) {
        if case.apply().0.is_ok() {
            Run { start: &case, case: &case, pass: apply }.every_failure();
            Run { start: &case, case: &after(&case), pass: clear }.every_failure();
        }
    }
}
