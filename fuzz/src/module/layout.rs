//! The layout of any module: a model, which counts in 128 bits, says where each section is, or why
//! the module cannot be laid out.

use relakit::ErrorKind::{self, BadAlignment, LayoutTooLarge};
use relakit::elf::Section;
use relakit::{Extent, Group, Module, PerCpu};

const MOST: u128 = i64::MAX as u128;
const PAGES: [u64; 4] = [0, 4096, 1, 1 << 40];

/// Compares the layout with the model, for each size of a page.
pub(crate) fn check(module: &Module<'_>) {
    for page in PAGES {
        compare(module, page);
    }
}

fn compare(module: &Module<'_>, page: u64) {
    let layout = match (model(module, page), module.layout(page)) {
        (Err(kind), Err(error)) => return assert_eq!(error.kind, kind),
        (Ok(model), Ok(layout)) => {
            let placed: Vec<_> = layout
                .sections()
                .map(|place| (place.section, place.group, u128::from(place.offset)))
                .collect();
            assert_eq!(placed, model.sections);
            let groups = Group::ALL.map(|group| {
                let Extent { offset, size } = layout.group(group);
                (u128::from(offset), u128::from(size))
            });
            assert_eq!(groups, model.groups);
            layout
        }
        (model, layout) => panic!("{:?}, and the model says {:?}", layout.err(), model.err()),
    };
    let mut end = 0;
    for place in layout.sections() {
        let size = match module.object().section(place.section) {
            Some(section) => section.sh_size,
            None => module.got().filter(|got| got.section == place.section).unwrap().size,
        };
        assert!(place.offset >= end && place.size == size, "sections overlap");
        end = place.offset + place.size;
    }
    assert!(end <= layout.size());
    let last = 0u64.wrapping_sub(layout.align());
    assert_eq!(layout.check_address(last).is_ok(), layout.size() <= layout.align());
}

struct Model {
    sections: Vec<(u32, Group, u128)>,
    groups: [(u128, u128); 7],
}

/// An unusable alignment comes before a size that is too large, if its section does.
fn model(module: &Module<'_>, page: u64) -> Result<Model, ErrorKind> {
    let page = u128::from(page.max(1));
    let (mut sizes, mut aligns) = ([0u128; 7], [page; 7]);
    let mut offsets = Vec::new();
    let sections = module.object().sections().filter_map(|(index, section)| {
        Some((index, group(module, index, &section)?, section.sh_addralign, section.sh_size))
    });
    let got = module.got().map(|got| (got.section, got.group, got.align, got.size));
    for (index, group, align, size) in sections.chain(got) {
        let align = u128::from(align.max(1));
        if !align.is_power_of_two() {
            return Err(BadAlignment);
        }
        let offset = sizes[group as usize].next_multiple_of(align);
        offsets.push((index, group, offset));
        sizes[group as usize] = offset + u128::from(size);
        if sizes[group as usize] > MOST {
            return Err(LayoutTooLarge);
        }
        aligns[group as usize] = aligns[group as usize].max(align);
    }
    let (mut end, mut groups) = (0u128, [(0, 0); 7]);
    for (number, group) in groups.iter_mut().enumerate() {
        *group = (end.next_multiple_of(aligns[number]), sizes[number].next_multiple_of(page));
        end = group.0 + group.1;
    }
    if end > MOST {
        return Err(LayoutTooLarge);
    }
    offsets.sort_by_key(|(index, group, _)| (*group as usize, *index));
    let sections =
        offsets.into_iter().map(|(index, group, at)| (index, group, groups[group as usize].0 + at));
    Ok(Model { sections: sections.collect(), groups })
}

/// The group by the bits of `sh_flags` and the name.
fn group(module: &Module<'_>, index: u32, section: &Section) -> Option<Group> {
    let object = module.object();
    let is = |section: &Section, name: &[u8]| object.section_is_named(section, name);
    if module.per_cpu_section() == Some(index) {
        return (module.profile().per_cpu == PerCpu::Template).then_some(Group::InitData);
    }
    if !module.is_allocated(index) {
        return None;
    }
    let [write, alloc, exec, after_init] = [1, 2, 4, 0x20_0000].map(|bit| section.sh_flags.bits() & bit != 0);
    assert!(alloc);
    let is_first = |name| {
        let mut named = object
            .sections()
            .filter(|(at, other)| *at != 0 && other.sh_flags.bits() & 2 != 0 && is(other, name));
        named.next().is_some_and(|(first, _)| first == index)
    };
    let after_init = after_init || is_first(b".data..ro_after_init") || is_first(b"__jump_table");
    Some(match (object.section_name(section).starts_with(b".init"), exec, write) {
        (true, true, _) => Group::InitText,
        (true, false, true) => Group::InitData,
        (true, false, false) => Group::InitRodata,
        (false, true, _) => Group::Text,
        (false, false, false) => Group::Rodata,
        (false, false, true) if after_init => Group::RoAfterInit,
        (false, false, true) => Group::Data,
    })
}
