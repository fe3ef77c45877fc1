//! The events: modules that are loaded and unloaded beside the checked ones.

use super::Event;
use super::advice;
use super::evidence;
use super::load::Loaded;
use super::report::{Phase, Prediction, Step, Verdict};
use super::world::World;
use relakit::Module;
use relakit_linux::loader_check::LoaderCheck;

/// Loads the modules that are loaded before the checked ones.
pub(super) fn load_live(world: &mut World<'_>, events: &[Event]) -> Vec<Step> {
    let mut steps = Vec::new();
    for event in events.iter().filter(|event| matches!(event, Event::Live(_))) {
        let prediction = world.load(event.module());
        if prediction.is_done() {
            let name = world.name_of(event.module());
            world.settle(&name);
        }
        steps.push(Step { event: event.to_string(), prediction });
    }
    steps
}

/// Runs the events after the load, and adds their steps to the reports.
pub(super) fn run(modules: &mut [Loaded<'_, '_>], world: &mut World<'_>, events: &[Event]) {
    for event in events.iter().filter(|event| !matches!(event, Event::Live(_))) {
        let predictions = match refused(world, event) {
            Some(prediction) => vec![prediction; modules.len()],
            None if matches!(event, Event::Going(_)) => going(modules, world, event.module()),
            None => coming(modules, world, event.module()),
        };
        for (module, prediction) in modules.iter_mut().zip(predictions) {
            let prediction = module.after_crash(event.module()).unwrap_or(prediction);
            module.report.steps.push(Step { event: event.to_string(), prediction });
        }
    }
}

/// Runs the events if there is no livepatch.
pub(super) fn run_alone(world: &mut World<'_>, events: &[Event]) -> Vec<Step> {
    let mut steps = Vec::new();
    for event in events.iter().filter(|event| !matches!(event, Event::Live(_))) {
        let name = &*world.name_of(event.module());
        let prediction = match (refused(world, event), event) {
            (Some(prediction), _) => prediction,
            (None, Event::Going(_)) => {
                world.unload(name);
                Prediction::default()
            }
            (None, _) => {
                let prediction = world.load(event.module());
                match prediction.is_done() {
                    true => world.settle(name),
                    false => world.unload(name),
                }
                prediction
            }
        };
        steps.push(Step { event: event.to_string(), prediction });
    }
    steps
}

/// The prediction for an event that the kernel refuses, whatever the livepatches are.
fn refused(world: &World<'_>, event: &Event) -> Option<Prediction> {
    let refused = |check: LoaderCheck, phase, why: &str, name: &str| {
        Some(Prediction::refused(phase, check.errno(), format!("{name}: {why}")))
    };
    let name = &*world.name_of(event.module());
    let is_loaded = world.is_loaded(name);
    match event {
        Event::Coming(_) if is_loaded => {
            refused(LoaderCheck::LoadedAlready, Phase::Validity, "is loaded already", name)
        }
        Event::Coming(_) if name == "vmlinux" => {
            refused(LoaderCheck::NamedVmlinux, Phase::Coming, "a module must not have this name", name)
        }
        Event::Going(_) if !is_loaded => refused(LoaderCheck::NotLoaded, Phase::Going, "is not loaded", name),
        Event::Going(_) => {
            if let Some(user) = world.user_of(name) {
                return refused(LoaderCheck::InUse, Phase::Going, &format!("{user} uses it"), name);
            }
            let target = world.targets().values().find(|target| target.name == name)?;
            let module = Module::parse(&target.file, world.profile()).ok()?;
            let why = "it has an init function, but no exit function";
            evidence::cannot_go(&module).then(|| refused(LoaderCheck::NoExit, Phase::Going, why, name))?
        }
        Event::Live(_) | Event::Coming(_) => None,
    }
}

fn going(modules: &mut [Loaded<'_, '_>], world: &mut World<'_>, given: &str) -> Vec<Prediction> {
    let name = &*world.name_of(given);
    for (patch, findings) in modules.iter_mut().filter_map(|module| module.life.as_mut()) {
        patch.going(name, findings);
    }
    world.unload(name);
    vec![Prediction::default(); modules.len()]
}

/// Loads a target module, applies the livepatches to it in order, and then ends its init function.
fn coming(modules: &mut [Loaded<'_, '_>], world: &mut World<'_>, given: &str) -> Vec<Prediction> {
    let target = world.load(given);
    let name = &*world.name_of(given);
    let mut predictions = Vec::new();
    let mut refused: Option<Prediction> = None;
    for module in modules {
        let prediction = match (&refused, target.is_done()) {
            (Some(refused), _) => refused.clone(),
            (None, false) => target.clone(),
            (None, true) => apply(module, world, name, &target),
        };
        if target.is_done() && refused.is_none() && !prediction.is_done() {
            let message = Some(format!("{name}: {} refuses it", module.name()));
            refused = Some(Prediction { message, errors: Vec::new(), ..prediction.clone() });
        }
        predictions.push(prediction);
    }
    match target.is_done() && refused.is_none() {
        true => world.settle(name),
        false => world.unload(name),
    }
    predictions
}

/// Applies one livepatch to a module that is being loaded.
fn apply(module: &mut Loaded<'_, '_>, world: &mut World<'_>, name: &str, target: &Prediction) -> Prediction {
    let Some((patch, findings)) = &mut module.life else { return target.clone() };
    let mut errors = patch.errors();
    let Some(applied) = patch.coming(name, world, &mut errors, findings) else { return target.clone() };
    advice::add(&mut errors, world);
    let late = world.without_assumptions(errors.finish());
    let mut worse = if late.verdict > target.verdict { late } else { target.clone() };
    worse.applied = Some(applied).filter(|_| worse.verdict == Verdict::Accepted);
    worse
}
