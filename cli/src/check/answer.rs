//! From errors to what the kernel answers.

use super::memory::Simulated;
use super::report::{Answer, Fault, Phase, SectionMemory, Verdict};
use super::seen::Seen;
use super::terms;
use crate::errors;
use crate::inspect::names::shorten;
use relakit::{Error, ErrorKind, Loaded, Module, Profile, Resolver};
use relakit_linux::late::Outcome;
use relakit_linux::loader_check::LoaderFinding;
use relakit_linux::{late, loader_check};
use std::collections::{HashMap, HashSet};

/// Most errors of one kind and phase that are listed; the rest is counted. docs/check.md has the same number.
const LISTED: u64 = 100;
/// Most bytes of a name; what Linux knows is shorter. docs/check.md has the same number.
const NAME: usize = 1024;

/// Gathers the errors of a load or of an event.
pub(crate) struct Answers<'m, 'f> {
    module: &'m Module<'f>,
    /// The module's name, for what the kernel says.
    name: &'m str,
    found: Vec<Found>,
    /// How many there are of each kind.
    counts: HashMap<Kind, u64>,
    seen: Seen,
}

/// Faults that are counted together: phase, and kind of error or else rule of the loader.
type Kind = (Phase, Option<i32>, Option<u32>);

/// What tells a fault from another: kind and numbers, and the place.
type Identity = ([u64; 4], Option<u32>, Option<u64>, Option<u32>, Option<u32>);

/// A fault, and what the kernel makes of it.
struct Found {
    kind: Kind,
    identity: Identity,
    phase: Phase,
    outcome: Outcome,
    message: String,
    fault: Fault,
}

/// What the kernel answers to a file that cannot be read as a module.
pub(crate) fn unreadable(name: &str, error: Error, profile: &Profile) -> Answer {
    answer(vec![found(None, name, Phase::Validity, &error, profile)], &HashMap::new())
}

impl<'m, 'f> Answers<'m, 'f> {
    pub(crate) fn new(module: &'m Module<'f>, name: &'m str) -> Self {
        Self { module, name, found: Vec::new(), counts: HashMap::new(), seen: Seen::default() }
    }

    /// The rules that have nothing to do with relocations.
    pub(crate) fn loader(&mut self) {
        let module = self.module;
        loader_check::loader(module, &mut |fault| self.add_of_loader(&fault));
        let object = module.object();
        let mut sorted: Vec<u32> = object.sections().map(|(index, _)| index).collect();
        sorted
            .sort_by_cached_key(|index| object.section(*index).map(|section| object.section_name(&section)));
        loader_check::same_names(module, &sorted, &mut |fault| self.add_of_loader(&fault));
    }

    /// Relocates the module, which is in memory as the kernel has it then.
    pub(crate) fn early(
        &mut self,
        memory: &mut Simulated,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
    ) -> Option<Loaded<'f>> {
        let module = self.module;
        let mut add = |error: Error| self.add(early_phase(error.kind), &error);
        match module.assign(memory).and_then(|placed| placed.assume_filled().early(values, resolver)) {
            Ok(loaded) => return Some(loaded),
            Err(first) => add(first),
        }
        // This fails only as the other has failed.
        if let Ok(placed) = module.assign(memory) {
            let _ = placed.assume_filled().errors(values, resolver, &mut add);
        }
        None
    }

    /// One more fault.
    pub(crate) fn add(&mut self, phase: Phase, error: &Error) {
        if self.seen.is_new(identity(error)) && self.count(of_error(phase, error), 1) {
            self.found.push(found(Some(self.module), self.name, phase, error, self.module.profile()));
        }
    }

    fn add_of_loader(&mut self, fault: &LoaderFinding) {
        let found = loader_fault(self.module, self.name, fault);
        if self.count(found.kind, 1) {
            self.found.push(found);
        }
    }

    /// The errors of another, of the same module.
    pub(crate) fn append(&mut self, other: Answers<'_, '_>) {
        for found in other.found {
            if self.seen.is_new(found.identity) && self.count(found.kind, 1) {
                self.found.push(found);
            }
        }
        for (kind, count) in other.counts {
            self.count(kind, count.saturating_sub(LISTED));
        }
    }

    /// Counts errors; whether the first of them is to be listed.
    fn count(&mut self, kind: Kind, errors: u64) -> bool {
        let count = self.counts.entry(kind).or_default();
        *count = count.saturating_add(errors);
        *count <= LISTED
    }

    /// What comes of it: the first fault of the earliest phase decides.
    pub(crate) fn finish(self) -> Answer {
        answer(self.found, &self.counts)
    }

    /// What comes of it where the rest cannot be simulated, for this reason.
    pub(crate) fn finish_without(self, reason: String) -> Answer {
        match self.found.is_empty() {
            true => not_judged(reason),
            false => self.finish(),
        }
    }
}

/// `counts` has how many there are of each kind.
fn answer(mut found: Vec<Found>, counts: &HashMap<Kind, u64>) -> Answer {
    found.sort_by_key(|found| found.phase);
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert((found.message.clone(), format!("{:?}", found.fault.place))));
    // The last one listed of a kind tells how many are not.
    let mut more: HashMap<Kind, u64> =
        counts.iter().map(|(kind, count)| (*kind, count.saturating_sub(LISTED))).collect();
    for found in found.iter_mut().rev() {
        found.fault.more = more.remove(&found.kind).unwrap_or(0);
    }
    let Some(first) = found.first() else { return Answer::default() };
    let (verdict, errno) = match first.outcome {
        Outcome::Refused(errno) => (Verdict::Rejected, errno_name(errno)),
        Outcome::Unsafe => (Verdict::Unsafe, None),
    };
    Answer {
        verdict,
        errno,
        phase: Some(first.phase),
        message: Some(first.message.clone()),
        errors: found.into_iter().map(|found| found.fault).collect(),
    }
}

/// An answer that is the kernel's whatever the module: it exists, it does not.
pub(crate) fn refused(phase: Phase, errno: i32, message: String) -> Answer {
    Answer {
        verdict: Verdict::Rejected,
        errno: errno_name(errno),
        phase: Some(phase),
        message: Some(message),
        errors: Vec::new(),
    }
}

/// Nothing can be said, and why.
pub(crate) fn not_judged(reason: String) -> Answer {
    Answer { verdict: Verdict::NotJudged, message: Some(reason), ..Answer::default() }
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

const fn of_error(phase: Phase, error: &Error) -> Kind {
    (phase, Some(error.kind as i32), None)
}

fn identity(error: &Error) -> Identity {
    let kind = u64::from((error.kind as i32).cast_unsigned());
    let numbers = [kind, error.offset, error.value, error.limit];
    (numbers, error.section, error.entry, error.r_type, error.symbol)
}

fn found(module: Option<&Module<'_>>, name: &str, phase: Phase, error: &Error, profile: &Profile) -> Found {
    let outcome = late::outcome(error.kind, profile);
    let place = place(module, error);
    let errno = match outcome {
        Outcome::Refused(errno) => errno_name(errno),
        Outcome::Unsafe => None,
    };
    Found {
        kind: of_error(phase, error),
        identity: identity(error),
        phase,
        outcome,
        message: terms::message(name, error, &place),
        fault: Fault {
            kind: format!("{:?}", error.kind),
            message: error.kind.to_string(),
            place,
            numbers: errors::numbers(error).filter(|(name, _)| *name != "offset").collect(),
            errno,
            help: errors::help(error).map(str::to_owned),
            more: 0,
        },
    }
}

fn loader_fault(module: &Module<'_>, name: &str, fault: &LoaderFinding) -> Found {
    let sentence = fault.check.message().to_string_lossy().into_owned();
    let mut at = SectionMemory::default();
    if let Some(section) = fault.section {
        at.section = Some(section);
        at.section_name = section_name(module, section);
    }
    let phase = match fault.check.phase() {
        loader_check::Phase::Validity => Phase::Validity,
        loader_check::Phase::Layout => Phase::Layout,
        loader_check::Phase::Sysfs => Phase::Sysfs,
        loader_check::Phase::Init => Phase::Init,
    };
    let of = at.section_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Found {
        kind: (phase, None, Some(fault.check as u32)),
        identity: ([0; 4], fault.section, None, Some(fault.check as u32), None),
        phase,
        outcome: Outcome::Refused(fault.check.errno()),
        message: format!("{name}: {sentence}{of}"),
        fault: Fault {
            kind: format!("{:?}", fault.check),
            message: sentence,
            place: at,
            numbers: Vec::new(),
            errno: errno_name(fault.check.errno()),
            help: None,
            more: 0,
        },
    }
}

/// Where a fault is, with names.
pub(crate) fn place(module: Option<&Module<'_>>, error: &Error) -> SectionMemory {
    let mut place = SectionMemory {
        section: error.section,
        entry: error.entry,
        r_type: error.r_type.map(type_name),
        symbol: error.symbol,
        ..SectionMemory::default()
    };
    let Some(module) = module else { return place };
    let object = module.object();
    let section = error.section.and_then(|index| object.section(index));
    place.section_name = error.section.and_then(|index| section_name(module, index));
    if let (Some(section), true) = (section, error.entry.is_some()) {
        place.target = Some(section.sh_info);
        place.target_name = section_name(module, section.sh_info);
        place.offset = Some(error.offset);
    }
    place.symbol_name = error.symbol.and_then(|index| symbol_name(module, index));
    place
}

pub(crate) fn type_name(r_type: u32) -> String {
    relakit::arch::type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned)
}

pub(crate) fn section_name(module: &Module<'_>, index: u32) -> Option<String> {
    let section = module.object().section(index)?;
    Some(text(module.object().section_name(&section)))
}

/// A symbol's name; a section's symbol has that of its section.
pub(crate) fn symbol_name(module: &Module<'_>, index: u32) -> Option<String> {
    let table = module.object().symbols();
    let symbol = table.get(index)?;
    match table.name(&symbol).ok()? {
        b"" => section_name(module, u32::from(symbol.st_shndx)),
        name => Some(text(name)),
    }
}

/// Bytes of a name, printable, and no more of them than a report has room for.
fn text(name: &[u8]) -> String {
    shorten(errors::text(name), NAME)
}

/// The `errno` values that Linux's loader answers with.
fn errno_name(errno: i32) -> Option<&'static str> {
    match errno {
        2 => Some("ENOENT"),
        8 => Some("ENOEXEC"),
        17 => Some("EEXIST"),
        22 => Some("EINVAL"),
        _ => None,
    }
}
