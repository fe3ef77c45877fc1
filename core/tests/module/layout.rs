//! All sections in one arena: groups, alignment and order, and what cannot be laid out.

use crate::world::{Mem, Names, World};
use proptest::prelude::*;
use relakit::ErrorKind::{AddressMisaligned, BadAlignment, LayoutTooLarge, NoSuchSection};
use relakit::{Error, Extent, Group, Module, Placement, Profile, SectionMemory};
use relakit_model::image::{ALLOC, Builder, GLOBAL, NOBITS, PROGBITS, R_64, R_PC32, Sec, UNDEF, WRITE};

const LINUX: Profile = Profile::LINUX_6_12;
pub const EXEC: u64 = 4;
pub const RO_AFTER_INIT: u64 = 0x0020_0000;
const MOST: u64 = i64::MAX as u64;

/// Adds a section of `size` bytes without content.
pub fn sized(builder: &mut Builder, name: &str, flags: u64, size: u64, align: u64) -> u32 {
    let index = builder.section(name, NOBITS, flags, Vec::new());
    *builder.at(index) = Sec { size: Some(size), align, ..builder.at(index).clone() };
    index
}

fn placements(file: &[u8], profile: Profile, page: u64) -> Vec<Placement> {
    Module::parse(file, profile).unwrap().layout(page).unwrap().sections().collect()
}

/// The fault of the layout, with its section and numbers.
fn fault(builder: &Builder, page: u64) -> Option<(relakit::ErrorKind, Option<u32>, u64, u64)> {
    let file = builder.build();
    let error = Module::parse(&file, LINUX).unwrap().layout(page).err()?;
    Some((error.kind, error.section, error.value, error.limit))
}

#[test]
fn flags_and_names_decide_the_group() {
    let rows = [
        (".text", ALLOC | EXEC, Group::Text),
        (".text.writable", ALLOC | EXEC | WRITE, Group::Text),
        (".rodata", ALLOC, Group::Rodata),
        (".rodata.marked", ALLOC | RO_AFTER_INIT, Group::Rodata),
        (".data", ALLOC | WRITE, Group::Data),
        (".data.marked", ALLOC | WRITE | RO_AFTER_INIT, Group::RoAfterInit),
        (".data..ro_after_init", ALLOC, Group::Rodata),
        ("__jump_table", ALLOC | WRITE, Group::RoAfterInit),
        ("__jump_table", ALLOC | WRITE, Group::Data),
        ("__jump_table2", ALLOC | WRITE, Group::Data),
        (".init.text", ALLOC | EXEC, Group::InitText),
        (".init", ALLOC | WRITE, Group::InitData),
        (".initx", ALLOC, Group::InitRodata),
        (".init.marked", ALLOC | WRITE | RO_AFTER_INIT, Group::InitData),
        (".ini", ALLOC, Group::Rodata),
        ("x.init", ALLOC, Group::Rodata),
        (".exit.text", ALLOC | EXEC, Group::Text),
    ];
    for profile in [Profile::ELF, Profile::LINUX_6_1, LINUX, Profile::LINUX_6_16, Profile::GRUB] {
        let mut builder = Builder::new();
        let indices = rows.map(|(name, flags, _)| sized(&mut builder, name, flags, 8, 1));
        sized(&mut builder, ".debug", WRITE, 8, 1);
        let mut expected: Vec<_> =
            indices.iter().zip(rows).map(|(index, (_, _, group))| (*index, group)).collect();
        expected.sort_by_key(|(_, group)| *group as u32);
        let placed = placements(&builder.build(), profile, 0);
        let found: Vec<_> = placed.iter().map(|place| (place.section, place.group)).collect();
        assert_eq!(found, expected, "{}", profile.name);
    }
}

#[test]
fn sections_that_the_loader_drops_are_not_in_the_layout() {
    let mut builder = Builder::new();
    let modinfo = sized(&mut builder, ".modinfo", ALLOC, 8, 1);
    let text = sized(&mut builder, ".text", ALLOC | EXEC, 8, 1);
    let sections = |profile| {
        let placed = placements(&builder.build(), profile, 0);
        placed.iter().map(|place| place.section).collect::<Vec<_>>()
    };
    assert_eq!(sections(LINUX), [text]);
    assert_eq!(sections(Profile::ELF), [text, modinfo]);
}

#[test]
fn the_per_cpu_section_is_init_data_if_its_template_is_relocated() {
    for profile in Profile::LINUX.iter().chain([&Profile::ELF]) {
        let mut builder = Builder::new();
        let per_cpu = builder.data(".data..percpu", 16);
        let found =
            placements(&builder.build(), *profile, 0).first().map(|place| (place.section, place.group));
        let expected = match profile.name {
            "elf" => Some((per_cpu, Group::Data)),
            _ if profile.since >= (6, 16) => Some((per_cpu, Group::InitData)),
            _ => None,
        };
        assert_eq!(found, expected, "{}", profile.name);
    }
}

#[test]
fn an_alignment_is_zero_or_a_power_of_two() {
    for align in [0, 1, 2, 4096, 1 << 62, 3, 6, 4095, u64::MAX, (1 << 63) + 1] {
        let mut builder = Builder::new();
        sized(&mut builder, ".first", ALLOC, 1, 1);
        let odd = sized(&mut builder, ".odd", ALLOC, 0, align);
        let is_good = align == 0 || align.is_power_of_two();
        let expected = (!is_good).then_some((BadAlignment, Some(odd), align, 0));
        assert_eq!(fault(&builder, 0), expected, "{align:#x}");
        // The alignment of a section without memory does not matter.
        builder.at(odd).flags = 0;
        assert_eq!(fault(&builder, 0), None, "{align:#x}");
        let expected = (!is_good).then_some((BadAlignment, None, align, 0));
        assert_eq!(fault(&builder, align), expected, "page size {align:#x}");
    }
}

#[test]
fn a_layout_has_at_most_2_to_the_63_minus_1_bytes() {
    let too_large = |section, value| Some((LayoutTooLarge, section, value, MOST));
    let one = |size, align| {
        let mut builder = Builder::new();
        sized(&mut builder, ".bss", ALLOC | WRITE, size, align);
        builder
    };
    assert_eq!(fault(&one(MOST, 1), 0), None);
    assert_eq!(fault(&one(MOST + 1, 1), 0), too_large(Some(1), MOST + 1));
    assert_eq!(fault(&one(u64::MAX, 1), 0), too_large(Some(1), u64::MAX));
    assert_eq!(fault(&one(MOST - 4095, 1), 4096), None);
    assert_eq!(fault(&one(MOST - 4094, 1), 4096), too_large(None, MOST + 1), "the last page is whole");
    let two = |first, align| {
        let mut builder = one(first, 1);
        sized(&mut builder, ".more", ALLOC | WRITE, 1, align);
        builder
    };
    assert_eq!(fault(&two(MOST - 1, 1), 0), None);
    assert_eq!(fault(&two(MOST, 1), 0), too_large(Some(2), MOST + 1));
    assert_eq!(fault(&two(1, 1 << 62), 0), None);
    assert_eq!(fault(&two(1, 1 << 63), 0), too_large(Some(2), (1 << 63) + 1));
    // Two groups, of which the second one has no room.
    let mut builder = two(1, 1);
    sized(&mut builder, ".text", ALLOC | EXEC, MOST - 2, 1);
    assert_eq!(fault(&builder, 0), None);
    builder.at(3).size = Some(MOST - 1);
    assert_eq!(fault(&builder, 0), too_large(None, MOST + 1));
}

#[test]
fn a_group_without_a_byte_takes_no_room() {
    let file = Builder::new().build();
    let module = Module::parse(&file, LINUX).unwrap();
    let layout = module.layout(4096).unwrap();
    assert_eq!((layout.size(), layout.align(), layout.sections().count()), (0, 4096, 0));
    assert!(Group::ALL.iter().all(|group| layout.group(*group) == Extent::default()));
    assert_eq!(module.layout(0).unwrap().align(), 1);
    let mut builder = Builder::new();
    sized(&mut builder, ".data", ALLOC | WRITE, 0, 8);
    let text = sized(&mut builder, ".text", ALLOC | EXEC, 1, 16);
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let layout = module.layout(4096).unwrap();
    assert_eq!(layout.group(Group::Text), Extent { offset: 0, size: 4096 });
    assert_eq!(layout.group(Group::Data), Extent { offset: 4096, size: 0 });
    assert_eq!(layout.size(), 4096);
    let placed: Vec<_> = layout.sections().map(|place| (place.section, place.offset, place.size)).collect();
    assert_eq!(placed, [(text, 0, 1), (1, 4096, 0)], "an empty section begins at the end of the arena");
}

#[test]
fn the_address_must_be_aligned_and_the_arena_must_end_in_the_address_space() {
    let mut builder = Builder::new();
    sized(&mut builder, ".text", ALLOC | EXEC, 0x1001, 64);
    sized(&mut builder, ".data", ALLOC | WRITE, 1, 0x2000);
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let layout = module.layout(4096).unwrap();
    assert_eq!((layout.size(), layout.align()), (0x3000, 0x2000));
    let answer = |address| {
        layout.check_address(address).map_err(|Error { kind, value, limit, section, .. }| {
            assert_eq!(section, None);
            (kind, value, limit)
        })
    };
    for (address, expected) in [
        (0, Ok(())),
        (0x2000, Ok(())),
        (0x1000, Err((AddressMisaligned, 0x1000, 0x2000))),
        (0x2001, Err((AddressMisaligned, 0x2001, 0x2000))),
        (u64::MAX, Err((AddressMisaligned, u64::MAX, 0x2000))),
        (0_u64.wrapping_sub(0x4000), Ok(())),
        (0_u64.wrapping_sub(0x2000), Err((LayoutTooLarge, 0x3000, 0x2000))),
    ] {
        assert_eq!(answer(address), expected, "{address:#x}");
        let mut sections = [const { None }; 9];
        let mut arena = vec![0; 0x3000];
        let split = layout.split(&mut arena, address, &mut sections);
        assert_eq!(split.map_err(|error| (error.kind, error.value, error.limit)), expected, "{address:#x}");
        assert_eq!(sections[1].is_some(), expected.is_ok());
    }
    // The arena may end with the address space.
    builder.at(2).align = 1;
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    assert_eq!(module.layout(4096).unwrap().check_address(0_u64.wrapping_sub(0x3000)), Ok(()));
}

#[test]
fn an_arena_or_an_array_that_is_too_short_is_refused() {
    let mut builder = Builder::new();
    builder.data(".data", 24);
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let layout = module.layout(16).unwrap();
    let mut arena = [0; 40];
    for (bytes, count, expected) in [
        (31, 5, Some((LayoutTooLarge, 32, 31))),
        (32, 5, None),
        (40, 7, None),
        (32, 4, Some((NoSuchSection, 4, 4))),
        (32, 0, Some((NoSuchSection, 4, 0))),
    ] {
        let mut sections: Vec<_> = (0..count).map(|_| None::<SectionMemory<'_>>).collect();
        let error = layout.split(&mut arena[..bytes], 0, &mut sections).err();
        assert_eq!(error.map(|error| (error.kind, error.value, error.limit)), expected, "{bytes} {count}");
    }
}

/// A section of a random module: name, flags, size, alignment.
fn section() -> impl Strategy<Value = (&'static str, u64, u64, u64)> {
    let names = vec![
        ".text",
        ".init.text",
        ".rodata",
        ".init.rodata",
        ".data",
        ".data..ro_after_init",
        "__jump_table",
        ".init.data",
        ".data..percpu",
        ".modinfo",
        ".bss",
    ];
    let flags = proptest::sample::select(vec![
        ALLOC,
        ALLOC | WRITE,
        ALLOC | EXEC,
        ALLOC | WRITE | EXEC,
        ALLOC | WRITE | RO_AFTER_INIT,
        0,
    ]);
    let align = prop_oneof![8 => (0..7u32).prop_map(|shift| 1 << shift), 1 => Just(0), 1 => Just(1 << 13)];
    (proptest::sample::select(names), flags, prop_oneof![9 => 0..300u64, 1 => 4090..4100u64], align)
}

proptest! {
    #[test]
    fn sections_are_apart_aligned_in_order_and_as_near_as_they_can_be(
        sections in proptest::collection::vec(section(), 0..24),
        page in proptest::sample::select(vec![0u64, 1, 64, 4096]),
        profile in proptest::sample::select(Profile::LINUX),
    ) {
        let mut builder = Builder::new();
        for (name, flags, size, align) in &sections {
            sized(&mut builder, name, *flags, *size, *align);
        }
        let file = builder.build();
        let module = Module::parse(&file, profile).unwrap();
        let layout = module.layout(page).unwrap();
        let placed: Vec<_> = layout.sections().collect();
        prop_assert_eq!(&placed, &placements(&file, profile, page));
        let page = page.max(1);
        // What is in memory, and nothing else.
        let template = module.per_cpu_section().filter(|_| profile.since >= (6, 16));
        let mut indices: Vec<_> = placed.iter().map(|place| place.section).collect();
        indices.sort_unstable();
        let expected = module.object().sections().map(|(index, _)| index);
        let expected: Vec<_> = expected.filter(|index| module.is_allocated(*index) || template == Some(*index)).collect();
        prop_assert_eq!(indices, expected);
        // A model: one walk over the groups, with the place after each section.
        let (mut end, mut most) = (0, page);
        for group in Group::ALL {
            let members: Vec<_> = placed.iter().filter(|place| place.group == group).collect();
            prop_assert!(members.is_sorted_by_key(|place| place.section), "file order");
            let align = |place: &Placement| module.object().section(place.section).unwrap().sh_addralign.max(1);
            let widest = members.iter().map(|place| align(place)).max().unwrap_or(1).max(page);
            end = u64::next_multiple_of(end, widest);
            most = most.max(widest);
            let begin = end;
            for place in &members {
                end = end.next_multiple_of(align(place));
                prop_assert_eq!(place.offset, end);
                prop_assert_eq!(place.size, module.object().section(place.section).unwrap().sh_size);
                end += place.size;
            }
            end = end.next_multiple_of(page);
            prop_assert_eq!(layout.group(group), Extent { offset: begin, size: end - begin });
        }
        prop_assert_eq!((layout.size(), layout.align()), (end, most));
        prop_assert!(placed.is_sorted_by(|a, b| a.offset + a.size <= b.offset), "apart");
    }
}

#[test]
fn an_early_pass_over_the_arena_writes_what_it_writes_into_buffers_of_their_own() {
    let mut builder = Builder::new();
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, vec![0; 40]);
    let data = builder.data(".data", 24);
    let init = builder.data(".init.data", 16);
    let known = builder.symbol("known", GLOBAL, UNDEF, 0);
    let here = builder.symbol("here", GLOBAL, u16::try_from(data).unwrap(), 8);
    builder.at(text).align = 16;
    builder.at(data).align = 32;
    builder.rela(text, &[(4, known, R_PC32, -4), (8, here, R_64, 3)]);
    builder.rela(data, &[(0, here, R_64, 0), (8, known, R_64, 1)]);
    builder.rela(init, &[(8, here, R_64, 0)]);
    let names = Names::new(&[("", "known", &[0xffff_ffff_8100_0000])]);
    let address = 0xffff_ffff_c000_0000;
    let mut world = World::new(&builder, LINUX, names.clone());
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let layout = module.layout(4096).unwrap();
    for place in layout.sections() {
        let spot = world.mem.spot(place.section);
        (spot.address, spot.base) = (address + place.offset, address + place.offset);
    }
    world.early().unwrap();
    let mut arena = vec![0xcc; usize::try_from(layout.size()).unwrap()];
    let mut sections: Vec<_> = world.mem.spots.iter().map(|_| None).collect();
    layout.split(&mut arena, address, &mut sections).unwrap();
    let mut values = vec![0; builder.symbols.len()];
    let memory = &mut sections[..];
    module.assign(memory).unwrap().fill().unwrap().early(&mut values, &mut names.clone()).unwrap();
    assert_eq!(values, world.values);
    for place in layout.sections() {
        let offset = usize::try_from(place.offset).unwrap();
        let size = usize::try_from(place.size).unwrap();
        assert_eq!(&arena[offset..offset + size], world.mem.at(place.section), "section {}", place.section);
    }
    let used: usize = [text, data, init].iter().map(|section| world.mem.at(*section).len()).sum();
    let untouched = arena.iter().filter(|byte| **byte == 0xcc).count();
    assert!(untouched >= arena.len() - used, "the gaps stay as they were");
}

#[test]
fn a_symbol_is_found_by_name_the_first_that_is_not_local_before_the_first_that_is() {
    let mut builder = Builder::new();
    let data = u16::try_from(builder.data(".data", 24)).unwrap();
    let local = builder.symbol("both", 0, data, 1);
    builder.symbol("both", 0, data, 2);
    let undefined = builder.symbol("both", GLOBAL, UNDEF, 3);
    let weak = builder.symbol("both", 0x20, data, 4);
    builder.symbol("both", GLOBAL, data, 5);
    builder.symbol("section", 3, data, 0);
    builder.symbol("file.c", 4, 0xfff1, 0);
    let constant = builder.symbol("constant", GLOBAL, 0xfff1, 0x10);
    builder.symbol("common", GLOBAL, 0xfff2, 8);
    builder.symbol("nowhere", GLOBAL, 99, 8);
    builder.klp_symbol("patched");
    let find = |builder: &Builder, name: &[u8]| {
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        module.object().symbols().find(name).map(|symbol| symbol.index())
    };
    assert_eq!(find(&builder, b"both"), Some(weak));
    assert_eq!(find(&builder, b"constant"), Some(constant));
    for name in ["", "bot", "both2", "section", "file.c", "common", "nowhere", "patched", "Both"] {
        assert_eq!(find(&builder, name.as_bytes()), None, "{name}");
    }
    for symbol in &mut builder.symbols[usize::try_from(undefined).unwrap() + 1..] {
        symbol.info &= 0xf;
    }
    assert_eq!(find(&builder, b"both"), Some(local));
    for (length, is_found) in [(4096, true), (4097, false)] {
        let name = "n".repeat(length);
        let mut builder = builder.clone();
        let long = builder.symbol(&name, GLOBAL, data, 0);
        assert_eq!(find(&builder, name.as_bytes()), is_found.then_some(long), "{length}");
    }
}

#[test]
fn the_retained_size_is_zero_without_late_sections() {
    for klp in [false, true] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 16);
        let f = builder.klp_symbol(".klp.sym.vmlinux.f,0");
        if klp {
            builder.klp("vmlinux", data, &[(0, f, R_64, 0)]);
        }
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let mut mem = Mem::of(&file, LINUX);
        let filled = module.assign(&mut mem).unwrap().fill().unwrap();
        let mut names = Names::new(&[("vmlinux", "f", &[0x5000])]);
        let loaded = filled.early(&mut [0; 2], &mut names).unwrap();
        assert_eq!(loaded.retained_size(), 0);
    }
}
