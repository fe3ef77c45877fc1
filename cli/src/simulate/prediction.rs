//! From errors to what the kernel returns.

use super::kernel_log;
use super::memory::ModuleMemory;
use super::report::{ErrorRow, Phase, Prediction, Verdict};
use super::seen::Seen;
use super::special::consequence;
use crate::view::error::help;
use crate::view::location::Location;
use crate::view::names::errno;
use relakit::{Error, ErrorKind, Loaded, Module, Profile, Resolver};
use relakit_linux::findings::{Defect, Lint};
use relakit_linux::late::Outcome;
use relakit_linux::loader_check::{LoaderCheck, LoaderFinding};
use relakit_linux::{late, loader_check};
use std::collections::{HashMap, HashSet};

/// Most errors of one kind and phase that are listed. docs/check.md has the same number.
const LISTED: u64 = 100;

/// Most addresses of symbols of one name that an error lists.
pub(super) const ADDRESSES: usize = 10;

/// Marks the numbers of lints, which are beside those of the loader's checks.
const SPECIAL: u32 = 1 << 31;

/// Collects the errors of a load or of an event.
pub(super) struct Errors<'m, 'f> {
    module: &'m Module<'f>,
    /// The module's name in the kernel's messages.
    name: &'m str,
    found: Vec<Found>,
    /// The number of errors of each kind, listed or not.
    counts: HashMap<Kind, u64>,
    seen: Seen,
    /// Whether the module counts as built for the kernel.
    as_if_built: bool,
}

/// The checks whose result a new build changes.
const OF_BUILD: [LoaderCheck; 5] = [
    LoaderCheck::VersionMagic,
    LoaderCheck::LayoutVersion,
    LoaderCheck::SymbolVersion,
    LoaderCheck::ThisModuleSize,
    LoaderCheck::ThisModuleOffsets,
];

/// A check that a module fails, with what only the tool knows.
pub(super) struct Check {
    check: LoaderCheck,
    /// A line of the kernel's log.
    message: String,
    location: Location,
    details: Vec<String>,
    help: Option<String>,
}

impl Check {
    pub(super) fn new(check: LoaderCheck, message: String, location: Option<Location>) -> Self {
        let location = location.unwrap_or_default();
        Self { check, message, location, details: Vec::new(), help: None }
    }

    pub(super) const fn check(&self) -> LoaderCheck {
        self.check
    }

    pub(super) fn detail(mut self, detail: String) -> Self {
        self.details.push(detail);
        self
    }

    pub(super) fn help(mut self, help: String) -> Self {
        self.help = Some(help);
        self
    }
}

/// Errors of one kind are counted together: phase, and kind of error or check of the loader.
type Kind = (Phase, Option<i32>, Option<u32>);

/// Two errors with the same identity are the same: kind and numbers, and the location.
type Identity = ([u64; 4], Option<u32>, Option<u64>, Option<u32>, Option<u32>);

struct Found {
    kind: Kind,
    identity: Identity,
    outcome: Outcome,
    message: String,
    row: ErrorRow,
}

impl Prediction {
    /// For a file that is not a module.
    pub(super) fn unreadable(name: &str, error: Error, profile: &Profile) -> Self {
        predict(vec![found(None, name, Phase::Validity, &error, profile)], &HashMap::new())
    }

    /// For an event that the kernel refuses for every module.
    pub(crate) fn refused(phase: Phase, errno_number: i32, message: String) -> Self {
        Self {
            verdict: Verdict::Rejected,
            errno: errno(errno_number),
            phase: Some(phase),
            message: Some(message),
            errors: Vec::new(),
            applied: None,
        }
    }

    pub(crate) fn not_judged(reason: String) -> Self {
        Self { verdict: Verdict::NotJudged, message: Some(reason), ..Self::default() }
    }
}

impl<'m, 'f> Errors<'m, 'f> {
    pub(super) fn new(module: &'m Module<'f>, name: &'m str) -> Self {
        let (counts, seen) = (HashMap::new(), Seen::default());
        Self { module, name, found: Vec::new(), counts, seen, as_if_built: false }
    }

    /// Ignores from now on what a new build for the kernel changes: versions, CRCs, `struct module` and
    /// the entries of special sections.
    pub(super) const fn set_as_if_built(&mut self, as_if_built: bool) {
        self.as_if_built = as_if_built;
    }

    /// Adds the errors of the loader's checks before relocation.
    pub(super) fn loader(&mut self) {
        let module = self.module;
        loader_check::loader(module, &mut |error| self.add_loader_error(&error));
        let object = module.object();
        let mut sorted: Vec<u32> = object.sections().map(|(index, _)| index).collect();
        sorted
            .sort_by_cached_key(|index| object.section(*index).map(|section| object.section_name(&section)));
        loader_check::same_names(module, &sorted, &mut |error| self.add_loader_error(&error));
    }

    /// Runs the early pass, and adds its errors.
    pub(super) fn early(
        &mut self,
        memory: &mut ModuleMemory,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
    ) -> Option<Loaded<'f>> {
        let module = self.module;
        let mut add = |error: Error| self.add(early_phase(error.kind), &error);
        match module.assign(memory).and_then(|placed| placed.assume_filled().early(values, resolver)) {
            Ok(loaded) => return Some(loaded),
            Err(first) => add(first),
        }
        // This fails only for a reason that was already added.
        if let Ok(placed) = module.assign(memory) {
            let _ = placed.assume_filled().errors(values, resolver, &mut add);
        }
        None
    }

    pub(super) fn add(&mut self, phase: Phase, error: &Error) {
        let kind = (phase, Some(error.kind as i32), None);
        if self.seen.is_new(identity(error)) && self.count(kind, 1) {
            self.found.push(found(Some(self.module), self.name, phase, error, self.module.profile()));
        }
    }

    fn add_loader_error(&mut self, error: &LoaderFinding) {
        let found = loader_error(self.module, self.name, error);
        if self.count(found.kind, 1) {
            self.found.push(found);
        }
    }

    pub(super) fn check(&mut self, phase: Phase, check: Check) {
        if self.as_if_built && OF_BUILD.contains(&check.check) {
            return;
        }
        let found = check_error(phase, check);
        if self.seen.is_new((found.kind, &found.message, found.row.location.offset))
            && self.count(found.kind, 1)
        {
            self.found.push(found);
        }
    }

    /// Adds a mistake with which Linux crashes.
    pub(super) fn crash(&mut self, phase: Phase, lint: Lint, message: String, location: Location) {
        let found = crash_error(phase, lint, message, location, None);
        if self.seen.is_new(found.identity) && self.count(found.kind, 1) {
            self.found.push(found);
        }
    }

    /// Adds a mistake in a special section with which Linux crashes.
    pub(super) fn special(&mut self, defect: &Defect) {
        if self.as_if_built {
            return;
        }
        let found = special_error(self.module, self.name, defect);
        if self.count(found.kind, 1) {
            self.found.push(found);
        }
    }

    pub(super) const fn module(&self) -> &'m Module<'f> {
        self.module
    }

    /// The rows of the errors.
    pub(super) fn rows(&mut self) -> impl Iterator<Item = &mut ErrorRow> {
        self.found.iter_mut().map(|found| &mut found.row)
    }

    /// Adds other errors of the same module.
    pub(super) fn append(&mut self, other: Errors<'_, '_>) {
        for found in other.found {
            if self.seen.is_new(found.identity) && self.count(found.kind, 1) {
                self.found.push(found);
            }
        }
        for (kind, count) in other.counts {
            self.count(kind, count.saturating_sub(LISTED));
        }
    }

    /// Counts errors. Returns whether the first of them is listed.
    fn count(&mut self, kind: Kind, errors: u64) -> bool {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(errors);
        *count <= LISTED
    }

    pub(super) fn finish(self) -> Prediction {
        predict(self.found, &self.counts)
    }

    /// The prediction if the passes cannot be simulated for this reason.
    pub(super) fn finish_without(self, reason: String) -> Prediction {
        match self.found.is_empty() {
            true => Prediction::not_judged(reason),
            false => self.finish(),
        }
    }
}

/// The first error of the earliest phase is decisive.
fn predict(mut found: Vec<Found>, counts: &HashMap<Kind, u64>) -> Prediction {
    let phase = |found: &Found| found.kind.0;
    found.sort_by_key(phase);
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert((found.message.clone(), format!("{:?}", found.row.location))));
    // The last listed error of a kind has the number of those that are not listed.
    let mut more: HashMap<Kind, u64> =
        counts.iter().map(|(kind, count)| (*kind, count.saturating_sub(LISTED))).collect();
    for found in found.iter_mut().rev() {
        found.row.more = more.remove(&found.kind).unwrap_or(0);
    }
    let Some(first) = found.first() else { return Prediction::default() };
    let verdict = match first.outcome {
        Outcome::Refused(_) => Verdict::Rejected,
        Outcome::Unsafe => Verdict::Unsafe,
    };
    Prediction {
        verdict,
        errno: errno_of(first.outcome),
        phase: Some(phase(first)),
        message: Some(first.message.clone()),
        errors: found.into_iter().map(|found| found.row).collect(),
        applied: None,
    }
}

const fn errno_of(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Refused(number) => errno(number),
        Outcome::Unsafe => None,
    }
}

const fn early_phase(kind: ErrorKind) -> Phase {
    match kind {
        ErrorKind::UnknownSymbol
        | ErrorKind::CommonSymbol
        | ErrorKind::SymbolSection
        | ErrorKind::BadSymbolName => Phase::Symbols,
        _ => Phase::Relocation,
    }
}

fn identity(error: &Error) -> Identity {
    let kind = u64::from((error.kind as i32).cast_unsigned());
    let numbers = [kind, error.offset, error.value, error.limit];
    (numbers, error.section, error.entry, error.r_type, error.symbol)
}

fn found(module: Option<&Module<'_>>, name: &str, phase: Phase, error: &Error, profile: &Profile) -> Found {
    let outcome = late::outcome(error.kind, profile);
    let location = Location::of_error(module, error);
    Found {
        kind: (phase, Some(error.kind as i32), None),
        identity: identity(error),
        outcome,
        message: kernel_log::message(name, error, &location),
        row: ErrorRow {
            kind: format!("{:?}", error.kind),
            message: error.kind.to_string(),
            location,
            numbers: error.numbers().filter(|(name, _)| *name != "offset").collect(),
            details: Vec::new(),
            errno: errno_of(outcome),
            help: help(error).map(str::to_owned),
            more: 0,
        },
    }
}

fn loader_error(module: &Module<'_>, name: &str, error: &LoaderFinding) -> Found {
    let location = Location::of_section(module, error.section);
    let of = location.section_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let message = format!("{name}: {}{of}", error.check.message().to_string_lossy());
    check_error(phase_of(error.check), Check::new(error.check, message, Some(location)))
}

/// The phase of a check, unless it is made again when a patched module is loaded.
pub(super) const fn phase_of(check: LoaderCheck) -> Phase {
    match check.phase() {
        loader_check::Phase::Validity => Phase::Validity,
        loader_check::Phase::Layout => Phase::Layout,
        loader_check::Phase::Symbols => Phase::Symbols,
        loader_check::Phase::Relocation => Phase::Relocation,
        loader_check::Phase::Sysfs => Phase::Sysfs,
        loader_check::Phase::Init => Phase::Init,
        loader_check::Phase::Going => Phase::Going,
    }
}

fn check_error(phase: Phase, Check { check, message, location, details, help }: Check) -> Found {
    let outcome = Outcome::Refused(check.errno());
    Found {
        kind: (phase, None, Some(check as u32)),
        identity: ([0; 4], location.section, location.offset, Some(check as u32), None),
        outcome,
        message,
        row: ErrorRow {
            kind: format!("{check:?}"),
            message: check.message().to_string_lossy().into_owned(),
            location,
            numbers: Vec::new(),
            details,
            errno: errno_of(outcome),
            help,
            more: 0,
        },
    }
}

/// The error row of a lint with which Linux crashes.
fn crash_error(phase: Phase, lint: Lint, message: String, location: Location, entry: Option<u64>) -> Found {
    let kind = (phase, None, Some(SPECIAL | lint as u32));
    Found {
        kind,
        identity: ([0; 4], location.section, entry, kind.2, None),
        outcome: Outcome::Unsafe,
        row: ErrorRow {
            kind: format!("{lint:?}"),
            message: lint.message().to_string_lossy().into_owned(),
            location,
            numbers: Vec::new(),
            details: Vec::new(),
            errno: None,
            help: Some(lint.help().to_string_lossy().into_owned()),
            more: 0,
        },
        message,
    }
}

fn special_error(module: &Module<'_>, name: &str, defect: &Defect) -> Found {
    let (finding, lint) = (&defect.finding, defect.finding.lint);
    let consequence = consequence(defect);
    let location = Location::new(module, finding.section, finding.entry, finding.symbol);
    let mut found =
        crash_error(Phase::Finalize, lint, format!("{name}: {consequence}"), location, finding.entry);
    found.row.message = format!("{}: {consequence}", found.row.message);
    found.row.numbers = finding.numbers().filter(|(name, _)| *name != "offset").collect();
    found
}
