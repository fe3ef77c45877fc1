//! The patched objects and the livepatch symbols.

use super::super::table::{Column, Table, Tone, cell, plain};
use super::{LISTED, counted, level_tone, name};
use crate::view::names::list;
use crate::view::{ObjectRow, SymbolRow};
use relakit::abi;
use std::io::{self, Write};

pub(super) fn objects(out: &mut impl Write, objects: &[ObjectRow<'_>]) -> io::Result<()> {
    let mut columns = vec![
        Column::Name("Object"),
        Column::Text("Applied"),
        Column::Number("Relocations"),
        Column::Number("Symbols"),
        Column::Prose("Sections"),
    ];
    let has_bad = objects.iter().any(|object| !object.not_applied.is_empty());
    columns.extend(has_bad.then_some(Column::Prose("Not applied")));
    let mut table = Table::new(columns);
    for object in objects {
        let (tone, when) = match (object.sections.is_empty(), object.name.0) {
            (true, _) => (Tone::Faint, "-"),
            (false, abi::VMLINUX) => (Tone::Early, "early"),
            (false, _) => (Tone::Late, "late"),
        };
        let numbers = |sections: &[u32]| list(sections.iter().copied(), LISTED);
        let mut cells = vec![
            plain(name(object.name)),
            cell(tone, when),
            counted(object.relocations, Tone::Plain),
            counted(object.symbols, Tone::Plain),
            plain(numbers(&object.sections)),
        ];
        cells.extend(has_bad.then(|| cell(Tone::Error, numbers(&object.not_applied))));
        table.row(cells);
    }
    table.print(out, "Objects")
}

pub(super) fn symbols(out: &mut impl Write, rows: &[SymbolRow<'_>]) -> io::Result<()> {
    let mut columns = vec![
        Column::Number("Nr"),
        Column::Name("Object"),
        Column::Name("Symbol"),
        Column::Number("Sympos"),
        Column::Number("Used"),
        Column::Prose("In sections"),
    ];
    let has_notes = rows.iter().any(|row| !row.notes.is_empty());
    columns.extend(has_notes.then_some(Column::Prose("Notes")));
    let mut table = Table::new(columns);
    for row in rows {
        let tone = if row.relocations == 0 { Tone::Faint } else { Tone::Plain };
        let sympos = row.sympos.map(|sympos| sympos.to_string());
        let text = |of: Option<String>| {
            cell(tone, of.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned()))
        };
        let mut cells = vec![
            cell(tone, row.index),
            text(row.object.map(name)),
            text(row.symbol.or(row.name).map(name)),
            text(sympos),
            counted(row.relocations, tone),
            cell(tone, list(row.sections.iter().map(|one| one.section), LISTED)),
        ];
        if has_notes {
            let tone = row.notes.first().map_or(Tone::Plain, |note| level_tone(note.level));
            let notes: Vec<_> = row.notes.iter().map(|note| note.text.as_str()).collect();
            cells.push(cell(tone, notes.join("; ")));
        }
        table.row(cells);
    }
    table.print(out, "Livepatch symbols")
}
