//! What the check found for each kernel, and which kernels have the same result.
//!
//! `--format json` prints these structures: a field's name is its key, and `None` is null.

use crate::diagnostics::{printable, sentence};
use crate::simulate::report::{Phase, Report, Verdict};
use relakit_linux::findings::{Lint, Severity};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most bytes of a message.
const MESSAGE: usize = 1024;

/// The result for a kernel, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The kernel accepts the file.
    Accepted,
    /// The file is built for another kernel. Everything passes that a new build does not change.
    Fits,
    #[serde(rename = "not judged")]
    NotJudged,
    Rejected,
    Unsafe,
}

impl Outcome {
    pub(crate) const ALL: [Self; 5] =
        [Self::Accepted, Self::Fits, Self::NotJudged, Self::Rejected, Self::Unsafe];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Fits => "fits",
            Self::NotJudged => "not judged",
            Self::Rejected => "rejected",
            Self::Unsafe => "unsafe",
        }
    }

    const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accepted => Self::Accepted,
            Verdict::NotJudged => Self::NotJudged,
            Verdict::Rejected => Self::Rejected,
            Verdict::Unsafe => Self::Unsafe,
        }
    }
}

/// An outcome and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// "load", or the event as on the command line.
    pub(crate) event: Option<String>,
    pub(crate) phase: Option<Phase>,
    pub(crate) errno: Option<&'static str>,
    pub(crate) message: Option<String>,
}

impl Answer {
    pub(super) const fn not_judged(why: String) -> Self {
        let outcome = Outcome::NotJudged;
        Self { outcome, event: None, phase: None, errno: None, message: Some(why) }
    }

    /// The worst result of the modules, which are loaded one after the other.
    pub(super) fn of(reports: &[Report]) -> Self {
        let worst = reports.iter().rev().max_by_key(|report| report.worst());
        let Some(report) = worst else { return Self::not_judged("there is no module".to_owned()) };
        let outcome = Outcome::of(report.worst());
        let mut answer = Self { outcome, event: None, phase: None, errno: None, message: None };
        let steps = report.steps.iter().map(|step| step.event.as_str());
        let mut all = report.predictions().zip(std::iter::once("load").chain(steps));
        match all.find(|(prediction, _)| prediction.verdict == report.worst()) {
            Some((prediction, event)) if outcome != Outcome::Accepted => {
                answer.event = Some(printable(event));
                answer.phase = prediction.phase;
                answer.errno = prediction.errno;
                answer.message = prediction.message.as_deref().map(|message| short(&in_folder(message)));
            }
            _ => {
                let missing = report.not_judged.first();
                let text = missing.map(|missing| format!("{}: {}", missing.what, missing.give));
                answer.message = text.map(|text| short(&in_folder(&text)));
            }
        }
        answer
    }
}

/// The options of a single check, in the words of a folder of a kernel set.
fn in_folder(text: &str) -> String {
    const PUT: [(&str, &str); 2] = [
        ("--symbols with the kallsyms or System.map of the kernel", "kallsyms or System.map"),
        ("--traceable with the kernel's available_filter_functions", "available_filter_functions"),
    ];
    let text = PUT.iter().fold(text.to_owned(), |text, (option, file)| text.replace(option, file));
    let words = text.split(' ').map(|word| match word.split_once("=FILE.ko") {
        Some((name, rest)) => format!("{name}.ko{rest}"),
        None => word.to_owned(),
    });
    let text = words.filter(|word| word != "--target").collect::<Vec<_>>().join(" ");
    text.replace("give ", "put into the folder: ")
}

fn short(message: &str) -> String {
    let mut text = sentence(&printable(message));
    if text.len() > MESSAGE {
        let end = (0..=MESSAGE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// A module that the livepatches patch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct ObjectRow {
    pub(crate) name: String,
    pub(crate) found: Found,
}

/// Where the symbols of a patched module come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Found {
    /// From the module's file.
    File,
    /// From kallsyms.
    Symbols,
    /// They are missing.
    Missing,
}

/// The findings of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct RuleRow {
    pub(crate) rule: &'static str,
    pub(crate) severity: &'static str,
    pub(crate) count: u64,
}

/// A kernel.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The name of the folder.
    pub(crate) folder: String,
    /// Null if it is not known.
    pub(crate) release: Option<String>,
    /// The oldest Linux version with the same rules.
    pub(crate) rules: Option<&'static str>,
    /// Whether vermagic of all checked modules names this release. Null if one of the two is not known.
    pub(crate) built_for: Option<bool>,
    /// The outcome that counts for the order and for the exit code.
    pub(crate) result: Outcome,
    /// What the kernel returns for the file as it is.
    pub(crate) file: Answer,
    /// What the file shows about a new build for this kernel. Null if it is built for this kernel.
    pub(crate) rebuilt: Option<Answer>,
    pub(crate) objects: Vec<ObjectRow>,
    pub(crate) findings: Vec<RuleRow>,
    /// Whether this kernel makes the exit code 1.
    pub(crate) denied: bool,
    /// The number of its group, from 1.
    pub(crate) group: usize,
    /// Whether the result is that of a new build.
    #[serde(skip)]
    pub(crate) is_rebuilt: bool,
}

impl Row {
    /// The answer that counts.
    pub(crate) fn answer(&self) -> &Answer {
        self.rebuilt.as_ref().filter(|_| self.is_rebuilt).unwrap_or(&self.file)
    }
}

/// The kernels with the same result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Group {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) result: Outcome,
    pub(crate) file: Answer,
    pub(crate) rebuilt: Option<Answer>,
    pub(crate) objects: Vec<ObjectRow>,
    pub(crate) findings: Vec<RuleRow>,
    /// The names of the folders.
    pub(crate) kernels: Vec<String>,
}

/// All kernels.
#[derive(Debug, Serialize)]
pub(crate) struct Set {
    /// The modules, as given.
    pub(crate) files: Vec<String>,
    /// The directory, as given.
    pub(crate) kernel_set: String,
    /// Whether the modules count as built for each kernel.
    pub(crate) any_vermagic: bool,
    /// The worst result.
    pub(crate) result: Outcome,
    /// The worst first.
    pub(crate) kernels: Vec<Row>,
    /// In the order of the rows.
    pub(crate) groups: Vec<Group>,
}

/// What rows of a group have in common. The release in a message is that of the row.
type Key<'r> = (Reverse<Outcome>, bool, Answer, Option<Answer>, &'r [ObjectRow], &'r [RuleRow]);

impl Set {
    /// Sorts the rows and groups them.
    pub(super) fn new(
        files: Vec<String>,
        kernel_set: String,
        any_vermagic: bool,
        mut rows: Vec<Row>,
    ) -> Self {
        let rebuilt = |row: &Row| row.rebuilt.as_ref().map(|answer| answer.outcome);
        rows.sort_by_cached_key(|row| {
            (Reverse(row.result), !row.denied, Reverse(rebuilt(row)), natural(&row.folder))
        });
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers = BTreeMap::new();
        for row in &rows {
            let number = *numbers.entry(key(row)).or_insert_with(|| {
                let (_, _, file, rebuilt, objects, findings) = key(row);
                groups.push(Group {
                    number: groups.len().saturating_add(1),
                    result: row.result,
                    file,
                    rebuilt,
                    objects: objects.to_vec(),
                    findings: findings.to_vec(),
                    kernels: Vec::new(),
                });
                groups.len()
            });
            if let Some(group) = number.checked_sub(1).and_then(|index| groups.get_mut(index)) {
                group.kernels.push(row.folder.clone());
            }
        }
        let of_rows: Vec<usize> =
            rows.iter().map(|row| numbers.get(&key(row)).copied().unwrap_or_default()).collect();
        rows.iter_mut().zip(of_rows).for_each(|(row, number)| row.group = number);
        let result = rows.first().map_or(Outcome::NotJudged, |row| row.result);
        Self { files, kernel_set, any_vermagic, result, kernels: rows, groups }
    }

    pub(super) fn is_denied(&self) -> bool {
        self.kernels.iter().any(|row| row.denied)
    }

    /// The number of kernels with this result.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.kernels.iter().filter(|row| row.result == outcome).count()
    }
}

fn key(row: &Row) -> Key<'_> {
    let plain = |answer: &Answer| {
        let release = row.release.as_deref().unwrap_or(&row.folder);
        let message = answer.message.as_ref().map(|text| text.replace(release, "RELEASE"));
        Answer { message: message.map(|text| text.replace(&row.folder, "FOLDER")), ..answer.clone() }
    };
    let rebuilt = row.rebuilt.as_ref().map(plain);
    (Reverse(row.result), !row.denied, plain(&row.file), rebuilt, &row.objects, &row.findings)
}

/// Text and numbers of a name in turn, so that 6.9 is before 6.10.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|first: char| first.is_ascii_digit()).unwrap_or(rest.len());
        let (text, number) = rest.split_at(digits);
        let end = number.find(|other: char| !other.is_ascii_digit()).unwrap_or(number.len());
        let (number, tail) = number.split_at(end);
        parts.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = tail;
    }
    parts
}

/// The findings of all reports, by rule.
pub(super) fn rules(reports: &[Report], is_shown: impl Fn(Lint) -> bool) -> Vec<RuleRow> {
    let mut rules: BTreeMap<(Reverse<Severity>, &'static str), u64> = BTreeMap::new();
    for row in reports.iter().flat_map(|report| &report.findings).filter(|row| is_shown(row.rule)) {
        let count = rules.entry((Reverse(row.severity), row.rule.name())).or_default();
        *count = count.saturating_add(row.more).saturating_add(1);
    }
    let rule = |((Reverse(severity), rule), count): (_, u64)| RuleRow {
        rule,
        severity: Severity::name(severity),
        count,
    };
    rules.into_iter().map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["6.10.1", "6.9.12", "6.9.2", "a", "6.9.2-b"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["6.9.2", "6.9.2-b", "6.9.12", "6.10.1", "a"]);
    }

    #[test]
    fn options_become_files_of_the_folder() {
        for (text, expected) in [
            (
                "the symbols of nfs are not known: give --target nfs=FILE.ko",
                "the symbols of nfs are not known: put into the folder: nfs.ko",
            ),
            (
                "give --traceable with the kernel's available_filter_functions",
                "put into the folder: available_filter_functions",
            ),
            ("vmlinux has no symbol f", "vmlinux has no symbol f"),
        ] {
            assert_eq!(in_folder(text), expected);
        }
    }
}
