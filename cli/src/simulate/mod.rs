//! Simulates the kernel: loads a module, then loads and unloads target modules. The real passes run
//! on memory that is like the kernel's.

mod evidence;
mod findings;
mod init_calls;
mod kernel_log;
pub(crate) mod layout;
mod livepatch;
pub(crate) mod memory;
mod prediction;
#[cfg(test)]
mod recorded;
pub(crate) mod report;
pub(crate) mod resolved;
mod seen;
mod special;
mod traced;
pub(crate) mod world;

use crate::input::kernel::Kernel;
use crate::view::names::{module_name, name_of_file};
use findings::Findings;
use livepatch::Livepatch;
use memory::ModuleMemory;
use prediction::Errors;
use relakit::Module;
use relakit_linux::loader_check::LoaderCheck;
use report::{Phase, Prediction, Report, Step, Verdict};
use resolved::Resolved;
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
        not_judged: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    };
    world.set_version(kernel.version);
    load_live(&mut world, events, &mut report.steps);
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
    evidence::vermagic(&module, &name, kernel, &mut errors, &mut findings);
    evidence::imports(&module, &name, world.files(), &mut errors);
    for target in world.targets().values() {
        if let Ok(other) = Module::parse(&target.file, kernel.profile) {
            evidence::compare(&module, &name, (&other, &target.name), &mut errors, &mut findings);
        }
    }
    findings.file(&world);
    findings.sympos(&mut world);
    world.load_dependencies(&module);
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
        findings.init_symbols(&values, None, &world);
        findings.ordering(loaded, &mut memory);
        findings.special(loaded, &mut memory, &mut errors);
    }
    let mut patch = Livepatch::new(&module, &name, &mut values, &mut memory, loaded.is_some(), resolved);
    patch.enable(&mut world, &mut errors, &mut findings);
    errors.explain(&world);
    report.load = world.without_assumptions(errors.finish());
    let is_loaded = matches!(report.load.verdict, Verdict::Accepted | Verdict::NotJudged);
    if is_loaded {
        world.set_checked(&name, &module);
    }
    patch.enabled &= is_loaded;
    report.steps.extend(after(Some((&mut patch, &mut findings)), world, events));
    report.not_judged = patch.not_judged();
    report.findings = findings.finish();
    report
}

/// Loads the modules that are loaded before the livepatch.
fn load_live(world: &mut World<'_>, events: &[Event], steps: &mut Vec<Step>) {
    for event in events.iter().filter(|event| matches!(event, Event::Live(_))) {
        let prediction = world.load(event.module());
        if matches!(prediction.verdict, Verdict::Accepted | Verdict::NotJudged) {
            let name = world.name_of(event.module());
            world.settle(&name);
        }
        steps.push(Step { event: event.to_string(), prediction });
    }
}

/// Runs the events after the load. Without a livepatch, nothing is applied to loaded modules.
fn after(
    mut patch: Option<(&mut Livepatch<'_, '_>, &mut Findings<'_, '_>)>,
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
            Event::Going(_) if let Some(refused) = cannot_go(&world, name) => refused,
            Event::Going(_) => {
                if let Some((patch, findings)) = &mut patch {
                    patch.going(name, findings);
                }
                world.unload(name);
                Prediction::default()
            }
        };
        Some(Step { event: event.to_string(), prediction })
    };
    events.iter().filter_map(step).collect()
}

/// `delete_module`: a module that others use, or that has no exit function, cannot be unloaded.
fn cannot_go(world: &World<'_>, name: &str) -> Option<Prediction> {
    let refused = |check: LoaderCheck, message| Prediction::refused(Phase::Going, check.errno(), message);
    if let Some(user) = world.user_of(name) {
        return Some(refused(LoaderCheck::InUse, format!("{name}: {user} uses it")));
    }
    let target = world.targets().values().find(|target| target.name == name)?;
    let module = Module::parse(&target.file, world.profile()).ok()?;
    let message = || format!("{name}: it has an init function, but no exit function");
    evidence::cannot_go(&module).then(|| refused(LoaderCheck::NoExit, message()))
}

/// Loads a target module, applies the livepatch to it, and then ends its init function.
fn coming(
    patch: Option<&mut (&mut Livepatch<'_, '_>, &mut Findings<'_, '_>)>,
    world: &mut World<'_>,
    given: &str,
) -> Prediction {
    let mut prediction = world.load(given);
    let name = &*world.name_of(given);
    let is_loaded = matches!(prediction.verdict, Verdict::Accepted | Verdict::NotJudged);
    if let (Some((patch, findings)), true) = (patch, is_loaded) {
        let mut errors = patch.errors();
        if patch.coming(name, world, &mut errors, findings) {
            errors.explain(world);
            let late = world.without_assumptions(errors.finish());
            if late.verdict > prediction.verdict {
                prediction = late;
            }
        }
    }
    match prediction.verdict {
        Verdict::Accepted | Verdict::NotJudged => world.settle(name),
        _ => world.unload(name),
    }
    prediction
}
