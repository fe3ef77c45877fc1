//! `relakit inspect`: what a loader sees in a module. It shows and does not judge: only a file that cannot be read as
//! a module ends in a fault.

pub(crate) mod collect;
pub(crate) mod names;
pub(crate) mod report;
mod special;
mod symbols;
mod table;
mod text;

use crate::args::{InspectArgs, InspectFormat};
use crate::check::html;
use crate::check::picture::{Known, Picture};
use crate::input::{self, Kind};
use crate::progress::Progress;
use crate::{Failure, errors, kernel, output};
use collect::Kernel;
use relakit::Module;
use serde_json::json;

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let kernel = Kernel::new(&args.rules.kernel, kernel::profile(&args.rules.kernel)?);
    let progress = Progress::new();
    progress.say("reading the module");
    let file = input::read(&args.module, Kind::Module)?;
    let module = match Module::parse(&file, kernel.profile) {
        Ok(module) => module,
        Err(error) => {
            progress.finish();
            output::to_stderr(|mut out| errors::print(&mut out, None, &args.module, &error))?;
            if args.format == InspectFormat::Json {
                let path = args.module.display().to_string();
                output::print_json(&json!({"file": path, "errors": [errors::to_json(None, &error)]}))?;
            }
            return Err(Failure::Faults);
        }
    };
    let report = collect::report(args.module.display().to_string(), &module, &kernel);
    progress.finish();
    output::to_stdout(|mut out| {
        output::stdout(match args.format {
            InspectFormat::Text => text::print(&mut out, &report),
            InspectFormat::Json => output::json(out, &report),
            InspectFormat::Html => {
                let picture = Picture::new(&module, report, &Known::default(), None);
                out.write_all(html::page(&picture, None).as_bytes())
            }
        })
    })
}
