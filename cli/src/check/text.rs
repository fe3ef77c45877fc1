//! The report for people, in the form that compilers have made familiar.

use super::items::{self, Item, decides, items, level, name, printable, sentence};
use super::report::{Answer, Report, Verdict};
use anstyle::{AnsiColor, Style};
use relakit_linux::findings::Severity;
use std::io::{self, Write};

/// Prints it whole: the verdict, what is wrong, what happened at each step, and the verdict again. One line if all is well.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    head(report, out)?;
    for item in grouped(report) {
        writeln!(out)?;
        block(&item, &report.file, out)?;
    }
    if !report.steps.is_empty() && (report.worst() != Verdict::Accepted || !report.findings.is_empty()) {
        steps(report, out)?;
    }
    notes(report, out)?;
    match (decides(report), items::counts(report)) {
        (None, None) => Ok(()),
        (decided, counts) => {
            let verdict = verdict(report.worst());
            let at = decided.map(|(_, at)| format!(": {at}")).unwrap_or_default();
            writeln!(out, "\n{verdict}{at}; {}", counts.unwrap_or_default())
        }
    }
}

fn head(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let rules = match (report.kernel.as_str(), report.rules) {
        (asked, row) if asked == row => format!("by the rules of Linux {row}"),
        (asked, row) => format!("by the rules of Linux {asked}, which are those of {row}"),
    };
    let verdict = verdict(report.worst());
    write!(out, "{verdict}: {}, {rules}", printable(&report.file))?;
    match decides(report) {
        Some((answer, at)) => {
            writeln!(out, ": {at}")?;
            answer.message.iter().try_for_each(|message| writeln!(out, "    {}", sentence(message)))
        }
        None if report.steps.is_empty() => writeln!(out),
        None => {
            let events: Vec<_> = report.steps.iter().map(|step| name(&printable(&step.event))).collect();
            writeln!(out, "; {}", events.join(", "))
        }
    }
}

/// All of them, but of each rule that only informs the first: the others are counted with it.
fn grouped(report: &Report) -> Vec<Item<'_>> {
    let mut grouped: Vec<Item<'_>> = Vec::new();
    for item in items(report) {
        let same = |first: &&mut Item<'_>| item.severity == Severity::Info && first.rule == item.rule;
        match grouped.iter_mut().find(same) {
            Some(first) => first.more = first.more.saturating_add(1).saturating_add(item.more),
            None => grouped.push(item),
        }
    }
    grouped
}

fn block(item: &Item<'_>, file: &str, out: &mut impl Write) -> io::Result<()> {
    let (bold, blue) = (Style::new().bold(), AnsiColor::Blue.on_default().bold());
    let label = match item.severity {
        Severity::Info => AnsiColor::Green,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Error => AnsiColor::Red,
    };
    let label = label.on_default().bold();
    let kind = level(item.severity);
    writeln!(out, "{label}{kind}[{}]{label:#}{bold}: {}{bold:#}", item.rule, sentence(item.message))?;

    let file = match item.module {
        Some(module) => format!("module {}", name(&printable(module))),
        None => printable(file),
    };
    let colon = |place: String| if place.is_empty() { place } else { format!(": {place}") };
    let place = item.place.map(items::place).unwrap_or_default();
    writeln!(out, "  {blue}-->{blue:#} {file}{}", colon(place))?;
    if let Some((what, other)) = item.other {
        writeln!(out, "  {blue}:::{blue:#} {file}{} ({what})", colon(items::place(other)))?;
    }
    let mut line = |text: &str| writeln!(out, "   {blue}={blue:#} {text}");
    if let Some(relocation) = item.place.and_then(items::relocation) {
        line(&relocation)?;
    }
    if let Some(numbers) = items::numbers(item.numbers) {
        line(&numbers)?;
    }
    for detail in item.details {
        line(&sentence(detail))?;
    }
    match (item.event, item.errno) {
        (Some(event), Some(errno)) => {
            line(&format!("at {}, Linux answers -{errno}", name(&printable(event))))?;
        }
        (Some(event), None) => line(&format!("at {}", name(&printable(event))))?,
        (None, _) => {}
    }
    if item.more > 0 {
        line(&format!("and {} more like this", item.more))?;
    }
    if let Some(help) = item.help {
        line(&format!("{bold}help{bold:#}: {}", sentence(help)))?;
    }
    line(&format!("{bold}note{bold:#}: {}", items::page(item.rule)))
}

/// What happened, in order: modules that were there, the load, and what came and went after it.
fn steps(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let (before, after): (Vec<_>, Vec<_>) =
        report.steps.iter().partition(|step| step.event.starts_with("live:"));
    let before = before.iter().map(|step| (step.event.as_str(), &step.answer));
    let after = after.iter().map(|step| (step.event.as_str(), &step.answer));
    let all = before.chain([("load", &report.answer)]).chain(after);
    let rows: Vec<_> = all.map(|(event, answer)| (name(&printable(event)), answer)).collect();
    let width = rows.iter().map(|(event, _)| event.chars().count()).max().unwrap_or_default();
    writeln!(out)?;
    rows.iter().try_for_each(|(event, answer)| writeln!(out, "{event:width$}  {}", outcome(answer)))
}

fn outcome(answer: &Answer) -> String {
    let mut outcome = verdict(answer.verdict);
    if let Some(errno) = answer.errno {
        outcome.push_str(&format!(", {errno}"));
    }
    if let Some(message) = &answer.message {
        outcome.push_str(&format!(": {}", sentence(message)));
    }
    outcome
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
    format!("{style}{}{style:#}", items::verdict(verdict))
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
