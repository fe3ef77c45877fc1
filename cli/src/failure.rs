//! How a command fails.

use std::fmt::Display;
use std::path::Path;

/// The failures of a command. Each has its own exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The module has errors or denied findings. They were reported. Exit code 1.
    Module,
    /// The command line is invalid. Exit code 2, as for clap's own errors.
    Usage(String),
    /// A file cannot be read or written, or its content is invalid. Exit code 3.
    File(String),
}

impl Failure {
    pub(crate) fn file(path: &Path, error: impl Display) -> Self {
        Self::File(format!("{}: {error}", path.display()))
    }
}
