//! Why a function fails, and how its caller is told: it is written down once, where it is found.

use crate::types::*;
use relakit::Error;

/// What stopped a call is in its report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped(());

/// What the caller of a function that fails will read.
#[derive(Debug)]
pub(crate) struct Report(relakit_error);

impl Report {
    const fn new() -> Self {
        Self(relakit_error {
            status: 0,
            linux_errno: 0,
            has: 0,
            section: 0,
            symbol: 0,
            r_type: 0,
            entry: 0,
            offset: 0,
            value: 0,
            limit: 0,
            reserved: 0,
        })
    }

    /// Something is wrong with the call itself. `value` is mostly the number of the argument at fault, counted from 1.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, status: relakit_status, value: u64, limit: u64) -> Stopped {
        self.0 = relakit_error { status, value, limit, ..Self::new().0 };
        Stopped(())
    }

    /// Adds the section at fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_section(&mut self, stopped: Stopped, section: u32) -> Stopped {
        (self.0.has, self.0.section) = (RELAKIT_HAS_SECTION, section);
        stopped
    }

    /// The core has found a fault.
    #[cold]
    #[inline(never)]
    pub(crate) fn core(&mut self, error: &Error) -> Stopped {
        let Error { kind, section, entry, symbol, r_type, offset, value, limit, .. } = *error;
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        self.0 = relakit_error {
            status: kind as relakit_status,
            linux_errno: kind.linux_errno(),
            has: flag(section.is_some(), RELAKIT_HAS_SECTION)
                | flag(entry.is_some(), RELAKIT_HAS_ENTRY)
                | flag(symbol.is_some(), RELAKIT_HAS_SYMBOL)
                | flag(r_type.is_some(), RELAKIT_HAS_TYPE),
            section: section.unwrap_or(0),
            symbol: symbol.unwrap_or(0),
            r_type: r_type.unwrap_or(0),
            entry: entry.unwrap_or(0),
            offset,
            value,
            limit,
            reserved: 0,
        };
        Stopped(())
    }
}

/// What the core answers, with its fault in a report.
pub(crate) trait OrReport<T> {
    fn or_report(self, report: &mut Report) -> Result<T, Stopped>;
}

impl<T> OrReport<T> for Result<T, Error> {
    #[inline]
    fn or_report(self, report: &mut Report) -> Result<T, Stopped> {
        self.map_err(|error| report.core(&error))
    }
}

/// Makes a call, and tells its caller of a fault in full.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn answer(
    error: *mut relakit_error,
    call: impl FnOnce(&mut Report) -> Result<relakit_status, Stopped>,
) -> relakit_status {
    let mut report = Report::new();
    match call(&mut report) {
        Ok(status) => status,
        // SAFETY: the caller's promise.
        Err(stopped) => unsafe { tell(error, &report, stopped) },
    }
}

/// # Safety
/// As above.
#[cold]
#[inline(never)]
unsafe fn tell(error: *mut relakit_error, report: &Report, _: Stopped) -> relakit_status {
    if !error.is_null() {
        // SAFETY: not NULL; the caller vouches for the rest.
        unsafe { error.write_unaligned(report.0) };
    }
    report.0.status
}
