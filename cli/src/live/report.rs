//! The report of `relakit live`.
//!
//! `--format json` prints these structures: a field's name is its key, and `None` is null.

use crate::simulate::report::{Phase, Prediction, Verdict};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Live {
    /// The directory that has proc and sys, as given.
    pub(crate) root: String,
    /// The release of the running kernel.
    pub(crate) release: String,
    /// The number of loaded modules.
    pub(crate) modules: usize,
    /// The loaded livepatches, in the order in which they were loaded.
    pub(crate) livepatches: Vec<PatchRow>,
    /// The loaded modules that a livepatch patches.
    pub(crate) patched_modules: Vec<String>,
    /// The worst verdict. Null if nothing was asked.
    pub(crate) result: Option<Verdict>,
    /// The predictions, in the order in which the loads and unloads happen.
    pub(crate) answers: Vec<Answer>,
    /// Mistakes of the livepatches that the kernel does not report.
    pub(crate) findings: Vec<Finding>,
    /// Assumptions, and missing input.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PatchRow {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// Whether tasks still change to or from the new functions.
    pub(crate) transition: bool,
    /// Whether it replaces all others. Null if the kernel does not tell.
    pub(crate) replace: Option<bool>,
    pub(crate) objects: Vec<ObjectRow>,
    /// The given file. Null if no file is given or it is not that of the loaded module.
    pub(crate) file: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ObjectRow {
    pub(crate) name: String,
    /// Whether the object is loaded and patched.
    pub(crate) patched: bool,
    pub(crate) functions: Vec<Function>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// As in /sys: 1 also for a name that is unique. Null if the kernel shows no number.
    pub(crate) sympos: Option<u64>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Load,
    Unload,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) action: Action,
    /// The module's name in the kernel.
    pub(crate) module: String,
    pub(crate) verdict: Verdict,
    pub(crate) errno: Option<&'static str>,
    pub(crate) phase: Option<Phase>,
    pub(crate) message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Finding {
    /// The livepatch.
    pub(crate) module: String,
    pub(crate) rule: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) message: String,
}

impl Action {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }
}

impl Answer {
    pub(super) fn new(action: Action, module: &str, prediction: &Prediction) -> Self {
        Self {
            action,
            module: module.to_owned(),
            verdict: prediction.verdict,
            errno: prediction.errno,
            phase: prediction.phase,
            message: prediction.message.clone(),
        }
    }

    /// Makes "accepted" another verdict, because of something that the simulation does not know.
    pub(super) fn unless_accepted(self, why: impl FnOnce() -> Option<Prediction>) -> Self {
        match (self.verdict, why()) {
            (Verdict::Accepted, Some(prediction)) => Self::new(self.action, &self.module, &prediction),
            _ => self,
        }
    }
}

impl Function {
    /// A name in /sys: the name of the function, a comma and the sympos.
    pub(super) fn new(directory: &str) -> Self {
        let parts = directory.rsplit_once(',');
        match parts.and_then(|(name, sympos)| Some((name, sympos.parse().ok()?))) {
            Some((name, sympos)) => Self { name: name.to_owned(), sympos: Some(sympos) },
            None => Self { name: directory.to_owned(), sympos: None },
        }
    }
}
