//! `relakit live`: the livepatches of a running kernel, and predictions for it.
//!
//! `system` reads /proc and /sys, `file` compares the file of a loaded livepatch with the kernel,
//! `predict` answers with a simulation, `refusals` has what the kernel refuses anyway, `doubts` what it
//! does not show, `report` the structures that `text` prints.

mod doubts;
mod file;
mod predict;
mod refusals;
mod report;
mod system;
mod text;

use crate::args::{Format, LiveArgs};
use crate::console;
use crate::failure::Failure;
use crate::input::files;
use crate::output::json::versioned;
use crate::progress::Progress;
use crate::simulate::report::Verdict;
use report::{Function, Live, ObjectRow, PatchRow};
use std::collections::BTreeSet;
use std::path::PathBuf;
use system::{LoadedPatch, System};

/// Runs the command.
pub(crate) fn run(args: &LiveArgs) -> Result<(), Failure> {
    let given = args.livepatch.iter().chain(&args.load).chain(&args.loaded).chain(&args.symbols);
    files::check_stdin(given.map(PathBuf::as_path))?;
    let is_question = args.livepatch.is_some() || !args.load.is_empty() || !args.unload.is_empty();
    if !is_question && !args.loaded.is_empty() {
        let why = "--loaded helps to answer a question; give LP.ko, --load or --unload too";
        return Err(Failure::Usage(why.to_owned()));
    }
    let progress = Progress::new();
    progress.say("reading /proc and /sys");
    let system = System::read(&args.root)?;
    let mut live = describe(&system, args);
    if is_question {
        predict::answer(&system, args, &mut live, &progress)?;
    }
    progress.finish();
    match args.format {
        Format::Json => console::print_json(&versioned(&live))?,
        Format::Text => console::to_stdout(|mut out| text::print(&live, &mut out))?,
    }
    let is_bad = live.answers.iter().any(|answer| answer.verdict != Verdict::Accepted);
    if is_bad || !live.findings.is_empty() { Err(Failure::Module) } else { Ok(()) }
}

/// The state, without answers.
fn describe(system: &System, args: &LiveArgs) -> Live {
    let patched = system.livepatches.iter().flat_map(|patch| &patch.objects);
    let patched: BTreeSet<_> = patched.filter(|object| object.patched).map(|object| &object.name).collect();
    let is_module = |name: &&&String| system.module(name).is_some();
    Live {
        root: args.root.display().to_string(),
        release: system.release.clone(),
        modules: system.modules.len(),
        livepatches: system.livepatches.iter().map(row).collect(),
        patched_modules: patched.iter().filter(is_module).map(|name| (*name).clone()).collect(),
        result: None,
        answers: Vec::new(),
        findings: Vec::new(),
        notes: Vec::new(),
    }
}

fn row(patch: &LoadedPatch) -> PatchRow {
    let object = |object: &system::LoadedObject| ObjectRow {
        name: object.name.clone(),
        patched: object.patched,
        functions: object.functions.iter().map(|name| Function::new(name)).collect(),
    };
    PatchRow {
        name: patch.name.clone(),
        enabled: patch.enabled,
        transition: patch.transition,
        replace: patch.replace,
        objects: patch.objects.iter().map(object).collect(),
        file: None,
    }
}
