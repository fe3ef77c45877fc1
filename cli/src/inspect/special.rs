//! The special sections, and the relocations that reach into them.

use super::collect::Walk;
use super::report::{IN_SENTENCE, Kind, LateInto, Level, Note, SectionRow, SpecialRow};
use relakit_linux::special::{ReadAt, Special, Version, by_name};
use std::collections::HashMap;

/// A version as people write it.
pub(crate) fn text((major, minor): Version) -> String {
    format!("{major}.{minor}")
}

/// A row for each special section that the module has, as kernel `version` sees it.
pub(crate) fn rows<'f>(walk: &Walk<'f>, version: Version) -> Vec<SpecialRow<'f>> {
    let mut specials: Vec<_> = walk
        .rows
        .iter()
        .filter_map(|row| by_name(row.name.0).map(|special| new(row, special, version)))
        .collect();
    let places: HashMap<u32, usize> =
        (0..).zip(&specials).map(|(place, special)| (special.section, place)).collect();
    for row in &walk.rows {
        let place = row.target.and_then(|target| places.get(&target));
        if let Some(special) = place.and_then(|&place| specials.get_mut(place)) {
            reach(special, row);
        }
    }
    for special in &mut specials {
        judge(special, version);
    }
    specials
}

fn new<'f>(row: &SectionRow<'f>, special: &'static Special, version: Version) -> SpecialRow<'f> {
    let entry_size = special.entry_size(version);
    let size = entry_size.map(u64::from);
    let mut notes = Vec::new();
    if size.and_then(|size| row.size.checked_rem(size)).is_some_and(|rest| rest != 0) {
        let text = format!(
            "{} bytes are no whole number of entries of {} bytes: was it built for another kernel?",
            row.size,
            size.unwrap_or(0)
        );
        notes.push(Note { level: Level::Warning, text });
    }
    SpecialRow {
        section: row.index,
        name: special.name,
        what: special.what,
        reader: special.reader,
        read_at: special.first_read(version).and_then(read_at),
        not_read: not_read(special, version),
        since: special.since.map(text),
        until: special.until.map(text),
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

fn not_read(special: &Special, version: Version) -> Option<&'static str> {
    match special.since {
        _ if special.is_read_by(version) => None,
        _ if special.read_at == ReadAt::Never => Some("never"),
        Some(since) if version < since => Some("not-yet"),
        _ => Some("no-longer"),
    }
}

/// Counts the relocations of `row` into `special`.
fn reach<'f>(special: &mut SpecialRow<'f>, row: &SectionRow<'f>) {
    let relocations = row.entries.unwrap_or(0);
    let number = match row.class {
        Kind::Ordinary => &mut special.ordinary,
        Kind::KlpEarly => &mut special.klp_early,
        Kind::KlpLate => {
            if let Some(object) = row.object.filter(|_| relocations != 0) {
                special.klp_late.push(LateInto { section: row.index, object, relocations });
            }
            return;
        }
        _ => &mut special.not_applied,
    };
    *number = number.saturating_add(relocations);
}

/// Says which relocations come after the section was read.
fn judge(special: &mut SpecialRow<'_>, version: Version) {
    let takes_late = by_name(special.name.as_bytes()).is_none_or(|row| row.takes_late(version));
    special.too_late = !special.klp_late.is_empty() && !takes_late;
    if special.too_late {
        let text = |late: &LateInto<'_>| {
            let LateInto { section, object, relocations } = late;
            let plural = if *relocations == 1 { " lands" } else { "s land" };
            let (reader, object) = (special.reader, object.short(IN_SENTENCE));
            format!(
                "ordering! {relocations} late relocation{plural} here (section {section}, {object}) after {reader} has read it"
            )
        };
        let notes: Vec<_> =
            special.klp_late.iter().map(|late| Note { level: Level::Error, text: text(late) }).collect();
        special.notes.extend(notes);
    }
}
