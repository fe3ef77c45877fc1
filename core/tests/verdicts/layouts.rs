//! The layout of a module, compared with the addresses that real kernels gave to its sections.

use crate::recorded::{Layout, exists, oracles, read};
use relakit::{Group, Memories, Module, Placement, Profile};
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

/// The bases in `struct module` of Debian's kernels, as the recorded state has them: offset in the
/// struct, and the groups of the memory.
struct Bases {
    kernel: &'static str,
    profile: Profile,
    memories: Memories,
    state: &'static str,
    fields: &'static [(usize, &'static [Group])],
}

const CORE: &[Group] = &[Group::Text, Group::Rodata, Group::RoAfterInit, Group::Data];
const INIT: &[Group] = &[Group::InitText, Group::InitRodata, Group::InitData];

/// In the idle state of 6.12, the init memory is freed and its bases are 0. Then the base is the
/// address of the first section.
const BASES: [Bases; 2] = [
    Bases {
        kernel: "klp-6.12",
        profile: Profile::LINUX_6_12,
        memories: Memories::ByGroup,
        state: "loaded",
        fields: &[
            (0x140, &[Group::Text]),
            (0x188, &[Group::Data]),
            (0x1d0, &[Group::Rodata]),
            (0x218, &[Group::RoAfterInit]),
            (0x260, &[Group::InitText]),
            (0x2a8, &[Group::InitData]),
            (0x2f0, &[Group::InitRodata]),
        ],
    },
    Bases {
        kernel: "plain-6.1",
        profile: Profile::LINUX_6_1,
        memories: Memories::CoreAndInit,
        state: "relocated",
        fields: &[(0x140, CORE), (0x190, INIT)],
    },
];

#[test]
fn the_bases_in_struct_module_give_the_address_of_each_section() {
    for Bases { kernel, profile, memories, state, fields } in BASES {
        let (mut from_struct, mut sections) = (0, 0);
        for case in recordings(kernel) {
            let (file, recorded) =
                (read(&case.join("module.ko")), Layout::open(&case.join("layout.json")).unwrap());
            let Some(image) = recorded.state(state) else { continue };
            let module = Module::parse(&file, profile).unwrap();
            let is_struct = |(_, section): &(u32, relakit::elf::Section)| {
                module.object().section_name(section) == b".gnu.linkonce.this_module"
            };
            let index = module.object().sections().find(is_struct).unwrap().0;
            let of_struct = &image[&index];
            let mut known = BTreeMap::new();
            for (at, groups) in fields {
                let base = u64::from_le_bytes(of_struct[*at..at + 8].try_into().unwrap());
                known.extend(groups.iter().filter(|_| base != 0).map(|group| (*group as u32, base)));
            }
            let placed: Vec<_> = module.offsets(memories).map(Result::unwrap).collect();
            let expected = module.object().sections().filter(|(index, _)| module.is_allocated(*index));
            assert_eq!(placed.len(), expected.count(), "{}", case.display());
            for Placement { section, group, offset, .. } in placed {
                let address = recorded.address(usize::try_from(section).unwrap());
                let is_known = known.contains_key(&(group as u32));
                assert!(is_known || INIT.contains(&group), "{} {group:?}: no base", case.display());
                let base = *known.entry(group as u32).or_insert(address);
                assert_eq!(base.wrapping_add(offset), address, "{} section {section}", case.display());
                from_struct += u32::from(is_known);
                sections += 1;
            }
        }
        println!("{kernel}: {sections} sections, {from_struct} from a base in struct module");
        assert!(from_struct >= 60, "{kernel}: {from_struct}");
    }
}
