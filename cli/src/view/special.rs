//! The special sections, and their relocations.

use super::names::{IN_SENTENCE, plural};
use super::walk::Walk;
use super::{LateInto, Level, Note, SectionClass, SectionRow, SpecialRow};
use relakit_linux::special::{ReadAt, Special, Version, by_name};
use std::collections::HashMap;

/// "6.12"
pub(super) fn version((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

/// A row for each special section of the module, for a kernel of this version.
pub(super) fn rows<'f>(walk: &Walk<'f>, kernel: Version) -> Vec<SpecialRow<'f>> {
    let mut specials: Vec<_> = walk
        .rows
        .iter()
        .filter_map(|row| Some((by_name(row.name.0)?, row)))
        .map(|(special, row)| (special, new(row, special, kernel)))
        .collect();
    let numbers: HashMap<u32, usize> =
        (0..).zip(&specials).map(|(number, (_, row))| (row.section, number)).collect();
    for row in &walk.rows {
        let number = row.target.and_then(|target| numbers.get(&target));
        if let Some((_, special)) = number.and_then(|&number| specials.get_mut(number)) {
            count_relocations(special, row);
        }
    }
    let late = |(special, mut row): (&Special, SpecialRow<'f>)| {
        row.too_late = !row.klp_late.is_empty() && !special.takes_late(kernel);
        if row.too_late {
            let notes = row.klp_late.iter().map(|late| too_late(late, row.reader));
            row.notes.extend(notes.collect::<Vec<_>>());
        }
        row
    };
    specials.into_iter().map(late).collect()
}

fn new<'f>(row: &SectionRow<'f>, special: &'static Special, kernel: Version) -> SpecialRow<'f> {
    let entry_size = special.entry_size(kernel);
    let size = entry_size.map(u64::from).filter(|&size| size != 0);
    let mut notes = Vec::new();
    if let Some(size) = size.filter(|&size| !row.size.is_multiple_of(size)) {
        let text = format!(
            "the size {:#x} is not a multiple of the entry size {size}; was it built for another kernel?",
            row.size
        );
        notes.push(Note { level: Level::Warning, text });
    }
    SpecialRow {
        section: row.index,
        name: special.name,
        what: special.what,
        reader: special.reader,
        read_at: special.first_read(kernel).and_then(read_at),
        not_read: not_read(special, kernel),
        since: special.since.map(version),
        until: special.until.map(version),
        size: row.size,
        entry_size,
        entries: size.and_then(|size| row.size.checked_div(size)),
        ordinary: 0,
        klp_early: 0,
        klp_late: Vec::new(),
        not_applied: 0,
        too_late: false,
        notes,
    }
}

fn read_at(read_at: ReadAt) -> Option<&'static str> {
    Some(match read_at {
        ReadAt::Load => "load",
        ReadAt::Finalize => "finalize",
        ReadAt::Formation => "formation",
        ReadAt::Coming => "coming",
        ReadAt::Init => "init",
        ReadAt::OnDemand => "on-demand",
        _ => return None,
    })
}

fn not_read(special: &Special, kernel: Version) -> Option<&'static str> {
    match special.since {
        _ if special.is_read_by(kernel) => None,
        _ if special.read_at == ReadAt::Never => Some("never"),
        Some(since) if kernel < since => Some("not-yet"),
        _ => Some("no-longer"),
    }
}

/// Counts the relocations of section `row`, whose target is `special`.
fn count_relocations<'f>(special: &mut SpecialRow<'f>, row: &SectionRow<'f>) {
    let relocations = row.entries.unwrap_or(0);
    let number = match row.class {
        SectionClass::Ordinary => &mut special.ordinary,
        SectionClass::KlpEarly => &mut special.klp_early,
        SectionClass::KlpLate => {
            if let Some(object) = row.object.filter(|_| relocations != 0) {
                special.klp_late.push(LateInto { section: row.index, object, relocations });
            }
            return;
        }
        _ => &mut special.not_applied,
    };
    *number = number.saturating_add(relocations);
}

fn too_late(late: &LateInto<'_>, reader: &str) -> Note {
    let LateInto { section, object, relocations } = late;
    let (relocations, object) = (plural(*relocations, "late relocation"), object.short(IN_SENTENCE));
    let text =
        format!("too late: {reader} reads this section before {relocations} of section {section} ({object})");
    Note { level: Level::Error, text }
}
