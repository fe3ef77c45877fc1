//! One relocation without a table.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::{RelocFlags, Target, Values, howto};
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind};
use crate::report::capture;

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
    let pass = Pass { table: RelaTable::from_entries(&[]), values: Values::Dense(&[]), rules };
    let mut target = Target::new(field, p);
    capture(|report| {
        let mut run = Run { pass: &pass, target: &mut target, report, syncs: false, skipped: false };
        run.check_pass()?;
        let relocated = match howto(r_type, rules) {
            None => Err(run.report.fail(ErrorKind::UnknownType, 0, 0)),
            Some(howto) if howto.size == 0 => Ok(()),
            Some(howto) => run.field(Op::Apply, Phase::Commit, &howto, 0, howto.value(s, a, p)),
        };
        relocated.map_err(|failed| run.report.of_type(failed, r_type))
    })
}
