//! `relakit convert`: gives a compiled livepatch its livepatch sections.

mod known;
mod report;

use crate::args::{CheckArgs, CheckFormat, ConvertArgs, Format};
use crate::check;
use crate::console;
use crate::failure::Failure;
use crate::input::files::{self, Kind};
use crate::input::kernel::Kernel;
use crate::input::modules::Modules;
use crate::input::symbols::Symbols;
use crate::output::{json::versioned, text};
use crate::progress::Progress;
use crate::scenario;
use crate::simulate::Event;
use crate::simulate::world::Targets;
use known::Known;
use relakit::Module;
use relakit_convert::{HEADER, Map, Request};
use relakit_linux::findings::Severity;
use report::Conversion;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(args: &ConvertArgs) -> Result<(), Failure> {
    if args.header {
        return console::print(HEADER);
    }
    let (Some(module), Some(out)) = (&args.module, &args.out) else {
        return Err(Failure::Usage("give the livepatch and --out".to_owned()));
    };
    let given = args.symbols.iter().chain(&args.map).chain(args.target.iter().map(|target| &target.file));
    files::check_stdin(given.chain([module]).map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading symbols");
    let symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    let file = files::read_module(module)?;
    let kernel = Kernel::linux(args.kernel.as_deref(), &file)?;
    let map = args.map.as_deref().map_or_else(|| Ok(Map::default()), read_map)?;
    let targets = scenario::targets(&args.target, kernel.profile)?;
    let modules = args.modules.as_deref().map(Modules::new).transpose()?;
    progress.say("converting");
    let known = Known::new(&symbols, &targets, modules.as_ref(), kernel.profile);
    let request = Request { profile: kernel.profile, version: kernel.version, symbols: &known, map: &map };
    let name = |path: &Path| path.display().to_string();
    let (mut conversion, converted) = match relakit_convert::convert(&file, &request) {
        Ok(converted) => {
            fs::write(out, &converted.bytes).map_err(|error| Failure::file(out, error))?;
            (Conversion::done(name(module), name(out), &converted), converted.bytes)
        }
        Err(refusals) => {
            let conversion = Conversion::refused(name(module), refusals);
            progress.finish();
            print(&conversion, args)?;
            return Err(Failure::Module);
        }
    };
    conversion.notes.extend(kernel.note.clone());
    let mut denied = false;
    if args.symbols.is_empty() && !args.no_check {
        conversion
            .notes
            .push("the output is not checked; give --symbols with the kernel's symbols".to_owned());
    } else if !args.no_check {
        let check = check_args(args, out, events(&converted, &kernel, &targets, modules.as_ref()));
        let report = check::several(&check, &[converted], &symbols, modules.as_ref(), None, &progress)?.pop();
        denied = report.as_ref().is_some_and(|report| check::is_denied(report, &check));
        conversion.check = report;
    }
    progress.finish();
    print(&conversion, args)?;
    match denied {
        true => Err(Failure::Module),
        false => Ok(()),
    }
}

fn read_map(path: &Path) -> Result<Map, Failure> {
    let text = files::read(path, Kind::Symbols)?;
    Map::parse(&text).map_err(|(line, why)| Failure::file(path, format!("line {line}: {why}")))
}

/// Each patched module with a file is loaded. The other targets are loaded before.
fn events(file: &[u8], kernel: &Kernel, targets: &Targets, modules: Option<&Modules>) -> Vec<Event> {
    let Ok(module) = Module::parse(file, kernel.profile) else { return Vec::new() };
    let patched = scenario::patched_objects(&module);
    let live = targets.keys().filter(|name| !patched.contains(*name)).cloned().map(Event::Live);
    let has_file = |name: &&String| {
        targets.contains_key(*name) || modules.is_some_and(|modules| modules.path(name).is_some())
    };
    let coming = patched.iter().filter(has_file).cloned().map(Event::Coming);
    live.chain(coming).collect()
}

/// The check of the output, with the same input.
fn check_args(args: &ConvertArgs, out: &Path, event: Vec<Event>) -> CheckArgs {
    CheckArgs {
        module: vec![out.to_owned()],
        symbols: args.symbols.clone(),
        kernel: args.kernel.clone(),
        target: args.target.clone(),
        modules: args.modules.clone(),
        root: None,
        traceable: None,
        kernel_set: None,
        any_vermagic: false,
        event,
        allow: Vec::new(),
        // A build must not fail because of what every livepatch of this kernel does.
        deny: Severity::Error,
        format: CheckFormat::Text,
    }
}

fn print(conversion: &Conversion, args: &ConvertArgs) -> Result<(), Failure> {
    if args.format == Format::Json {
        return console::print_json(&versioned(conversion));
    }
    console::to_stderr(|out| conversion.print_refusals(out))?;
    console::to_stdout(|mut out| {
        conversion.print(out)?;
        match &conversion.check {
            Some(report) if console::is_quiet() => text::first_line(report, &mut out),
            Some(report) => text::report(report, &mut out),
            None => Ok(()),
        }
    })
}
