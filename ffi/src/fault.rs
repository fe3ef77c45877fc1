//! One fault for both sides of the border.

use crate::types::*;
use relakit::Error;

/// Why a function fails, as its caller will read it.
#[derive(Debug)]
pub(crate) struct Fault(pub(crate) relakit_error);

impl Fault {
    /// Something is wrong with argument `number`, counted from 1.
    pub(crate) fn argument(status: relakit_status, number: u64, limit: u64) -> Self {
        Self(relakit_error {
            status,
            linux_errno: 0,
            has: 0,
            section: 0,
            symbol: 0,
            r_type: 0,
            entry: 0,
            offset: 0,
            value: number,
            limit,
            reserved: 0,
        })
    }

    pub(crate) fn in_section(mut self, section: u32) -> Self {
        self.0.has |= RELAKIT_HAS_SECTION;
        self.0.section = section;
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        Self(relakit_error {
            status: error.kind as relakit_status,
            linux_errno: error.kind.linux_errno(),
            has: flag(error.section.is_some(), RELAKIT_HAS_SECTION)
                | flag(error.entry.is_some(), RELAKIT_HAS_ENTRY)
                | flag(error.symbol.is_some(), RELAKIT_HAS_SYMBOL)
                | flag(error.r_type.is_some(), RELAKIT_HAS_TYPE),
            section: error.section.unwrap_or(0),
            symbol: error.symbol.unwrap_or(0),
            r_type: error.r_type.unwrap_or(0),
            entry: error.entry.unwrap_or(0),
            offset: error.offset,
            value: error.value,
            limit: error.limit,
            reserved: 0,
        })
    }
}
