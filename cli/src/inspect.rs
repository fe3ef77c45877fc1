//! `relakit inspect`: what a loader sees in a module. Only a file that is not a module is an error.

use crate::args::{InspectArgs, InspectFormat};
use crate::console;
use crate::diagnostics::Diagnostic;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::symbols::Symbols;
use crate::output::{html, json::versioned, text};
use crate::progress::Progress;
use crate::simulate::resolved::Resolved;
use crate::view::resolve::Resolution;
use crate::view::{ModuleView, error};
use relakit::Module;
use serde_json::json;
use std::path::PathBuf;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    files::check_stdin(args.symbols.iter().chain([&args.module]).map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading the module");
    let file = files::read_module(&args.module)?;
    let kernel = Kernel::of(args.kernel.as_deref(), &file)?;
    kernel.note.iter().try_for_each(|note| console::note(note))?;
    let path = args.module.display().to_string();
    let module = match Module::parse(&file, kernel.profile) {
        Ok(module) => module,
        Err(error) => {
            progress.finish();
            let diagnostic = Diagnostic::of_error(None, &error, &kernel.profile);
            console::to_stderr(|mut out| text::diagnostic(&diagnostic, &path, &mut out))?;
            if args.format == InspectFormat::Json {
                let errors = [error::to_json(None, &error, &kernel.profile)];
                console::print_json(&versioned(&json!({"file": path, "errors": errors})))?;
            }
            return Err(Failure::Module);
        }
    };
    let mut view = ModuleView::new(path, &module, &kernel);
    if !args.symbols.is_empty() {
        progress.say("reading symbols");
        let symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
        let mut resolution = Resolution::new(&module);
        resolution.resolve(|_| true, |object, name| symbols.defined(object, name).collect());
        let (rows, more) = resolution.finish();
        (view.resolved, view.more_resolved) = (Some(rows), more);
    }
    progress.finish();
    console::to_stdout(|mut out| match args.format {
        InspectFormat::Text => text::module(&mut out, &view),
        InspectFormat::Json => console::json(out, &versioned(&view)),
        InspectFormat::Html => {
            let picture = html::Picture::new(&module, view, kernel.version, &Resolved::default(), None);
            out.write_all(html::render(&picture, None).as_bytes())
        }
    })
}
