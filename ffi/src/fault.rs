//! Why a function fails, and how its caller is told.

use crate::types::*;
use relakit::Error;

/// Something is wrong with the call itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    status: relakit_status,
    section: Option<u32>,
    value: u64,
    limit: u64,
}

impl Refusal {
    /// `value` is mostly the number of the argument at fault, counted from 1.
    pub(crate) const fn new(status: relakit_status, value: u64, limit: u64) -> Self {
        Self { status, section: None, value, limit }
    }

    pub(crate) const fn in_section(self, section: u32) -> Self {
        Self { section: Some(section), ..self }
    }
}

/// Why a function fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Call(Refusal),
    Core(Error),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Call(refusal)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl Fault {
    pub(crate) const fn status(&self) -> relakit_status {
        match self {
            Self::Call(refusal) => refusal.status,
            Self::Core(error) => error.kind as relakit_status,
        }
    }

    /// The fault as its caller will read it.
    pub(crate) fn in_full(&self) -> relakit_error {
        let none = relakit_error {
            status: self.status(),
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
        let flag = |there: bool, flag: u32| if there { flag } else { 0 };
        match self {
            Self::Call(Refusal { section, value, limit, .. }) => relakit_error {
                has: flag(section.is_some(), RELAKIT_HAS_SECTION),
                section: section.unwrap_or(0),
                value: *value,
                limit: *limit,
                ..none
            },
            Self::Core(error) => relakit_error {
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
                ..none
            },
        }
    }
}
