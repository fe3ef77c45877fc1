//! One relocation by the rules, whatever its type, its target and what is wrong with it.
//!
//! This is the whole of the semantics; the loops in `plain` take the common case out of it and nothing else.

use super::howto::{Howto, howto};
use super::{Pass, RelocFlags, Target};
use crate::elf::Rela;
use crate::error::ErrorKind;
use crate::report::{Failed, Report};

/// What is done with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It could be relocated.
    Prove,
    /// It is relocated.
    Write,
    /// It could be cleared.
    Verify,
    /// It is cleared.
    Clear,
    /// It was written by this pass: it is zero again, whatever it holds.
    Undo,
    /// It was cleared by this pass: it holds its value again, whatever it holds.
    Redo,
}

impl Act {
    /// From the last entry to the first, so that fields that overlap come out as they were.
    pub(super) const fn is_backward(self) -> bool {
        matches!(self, Self::Clear | Self::Undo)
    }
}

impl Pass<'_> {
    /// Judges relocation `index` and acts on its field. There is nothing to do past the last one.
    #[cold]
    #[inline(never)]
    pub(super) fn one(
        &self,
        act: Act,
        index: usize,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let Some(rela) = self.table.get(index) else { return Ok(()) };
        self.judge(act, rela, target, report).map_err(|stopped| rela.locate(index, stopped, report))
    }

    /// Linux's order of checks (Linux semantics 9): type, range, existing bytes. The bounds, which Linux does not check,
    /// come before the access they guard: the symbol index first, the offset before the existing bytes.
    fn judge(
        &self,
        act: Act,
        rela: Rela,
        target: &mut Target<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let Self { values, rules, .. } = *self;
        let Some(s) = values.value(rela.r_sym) else {
            return Err(report.fail(ErrorKind::SymbolIndex, 0, values.count() as u64));
        };
        let Some(howto) = howto(rela.r_type, rules) else {
            return Err(report.fail(ErrorKind::UnknownType, 0, 0));
        };
        if howto.size == 0 {
            return Ok(());
        }
        if matches!(act, Act::Prove | Act::Write)
            && !rules.contains(RelocFlags::ALLOW_ZERO_SYMBOLS)
            && let Some(shndx) = values.unresolved(rela.r_sym)
        {
            return Err(report.fail(ErrorKind::SymbolUnresolved, u64::from(shndx), 0));
        }
        let value = howto.value(s, rela.r_addend, target.address.wrapping_add(rela.r_offset));
        if !matches!(act, Act::Undo | Act::Redo) {
            let range = |report: &mut Report| match howto.largest(rules) {
                Some(largest) if !howto.fits(value, rules) => {
                    Err(report.fail(ErrorKind::Overflow, value, largest))
                }
                _ => Ok(()),
            };
            let zero_first = rules.contains(RelocFlags::REPORT_NONZERO_FIRST);
            if !zero_first {
                range(report)?;
            }
            let existing = target.read(rela.r_offset, howto.size, report)?;
            self.judge_existing(act, &howto, value, existing, report)?;
            if zero_first {
                range(report)?;
            }
        }
        match act {
            Act::Prove | Act::Verify => Ok(()),
            Act::Write | Act::Redo => target.write(rela.r_offset, howto.size, value, report),
            Act::Clear | Act::Undo => target.write(rela.r_offset, howto.size, 0, report),
        }
    }

    fn judge_existing(
        &self,
        act: Act,
        howto: &Howto,
        value: u64,
        existing: u64,
        report: &mut Report,
    ) -> Result<(), Failed> {
        match act {
            Act::Prove | Act::Write if existing != 0 && !self.rules.contains(RelocFlags::ALLOW_NONZERO) => {
                Err(report.fail(ErrorKind::TargetNotZero, value, existing))
            }
            Act::Verify | Act::Clear if existing != value & howto.mask() => {
                Err(report.fail(ErrorKind::TargetMismatch, value & howto.mask(), existing))
            }
            _ => Ok(()),
        }
    }
}
