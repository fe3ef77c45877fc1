//! The sections, and the reasons for their classes.

use super::super::table::{Column, Table, Tone, cell, plain};
use super::{LISTED, class_text, class_tone, level_tone, name};
use crate::view::names::list;
use crate::view::{SectionClass, SectionRow};
use relakit::Reason;
use std::collections::HashMap;
use std::io::{self, Write};

pub(super) fn sections(out: &mut impl Write, rows: &[SectionRow<'_>]) -> io::Result<()> {
    let mut table = Table::new([
        Column::Number("Nr"),
        Column::Name("Name"),
        Column::Text("Type"),
        Column::Text("Flags"),
        Column::Number("Size"),
        Column::Text("Class"),
        Column::Number("Entries"),
        Column::Spare("Into"),
    ]);
    for row in rows {
        let class = match row.class {
            SectionClass::NotRelocation if row.special => cell(Tone::Special, "special"),
            class => cell(class_tone(class), class_text(class, row.object)),
        };
        let target = row.target.map(|target| {
            let target_name = row.target_name.map(name).unwrap_or_default();
            format!("{target} {target_name}")
        });
        table.row(vec![
            plain(row.index),
            plain(name(row.name)),
            plain(&row.type_name),
            plain(&row.flag_letters),
            plain(format_args!("{:#x}", row.size)),
            class,
            plain(row.entries.map(|entries| entries.to_string()).unwrap_or_default()),
            plain(target.unwrap_or_default()),
        ]);
    }
    table.print(out, "Sections")?;
    if rows.iter().any(|row| row.flag_letters.contains('o')) {
        writeln!(out, "Flags as in readelf; o: SHF_RELA_LIVEPATCH.")?;
    }
    Ok(())
}

/// The reasons for the classes, unless they are obvious, and all notes.
pub(super) fn reasons(out: &mut impl Write, rows: &[SectionRow<'_>]) -> io::Result<()> {
    let mut numbers: HashMap<(SectionClass, String), usize> = HashMap::new();
    let mut reasons: Vec<(Tone, SectionClass, String, Vec<u32>)> = Vec::new();
    let mut add = |row: &SectionRow<'_>, tone: Tone, text: String| {
        let number = *numbers.entry((row.class, text.clone())).or_insert_with(|| {
            reasons.push((tone, row.class, text, Vec::new()));
            reasons.len().saturating_sub(1)
        });
        if let Some((_, _, _, sections)) = reasons.get_mut(number) {
            sections.push(row.index);
        }
    };
    for row in rows {
        if let Some(text) = reason(row) {
            add(row, class_tone(row.class), text);
        }
        for note in &row.notes {
            add(row, level_tone(note.level), note.text.clone());
        }
    }
    let mut table = Table::new([Column::Text("Class"), Column::Prose("Sections"), Column::Prose("Why")]);
    for (tone, class, text, sections) in reasons {
        table.row(vec![
            cell(tone, class_text(class, None)),
            plain(list(sections.into_iter(), LISTED)),
            plain(text),
        ]);
    }
    table.print(out, "Reasons")
}

/// The reason for the class of a section, unless it is obvious.
fn reason(row: &SectionRow<'_>) -> Option<String> {
    let fails = match row.fails {
        Some("load") => "the module cannot be loaded".to_owned(),
        Some("any-coming") => "the module loads, but no target module can be loaded".to_owned(),
        Some(_) => {
            let object = row.object.map(name).unwrap_or_default();
            format!("the module loads, but {object} cannot be loaded")
        }
        None => String::new(),
    };
    match (&row.error, row.reason) {
        (Some(error), _) => Some(format!("{}; {fails}", error.error)),
        (None, Reason::Rela | Reason::Vmlinux | Reason::Module | Reason::OtherType) => None,
        (None, reason) => Some(reason.text().to_owned()),
    }
}
