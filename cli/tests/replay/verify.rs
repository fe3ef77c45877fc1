//! Gives the recorded memory of livepatches to `relakit verify`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::compare::Image;
use super::layout::Action;
use super::run::mentions;
use super::{Recording, Report, find, need};

/// Every how many bytes one is flipped.
const STEP: usize = 97;

/// Verifies each state that was recorded when the machine was idle, and the same with a flipped byte.
/// Without the symbols of an unloaded module, fields that Linux has not cleared cannot be verified.
pub fn idle(recording: &Recording, report: &mut Report) {
    let clears = recording.profile().clears_on_going;
    let steps = recording.layout.steps.iter();
    let steps = steps.take_while(|step| clears || !matches!(step.action, Action::Unload(_)));
    let labels = steps.filter_map(|step| match &step.action {
        Action::Take(label) if recording.layout.has_state(label) => Some(label),
        _ => None,
    });
    for label in labels {
        let title = format!("{}: {label}", recording.title());
        let image = recording.layout.state(label);
        let done = verify(recording, label, &image);
        let json: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        if done.status.code() != Some(0) {
            report.error(format!("{title}: {json:#}{}", String::from_utf8_lossy(&done.stderr)));
            continue;
        }
        report.begin();
        report.compared(usize::try_from(json["counts"]["compared"].as_u64().unwrap()).unwrap());
        let applied: Vec<_> =
            json["applied"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let is_loaded = |object: &&str| symbols(recording, label).iter().any(|file| mentions(file, object));
        let expected: Vec<_> = recording.module.late_objects().into_iter().filter(is_loaded).collect();
        if applied != expected {
            report.error(format!("{title}: applied {applied:?}, loaded {expected:?}"));
        }
        // One state is enough for the flipped bytes.
        if label == "loaded" {
            flipped(recording, label, &image, report);
        }
    }
}

/// A flipped byte of the code is a difference.
fn flipped(recording: &Recording, label: &str, image: &Image, report: &mut Report) {
    let text = recording.module.text();
    for at in (0..image[&text].len()).step_by(STEP) {
        let mut changed = image.clone();
        changed.get_mut(&text).unwrap()[at] ^= 0x55;
        let done = verify(recording, label, &changed);
        if done.status.code() != Some(1) {
            report.error(format!("{}: {label}: the byte {at:#x} of the code: {done:?}", recording.title()));
        }
    }
}

/// The symbol files of a state.
fn symbols(recording: &Recording, label: &str) -> Vec<std::path::PathBuf> {
    let of_state = find(&recording.path, &format!("modsyms-{label}.txt"));
    std::iter::once(recording.symbols()).chain(of_state).collect()
}

fn verify(recording: &Recording, label: &str, image: &Image) -> Output {
    let folder = TempDir::new().unwrap();
    write(folder.path(), image);
    let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
    command.arg("verify").arg(need(&recording.path, "module.ko"));
    command.arg("--place").arg(&recording.layout.path).arg("--memory").arg(folder.path());
    command.arg("--symbols").args(symbols(recording, label));
    command.args(["--kernel", &recording.kernel(), "--format", "json"]).output().unwrap()
}

fn write(folder: &Path, image: &Image) {
    for (section, bytes) in image {
        fs::write(folder.join(format!("{section}.bin")), bytes).unwrap();
    }
}
