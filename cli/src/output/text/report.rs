//! Diagnostics, and the report of `relakit check`, in the style of compilers.

use crate::diagnostics::{self, Diagnostic, decisive, level, printable, sentence};
use crate::simulate::report::{Prediction, Report, Verdict};
use crate::view::location::{Location, short};
use crate::view::names;
use anstyle::{AnsiColor, Style};
use relakit_linux::findings::Severity;
use std::io::{self, Write};

/// Prints the verdict, the diagnostics, the steps, the notes, and the verdict again. If there is
/// nothing to report, this is one line.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    head(report, out)?;
    for item in grouped(report) {
        writeln!(out)?;
        diagnostic(&item, &report.file, out)?;
    }
    if !report.steps.is_empty() && (report.worst() != Verdict::Accepted || !report.findings.is_empty()) {
        steps(report, out)?;
    }
    notes(report, out)?;
    match (decisive(report), diagnostics::counts(report)) {
        (None, None) => Ok(()),
        (decisive, counts) => {
            let verdict = verdict(report.worst());
            let at = decisive.map(|(_, at)| format!(": {at}")).unwrap_or_default();
            writeln!(out, "\n{verdict}{at}; {}", counts.unwrap_or_default())
        }
    }
}

fn head(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let rules = names::rules(&report.kernel, report.rules);
    write!(out, "{}: {}, {rules}", verdict(report.worst()), printable(&report.file))?;
    match decisive(report) {
        Some((prediction, at)) => {
            writeln!(out, ": {at}")?;
            prediction.message.iter().try_for_each(|message| writeln!(out, "    {}", sentence(message)))
        }
        None if report.steps.is_empty() => writeln!(out),
        None => {
            let events: Vec<_> = report.steps.iter().map(|step| short(&printable(&step.event))).collect();
            writeln!(out, "; {}", events.join(", "))
        }
    }
}

/// All diagnostics, but only the first one of each rule with severity "info". It counts the others.
fn grouped(report: &Report) -> Vec<Diagnostic> {
    let mut grouped: Vec<Diagnostic> = Vec::new();
    for item in diagnostics::all(report) {
        let same = |first: &&mut Diagnostic| item.severity == Severity::Info && first.rule == item.rule;
        match grouped.iter_mut().find(same) {
            Some(first) => first.more = first.more.saturating_add(1).saturating_add(item.more),
            None => grouped.push(item),
        }
    }
    grouped
}

/// Prints one diagnostic about `file`.
pub(crate) fn diagnostic(item: &Diagnostic, file: &str, out: &mut impl Write) -> io::Result<()> {
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

    let file = match &item.module {
        Some(module) => format!("module {}", short(&printable(module))),
        None => printable(file),
    };
    let after_file = |location: &Location| match location.to_string() {
        empty if empty.is_empty() => empty,
        location => format!(": {location}"),
    };
    writeln!(
        out,
        "  {blue}-->{blue:#} {file}{}",
        item.location.as_ref().map(after_file).unwrap_or_default()
    )?;
    if let Some((what, other)) = &item.other {
        writeln!(out, "  {blue}:::{blue:#} {file}{} ({what})", after_file(other))?;
    }
    let mut lines = item.facts();
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
    format!("{}{errno}{}", verdict(prediction.verdict), message.unwrap_or_default())
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
