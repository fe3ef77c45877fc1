//! Every module of a directory tree, in parallel.

use super::answer;
use super::life::{self, Kernel};
use super::report::{Report, Verdict};
use super::tree::{self, exports, in_parallel};
use super::world::{Targets, World};
use crate::args::CheckArgs;
use crate::progress::Progress;
use crate::symbols::Symbols;
use crate::{Failure, input};
use relakit::check::Severity;
use std::io::{self, Write};
use std::path::PathBuf;

/// A report for each module under `args.module`, in the order of their paths.
pub(crate) fn check(
    args: &CheckArgs,
    kernel: &Kernel,
    mut symbols: Symbols,
    progress: &Progress,
) -> Result<Vec<Report>, Failure> {
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
    let read = |path: &PathBuf| {
        let file = input::read(path)?;
        let names = exports(&file);
        Ok((file, names))
    };
    let files = in_parallel(&paths, read, &said("reading"));
    let files = files.into_iter().collect::<Result<Vec<(input::Input, _)>, Failure>>()?;
    for name in files.iter().flat_map(|(_, names)| names) {
        symbols.add_export(name);
    }
    let (symbols, targets) = (&symbols, Targets::new());
    let items: Vec<_> = paths.iter().zip(&files).collect();
    let check = |(path, (file, _)): &(&PathBuf, &(input::Input, Vec<_>))| {
        let world = World::new(kernel.profile, symbols, &targets, std::iter::empty());
        match life::check(path, file, kernel, world, &[], None) {
            Err(Failure::File(reason)) => {
                Ok(Report { answer: answer::not_judged(reason), ..life::empty(path, kernel) })
            }
            Ok(mut report) => {
                report.findings.retain(|row| !args.allow.contains(&row.rule));
                Ok(report)
            }
            failed => failed,
        }
    };
    in_parallel(&items, check, &said("checking")).into_iter().collect()
}

/// The last line: how many there were of what.
pub(crate) fn summary(reports: &[Report], args: &CheckArgs, out: &mut impl Write) -> io::Result<()> {
    let count = |verdict| reports.iter().filter(|report| report.worst() == verdict).count();
    let findings = |severity| reports.iter().map(|report| report.count(severity)).sum::<usize>();
    let denied = reports.iter().filter(|report| super::is_denied(report, args)).count();
    writeln!(
        out,
        "{} modules: {} accepted, {} rejected, {} unsafe, {} not judged; {} errors, {} warnings, {} notes; {denied} denied",
        reports.len(),
        count(Verdict::Accepted),
        count(Verdict::Rejected),
        count(Verdict::Unsafe),
        count(Verdict::NotJudged),
        findings(Severity::Error),
        findings(Severity::Warning),
        findings(Severity::Info),
    )
}
