//! The life of a module: loaded, and then what comes and goes. The passes are run for real, in memory.

use super::answer::{self, Answers};
use super::findings::{Findings, Late};
use super::memory::{Simulated, State};
use super::picture::Known;
use super::report::{Answer, Phase, Report, Step, Verdict};
use super::world::World;
use crate::image;
use crate::{Failure, kernel};
use relakit::{Module, Profile};
use relakit_linux::late::LinuxLate;
use relakit_linux::{findings, loader_check};
use std::collections::HashSet;
use std::path::Path;

/// What happens to a module that the livepatch may patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It was loaded before.
    Live(String),
    /// It is loaded now.
    Coming(String),
    /// It is unloaded now.
    Going(String),
}

impl Event {
    pub(crate) fn module(&self) -> &str {
        match self {
            Self::Live(name) | Self::Coming(name) | Self::Going(name) => name,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Live(name) => format!("live:{name}"),
            Self::Coming(name) => format!("coming:{name}"),
            Self::Going(name) => format!("going:{name}"),
        }
    }
}

/// The kernel asked about.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// As asked for.
    pub(crate) asked: String,
    pub(crate) profile: Profile,
    /// Major and minor, for the special sections.
    pub(crate) version: (u16, u16),
}

impl Kernel {
    pub(crate) fn new(asked: &str) -> Result<Self, Failure> {
        let profile = kernel::profile(asked)?;
        let version = kernel::parse(asked).ok_or_else(|| {
            Failure::Usage(format!("--kernel {asked}: check asks what a version of Linux would say"))
        })?;
        Ok(Self { asked: asked.to_owned(), profile, version })
    }
}

/// A report with nothing in it yet.
pub(crate) fn empty(path: &Path, kernel: &Kernel) -> Report {
    Report {
        file: path.display().to_string(),
        name: image::name_of_file(path),
        kernel: kernel.asked.clone(),
        rules: kernel.profile.name,
        answer: Answer::default(),
        steps: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    }
}

/// Loads the module, lets the events happen, and tells what the kernel would say and what it would not notice.
pub(crate) fn check(
    path: &Path,
    file: &[u8],
    kernel: &Kernel,
    mut world: World<'_>,
    events: &[Event],
    mut known: Option<&mut Known>,
) -> Report {
    let mut report = empty(path, kernel);
    let mut live = Vec::new();
    for event in events.iter().filter(|event| matches!(event, Event::Live(_))) {
        let answer = world.load(event.module());
        if answer.verdict == Verdict::Accepted {
            let name = world.name_of(event.module());
            world.settle(&name);
            live.push(name);
        }
        report.steps.push(Step { event: event.text(), answer });
    }
    let module = match Module::parse(file, kernel.profile) {
        Ok(module) => module,
        Err(error) => {
            report.answer = answer::unreadable(&report.name, error, &kernel.profile);
            return after(None, world, events, report);
        }
    };
    report.name = image::module_name(&module, path);
    let mut findings = Findings::new(&module, kernel.version);
    let name = report.name.clone();
    let mut answers = Answers::new(&module, &name);
    answers.loader();
    let placed = world.area.place(&module).and_then(|places| Simulated::new(&module, &places));
    let mut memory = match placed {
        Ok(memory) => memory,
        Err(reason) => {
            findings.file();
            findings.sympos(&mut world);
            report.answer = answers.finish_without(reason);
            report = after(None, world, events, report);
            report.findings = findings.finish();
            return report;
        }
    };
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
    findings.file();
    findings.sympos(&mut world);
    let loaded = answers.early(&mut memory, &mut values, &mut world);
    if let Some(loaded) = &loaded {
        if let Some(known) = &mut known {
            known.early(&module, &memory, &values, kernel.version);
        }
        findings.values(&mut memory, &values, None);
        findings.ordering(loaded, &mut memory);
    }
    let mut patch = Patch {
        module: &module,
        name: &name,
        late: LinuxLate::new(&module, &mut values),
        memory: &mut memory,
        enabled: loaded.is_some() && loader_check::enables_patch(&module),
        patched: findings::patched_names(&module).collect(),
        known,
    };
    if patch.enabled {
        patch.memory.set_state(State::Coming);
        for name in live {
            let late = patch.coming(&name, Phase::Init, &mut world, &mut answers);
            findings.late(&late);
            findings.values(patch.memory, patch.late.values(), Some(&name));
        }
    }
    report.answer = answers.finish();
    patch.memory.set_state(State::Live);
    patch.enabled &= report.answer.verdict == Verdict::Accepted;
    report = after(Some((&mut patch, &mut findings)), world, events, report);
    report.findings = findings.finish();
    report
}

/// The events after the load. Without a patch nothing is applied to what comes.
fn after(
    mut patch: Option<(&mut Patch<'_, '_>, &mut Findings<'_, '_>)>,
    mut world: World<'_>,
    events: &[Event],
    mut report: Report,
) -> Report {
    for event in events {
        let given = event.module();
        let name = &*world.name_of(given);
        let answer = match event {
            Event::Live(_) => continue,
            Event::Coming(_) if world.is_loaded(name) => {
                answer::refused(Phase::Validity, 17, format!("{name}: is loaded already"))
            }
            Event::Coming(_) if name == "vmlinux" => answer::refused(
                Phase::Coming,
                22,
                "livepatch: a module must not be called vmlinux".to_owned(),
            ),
            Event::Coming(_) => coming(patch.as_mut(), &mut world, given),
            Event::Going(_) if !world.is_loaded(name) => {
                answer::refused(Phase::Going, 2, format!("{name}: is not loaded"))
            }
            Event::Going(_) => {
                if let Some((patch, findings)) = &mut patch {
                    findings.late(&patch.going(name));
                }
                world.unload(name);
                Answer::default()
            }
        };
        report.steps.push(Step { event: event.text(), answer });
    }
    report
}

/// A module comes: it is loaded, then the livepatch is applied to it, then its init is done.
fn coming(
    patch: Option<&mut (&mut Patch<'_, '_>, &mut Findings<'_, '_>)>,
    world: &mut World<'_>,
    given: &str,
) -> Answer {
    let known = world.is_known(given);
    let mut answer = world.load(given);
    let name = &*world.name_of(given);
    if let (Some((patch, findings)), Verdict::Accepted) = (patch, answer.verdict) {
        let mut answers = Answers::new(patch.module, patch.name);
        if patch.enabled {
            let late = patch.coming(name, Phase::Coming, world, &mut answers);
            // What no file or list tells cannot be judged.
            if late.fault.is_some() && !known {
                return answer::not_judged(format!(
                    "nothing is known of {name}: give --target {name}=FILE.ko"
                ));
            }
            findings.late(&late);
            findings.sympos(world);
            findings.values(patch.memory, patch.late.values(), Some(name));
        }
        answer = answers.finish();
    }
    match answer.verdict {
        Verdict::Accepted => world.settle(name),
        _ => world.unload(name),
    }
    answer
}

/// The livepatch in memory.
struct Patch<'a, 'f> {
    module: &'a Module<'f>,
    name: &'a str,
    late: LinuxLate<'a, 'f>,
    memory: &'a mut Simulated,
    /// Whether its init function has enabled it.
    enabled: bool,
    /// The objects that it patches.
    patched: HashSet<&'f [u8]>,
    /// Where to take down what is resolved.
    known: Option<&'a mut Known>,
}

impl Patch<'_, '_> {
    /// The livepatch core applies the relocations of an object, if it is one that is patched.
    fn coming(
        &mut self,
        name: &str,
        phase: Phase,
        world: &mut World<'_>,
        answers: &mut Answers<'_, '_>,
    ) -> Late {
        let mut late = Late { object: name.to_owned(), ..Late::default() };
        if !self.patched.contains(name.as_bytes()) {
            return late;
        }
        let mut all = Answers::new(self.module, self.name);
        let mut values = self.late.values().to_vec();
        let mut copy = LinuxLate::new(self.module, &mut values);
        copy.errors(name.as_bytes(), self.memory, world, &mut |error| all.add(phase, &error));
        let done = self.late.coming(name.as_bytes(), self.memory, world);
        if let Some(fault) = done.error {
            answers.add(phase, &fault);
            answers.append(all);
            late.left = done.written;
        }
        if let (Some(known), None) = (&mut self.known, done.error) {
            known.coming(name, self.late.values());
        }
        late.fault = done.error;
        late
    }

    fn going(&mut self, name: &str) -> Late {
        let mut late = Late { object: name.to_owned(), ..Late::default() };
        if self.enabled && self.patched.contains(name.as_bytes()) {
            self.late.going(name.as_bytes(), self.memory, &mut |error| late.not_cleared.push(error));
        }
        late
    }
}
