//! Why a livepatch cannot be converted, in the terms of its source.

use std::fmt;

/// One reason why a livepatch cannot be converted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// A sentence without a full stop.
    pub message: String,
    /// The section and the offset of the first relocation that is refused.
    pub place: Option<(String, u64)>,
    /// More facts: the symbols of a name with their addresses, names that are almost the same.
    pub details: Vec<String>,
    /// What to change in the source, or what to give.
    pub help: Option<String>,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(crate) fn at(self, section: &[u8], offset: u64) -> Self {
        Self { place: Some((text(section), offset)), ..self }
    }

    pub(crate) fn details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((section, offset)) = &self.place {
            write!(f, "{section}+{offset:#x}: ")?;
        }
        f.write_str(&self.message)?;
        self.details.iter().try_for_each(|detail| write!(f, "; {detail}"))?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

impl std::error::Error for Refusal {}

/// A name for people: bytes that are not printable ASCII are escaped.
pub(crate) fn text(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}
