//! What the kernel would return now.
//!
//! `simulate` does the loads and unloads, beginning with the loaded modules of kallsyms. This file adds
//! what the simulation cannot know: reference counts, transitions, and livepatches without a file.

use super::doubts::contradiction;
use super::file::PatchFile;
use super::refusals::EBUSY;
use super::report::{Action, Answer, Finding, Live};
use super::system::System;
use crate::args::LiveArgs;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::modules::depends;
use crate::input::symbols::Symbols;
use crate::input::traceable::Traceable;
use crate::progress::Progress;
use crate::scenario::patched_objects;
use crate::simulate::report::{Phase, Prediction, Report, Step};
use crate::simulate::world::{Target, Targets, World};
use crate::simulate::{self, Event, Given};
use crate::view::names::module_name;
use crate::view::patch::Patch;
use relakit::{Module, Profile, abi};
use relakit_linux::findings::{Lint, Severity};
use relakit_linux::loader_check::section_named;
use std::path::Path;

/// The findings about a loaded livepatch that an unload or a load can cause.
const OF_EVENTS: [Lint; 3] = [Lint::HalfApplied, Lint::NotCleared, Lint::NeverCleared];

/// A module that is to be loaded.
pub(super) struct New<'a> {
    pub(super) path: &'a Path,
    pub(super) name: String,
    pub(super) file: Vec<u8>,
}

/// What is known before the simulation.
pub(super) struct Question<'a> {
    pub(super) system: &'a System,
    pub(super) kernel: &'a Kernel,
    /// The files of loaded livepatches, in the order in which these were loaded.
    pub(super) loaded: Vec<PatchFile>,
    /// The livepatch of the question.
    pub(super) livepatch: Option<New<'a>>,
    /// The modules of `--load`.
    pub(super) load: Vec<New<'a>>,
    pub(super) unload: &'a [String],
}

/// Adds the answers to the report.
pub(super) fn answer(
    system: &System,
    args: &LiveArgs,
    live: &mut Live,
    progress: &Progress,
) -> Result<(), Failure> {
    progress.say("reading symbols");
    let symbols = system.symbols(&args.symbols)?;
    let traceable = args.traceable.as_deref().map(|path| Traceable::read(path, &symbols)).transpose()?;
    progress.say("reading modules");
    let mut kernel = Kernel::new(args.kernel.as_deref().unwrap_or(&system.release))?;
    // The release is that of the running kernel, whichever rules apply.
    kernel.release = Some(system.release.clone());
    live.notes.extend(kernel.note.clone());
    let profile = kernel.profile;
    let read = |path| New::read(path, profile);
    let mut loaded = Vec::new();
    for path in &args.loaded {
        loaded.push(PatchFile::read(path, system, &symbols, profile)?);
    }
    let position = |file: &PatchFile| system.livepatches.iter().position(|patch| patch.name == file.name);
    loaded.sort_by_key(position);
    for file in &loaded {
        let row = live.livepatches.iter_mut().find(|row| row.name == file.name);
        if let Some(row) = row.filter(|_| file.differs.is_none()) {
            row.file = Some(file.path.display().to_string());
        }
        let differs = file.differs.as_ref();
        live.notes.extend(
            differs.map(|why| format!("{} is not the loaded {}: {why}", file.path.display(), file.name)),
        );
    }
    let question = Question {
        system,
        kernel: &kernel,
        loaded,
        livepatch: args.livepatch.as_deref().map(read).transpose()?,
        load: args.load.iter().map(|path| read(path)).collect::<Result<_, _>>()?,
        unload: &args.unload,
    };
    progress.say("simulating");
    question.answer(&symbols, traceable.as_ref(), live);
    live.result = live.answers.iter().map(|answer| answer.verdict).max();
    Ok(())
}

impl<'a> New<'a> {
    fn read(path: &'a Path, profile: Profile) -> Result<Self, Failure> {
        let file = files::read_module(path)?;
        let name = match Module::parse(&file, profile) {
            Ok(module) => module_name(&module, path),
            Err(_) => files::name_of_file(path),
        };
        Ok(Self { path, name, file })
    }

    pub(super) fn has_crcs(&self, profile: Profile) -> bool {
        let module = Module::parse(&self.file, profile);
        module.is_ok_and(|module| section_named(&module, b"__versions").is_some())
    }

    pub(super) fn depends(&self, profile: Profile) -> Vec<String> {
        Module::parse(&self.file, profile).map(|module| depends(&module)).unwrap_or_default()
    }
}

impl Question<'_> {
    fn answer(&self, symbols: &Symbols, traceable: Option<&Traceable>, live: &mut Live) {
        // The kernel refuses these, whatever the livepatches are.
        let refused_livepatch = self.livepatch.as_ref().and_then(|new| self.cannot_come(new, false));
        let unload: Vec<_> = self.unload.iter().map(|name| (name, self.cannot_go(name))).collect();
        let goes = |name: &str| unload.iter().any(|(other, refused)| *other == name && refused.is_none());
        let load: Vec<_> =
            self.load.iter().map(|new| (new, self.cannot_come(new, goes(&new.name)))).collect();

        let (mut targets, mut events) = (Targets::new(), Vec::new());
        for (new, _) in load.iter().filter(|(_, refused)| refused.is_none()) {
            targets.insert(new.name.clone(), Target { file: new.file.clone(), name: new.name.clone() });
            // The file stands also for the module that goes before.
            events.extend(goes(&new.name).then(|| Event::Live(new.name.clone())));
        }
        let is_known = |name: &str| symbols.has(name.as_bytes()) || targets.contains_key(name);
        let simulated = unload.iter().filter(|(name, refused)| refused.is_none() && is_known(name));
        events.extend(simulated.map(|(name, _)| Event::Going((*name).clone())));
        let loads = load.iter().filter(|(_, refused)| refused.is_none());
        events.extend(loads.map(|(new, _)| Event::Coming(new.name.clone())));

        let mut given: Vec<_> = self
            .usable()
            .map(|file| Given { path: &file.path, file: &file.file, kernel: self.kernel })
            .collect();
        let count = given.len();
        let new = self.livepatch.as_ref().filter(|_| refused_livepatch.is_none());
        given.extend(new.map(|new| Given { path: new.path, file: &new.file, kernel: self.kernel }));
        let not_loaded =
            load.iter().map(|(new, _)| &*new.name).filter(|name| self.system.module(name).is_none());
        let mut world = World::new(self.kernel.profile, symbols, &targets, not_loaded);
        world.set_version(self.kernel.version);
        world.set_kernel(traceable, None);
        let (reports, steps) = match given.is_empty() {
            true => (Vec::new(), simulate::without_livepatches(&mut world, &events)),
            false => (simulate::check(&given, world, &events, None), Vec::new()),
        };
        let contradiction = contradiction(reports.get(..count).unwrap_or_default());

        if let Some(new) = &self.livepatch {
            let answer = match (&refused_livepatch, reports.get(count)) {
                (None, Some(report)) => self.load_answer(new, report, &events, live),
                (refused, _) => Answer::new(Action::Load, &new.name, &refused.clone().unwrap_or_default()),
            };
            live.answers.push(answer);
        }
        let step = |event: &Event| contradiction.clone().unwrap_or_else(|| worst(&reports, &steps, event));
        for (name, refused) in &unload {
            let prediction = refused.clone().unwrap_or_else(|| step(&Event::Going((*name).clone())));
            let answer = Answer::new(Action::Unload, name, &prediction);
            live.answers.push(answer.unless_accepted(|| self.needs_files(name)));
        }
        for (new, refused) in &load {
            let prediction = refused.clone().unwrap_or_else(|| step(&Event::Coming(new.name.clone())));
            let answer = Answer::new(Action::Load, &new.name, &prediction);
            let doubts = || {
                let unknown = self.needs_files(&new.name).or_else(|| self.unknown_build(new));
                unknown.or_else(|| self.unknown_past(&new.name, goes(&new.name)))
            };
            live.answers.push(self.with_dependencies(new, answer).unless_accepted(doubts));
        }
        self.findings(&reports, count, &events, live);
    }

    /// The load of the livepatch, with what the simulation cannot know.
    fn load_answer(&self, new: &New<'_>, report: &Report, events: &[Event], live: &mut Live) -> Answer {
        live.notes.extend(report.notes.iter().cloned());
        let comes = |name: &String| events.contains(&Event::Coming(name.clone()));
        let parsed = Module::parse(&new.file, self.kernel.profile).ok();
        let patched = parsed.as_ref().map(patched_objects).unwrap_or_default();
        for name in patched.iter().filter(|name| name.as_bytes() != abi::VMLINUX && !comes(name)) {
            if self.system.module(name).is_none() {
                live.notes.push(format!(
                    "{} is not loaded, so its functions are not checked; to check them, give --load {}.ko",
                    name.escape_default(),
                    name.escape_default()
                ));
            }
        }
        let tree = parsed.as_ref().and_then(|module| Patch::read(module).ok());
        let replaces = tree.as_ref().is_none_or(|tree| tree.replace != Some(false));
        if replaces && tree.as_ref().is_some_and(|tree| tree.replace == Some(true)) {
            let others: Vec<_> = self.system.livepatches.iter().map(|patch| patch.name.as_str()).collect();
            if !others.is_empty() {
                live.notes.push(format!("{} replaces {}", new.name, others.join(", ")));
            }
        }
        let has_states = tree.is_none_or(|tree| !tree.states.is_empty());
        let answer = Answer::new(Action::Load, &new.name, &report.load);
        let answer = self.with_dependencies(new, answer);
        answer.unless_accepted(|| {
            let loading =
                |name: &&String| self.system.module(name).is_some_and(|module| module.state != "Live");
            let unread = report.not_judged.iter().find(|missing| !missing.is_object);
            if let Some(name) = patched.iter().find(loading) {
                let name = name.escape_default();
                return Some(Prediction::not_judged(format!(
                    "{name} is being loaded or unloaded; ask again later"
                )));
            }
            if let Some(missing) = unread {
                return Some(Prediction::not_judged(format!("{}: {}", missing.what, missing.give)));
            }
            if let Some(patch) = self.without_file().next().filter(|_| replaces || has_states) {
                let why = format!("the states of {patch} are not known: give --loaded {patch}.ko");
                return Some(Prediction::not_judged(why));
            }
            if let Some(doubt) = self.unknown_build(new) {
                return Some(doubt);
            }
            let patch = self.system.transition()?;
            let why = format!("livepatch: the transition of {} is not finished", patch.name);
            Some(Prediction::refused(Phase::Init, EBUSY, why))
        })
    }

    /// Adds the findings: all of the new livepatch, and those of loaded ones that the events cause.
    fn findings(&self, reports: &[Report], loaded: usize, events: &[Event], live: &mut Live) {
        for (number, report) in reports.iter().enumerate() {
            let is_new = number >= loaded;
            let rows = report.findings.iter().filter(|row| {
                row.severity >= Severity::Warning
                    && (is_new || (!events.is_empty() && OF_EVENTS.contains(&row.rule)))
            });
            live.findings.extend(rows.map(|row| Finding {
                module: report.name.clone(),
                rule: row.rule.name(),
                severity: row.severity.name(),
                message: row.message.clone(),
            }));
        }
        live.findings.sort();
        live.findings.dedup();
    }
}

/// The worst prediction for an event.
fn worst(reports: &[Report], steps: &[Step], event: &Event) -> Prediction {
    let event = event.to_string();
    let all = reports.iter().flat_map(|report| &report.steps).chain(steps);
    let mut all: Vec<_> = all.filter(|step| step.event == event).map(|step| &step.prediction).collect();
    // The first of the worst.
    all.reverse();
    all.into_iter().max_by_key(|prediction| prediction.verdict).cloned().unwrap_or_default()
}
