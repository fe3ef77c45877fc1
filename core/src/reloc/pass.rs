//! The passes over one table that write, all or nothing, and their rollback.

use super::op::{Op, Phase};
use super::{Howto, RelocFlags, Target, Values, howto};
use crate::abi::RELA_SIZE;
use crate::arch;
use crate::elf::{Rela, RelaTable};
use crate::error::{Error, ErrorKind};
use crate::report::{Failed, Report, capture};

/// Applies every relocation of `table` to `target`, or changes nothing.
///
/// `values` has the symbol values by symbol index. Behind a [`Writer`](super::Writer), `sync` is
/// called once at the end.
///
/// # Errors
/// - [`FlagsConflict`](ErrorKind::FlagsConflict): `rules` has flags that exclude each other.
/// - [`AddressWraps`](ErrorKind::AddressWraps): the target wraps past 2^64.
/// - The error of the first entry that cannot be applied, with its numbers: `SymbolIndex`,
///   `UnknownType`, `SymbolUnresolved`, `Overflow`, `OffsetOutside`, `TargetNotZero`. Behind a writer,
///   an error of an entry by itself comes before an error because fields overlap.
/// - `UnknownSymbol`, `Resolver`: a source of symbol values failed, see
///   [`ValueSource`](super::ValueSource).
/// - `Writer`, `Sync`: a callback failed.
/// - [`NotUndone`](ErrorKind::NotUndone): a writer failed, or a source after its first success. Then
///   one of them failed again during rollback, or rollback is impossible because of
///   [`RelocFlags::ALLOW_NONZERO`]. Only this error changes memory. It names the last entry that remains
///   applied.
#[inline]
pub fn apply(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    Pass::new(table, values, rules).run_frequent_first(Op::Apply, target)
}

/// Sets every field of `table` back to zero, or changes nothing.
///
/// Each field must hold the value that [`apply`] wrote with these `values`. The last entry is cleared
/// first, so that fields that overlap get their content back.
///
/// With [`RelocFlags::ADD_TO_FIELD`] the value is subtracted from the field instead, modulo its width.
/// The old content is unknown, so a field that was changed since `apply` is not detected. An entry
/// is refused only if `apply` would have refused it with the restored content.
///
/// # Errors
/// - [`TargetMismatch`](ErrorKind::TargetMismatch): a field does not hold its value.
/// - The errors of [`apply`], except `TargetNotZero` and `SymbolUnresolved`. For `NotUndone`, the entries up
///   to the named one hold their values and those after it are cleared.
#[inline]
pub fn clear(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    rules: RelocFlags,
) -> Result<(), Error> {
    Pass::new(table, values, rules).run_frequent_first(Op::Clear, target)
}

/// A relocation table with its symbol values and flags.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) table: RelaTable<'a>,
    pub(crate) values: Values<'a>,
    pub(crate) rules: RelocFlags,
    /// What differs from the usual pass.
    pub(crate) special: Option<&'a dyn Special>,
}

/// What differs from the usual pass.
///
/// It is called through pointers, so that a program without such a pass has none of its code. The loops
/// are called for values in an array only.
pub(crate) trait Special {
    /// Returns the row of a type that the usual pass does not know.
    fn howto(&self, r_type: u32) -> Option<Howto> {
        let _ = r_type;
        None
    }

    /// Returns the row of an entry's type, and the value of the entry. `s` is the value of its symbol.
    fn find(&self, run: &mut Run<'_, '_>, rela: Rela, s: u64) -> Result<(Howto, u64), Failed>;

    /// See [`arch::apply_run`].
    fn apply_run(
        &self,
        entries: &[[u8; RELA_SIZE]],
        values: &[u64],
        bytes: &mut [u8],
        address: u64,
    ) -> usize {
        arch::apply_run(entries, values, bytes, address)
    }

    /// See [`arch::check_run`].
    fn check_run(
        &self,
        entries: &[[u8; RELA_SIZE]],
        values: &[u64],
        bytes: &[u8],
        address: u64,
        end: u64,
    ) -> (usize, u64) {
        arch::check_run(entries, values, bytes, address, end)
    }
}

impl<'a> Pass<'a> {
    /// The usual pass.
    #[inline(always)]
    pub(crate) const fn new(table: RelaTable<'a>, values: Values<'a>, rules: RelocFlags) -> Self {
        Self { table, values, rules, special: None }
    }
}

impl Pass<'_> {
    /// Applies or clears every field and calls `sync`, or changes nothing.
    pub(crate) fn run(&self, op: Op, target: &mut Target<'_>, report: &mut Report) -> Result<(), Failed> {
        match self.start(op, target) {
            None => Ok(()),
            Some(done) => Run { pass: self, target, report, syncs: true, skipped: false }.run(op, done),
        }
    }

    /// The same. The loop for frequent types is called by the caller itself, because the average table
    /// has a few entries, and the loop processes all of them.
    #[inline(always)]
    pub(super) fn run_frequent_first(self, op: Op, target: &mut Target<'_>) -> Result<(), Error> {
        match self.start(op, target) {
            None => Ok(()),
            Some(done) => self.run_rest(op, done, target),
        }
    }

    /// Begins a pass with the loop for frequent types. `None` if it has done all entries and the pass
    /// ends, else the number of entries that are done.
    #[inline(always)]
    pub(crate) fn start(&self, op: Op, target: &mut Target<'_>) -> Option<usize> {
        let (may_start, address) = (self.may_start(target), target.address());
        let done = match target.bytes_mut().filter(|_| may_start) {
            Some(bytes) => self.frequent_types(op, bytes, address, 0),
            None => return Some(0),
        };
        (done != self.table.len()).then_some(done)
    }

    /// Continues after `done` entries. It takes a copy, so that a caller which does not come here keeps the
    /// pass in registers.
    #[cold]
    #[inline(never)]
    fn run_rest(self, op: Op, done: usize, target: &mut Target<'_>) -> Result<(), Error> {
        capture(|report| Run { pass: &self, target, report, syncs: true, skipped: false }.run(op, done))
    }

    /// Whether the pass may process entries before anything else is checked: it has neither an error
    /// of its own, nor may it have to check all entries first.
    #[inline(always)]
    pub(super) fn may_start(&self, target: &Target<'_>) -> bool {
        !self.rules.contains(RelocFlags::ALLOW_NONZERO) && !target.wraps()
    }

    /// Whether `op` overwrites content that is unknown later. Then rollback is impossible.
    pub(super) fn overwrites(&self, op: Op) -> bool {
        op == Op::Apply && self.rules.contains(RelocFlags::ALLOW_NONZERO)
    }

    /// Size of the field in bytes. 0 for entries that are skipped, and for types that have no field or
    /// are unknown. A source that fails skips nothing; its error is that of the entry's check.
    #[cold]
    #[inline(never)]
    pub(super) fn field_size(&self, rela: Rela) -> u64 {
        if self.values.skips(rela.r_sym) {
            return 0;
        }
        self.howto(rela.r_type).map_or(0, |howto| u64::from(howto.size))
    }

    /// Returns the row of a type.
    #[inline(never)]
    pub(super) fn howto(&self, r_type: u32) -> Option<Howto> {
        match howto(r_type, self.rules) {
            None => self.special?.howto(r_type),
            howto => howto,
        }
    }
}

/// A pass over a target. It stores its error in a report.
pub(crate) struct Run<'r, 't> {
    pub(super) pass: &'r Pass<'r>,
    pub(super) target: &'r mut Target<'t>,
    pub(super) report: &'r mut Report,
    /// Whether the pass calls `sync`. A transaction calls it itself.
    #[cfg_attr(not(feature = "writer"), expect(dead_code, reason = "only writers have it"))]
    pub(super) syncs: bool,
    /// Whether an entry may have been skipped. If none was, a rollback of `Apply` needs no symbol
    /// values, so that it does not depend on a source that fails.
    pub(super) skipped: bool,
}

impl Run<'_, '_> {
    /// Returns `FlagsConflict` if flags exclude each other, `AddressWraps` if the target wraps.
    pub(super) fn check_pass(&mut self) -> Result<(), Failed> {
        let rules = self.pass.rules;
        if rules.contains(RelocFlags::ALLOW_NONZERO.union(RelocFlags::ADD_TO_FIELD)) {
            return Err(self.report.fail(ErrorKind::FlagsConflict, u64::from(rules.bits()), 0));
        }
        self.target.check_address(self.report)
    }

    /// Returns the row of an entry's type, and the value of the entry by the formula of the type. `s` is
    /// the value of its symbol.
    pub(super) fn find(&mut self, rela: Rela, s: u64) -> Result<(Howto, u64), Failed> {
        match self.pass.howto(rela.r_type) {
            Some(howto) => Ok((howto, self.value(&howto, rela, s))),
            None => Err(self.report.fail(ErrorKind::UnknownType, 0, 0)),
        }
    }

    /// Returns the value of an entry by the formula of its type.
    pub(super) fn value(&self, howto: &Howto, rela: Rela, s: u64) -> u64 {
        howto.value(s, rela.r_addend, self.target.address().wrapping_add(rela.r_offset))
    }

    /// Applies or clears every field, or changes nothing. The first `done` entries are done already,
    /// which is possible in plain memory only.
    pub(super) fn run(&mut self, op: Op, done: usize) -> Result<(), Failed> {
        self.check_pass()?;
        #[cfg(feature = "writer")]
        if self.target.bytes().is_none() {
            return self.through_writer(op);
        }
        self.in_place(op, done)
    }

    /// Reverts the first `done` entries of `op`, the last one first.
    #[cold]
    #[inline(never)]
    pub(super) fn revert(&mut self, op: Op, done: usize) -> Result<(), Failed> {
        let count = self.pass.table.len();
        if self.pass.overwrites(op) {
            let has_field = |(index, rela): &(usize, Rela)| *index < done && self.pass.field_size(*rela) != 0;
            return match self.pass.table.numbered().rfind(has_field) {
                Some((index, _)) => Err(self.not_undone(Some(index))),
                None => Ok(()),
            };
        }
        for index in (0..done).rev().map(|step| op.index(step, count)) {
            if self.entry(op, Phase::Revert, index).is_err() {
                // A cleared field that cannot be written again does not hold its value.
                let last = if op == Op::Apply { Some(index) } else { index.checked_sub(1) };
                return Err(self.not_undone(last));
            }
        }
        Ok(())
    }

    /// Changes the error in the report to `NotUndone`. `last` is the last entry that holds its value.
    fn not_undone(&mut self, last: Option<usize>) -> Failed {
        let failed = self.report.not_undone();
        match last.and_then(|index| Some((index, self.pass.table.get(index)?))) {
            Some((index, rela)) => rela.locate(index, failed, self.report),
            None => failed,
        }
    }
}
