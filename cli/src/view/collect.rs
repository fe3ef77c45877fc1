//! Builds the view of a module in one walk over its sections and one over its symbols.

use super::names::Name;
use super::patch::Patch;
use super::walk::{Walk, count};
use super::{Counts, ModuleView, ObjectRow, PassRow, SymbolRow, TypeCount, got::Got, special, symbols};
use crate::input::kernel::Kernel;
use relakit::{Module, Profile, abi};
use relakit_linux::loader_check::modinfo;
use relakit_linux::patch::NoTree;
use std::collections::{BTreeMap, HashMap};

impl<'f> ModuleView<'f> {
    pub(crate) fn new(path: String, module: &'f Module<'f>, kernel: &Kernel) -> Self {
        let object = module.object();
        let mut walk = Walk::over(module);
        let klp_symbols = symbols::rows(module, &walk);
        let is_linux = kernel.profile.name != Profile::ELF.name;
        if !is_linux {
            walk.rows.iter_mut().for_each(|row| row.special = false);
        }
        let special_sections = if is_linux { special::rows(&walk, kernel.version) } else { Vec::new() };
        let patch = if is_linux { Patch::read(module) } else { Err(NoTree::NotCalled) };
        Self {
            file: path,
            name: modinfo(module, b"name").map(Name),
            livepatch: modinfo(module, b"livepatch").is_some(),
            vermagic: modinfo(module, b"vermagic").map(Name),
            kernel: kernel.asked.clone(),
            rules: kernel.profile.name,
            special_sections_of: is_linux.then(|| special::version(kernel.version)),
            counts: Counts {
                sections: u64::from(object.section_count()),
                symbols: u64::from(object.symbols().len()),
                relocations: walk.rows.iter().filter_map(|row| row.entries).sum(),
                not_read: walk.not_read,
            },
            patch_made_at_run_time: matches!(patch, Err(NoTree::MadeAtRunTime)),
            patch: patch.ok(),
            relocations: passes(&walk),
            objects: objects(&walk, &klp_symbols),
            klp_symbols,
            resolved: None,
            more_resolved: 0,
            special_sections,
            sections: walk.rows,
            got: Got::new(module),
            errors: [],
        }
    }
}

/// The relocations by class and object. Objects keep the order of the file.
fn passes<'f>(walk: &Walk<'f>) -> Vec<PassRow<'f>> {
    let mut numbers = HashMap::new();
    let mut passes = BTreeMap::new();
    for (index, types) in &walk.types {
        let Some(row) = walk.row(*index) else { continue };
        let object = row.object.filter(|_| row.is_livepatch());
        let next = numbers.len();
        let number = *numbers.entry(object).or_insert(next);
        let (_, counts) = passes.entry((row.class, number)).or_insert_with(|| (object, BTreeMap::new()));
        for found in types {
            let zero = || TypeCount { relocations: 0, ..found.clone() };
            let count = counts.entry(found.r_type).or_insert_with(zero);
            count.relocations = count.relocations.saturating_add(found.relocations);
        }
    }
    let row = |((class, _), (object, counts)): (_, (_, BTreeMap<u32, TypeCount>))| {
        let types: Vec<_> = counts.into_values().collect();
        PassRow { class, object, relocations: types.iter().map(|count| count.relocations).sum(), types }
    };
    passes.into_iter().map(row).filter(|pass| pass.relocations != 0).collect()
}

/// vmlinux, then the objects in section names, then those that are only in symbol names.
fn objects<'f>(walk: &Walk<'f>, symbols: &[SymbolRow<'f>]) -> Vec<ObjectRow<'f>> {
    let new =
        |name| ObjectRow { name, sections: Vec::new(), not_applied: Vec::new(), relocations: 0, symbols: 0 };
    let vmlinux = Name(abi::VMLINUX);
    let mut numbers = HashMap::from([(vmlinux, 0)]);
    let mut objects = vec![new(vmlinux)];
    let mut number = |objects: &mut Vec<ObjectRow<'f>>, name| {
        *numbers.entry(name).or_insert_with(|| {
            objects.push(new(name));
            objects.len().saturating_sub(1)
        })
    };
    for row in &walk.rows {
        let Some(name) = row.object else { continue };
        let number = number(&mut objects, name);
        let Some(object) = objects.get_mut(number) else { continue };
        if row.is_livepatch() {
            object.sections.push(row.index);
            object.relocations = object.relocations.saturating_add(row.entries.unwrap_or(0));
        } else {
            object.not_applied.push(row.index);
        }
    }
    for symbol in symbols.iter().filter(|symbol| symbol.livepatch) {
        let Some(name) = symbol.object else { continue };
        let number = number(&mut objects, name);
        if let Some(object) = objects.get_mut(number) {
            count(&mut object.symbols);
        }
    }
    objects.retain(|object| {
        object.symbols != 0 || !object.sections.is_empty() || !object.not_applied.is_empty()
    });
    objects
}
