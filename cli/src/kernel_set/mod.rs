//! `relakit check --kernel-set`: the same modules against many kernels.
//!
//! `folder` finds the files of a kernel, `judge` checks one kernel, `row` sorts and groups the results,
//! `text` and `html` print them.

mod folder;
mod html;
mod judge;
mod row;
mod text;

use crate::args::{CheckArgs, CheckFormat};
use crate::console;
use crate::failure::Failure;
use crate::input::files;
use crate::input::modules::in_parallel;
use crate::output::json::versioned;
use crate::progress::Progress;
use folder::Folder;
use judge::Question;
use row::{Row, Set};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Checks the modules with each kernel of the set.
pub(crate) fn run(args: &CheckArgs, root: &Path) -> Result<(), Failure> {
    files::check_stdin(args.module.iter().map(PathBuf::as_path))?;
    if args.format == CheckFormat::Sarif {
        return Err(Failure::Usage("--kernel-set has the formats text, json and html".to_owned()));
    }
    if let Some(folder) = args.module.iter().find(|path| path.is_dir()) {
        let why = "--kernel-set needs modules, not a directory";
        return Err(Failure::Usage(format!("{}: {why}", folder.display())));
    }
    let progress = Progress::new();
    progress.say("reading modules");
    let modules: Vec<_> =
        args.module.iter().map(|path| files::read_module(path)).collect::<Result<_, _>>()?;
    let folders = folder::in_set(root)?;
    let rows = rows(Question { args, files: &modules }, &folders, &progress)?;
    let names = args.module.iter().map(|path| path.display().to_string()).collect();
    let set = Set::new(names, root.display().to_string(), args.any_vermagic, rows);
    progress.finish();
    match args.format {
        CheckFormat::Json => console::print_json(&versioned(&set))?,
        CheckFormat::Html => console::print(&html::render(&set))?,
        CheckFormat::Text | CheckFormat::Sarif => console::to_stdout(|mut out| text::print(&set, &mut out))?,
    }
    if set.is_denied() { Err(Failure::Module) } else { Ok(()) }
}

/// Checks the kernels on several threads. Only the rows remain in memory.
fn rows(question: Question<'_>, folders: &[Folder], progress: &Progress) -> Result<Vec<Row>, Failure> {
    let done = AtomicUsize::new(0);
    let judge = |folder: &Folder| {
        let row = question.judge(folder);
        let done = done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        progress.say(&format!("checking {done} of {} kernels", folders.len()));
        row
    };
    let mut misspelt = None;
    let mut rows = Vec::new();
    for (folder, row) in folders.iter().zip(in_parallel(folders, judge)) {
        let why = match row {
            Ok(row) => {
                rows.push(row);
                continue;
            }
            Err(Failure::Usage(why)) => {
                misspelt.get_or_insert_with(|| why.clone());
                why
            }
            Err(Failure::File(why)) => why,
            Err(Failure::Module) => String::new(),
        };
        rows.push(judge::not_judged(folder, why));
    }
    // An event whose module no kernel has is probably misspelt.
    match misspelt {
        Some(why) if !question.args.event.is_empty() && rows.iter().all(|row| row.rules.is_none()) => {
            Err(Failure::Usage(why))
        }
        _ => Ok(rows),
    }
}
