//! The checks of Linux's loader and livepatch core. The library has their messages and errnos, and the
//! page kernel-rejects says what to do.

use crate::rules;
use crate::view::names::errno;
use relakit::{ErrorKind, Profile};
use relakit_linux::loader_check::{LoaderCheck, Phase};
use serde::Serialize;

/// A check that returns an errno.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The name, as in the key "kind" of the JSON of relakit check.
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) errno: &'static str,
    /// The phases of the load or of an event that make the check.
    pub(super) phase: &'static str,
    /// The first Linux version that makes it, if it is not in all versions that relakit knows.
    pub(super) since: Option<String>,
    /// What to do.
    #[serde(rename = "do")]
    pub(super) to_do: Option<&'static str>,
}

/// All checks, in the order of the page.
pub(super) fn all() -> Vec<Check> {
    let oldest = LoaderCheck::ALL.iter().map(|check| check.since()).min();
    let loader = LoaderCheck::ALL.iter().filter_map(|check| {
        let kind = format!("{check:?}");
        let (major, minor) = check.since();
        Some(Check {
            message: check.message().to_string_lossy().into_owned(),
            errno: errno(check.errno())?,
            phase: phase(*check),
            since: (Some(check.since()) != oldest).then(|| format!("{major}.{minor}")),
            to_do: cell(&kind),
            kind,
        })
    });
    let errors = ErrorKind::ALL.iter().filter_map(|error| {
        let kind = format!("{error:?}");
        Some(Check {
            message: error.to_string(),
            errno: errno(Profile::LINUX_DEFAULT.errno(*error))?,
            phase: phase_of_error(*error),
            since: None,
            to_do: cell(&kind),
            kind,
        })
    });
    loader.chain(errors).collect()
}

/// The check of a name. Upper and lower case are the same.
pub(super) fn find(name: &str) -> Option<Check> {
    all().into_iter().find(|check| check.kind.eq_ignore_ascii_case(name))
}

/// What the page says to do for these checks.
pub(super) fn to_do(kinds: &[&str]) -> Option<String> {
    let texts: Vec<_> = kinds.iter().filter_map(|kind| cell(kind)).collect();
    let mut letters = texts.join("; or ").chars().collect::<Vec<_>>().into_iter();
    let first = letters.next()?;
    Some(format!("{}{}.", first.to_uppercase(), letters.collect::<String>()))
}

/// The last cell of a check's row on the page.
fn cell(kind: &str) -> Option<&'static str> {
    let start = format!("| `{kind}` |");
    let row = rules::page("kernel-rejects")?.lines().find(|line| line.starts_with(&start))?;
    row.trim_end_matches(" |").rsplit(" | ").next()
}

const fn phase(check: LoaderCheck) -> &'static str {
    match check {
        // Linux makes these checks again when a patched module is loaded.
        LoaderCheck::FunctionNotFound
        | LoaderCheck::FunctionAmbiguous
        | LoaderCheck::FunctionSympos
        | LoaderCheck::FunctionNotTraced => "init, coming",
        LoaderCheck::NamedVmlinux => "coming",
        _ => match check.phase() {
            Phase::Validity => "validity",
            Phase::Layout => "layout",
            Phase::Symbols => "symbols",
            Phase::Relocation => "relocation",
            Phase::Sysfs => "sysfs",
            Phase::Init => "init",
            Phase::Going => "going",
        },
    }
}

/// Relocations of vmlinux are applied early, and those of modules in the init function or when the
/// module is loaded.
const fn phase_of_error(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadSymbolName
        | ErrorKind::SymbolSection
        | ErrorKind::CommonSymbol
        | ErrorKind::UnknownSymbol => "symbols",
        ErrorKind::BadKlpSectionName
        | ErrorKind::NotKlpSymbol
        | ErrorKind::BadKlpSymbolName
        | ErrorKind::VmlinuxFromModule
        | ErrorKind::KlpNotFound
        | ErrorKind::KlpAmbiguous
        | ErrorKind::KlpSympos
        | ErrorKind::NoRelocationBytes
        | ErrorKind::UnknownType
        | ErrorKind::Overflow
        | ErrorKind::TargetNotZero => "relocation, init, coming",
        ErrorKind::RelSection => "relocation",
        ErrorKind::NotAModule => "coming, going",
        _ => "validity",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_says_what_to_do() {
        let all = all();
        assert!(all.len() > LoaderCheck::ALL.len());
        for check in all {
            assert!(check.to_do.is_some_and(|text| !text.is_empty()), "{}", check.kind);
            assert_eq!(find(&check.kind.to_lowercase()), Some(check));
        }
        assert_eq!(find("NoSuchCheck"), None);
    }

    #[test]
    fn only_checks_that_not_every_version_makes_have_a_version() {
        assert_eq!(find("ManyModinfo").unwrap().since.as_deref(), Some("6.4"));
        assert_eq!(find("FunctionNotTraced").unwrap().since, None);
    }
}
