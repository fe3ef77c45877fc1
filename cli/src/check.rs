//! `relakit check`: predicts what the kernel returns, and finds what it does not notice.

use crate::args::{CheckArgs, CheckFormat};
use crate::console;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::modules::{self, Modules, exports, in_parallel};
use crate::input::symbols::Symbols;
use crate::output::{html, json::versioned, sarif, text};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::simulate::report::{Report, Verdict};
use crate::simulate::resolved::Resolved;
use crate::simulate::world::{Targets, World};
use crate::simulate::{self, Event};
use crate::view::ModuleView;
use relakit::Module;
use relakit_linux::findings::Severity;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let given = args.symbols.iter().chain(args.target.iter().map(|target| &target.file));
    files::check_stdin(given.chain([&args.module]).map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    let modules = args.modules.as_deref().map(Modules::new).transpose()?;
    if let Some(modules) = &modules {
        progress.say("reading exports");
        modules.add_exports(&mut symbols)?;
    }
    let denied = match args.module.is_dir() {
        true => folder(args, symbols, &progress)?,
        false => {
            let report = one(args, &symbols, modules.as_ref(), &progress)?;
            print(&mut std::iter::once(report), args, &progress)?
        }
    };
    match denied {
        true => Err(Failure::Module),
        false => Ok(()),
    }
}

/// Checks one module.
fn one(
    args: &CheckArgs,
    symbols: &Symbols,
    modules: Option<&Modules>,
    progress: &Progress,
) -> Result<Report, Failure> {
    progress.say("reading modules");
    let file = files::read_module(&args.module)?;
    let kernel = Kernel::linux(args.kernel.as_deref(), &file)?;
    kernel.note.iter().try_for_each(|note| console::note(note))?;
    let Scenario { targets, events } = Scenario::new(args, &file, kernel.profile, symbols, modules)?;
    progress.say("checking");
    let world = World::new(kernel.profile, symbols, &targets, not_loaded_at_first(&events));
    let mut resolved = Resolved::default();
    let wanted = (args.format == CheckFormat::Html).then_some(&mut resolved);
    let mut report = simulate::check(&args.module, &file, &kernel, world, &events, wanted);
    report.findings.retain(|row| !args.allow.contains(&row.rule));
    for name in targets.keys() {
        if !events.iter().any(|event| event.module() == name) {
            report.notes.push(format!("--target {name} has no event; use --event coming:{name}"));
        }
    }
    if args.format == CheckFormat::Html {
        let page = page(args, &kernel, &file, &resolved, &report);
        progress.finish();
        console::print(&page)?;
    }
    Ok(report)
}

fn page(args: &CheckArgs, kernel: &Kernel, file: &[u8], resolved: &Resolved, report: &Report) -> String {
    let Ok(module) = Module::parse(file, kernel.profile) else { return html::without_picture(report) };
    let view = ModuleView::new(args.module.display().to_string(), &module, kernel);
    let picture = html::Picture::new(&module, view, kernel.version, resolved, Some(report));
    html::render(&picture, Some(report))
}

/// The modules that an event loads, if they are not live before. The symbol files may list them.
fn not_loaded_at_first(events: &[Event]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(move |event| match event {
        Event::Coming(name) if !events.contains(&Event::Live(name.clone())) => Some(name.as_str()),
        _ => None,
    })
}

/// Checks all modules in a folder, in the order of their paths. Each file is read twice, for its
/// exports and for the check, so that not all files are in memory.
fn folder(args: &CheckArgs, mut symbols: Symbols, progress: &Progress) -> Result<bool, Failure> {
    if args.format == CheckFormat::Html {
        return Err(Failure::Usage("--format html needs one module, not a directory".to_owned()));
    }
    if !args.event.is_empty() || !args.target.is_empty() {
        return Err(Failure::Usage("--event and --target need one module, not a directory".to_owned()));
    }
    let paths = modules::in_folder(&args.module)?;
    if paths.is_empty() {
        return Err(modules::no_modules(&args.module));
    }
    let say = |verb, done: usize| progress.say(&format!("{verb} {done} of {} modules", paths.len()));
    let read = |path: &PathBuf| files::read_module(path).map(|file| exports(&file));
    for (done, names) in (1..=paths.len()).zip(in_parallel(&paths, read)) {
        names?.iter().for_each(|name| symbols.add_export(name));
        say("reading", done);
    }
    let (symbols, targets) = (&symbols, Targets::new());
    let kernel_notes = Mutex::new(BTreeSet::new());
    let check = |path: &PathBuf| {
        let file = files::read_module(path)?;
        let kernel = Kernel::linux(args.kernel.as_deref(), &file)?;
        kernel_notes.lock().unwrap_or_else(PoisonError::into_inner).extend(kernel.note.clone());
        let world = World::new(kernel.profile, symbols, &targets, std::iter::empty());
        let mut report = simulate::check(path, &file, &kernel, world, &[], None);
        report.findings.retain(|row| !args.allow.contains(&row.rule));
        Ok(report)
    };
    let mut failed = None;
    let reports = (1..=paths.len()).zip(in_parallel(&paths, check));
    let mut reports = reports.map_while(|(done, report)| {
        say("checking", done);
        report.map_err(|failure| failed = Some(failure)).ok()
    });
    let printed = print(&mut reports, args, progress);
    drop(reports);
    let kernel_notes = kernel_notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    kernel_notes.iter().try_for_each(|note| console::note(note))?;
    failed.map_or(printed, Err)
}

/// Prints the reports one after the other. Returns whether one of them is denied.
fn print(
    reports: &mut dyn Iterator<Item = Report>,
    args: &CheckArgs,
    progress: &Progress,
) -> Result<bool, Failure> {
    let many = args.module.is_dir();
    // Standard error and standard output may be the same terminal.
    if args.format != CheckFormat::Text && std::io::stdout().is_terminal() {
        progress.finish();
    }
    let mut summary = Summary::default();
    console::to_stdout(|mut out| {
        let mut reports = reports.map(|report| {
            let denied = is_denied(&report, args);
            summary.add(&report, denied);
            (report, denied)
        });
        let mut plain = reports.by_ref().map(|(report, _)| report);
        let written = match args.format {
            CheckFormat::Text => {
                let mut shown = reports.by_ref().filter(|(_, denied)| *denied || !many);
                shown.try_for_each(|(report, _)| {
                    progress.finish();
                    match console::is_quiet() {
                        true => first_line(&report, out),
                        false => text::report(&report, &mut out),
                    }
                })
            }
            CheckFormat::Json if many => console::json_list(out, &mut plain.map(versioned)),
            CheckFormat::Json => plain.try_for_each(|report| console::json(out, &versioned(report))),
            CheckFormat::Sarif => console::json(out, &sarif::Log::new(&mut plain)),
            // `one` printed the page, because it has the module.
            CheckFormat::Html => Ok(()),
        };
        // If the reader closed the pipe, the remaining reports still determine the exit code.
        reports.for_each(drop);
        progress.finish();
        match args.format {
            CheckFormat::Text if many => written.and_then(|()| summary.print(out)),
            _ => written,
        }
    })?;
    Ok(summary.denied != 0)
}

/// Prints the verdict.
fn first_line(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    let mut text = Vec::new();
    text::report(report, &mut text)?;
    let line = text.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
    out.write_all(line)
}

/// Whether the exit code is 1.
fn is_denied(report: &Report, args: &CheckArgs) -> bool {
    report.worst() != Verdict::Accepted || report.findings.iter().any(|row| row.severity >= args.deny)
}

/// The numbers of the last line for a folder.
#[derive(Debug, Default)]
struct Summary {
    modules: u64,
    verdicts: [u64; 4],
    findings: [u64; 3],
    denied: u64,
}

impl Summary {
    const VERDICTS: [Verdict; 4] =
        [Verdict::Accepted, Verdict::Rejected, Verdict::Unsafe, Verdict::NotJudged];
    const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Info];

    fn add(&mut self, report: &Report, denied: bool) {
        let add = |count: &mut u64, more: u64| *count = count.saturating_add(more);
        add(&mut self.modules, 1);
        add(&mut self.denied, u64::from(denied));
        for (count, verdict) in self.verdicts.iter_mut().zip(Self::VERDICTS) {
            add(count, u64::from(report.worst() == verdict));
        }
        for (count, severity) in self.findings.iter_mut().zip(Self::SEVERITIES) {
            add(count, report.count(severity));
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Self { modules, verdicts: [accepted, rejected, bad, unknown], .. } = self;
        let Self { findings: [errors, warnings, notes], denied, .. } = self;
        writeln!(
            out,
            "{modules} modules: {accepted} accepted, {rejected} rejected, {bad} unsafe, {unknown} not judged; {errors} \
             errors, {warnings} warnings, {notes} notes; {denied} denied",
        )
    }
}
