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
use crate::progress::Progress;
use crate::{Failure, faults, input, kernel};
use collect::Kernel;
use relakit::Module;
use serde_json::json;
use std::io::{BufWriter, Write};

/// Runs the command.
pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let kernel = Kernel::new(&args.rules.kernel, kernel::profile(&args.rules.kernel)?);
    let progress = Progress::new();
    progress.say("reading the module");
    let file = input::read(&args.module)?;
    let module = match Module::parse(&file, kernel.profile) {
        Ok(module) => module,
        Err(error) => {
            progress.finish();
            // When standard error is gone there is nobody to tell.
            let _ = faults::print(&mut anstream::stderr().lock(), None, &args.module, &error);
            if args.format == InspectFormat::Json {
                let path = args.module.display().to_string();
                crate::print_json(&json!({"file": path, "faults": [faults::to_json(None, &error)]}));
            }
            return Err(Failure::Faults);
        }
    };
    let report = collect::report(args.module.display().to_string(), &module, &kernel);
    progress.finish();
    let mut out = BufWriter::new(anstream::stdout().lock());
    // A reader that has gone is no fault of ours.
    let _ = match args.format {
        InspectFormat::Text => text::print(&mut out, &report),
        InspectFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &report).map_err(Into::into).and_then(|()| writeln!(out))
        }
        InspectFormat::Html => {
            let picture = Picture::new(&module, report, &Known::default(), None);
            out.write_all(html::page(&picture, None).as_bytes())
        }
    };
    let _ = out.flush();
    Ok(())
}
