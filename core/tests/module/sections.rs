//! What the early pass does with each section (Linux semantics 5, 6 and 15).

use crate::world::{Names, World};
use relakit::ErrorKind::{
    self, BadKlpSectionName, BadKlpSymbolName, KlpAmbiguous, KlpNotFound, KlpSympos, NotKlpSymbol, Overflow,
    RelSection, SymbolIndex, UnknownType,
};
use relakit::{Class, FailsAt, Module, Profile, Reason};
use relakit_model::image::{
    ALLOC, Builder, GLOBAL, LIVEPATCH, NOBITS, NOTE, PROGBITS, R_32, R_64, REL, RELA, SHN_LIVEPATCH, Sec,
    WRITE, table,
};

const LINUX: Profile = Profile::LINUX_6_12;

fn names() -> Names {
    Names::new(&[("vmlinux", "f", &[0x1111]), ("vmlinux", "many", &[1, 2]), ("vmlinux", "far", &[1 << 32])])
}

/// Section 1 is data of 16 bytes, section 2 its relocation of the first 8, with the livepatch flag or without.
fn one(livepatch: bool) -> Builder {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let symbol = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    match livepatch {
        true => builder.klp("vmlinux", data, &[(0, symbol, R_64, 1)]),
        false => builder.rela(data, &[(0, symbol, R_64, 1)]),
    };
    builder
}

fn classify(builder: &Builder, section: u32, profile: Profile) -> (String, Reason) {
    let file = builder.build();
    let module = Module::parse(&file, profile).unwrap();
    let class = module.class(section).unwrap();
    let error = module.malformed(section);
    assert_eq!(error.is_some(), matches!(class.class, Class::Malformed { .. }));
    let text = match class.class {
        Class::Malformed { kind, fails } => {
            assert_eq!(error.map(|error| (error.kind, error.section)), Some((kind, Some(section))));
            assert_eq!(class.reason, Reason::Malformed(kind));
            match fails {
                FailsAt::Load => "load fails".to_owned(),
                FailsAt::AnyComing => "any coming fails".to_owned(),
                FailsAt::Coming(object) => format!("coming of {} fails", String::from_utf8_lossy(object)),
            }
        }
        Class::KlpLate { object, .. } => format!("late of {}", String::from_utf8_lossy(object)),
        Class::KlpEarly { .. } => "early".to_owned(),
        Class::Ordinary { .. } => "ordinary".to_owned(),
        other => format!("{other:?}"),
    };
    (text, class.reason)
}

#[test]
fn the_flag_decides_and_not_the_name() {
    for (name, flagged, plain) in [
        (".klp.rela.vmlinux..data", "early", "ordinary"),
        (".klp.rela.vmlinux", "early", "ordinary"),
        (".klp.rela.m..data", "late of m", "ordinary"),
        (".klp.rela.m", "late of m", "ordinary"),
        (".klp.rela.vmlinux-.data", "late of vmlinux-", "ordinary"),
        (".klp.rela.Vmlinux..text", "late of Vmlinux", "ordinary"),
        (".klp.rela.vmlinux..other", "early", "ordinary"),
        (".klp.rela..data", "load fails", "ordinary"),
        (".klp.rela.", "load fails", "ordinary"),
        (".rela.data", "load fails", "ordinary"),
        ("", "load fails", "ordinary"),
        (".klp.arch.m..data", "load fails", "ordinary"),
    ] {
        let mut builder = one(true);
        builder.at(2).name = name.as_bytes().to_vec();
        assert_eq!(classify(&builder, 2, LINUX).0, flagged, "{name} with the flag");
        builder.at(2).flags = ALLOC;
        let (class, reason) = classify(&builder, 2, LINUX);
        let expected = if name.starts_with(".klp.rela.") { Reason::RelaWithKlpName } else { Reason::Rela };
        assert_eq!((class.as_str(), reason), (plain, expected), "{name} without it");
        let mut world = World::new(&builder, LINUX, names());
        world.early().unwrap();
        assert_eq!(world.mem.word(1, 0), 1, "the symbol counts with what the file says");
    }
}

#[test]
fn an_objects_name_is_cut_after_55_bytes() {
    let name = "o".repeat(60);
    for (length, object) in [(54, 54), (55, 55), (56, 55), (60, 55)] {
        let mut builder = one(true);
        builder.at(2).name = format!(".klp.rela.{}..data", &name[..length]).into_bytes();
        assert_eq!(classify(&builder, 2, LINUX).0, format!("late of {}", &name[..object]), "{length}");
    }
}

#[test]
fn with_the_flag_any_type_is_applied_as_rela() {
    for kind in [PROGBITS, NOTE, RELA, REL, 3, 6, 11, 0x6fff_fff6, u32::MAX] {
        let mut builder = one(true);
        builder.at(2).kind = kind;
        assert_eq!(classify(&builder, 2, LINUX), ("early".to_owned(), Reason::Vmlinux), "{kind:#x}");
        let mut world = World::new(&builder, LINUX, names());
        world.early().unwrap();
        assert_eq!(world.mem.word(1, 0), 0x1112, "{kind:#x}");
    }
    // A section without bytes in the file is zeros in Linux's memory: symbol 0, which is none of the livepatch core's.
    for (kind, size, expected) in [(NOBITS, 24, true), (NOBITS, 23, false), (0, 24, true), (0, 0, false)] {
        let mut builder = one(true);
        *builder.at(2) = Sec { kind, size: Some(size), ..builder.at(2).clone() };
        let fault = World::new(&builder, LINUX, names()).early_fault();
        assert_eq!(fault, expected.then_some(ErrorKind::NoRelocationBytes), "{kind} {size}");
        assert!(fault.is_none_or(|kind| Profile::LINUX_DEFAULT.errno(kind) == 22));
    }
}

#[test]
fn without_the_flag_only_rel_and_rela_are_relocations() {
    for kind in [PROGBITS, NOTE, 3, 6, 8, 11, 0x6fff_fff6] {
        let mut builder = one(false);
        builder.at(2).kind = kind;
        assert_eq!(classify(&builder, 2, LINUX).1, Reason::OtherType, "{kind}");
        let mut world = World::new(&builder, LINUX, names());
        world.early().unwrap();
        assert_eq!(world.mem.word(1, 0), 0);
    }
    let mut builder = one(false);
    *builder.at(2) = Sec { name: b".klp.arch.m..data".to_vec(), kind: PROGBITS, ..builder.at(2).clone() };
    assert_eq!(classify(&builder, 2, LINUX), ("LegacyArch".to_owned(), Reason::ArchName));
}

#[test]
fn rel_is_refused_even_if_empty_but_only_where_the_target_is_in_memory() {
    for size in [0, 16, 24] {
        let mut builder = one(false);
        *builder.at(2) = Sec { kind: REL, size: Some(size), ..builder.at(2).clone() };
        assert_eq!(World::new(&builder, LINUX, names()).early_fault(), Some(RelSection), "{size}");
        builder.at(1).flags = WRITE;
        assert_eq!(classify(&builder, 2, LINUX).1, Reason::TargetNotAllocated);
        assert_eq!(World::new(&builder, LINUX, names()).early_fault(), None, "{size}");
        builder.at(2).info = 99;
        assert_eq!(World::new(&builder, LINUX, names()).early_fault(), None, "{size}");
    }
}

#[test]
fn a_target_that_is_not_in_memory_is_passed_over() {
    for livepatch in [false, true] {
        let mut builder = one(livepatch);
        let comment = builder.section(".comment", PROGBITS, WRITE, vec![0; 8]);
        let sections = builder.symtab_index() + 3;
        for (info, reason) in [
            (0, Reason::TargetNotAllocated),
            (comment, Reason::TargetNotAllocated),
            (sections - 1, Reason::TargetNotAllocated),
            (sections, Reason::NoTarget),
            (u32::MAX, Reason::NoTarget),
        ] {
            builder.at(2).info = info;
            assert_eq!(classify(&builder, 2, LINUX), ("Skipped".to_owned(), reason), "{info}");
            let mut world = World::new(&builder, LINUX, names());
            world.early().unwrap();
            assert_eq!(world.mem.word(1, 0), 0);
        }
    }
}

#[test]
fn the_same_target_with_a_bad_name_fails_every_coming_and_not_the_load() {
    for name in [".klp.rela.", ".klp.rela..data", ".rela.data"] {
        let mut builder = one(true);
        builder.at(2).name = name.as_bytes().to_vec();
        for info in [0, 99] {
            builder.at(2).info = info;
            assert_eq!(classify(&builder, 2, LINUX).0, "any coming fails");
            let mut world = World::new(&builder, LINUX, names());
            let (mut late, mem, names) = world.load().unwrap();
            let error = late.coming(b"anything", mem, names).unwrap_err();
            assert_eq!((error.kind, error.section), (BadKlpSectionName, Some(2)), "{name}");
            assert_eq!(late.objects().count(), 0, "nobody's section");
        }
    }
}

#[test]
fn sections_that_linux_does_not_keep_are_passed_over() {
    let newest = *Profile::LINUX.last().unwrap();
    for (name, old, new, elf) in [
        (".modinfo", Reason::TargetDropped, Reason::TargetDropped, Reason::Rela),
        ("__versions", Reason::TargetDropped, Reason::TargetDropped, Reason::Rela),
        ("__version_ext_names", Reason::Rela, Reason::TargetDropped, Reason::Rela),
        ("__version_ext_crcs", Reason::Rela, Reason::TargetDropped, Reason::Rela),
        (".data..percpu", Reason::TargetPerCpu, Reason::Rela, Reason::Rela),
        (".modinfo.", Reason::Rela, Reason::Rela, Reason::Rela),
    ] {
        let mut builder = one(false);
        builder.at(1).name = name.as_bytes().to_vec();
        for (profile, reason) in [(LINUX, old), (newest, new), (Profile::ELF, elf)] {
            assert_eq!(classify(&builder, 2, profile).1, reason, "{name}, {}", profile.name);
            let mut world = World::new(&builder, profile, names());
            world.early().unwrap();
            if reason == Reason::Rela {
                assert_eq!(world.mem.word(1, 0), 1);
            }
        }
    }
}

#[test]
fn only_the_first_allocated_section_of_a_name_is_not_kept() {
    let mut builder = Builder::new();
    let targets = [0, 0, 1, 2].map(|kind| {
        let name = [".modinfo", ".data..percpu", "__versions"][kind];
        [builder.section(name, PROGBITS, 0, vec![0; 8]), builder.data(name, 8), builder.data(name, 8)]
    });
    let mut reasons = Vec::new();
    for target in targets.into_iter().flatten() {
        let rela = builder.rela(target, &[]);
        reasons.push(classify(&builder, rela, LINUX).1);
    }
    use Reason::{Rela, TargetDropped, TargetNotAllocated, TargetPerCpu};
    let first = [TargetNotAllocated, TargetDropped, Rela];
    let again = [TargetNotAllocated, Rela, Rela];
    let per_cpu = [TargetNotAllocated, TargetPerCpu, Rela];
    assert_eq!(reasons, [first, again, per_cpu, first].concat());
}

#[test]
fn the_rest_of_the_size_is_ignored() {
    for (size, applied) in [(0, 0), (23, 0), (24, 1), (47, 1), (48, 2), (71, 2)] {
        for livepatch in [false, true] {
            let mut builder = one(livepatch);
            builder.at(2).bytes = table(&[(0, 1, R_64, 1), (8, 1, R_64, 1)]);
            builder.at(2).bytes.extend([0xff; 23]);
            builder.at(2).size = Some(size);
            let mut world = World::new(&builder, LINUX, names());
            world.early().unwrap();
            let words = [world.mem.word(1, 0), world.mem.word(1, 8)];
            let value = if livepatch { 0x1112 } else { 1 };
            assert_eq!(words.map(|word| usize::from(word == value)), [usize::from(applied > 0), applied / 2]);
        }
    }
}

#[test]
fn link_entry_size_alignment_and_the_other_flags_are_ignored() {
    for livepatch in [false, true] {
        let edits: [fn(&mut Sec); 9] = [
            |s| s.link = 0,
            |s| s.link = 1,
            |s| s.link = u32::MAX,
            |s| s.entry_size = 0,
            |s| s.entry_size = u64::MAX,
            |s| s.align = 0,
            |s| s.align = 3,
            |s| s.flags &= LIVEPATCH,
            |s| s.flags |= !LIVEPATCH,
        ];
        for edit in edits {
            let mut builder = one(livepatch);
            edit(builder.at(2));
            let mut world = World::new(&builder, LINUX, names());
            world.early().unwrap();
            assert_eq!(world.mem.word(1, 0), if livepatch { 0x1112 } else { 1 });
        }
    }
}

#[test]
fn the_symbol_table_and_its_strings_are_no_targets() {
    for livepatch in [false, true] {
        for offset in [0, 1] {
            let mut builder = one(livepatch);
            builder.at(2).info = builder.symtab_index() + offset;
            let fault = World::new(&builder, LINUX, names()).early_fault();
            assert_eq!(fault, Some(ErrorKind::TargetIsSymbolTable));
        }
    }
}

#[test]
fn faults_of_a_livepatch_section_come_in_linuxs_order() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 32);
    let good = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    let far = builder.klp_symbol(".klp.sym.vmlinux.far,0");
    let bad = builder.klp_symbol(".klp.sym.vmlinux.,0");
    let none = builder.klp_symbol(".klp.sym.vmlinux.none,0");
    let many = builder.klp_symbol(".klp.sym.vmlinux.many,0");
    let past = builder.klp_symbol(".klp.sym.vmlinux.many,3");
    let plain = builder.symbol(".klp.sym.vmlinux.f,0", GLOBAL, 0xfff1, 1);
    let plain_bad = builder.symbol("bad", GLOBAL, u16::try_from(data).unwrap(), 1);
    let section = builder.klp("vmlinux", data, &[]);
    for (entries, kind, entry) in [
        (vec![(0, good, R_64, 0)], None, 0),
        // Symbols are judged in the order of the entries, and before the values.
        (vec![(0, good, R_64, 0), (99, 1000, R_64, 0), (0, plain, R_64, 0)], Some(SymbolIndex), 1),
        (vec![(0, plain, 99, 0), (0, 1000, R_64, 0)], Some(NotKlpSymbol), 0),
        (vec![(0, plain_bad, R_64, 0)], Some(NotKlpSymbol), 0),
        (vec![(0, bad, R_64, 0), (0, plain, R_64, 0)], Some(BadKlpSymbolName), 0),
        (vec![(0, none, R_64, 0), (0, bad, R_64, 0)], Some(KlpNotFound), 0),
        (vec![(0, many, R_64, 0)], Some(KlpAmbiguous), 0),
        (vec![(0, past, R_64, 0)], Some(KlpSympos), 0),
        (
            vec![(0, far, R_32, 0), (0, good, 99, 0), (0, good, R_64, 0), (0, none, R_64, 0)],
            Some(KlpNotFound),
            3,
        ),
        // Then the values, in the order of the entries.
        (vec![(0, good, R_64, 0), (8, far, R_32, 0), (8, good, 99, 0)], Some(Overflow), 1),
        (vec![(0, good, R_64, 0), (8, good, 99, 0), (8, far, R_32, 0)], Some(UnknownType), 1),
        (vec![(0, good, R_64, 0), (4, far, R_32, 0)], Some(Overflow), 1),
        (vec![(0, good, R_64, 0), (7, good, R_32, -0x1000)], None, 0),
        (vec![(0, good, R_64, 0), (1, good, R_32, 0)], Some(ErrorKind::TargetNotZero), 1),
    ] {
        builder.at(section).bytes = table(&entries);
        let mut world = World::new(&builder, LINUX, names());
        let error = world.early().err();
        assert_eq!(error.map(|error| error.kind), kind, "{entries:?}");
        if let Some(error) = error {
            let entry = (error.section, error.entry, error.symbol, error.r_type);
            let (_, symbol, r_type, _) = entries[usize::try_from(error.entry.unwrap()).unwrap()];
            assert_eq!(entry, (Some(section), error.entry, Some(symbol), Some(r_type)));
        }
        assert_eq!(error.map_or(0, |error| error.entry.unwrap()), entry, "{entries:?}");
        builder.at(section).name = b".klp.rela.".to_vec();
        let first = World::new(&builder, LINUX, names()).early_fault();
        assert_eq!(first, Some(BadKlpSectionName), "before all others");
        builder.at(section).name = b".klp.rela.vmlinux".to_vec();
    }
}

#[test]
fn a_field_that_is_not_zero_is_noticed_before_the_range_in_6_1_and_after_it_in_6_3() {
    let mut builder = one(true);
    builder.at(1).bytes[0] = 1;
    builder.symbols[1].name = b".klp.sym.vmlinux.far,0".to_vec();
    builder.at(2).bytes = table(&[(0, 1, R_32, 0)]);
    for (profile, kind) in [
        (Profile::LINUX_5_8, ErrorKind::TargetNotZero),
        (Profile::LINUX_6_1, ErrorKind::TargetNotZero),
        (Profile::LINUX_6_3, Overflow),
        (LINUX, Overflow),
    ] {
        assert_eq!(World::new(&builder, profile, names()).early_fault(), Some(kind), "{}", profile.name);
    }
    for profile in [Profile::LINUX_6_1, LINUX] {
        builder.at(2).bytes = table(&[(0, 1, 99, 0)]);
        assert_eq!(World::new(&builder, profile, names()).early_fault(), Some(UnknownType));
    }
}

#[test]
fn a_vmlinux_section_may_name_a_symbol_of_a_module_that_is_there() {
    let mut builder = one(true);
    builder.symbols[1].name = b".klp.sym.other.g,2".to_vec();
    assert_eq!(World::new(&builder, LINUX, names()).early_fault(), Some(KlpNotFound));
    let mut world = World::new(&builder, LINUX, Names::new(&[("other", "g", &[5, 6])]));
    world.early().unwrap();
    assert_eq!(world.mem.word(1, 0), 7);
}

#[test]
fn an_ordinary_section_sees_what_livepatch_sections_before_it_resolved() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 24);
    let symbol = builder.symbol(".klp.sym.vmlinux.f,0", GLOBAL, SHN_LIVEPATCH, 0x77);
    let entries = |offset| [(offset, symbol, R_64, 0)];
    builder.rela(data, &entries(0));
    builder.klp("vmlinux", data, &entries(8));
    builder.rela(data, &entries(16));
    let mut world = World::new(&builder, LINUX, names());
    world.early().unwrap();
    assert_eq!([0, 8, 16].map(|offset| world.mem.word(data, offset)), [0x77, 0x1111, 0x1111]);
}
