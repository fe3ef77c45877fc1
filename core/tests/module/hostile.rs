//! Files that make a loader read what it has changed, or work longer than the file is large.

use crate::world::{Mem, Names, World, address};
use crate::world::{names, two_objects};
use relakit::ErrorKind::{
    self, AddressWraps, BadKlpSymbolName, KlpNameOutside, NullOutside, RelocationsTooLarge, SharedBytes,
    SymbolSection, SymbolUnassigned, TargetIsRelocations, TargetOutOfRange, UnknownSymbol,
};
use relakit::elf::NAME_MAX;
use relakit::{Class, Error, FailsAt, Memory, Module, Profile, Target};
use relakit_model::image::{
    ABS, ALLOC, Builder, GLOBAL, LIVEPATCH, LOCAL, NOBITS, PROGBITS, R_64, R_NONE, REL, RELA, UNDEF, WEAK,
    table,
};

const LINUX: Profile = Profile::LINUX_6_12;

fn parsed(builder: &Builder, profile: Profile) -> Result<(), ErrorKind> {
    Module::parse(&builder.build(), profile).map(|_| ()).map_err(|error| error.kind)
}

/// Sections 1 `.data` and 2, which is the target of relocations of every kind and may be anything. Symbol 1 is absolute, 2 is "a.f",
/// 3 is "vmlinux.f".
fn into(kind: u32, flags: u64) -> (Builder, [u32; 3]) {
    let mut builder = Builder::new();
    let data = builder.data(".data", 48);
    let target = builder.section("target", kind, flags, vec![0; 48]);
    builder.at(target).info = data;
    let one = builder.symbol("one", GLOBAL, ABS, 1);
    let late = builder.klp_symbol(".klp.sym.a.f,0");
    let early = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    let sections = [
        builder.rela(target, &[(0, one, R_64, 0)]),
        builder.klp("vmlinux", target, &[(8, early, R_64, 0)]),
        builder.klp("a", target, &[(16, late, R_64, 0)]),
    ];
    (builder, sections)
}

#[test]
fn a_relocation_section_in_memory_is_no_target() {
    for profile in [Profile::LINUX_5_8, LINUX, Profile::LINUX_7_3, Profile::ELF] {
        for (kind, flags, refused) in [
            (PROGBITS, ALLOC, false),
            (NOBITS, ALLOC, false),
            (RELA, ALLOC, true),
            (REL, ALLOC, true),
            (PROGBITS, ALLOC | LIVEPATCH, true),
            (RELA, ALLOC | LIVEPATCH, true),
        ] {
            let (mut builder, sections) = into(kind, flags);
            if flags & LIVEPATCH != 0 {
                builder.at(2).name = b".klp.rela.b.x".to_vec();
            }
            let file = builder.build();
            let module = Module::parse(&file, profile).unwrap();
            let [ordinary, early, late] = sections.map(|section| module.class(section).unwrap().class);
            let malformed = |fails| Class::Malformed { kind: TargetIsRelocations, fails };
            let expected = if refused {
                [malformed(FailsAt::Load), malformed(FailsAt::Load), malformed(FailsAt::Coming(b"a"))]
            } else {
                [
                    Class::Ordinary { target: 2 },
                    Class::KlpEarly { target: 2 },
                    Class::KlpLate { object: b"a", target: 2 },
                ]
            };
            assert_eq!([ordinary, early, late], expected, "{kind} {flags:#x}, {}", profile.name);
            if refused {
                let error = module.malformed(sections[0]).unwrap();
                assert_eq!((error.section, error.value), (Some(sections[0]), 2));
                assert_eq!(module.is_allocated(2), flags & ALLOC != 0);
            }
            // Without entries nothing is changed.
            for section in sections {
                builder.at(section).bytes.clear();
            }
            let file = builder.build();
            let module = Module::parse(&file, profile).unwrap();
            let is_malformed = |class| matches!(class, Class::Malformed { .. });
            assert!(!sections.iter().any(|section| is_malformed(module.class(*section).unwrap().class)));
        }
    }
}

#[test]
fn a_module_with_a_relocation_of_a_late_table_does_not_load_and_a_late_one_does_not_come() {
    let mut builder = two_objects();
    let one = builder.symbol("one", GLOBAL, ABS, 1);
    let late = 3;
    builder.rela(late, &[(8, one, R_NONE, 0)]);
    let mut world = World::new(&builder, LINUX, names());
    assert_eq!(world.early_fault(), Some(TargetIsRelocations));

    let mut builder = two_objects();
    builder.klp("a", 4, &[(0, 1, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let before = mem.image();
    let error = late.coming(b"a", mem, names).unwrap_err();
    assert_eq!((error.kind, error.value), (TargetIsRelocations, 4));
    assert_eq!(mem.image(), before);
    assert_eq!(late.coming(b"b", mem, names), Ok(2));
}

#[test]
fn an_unused_header_is_no_target_and_is_filled_with_zeros() {
    let (builder, sections) = into(0, ALLOC);
    for profile in [LINUX, Profile::ELF] {
        let file = builder.build();
        let module = Module::parse(&file, profile).unwrap();
        let malformed = |fails| Class::Malformed { kind: TargetOutOfRange, fails };
        assert_eq!(module.class(sections[0]).unwrap().class, malformed(FailsAt::Load));
        assert_eq!(module.class(sections[2]).unwrap().class, malformed(FailsAt::Coming(b"a")));
        let mut mem = Mem::of(&file, profile);
        mem.spot(2).bytes.fill(0xaa);
        let Ok(placed) = module.assign(&mut mem) else { panic!("it has memory") };
        placed.fill().unwrap();
        assert_eq!(mem.at(2), [0; 48]);
    }
}

#[test]
fn linux_copies_what_an_unused_header_in_memory_leads_to() {
    let (mut builder, _) = into(0, ALLOC);
    builder.at(2).offset = Some(0);
    let size = builder.build().len() as u64;
    for (offset, flags, is_outside) in
        [(size - 48, ALLOC, false), (size - 47, ALLOC, true), (u64::MAX, ALLOC, true), (u64::MAX, 0, false)]
    {
        (builder.at(2).offset, builder.at(2).flags) = (Some(offset), flags);
        for (profile, looks) in [(LINUX, true), (Profile::LINUX_7_3, true), (Profile::ELF, false)] {
            let expected = if is_outside && looks { Err(NullOutside) } else { Ok(()) };
            assert_eq!(parsed(&builder, profile), expected, "{offset:#x}, {}", profile.name);
        }
    }
    // It copies no bytes from anywhere.
    let target = builder.at(2);
    (target.offset, target.size, target.flags) = (Some(u64::MAX), Some(0), ALLOC);
    assert_eq!(parsed(&builder, LINUX), Ok(()));
}

#[test]
fn tables_together_are_no_larger_than_the_file() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    builder.symbol("one", GLOBAL, ABS, 1);
    let first = builder.rela(data, &vec![(0, 1, R_NONE, 0); 10]);
    let file = builder.build();
    let offset = Module::parse(&file, LINUX).unwrap().object().section(first).unwrap().sh_offset;
    for profile in [Profile::LINUX_5_8, LINUX, Profile::ELF] {
        let mut builder = builder.clone();
        let mut refused = 0;
        for sections in 1..20 {
            let file = builder.build();
            let (together, size) = (sections * 240, file.len() as u64);
            match Module::parse(&file, profile) {
                Ok(_) => assert!(together <= size, "{sections}"),
                Err(error) => {
                    let said = (error.kind, error.value, error.limit);
                    assert_eq!(said, (RelocationsTooLarge, together, size));
                    assert!(together > size, "{sections}");
                    refused += 1;
                }
            }
            // One more section that shares the table.
            let section = builder.rela(data, &[]);
            builder.at(section).offset = Some(offset);
            builder.at(section).size = Some(240);
        }
        assert!((5..=15).contains(&refused), "both sides were seen: {refused}");
        // The edge itself: the last table is as large as what the others leave.
        let last = u32::try_from(builder.sections.len() - 1).unwrap();
        for section in 3..last {
            builder.at(section).size = Some(0);
        }
        let left = builder.build().len() as u64 - 240;
        builder.at(last).offset = Some(64);
        for (size, expected) in [(left, Ok(())), (left + 1, Err(RelocationsTooLarge))] {
            for (kind, flags) in [(RELA, 0), (REL, 0), (PROGBITS, LIVEPATCH)] {
                let section = builder.at(last);
                (section.size, section.kind, section.flags) = (Some(size), kind, flags);
                let limit = builder.build().len() as u64 - 64;
                assert!(size <= limit, "it is in the file");
                assert_eq!(parsed(&builder, Profile::ELF), expected, "{kind} {flags:#x}");
            }
        }
    }
}

#[test]
fn what_linux_writes_in_the_file_is_no_section() {
    // The per-CPU template is relocated in the file's copy from 6.16 on, before the tables behind it are read.
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let per_cpu = builder.data(".data..percpu", 48);
    let one = builder.symbol("one", GLOBAL, ABS, 1);
    builder.rela(per_cpu, &[(0, one, R_64, 0)]);
    let table = builder.rela(data, &[(0, one, R_64, 0)]);
    let file = builder.build();
    let offset = Module::parse(&file, LINUX).unwrap().object().section(per_cpu).unwrap().sh_offset;
    for (at, shares) in [(offset + 24, true), (offset + 47, true), (offset + 48, false), (offset - 24, false)]
    {
        builder.at(table).offset = Some(at);
        for (profile, template) in [(LINUX, false), (Profile::LINUX_6_16, true), (Profile::ELF, false)] {
            let expected = if shares && template { Err(SharedBytes) } else { Ok(()) };
            assert_eq!(parsed(&builder, profile), expected, "at {at:#x}, {}", profile.name);
        }
    }
}

#[test]
fn an_unused_header_with_the_livepatch_flag_has_a_name_that_linux_reads() {
    for (info, fails) in [(1, FailsAt::Load), (99, FailsAt::AnyComing)] {
        let mut builder = two_objects();
        let unused = builder.section("", 0, LIVEPATCH, Vec::new());
        builder.at(unused).info = info;
        builder.at(unused).name_at = Some(0x10_0000);
        let file = builder.build();
        for profile in [Profile::LINUX_5_8, LINUX, Profile::LINUX_7_3] {
            let module = Module::parse(&file, profile).unwrap();
            let expected = Class::Malformed { kind: KlpNameOutside, fails };
            assert_eq!(module.class(unused).unwrap().class, expected);
            let error = module.malformed(unused).unwrap();
            assert_eq!((error.section, error.value), (Some(unused), 0x10_0000));
        }
        // Without the flag nobody reads it.
        builder.at(unused).flags = 0;
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        assert_eq!(module.class(unused).unwrap().class, Class::NotRelocation);
    }
}

/// A module that uses an undefined symbol of a long name.
fn long_name(length: usize, binding: u8) -> (World, u32) {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let symbol = builder.symbol(&"x".repeat(length), binding, UNDEF, 0);
    builder.rela(data, &[(0, symbol, R_64, 0)]);
    (World::new(&builder, LINUX, Names::default()), data)
}

#[test]
fn nobody_exports_a_name_longer_than_names_are_read() {
    for length in [NAME_MAX, NAME_MAX + 1, 3 * NAME_MAX] {
        let (mut world, data) = long_name(length, WEAK);
        assert_eq!(world.early(), Ok(()), "a weak symbol is 0");
        assert_eq!(world.mem.word(data, 0), 0);
        let asked = usize::from(length <= NAME_MAX);
        assert_eq!(world.names.asked.len(), asked, "the resolver hears of names of {NAME_MAX} bytes");
        let (mut world, _) = long_name(length, GLOBAL);
        assert_eq!(world.early_fault(), Some(UnknownSymbol));
    }
}

#[test]
fn a_long_livepatch_name_is_read_as_far_as_its_position_goes() {
    for (tail, length, expected) in [
        ("x", NAME_MAX, None),
        ("x", NAME_MAX + 1, None),
        ("x", 3 * NAME_MAX, None),
        ("0", NAME_MAX, None),
        ("0", NAME_MAX + 1, Some(BadKlpSymbolName)),
    ] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        let head = ".klp.sym.vmlinux.f,0";
        let name = head.to_owned() + &tail.repeat(length - head.len());
        let symbol = builder.klp_symbol(&name);
        builder.klp("vmlinux", data, &[(0, symbol, R_64, 0)]);
        let names = Names::new(&[("vmlinux", "f", &[0x1234])]);
        let mut world = World::new(&builder, LINUX, names);
        assert_eq!(world.early_fault(), expected, "{length} bytes that end with {tail}");
    }
}

#[test]
fn a_reserved_index_is_a_section_to_linux_if_there_are_so_many() {
    // Three tables come last; such a section is none that has memory.
    for (before, expected) in [(0xff05 - 3, SymbolSection), (0xff06 - 3, SymbolUnassigned)] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        let symbol = builder.symbol("s", LOCAL, 0xff05, 3);
        builder.rela(data, &[(0, symbol, R_64, 0)]);
        builder.sections.resize(before, relakit_model::image::Sec::default());
        let mut world = World::new(&builder, LINUX, Names::default());
        assert_eq!(world.early_fault(), Some(expected), "{before} sections");
    }
}

/// Memory at an address of its own.
struct At<'m>(&'m mut [u8], u64);

impl Memory for At<'_> {
    fn base(&self, section: u32) -> Option<u64> {
        (section == 1).then_some(self.1)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        (section == 1).then_some(Target::new(self.0, self.1))
    }
}

#[test]
fn memory_that_wraps_is_refused_before_it_is_filled() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let one = builder.symbol("one", GLOBAL, ABS, 1);
    let rela = builder.rela(data, &[(0, one, R_64, 0)]);
    for relocated in [true, false] {
        builder.at(rela).bytes = if relocated { table(&[(0, one, R_64, 0)]) } else { Vec::new() };
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        for (at, wraps) in
            [(u64::MAX - 15, false), (u64::MAX - 14, true), (u64::MAX, true), (address(1), false)]
        {
            let mut bytes = [0xaa; 16];
            let mut memory = At(&mut bytes, at);
            let answer = module.assign(&mut memory).and_then(|placed| placed.fill().map(|_| ()));
            let said = answer.map_err(|error: Error| (error.kind, error.section, error.value, error.limit));
            assert_eq!(said, if wraps { Err((AddressWraps, Some(data), at, 16)) } else { Ok(()) });
            assert_eq!(bytes, [if wraps { 0xaa } else { 0 }; 16]);
        }
    }
}

#[test]
fn a_late_target_whose_memory_wraps_is_named_when_the_object_is_coming() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    builder.klp("a", data, &[(0, f, R_64, 0)]);
    let file = builder.build();
    let module = Module::parse(&file, LINUX).unwrap();
    let (mut bytes, mut names, mut values) = ([0; 16], names(), vec![0; 64]);
    let mut memory = At(&mut bytes, u64::MAX - 14);
    let filled = module.assign(&mut memory).unwrap().assume_filled();
    let loaded = filled.early(&mut values, &mut names).unwrap();
    let mut kept = vec![0; loaded.retained_size()];
    let mut late = loaded.retain(&mut memory, &mut values, &mut kept).unwrap();
    let error = late.coming(b"a", &mut memory, &mut names).unwrap_err();
    assert_eq!((error.kind, error.section), (AddressWraps, Some(data)));
}

#[test]
fn objects_are_found_by_number_whatever_lies_between_them() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 8);
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    for number in 0..40 {
        let section = builder.klp(&format!("o{number}"), data, &[(0, f, R_NONE, 0)]);
        if number % 3 == 0 || (20..27).contains(&number) {
            // Its name is malformed, so it belongs to no object; no target lets the module load.
            builder.at(section).name = b".klp.rela..x".to_vec();
            builder.at(section).info = 99;
        }
    }
    let mut world = World::new(&builder, LINUX, Names::default());
    let (late, ..) = world.load().unwrap();
    let all: Vec<_> = late.objects().collect();
    assert_eq!(all.len(), 21);
    for (index, object) in (0..).zip(&all) {
        assert_eq!(late.object_at(index), Some(*object), "{index}");
    }
    let count = u32::try_from(all.len()).unwrap();
    assert_eq!([count, count + 1, u32::MAX].map(|index| late.object_at(index)), [None; 3]);
}
