//! A pass over several sections: all of them, or none.

use super::op::{Op, Phase};
use super::pass::{Pass, Run};
use super::target::Target;
use crate::error::{CallbackError, ErrorKind};
use crate::flags::RelocFlags;
use crate::report::{Failed, OnError, Report};
use core::ops::Range;

/// The relocations of a section and its target. `None` if there is nothing to relocate.
pub(crate) type Opened<'a> = Option<(Pass<'a>, Target<'a>)>;

/// Sections by number.
pub(crate) trait Sections {
    /// Checks section `number` before it is written, and resolves its symbols. Returns whether it belongs
    /// to the pass. Errors of symbols go to `on_error`.
    fn prepare(&mut self, number: u32, on_error: OnError<'_>, report: &mut Report) -> Result<bool, Failed>;
    /// Its relocations and its target. `None` if there is nothing to relocate. A rollback calls it again,
    /// without `prepare`.
    fn section(&mut self, number: u32, report: &mut Report) -> Result<Opened<'_>, Failed>;
    /// Applies the first sections of `numbers`, as long as they are usual: they need no preparation, and
    /// only the loop for frequent types. Nothing can fail then.
    fn apply_usual(&mut self, numbers: Range<u32>) -> Usual {
        Usual { next: numbers.start, ..Usual::default() }
    }
    /// Adds the section to the error of a relocation.
    fn locate(&self, number: u32, failed: Failed, report: &mut Report) -> Failed;
    /// Makes all writes visible.
    fn sync(&mut self) -> Result<(), CallbackError>;
    /// The last step, after all sections are written. If it fails, they are rolled back.
    fn finish(&mut self, report: &mut Report) -> Result<(), Failed> {
        let _ = report;
        Ok(())
    }
}

/// What [`Sections::apply_usual`] has done.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usual {
    /// The first section that is not done.
    pub(crate) next: u32,
    /// How many of its entries are applied.
    pub(crate) entries: usize,
    /// How many sections before it belong to the pass.
    pub(crate) sections: usize,
    /// Whether a section may have been written.
    pub(crate) wrote: bool,
}

/// Applies or clears sections, or changes nothing.
///
/// If fields may have any content, their old content is unknown and rollback is impossible. Then all
/// sections are checked before the first write.
pub(crate) struct Transaction<'a> {
    sections: &'a mut dyn Sections,
    numbers: Range<u32>,
    op: Op,
    /// The flags of every section's pass.
    flags: RelocFlags,
    /// Whether a section may have been written.
    wrote: bool,
}

impl<'a> Transaction<'a> {
    /// Sections are applied in the order of their numbers and cleared in the reverse order.
    pub(crate) const fn new(
        sections: &'a mut dyn Sections,
        numbers: Range<u32>,
        op: Op,
        flags: RelocFlags,
    ) -> Self {
        Self { sections, numbers, op, flags, wrote: false }
    }

    /// Returns the number of sections that belong to the pass.
    pub(crate) fn run(mut self, report: &mut Report) -> Result<usize, Failed> {
        if self.op == Op::Apply && self.flags.contains(RelocFlags::ALLOW_NONZERO) {
            for number in self.numbers.clone() {
                self.step(number, Phase::Check, 0, report)?;
            }
        }
        let (mut count, mut done) = (0usize, 0u32);
        let failed = loop {
            let usual = self.apply_usual(&mut done);
            count = count.saturating_add(usual.sections);
            let Some(number) = self.number(done) else {
                let synced = self.sync();
                let synced = synced.map_err(|error| report.fail(ErrorKind::Sync, error.number(), 0));
                match synced.and_then(|()| self.sections.finish(report)) {
                    Ok(()) => return Ok(count),
                    Err(failed) => break failed,
                }
            };
            match self.step(number, Phase::Commit, usual.entries, report) {
                Ok(belongs) => count = count.saturating_add(usize::from(belongs)),
                Err(failed) => break failed,
            }
            done = done.saturating_add(1);
        };
        let reverted = self.revert(done, report);
        // After the first error, a second one does not matter.
        let _ = self.sync();
        reverted.and(Err(failed))
    }

    /// Applies usual sections after the first `done`, and adds them to `done`.
    fn apply_usual(&mut self, done: &mut u32) -> Usual {
        let Range { start, end } = self.numbers;
        if self.op == Op::Clear {
            return Usual::default();
        }
        let usual = self.sections.apply_usual(start.saturating_add(*done)..end);
        *done = usual.next.saturating_sub(start);
        self.wrote |= usual.wrote;
        usual
    }

    /// The section that comes after `done` others.
    fn number(&self, done: u32) -> Option<u32> {
        let number = match self.op {
            Op::Apply => self.numbers.start.checked_add(done),
            Op::Clear => self.numbers.end.checked_sub(1).and_then(|last| last.checked_sub(done)),
        };
        number.filter(|number| self.numbers.contains(number))
    }

    /// Reverts the first `done` sections, the last one first.
    #[cold]
    fn revert(&mut self, done: u32, report: &mut Report) -> Result<(), Failed> {
        for step in (0..done).rev() {
            if let Some(number) = self.number(step) {
                self.relocate(number, Phase::Revert, 0, report)?;
            }
        }
        Ok(())
    }

    /// Prepares a section and relocates it. Returns whether it belongs to the pass.
    fn step(&mut self, number: u32, phase: Phase, done: usize, report: &mut Report) -> Result<bool, Failed> {
        let belongs = self.sections.prepare(number, &mut |failed, _| Err(failed), report)?;
        if belongs {
            self.relocate(number, phase, done, report)?;
        }
        Ok(belongs)
    }

    /// Does one phase of one section, of which `done` entries are applied. Not inlined, so that `prepare`
    /// is called with less stack.
    #[inline(never)]
    fn relocate(
        &mut self,
        number: u32,
        phase: Phase,
        done: usize,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let Some((pass, mut target)) = self.sections.section(number, report)? else { return Ok(()) };
        self.wrote |= phase != Phase::Check;
        // A section that is reverted was applied by an earlier `Run`.
        let skipped = phase == Phase::Revert && pass.values.may_skip();
        let mut run = Run { pass: &pass, target: &mut target, report, syncs: false, skipped };
        let relocated = match phase {
            Phase::Check => run.check().map(drop),
            Phase::Commit => run.run(self.op, done),
            Phase::Revert => run.revert(self.op, pass.table.len()),
        };
        relocated.map_err(|failed| self.sections.locate(number, failed, report))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        if self.wrote { self.sections.sync() } else { Ok(()) }
    }
}
