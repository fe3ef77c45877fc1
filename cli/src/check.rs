//! `relakit check`: predicts what the kernel returns, and finds what it does not notice.

use crate::args::{CheckArgs, CheckFormat};
use crate::console;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::Kernel;
use crate::input::modules::{self, Modules, exports, in_parallel};
use crate::input::symbols::Symbols;
use crate::input::system::System;
use crate::input::traceable::Traceable;
use crate::output::{html, json::versioned, sarif, text};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::simulate::report::{Report, Verdict};
use crate::simulate::resolved::Resolved;
use crate::simulate::world::{Targets, World};
use crate::simulate::{self, Event, Given};
use crate::view::ModuleView;
use relakit::Module;
use relakit_linux::findings::Severity;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    if args.any_vermagic {
        return Err(Failure::Usage("--any-vermagic needs --kernel-set".to_owned()));
    }
    let given = args.symbols.iter().chain(args.target.iter().map(|target| &target.file));
    files::check_stdin(given.chain(&args.module).map(PathBuf::as_path))?;
    let progress = Progress::new();
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    let root = folder_of(args)?;
    progress.say("reading modules");
    let files = match root {
        Some(_) => Vec::new(),
        None => args.module.iter().map(|path| files::read_module(path)).collect::<Result<Vec<_>, _>>()?,
    };
    let mut system = system(args, root, &files)?;
    if let Some(system) = &mut system {
        progress.say("reading exports");
        system.add_symbols(&mut symbols)?;
        system.modules.add_exports(&mut symbols)?;
    }
    let denied = match root {
        Some(root) => folder(root, args, symbols, system.as_ref(), &progress)?,
        None => {
            let modules = system.as_ref().map(|system| &system.modules);
            let reports = several(args, &files, &symbols, modules, system.as_ref(), &progress)?;
            print(&mut reports.into_iter(), args, &progress)?
        }
    };
    match denied {
        true => Err(Failure::Module),
        false => Ok(()),
    }
}

/// What `--root` or `--modules` names. The first module says which release it is.
fn system(args: &CheckArgs, folder: Option<&Path>, files: &[Vec<u8>]) -> Result<Option<System>, Failure> {
    let Some(root) = &args.root else {
        return args.modules.as_deref().map(System::in_folder).transpose();
    };
    let first = match folder {
        Some(folder) => {
            let paths = modules::in_folder(folder)?;
            let path = paths.first().ok_or_else(|| modules::no_modules(folder))?;
            &files::read_module(path)?
        }
        None => files.first().map_or(&[][..], Vec::as_slice),
    };
    let kernel = Kernel::linux(args.kernel.as_deref(), first)?;
    System::in_root(root, &kernel, first).map(Some)
}

/// The directory to check, if the argument is one.
fn folder_of(args: &CheckArgs) -> Result<Option<&Path>, Failure> {
    match args.module.as_slice() {
        [root] if root.is_dir() => Ok(Some(root)),
        several => match several.iter().find(|path| path.is_dir()) {
            Some(root) => {
                let why = "a directory is checked alone, not beside other modules";
                Err(Failure::Usage(format!("{}: {why}", root.display())))
            }
            None => Ok(None),
        },
    }
}

/// Checks the modules of the command line, which are loaded one after the other.
/// Without `--event`, the modules of `system` are loaded and unloaded.
pub(crate) fn several(
    args: &CheckArgs,
    files: &[Vec<u8>],
    symbols: &Symbols,
    modules: Option<&Modules>,
    system: Option<&System>,
    progress: &Progress,
) -> Result<Vec<Report>, Failure> {
    if let (CheckFormat::Html, [_, _, ..]) = (args.format, args.module.as_slice()) {
        return Err(Failure::Usage("--format html needs one module".to_owned()));
    }
    let kernels: Vec<_> =
        files.iter().map(|file| Kernel::linux(args.kernel.as_deref(), file)).collect::<Result<_, _>>()?;
    let given = args.module.iter().zip(files).zip(&kernels);
    let given: Vec<_> = given.map(|((path, file), kernel)| Given { path, file, kernel }).collect();
    let profile = kernels.first().map_or_else(Default::default, |kernel| kernel.profile);
    progress.say("reading modules");
    let Scenario { targets, found, runs, notes } =
        Scenario::new(args, files, profile, symbols, modules, system.is_some())?;
    let traceable = traceable(args, symbols)?;
    let mut reports: Vec<Report> = Vec::new();
    let mut resolved = Resolved::default();
    for events in &runs {
        progress.say("checking");
        let mut world = World::new(profile, symbols, &targets, not_loaded_at_first(events));
        world.set_kernel(traceable.as_ref(), modules);
        resolved = Resolved::default();
        let wanted = (args.format == CheckFormat::Html).then_some(&mut resolved);
        let next = simulate::check(&given, world, events, wanted);
        match reports.is_empty() {
            true => reports = next,
            false => reports.iter_mut().zip(next).for_each(|(report, next)| report.join(next)),
        }
    }
    let used = system.map(|system| system.used(&found));
    let searched = system.map_or(&[][..], |system| &system.notes);
    for (report, kernel) in reports.iter_mut().zip(&kernels) {
        report.findings.retain(|row| !args.allow.contains(&row.rule));
        report.notes.extend(kernel.note.iter().chain(searched).chain(&notes).cloned());
        report.used.clone_from(&used);
    }
    if let (CheckFormat::Html, [given, ..], [report, ..]) = (args.format, &*given, &*reports) {
        let page = page(*given, &resolved, report);
        progress.finish();
        console::print(&page)?;
    }
    Ok(reports)
}

fn traceable(args: &CheckArgs, symbols: &Symbols) -> Result<Option<Traceable>, Failure> {
    args.traceable.as_deref().map(|path| Traceable::read(path, symbols)).transpose()
}

fn page(given: Given<'_>, resolved: &Resolved, report: &Report) -> String {
    let Given { path, file, kernel } = given;
    let Ok(module) = Module::parse(file, kernel.profile) else { return html::without_picture(report) };
    let view = ModuleView::new(path.display().to_string(), &module, kernel);
    let picture = html::Picture::new(&module, view, kernel.version, resolved, Some(report));
    html::render(&picture, Some(report))
}

/// The modules that an event loads, if they are not live before. The symbol files may list them.
pub(crate) fn not_loaded_at_first(events: &[Event]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(move |event| match event {
        Event::Coming(name) if !events.contains(&Event::Live(name.clone())) => Some(name.as_str()),
        _ => None,
    })
}

/// Checks all modules in a folder, in the order of their paths. Each file is read twice, for its
/// exports and for the check, so that not all files are in memory.
fn folder(
    root: &Path,
    args: &CheckArgs,
    mut symbols: Symbols,
    system: Option<&System>,
    progress: &Progress,
) -> Result<bool, Failure> {
    if args.format == CheckFormat::Html {
        return Err(Failure::Usage("--format html needs one module, not a directory".to_owned()));
    }
    if !args.event.is_empty() || !args.target.is_empty() {
        return Err(Failure::Usage("--event and --target need one module, not a directory".to_owned()));
    }
    let paths = modules::in_folder(root)?;
    if paths.is_empty() {
        return Err(modules::no_modules(root));
    }
    let say = |verb, done: usize| progress.say(&format!("{verb} {done} of {} modules", paths.len()));
    let read = |path: &PathBuf| files::read_module(path).map(|file| exports(&file));
    for (done, names) in (1..=paths.len()).zip(in_parallel(&paths, read)) {
        names?.iter().for_each(|name| symbols.add_export(name));
        say("reading", done);
    }
    let (symbols, targets) = (&symbols, Targets::new());
    let modules = system.map(|system| &system.modules);
    let traceable = traceable(args, symbols)?;
    let check = |path: &PathBuf| {
        let file = files::read_module(path)?;
        let kernel = Kernel::linux(args.kernel.as_deref(), &file)?;
        let mut world = World::new(kernel.profile, symbols, &targets, std::iter::empty());
        world.set_kernel(traceable.as_ref(), modules);
        let given = Given { path, file: &file, kernel: &kernel };
        let mut reports = simulate::check(&[given], world, &[], None);
        for report in &mut reports {
            report.findings.retain(|row| !args.allow.contains(&row.rule));
            report
                .notes
                .extend(kernel.note.iter().chain(system.iter().flat_map(|system| &system.notes)).cloned());
            report.used = system.map(|system| system.used(&BTreeMap::new()));
        }
        Ok(reports)
    };
    let mut failed = None;
    let reports = (1..=paths.len()).zip(in_parallel(&paths, check));
    let reports = reports.map_while(|(done, report)| {
        say("checking", done);
        report.map_err(|failure| failed = Some(failure)).ok()
    });
    let mut reports = reports.flatten();
    let printed = print(&mut reports, args, progress);
    drop(reports);
    failed.map_or(printed, Err)
}

/// Prints the reports one after the other. Returns whether one of them is denied.
fn print(
    reports: &mut dyn Iterator<Item = Report>,
    args: &CheckArgs,
    progress: &Progress,
) -> Result<bool, Failure> {
    let is_folder = args.module.iter().any(|path| path.is_dir());
    let many = is_folder || args.module.len() > 1;
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
                let mut shown = reports.by_ref().filter(|(_, denied)| *denied || !is_folder);
                shown.try_for_each(|(report, _)| {
                    progress.finish();
                    match console::is_quiet() {
                        true => text::first_line(&report, &mut out),
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
            CheckFormat::Text if is_folder => written.and_then(|()| summary.print(out)),
            _ => written,
        }
    })?;
    Ok(summary.denied != 0)
}

/// Whether the exit code is 1.
pub(crate) fn is_denied(report: &Report, args: &CheckArgs) -> bool {
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
