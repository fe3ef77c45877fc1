//! Faults and findings of a report as one list, in the words that all formats for people share.

use super::report::{Answer, Fault, FindingRow, Phase, Report, SectionMemory, Step, Verdict};
use crate::inspect::names::shorten;
use relakit_linux::findings::Severity;
use std::collections::BTreeSet;

/// Most bytes of a name in a sentence.
const NAME: usize = 72;

/// A rule for what the kernel itself says, beside those for what it would not notice. The names are as stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelRule {
    Rejects,
    Unsafe,
    NotJudged,
}

impl KernelRule {
    pub(super) const ALL: [Self; 3] = [Self::Rejects, Self::Unsafe, Self::NotJudged];

    const fn of(fault: &Fault) -> Self {
        if fault.errno.is_some() { Self::Rejects } else { Self::Unsafe }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rejects => "kernel-rejects",
            Self::Unsafe => "kernel-unsafe",
            Self::NotJudged => "not-judged",
        }
    }

    pub(super) const fn severity(self) -> Severity {
        match self {
            Self::Rejects | Self::Unsafe => Severity::Error,
            Self::NotJudged => Severity::Warning,
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Rejects => "the kernel refuses the module, or another one because of it",
            Self::Unsafe => "the kernel does not look, and reads or writes where it must not",
            Self::NotJudged => "what was given is not enough to say what the kernel would do",
        }
    }

    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::Rejects => "mend what the message names: the module cannot be used as it is",
            Self::Unsafe => "mend what the message names, and do not load the module",
            Self::NotJudged => "give the file or the symbols that the message asks for",
        }
    }
}

/// A fault or a finding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'r> {
    pub(super) severity: Severity,
    /// The stable name.
    pub(super) rule: &'static str,
    pub(super) message: &'r str,
    /// The module at fault, where it is not the one that was checked but one that comes.
    pub(super) module: Option<&'r str>,
    /// "load" or the event; none for a finding.
    pub(super) event: Option<&'r str>,
    pub(super) place: Option<&'r SectionMemory>,
    pub(super) other: Option<(&'static str, &'r SectionMemory)>,
    pub(super) numbers: &'r [(&'static str, u64)],
    pub(super) errno: Option<&'static str>,
    pub(super) details: &'r [String],
    pub(super) help: Option<&'r str>,
    /// How many more are not listed.
    pub(super) more: u64,
}

/// All of a report: the load's errors, those of the steps, findings. What happens to a module after it failed follows
/// from that, and is said by the steps alone.
pub(super) fn items(report: &Report) -> impl Iterator<Item = Item<'_>> {
    let mut failed = BTreeSet::new();
    let first = report.steps.iter().filter(move |step| match step.answer.verdict {
        Verdict::Accepted | Verdict::NotJudged => true,
        Verdict::Rejected | Verdict::Unsafe => failed.insert(about(step)),
    });
    let steps = first.flat_map(|step| answer(&step.answer, &step.event, module(step)));
    answer(&report.answer, "load", None).chain(steps).chain(report.findings.iter().map(finding))
}

/// The module that comes or goes.
fn about(step: &Step) -> &str {
    step.event.split_once(':').map_or("", |(_, name)| name)
}

/// A step's errors are the livepatch's when it was applied, and before that those of the module that comes.
fn module(step: &Step) -> Option<&str> {
    let own = matches!(step.answer.phase, Some(Phase::Coming | Phase::Going));
    (!own).then(|| about(step))
}

/// The errors of an answer; where it has none and is not good either, its message.
fn answer<'r>(answer: &'r Answer, event: &'r str, module: Option<&'r str>) -> impl Iterator<Item = Item<'r>> {
    let bare = move |rule: KernelRule, message| Item {
        severity: rule.severity(),
        rule: rule.name(),
        message,
        module,
        event: Some(event),
        place: None,
        other: None,
        numbers: &[],
        errno: answer.errno,
        details: &[],
        help: None,
        more: 0,
    };
    let errors = answer.errors.iter().map(move |fault| Item {
        place: Some(&fault.place),
        numbers: &fault.numbers,
        errno: fault.errno,
        help: fault.help.as_deref(),
        more: fault.more,
        ..bare(KernelRule::of(fault), &fault.message)
    });
    let rule = match answer.verdict {
        Verdict::Accepted => None,
        Verdict::NotJudged => Some(KernelRule::NotJudged),
        Verdict::Rejected => Some(KernelRule::Rejects),
        Verdict::Unsafe => Some(KernelRule::Unsafe),
    };
    let alone = rule.filter(|_| answer.errors.is_empty());
    let alone = alone.map(|rule| bare(rule, answer.message.as_deref().unwrap_or(rule.message())));
    errors.chain(alone)
}

fn finding(row: &FindingRow) -> Item<'_> {
    Item {
        severity: row.severity,
        rule: row.rule.name(),
        message: &row.message,
        module: None,
        event: None,
        place: Some(&row.place),
        other: row.other.as_ref().map(|(what, place)| (*what, place)),
        numbers: &row.numbers,
        errno: None,
        details: &row.details,
        help: Some(&row.help),
        more: row.more,
    }
}

/// Where a rule is explained.
pub(super) fn page(rule: &str) -> String {
    format!("{}/blob/main/docs/findings/{rule}.md", env!("CARGO_PKG_REPOSITORY"))
}

/// A severity as compilers call it.
pub(super) const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// "section 41 .klp.rela.nfs..text, entry 3, into .text+0x40"; nothing where no place is known.
pub(super) fn place(place: &SectionMemory) -> String {
    let mut parts = Vec::new();
    match (place.section, &place.section_name) {
        (Some(index), Some(section)) if !section.is_empty() => {
            parts.push(format!("section {index} {}", name(section)));
        }
        (Some(index), _) => parts.push(format!("section {index}")),
        (None, _) => parts.extend(symbol(place)),
    }
    parts.extend(place.entry.map(|entry| format!("entry {entry}")));
    let target = match (&place.target_name, place.target) {
        (Some(target), _) if !target.is_empty() => Some(name(target)),
        (_, target) => target.map(|index| format!("section {index}")),
    };
    match (target, place.offset) {
        (Some(target), Some(offset)) => parts.push(format!("into {target}+{offset:#x}")),
        (Some(target), None) => parts.push(format!("into {target}")),
        (None, Some(offset)) => parts.push(format!("offset {offset:#x}")),
        (None, None) => {}
    }
    parts.join(", ")
}

/// "R_X86_64_PC32, symbol 93 .klp.sym.nfs.nfs_commit_inode,0": of what [`place`] does not say.
pub(super) fn relocation(place: &SectionMemory) -> Option<String> {
    let symbol = symbol(place).filter(|_| place.section.is_some());
    let parts: Vec<_> = place.r_type.clone().into_iter().chain(symbol).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn symbol(place: &SectionMemory) -> Option<String> {
    match (place.symbol?, place.symbol_name.as_deref()) {
        (index, None | Some("")) => Some(format!("symbol {index}")),
        (index, Some(symbol)) => Some(format!("symbol {index} {}", name(symbol))),
    }
}

/// "value 0x1000, largest 0xfff": addresses, bytes and flags in hexadecimal, counts and indices in decimal.
pub(super) fn numbers(numbers: &[(&'static str, u64)]) -> Option<String> {
    const COUNTED: [&str; 16] = [
        "position", "symbols", "sections", "section", "target", "length", "most", "entries", "bytes", "size",
        "left", "name", "index", "sh_info", "sh_link", "st_shndx",
    ];
    let number = |&(name, number): &(&'static str, u64)| {
        let is_counted = name.split(' ').any(|word| COUNTED.contains(&word.trim_end_matches("'s")));
        if is_counted { format!("{name} {number}") } else { format!("{name} {number:#x}") }
    };
    let numbers: Vec<_> = numbers.iter().map(number).collect();
    (!numbers.is_empty()).then(|| numbers.join(", "))
}

/// A sentence whose names may be as long as the file's author liked.
pub(super) fn sentence(text: &str) -> String {
    text.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

/// A name in a sentence.
pub(super) fn name(name: &str) -> String {
    shorten(name.to_owned(), NAME)
}

/// "1 error, 2 warnings": what there is, the worst first.
pub(super) fn counts(report: &Report) -> Option<String> {
    let count = |severity| {
        let of = items(report).filter(|item| item.severity == severity);
        let count = of.map(|item| item.more.saturating_add(1)).fold(0, u64::saturating_add);
        let plural = if count == 1 { "" } else { "s" };
        (count != 0).then(|| format!("{count} {}{plural}", level(severity)))
    };
    let all = [Severity::Error, Severity::Warning, Severity::Info];
    let counts: Vec<_> = all.into_iter().filter_map(count).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// "EINVAL at load (symbols)": where the first of the worst answers is, if there is any but good ones.
pub(super) fn decides(report: &Report) -> Option<(&Answer, String)> {
    let worst = report.worst();
    let steps = report.steps.iter().map(|step| (&step.answer, step.event.as_str()));
    let all = std::iter::once((&report.answer, "load")).chain(steps);
    let (answer, event) = all.into_iter().find(|(answer, _)| answer.verdict == worst)?;
    (worst != Verdict::Accepted).then(|| (answer, at(answer, event)))
}

fn at(answer: &Answer, event: &str) -> String {
    let errno = answer.errno.map(|errno| format!("{errno} ")).unwrap_or_default();
    let phase = match answer.phase {
        None | Some(Phase::Coming | Phase::Going) => String::new(),
        Some(phase) => format!(" ({})", phase_name(phase)),
    };
    format!("{errno}at {}{phase}", name(&printable(event)))
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::NotJudged => "not judged",
        Verdict::Rejected => "rejected",
        Verdict::Unsafe => "unsafe",
    }
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Validity => "validity",
        Phase::Layout => "layout",
        Phase::Symbols => "symbols",
        Phase::Relocation => "relocation",
        Phase::Sysfs => "sysfs",
        Phase::Init => "init",
        Phase::Coming => "coming",
        Phase::Going => "going",
    }
}

/// What the command line or a directory says, without what a terminal would take for a command.
pub(super) fn printable(text: &str) -> String {
    let printable = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(printable).collect()
}
