//! The early pass as a whole: all of it or nothing, and what the embedder must bring.

use crate::world::{Mem, Names, World};
use proptest::prelude::*;
use relakit::ErrorKind::{
    self, AssignedSize, BadKlpSectionName, KlpNotFound, NotAssigned, OffsetOutside, Overflow, RelSection,
    Resolver, SymbolIndex, Sync, TargetNotZero, UnknownType, ValuesTooShort,
};
use relakit::{Error, Memory, Module, Profile, SectionMemory};
use relakit_model::image::{
    ABS, ALLOC, Builder, Entry, GLOBAL, NOBITS, PROGBITS, R_32, R_32S, R_64, R_NONE, R_PC32, REL, UNDEF,
    WRITE, table,
};

const LINUX: Profile = Profile::LINUX_6_12;

fn names() -> Names {
    Names::new(&[("", "known", &[0x1000]), ("vmlinux", "f", &[0x2000])])
}

/// Three targets of 64 bytes; symbols: 1 known, 2 f, 3 a large number.
fn three() -> Builder {
    let mut builder = Builder::new();
    for name in [".a", ".b", ".c"] {
        builder.data(name, 64);
    }
    builder.symbol("known", GLOBAL, UNDEF, 0);
    builder.klp_symbol(".klp.sym.vmlinux.f,0");
    builder.symbol("large", GLOBAL, ABS, 1 << 40);
    builder
}

/// A way to make a section that cannot be applied, and its fault.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Type,
    Range,
    Outside,
    Occupied,
    Twice,
    Index,
    Rel,
    Name,
    Lookup,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::Type,
        Self::Range,
        Self::Outside,
        Self::Occupied,
        Self::Twice,
        Self::Index,
        Self::Rel,
        Self::Name,
        Self::Lookup,
    ];

    /// Adds a section for `target` that fails after `good` entries.
    fn add(self, builder: &mut Builder, target: u32, good: u64) -> ErrorKind {
        let mut entries: Vec<Entry> = (0..good).map(|entry| (entry * 8, 1, R_64, 0)).collect();
        let (bad, kind) = match self {
            Self::Type => ((40, 1, 99, 0), UnknownType),
            Self::Range => ((40, 3, R_32, 0), Overflow),
            Self::Outside => ((57, 1, R_64, 0), OffsetOutside),
            Self::Occupied => ((40, 1, R_64, 0), TargetNotZero),
            Self::Twice => ((40, 1, R_64, 0), TargetNotZero),
            Self::Index => ((40, 1000, R_64, 0), SymbolIndex),
            Self::Rel => ((40, 1, R_64, 0), RelSection),
            Self::Name | Self::Lookup => ((40, 2, R_64, 0), KlpNotFound),
        };
        entries.push(bad);
        match self {
            Self::Twice => entries.push(bad),
            Self::Occupied => builder.at(target).bytes[47] = 1,
            Self::Name => {
                builder.klp("", target, &[]);
                return BadKlpSectionName;
            }
            Self::Lookup => {
                let none = builder.klp_symbol(".klp.sym.vmlinux.none,0");
                builder.klp("vmlinux", target, &[(0, 2, R_64, 0), (40, none, R_64, 0)]);
                return kind;
            }
            _ => {}
        }
        let section = builder.rela(target, &entries);
        if let Self::Rel = self {
            builder.at(section).kind = REL;
        }
        kind
    }
}

proptest! {
    #[test]
    fn a_fault_in_the_last_of_several_sections_leaves_every_byte_as_it_was(
        sections in proptest::collection::vec((1..3u32, any::<bool>()), 1..5),
        fault in proptest::sample::select(&Fault::ALL[..]),
        good in 0..5u64,
        profile in proptest::sample::select(Profile::LINUX),
    ) {
        let mut builder = three();
        for (at, (target, livepatch)) in (0u64..).zip(sections) {
            let entries = [(at * 16, if livepatch { 2 } else { 1 }, R_64, 3), (at * 16 + 8, 1, R_NONE, 0)];
            match livepatch {
                true => builder.klp("vmlinux", target, &entries[..1]),
                false => builder.rela(target, &entries),
            };
        }
        prop_assert_eq!(World::new(&builder, profile, names()).early_fault(), None);
        let kind = fault.add(&mut builder, 3, good);
        let mut world = World::new(&builder, profile, names());
        prop_assert_eq!(world.early_fault(), Some(kind), "{:?}", fault);
        // The bytes are compared by `early`; what was undone is made visible once.
        prop_assert!(world.mem.syncs <= 1);
    }
}

#[test]
fn the_first_section_that_cannot_be_applied_is_reported_whatever_its_fault() {
    for first in Fault::ALL {
        for second in Fault::ALL {
            let mut builder = three();
            builder.rela(1, &[(0, 1, R_64, 0)]);
            let kind = first.add(&mut builder, 2, 2);
            let section = u32::try_from(builder.sections.len() - 1).unwrap();
            second.add(&mut builder, 3, 2);
            let error = World::new(&builder, LINUX, names()).early().unwrap_err();
            assert_eq!((error.kind, error.section), (kind, Some(section)), "{first:?} {second:?}");
        }
    }
}

#[test]
fn a_section_is_placed_with_exactly_its_size_if_it_is_relocated() {
    let mut builder = three();
    builder.rela(1, &[(0, 1, R_64, 0)]);
    builder.rela(2, &[]);
    let place = |edit: fn(&mut Mem)| {
        let mut world = World::new(&builder, LINUX, names());
        edit(&mut world.mem);
        let answer = Module::parse(&world.file, LINUX).unwrap().assign(&mut world.mem).map(|_| ());
        answer.map_err(|error| (error.kind, error.section, error.value, error.limit))
    };
    assert_eq!(place(|_| {}), Ok(()));
    assert_eq!(place(|mem| mem.spots[1] = None), Err((NotAssigned, Some(1), 64, 0)));
    assert_eq!(place(|mem| mem.spots.clear()), Err((NotAssigned, Some(1), 64, 0)));
    assert_eq!(place(|mem| mem.spot(1).bytes.truncate(63)), Err((AssignedSize, Some(1), 63, 64)));
    assert_eq!(place(|mem| mem.spot(1).bytes.push(0)), Err((AssignedSize, Some(1), 65, 64)));
    assert_eq!(place(|mem| mem.spots[2] = None), Ok(()), "an empty table needs no place");
    assert_eq!(place(|mem| mem.spot(2).bytes.clear()), Ok(()));
}

#[test]
fn filling_copies_what_the_file_has_and_zeros_the_rest() {
    let mut builder = Builder::new();
    builder.section(".text", PROGBITS, ALLOC, (1..=16).collect());
    let bss = builder.section(".bss", NOBITS, ALLOC | WRITE, Vec::new());
    builder.at(bss).size = Some(16);
    builder.section(".away", PROGBITS, ALLOC, vec![9; 4]);
    let unused = builder.section("", 0, ALLOC, Vec::new());
    builder.at(unused).size = Some(16);
    let mut world = World::new(&builder, LINUX, names());
    world.mem.spots[3] = None;
    for section in [1, bss, unused] {
        world.mem.spot(section).bytes = vec![0xaa; 16];
    }
    let module = Module::parse(&world.file, LINUX).unwrap();
    module.assign(&mut world.mem).unwrap().fill().unwrap();
    let expected = [(1..=16).collect(), vec![0; 16], vec![0; 16]];
    assert_eq!([1, bss, unused].map(|section| world.mem.at(section).to_vec()), expected);
    for size in [15, 17] {
        world.mem.spot(bss).bytes = vec![0xaa; size];
        let error = module.assign(&mut world.mem).unwrap().fill().unwrap_err();
        assert_eq!(
            (error.kind, error.section, error.value, error.limit),
            (AssignedSize, Some(bss), size as u64, 16)
        );
    }
}

#[test]
fn memory_for_symbol_values_may_be_longer_but_not_one_too_short() {
    let mut builder = three();
    builder.rela(1, &[(0, 3, R_64, 0)]);
    for (lent, fits) in [(0, false), (3, false), (4, true), (9, true)] {
        let mut world = World::new(&builder, LINUX, names());
        world.values = vec![0xdead; lent];
        let too_short = |error: Error| (error.kind, error.value, error.limit);
        let expected = if fits { Ok(()) } else { Err((ValuesTooShort, lent as u64, 4)) };
        assert_eq!(world.early().map_err(too_short), expected);
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let (mut mem, mut capture) = (Mem::of(&file, LINUX), 0);
        let mut filled = module.assign(&mut mem).unwrap().assume_filled();
        let answer = filled.errors(&mut world.values, &mut names(), &mut |_| capture += 1);
        assert_eq!((answer.map_err(too_short), capture), (expected, 0));
        let loaded = filled.early(&mut [0; 4], &mut names()).unwrap();
        assert_eq!(
            loaded.retain(&mut mem, &mut world.values, &mut []).map(|_| ()).map_err(too_short),
            expected
        );
    }
}

#[test]
fn memory_is_made_visible_once_and_a_failure_of_that_undoes_the_pass() {
    let mut builder = three();
    builder.rela(1, &[(0, 1, R_64, 0)]);
    builder.klp("vmlinux", 2, &[(0, 2, R_64, 0)]);
    for number in [5, -5, i32::MIN] {
        let mut world = World::new(&builder, LINUX, names());
        world.mem.fail_sync = Some(number);
        let error = world.early().unwrap_err();
        assert_eq!((error.kind, error.value), (Sync, i64::from(number).cast_unsigned()));
        assert_eq!(world.mem.syncs, 2, "once for the pass, once for the undoing");
        world.early().unwrap();
        assert_eq!((world.mem.syncs, world.mem.word(1, 0), world.mem.word(2, 0)), (3, 0x1000, 0x2000));
    }
}

#[test]
fn a_number_of_the_resolvers_own_is_passed_through() {
    let mut builder = three();
    builder.rela(1, &[(0, 1, R_64, 0)]);
    let section = builder.klp("vmlinux", 2, &[(0, 2, R_64, 0)]);
    for number in [1, -1, -110, i32::MAX, i32::MIN] {
        for (name, place) in
            [("known", (Some(builder.symtab_index()), None)), ("f", (Some(section), Some(0)))]
        {
            let mut world = World::new(&builder, LINUX, names());
            world.names.fails = Some((name.to_owned(), number));
            let error = world.early().unwrap_err();
            assert_eq!((error.kind, error.value), (Resolver, i64::from(number).cast_unsigned()), "{name}");
            assert_eq!((error.section, error.entry), place, "{name}");
            world.names.fails = None;
            world.early().unwrap();
            assert_eq!(world.mem.word(2, 0), 0x2000);
        }
    }
}

/// A per-CPU section that is relocated and whose symbol is used, with an ordinary and a livepatch section.
fn per_cpu() -> Builder {
    let mut builder = Builder::new();
    let per_cpu = builder.data(".data..percpu", 32);
    let data = builder.data(".data", 8);
    let here = builder.symbol("here", GLOBAL, u16::try_from(per_cpu).unwrap(), 8);
    let large = builder.symbol("large", GLOBAL, ABS, 0x7000_0000);
    let vmlinux = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    builder.rela(per_cpu, &[(0, here, R_64, 0), (8, large, R_PC32, 0)]);
    builder.klp("vmlinux", per_cpu, &[(16, vmlinux, R_64, 0)]);
    builder.rela(data, &[(0, here, R_64, 0)]);
    builder
}

#[test]
fn the_per_cpu_template_is_relocated_from_6_16_on() {
    for profile in Profile::LINUX {
        let mut world = World::new(&per_cpu(), *profile, names());
        (world.mem.spot(1).address, world.mem.spot(1).base) = (0x7000_1000, 0x500);
        world.early().unwrap();
        let words = [0, 8, 16].map(|offset| world.mem.word(1, offset));
        // P is the template's own address, symbols count from the per-CPU base.
        let pc32 = u64::from(0x7000_0000u32.wrapping_sub(0x7000_1008));
        let expected = if profile.since >= (6, 16) { [0x508, pc32, 0x2000] } else { [0; 3] };
        assert_eq!((words, world.mem.word(2, 0)), (expected, 0x508), "{}", profile.name);
    }
}

#[test]
fn a_value_in_the_per_cpu_template_must_fit_from_6_16_on() {
    let mut builder = per_cpu();
    builder.at(3).bytes = table(&[(0, 2, R_32S, 0x1000_0000)]);
    for (profile, fault) in
        [(LINUX, None), (Profile::LINUX_6_14, None), (Profile::LINUX_6_16, Some(Overflow))]
    {
        assert_eq!(World::new(&builder, profile, names()).early_fault(), fault, "{}", profile.name);
    }
}

#[test]
fn a_slice_of_places_is_memory() {
    let builder = per_cpu();
    let file = builder.build();
    let module = Module::parse(&file, Profile::LINUX_6_16).unwrap();
    let (mut template, mut data) = ([0; 32], [0; 8]);
    let mut places = [
        None,
        Some(SectionMemory { address: 0x7000_1000, symbols_at: Some(0x500), bytes: &mut template }),
        Some(SectionMemory { address: 0x9000, symbols_at: None, bytes: &mut data }),
    ];
    let memory = places.as_mut_slice();
    assert_eq!([0, 1, 2, 3].map(|section| memory.base(section)), [None, Some(0x500), Some(0x9000), None]);
    module.assign(memory).unwrap().assume_filled().early(&mut [0; 9], &mut names()).unwrap();
    assert_eq!(memory.target(2).unwrap().bytes().unwrap(), 0x508u64.to_le_bytes());
    assert_eq!(memory.target(1).unwrap().address(), 0x7000_1000);
    assert!(memory.target(0).is_none() && memory.target(3).is_none());
    assert_eq!(template[..8], 0x508u64.to_le_bytes());
}

#[test]
fn faults_lists_all_of_them_and_changes_nothing() {
    let mut builder = three();
    for (target, fault) in
        [(1, Fault::Range), (2, Fault::Lookup), (3, Fault::Outside), (3, Fault::Rel), (1, Fault::Name)]
    {
        fault.add(&mut builder, target, 1);
    }
    let mut world = World::new(&builder, LINUX, names());
    let list = |world: &mut World| {
        let mut kinds = Vec::new();
        let module = Module::parse(&world.file, LINUX).unwrap();
        let mut filled = module.assign(&mut world.mem).unwrap().assume_filled();
        filled.errors(&mut world.values, &mut world.names, &mut |error| kinds.push(error.kind)).unwrap();
        kinds
    };
    let before = world.mem.image();
    assert_eq!(list(&mut world), [Overflow, KlpNotFound, OffsetOutside, RelSection, BadKlpSectionName]);
    assert_eq!((world.mem.image(), world.mem.syncs), (before, 0));
    // Relocations are judged only when all ordinary symbols are known.
    world.names.symbols.clear();
    assert_eq!(list(&mut world), [ErrorKind::UnknownSymbol, RelSection, BadKlpSectionName]);
}
