//! The functions of two livepatches: those that are patched, and the others in their code.

use super::Side;
use super::report::{FuncRow, NotJudged, Report};
use crate::view::names::Name;
use crate::view::patch::{Patch, PatchFunc, PatchObject, Where};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Object, function and sympos. Linux treats the sympos 0 as 1 if the name is unique.
type Key<'f> = (&'f [u8], &'f [u8], u64);

/// Fills the lists of functions and objects.
pub(super) fn compare<'f>(old: &Side<'f>, new: &Side<'f>, report: &mut Report<'f>) {
    let mut readable = true;
    for (which, side) in [("A", old), ("B", new)] {
        if side.view.patch_made_at_run_time {
            readable = false;
            report.not_judged.push(NotJudged {
                what: format!("the functions of {which}: its init function makes the list at run time"),
                give: "a livepatch with struct klp_patch in its data, or of klp-build or kpatch".to_owned(),
            });
        } else if side.view.patch.is_none() {
            report.notes.push(format!("{which} is not a livepatch: it does not call klp_enable_patch"));
        }
    }
    if readable {
        let (old_funcs, new_funcs) = (listed("A", old, report), listed("B", new, report));
        patched(old, new, (&old_funcs, &new_funcs), report);
        objects(old.view.patch.as_ref(), new.view.patch.as_ref(), report);
    }
    others(old, new, report);
}

/// The patched functions by key, in the order of the tree. Functions without a readable name are not
/// judged.
fn listed<'f>(which: &str, side: &Side<'f>, report: &mut Report<'f>) -> BTreeMap<Key<'f>, PatchFunc<'f>> {
    let mut all = BTreeMap::new();
    let mut unreadable = 0u64;
    for object in side.view.patch.iter().flat_map(|patch| &patch.objects) {
        for func in &object.functions {
            match (object.name, func.name) {
                (Some(Name(object)), Some(Name(name))) => {
                    all.entry((object, name, func.sympos.max(1))).or_insert_with(|| func.clone());
                }
                _ => unreadable = unreadable.saturating_add(1),
            }
        }
    }
    if unreadable != 0 {
        report.not_judged.push(NotJudged {
            what: format!("functions of {which} without a name that can be read: {unreadable}"),
            give: "a livepatch with the names of objects and functions in its data".to_owned(),
        });
    }
    all
}

type Funcs<'f> = BTreeMap<Key<'f>, PatchFunc<'f>>;

fn patched<'f>(
    old: &Side<'f>,
    new: &Side<'f>,
    (old_funcs, new_funcs): (&Funcs<'f>, &Funcs<'f>),
    report: &mut Report<'f>,
) {
    let new_objects: BTreeSet<_> = new_funcs.keys().map(|(object, ..)| *object).collect();
    let mut symposes: HashMap<_, Vec<u64>> = HashMap::new();
    for (object, name, sympos) in new_funcs.keys() {
        symposes.entry((*object, *name)).or_default().push(*sympos);
    }
    for (key @ (object, name, _), func) in old_funcs {
        let Some(newer) = new_funcs.get(key) else {
            let why = match symposes.get(&(*object, *name)) {
                Some(all) => {
                    let all: Vec<_> = all.iter().map(u64::to_string).collect();
                    format!("B patches sympos {}", all.join(", "))
                }
                None if new_objects.contains(object) => "not in B".to_owned(),
                None => "B does not patch the object".to_owned(),
            };
            report.no_longer_patched.push(FuncRow { why: Some(why), ..row(*key, func) });
            continue;
        };
        let content = |side: &Side<'f>, func: &PatchFunc<'f>| side.code.content(func.code?);
        match (content(old, func), content(new, newer)) {
            (Some(before), Some(after)) if before == after => {
                report.same = report.same.saturating_add(1);
            }
            (Some(_), Some(_)) => report.changed.push(row(*key, newer)),
            _ => report.not_judged.push(NotJudged {
                what: format!(
                    "the new code of {} in {}: its size or place is not known",
                    Name(name).short(80),
                    Name(object).short(80)
                ),
                give: "livepatches whose replacements are functions with a size".to_owned(),
            }),
        }
    }
    let added = new_funcs.iter().filter(|(key, _)| !old_funcs.contains_key(*key));
    report.added.extend(added.map(|(key, func)| row(*key, func)));
}

fn row<'f>((object, name, _): Key<'f>, func: &PatchFunc<'f>) -> FuncRow<'f> {
    FuncRow {
        object: Name(object),
        function: Name(name),
        sympos: func.sympos,
        replacement: func.replacement,
        why: None,
    }
}

fn objects<'f>(old: Option<&Patch<'f>>, new: Option<&Patch<'f>>, report: &mut Report<'f>) {
    fn names<'f>(patch: Option<&Patch<'f>>) -> Vec<Name<'f>> {
        patch.into_iter().flat_map(|patch| &patch.objects).filter_map(|object| object.name).collect()
    }
    let (before, after) = (names(old), names(new));
    let (in_old, in_new): (HashSet<_>, HashSet<_>) =
        (before.iter().copied().collect(), after.iter().copied().collect());
    report.objects.removed.extend(before.into_iter().filter(|name| !in_new.contains(name)));
    report.objects.added.extend(after.into_iter().filter(|name| !in_old.contains(name)));
    let callbacks = |patch: Option<&Patch<'f>>, name: Name<'f>| -> Vec<&'static str> {
        let is_it = |object: &&PatchObject<'f>| object.name == Some(name);
        let object = patch.and_then(|patch| patch.objects.iter().find(is_it));
        object.map(|object| object.callbacks.clone()).unwrap_or_default()
    };
    for name in in_old.union(&in_new) {
        let (a, b) = (callbacks(old, *name), callbacks(new, *name));
        if a != b {
            report.callbacks.push(super::report::CallbackRow { object: *name, a, b });
        }
    }
    report.callbacks.sort_by_key(|row| row.object.0);
}

/// Functions that are not replacements: helpers, callbacks, init and exit functions, cold parts.
fn others<'f>(old: &Side<'f>, new: &Side<'f>, report: &mut Report<'f>) {
    let (before, after) = (helpers(old), helpers(new));
    for (name, places) in &before {
        let Some(newer) = after.get(name) else {
            report.other_code.removed.push(Name(name));
            continue;
        };
        let contents = |side: &Side<'f>, places: &[Where]| {
            let mut all: Vec<_> = places.iter().map(|place| side.code.content(*place)).collect();
            all.sort();
            all
        };
        let (a, b) = (contents(old, places), contents(new, newer));
        // A function without a known content counts as changed.
        if a != b || a.iter().any(Option::is_none) {
            report.other_code.changed.push(Name(name));
        }
    }
    let added = after.keys().filter(|name| !before.contains_key(*name));
    report.other_code.added.extend(added.map(|name| Name(name)));
}

fn helpers<'f>(side: &Side<'f>) -> BTreeMap<&'f [u8], Vec<Where>> {
    let patch = side.view.patch.iter();
    let functions = patch.flat_map(|patch| &patch.objects).flat_map(|object| &object.functions);
    let replacements: HashSet<_> =
        functions.filter_map(|func| func.code).map(|place| (place.section, place.offset)).collect();
    let mut all: BTreeMap<_, Vec<Where>> = BTreeMap::new();
    for (name, place) in side.code.functions() {
        // The padding before each function has a symbol of its own.
        let is_padding = name.starts_with(b"__pfx_");
        if !is_padding && !replacements.contains(&(place.section, place.offset)) {
            all.entry(name).or_default().push(place);
        }
    }
    all
}
