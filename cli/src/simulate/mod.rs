//! Simulates the kernel: loads a module, then loads and unloads target modules. The real passes run
//! on memory that is like the kernel's.

mod findings;
mod kernel_log;
pub(crate) mod layout;
pub(crate) mod memory;
mod prediction;
#[cfg(test)]
mod recorded;
pub(crate) mod report;
pub(crate) mod resolved;
mod seen;
mod special;
pub(crate) mod world;

use crate::input::kernel::Kernel;
use crate::view::names::{module_name, name_of_file};
use findings::{Findings, Late};
use memory::{ModuleMemory, State};
use prediction::Errors;
use relakit::Module;
use relakit_linux::findings::patched_names;
use relakit_linux::late::LinuxLate;
use relakit_linux::loader_check;
use report::{Phase, Prediction, Report, Step, Verdict};
use resolved::Resolved;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use world::World;

/// What happens to a module that the livepatch may patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is loaded before the livepatch.
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
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match self {
            Self::Live(_) => "live",
            Self::Coming(_) => "coming",
            Self::Going(_) => "going",
        };
        write!(f, "{event}:{}", self.module())
    }
}

/// Loads the module, runs the events, and reports what the kernel returns and what it does not
/// notice. `resolved` receives the results of the passes.
pub(crate) fn check(
    path: &Path,
    file: &[u8],
    kernel: &Kernel,
    mut world: World<'_>,
    events: &[Event],
    mut resolved: Option<&mut Resolved>,
) -> Report {
    let mut report = Report {
        file: path.display().to_string(),
        name: name_of_file(path),
        kernel: kernel.asked.clone(),
        rules: kernel.profile.name,
        load: Prediction::default(),
        steps: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    };
    world.set_version(kernel.version);
    let live = load_live(&mut world, events, &mut report.steps);
    let module = match Module::parse(file, kernel.profile) {
        Ok(module) => module,
        Err(error) => {
            report.load = Prediction::unreadable(&report.name, error, &kernel.profile);
            report.steps.extend(after(None, world, events));
            return report;
        }
    };
    report.name = module_name(&module, path);
    let name = report.name.clone();
    let mut findings = Findings::new(&module, kernel.version);
    let mut errors = Errors::new(&module, &name);
    errors.loader();
    findings.file();
    findings.sympos(&mut world);
    let assigned = world.area.assign(&module);
    let mut memory = match assigned.and_then(|sections| ModuleMemory::simulated(&module, &sections)) {
        Ok(memory) => memory,
        Err(reason) => {
            report.load = errors.finish_without(reason);
            report.steps.extend(after(None, world, events));
            report.findings = findings.finish();
            return report;
        }
    };
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
    let loaded = errors.early(&mut memory, &mut values, &mut world);
    if let Some(loaded) = &loaded {
        if let Some(resolved) = &mut resolved {
            resolved.early(&module, &memory, &values, kernel.version);
        }
        findings.values(&mut memory, &values, None);
        findings.ordering(loaded, &mut memory);
        findings.special(loaded, &mut memory, &mut errors);
    }
    let mut patch = Patch {
        module: &module,
        name: &name,
        late: LinuxLate::new(&module, &mut values),
        memory: &mut memory,
        enabled: loaded.is_some() && loader_check::enables_patch(&module),
        patched: patched_names(&module).collect(),
        resolved,
    };
    if patch.enabled {
        patch.memory.set_state(State::Coming);
        for name in live {
            let late = patch.coming(&name, Phase::Init, &mut world, &mut errors);
            findings.late(&late);
            findings.values(patch.memory, patch.late.values(), Some(&name));
        }
    }
    report.load = errors.finish();
    patch.memory.set_state(State::Live);
    patch.enabled &= report.load.verdict == Verdict::Accepted;
    report.steps.extend(after(Some((&mut patch, &mut findings)), world, events));
    report.findings = findings.finish();
    report
}

/// Loads the modules that are loaded before the livepatch. Returns the names of those that succeed.
fn load_live(world: &mut World<'_>, events: &[Event], steps: &mut Vec<Step>) -> Vec<String> {
    let mut live = Vec::new();
    for event in events.iter().filter(|event| matches!(event, Event::Live(_))) {
        let prediction = world.load(event.module());
        if prediction.verdict == Verdict::Accepted {
            let name = world.name_of(event.module());
            world.settle(&name);
            live.push(name);
        }
        steps.push(Step { event: event.to_string(), prediction });
    }
    live
}

/// Runs the events after the load. Without a livepatch, nothing is applied to loaded modules.
fn after(
    mut patch: Option<(&mut Patch<'_, '_>, &mut Findings<'_, '_>)>,
    mut world: World<'_>,
    events: &[Event],
) -> Vec<Step> {
    let (enoent, eexist, einval) = (2, 17, 22);
    let step = |event: &Event| {
        let given = event.module();
        let name = &*world.name_of(given);
        let prediction = match event {
            Event::Live(_) => return None,
            Event::Coming(_) if world.is_loaded(name) => {
                Prediction::refused(Phase::Validity, eexist, format!("{name}: is loaded already"))
            }
            Event::Coming(_) if name == "vmlinux" => {
                let message = "livepatch: a module must not have the name vmlinux".to_owned();
                Prediction::refused(Phase::Coming, einval, message)
            }
            Event::Coming(_) => coming(patch.as_mut(), &mut world, given),
            Event::Going(_) if !world.is_loaded(name) => {
                Prediction::refused(Phase::Going, enoent, format!("{name}: is not loaded"))
            }
            Event::Going(_) => {
                if let Some((patch, findings)) = &mut patch {
                    findings.late(&patch.going(name));
                }
                world.unload(name);
                Prediction::default()
            }
        };
        Some(Step { event: event.to_string(), prediction })
    };
    events.iter().filter_map(step).collect()
}

/// Loads a target module, applies the livepatch to it, and then ends its init function.
fn coming(
    patch: Option<&mut (&mut Patch<'_, '_>, &mut Findings<'_, '_>)>,
    world: &mut World<'_>,
    given: &str,
) -> Prediction {
    let known = world.is_known(given);
    let mut prediction = world.load(given);
    let name = &*world.name_of(given);
    if let (Some((patch, findings)), Verdict::Accepted) = (patch, prediction.verdict) {
        let mut errors = Errors::new(patch.module, patch.name);
        if patch.enabled {
            let late = patch.coming(name, Phase::Coming, world, &mut errors);
            if late.error.is_some() && !known {
                let reason = format!("the symbols of {name} are not known; use --target {name}=FILE.ko");
                return Prediction::not_judged(reason);
            }
            findings.late(&late);
            findings.sympos(world);
            findings.values(patch.memory, patch.late.values(), Some(name));
        }
        prediction = errors.finish();
    }
    match prediction.verdict {
        Verdict::Accepted => world.settle(name),
        _ => world.unload(name),
    }
    prediction
}

/// The livepatch in memory.
struct Patch<'a, 'f> {
    module: &'a Module<'f>,
    name: &'a str,
    late: LinuxLate<'a, 'f>,
    memory: &'a mut ModuleMemory,
    /// Whether its init function has enabled it.
    enabled: bool,
    /// The objects that it patches.
    patched: HashSet<&'f [u8]>,
    resolved: Option<&'a mut Resolved>,
}

impl Patch<'_, '_> {
    /// Applies the relocations of an object, if it is patched.
    fn coming(
        &mut self,
        name: &str,
        phase: Phase,
        world: &mut World<'_>,
        errors: &mut Errors<'_, '_>,
    ) -> Late {
        let mut late = Late { object: name.to_owned(), ..Late::default() };
        if !self.patched.contains(name.as_bytes()) {
            return late;
        }
        let mut all = Errors::new(self.module, self.name);
        let mut values = self.late.values().to_vec();
        let mut copy = LinuxLate::new(self.module, &mut values);
        copy.errors(name.as_bytes(), self.memory, world, &mut |error| all.add(phase, &error));
        let done = self.late.coming(name.as_bytes(), self.memory, world);
        if let Some(error) = done.error {
            errors.add(phase, &error);
            errors.append(all);
            late.left = done.written;
        }
        if let (Some(resolved), None) = (&mut self.resolved, done.error) {
            resolved.coming(name, self.late.values());
        }
        late.error = done.error;
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
