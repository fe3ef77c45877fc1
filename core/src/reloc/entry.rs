//! The whole semantics of one relocation. The loops of `arch` do the same for the frequent types.

use super::op::{Op, Phase};
use super::pass::Run;
use super::{Howto, Pass, RelocFlags};
use crate::elf::Rela;
use crate::error::ErrorKind;
use crate::report::Failed;

impl Run<'_, '_> {
    /// Does one phase of one operation with entry `index`. Does nothing after the last entry.
    #[cold]
    #[inline(never)]
    pub(super) fn entry(&mut self, op: Op, phase: Phase, index: usize) -> Result<(), Failed> {
        let Some(rela) = self.pass.table.get(index) else { return Ok(()) };
        self.relocate(op, phase, rela).map_err(|failed| rela.locate(index, failed, self.report))
    }

    /// The order of checks is that of Linux (Linux semantics 9): type, range, existing bytes. Linux
    /// does not check the symbol index and `r_offset`. They are checked before they are used.
    fn relocate(&mut self, op: Op, phase: Phase, rela: Rela) -> Result<(), Failed> {
        let Pass { values, rules, .. } = *self.pass;
        let checks = phase != Phase::Revert;
        let adds = rules.contains(RelocFlags::ADD_TO_FIELD);
        // A rollback of `Apply` sets the fields to zero, which needs no value.
        let needs_value = checks || adds || op == Op::Clear || self.skipped;
        let s = match needs_value {
            true => values.resolve(rela.r_sym, self.report)?,
            false => Some(0),
        };
        let Some(s) = s else {
            self.skipped = true;
            return Ok(());
        };
        let (howto, value) = match self.pass.special.filter(|_| needs_value) {
            Some(special) => special.find(self, rela, s)?,
            None => self.find(rela, s)?,
        };
        if howto.size == 0 {
            return Ok(());
        }
        if checks
            && op == Op::Apply
            && !rules.contains(RelocFlags::ALLOW_ZERO_SYMBOLS)
            && let Some(shndx) = values.unresolved(rela.r_sym)
        {
            return Err(self.report.fail(ErrorKind::SymbolUnresolved, u64::from(shndx), 0));
        }
        let range_first = !adds && !rules.contains(RelocFlags::REPORT_NONZERO_FIRST);
        if checks && range_first {
            self.check_range(&howto, value)?;
        }
        let existing = match checks || adds {
            true => self.target.read(rela.r_offset, howto.size, self.report)?,
            false => 0,
        };
        // The content after `Apply` is the sum of the value and the content before. A field that must
        // be zero, or whose content is ignored, counts as zero before.
        let forward = (op == Op::Apply) == checks;
        let before = match (adds, forward) {
            (false, _) => 0,
            (true, true) => existing,
            (true, false) => existing.wrapping_sub(value) & howto.mask(),
        };
        let after = howto.extend(before).wrapping_add(value);
        if checks {
            self.check_existing(op, after, after & howto.mask(), existing)?;
        }
        if checks && !range_first {
            self.check_range(&howto, after)?;
        }
        match phase {
            Phase::Check => Ok(()),
            _ => {
                let content = if forward { after } else { before };
                self.target.write(rela.r_offset, howto.size, content, self.report)
            }
        }
    }

    fn check_range(&mut self, howto: &Howto, value: u64) -> Result<(), Failed> {
        match howto.largest(self.pass.rules) {
            Some(largest) if !howto.fits(value, self.pass.rules) => {
                Err(self.report.fail(ErrorKind::Overflow, value, largest))
            }
            _ => Ok(()),
        }
    }

    fn check_existing(&mut self, op: Op, value: u64, content: u64, existing: u64) -> Result<(), Failed> {
        let must_be_zero =
            !self.pass.rules.intersects(RelocFlags::ALLOW_NONZERO.union(RelocFlags::ADD_TO_FIELD));
        match op {
            Op::Apply if existing != 0 && must_be_zero => {
                Err(self.report.fail(ErrorKind::TargetNotZero, value, existing))
            }
            Op::Clear if existing != content => {
                Err(self.report.fail(ErrorKind::TargetMismatch, content, existing))
            }
            _ => Ok(()),
        }
    }
}
