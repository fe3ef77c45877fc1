//! The error of a function inside the crate: it is stored once in a [`Report`], and functions
//! return a marker without a size.
//!
//! An [`Error`] has 72 bytes. If every function returned it, the copies would be a fifth of the
//! crate's code and most of its stack.

use crate::error::{Error, ErrorKind};

/// The error is in the report. Only a report can make this marker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed(());

/// Holds the error. A later error replaces an earlier one.
#[derive(Debug)]
pub(crate) struct Report(Error);

/// Decides what follows an error: a pass ends with it, a list of errors goes on.
pub(crate) type OnError<'a> = &'a mut dyn FnMut(Failed, &mut Report) -> Result<(), Failed>;

/// Calls `run`, and returns its error as an [`Error`].
pub(crate) fn capture<T>(run: impl FnOnce(&mut Report) -> Result<T, Failed>) -> Result<T, Error> {
    let mut report = Report::new();
    run(&mut report).map_err(|failed| *report.error(failed))
}

impl Report {
    /// A report without an error; its kind means nothing.
    pub(crate) const fn new() -> Self {
        Self(Error::new(ErrorKind::Truncated, 0, 0))
    }

    pub(crate) const fn error(&self, _: Failed) -> &Error {
        &self.0
    }

    /// Stores an error with the number that is wrong, and the number that it was compared with.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, kind: ErrorKind, value: u64, limit: u64) -> Failed {
        self.0 = Error::new(kind, value, limit);
        Failed(())
    }

    /// Stores an error that was found earlier.
    #[cold]
    #[inline(never)]
    pub(crate) fn known(&mut self, error: &Error) -> Failed {
        self.0 = *error;
        Failed(())
    }

    /// Adds the section.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_section(&mut self, failed: Failed, section: u32) -> Failed {
        self.0.section = Some(section);
        failed
    }

    /// Adds the symbol.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_symbol(&mut self, failed: Failed, symbol: u32) -> Failed {
        self.0.symbol = Some(symbol);
        failed
    }

    /// Adds the type of a relocation that is in no table.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_type(&mut self, failed: Failed, r_type: u32) -> Failed {
        self.0.r_type = Some(r_type);
        failed
    }

    /// Adds an offset in the file.
    pub(crate) fn at_offset(&mut self, failed: Failed, offset: u64) -> Failed {
        self.0.offset = offset;
        failed
    }

    /// Adds a relocation: its index in its section, and its members.
    #[cold]
    #[inline(never)]
    pub(crate) fn at_relocation(
        &mut self,
        failed: Failed,
        index: usize,
        offset: u64,
        symbol: u32,
        r_type: u32,
    ) -> Failed {
        self.0 =
            Error { entry: Some(index as u64), symbol: Some(symbol), r_type: Some(r_type), offset, ..self.0 };
        failed
    }

    /// Adds the index and the offset of a relocation whose symbol and type do not matter.
    pub(crate) fn of_entry(&mut self, failed: Failed, index: usize, offset: u64) -> Failed {
        self.0.entry = Some(index as u64);
        self.at_offset(failed, offset)
    }

    /// Changes the error of a writer to `NotUndone`.
    #[cold]
    #[inline(never)]
    pub(crate) fn not_undone(&mut self) -> Failed {
        self.0 = Error::new(ErrorKind::NotUndone, self.0.value, self.0.limit);
        Failed(())
    }
}
