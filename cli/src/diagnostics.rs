//! The errors and findings of a report as one list of diagnostics, as text and SARIF print them.

use crate::simulate::joined::LOAD_FIRST;
use crate::simulate::report::{
    ErrorRow, FindingRow, NotJudged, Phase, Prediction, Report, Step, Verdict, total,
};
use crate::view::error;
use crate::view::location::{Location, short};
use relakit::{Error, Module, Profile, abi};
use relakit_linux::findings::Severity;
use std::collections::BTreeSet;

/// The rules for errors of the kernel, beside the library's rules for findings. Their names are
/// stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelRule {
    Rejects,
    Unsafe,
    NotJudged,
}

impl KernelRule {
    pub(crate) const ALL: [Self; 3] = [Self::Rejects, Self::Unsafe, Self::NotJudged];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rejects => "kernel-rejects",
            Self::Unsafe => "kernel-unsafe",
            Self::NotJudged => "not-judged",
        }
    }

    pub(crate) const fn severity(self) -> Severity {
        match self {
            Self::Rejects | Self::Unsafe => Severity::Error,
            Self::NotJudged => Severity::Warning,
        }
    }

    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Rejects => "the kernel refuses the module, or another one because of it",
            Self::Unsafe => "the kernel crashes, or uses memory that it must not use",
            Self::NotJudged => "the input is not enough to predict what the kernel does",
        }
    }

    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Rejects => "correct what the message names: the module cannot be used as it is",
            Self::Unsafe => "correct what the message names, and do not load the module",
            Self::NotJudged => "add the file or the symbols that the message asks for",
        }
    }
}

/// An error or a finding.
#[derive(Clone, Debug)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    /// The stable name of the rule. Errors of `apply` and `inspect` have none.
    pub(crate) rule: Option<&'static str>,
    pub(crate) message: String,
    /// The module that has the error, if it is not the checked module.
    pub(crate) module: Option<String>,
    /// "load" or the event. Findings have none.
    pub(crate) event: Option<String>,
    pub(crate) location: Option<Location>,
    /// What the other location is, and where.
    pub(crate) other: Option<(&'static str, Location)>,
    pub(crate) numbers: Vec<(&'static str, u64)>,
    pub(crate) errno: Option<&'static str>,
    pub(crate) details: Vec<String>,
    pub(crate) help: Option<String>,
    /// How many more are not listed.
    pub(crate) more: u64,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, message: &str) -> Self {
        Self {
            severity,
            rule: None,
            message: message.to_owned(),
            module: None,
            event: None,
            location: None,
            other: None,
            numbers: Vec::new(),
            errno: None,
            details: Vec::new(),
            help: None,
            more: 0,
        }
    }

    /// An error of the library.
    pub(crate) fn of_error(module: Option<&Module<'_>>, error: &Error, profile: &Profile) -> Self {
        let location = Location::of_error(module, error);
        // The location includes the offset, unless there is no target.
        let is_shown = |name: &str| location.offset.is_none() || name != "offset";
        Self {
            numbers: error.numbers().filter(|(name, _)| is_shown(name)).collect(),
            location: Some(location),
            errno: error::errno(error, profile),
            help: error::help(error).map(str::to_owned),
            ..Self::new(Severity::Error, &error.kind.to_string())
        }
    }

    fn of_finding(row: &FindingRow) -> Self {
        Self {
            rule: Some(row.rule.name()),
            location: Some(row.location.clone()),
            other: row.other.clone(),
            numbers: row.numbers.clone(),
            details: row.details.clone(),
            help: Some(row.help.clone()),
            more: row.more,
            ..Self::new(row.severity, &row.message)
        }
    }

    fn of_row(row: &ErrorRow) -> Self {
        let rule = if row.errno.is_some() { KernelRule::Rejects } else { KernelRule::Unsafe };
        Self {
            rule: Some(rule.name()),
            location: Some(row.location.clone()),
            numbers: row.numbers.clone(),
            details: row.details.clone(),
            errno: row.errno,
            help: row.help.clone(),
            more: row.more,
            ..Self::new(rule.severity(), &row.message)
        }
    }

    fn of_not_judged(missing: &NotJudged) -> Self {
        Self {
            rule: Some(KernelRule::NotJudged.name()),
            help: Some(missing.give.clone()),
            ..Self::new(KernelRule::NotJudged.severity(), &format!("not judged: {}", missing.what))
        }
    }

    /// Whether another diagnostic differs only in its place and in what is known about it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let same = (self.severity, self.rule, self.errno) == (other.severity, other.rule, other.errno);
        let texts = (&self.message, &self.help) == (&other.message, &other.help);
        same && texts && (&self.module, &self.event) == (&other.module, &other.event)
    }

    /// What is known besides message, location and help, each in a line.
    pub(crate) fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        facts.extend(self.location.as_ref().and_then(Location::relocation));
        facts.extend(numbers(&self.numbers));
        facts.extend(self.details.iter().map(|detail| sentence(detail)));
        let event = self.event.as_ref().map(|event| format!("at {}", short(&printable(event))));
        let errno = self.errno.map(|errno| format!("Linux returns -{errno}"));
        let returned: Vec<_> = event.into_iter().chain(errno).collect();
        facts.extend((!returned.is_empty()).then(|| returned.join(", ")));
        facts.extend((self.more > 0).then(|| format!("and {} more like this", self.more)));
        facts
    }
}

/// All diagnostics of a report: errors of the load, errors of the steps, findings. If a module
/// fails, its later failures are consequences, and only the list of steps has them.
pub(crate) fn all(report: &Report) -> impl Iterator<Item = Diagnostic> {
    let mut failed = BTreeSet::new();
    let second = report.steps.iter().position(|step| step.event == LOAD_FIRST);
    let load = move |number: usize| match second.and_then(|at| Some((at, report.steps.get(at)?))) {
        Some((at, first)) if number > at => first.prediction.verdict,
        Some((at, _)) if number == at => Verdict::Accepted,
        _ => report.load.verdict,
    };
    // After an unsafe load, all steps are consequences.
    let steps = report.steps.iter().enumerate().filter(move |(number, _)| load(*number) != Verdict::Unsafe);
    let steps = steps.map(|(_, step)| step);
    let steps = steps.filter(move |step| match step.prediction.verdict {
        Verdict::Accepted | Verdict::NotJudged => true,
        Verdict::Rejected | Verdict::Unsafe => failed.insert(target_module(step)),
    });
    // The second simulation often has the result of the first one.
    let is_new = move |step: &&Step| {
        let known = (report.load.verdict, &report.load.message);
        step.event != LOAD_FIRST || (step.prediction.verdict, &step.prediction.message) != known
    };
    let steps = steps.filter(is_new);
    let steps = steps.flat_map(|step| errors(&step.prediction, &step.event, module_at_fault(step)));
    let not_judged = report.not_judged.iter().map(Diagnostic::of_not_judged);
    let findings = report.findings.iter().map(Diagnostic::of_finding);
    errors(&report.load, "load", None).into_iter().chain(steps).chain(not_judged).chain(findings)
}

/// The module that is loaded or unloaded.
fn target_module(step: &Step) -> &str {
    step.event.split_once(':').map_or("", |(_, name)| name)
}

/// In the late phases, the livepatch has the error; before them, the target module has it.
fn module_at_fault(step: &Step) -> Option<&str> {
    let late = matches!(step.prediction.phase, Some(Phase::Coming | Phase::Going));
    (!late && step.event != LOAD_FIRST).then(|| target_module(step))
}

/// The errors of a prediction. If it has none but is not "accepted", its message is a diagnostic.
fn errors(prediction: &Prediction, event: &str, module: Option<&str>) -> Vec<Diagnostic> {
    let rule = match prediction.verdict {
        Verdict::Accepted => None,
        Verdict::NotJudged => Some(KernelRule::NotJudged),
        Verdict::Rejected => Some(KernelRule::Rejects),
        Verdict::Unsafe => Some(KernelRule::Unsafe),
    };
    let alone = rule.filter(|_| prediction.errors.is_empty()).map(|rule| Diagnostic {
        rule: Some(rule.name()),
        errno: prediction.errno,
        ..Diagnostic::new(rule.severity(), prediction.message.as_deref().unwrap_or(rule.message()))
    });
    let errors = prediction.errors.iter().map(Diagnostic::of_row).chain(alone);
    let (event, module) = (Some(event.to_owned()), module.map(str::to_owned));
    errors.map(|error| Diagnostic { event: event.clone(), module: module.clone(), ..error }).collect()
}

/// The page that explains a rule.
pub(crate) fn page(rule: &str) -> String {
    format!("{}/blob/main/docs/findings/{rule}.md", env!("CARGO_PKG_REPOSITORY"))
}

/// A severity as compilers call it.
pub(crate) const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// "value 0x1000, largest 0xfff".
fn numbers(numbers: &[(&'static str, u64)]) -> Option<String> {
    let numbers: Vec<_> =
        numbers.iter().map(|(name, value)| format!("{name} {}", number(name, *value))).collect();
    (!numbers.is_empty()).then(|| numbers.join(", "))
}

/// A number of an error or a finding: addresses, offsets, flags and sizes of memory in hexadecimal;
/// counts, indices and lengths in decimal.
pub(crate) fn number(name: &str, value: u64) -> String {
    const COUNTED: [&str; 14] = [
        "sympos",
        "symbols",
        "sections",
        "section",
        "target",
        "length",
        "maximum",
        "entries",
        "entry",
        "field",
        "bytes",
        "relocations",
        "index",
        "e_shnum",
    ];
    /// Indices, or from `SHN_LORESERVE` on numbers with a meaning of their own (gABI 4).
    const INDICES: [&str; 4] = ["sh_info", "sh_link", "st_shndx", "e_shstrndx"];
    let is_any_of = |words: &[&str]| name.split(' ').any(|word| words.contains(&word));
    let is_memory = is_any_of(&["offset", "sh_flags"]) || name == "section size";
    match (is_any_of(&COUNTED) && !is_memory)
        || (is_any_of(&INDICES) && value < u64::from(abi::SHN_LORESERVE))
    {
        true => value.to_string(),
        false => format!("{value:#x}"),
    }
}

/// A sentence with shortened names, because names in a module can be long.
pub(crate) fn sentence(text: &str) -> String {
    text.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

/// "1 error, 2 warnings", the worst first.
pub(crate) fn counts(report: &Report) -> Option<String> {
    let count = |severity| {
        let of_severity = all(report).filter(|diagnostic| diagnostic.severity == severity);
        let count = total(of_severity.map(|diagnostic| diagnostic.more));
        let plural = if count == 1 { "" } else { "s" };
        (count != 0).then(|| format!("{count} {}{plural}", level(severity)))
    };
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    let counts: Vec<_> = severities.into_iter().filter_map(count).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// The first of the worst predictions, and where it is: "EINVAL at load (symbols)". `None` if all
/// are accepted.
pub(crate) fn decisive(report: &Report) -> Option<(&Prediction, String)> {
    let worst = report.worst();
    let steps = report.steps.iter().map(|step| step.event.as_str());
    let mut all = report.predictions().zip(std::iter::once("load").chain(steps));
    let (prediction, event) = all.find(|(prediction, _)| prediction.verdict == worst)?;
    (worst != Verdict::Accepted).then(|| (prediction, at(prediction, event)))
}

fn at(prediction: &Prediction, event: &str) -> String {
    let errno = prediction.errno.map(|errno| format!("{errno} ")).unwrap_or_default();
    let phase = match prediction.phase {
        None | Some(Phase::Coming | Phase::Going) => String::new(),
        Some(phase) => format!(" ({})", format!("{phase:?}").to_lowercase()),
    };
    format!("{errno}at {}{phase}", short(&printable(event)))
}

pub(crate) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::NotJudged => "not judged",
        Verdict::Rejected => "rejected",
        Verdict::Unsafe => "unsafe",
    }
}

/// Text of the command line or of a folder, without control characters.
pub(crate) fn printable(text: &str) -> String {
    let printable = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_offsets_and_sizes_are_hexadecimal_and_counts_are_decimal() {
        for (name, value, expected) in [
            ("value", 16, "0x10"),
            ("address", 16, "0x10"),
            ("section size", 131, "0x83"),
            ("size", 16, "0x10"),
            ("file offset", 16, "0x10"),
            ("offset in the section", 16, "0x10"),
            ("sh_flags", 16, "0x10"),
            ("target sh_flags", 16, "0x10"),
            ("field size", 16, "16"),
            ("entry size of this kernel", 16, "16"),
            ("remaining bytes", 16, "16"),
            ("symbols of that name", 16, "16"),
            ("written relocations", 16, "16"),
            ("symbol section", 16, "16"),
            ("sympos", 16, "16"),
            ("e_shnum", 16, "16"),
        ] {
            assert_eq!(number(name, value), expected, "{name}");
        }
    }

    #[test]
    fn an_index_is_decimal_up_to_the_reserved_ones() {
        for name in ["sh_info", "sh_link", "st_shndx", "e_shstrndx"] {
            assert_eq!(number(name, 0xfeff), "65279");
            assert_eq!(number(name, 0xff00), "0xff00");
        }
        assert_eq!(number("st_shndx", 0xff20), "0xff20");
    }
}
