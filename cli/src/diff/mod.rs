//! `relakit diff`: two versions of a livepatch. What is no longer patched comes first.

mod code;
mod functions;
mod lists;
mod report;
mod text;

use crate::args::{DiffArgs, Format};
use crate::console;
use crate::diagnostics::Diagnostic;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::output::json::versioned;
use crate::output::text::diagnostic;
use crate::progress::Progress;
use crate::view::ModuleView;
use code::Code;
use relakit::Module;
use report::Report;
use std::path::Path;

/// One of the two modules.
struct Side<'f> {
    module: &'f Module<'f>,
    view: ModuleView<'f>,
    code: Code<'f>,
}

/// Runs the command.
pub(crate) fn run(args: &DiffArgs) -> Result<(), Failure> {
    files::check_stdin([args.old.as_path(), args.new.as_path()])?;
    let progress = Progress::new();
    progress.say("reading modules");
    let (old, new) = (files::read_module(&args.old)?, files::read_module(&args.new)?);
    let kernel = |file: &[u8]| Kernel::linux(args.kernel.as_deref(), file);
    let (old_kernel, new_kernel) = (kernel(&old)?, kernel(&new)?);
    let old_module = parse(&old, &args.old, &old_kernel, &progress)?;
    let new_module = parse(&new, &args.new, &new_kernel, &progress)?;
    progress.say("comparing");
    let side = |path: &Path, module, kernel| Side {
        module,
        view: ModuleView::new(path.display().to_string(), module, kernel),
        code: Code::of(module),
    };
    let old = side(&args.old, &old_module, &old_kernel);
    let new = side(&args.new, &new_module, &new_kernel);
    let mut report = Report::new(&old, &new);
    let notes = [&old_kernel, &new_kernel].map(|kernel| kernel.note.clone());
    report.notes.extend(notes.into_iter().flatten());
    report.notes.dedup();
    progress.finish();
    console::to_stdout(|mut out| match args.format {
        Format::Text => text::print(&report, &mut out),
        Format::Json => console::json(out, &versioned(&report)),
    })?;
    match report.is_fine() {
        true => Ok(()),
        false => Err(Failure::Module),
    }
}

/// Reads a module. An error is one of the module, as in `relakit inspect`.
fn parse<'f>(
    file: &'f [u8],
    path: &Path,
    kernel: &Kernel,
    progress: &Progress,
) -> Result<Module<'f>, Failure> {
    Module::parse(file, kernel.profile).or_else(|error| {
        progress.finish();
        let found = Diagnostic::of_error(None, &error, &kernel.profile);
        console::to_stderr(|mut out| diagnostic(&found, &path.display().to_string(), &mut out))?;
        Err(Failure::Module)
    })
}
