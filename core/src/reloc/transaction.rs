//! Several sections as one pass: all of them, or none.

use super::apply::Direction;
use super::{Pass, Target};
use crate::error::{CallbackError, ErrorKind};
use crate::report::{Failed, Report};
use core::ops::Range;

/// Sections by number.
pub(crate) trait Sections {
    /// Looks for what stops section `number` before anything is written, and answers whether it belongs to the pass.
    fn prepare(&mut self, number: u32, report: &mut Report) -> Result<bool, Failed>;
    /// Its relocations and its target; `None` when there is nothing to relocate.
    fn section(&mut self, number: u32, report: &mut Report)
    -> Result<Option<(Pass<'_>, Target<'_>)>, Failed>;
    /// Adds to the fault of a relocation in which section it is.
    fn locate(&self, number: u32, stopped: Failed, report: &mut Report) -> Failed;
    /// Makes what was written visible.
    fn sync(&mut self) -> Result<(), CallbackError>;
}

/// Which way a step goes.
#[derive(Clone, Copy)]
enum Step {
    Forth,
    Back,
}

/// Applies or clears sections, or changes nothing.
pub(crate) struct Transaction<'a> {
    sections: &'a mut dyn Sections,
    numbers: Range<u32>,
    direction: Direction,
    /// Whether something tried to write.
    wrote: bool,
}

impl<'a> Transaction<'a> {
    /// Sections are applied in the order of their numbers, and cleared from the last to the first.
    pub(crate) const fn new(
        sections: &'a mut dyn Sections,
        numbers: Range<u32>,
        direction: Direction,
    ) -> Self {
        Self { sections, numbers, direction, wrote: false }
    }

    /// Answers how many sections belonged to the pass.
    pub(crate) fn run(mut self, report: &mut Report) -> Result<usize, Failed> {
        let (mut count, mut done) = (0usize, 0);
        let stopped = loop {
            let Some(number) = self.number(done) else {
                match self.sync() {
                    Ok(()) => return Ok(count),
                    Err(error) => break report.fail(ErrorKind::Sync, error.number(), 0),
                }
            };
            match self.step(number, report) {
                Ok(belongs) => count = count.saturating_add(usize::from(belongs)),
                Err(stopped) => break stopped,
            }
            done = done.saturating_add(1);
        };
        let undone = self.undo(done, report);
        // Whatever this answers, the fault is an earlier one.
        let _ = self.sync();
        undone.and(Err(stopped))
    }

    /// The section of a step, counted from 0.
    fn number(&self, step: u32) -> Option<u32> {
        let Range { start, end } = self.numbers;
        let number = match self.direction {
            Direction::Apply => start.checked_add(step),
            Direction::Clear => end.checked_sub(step).and_then(|end| end.checked_sub(1)),
        };
        number.filter(|number| self.numbers.contains(number))
    }

    fn step(&mut self, number: u32, report: &mut Report) -> Result<bool, Failed> {
        let belongs = self.sections.prepare(number, report)?;
        if belongs {
            self.relocate(number, Step::Forth, report)?;
        }
        Ok(belongs)
    }

    /// Takes back the first `done` steps, the last one first.
    #[cold]
    fn undo(&mut self, done: u32, report: &mut Report) -> Result<(), Failed> {
        for step in (0..done).rev() {
            if let Some(number) = self.number(step) {
                self.relocate(number, Step::Back, report)?;
            }
        }
        Ok(())
    }

    /// Does something with the fields of a section, if it has some. Not inlined, to be no part of the way to `prepare`.
    #[inline(never)]
    fn relocate(&mut self, number: u32, step: Step, report: &mut Report) -> Result<(), Failed> {
        let Some((pass, mut target)) = self.sections.section(number, report)? else { return Ok(()) };
        self.wrote = true;
        let relocated = match step {
            Step::Forth => pass.run_fields(self.direction, &mut target, report),
            Step::Back => pass.undo_fields(self.direction, &mut target, report),
        };
        relocated.map_err(|stopped| self.sections.locate(number, stopped, report))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        if self.wrote { self.sections.sync() } else { Ok(()) }
    }
}
