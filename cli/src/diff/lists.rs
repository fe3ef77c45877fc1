//! Symbols, relocations, states and .modinfo of two livepatches.

use super::Side;
use super::report::{ModinfoRow, NotJudged, PassRow, Report, SectionRow, StateRow, SymbolRow, SymposRow};
use crate::view::ModuleView;
use crate::view::SectionClass;
use crate::view::names::Name;
use relakit_linux::loader_check::modinfo;
use std::collections::BTreeMap;

/// The entries of .modinfo that say for which kernel the livepatch is, and what it is.
const KEYS: [&str; 6] = ["name", "version", "vermagic", "depends", "livepatch", "license"];

/// Fills the lists besides those of functions.
pub(super) fn compare<'f>(old: &Side<'f>, new: &Side<'f>, report: &mut Report<'f>) {
    symbols(&old.view, &new.view, report);
    relocations(&old.view, &new.view, report);
    states(&old.view, &new.view, report);
    for key in KEYS {
        let of = |side: &Side<'f>| modinfo(side.module, key.as_bytes()).map(Name);
        let (a, b) = (of(old), of(new));
        if a != b {
            report.modinfo.push(ModinfoRow { key, a, b });
            if key == "vermagic" {
                report.notes.push(
                    "A and B are built for different kernels, so the same sympos can mean another function"
                        .to_owned(),
                );
            }
        }
    }
}

/// Livepatch symbols by object and name: their symposes.
fn livepatch_symbols<'f>(view: &ModuleView<'f>) -> BTreeMap<(&'f [u8], &'f [u8]), Vec<u64>> {
    let mut all: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    for row in &view.klp_symbols {
        if let (true, Some(Name(object)), Some(Name(name)), Some(sympos)) =
            (row.livepatch, row.object, row.symbol, row.sympos)
        {
            all.entry((object, name)).or_default().push(sympos);
        }
    }
    all.values_mut().for_each(|symposes| {
        symposes.sort_unstable();
        symposes.dedup();
    });
    all
}

fn symbols<'f>(old: &ModuleView<'f>, new: &ModuleView<'f>, report: &mut Report<'f>) {
    let (before, after) = (livepatch_symbols(old), livepatch_symbols(new));
    let row = |(object, name): (&'f [u8], &'f [u8])| SymbolRow { object: Name(object), name: Name(name) };
    for (key @ (object, name), a) in &before {
        match after.get(key) {
            None => report.symbols.removed.push(row(*key)),
            Some(b) if a != b => report.symbols.sympos_changed.push(SymposRow {
                object: Name(object),
                name: Name(name),
                a: a.clone(),
                b: b.clone(),
            }),
            Some(_) => {}
        }
    }
    report.symbols.added.extend(after.keys().filter(|key| !before.contains_key(*key)).map(|key| row(*key)));
}

fn relocations<'f>(old: &ModuleView<'f>, new: &ModuleView<'f>, report: &mut Report<'f>) {
    type Passes<'f> = BTreeMap<(SectionClass, Option<&'f [u8]>), u64>;
    fn passes<'f>(view: &ModuleView<'f>) -> Passes<'f> {
        let key = |class, object: Option<Name<'f>>| (class, object.map(|Name(name)| name));
        view.relocations.iter().map(|row| (key(row.class, row.object), row.relocations)).collect()
    }
    fn sections<'f>(view: &ModuleView<'f>) -> BTreeMap<(&'f [u8], SectionClass), u64> {
        let mut all = BTreeMap::new();
        for row in &view.sections {
            if let Some(entries) = row.entries {
                let count: &mut u64 = all.entry((row.name.0, row.class)).or_default();
                *count = count.saturating_add(entries);
            }
        }
        all
    }
    for ((class, object), a, b) in differences(passes(old), passes(new)) {
        report.relocations.push(PassRow { class, object: object.map(Name), a, b });
    }
    for ((name, class), a, b) in differences(sections(old), sections(new)) {
        report.sections.push(SectionRow { class, section: Name(name), a, b });
    }
    for (which, view) in [("A", old), ("B", new)] {
        if view.counts.not_read != 0 {
            report.not_judged.push(NotJudged {
                what: format!("relocations of {which}: too many tables overlap to read all"),
                give: "a file whose relocation sections do not share bytes".to_owned(),
            });
        }
    }
}

/// The keys whose numbers differ. A missing key has the number 0.
fn differences<K: Ord + Copy>(old: BTreeMap<K, u64>, new: BTreeMap<K, u64>) -> Vec<(K, u64, u64)> {
    let mut all: BTreeMap<K, (u64, u64)> = old.into_iter().map(|(key, count)| (key, (count, 0))).collect();
    for (key, count) in new {
        all.entry(key).or_default().1 = count;
    }
    all.into_iter().filter(|(_, (a, b))| a != b).map(|(key, (a, b))| (key, a, b)).collect()
}

/// Linux refuses B while A is enabled if B has a state in an older version, or if B replaces A and does
/// not have one of its states.
fn states(old: &ModuleView<'_>, new: &ModuleView<'_>, report: &mut Report<'_>) {
    let of = |view: &ModuleView<'_>| -> BTreeMap<u64, u32> {
        // Linux takes the first state of a number.
        let states = view.patch.iter().flat_map(|patch| patch.states.iter().rev());
        states.map(|state| (state.id, state.version)).collect()
    };
    let (before, after) = (of(old), of(new));
    let replaces = new.patch.as_ref().is_some_and(|patch| patch.replace != Some(false));
    for id in before.keys().chain(after.keys().filter(|id| !before.contains_key(id))) {
        let (a, b) = (before.get(id).copied(), after.get(id).copied());
        let compatible = match (a, b) {
            (Some(a), Some(b)) => b >= a,
            (Some(_), None) => !replaces,
            (None, _) => true,
        };
        if a != b {
            report.states.push(StateRow { id: *id, a, b, compatible });
        }
    }
}
