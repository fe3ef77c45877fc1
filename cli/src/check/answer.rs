//! From faults to what the kernel answers.

use super::report::{Answer, Fault, Phase, Place, Verdict};
use super::terms;
use crate::faults;
use relakit::check::{self, LoaderFault, Outcome};
use relakit::{Error, ErrorKind, Loaded, Memory, Module, Profile, Resolver};
use std::collections::HashSet;

/// Gathers the faults of a load or of an event.
pub(crate) struct Answers<'m, 'f> {
    module: &'m Module<'f>,
    /// The module's name, for what the kernel says.
    name: &'m str,
    found: Vec<Found>,
}

/// A fault, and what the kernel makes of it.
struct Found {
    phase: Phase,
    outcome: Outcome,
    message: String,
    fault: Fault,
}

/// What the kernel answers to a file that cannot be read as a module.
pub(crate) fn unreadable(name: &str, error: Error, profile: &Profile) -> Answer {
    answer(vec![found(None, name, Phase::Validity, &error, profile)])
}

impl<'m, 'f> Answers<'m, 'f> {
    pub(crate) const fn new(module: &'m Module<'f>, name: &'m str) -> Self {
        Self { module, name, found: Vec::new() }
    }

    /// The rules that have nothing to do with relocations.
    pub(crate) fn loader(&mut self) {
        let module = self.module;
        let mut faults = Vec::new();
        check::loader(module, &mut |fault| faults.push(fault));
        let object = module.object();
        let mut sorted: Vec<u32> = object.sections().map(|(index, _)| index).collect();
        sorted.sort_by_key(|index| object.section(*index).map(|section| object.section_name(&section)));
        check::same_names(module, &sorted, &mut |fault| faults.push(fault));
        self.found.extend(faults.iter().map(|fault| loader_fault(module, self.name, fault)));
    }

    /// Places, fills and relocates the module.
    pub(crate) fn early<M: Memory + ?Sized>(
        &mut self,
        memory: &mut M,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
    ) -> Option<Loaded<'f>> {
        let loaded = early(self.module, memory, values, resolver);
        for error in loaded.as_ref().err().into_iter().flatten() {
            self.add(early_phase(error.kind), error);
        }
        loaded.ok()
    }

    /// One more fault.
    pub(crate) fn add(&mut self, phase: Phase, error: &Error) {
        self.found.push(found(Some(self.module), self.name, phase, error, self.module.profile()));
    }

    /// What comes of it: the first fault of the earliest phase decides.
    pub(crate) fn finish(self) -> Answer {
        answer(self.found)
    }
}

fn answer(mut found: Vec<Found>) -> Answer {
    found.sort_by_key(|found| found.phase);
    let mut seen = HashSet::new();
    found.retain(|found| seen.insert((found.message.clone(), format!("{:?}", found.fault.place))));
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
        faults: found.into_iter().map(|found| found.fault).collect(),
    }
}

/// An answer that is the kernel's whatever the module: it exists, it does not.
pub(crate) fn refused(phase: Phase, errno: i32, message: String) -> Answer {
    Answer {
        verdict: Verdict::Rejected,
        errno: errno_name(errno),
        phase: Some(phase),
        message: Some(message),
        faults: Vec::new(),
    }
}

/// Nothing can be said, and why.
pub(crate) fn not_judged(reason: String) -> Answer {
    Answer { verdict: Verdict::NotJudged, message: Some(reason), ..Answer::default() }
}

/// Every fault of the early pass, the one that stops it first.
fn early<'f, M: Memory + ?Sized>(
    module: &Module<'f>,
    memory: &mut M,
    values: &mut [u64],
    resolver: &mut dyn Resolver,
) -> Result<Loaded<'f>, Vec<Error>> {
    let one = |error| vec![error];
    let placed = module.place(memory).map_err(one)?;
    let filled = placed.fill().map_err(one)?;
    let mut errors = match filled.early(values, resolver) {
        Ok(loaded) => return Ok(loaded),
        Err(first) => vec![first],
    };
    let mut filled = module.place(memory).map_err(one)?.assume_filled();
    filled.faults(values, resolver, &mut |error| errors.push(error)).map_err(one)?;
    Err(errors)
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

fn found(module: Option<&Module<'_>>, name: &str, phase: Phase, error: &Error, profile: &Profile) -> Found {
    let outcome = check::outcome(error.kind, profile);
    let place = place(module, error);
    let errno = match outcome {
        Outcome::Refused(errno) => errno_name(errno),
        Outcome::Unsafe => None,
    };
    Found {
        phase,
        outcome,
        message: terms::message(name, error, &place),
        fault: Fault {
            kind: format!("{:?}", error.kind),
            message: error.kind.to_string(),
            place,
            numbers: faults::numbers(error).filter(|(name, _)| *name != "offset").collect(),
            errno,
            help: faults::help(error).map(str::to_owned),
        },
    }
}

fn loader_fault(module: &Module<'_>, name: &str, fault: &LoaderFault) -> Found {
    let sentence = fault.rule.message().to_string_lossy().into_owned();
    let mut at = Place::default();
    if let Some(section) = fault.section {
        at.section = Some(section);
        at.section_name = section_name(module, section);
    }
    let phase = match fault.rule.phase() {
        check::Phase::Validity => Phase::Validity,
        check::Phase::Layout => Phase::Layout,
        check::Phase::Sysfs => Phase::Sysfs,
        check::Phase::Init => Phase::Init,
    };
    let of = at.section_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    Found {
        phase,
        outcome: Outcome::Refused(fault.rule.errno()),
        message: format!("{name}: {sentence}{of}"),
        fault: Fault {
            kind: format!("{:?}", fault.rule),
            message: sentence,
            place: at,
            numbers: Vec::new(),
            errno: errno_name(fault.rule.errno()),
            help: None,
        },
    }
}

/// Where a fault is, with names.
pub(crate) fn place(module: Option<&Module<'_>>, error: &Error) -> Place {
    let mut place = Place {
        section: error.section,
        entry: error.entry,
        r_type: error.r_type.map(type_name),
        symbol: error.symbol,
        ..Place::default()
    };
    let Some(module) = module else { return place };
    let object = module.object();
    let section = error.section.and_then(|index| object.section(index));
    place.section_name = error.section.and_then(|index| section_name(module, index));
    if let (Some(section), true) = (section, error.entry.is_some()) {
        place.target = Some(section.info);
        place.target_name = section_name(module, section.info);
        place.offset = Some(error.offset);
    }
    place.symbol_name = error.symbol.and_then(|index| symbol_name(module, index));
    place
}

pub(crate) fn type_name(r_type: u32) -> String {
    relakit::reloc::type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned)
}

pub(crate) fn section_name(module: &Module<'_>, index: u32) -> Option<String> {
    let section = module.object().section(index)?;
    Some(faults::text(module.object().section_name(&section)))
}

/// A symbol's name; a section's symbol has that of its section.
pub(crate) fn symbol_name(module: &Module<'_>, index: u32) -> Option<String> {
    let table = module.object().symbols();
    let symbol = table.get(index)?;
    match table.name(index, &symbol).ok()? {
        b"" => section_name(module, u32::from(symbol.shndx)),
        name => Some(faults::text(name)),
    }
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
