//! The matrix of `relakit check --kernel-set`, and the groups of kernels with the same result.

use super::row::{Answer, Found, Group, Outcome, Row, Set};
use crate::console;
use crate::diagnostics::{printable, sentence};
use crate::output::text::table::{Cell, Column, Table, Tone, cell, plain};
use crate::view::names::plural;
use std::io::{self, Write};

/// Width of the text, in columns.
const WIDTH: usize = 80;
/// Most kernels of a group that are listed. The table has all of them.
const KERNELS: usize = 12;

/// Prints the summary, the table, and the groups.
pub(crate) fn print(set: &Set, out: &mut impl Write) -> io::Result<()> {
    wrapped(out, "", &summary(set))?;
    if console::is_quiet() {
        return Ok(());
    }
    table(set).print_narrow(out, "Kernels")?;
    writeln!(out, "\n{0}Groups{0:#}", anstyle::Style::new().bold())?;
    set.groups.iter().try_for_each(|group| print_group(group, out))
}

/// "3 kernels: 1 rejected, 2 accepted; a.ko".
fn summary(set: &Set) -> String {
    let files: Vec<_> = set.files.iter().map(|file| printable(file)).collect();
    format!("{}; {}", counts(set), files.join(", "))
}

/// "3 kernels: 1 rejected, 2 accepted".
pub(crate) fn counts(set: &Set) -> String {
    let counts = Outcome::ALL.into_iter().rev().filter_map(|outcome| match set.count(outcome) {
        0 => None,
        count => Some(format!("{count} {}", outcome.name())),
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!("{}: {counts}", plural(set.kernels.len() as u64, "kernel"))
}

fn table(set: &Set) -> Table {
    let has_other = set.kernels.iter().any(|row| row.rebuilt.is_some());
    let mut columns = vec![Column::Number("Group"), Column::Name("Kernel"), Column::Text("As it is")];
    columns.extend(has_other.then_some(Column::Text("Rebuilt")));
    columns.extend([Column::Text("Phase"), Column::Text("Errno"), Column::Name("Modules")]);
    let mut table = Table::new(columns);
    for row in &set.kernels {
        let answer = row.answer();
        let mut cells = vec![plain(row.group), plain(name(row)), outcome(row.file.outcome)];
        if has_other {
            let rebuilt = row.rebuilt.as_ref().map(|rebuilt| rebuilt.outcome);
            cells.push(rebuilt.map_or_else(|| plain("-"), outcome));
        }
        cells.extend([plain(phase(answer)), plain(answer.errno.unwrap_or("-")), plain(modules(row))]);
        table.row(cells);
    }
    table
}

/// The folder, and the release if it is not the folder's name.
fn name(row: &Row) -> String {
    match &row.release {
        Some(release) if *release != row.folder => format!("{} ({release})", printable(&row.folder)),
        _ => printable(&row.folder),
    }
}

fn outcome(outcome: Outcome) -> Cell {
    let tone = match outcome {
        Outcome::Accepted | Outcome::Fits => Tone::Plain,
        Outcome::NotJudged => Tone::Warning,
        Outcome::Rejected | Outcome::Unsafe => Tone::Error,
    };
    cell(tone, outcome.name())
}

pub(crate) fn phase(answer: &Answer) -> String {
    answer.phase.map_or_else(|| "-".to_owned(), |phase| format!("{phase:?}").to_lowercase())
}

/// The patched modules without symbols, or how many have them.
pub(crate) fn modules(row: &Row) -> String {
    let missing: Vec<_> = row.objects.iter().filter(|object| object.found == Found::Missing).collect();
    match (missing.as_slice(), row.objects.len()) {
        (_, 0) => "-".to_owned(),
        ([], count) => format!("{count} found"),
        (missing, _) => {
            let names: Vec<_> = missing.iter().map(|object| object.name.as_str()).collect();
            format!("no {}", names.join(", "))
        }
    }
}

fn print_group(group: &Group, out: &mut impl Write) -> io::Result<()> {
    let count = plural(group.kernels.len() as u64, "kernel");
    wrapped(out, "", &format!("{}: {count}, {}", group.number, group.result.name()))?;
    explain("as it is", &group.file, out)?;
    if let Some(rebuilt) = &group.rebuilt {
        explain("rebuilt", rebuilt, out)?;
    }
    for rule in &group.findings {
        let count = if rule.count == 1 { String::new() } else { format!(" ({} times)", rule.count) };
        wrapped(out, "   ", &format!("{}[{}]{count}", rule.severity, rule.rule))?;
    }
    let shown: Vec<_> = group.kernels.iter().take(KERNELS).map(|name| printable(name)).collect();
    let more = match group.kernels.len().saturating_sub(KERNELS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    wrapped(out, "   ", &format!("{}{more}", shown.join(", ")))
}

/// Prints "as it is: rejected with ENOEXEC at load (validity): MESSAGE".
fn explain(what: &str, answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    wrapped(out, "   ", &format!("{what}: {}", says(answer)))
}

/// "rejected with ENOEXEC at load (validity): MESSAGE".
pub(crate) fn says(answer: &Answer) -> String {
    let errno = answer.errno.map(|errno| format!(" with {errno}")).unwrap_or_default();
    let event = answer.event.as_ref().map(|event| format!(" at {event}")).unwrap_or_default();
    let phase = answer.phase.map(|_| format!(" ({})", phase(answer))).unwrap_or_default();
    let message = answer.message.as_ref().map(|text| format!(": {}", sentence(text))).unwrap_or_default();
    format!("{}{errno}{event}{phase}{message}", answer.outcome.name())
}

/// Prints words in lines of at most [`WIDTH`] columns. A longer word has its own line.
fn wrapped(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    let mut line = indent.to_owned();
    let mut is_first = true;
    for word in text.split(' ') {
        let width = line.chars().count().saturating_add(word.chars().count()).saturating_add(1);
        if !is_first && width > WIDTH {
            writeln!(out, "{line}")?;
            line = format!("{indent}  ");
            is_first = true;
        }
        if !is_first {
            line.push(' ');
        }
        line.push_str(word);
        is_first = false;
    }
    writeln!(out, "{line}")
}
