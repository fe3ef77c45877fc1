//! The differences as text.

use super::report::{FuncRow, Report};
use crate::console;
use crate::diagnostics::printable;
use crate::output::text::table::{Cell, Column, Table, Tone, cell, plain};
use crate::view::SectionClass;
use crate::view::names::{Name, plural};
use anstyle::AnsiColor;
use std::io::{self, Write};

/// Most rows of a table. JSON has all.
const LISTED: usize = 200;
/// Longest name, in characters.
const NAME: usize = 200;

/// What is no longer patched comes first.
pub(super) fn print(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    first_line(report, out)?;
    if console::is_quiet() {
        return Ok(());
    }
    functions("No longer patched", &report.no_longer_patched, true, out)?;
    for item in &report.not_judged {
        writeln!(out, "not judged: {}; give {}", item.what, item.give)?;
    }
    report.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
    functions("Added functions", &report.added, false, out)?;
    functions("Functions with other new code", &report.changed, false, out)?;
    names("Removed objects", &report.objects.removed, out)?;
    names("Added objects", &report.objects.added, out)?;
    names("Other code: changed", &report.other_code.changed, out)?;
    names("Other code: removed", &report.other_code.removed, out)?;
    names("Other code: added", &report.other_code.added, out)?;
    settings(report, out)?;
    symbols(report, out)?;
    relocations(report, out)?;
    writeln!(out, "\n{} with the same new code", plural(report.same, "function"))
}

fn first_line(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let lost = report.no_longer_patched.len() as u64;
    let incompatible = report.states.iter().any(|state| !state.compatible);
    let (colour, answer) = match lost {
        _ if lost != 0 => (AnsiColor::Red, format!("no longer patched: {}", plural(lost, "function"))),
        _ if incompatible => (AnsiColor::Red, "the states are not compatible".to_owned()),
        _ if !report.not_judged.is_empty() => (AnsiColor::Yellow, "not judged".to_owned()),
        _ => (AnsiColor::Green, "B patches each function that A patches".to_owned()),
    };
    let style = colour.on_default().bold();
    writeln!(out, "{style}{answer}{style:#}: A is {}, B is {}", printable(&report.a), printable(&report.b))
}

fn name(name: Name<'_>) -> Cell {
    plain(name.short(NAME))
}

/// Prints the rows of a table, and the number of those that are not listed.
fn table(
    title: &str,
    columns: impl IntoIterator<Item = Column>,
    rows: impl ExactSizeIterator<Item = Vec<Cell>>,
    out: &mut impl Write,
) -> io::Result<()> {
    let more = rows.len().saturating_sub(LISTED);
    let mut table = Table::new(columns);
    rows.take(LISTED).for_each(|row| table.row(row));
    table.print(out, title)?;
    match more {
        0 => Ok(()),
        more => writeln!(out, "and {more} more"),
    }
}

fn functions(title: &str, rows: &[FuncRow<'_>], are_lost: bool, out: &mut impl Write) -> io::Result<()> {
    let last = if are_lost { "Why" } else { "Replacement" };
    let columns =
        [Column::Name("Object"), Column::Name("Function"), Column::Number("Sympos"), Column::Name(last)];
    let rows = rows.iter().map(|row| {
        let last = match (&row.why, row.replacement) {
            (Some(why), _) => cell(Tone::Error, why),
            (None, Some(replacement)) => name(replacement),
            (None, None) => cell(Tone::Faint, "?"),
        };
        vec![name(row.object), name(row.function), plain(row.sympos), last]
    });
    table(title, columns, rows, out)
}

fn names(title: &str, names: &[Name<'_>], out: &mut impl Write) -> io::Result<()> {
    table(title, [Column::Name("Name")], names.iter().map(|found| vec![name(*found)]), out)
}

/// What the livepatch says about itself.
fn settings(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let mut rows = Vec::new();
    let replace = |value: Option<bool>| match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    };
    if report.replace.a != report.replace.b {
        let (a, b) = (replace(report.replace.a), replace(report.replace.b));
        rows.push(vec![plain("replaces others"), plain(a), plain(b)]);
    }
    for state in &report.states {
        let version =
            |version: Option<u32>| version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        let tone = if state.compatible { Tone::Plain } else { Tone::Error };
        let title = format!("version of state {:#x}", state.id);
        rows.push(vec![plain(title), plain(version(state.a)), cell(tone, version(state.b))]);
    }
    for row in &report.callbacks {
        let list = |names: &[&str]| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
        rows.push(vec![
            plain(format!("callbacks of {}", row.object.short(NAME))),
            plain(list(&row.a)),
            plain(list(&row.b)),
        ]);
    }
    for row in &report.modinfo {
        let value = |value: Option<Name<'_>>| value.map_or_else(|| plain("-"), name);
        rows.push(vec![plain(row.key), value(row.a), value(row.b)]);
    }
    let columns = [Column::Name("What"), Column::Name("A"), Column::Name("B")];
    table("Settings", columns, rows.into_iter(), out)
}

fn symbols(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let symbols = &report.symbols;
    let mut rows = Vec::new();
    for row in &symbols.removed {
        rows.push(vec![name(row.object), name(row.name), plain("removed")]);
    }
    for row in &symbols.added {
        rows.push(vec![name(row.object), name(row.name), plain("added")]);
    }
    for row in &symbols.sympos_changed {
        let list = |all: &[u64]| all.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let change = format!("sympos {} becomes {}", list(&row.a), list(&row.b));
        rows.push(vec![name(row.object), name(row.name), plain(change)]);
    }
    let columns = [Column::Name("Object"), Column::Name("Symbol"), Column::Text("Change")];
    table("Livepatch symbols", columns, rows.into_iter(), out)
}

fn relocations(report: &Report<'_>, out: &mut impl Write) -> io::Result<()> {
    let rows = report.relocations.iter().map(|row| {
        let object = row.object.map_or_else(|| plain("-"), name);
        vec![plain(class(row.class)), object, plain(row.a), plain(row.b)]
    });
    let columns = [Column::Text("Class"), Column::Name("Object"), Column::Number("A"), Column::Number("B")];
    table("Relocations by class", columns, rows, out)?;
    let rows = report
        .sections
        .iter()
        .map(|row| vec![plain(class(row.class)), name(row.section), plain(row.a), plain(row.b)]);
    let columns = [Column::Text("Class"), Column::Name("Section"), Column::Number("A"), Column::Number("B")];
    table("Relocations by section", columns, rows, out)
}

const fn class(class: SectionClass) -> &'static str {
    match class {
        SectionClass::Ordinary => "ordinary",
        SectionClass::KlpEarly => "early",
        SectionClass::KlpLate => "late",
        SectionClass::Skipped => "skipped",
        SectionClass::Malformed => "malformed",
        SectionClass::LegacyArch => "legacy",
        SectionClass::NotRelocation | SectionClass::Other => "other",
    }
}
