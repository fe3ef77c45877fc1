//! Diagnostics, and the report of `relakit check`, in the style of compilers.

use crate::diagnostics::{self, Diagnostic, decisive, level, printable, sentence};
use crate::simulate::report::{Prediction, Report, Verdict};
use crate::view::location::{Location, short};
use crate::view::names::{self, plural};
use anstyle::{AnsiColor, Style};
use relakit_linux::findings::Severity;
use std::io::{self, Write};

/// Most places of one diagnostic that are listed.
const PLACES: usize = 12;
/// Most events in the first line.
const EVENTS: usize = 12;

/// Prints the answer, the diagnostics, the steps, the notes, and the answer again. If there is
/// nothing to report, this is one line.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    summary(report, out)?;
    for group in grouped(report) {
        writeln!(out)?;
        several(&group, &report.file, out)?;
    }
    if !report.steps.is_empty() && (report.worst() != Verdict::Accepted || !report.findings.is_empty()) {
        steps(report, out)?;
    }
    notes(report, out)?;
    match (decisive(report), diagnostics::counts(report)) {
        (None, None) => Ok(()),
        (decisive, _) => {
            let at = decisive.map(|(_, at)| format!(": {at}")).unwrap_or_default();
            writeln!(out, "\n{}{at}", answer(report))
        }
    }
}

/// The first line, and the decisive message.
fn summary(report: &Report, out: &mut impl Write) -> io::Result<()> {
    first_line(report, out)?;
    let message = decisive(report).and_then(|(prediction, _)| prediction.message.as_ref());
    message.iter().try_for_each(|message| writeln!(out, "    {}", sentence(message)))
}

/// The answer, and where it comes from.
pub(crate) fn first_line(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let rules = names::rules(&report.kernel, report.rules);
    write!(out, "{}: {}, {rules}", answer(report), printable(&report.file))?;
    let events = report.steps.iter().map(|step| short(&printable(&step.event)));
    let mut events: Vec<_> = events.take(EVENTS).collect();
    if let more @ 1.. = report.steps.len().saturating_sub(EVENTS) {
        events.push(format!("and {more} more"));
    }
    match decisive(report) {
        Some((_, at)) => writeln!(out, ": {at}"),
        None if report.steps.is_empty() => writeln!(out),
        None => writeln!(out, "; {}", events.join(", ")),
    }
}

/// "accepted", "accepted with 2 errors", "rejected with 1 error": the verdict in its colour. Only
/// what is accepted without errors and warnings is green.
fn answer(report: &Report) -> String {
    let worst = report.worst();
    let severest = report.findings.iter().map(|row| row.severity).max();
    let colour = match (worst, severest) {
        (Verdict::Rejected | Verdict::Unsafe, _) | (Verdict::Accepted, Some(Severity::Error)) => {
            AnsiColor::Red
        }
        (Verdict::NotJudged, _) | (Verdict::Accepted, Some(Severity::Warning)) => AnsiColor::Yellow,
        (Verdict::Accepted, _) => AnsiColor::Green,
    };
    let style = colour.on_default().bold();
    let counts = diagnostics::counts(report).map(|counts| format!(" with {counts}")).unwrap_or_default();
    format!("{style}{}{counts}{style:#}", diagnostics::verdict(worst))
}

/// All diagnostics. Those that differ only in their places are together. Of each rule with severity
/// "info", only the first place is listed.
fn grouped(report: &Report) -> Vec<Vec<Diagnostic>> {
    let mut groups: Vec<Vec<Diagnostic>> = Vec::new();
    for item in diagnostics::all(report) {
        let group = groups.iter_mut().find(|group| group.first().is_some_and(|first| first.is_like(&item)));
        match group {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    // The worst first, and otherwise in the order of the kernel.
    groups.sort_by_key(|group| group.first().map(|item| std::cmp::Reverse(item.severity)));
    for group in &mut groups {
        let most = if group.first().is_some_and(|item| item.severity == Severity::Info) { 1 } else { PLACES };
        let rest = group.split_off(most.min(group.len()));
        let more = rest.iter().fold(rest.len() as u64, |more, item| more.saturating_add(item.more));
        if let Some(last) = group.last_mut() {
            last.more = last.more.saturating_add(more);
        }
    }
    groups
}

/// Prints one diagnostic about `file`.
pub(crate) fn diagnostic(item: &Diagnostic, file: &str, out: &mut impl Write) -> io::Result<()> {
    several(std::slice::from_ref(item), file, out)
}

/// Prints diagnostics that differ only in their places.
fn several(items: &[Diagnostic], file: &str, out: &mut impl Write) -> io::Result<()> {
    let Some(item) = items.first() else { return Ok(()) };
    let (bold, blue) = (Style::new().bold(), AnsiColor::Blue.on_default().bold());
    let label = match item.severity {
        Severity::Info => AnsiColor::Green,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Error => AnsiColor::Red,
    };
    let label = label.on_default().bold();
    let rule = item.rule.map(|rule| format!("[{rule}]")).unwrap_or_default();
    writeln!(
        out,
        "{label}{}{rule}{label:#}{bold}: {}{bold:#}",
        level(item.severity),
        sentence(&item.message)
    )?;
    for item in items {
        let file = match &item.module {
            Some(module) => format!("module {}", short(&printable(module))),
            None => printable(file),
        };
        let after_file = |location: &Location| match location.to_string() {
            empty if empty.is_empty() => empty,
            location => format!(": {location}"),
        };
        let location = item.location.as_ref().map(after_file).unwrap_or_default();
        writeln!(out, "  {blue}-->{blue:#} {file}{location}")?;
        if let Some((what, other)) = &item.other {
            writeln!(out, "  {blue}:::{blue:#} {file}{} ({what})", after_file(other))?;
        }
        item.facts().iter().try_for_each(|line| writeln!(out, "   {blue}={blue:#} {line}"))?;
    }
    let mut lines = Vec::new();
    lines.extend(item.help.as_ref().map(|help| format!("{bold}help{bold:#}: {}", sentence(help))));
    lines.extend(item.rule.map(|rule| format!("{bold}note{bold:#}: relakit explain {rule}")));
    lines.iter().try_for_each(|line| writeln!(out, "   {blue}={blue:#} {line}"))
}

/// The result of each step.
fn steps(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let all = report.in_order();
    let rows: Vec<_> = all.map(|(_, event, prediction)| (short(&printable(event)), prediction)).collect();
    let width = rows.iter().map(|(event, _)| event.chars().count()).max().unwrap_or_default();
    writeln!(out)?;
    rows.iter().try_for_each(|(event, prediction)| writeln!(out, "{event:width$}  {}", outcome(prediction)))
}

fn outcome(prediction: &Prediction) -> String {
    let errno = prediction.errno.map(|errno| format!(", {errno}")).unwrap_or_default();
    let message = prediction.message.as_ref().map(|message| format!(": {}", sentence(message)));
    let applied = prediction.applied.map(|applied| {
        let relocations = plural(applied.relocations, "livepatch relocation");
        format!("; applies {relocations} and replaces {}", plural(applied.functions, "function"))
    });
    format!(
        "{}{errno}{}{}",
        verdict(prediction.verdict),
        message.unwrap_or_default(),
        applied.unwrap_or_default()
    )
}

fn notes(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let bold = AnsiColor::Green.on_default().bold();
    if !report.notes.is_empty() {
        writeln!(out)?;
    }
    report.notes.iter().try_for_each(|note| writeln!(out, "{bold}note{bold:#}: {}", sentence(note)))
}

/// A verdict in its colour.
fn verdict(verdict: Verdict) -> String {
    let colour = match verdict {
        Verdict::Accepted => AnsiColor::Green,
        Verdict::NotJudged => AnsiColor::Yellow,
        Verdict::Rejected | Verdict::Unsafe => AnsiColor::Red,
    };
    let style = colour.on_default().bold();
    format!("{style}{}{style:#}", diagnostics::verdict(verdict))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
