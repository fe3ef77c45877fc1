//! `relakit check`: what would the kernel say, and what would it not notice?

mod answer;
mod findings;
pub(crate) mod html;
mod items;
mod layout;
mod life;
mod many;
pub(crate) mod picture;
#[cfg(test)]
mod recorded;
mod report;
mod sarif;
mod terms;
mod text;
mod tree;
mod world;

pub(crate) use life::Event;

use crate::args::{CheckArgs, CheckFormat};
use crate::inspect::collect;
use crate::progress::Progress;
use crate::symbols::Symbols;
use crate::{Failure, image, input};
use life::Kernel;
use relakit::Module;
use report::{Report, Verdict};
use std::path::{Path, PathBuf};
use world::{Target, Targets, World};

/// Runs the command.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let kernel = Kernel::new(&args.kernel)?;
    let progress = Progress::new();
    progress.say("reading symbols");
    let mut symbols = Symbols::read(args.symbols.iter().map(PathBuf::as_path))?;
    let reports = match args.module.is_dir() {
        true => many::check(args, &kernel, symbols, &progress)?,
        false => vec![one(args, &kernel, &mut symbols, &progress)?],
    };
    progress.finish();
    print(&reports, args)?;
    match reports.iter().any(|report| is_denied(report, args)) {
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
    let file = input::read(&args.module)?;
    tree::add_neighbours(symbols, &args.module, &file)?;
    let mut targets = Targets::new();
    for (name, path) in &args.target {
        let file = input::read(path)?.to_vec();
        tree::add_neighbours(symbols, path, &file)?;
        targets.insert(name.clone(), Target { name: kernel_name(&file, path, kernel), file });
    }
    progress.say("checking");
    let world = World::new(kernel.profile, symbols, &targets, yet_to_come(&args.event));
    let mut known = picture::Known::default();
    let mut report = life::check(&args.module, &file, kernel, world, &args.event, Some(&mut known))?;
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
    if args.format == CheckFormat::Html {
        crate::print(&page(args, kernel, &file, &known, &report));
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

fn print(reports: &[Report], args: &CheckArgs) -> Result<(), Failure> {
    let many = args.module.is_dir();
    match (args.format, reports) {
        (CheckFormat::Text, _) => {
            let told = reports.iter().filter(|report| !many || is_denied(report, args));
            let mut out = anstream::stdout().lock();
            // A reader that has gone is no fault of ours.
            let _ = told.into_iter().try_for_each(|report| text::print(report, &mut out));
            if many {
                let _ = many::summary(reports, args, &mut out);
            }
        }
        (CheckFormat::Json, [report]) if !many => crate::print_json(&json(report)),
        (CheckFormat::Json, _) => crate::print_json(&json(reports)),
        (CheckFormat::Sarif, _) => crate::print_json(&sarif::log(reports)),
        (CheckFormat::Html, _) if !many => {}
        (CheckFormat::Html, _) => {
            return Err(Failure::Usage("--format html shows one module".to_owned()));
        }
    }
    Ok(())
}

/// Structures of text and numbers only, with text for keys: there is nothing in them that JSON has not.
fn json(value: &(impl serde::Serialize + ?Sized)) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Whether this ends with exit code 1.
pub(crate) fn is_denied(report: &Report, args: &CheckArgs) -> bool {
    report.worst() != Verdict::Accepted || report.findings.iter().any(|row| row.severity >= args.deny)
}
