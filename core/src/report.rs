//! How a fault travels inside the crate: it is written down once, where it is found, and what is returned is one bit.
//!
//! An [`Error`] has 72 bytes. Handed from function to function by value it was a fifth of the crate's code and most of its
//! stack.

use crate::error::{Error, ErrorKind};

/// The fault is in the report. Only a report can make one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed(());

/// Where a fault is written down. A later one takes the place of an earlier one.
#[derive(Debug)]
pub(crate) struct Report(Error);

/// Decides what follows an error: a pass ends with it, a list of errors goes on.
pub(crate) type OnError<'a> = &'a mut dyn FnMut(Failed, &mut Report) -> Result<(), Failed>;

/// Runs what reports a fault, for a caller who wants an [`Error`].
pub(crate) fn capture<T>(run: impl FnOnce(&mut Report) -> Result<T, Failed>) -> Result<T, Error> {
    let mut report = Report::new();
    run(&mut report).map_err(|stopped| *report.error(stopped))
}

impl Report {
    /// Nothing is in it yet, so the kind says nothing.
    pub(crate) const fn new() -> Self {
        Self(Error::new(ErrorKind::Truncated, 0, 0))
    }

    /// What stopped it.
    pub(crate) const fn error(&self, _: Failed) -> &Error {
        &self.0
    }

    /// A fault with a number and what it was held against.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, kind: ErrorKind, value: u64, limit: u64) -> Failed {
        self.0 = Error::new(kind, value, limit);
        Failed(())
    }

    /// A fault that was found before.
    #[cold]
    #[inline(never)]
    pub(crate) fn known(&mut self, error: &Error) -> Failed {
        self.0 = *error;
        Failed(())
    }

    /// Adds the section at fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_section(&mut self, stopped: Failed, section: u32) -> Failed {
        self.0.section = Some(section);
        stopped
    }

    /// Adds the symbol at fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_symbol(&mut self, stopped: Failed, symbol: u32) -> Failed {
        self.0.symbol = Some(symbol);
        stopped
    }

    /// Adds an offset in the file.
    pub(crate) fn at_offset(&mut self, stopped: Failed, offset: u64) -> Failed {
        self.0.offset = offset;
        stopped
    }

    /// Adds the relocation at fault: its number in its section, and what it says.
    #[cold]
    #[inline(never)]
    pub(crate) fn at_relocation(
        &mut self,
        stopped: Failed,
        index: usize,
        offset: u64,
        symbol: u32,
        r_type: u32,
    ) -> Failed {
        self.0 =
            Error { entry: Some(index as u64), symbol: Some(symbol), r_type: Some(r_type), offset, ..self.0 };
        stopped
    }

    /// Adds the entry of a fault that is its place only.
    pub(crate) fn of_entry(&mut self, stopped: Failed, index: usize, offset: u64) -> Failed {
        self.0.entry = Some(index as u64);
        self.at_offset(stopped, offset)
    }

    /// The fault in the report, a writer's, could not be undone.
    #[cold]
    #[inline(never)]
    pub(crate) fn not_undone(&mut self) -> Failed {
        self.0 = Error::new(ErrorKind::NotUndone, self.0.value, self.0.limit);
        Failed(())
    }
}
