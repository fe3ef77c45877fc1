//! Errors: the code that finds one stores it in the caller's struct relakit_error, once.

use crate::status::RELAKIT_OK;
use crate::types::*;
use relakit::{Error, Profile};

/// Marker for an error that is stored in a [`Report`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed(());

/// The caller's struct relakit_error, and the status to return.
#[derive(Debug)]
pub(crate) struct Report {
    /// NULL or writable, as the caller of [`answer`] promised.
    error: *mut relakit_error,
    status: relakit_status,
}

const NO_ERROR: relakit_error = relakit_error {
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
};

impl Report {
    /// Stores an error of the call itself. `value` is usually the number of the invalid argument,
    /// counted from 1.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&mut self, status: relakit_status, value: u64, limit: u64) -> Failed {
        self.write(&relakit_error { status, value, limit, ..NO_ERROR })
    }

    /// Adds a section index to the stored error.
    #[cold]
    #[inline(never)]
    pub(crate) fn in_section(&mut self, failed: Failed, section: u32) -> Failed {
        if !self.error.is_null() {
            // SAFETY: `error` is not NULL, and `write` has written all of its members before
            // `in_section` is called.
            let error = unsafe { self.error.read_unaligned() };
            self.write(&relakit_error { has: error.has | RELAKIT_ERROR_HAS_SECTION, section, ..error });
        }
        failed
    }

    /// Stores an error of the core.
    #[cold]
    #[inline(never)]
    pub(crate) fn core(&mut self, error: &Error) -> Failed {
        let Error { kind, section, entry, symbol, r_type, offset, value, limit, .. } = *error;
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        self.write(&relakit_error {
            status: kind as relakit_status,
            linux_errno: Profile::linux_errno(kind),
            has: flag(section.is_some(), RELAKIT_ERROR_HAS_SECTION)
                | flag(entry.is_some(), RELAKIT_ERROR_HAS_ENTRY)
                | flag(symbol.is_some(), RELAKIT_ERROR_HAS_SYMBOL)
                | flag(r_type.is_some(), RELAKIT_ERROR_HAS_TYPE),
            section: section.unwrap_or(0),
            symbol: symbol.unwrap_or(0),
            r_type: r_type.unwrap_or(0),
            entry: entry.unwrap_or(0),
            offset,
            value,
            limit,
            reserved: 0,
        })
    }

    fn write(&mut self, error: &relakit_error) -> Failed {
        self.status = error.status;
        if !self.error.is_null() {
            // SAFETY: `error` is not NULL; `answer`'s caller promised that it is writable. The
            // write needs no alignment.
            unsafe { self.error.write_unaligned(*error) };
        }
        Failed(())
    }
}

/// Converts a result of the core; an error is stored in the report.
pub(crate) trait OrReport<T> {
    fn or_report(self, report: &mut Report) -> Result<T, Failed>;
}

impl<T> OrReport<T> for Result<T, Error> {
    #[inline]
    fn or_report(self, report: &mut Report) -> Result<T, Failed> {
        self.map_err(|error| report.core(&error))
    }
}

/// Runs `call` with a report that writes to `error`, and returns its status.
///
/// # Safety
/// `error` is NULL or writable.
pub(crate) unsafe fn answer(
    error: *mut relakit_error,
    call: impl FnOnce(&mut Report) -> Result<relakit_status, Failed>,
) -> relakit_status {
    let mut report = Report { error, status: RELAKIT_OK };
    match call(&mut report) {
        Ok(status) => status,
        Err(Failed(())) => report.status,
    }
}
