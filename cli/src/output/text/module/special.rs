//! The special sections and their relocations.

use super::super::table::{Column, Table, Tone, cell, plain};
use super::{counted, level_tone};
use crate::view::{ModuleView, SpecialRow};
use std::io::{self, Write};

pub(super) fn specials(out: &mut impl Write, module: &ModuleView<'_>) -> io::Result<()> {
    let (rows, Some(kernel)) = (&module.special_sections, &module.special_sections_of) else { return Ok(()) };
    let has = |is: &dyn Fn(&SpecialRow<'_>) -> bool| rows.iter().any(is);
    let has_early = has(&|row| row.klp_early != 0);
    let has_late = has(&|row| !row.klp_late.is_empty());
    let has_not_applied = has(&|row| row.not_applied != 0);
    let mut columns = vec![
        Column::Number("Nr"),
        Column::Name("Name"),
        Column::Number("Entries"),
        Column::Number("Ordinary"),
    ];
    columns.extend(has_early.then_some(Column::Number("Early")));
    columns.extend(has_late.then_some(Column::Number("Late")));
    columns.extend(has_not_applied.then_some(Column::Number("Not applied")));
    columns.extend([Column::Text("Read at"), Column::Prose("What (reader)")]);
    let mut table = Table::new(columns);
    for row in rows {
        let (tone, read_at) = read_at(row);
        let what = match row.reader {
            "" => row.what.to_owned(),
            reader => format!("{} ({reader})", row.what),
        };
        let late = row.klp_late.iter().map(|late| late.relocations).sum();
        let late_tone = if row.too_late { Tone::Error } else { Tone::Late };
        let mut cells = vec![
            plain(row.section),
            cell(tone, row.name),
            plain(row.entries.map_or_else(|| "-".to_owned(), |entries| entries.to_string())),
            counted(row.ordinary, Tone::Plain),
        ];
        cells.extend(has_early.then(|| counted(row.klp_early, Tone::Early)));
        cells.extend(has_late.then(|| counted(late, late_tone)));
        cells.extend(has_not_applied.then(|| counted(row.not_applied, Tone::Warning)));
        cells.extend([cell(tone, read_at), cell(tone, what)]);
        table.row(cells);
    }
    table.print(out, &format!("Special sections, as Linux {kernel} reads them"))?;

    let mut table = Table::new([Column::Number("Nr"), Column::Name("Name"), Column::Prose("Notes")]);
    for row in rows {
        for note in &row.notes {
            let tone = level_tone(note.level);
            table.row(vec![plain(row.section), cell(tone, row.name), cell(tone, &note.text)]);
        }
    }
    table.print(out, "Notes on special sections")
}

/// When a special section is read, or why not.
fn read_at(row: &SpecialRow<'_>) -> (Tone, String) {
    let version = |version: &Option<String>| version.clone().unwrap_or_default();
    match (row.read_at, row.not_read) {
        (Some(when), _) => (Tone::Plain, when.to_owned()),
        (None, Some("not-yet")) => (Tone::Faint, format!("since {}", version(&row.since))),
        (None, Some("no-longer")) => (Tone::Faint, format!("before {}", version(&row.until))),
        (None, _) => (Tone::Faint, "never".to_owned()),
    }
}
