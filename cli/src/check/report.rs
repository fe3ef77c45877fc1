//! What `relakit check` tells of one module. `--format json` prints these structures as they stand here: a field's name
//! is its key, `Option` is null or the value. Keys are only ever added.
//!
//! Names are text, escaped as `relakit inspect` does.

use relakit_linux::findings::{Lint, Severity};
use serde::{Serialize, Serializer};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The path, as given.
    pub(crate) file: String,
    /// The module's own name, from .modinfo or else from the file's name.
    pub(crate) name: String,
    /// The Linux version asked for.
    pub(crate) kernel: String,
    /// The oldest Linux version with the rules that apply to it.
    pub(crate) rules: &'static str,
    /// What the kernel answers to the load.
    #[serde(flatten)]
    pub(crate) answer: Answer,
    /// What it answers to each event, in order.
    pub(crate) steps: Vec<Step>,
    /// What it would not notice, worst first.
    pub(crate) findings: Vec<FindingRow>,
    /// What a reader should know of the run itself: guesses, and what was not given.
    pub(crate) notes: Vec<String>,
}

/// What the kernel makes of a load or an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// It succeeds.
    #[default]
    Accepted,
    /// It cannot be said; the reason is with it.
    NotJudged,
    /// It fails, with an errno.
    Rejected,
    /// The kernel would read or write out of bounds, or crash.
    Unsafe,
}

/// A step of the kernel's load or of an event (Linux semantics 2).
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// The file is checked.
    Validity,
    /// Sections get their places.
    Layout,
    /// Symbols get their values.
    Symbols,
    /// Ordinary and vmlinux-specific relocations are applied.
    Relocation,
    /// The module appears in sysfs.
    Sysfs,
    /// The module's init function enables the patch.
    Init,
    /// Livepatches are applied to a module that comes.
    Coming,
    /// Livepatches are taken back from a module that goes.
    Going,
}

/// A verdict with all that belongs to it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    /// "EINVAL", ...; only where it is rejected.
    pub(crate) errno: Option<&'static str>,
    /// Where it ends, if it does not end well.
    pub(crate) phase: Option<Phase>,
    /// What happens, in the kernel's terms: of the fault that decides.
    pub(crate) message: Option<String>,
    /// Every fault, the one that decides first.
    pub(crate) errors: Vec<Fault>,
}

impl Answer {
    /// How many errors there are, with those that are not listed.
    pub(crate) fn count(&self) -> u64 {
        self.errors.iter().map(|fault| fault.more.saturating_add(1)).fold(0, u64::saturating_add)
    }
}

/// What happened at one event.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// "live:x", "coming:x" or "going:x".
    pub(crate) event: String,
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

/// What is wrong.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fault {
    /// The kind's name: of `relakit::ErrorKind`, or of the loader's other rules.
    pub(crate) kind: String,
    /// A sentence without numbers.
    pub(crate) message: String,
    pub(crate) place: SectionMemory,
    /// Names and values of the numbers at fault: the limit, what was there, ...
    pub(crate) numbers: Vec<(&'static str, u64)>,
    /// What the kernel answers to this one.
    pub(crate) errno: Option<&'static str>,
    /// What to do, where that is not plain.
    pub(crate) help: Option<String>,
    /// How many more of the same kind are not listed. Only the last that is listed of a kind has them.
    pub(crate) more: u64,
}

/// Where it is in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct SectionMemory {
    /// Section index: for a relocation the section that holds it.
    pub(crate) section: Option<u32>,
    pub(crate) section_name: Option<String>,
    /// Index of the relocation in it.
    pub(crate) entry: Option<u64>,
    /// psABI name of the relocation's type, or its number.
    pub(crate) r_type: Option<String>,
    /// Section index of what is relocated.
    pub(crate) target: Option<u32>,
    pub(crate) target_name: Option<String>,
    /// Offset in the target, in bytes.
    pub(crate) offset: Option<u64>,
    /// Index of the symbol.
    pub(crate) symbol: Option<u32>,
    pub(crate) symbol_name: Option<String>,
}

/// One finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FindingRow {
    /// The rule's stable name.
    #[serde(serialize_with = "name")]
    pub(crate) rule: Lint,
    #[serde(serialize_with = "severity")]
    pub(crate) severity: Severity,
    /// A sentence.
    pub(crate) message: String,
    pub(crate) place: SectionMemory,
    /// What the other place is, and where.
    pub(crate) other: Option<(&'static str, SectionMemory)>,
    /// Names and values of the finding's numbers.
    pub(crate) numbers: Vec<(&'static str, u64)>,
    /// More than the numbers say: candidates with their addresses, the reader and its time, ...
    pub(crate) details: Vec<String>,
    /// What to do.
    pub(crate) help: String,
    /// How many more of the same rule are not listed: in the same section, and with the last that is listed of a rule those
    /// in other sections.
    pub(crate) more: u64,
}

fn name<S: Serializer>(rule: &Lint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.name())
}

fn severity<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.name())
}

impl Report {
    /// The worst of the load's verdict and the steps'.
    pub(crate) fn worst(&self) -> Verdict {
        let steps = self.steps.iter().map(|step| step.answer.verdict);
        steps.fold(self.answer.verdict, Ord::max)
    }

    /// How many findings have this severity, with those that are not listed.
    pub(crate) fn count(&self, severity: Severity) -> u64 {
        let these = self.findings.iter().filter(|row| row.severity == severity);
        these.map(|row| row.more.saturating_add(1)).fold(0, u64::saturating_add)
    }
}
