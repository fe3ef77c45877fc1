//! One relocation without a table.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::{RelocFlags, Target, Values};
use crate::elf::{Rela, RelaTable};
use crate::error::Error;
use crate::report::capture;
use core::slice;

/// Applies one relocation to the bytes at the beginning of `field`, or changes nothing.
///
/// `s` is the symbol's value, `a` the addend, `p` the run-time address of the field. `field` may be longer
/// than the field. The checks are those of [`apply`](super::apply).
///
/// # Errors
/// The errors of `apply`: `FlagsConflict`, `AddressWraps`, `UnknownType`, `Overflow`, `OffsetOutside` if
/// `field` is too short, and `TargetNotZero`. They have no entry and no symbol.
pub fn relocate(
    r_type: u32,
    s: u64,
    a: i64,
    p: u64,
    field: &mut [u8],
    rules: RelocFlags,
) -> Result<(), Error> {
    let entry = Rela { r_offset: 0, r_sym: 0, r_type, r_addend: a }.to_bytes();
    let table = RelaTable::from_entries(slice::from_ref(&entry));
    let pass = Pass::new(table, Values::Dense(slice::from_ref(&s)), rules);
    let mut target = Target::new(field, p);
    let relocated = capture(|report| {
        let mut run = Run { pass: &pass, target: &mut target, report, syncs: false, skipped: false };
        run.check_pass()?;
        run.entry(Op::Apply, Phase::Commit, 0)
    });
    relocated.map_err(|error| Error { entry: None, symbol: None, ..error })
}
