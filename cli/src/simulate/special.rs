//! Checks of the special sections of a loaded module.

use crate::view::names::{self, IN_SENTENCE, Name};
use relakit::elf::SymbolLocation;
use relakit::{Loaded, Memory, Module};
use relakit_linux::findings::{self, Defect, Field, Finding, Pointee, Sorted};
use relakit_linux::special::{self, Version};

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
    findings::thunk_sites(loaded, memory, version, &mut |site| thunk_sites.push(site));
    thunk_sites.sort_unstable();
    let sorted = Sorted { places: &places, fields, thunk_sites: &thunk_sites };
    let mut defects = Vec::new();
    findings::entries(loaded, memory, version, sorted, &mut |defect| defects.push(defect));
    defects
}

/// What Linux does because of a mistake: "apply_returns warns, ...".
pub(super) fn consequence(defect: &Defect) -> String {
    format!("{} reads {} and {}", defect.special.reader, defect.special.name, defect.then)
}

/// The entries that the late relocations of a finding change: the code and the key of each. At most
/// `most` are listed.
pub(super) fn late_entries(
    module: &Module<'_>,
    fields: &[Field],
    version: Version,
    finding: &Finding,
    most: usize,
) -> Vec<String> {
    let Some((section, target)) = finding.section.zip(finding.other_section) else { return Vec::new() };
    let name = names::section(module, target).unwrap_or_default();
    let size = special::by_name(name).and_then(|special| special.entry_size(version)).map(u64::from);
    let entry_of = |offset: u64| offset.checked_div(size?);
    let mut entries: Vec<_> =
        module.relocations(section).iter().filter_map(|rela| entry_of(rela.r_offset)).take(1000).collect();
    entries.dedup();
    let more = entries.len().saturating_sub(most);
    let line = |&entry: &u64| {
        let pointees = findings::pointees(module, fields, target, version, entry)?;
        let code = pointees.code.map(|code| text(module, &code)).unwrap_or_else(|| "unknown code".to_owned());
        let key = pointees.key.map(|key| format!(" uses the key {}", text(module, &key)));
        Some(format!("entry {entry}: {code}{}", key.unwrap_or_default()))
    };
    let lines = entries.iter().take(most).filter_map(line);
    lines.chain((more != 0).then(|| format!("and {more} more entries"))).collect()
}

/// "demo_open+0x12", or ".text+0x12" if no symbol has this code or data.
fn text(module: &Module<'_>, pointee: &Pointee) -> String {
    let table = module.object().symbols();
    let holds = |index: &u32| {
        table.get(*index).is_some_and(|symbol| {
            Some(table.location(&symbol)) == pointee.section.map(SymbolLocation::Section)
                && symbol.st_size != 0
                && pointee.offset.checked_sub(symbol.st_value).is_some_and(|offset| offset < symbol.st_size)
        })
    };
    let named = |index: u32| names::symbol(module, index).filter(|name| !name.is_empty());
    let holder = (1..table.len())
        .find(holds)
        .and_then(|index| Some((named(index)?, pointee.offset.saturating_sub(table.get(index)?.st_value))));
    let section = || Some((names::section(module, pointee.section?)?, pointee.offset));
    let symbol = || Some((named(pointee.symbol)?, pointee.offset));
    match holder.or_else(section).or_else(symbol) {
        Some((name, 0)) => Name(name).short(IN_SENTENCE),
        Some((name, offset)) => format!("{}+{offset:#x}", Name(name).short(IN_SENTENCE)),
        None => "unknown".to_owned(),
    }
}
