//! The layout of a module, compared with the addresses that real kernels gave to its sections.

use crate::recorded::{Layout, exists, oracles, read};
use relakit::{Group, Module, Placement, Profile};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The recorded modules of a folder, whose name begins with `kind`.
fn recordings(kind: &str) -> Vec<PathBuf> {
    let folders = |root: PathBuf| std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(kind);
    let kinds = oracles().into_iter().flat_map(folders).filter(named);
    kinds
        .filter(|folder| folder.is_dir())
        .flat_map(folders)
        .filter(|case| exists(&case.join("layout.json")) && exists(&case.join("module.ko")))
        .collect()
}

/// Compares each recorded module: `base` returns the name of the memory that a group belongs to. All sections of one
/// memory must have the distances of the layout.
fn compare(kind: &str, profile: Profile, base: fn(Group) -> &'static str) {
    let (mut sections, recordings) = (0, recordings(kind));
    assert!(recordings.len() >= 3, "{kind}");
    for case in recordings {
        let (file, recorded) =
            (read(&case.join("module.ko")), Layout::open(&case.join("layout.json")).unwrap());
        let module = Module::parse(&file, profile).unwrap();
        let layout = module.layout(4096).unwrap();
        let mut begins = BTreeMap::new();
        for Placement { section, group, offset, .. } in layout.sections() {
            let number = usize::try_from(section).unwrap();
            let (address, memory) = (recorded.address(number), recorded.memory(number));
            let is_there = memory.is_some_and(|memory| base(group).starts_with(memory));
            assert!(is_there, "{} section {section}, {group:?}: {memory:?}", case.display());
            let begin = address.wrapping_sub(offset);
            let first = *begins.entry(base(group)).or_insert(begin);
            assert_eq!(begin, first, "{} section {section}, {group:?}, {address:#x}", case.display());
            assert_eq!(begin % 4096, 0, "{} section {section}", case.display());
            sections += 1;
        }
        let in_memory = module.object().sections().filter(|(index, _)| module.is_allocated(*index)).count();
        assert_eq!(layout.sections().count(), in_memory, "{}", case.display());
    }
    assert!(sections >= 60, "{kind}: {sections} sections");
}

#[test]
fn in_6_12_each_group_is_a_memory_of_its_own() {
    compare("klp-6.12", Profile::LINUX_6_12, |group| match group {
        Group::Text => "text",
        Group::Rodata => "rodata",
        Group::RoAfterInit => "ro_after_init",
        Group::Data => "data",
        Group::InitText => "init_text",
        Group::InitData => "init_data",
        Group::InitRodata => "init_rodata",
    });
}

#[test]
fn in_6_1_the_groups_that_stay_are_one_memory_in_the_order_of_the_layout() {
    compare("plain-6.1", Profile::LINUX_6_1, |group| match group {
        Group::Text | Group::Rodata | Group::RoAfterInit | Group::Data => "core",
        Group::InitText => "init_text",
        Group::InitData => "init_data",
        Group::InitRodata => "init_rodata",
    });
}
