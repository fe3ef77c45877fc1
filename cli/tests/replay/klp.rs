//! Livepatches: the recorded steps become late passes. Each recorded state is compared at the
//! relocated fields.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::compare::{Image, Spot, changed, differences, stray, within};
use super::layout::{Action, Step};
use super::plain::compare_early;
use super::run::{Pass, Run, apply, mentions, target_symbols};
use super::{Recording, Report, find};

/// The late passes that correspond to the recorded steps.
struct Script {
    passes: Vec<Pass>,
    /// The label of each recorded state, and the number of passes before it.
    states: Vec<(String, usize)>,
    /// The kernel refused the livepatch before its memory was recorded. The early pass must fail.
    early_refused: bool,
    /// The kernel refused the livepatch after that. One of the passes must fail.
    late_refused: bool,
    /// This pass, the last one, must fail. Counted from 1.
    refused: Option<usize>,
    /// The symbols of the modules after the livepatch was loaded.
    more_symbols: Option<PathBuf>,
    /// The folder of the generated symbol files.
    folder: TempDir,
}

/// Replays all recorded steps of a livepatch.
pub fn replay(recording: &Recording, report: &mut Report) {
    report.begin();
    let script = match Script::read(recording) {
        Ok(script) => script,
        Err(error) => return report.error(format!("{}: {error}", recording.title())),
    };
    let run = apply(recording, script.more_symbols.as_deref(), &script.passes);
    let mut error = |text: String| report.error(format!("{}: {text}", recording.title()));

    let refused = script.early_refused || script.late_refused || script.refused.is_some();
    let expected = i32::from(refused);
    if run.code() != Some(expected) {
        error(format!("exit code {:?}, expected {expected}: {}", run.code(), run.stderr()));
    }
    if refused && run.stderr().is_empty() {
        error("the error is not on standard error".to_owned());
    }
    if script.early_refused {
        if run.wrote("0-early") {
            error("0-early: written although the kernel refused the livepatch".to_owned());
        }
        return;
    }
    if let Some(step) = script.refused {
        let folder = script.output(step);
        if run.wrote(&folder) {
            error(format!("{folder}: written although the kernel refused the target"));
        }
    }
    if recording.layout.has_state("early") {
        compare_early(recording, "early", &run, report);
    }
    if script.late_refused {
        return;
    }
    compare_passes(recording, &script, &run, report);
    compare_states(recording, &script, &run, report);
}

/// Each pass writes only the fields of its own object.
fn compare_passes(recording: &Recording, script: &Script, run: &Run, report: &mut Report) {
    let mut before = run.image("0-early");
    for (i, pass) in script.passes.iter().enumerate().take(script.done()) {
        let folder = pass.folder(i.saturating_add(1));
        let after = run.image(&folder);
        let (Pass::Coming(object, _) | Pass::Going(object)) = pass;
        let fields = recording.module.late_fields(Some(object));
        if let Some(difference) = stray(&before, &after, &fields) {
            report.error(format!("{}: {folder}: not a field of {object}: {difference}", recording.title()));
        }
        before = after;
    }
}

/// In each recorded state, all late fields are as recorded, also those of objects that are not
/// loaded. From one state to the next, the same fields change.
fn compare_states(recording: &Recording, script: &Script, run: &Run, report: &mut Report) {
    let fields = recording.module.late_fields(None);
    let mut before: Option<(&str, Image, Image)> = None;
    for (label, passes) in &script.states {
        let recorded = recording.layout.state(label);
        let made = run.image(&script.output(*passes));
        let spots = within(fields.clone(), &recorded);
        let found = differences(&recorded, &made, &spots);
        for difference in &found {
            report.error(format!("{}: {label}: {difference}", recording.title()));
        }
        report.compared(spots.iter().map(Spot::size).sum());
        if !found.is_empty() {
            before = None;
            continue;
        }
        if let Some((from, recorded_before, made_before)) = &before {
            let by_kernel = changed(recorded_before, &recorded, &spots);
            let by_us = changed(made_before, &made, &spots);
            if by_kernel != by_us {
                let title = recording.title();
                report.error(format!(
                    "{title}: {from} to {label}: changed {by_us:x?}, in the kernel {by_kernel:x?}"
                ));
            }
        }
        before = Some((label, recorded, made));
    }
}

impl Script {
    /// The output folder after this number of passes.
    fn output(&self, passes: usize) -> String {
        match passes.checked_sub(1) {
            None => "0-early".to_owned(),
            Some(last) => self.passes[last].folder(passes),
        }
    }

    /// The number of passes that succeed.
    fn done(&self) -> usize {
        self.refused.map_or(self.passes.len(), |refused| refused.saturating_sub(1))
    }

    fn read(recording: &Recording) -> Result<Self, String> {
        let folder = TempDir::new().unwrap();
        let objects = recording.module.late_objects();
        let mut script = Self {
            passes: Vec::new(),
            states: Vec::new(),
            early_refused: false,
            late_refused: false,
            refused: None,
            more_symbols: None,
            folder,
        };
        let mut loaded_before: Vec<(&str, usize)> = Vec::new();
        let mut patched = false;
        for (i, step) in recording.layout.steps.iter().enumerate() {
            match &step.action {
                Action::Patch => {
                    patched = true;
                    if !loaded_before.is_empty() || recording.module.per_cpu_section().is_some() {
                        script.more_symbols = next_state(recording, i);
                    }
                    script.early_refused = step.errno != 0 && !recording.layout.has_state("early");
                    if script.early_refused {
                        break;
                    }
                    for (object, loaded) in
                        loaded_before.iter().filter(|(object, _)| objects.contains(object))
                    {
                        script.load(recording, object, &recording.layout.steps[*loaded], i, true)?;
                    }
                    script.late_refused = step.errno != 0 && !script.passes.is_empty();
                    if step.errno != 0 {
                        break;
                    }
                }
                Action::Load(object) if !patched => {
                    if step.errno == 0 {
                        loaded_before.push((object, i));
                    }
                }
                Action::Unload(object) if !patched => loaded_before.retain(|(loaded, _)| loaded != object),
                Action::Load(object) if objects.contains(object.as_str()) => {
                    script.load(recording, object, step, i, false)?;
                    if step.refused_by_livepatch() {
                        script.refused = Some(script.passes.len());
                        break;
                    }
                    if step.errno != 0 {
                        script.passes.push(Pass::Going(object.clone()));
                    }
                }
                Action::Unload(object) if objects.contains(object.as_str()) && step.errno == 0 => {
                    script.passes.push(Pass::Going(object.clone()));
                }
                Action::Take(label) if patched => script.states.push((label.clone(), script.passes.len())),
                Action::Disable => break,
                Action::Load(_) | Action::Unload(_) | Action::Take(_) => {}
            }
        }
        Ok(script)
    }

    /// Adds the pass for the load of an object. Its symbols are in the next recorded state or, if
    /// it was refused or unloaded before, in the recording of its load.
    fn load(
        &mut self,
        recording: &Recording,
        object: &str,
        step: &Step,
        at: usize,
        live: bool,
    ) -> Result<(), String> {
        let state = next_state(recording, at).filter(|file| mentions(file, object));
        let made = || {
            let out = self.folder.path().join(format!("{}-{object}.txt", self.passes.len()));
            target_symbols(recording, step.target.as_deref()?, live, &out)
        };
        let file = state.or_else(made).ok_or_else(|| format!("no file has the symbols of {object}"))?;
        self.passes.push(Pass::Coming(object.to_owned(), file));
        Ok(())
    }
}

/// The module lines of kallsyms in the first state that was recorded after a step.
fn next_state(recording: &Recording, step: usize) -> Option<PathBuf> {
    let label = recording.layout.steps[step..].iter().find_map(|step| match &step.action {
        Action::Take(label) => Some(label),
        _ => None,
    })?;
    find(Path::new(&recording.path), &format!("modsyms-{label}.txt"))
}
