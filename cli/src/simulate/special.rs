//! Checks of the special sections of a loaded module.

use relakit::{Loaded, Memory};
use relakit_linux::findings::Field;
use relakit_linux::special::{self, Defect, Sorted, Version};

/// Returns the mistakes in special sections. `fields` has the sorted fields of all relocations.
pub(super) fn defects<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    memory: &mut M,
    version: Version,
    fields: &[Field],
) -> Vec<Defect> {
    let mut places: Vec<_> = special::places(loaded.module(), memory).collect();
    places.sort_unstable();
    let mut thunk_sites = Vec::new();
    special::thunk_sites(loaded, memory, version, &mut |site| thunk_sites.push(site));
    thunk_sites.sort_unstable();
    let sorted = Sorted { places: &places, fields, thunk_sites: &thunk_sites };
    let mut defects = Vec::new();
    special::check(loaded, memory, version, sorted, &mut |defect| defects.push(defect));
    defects
}

/// What Linux does because of a mistake: "apply_returns warns, ...".
pub(super) fn consequence(defect: &Defect) -> String {
    format!("{} reads {} and {}", defect.special.reader, defect.special.name, defect.then)
}
