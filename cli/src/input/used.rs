//! What `--root` and `--modules` found, as the report lists it.

use serde::Serialize;

/// The files that were found, in addition to those of the command line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Used {
    /// The release of the kernel, with `--root`.
    pub(crate) release: Option<String>,
    /// The directory of the modules.
    pub(crate) modules: String,
    /// Files with symbols.
    pub(crate) symbols: Vec<String>,
    /// Modules that are loaded in the simulation.
    pub(crate) targets: Vec<UsedFile>,
    /// How many more modules are not listed.
    pub(crate) more_targets: u64,
}

/// A module that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UsedFile {
    pub(crate) name: String,
    pub(crate) file: String,
}
