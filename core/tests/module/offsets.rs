//! The offset of each section in Linux's memories. The recordings compare them with real addresses.

use crate::layout::{EXEC, RO_AFTER_INIT, sized};
use proptest::prelude::*;
use relakit::ErrorKind::LayoutTooLarge;
use relakit::{Memories, Module, Placement, Profile};
use relakit_model::image::{ALLOC, Builder, WRITE};

const LINUX: Profile = Profile::LINUX_6_12;
const BOTH: [Memories; 2] = [Memories::ByGroup, Memories::CoreAndInit];

/// Section and offset, or the section and the number of an error.
type Offset = Result<(u32, u64), (Option<u32>, u64)>;

/// The offsets of all placements.
fn offsets(file: &[u8], memories: Memories) -> Vec<Offset> {
    let module = Module::parse(file, LINUX).unwrap();
    let placed = module.offsets(memories).map(|placed| match placed {
        Ok(Placement { section, offset, .. }) => Ok((section, offset)),
        Err(error) => {
            assert_eq!((error.kind, error.limit), (LayoutTooLarge, u64::from(u32::MAX)));
            Err((error.section, error.value))
        }
    });
    placed.collect()
}

#[test]
fn groups_begin_at_a_page_of_one_memory_or_at_a_memory_of_their_own() {
    let mut builder = Builder::new();
    let data = sized(&mut builder, ".data", ALLOC | WRITE, 5, 8);
    let text = sized(&mut builder, ".text", ALLOC | EXEC, 0x1001, 16);
    let more = sized(&mut builder, ".text.more", ALLOC | EXEC, 3, 16);
    let rodata = sized(&mut builder, ".rodata", ALLOC, 1, 1);
    let init = sized(&mut builder, ".init.text", ALLOC | EXEC, 1, 1);
    let init_data = sized(&mut builder, ".init.data", ALLOC | WRITE, 1, 1);
    let init_rodata = sized(&mut builder, ".init.rodata", ALLOC, 1, 1);
    let file = builder.build();
    let first = [Ok((text, 0)), Ok((more, 0x1010))];
    let own = [rodata, data, init, init_rodata, init_data].map(|section| Ok((section, 0)));
    assert_eq!(offsets(&file, Memories::ByGroup), [&first[..], &own].concat());
    let rest = [(rodata, 0x2000), (data, 0x3000), (init, 0), (init_rodata, 0x1000), (init_data, 0x2000)];
    assert_eq!(offsets(&file, Memories::CoreAndInit), [&first[..], &rest.map(Ok)].concat());
}

#[test]
fn a_large_alignment_is_relative_to_the_memory_and_not_to_the_group() {
    let mut builder = Builder::new();
    let text = sized(&mut builder, ".text", ALLOC | EXEC, 1, 1);
    let small = sized(&mut builder, ".data", ALLOC | WRITE, 1, 1);
    let large = sized(&mut builder, ".data.large", ALLOC | WRITE, 1, 0x2000);
    let file = builder.build();
    let by_group = [Ok((text, 0)), Ok((small, 0)), Ok((large, 0x2000))];
    assert_eq!(offsets(&file, Memories::ByGroup), by_group);
    let in_core = [Ok((text, 0)), Ok((small, 0x1000)), Ok((large, 0x2000))];
    assert_eq!(offsets(&file, Memories::CoreAndInit), in_core);
}

#[test]
fn the_per_cpu_section_has_no_offset() {
    for profile in Profile::LINUX {
        let mut builder = Builder::new();
        builder.data(".data..percpu", 16);
        let file = builder.build();
        let module = Module::parse(&file, *profile).unwrap();
        assert_eq!(module.offsets(Memories::ByGroup).count(), 0, "{}", profile.name);
    }
}

#[test]
fn an_offset_and_an_end_fit_32_bits() {
    const MOST: u64 = u32::MAX as u64;
    let file = |size, next, align| {
        let mut builder = Builder::new();
        sized(&mut builder, ".bss", ALLOC | WRITE, size, 1);
        sized(&mut builder, ".bss.next", ALLOC | WRITE, next, align);
        builder.build()
    };
    for memories in BOTH {
        for (size, next, align, expected) in [
            (MOST, 0, 1, Ok((2, MOST))),
            (MOST - 1, 1, 1, Ok((2, MOST - 1))),
            (MOST - 1, 2, 1, Err((Some(2), MOST + 1))),
            (MOST - 1, u64::MAX, 1, Err((Some(2), u64::MAX))),
            (1, 0, 1 << 31, Ok((2, 1 << 31))),
            (1, 0, 1 << 32, Err((Some(2), 1 << 32))),
            (1, 0, u64::MAX, Ok((2, 1))),
            (5, 0, u64::MAX, Err((Some(2), u64::MAX))),
            (0, 1, 1 << 32, Ok((2, 0))),
        ] {
            let found = offsets(&file(size, next, align), memories);
            assert_eq!(found, [Ok((1, 0)), expected], "{size:#x} {next:#x} {align:#x}");
        }
        let found = offsets(&file(MOST + 1, 0, 1), memories);
        assert_eq!(found, [Err((Some(1), MOST + 1))], "the iterator ends after an error");
    }
}

/// Name and flags of a section of each group, in the order of Linux's memories.
const KINDS: [(&str, u64); 7] = [
    (".text", ALLOC | EXEC),
    (".rodata", ALLOC),
    (".data.marked", ALLOC | WRITE | RO_AFTER_INIT),
    (".data", ALLOC | WRITE),
    (".init.text", ALLOC | EXEC),
    (".init.rodata", ALLOC),
    (".init.data", ALLOC | WRITE),
];

/// A section: index in [`KINDS`], size, alignment.
fn a_section() -> impl Strategy<Value = (usize, u32, u32)> {
    (0..KINDS.len(), 0u32..0x3000, prop_oneof![0u32..40, (0u32..16).prop_map(|shift| 1 << shift)])
}

proptest! {
    #[test]
    fn offsets_are_those_of_linux_in_32_bits(
        sections in prop::collection::vec(a_section(), 1..20),
        memories in prop::sample::select(&BOTH[..]),
    ) {
        let mut builder = Builder::new();
        for (kind, size, align) in &sections {
            let (name, flags) = KINDS[*kind];
            sized(&mut builder, name, flags, u64::from(*size), u64::from(*align));
        }
        let (mut expected, mut end) = (Vec::new(), 0u32);
        for kind in 0..KINDS.len() {
            end = match memories {
                Memories::CoreAndInit if kind != 4 => end.next_multiple_of(4096),
                _ => 0,
            };
            for (section, (_, size, align)) in (1..).zip(&sections).filter(|(_, section)| section.0 == kind) {
                let mask = (*align).max(1) - 1;
                let offset = (end + mask) & !mask;
                expected.push(Ok((section, u64::from(offset))));
                end = offset + size;
            }
        }
        prop_assert_eq!(offsets(&builder.build(), memories), expected);
    }
}
