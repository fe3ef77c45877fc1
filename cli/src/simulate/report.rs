//! The report of `relakit check` about one module.
//!
//! `--format json` prints these structures: a field's name is its key, and `None` is null. Keys are
//! only ever added. Names are escaped as in `relakit inspect`.

use crate::input::used::Used;
use crate::view::location::Location;
use crate::view::resolve::ResolvedRow;
use relakit_linux::findings::{Lint, Severity};
use serde::{Serialize, Serializer};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The path, as given.
    pub(crate) file: String,
    /// The module's name in the kernel.
    pub(crate) name: String,
    /// The Linux version that the user asked for.
    pub(crate) kernel: String,
    /// The oldest Linux version with the same rules.
    pub(crate) rules: &'static str,
    /// The worst verdict of the load, the steps, and what was not judged. The exit code is 0 only if
    /// it is "accepted".
    pub(crate) result: Verdict,
    /// The result of the load.
    #[serde(flatten)]
    pub(crate) load: Prediction,
    /// The result of each event, in order.
    pub(crate) steps: Vec<Step>,
    /// What was not judged, because the input is incomplete.
    pub(crate) not_judged: Vec<NotJudged>,
    /// Mistakes that the kernel does not notice, the worst first.
    pub(crate) findings: Vec<FindingRow>,
    /// Remarks about this run: assumptions, and missing input.
    pub(crate) notes: Vec<String>,
    /// The symbols of the kernel that the livepatch means.
    pub(crate) resolved: Vec<ResolvedRow>,
    /// How many more names are not listed in `resolved`.
    pub(crate) more_resolved: u64,
    /// What `--root` or `--modules` found.
    pub(crate) used: Option<Used>,
}

/// The result of a load or an event, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    #[default]
    Accepted,
    /// The input is not enough to predict the result. The message says why.
    #[serde(rename = "not judged")]
    NotJudged,
    /// The kernel returns an errno.
    Rejected,
    /// The kernel crashes, or uses memory that it must not use.
    Unsafe,
}

/// A step of the kernel's load or of an event (docs/linux-semantics.md, 2).
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The kernel checks the file.
    Validity,
    /// Sections get addresses.
    Layout,
    /// Symbols get values.
    Symbols,
    /// Ordinary relocations and livepatch relocations of vmlinux are applied.
    Relocation,
    /// Special sections are read.
    Finalize,
    /// The module appears in sysfs.
    Sysfs,
    /// The module's init function enables the livepatch.
    Init,
    /// Livepatches are applied to a module that is loaded.
    Coming,
    /// Livepatches are reverted in a module that is unloaded.
    Going,
}

/// What the kernel does at the load or at an event.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Prediction {
    pub(crate) verdict: Verdict,
    /// "EINVAL", ... if the verdict is "rejected".
    pub(crate) errno: Option<&'static str>,
    /// Where the load or the event ends, if it fails.
    pub(crate) phase: Option<Phase>,
    /// The decisive error in the kernel's terms.
    pub(crate) message: Option<String>,
    /// All errors, the decisive one first.
    #[serde(rename = "errors")]
    pub(crate) errors: Vec<ErrorRow>,
    /// What the livepatch applies at this step, if it applies something.
    pub(crate) applied: Option<Applied>,
}

/// Livepatch relocations that are written, and functions that are replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Applied {
    pub(crate) relocations: u64,
    pub(crate) functions: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Step {
    /// "live:x", "coming:x" or "going:x", or "load-first" for the load in a second simulation.
    pub(crate) event: String,
    #[serde(flatten)]
    pub(crate) prediction: Prediction,
}

/// Something that the verdicts do not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct NotJudged {
    /// What was not judged.
    pub(crate) what: String,
    /// What to give, so that it can be judged.
    pub(crate) give: String,
    /// Whether it is an object of the livepatch that no event loads.
    #[serde(skip)]
    pub(crate) is_object: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorRow {
    /// The name of the `relakit::ErrorKind`, or of the loader's check.
    pub(crate) kind: String,
    /// A sentence without numbers.
    pub(crate) message: String,
    #[serde(rename = "place")]
    pub(crate) location: Location,
    /// Names and values of the error's numbers.
    pub(crate) numbers: Vec<(&'static str, u64)>,
    /// More than the numbers, each a sentence.
    pub(crate) details: Vec<String>,
    /// What the kernel returns for this error.
    pub(crate) errno: Option<&'static str>,
    /// What to do, unless it is obvious.
    pub(crate) help: Option<String>,
    /// How many more errors of this kind are not listed. Only the last listed one has this number.
    pub(crate) more: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct FindingRow {
    #[serde(serialize_with = "name")]
    pub(crate) rule: Lint,
    #[serde(serialize_with = "severity")]
    pub(crate) severity: Severity,
    /// A sentence.
    pub(crate) message: String,
    #[serde(rename = "place")]
    pub(crate) location: Location,
    /// What the other location is, and where.
    pub(crate) other: Option<(&'static str, Location)>,
    /// Names and values of the finding's numbers.
    pub(crate) numbers: Vec<(&'static str, u64)>,
    /// More than the numbers: candidates with their addresses, the reader and its time, ...
    pub(crate) details: Vec<String>,
    /// What to do.
    pub(crate) help: String,
    /// How many more findings of this rule in this section are not listed. The last listed one of a
    /// rule also counts those in other sections.
    pub(crate) more: u64,
}

fn name<S: Serializer>(rule: &Lint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.name())
}

fn severity<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.name())
}

impl Prediction {
    /// The number of errors, with those that are not listed.
    pub(crate) fn count(&self) -> u64 {
        total(self.errors.iter().map(|error| error.more))
    }
}

impl Report {
    /// The load and all steps.
    pub(crate) fn predictions(&self) -> impl Iterator<Item = &Prediction> {
        std::iter::once(&self.load).chain(self.steps.iter().map(|step| &step.prediction))
    }

    /// Number, event and prediction of all steps in order: modules that were loaded before, the load
    /// (number 0), and the events after it.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (usize, &str, &Prediction)> {
        let steps = (1..).zip(&self.steps).map(|(number, step)| (number, &*step.event, &step.prediction));
        let (before, after): (Vec<_>, Vec<_>) = steps.partition(|(_, event, _)| event.starts_with("live:"));
        before.into_iter().chain([(0, "load", &self.load)]).chain(after)
    }

    /// The worst verdict of the load and the steps. It is at least "not judged" if something was
    /// not judged.
    pub(crate) fn worst(&self) -> Verdict {
        let least = if self.not_judged.is_empty() { Verdict::Accepted } else { Verdict::NotJudged };
        self.predictions().map(|prediction| prediction.verdict).fold(least, Verdict::max)
    }

    /// The number of findings with this severity, with those that are not listed.
    pub(crate) fn count(&self, severity: Severity) -> u64 {
        total(self.findings.iter().filter(|row| row.severity == severity).map(|row| row.more))
    }
}

/// The number of rows, with `more` that each row stands for.
pub(crate) fn total(more: impl Iterator<Item = u64>) -> u64 {
    more.map(|more| more.saturating_add(1)).fold(0, u64::saturating_add)
}
