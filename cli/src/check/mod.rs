//! `relakit check`: what would the kernel say, and what would it not notice?

mod answer;
mod findings;
pub(crate) mod html;
mod items;
mod layout;
mod life;
mod many;
mod memory;
pub(crate) mod picture;
#[cfg(test)]
mod recorded;
mod report;
mod sarif;
mod seen;
mod terms;
mod text;
mod tree;
mod world;

pub(crate) use life::Event;

use crate::args::{CheckArgs, CheckFormat};
use crate::input::{self, Kind};
use crate::inspect::collect;
use crate::progress::Progress;
use crate::symbols::Symbols;
use crate::{Failure, image, output};
use life::Kernel;
use many::Summary;
use relakit::Module;
use report::{Report, Verdict};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use world::{Target, Targets, World};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let kernel = Kernel::new(&args.kernel)?;
    let progress = Progress::new();
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    let denied = match args.module.is_dir() {
        true if args.format == CheckFormat::Html => {
            return Err(Failure::Usage("--format html shows one module".to_owned()));
        }
        true => many::check(args, &kernel, symbols, &progress, |reports| print(reports, args, &progress))?,
        false => {
            let report = one(args, &kernel, &mut symbols, &progress)?;
            print(&mut std::iter::once(report), args, &progress)?
        }
    };
    match denied {
        true => Err(Failure::Faults),
        false => Ok(()),
    }
}

fn one(
    args: &CheckArgs,
    kernel: &Kernel,
    symbols: &mut Symbols,
    progress: &Progress,
) -> Result<Report, Failure> {
    progress.say("reading modules");
    let file = input::read(&args.module, Kind::Module)?;
    tree::add_neighbours(symbols, &args.module, &file)?;
    let mut targets = Targets::new();
    for (name, path) in &args.target {
        let file = input::read(path, Kind::Module)?;
        tree::add_neighbours(symbols, path, &file)?;
        targets.insert(name.clone(), Target { name: kernel_name(&file, path, kernel), file });
    }
    progress.say("checking");
    let world = World::new(kernel.profile, symbols, &targets, yet_to_come(&args.event));
    // Only the page shows it.
    let mut known = (args.format == CheckFormat::Html).then(picture::Known::default);
    let mut report = life::check(&args.module, &file, kernel, world, &args.event, known.as_mut());
    report.findings.retain(|row| !args.allow.contains(&row.rule));
    for (given, Target { name, .. }) in &targets {
        if given != name {
            report.notes.push(format!("--target {given}: the module calls itself {name}"));
        }
        if !args.event.iter().any(|event| event.module() == given) {
            report
                .notes
                .push(format!("--target {given}: nothing happens to it, give --event coming:{given}"));
        }
    }
    if let Some(known) = &known {
        let page = page(args, kernel, &file, known, &report);
        progress.finish();
        output::print(&page)?;
    }
    Ok(report)
}

/// The report as a page.
fn page(args: &CheckArgs, kernel: &Kernel, file: &[u8], known: &picture::Known, report: &Report) -> String {
    let Ok(module) = Module::parse(file, kernel.profile) else { return html::without_picture(report) };
    let told = collect::Kernel::new(&kernel.asked, kernel.profile);
    let told = collect::report(args.module.display().to_string(), &module, &told);
    html::page(&picture::Picture::new(&module, told, known, Some(report)), Some(report))
}

/// The name that a module has in the kernel.
fn kernel_name(file: &[u8], path: &Path, kernel: &Kernel) -> String {
    match Module::parse(file, kernel.profile) {
        Ok(module) => image::module_name(&module, path),
        Err(_) => image::name_of_file(path),
    }
}

/// The modules that are not there at first, whatever the symbol files say.
fn yet_to_come(events: &[Event]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(move |event| match event {
        Event::Coming(name) if !events.contains(&Event::Live(name.clone())) => Some(name.as_str()),
        _ => None,
    })
}

/// Prints the reports as they come; whether one of them is denied.
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
    output::to_stdout(|mut out| {
        let mut reports = reports.map(|report| {
            let denied = is_denied(&report, args);
            summary.add(&report, denied);
            (report, denied)
        });
        let mut plain = reports.by_ref().map(|(report, _)| report);
        match args.format {
            CheckFormat::Text => {
                for (report, _) in reports.by_ref().filter(|(_, denied)| *denied || !many) {
                    progress.finish();
                    output::stdout(text::print(&report, &mut out))?;
                }
            }
            CheckFormat::Json if many => output::stdout(output::json_list(out, &mut plain))?,
            CheckFormat::Json => plain.try_for_each(|report| output::stdout(output::json(out, &report)))?,
            CheckFormat::Sarif => output::stdout(output::json(out, &sarif::Log::new(&mut plain)))?,
            // The page was printed with the module at hand.
            CheckFormat::Html => {}
        }
        // A reader that has gone does not change the exit code.
        reports.for_each(drop);
        progress.finish();
        match args.format {
            CheckFormat::Text if many => summary.print(out),
            _ => Ok(()),
        }
    })?;
    Ok(summary.any_denied())
}

/// Whether this ends with exit code 1.
pub(crate) fn is_denied(report: &Report, args: &CheckArgs) -> bool {
    report.worst() != Verdict::Accepted || report.findings.iter().any(|row| row.severity >= args.deny)
}
