//! Every module of a directory tree, in parallel.

use super::life::{self, Kernel};
use super::report::{Report, Verdict};
use super::tree::{self, exports, in_parallel};
use super::world::{Targets, World};
use crate::args::CheckArgs;
use crate::input::{self, Kind};
use crate::progress::Progress;
use crate::symbols::Symbols;
use crate::{Failure, output};
use relakit_linux::findings::Severity;
use std::io::Write;
use std::path::PathBuf;

/// Gives a report for each module under `args.module` to `print`, in the order of their paths. Modules are read twice, for
/// what they export and to be checked, so that they are not all in memory.
pub(crate) fn check<D>(
    args: &CheckArgs,
    kernel: &Kernel,
    mut symbols: Symbols,
    progress: &Progress,
    print: impl FnOnce(&mut dyn Iterator<Item = Report>) -> Result<D, Failure>,
) -> Result<D, Failure> {
    if !args.event.is_empty() || !args.target.is_empty() {
        return Err(Failure::Usage(
            "--event and --target are for one module, and this is a directory".to_owned(),
        ));
    }
    let paths = tree::modules(&args.module)?;
    if paths.is_empty() {
        return Err(Failure::File(format!("{}: no modules (*.ko, *.ko.xz) in it", args.module.display())));
    }
    let count = paths.len();
    let said =
        |what: &'static str| move |done: usize| progress.say(&format!("{what} {done} of {count} modules"));
    let read = |path: &PathBuf| input::read(path, Kind::Module).map(|file| exports(&file));
    in_parallel(&paths, read, &said("reading"), |all| {
        for names in all {
            names?.iter().for_each(|name| symbols.add_export(name));
        }
        Ok(())
    })?;
    let (symbols, targets) = (&symbols, Targets::new());
    let check = |path: &PathBuf| {
        let file = input::read(path, Kind::Module)?;
        let world = World::new(kernel.profile, symbols, &targets, std::iter::empty());
        let mut report = life::check(path, &file, kernel, world, &[], None);
        report.findings.retain(|row| !args.allow.contains(&row.rule));
        Ok(report)
    };
    in_parallel(&paths, check, &said("checking"), |all| {
        let mut failed = None;
        let mut reports = all.map_while(|report| report.map_err(|failure| failed = Some(failure)).ok());
        let printed = print(&mut reports);
        drop(reports);
        failed.map_or(printed, Err)
    })
}

/// How many modules and findings there were of what.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    modules: u64,
    verdicts: [u64; 4],
    findings: [u64; 3],
    denied: u64,
}

impl Summary {
    const VERDICTS: [Verdict; 4] =
        [Verdict::Accepted, Verdict::Rejected, Verdict::Unsafe, Verdict::NotJudged];
    const SEVERITIES: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Info];

    /// Counts one more.
    pub(crate) fn add(&mut self, report: &Report, denied: bool) {
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

    /// Whether one of them is denied.
    pub(crate) const fn any_denied(&self) -> bool {
        self.denied != 0
    }

    /// Prints the last line.
    pub(crate) fn print(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { modules, verdicts: [accepted, rejected, bad, unknown], .. } = self;
        let Self { findings: [errors, warnings, notes], denied, .. } = self;
        output::stdout(writeln!(
            out,
            "{modules} modules: {accepted} accepted, {rejected} rejected, {bad} unsafe, {unknown} not judged; {errors} \
             errors, {warnings} warnings, {notes} notes; {denied} denied",
        ))
    }
}
