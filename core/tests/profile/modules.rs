//! Whole modules: what the rows say of the file, of livepatch sections, and of passes that fail.

use crate::rows::{OTHERS, all};
use crate::world::{Names, World};
use relakit::reloc::RelocFlags;
use relakit::{Class, ErrorKind, Module, PerCpu, Profile, Reason};
use relakit_model::image::{ABS, ALLOC, Builder, GLOBAL, LIVEPATCH, NOTE, R_64, SHN_LIVEPATCH};

/// The rows of loaders that know no livepatch sections.
const WITHOUT_LIVEPATCH: [Profile; 4] = [Profile::XEN, Profile::GRUB, Profile::FREEBSD, Profile::KEXEC];

/// Why the file of a builder is refused.
fn refused(builder: &Builder, profile: Profile) -> Option<ErrorKind> {
    Module::parse(&builder.build(), profile).err().map(|error| error.kind)
}

/// A module whose relocation of `.data` is right.
fn simple() -> (Builder, u32, u32) {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let symbol = builder.symbol("a", GLOBAL, ABS, 0x1234);
    let rela = builder.rela(data, &[(8, symbol, R_64, 0)]);
    (builder, data, rela)
}

#[test]
fn every_row_loads_a_module_that_is_right() {
    for row in all() {
        let (builder, data, _) = simple();
        let mut world = World::new(&builder, row, Names::default());
        let (_, mem, _) = world.load().unwrap();
        assert_eq!(mem.word(data, 8), 0x1234, "{}", row.name);
    }
}

#[test]
fn rows_that_are_not_linux_take_the_strict_value_of_each_fact_about_files() {
    for row in OTHERS {
        let (mut builder, ..) = simple();
        builder.header.ident[5] = 2;
        assert_eq!(refused(&builder, row), Some(ErrorKind::BadIdent), "{}", row.name);
        let (mut builder, ..) = simple();
        builder.symbols[1].name_at = Some(0x1000);
        assert_eq!(refused(&builder, row), Some(ErrorKind::BadSymbolName), "{}", row.name);
        let (mut builder, _, rela) = simple();
        builder.at(rela).info = 0x1000;
        let error = World::new(&builder, row, Names::default()).early_fault();
        assert_eq!(error, Some(ErrorKind::TargetOutOfRange), "{}", row.name);
        assert!(row.extended_numbering && row.dropped().is_empty() && row.per_cpu == PerCpu::Ordinary);
    }
    // Linux looks at none of these; at names since 6.13.
    for row in Profile::LINUX {
        let (mut builder, _, rela) = simple();
        builder.header.ident[5] = 2;
        builder.at(rela).info = 0x1000;
        assert_eq!(refused(&builder, *row), None, "{}", row.name);
        builder.symbols[1].name_at = Some(0x1000);
        let expected = (row.since >= (6, 13)).then_some(ErrorKind::BadSymbolName);
        assert_eq!(refused(&builder, *row), expected, "{}", row.name);
    }
}

#[test]
fn a_row_drops_the_first_section_of_each_of_four_names() {
    const NAMES: [&[u8]; 5] = [b".a", b".b", b".c", b".d", b".e"];
    assert_eq!(Profile::ELF.with_dropped(&NAMES), None);
    let row = Profile::ELF.with_dropped(&NAMES[..4]).unwrap();
    let mut builder = Builder::new();
    for _ in 0..2 {
        for name in [".a", ".b", ".c", ".d", ".e"] {
            builder.data(name, 8);
        }
    }
    let file = builder.build();
    let module = Module::parse(&file, row).unwrap();
    assert!((1..5).all(|index| !module.is_allocated(index)));
    assert!((5..11).all(|index| module.is_allocated(index)));
}

#[test]
fn a_row_cannot_have_livepatch_sections_and_add_to_fields() {
    let (builder, ..) = simple();
    for row in all() {
        for (livepatch, adds) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut mine = row;
            mine.livepatch = livepatch;
            mine.flags.set(RelocFlags::ADD_TO_FIELD, adds);
            let expected = (livepatch && adds).then_some(ErrorKind::FlagsConflict);
            assert_eq!(refused(&builder, mine), expected, "{}", row.name);
        }
    }
}

#[test]
fn the_livepatch_flag_means_nothing_to_a_loader_without_livepatch_sections() {
    let (mut builder, data, rela) = simple();
    builder.at(rela).flags = ALLOC | LIVEPATCH;
    let note = builder.section(".note", NOTE, LIVEPATCH, vec![0; 24]);
    let file = builder.build();
    for row in WITHOUT_LIVEPATCH {
        let module = Module::parse(&file, row).unwrap();
        let class = module.class(rela).unwrap();
        assert_eq!(
            (class.class, class.reason),
            (Class::Ordinary { target: data }, Reason::Rela),
            "{}",
            row.name
        );
        assert_eq!(module.class(note).unwrap().class, Class::NotRelocation, "{}", row.name);
        let mut world = World::new(&builder, row, Names::default());
        let (_, mem, _) = world.load().unwrap();
        assert_eq!(mem.word(data, 8), 0x1234, "{}", row.name);
    }
    // With livepatch sections the name is wrong.
    for row in [Profile::ELF, Profile::LINUX_DEFAULT] {
        let class = Module::parse(&file, row).unwrap().class(rela).unwrap();
        assert_eq!(class.reason, Reason::Malformed(ErrorKind::BadKlpSectionName), "{}", row.name);
    }
}

#[test]
fn a_livepatch_symbol_lies_in_no_section_for_a_loader_without_livepatch_sections() {
    let (mut builder, ..) = simple();
    builder.symbol("b", GLOBAL, SHN_LIVEPATCH, 0);
    for row in WITHOUT_LIVEPATCH {
        let fault = World::new(&builder, row, Names::default()).early_fault();
        assert_eq!(fault, Some(ErrorKind::SymbolSection), "{}", row.name);
    }
    for row in [Profile::ELF, Profile::LINUX_DEFAULT] {
        assert_eq!(World::new(&builder, row, Names::default()).early_fault(), None, "{}", row.name);
    }
}

#[test]
fn an_early_pass_that_fails_changes_nothing_whatever_fields_may_hold() {
    // Two sections; the last relocation of the second one fails.
    let mut builder = Builder::new();
    let [first, second] = [builder.data(".first", 16), builder.data(".second", 16)];
    let symbol = builder.symbol("a", GLOBAL, ABS, 0x1234);
    builder.rela(first, &[(0, symbol, R_64, 0), (8, symbol, R_64, 0)]);
    builder.rela(second, &[(0, symbol, R_64, 0), (9, symbol, R_64, 0)]);
    for row in all() {
        let mut world = World::new(&builder, row, Names::default());
        let holds = row.flags.intersects(RelocFlags::ALLOW_NONZERO | RelocFlags::ADD_TO_FIELD);
        if holds {
            builder.at(first).bytes.fill(0x11);
            builder.at(second).bytes.fill(0x22);
            world = World::new(&builder, row, Names::default());
        }
        let filled = [builder.at(first).bytes.clone(), builder.at(second).bytes.clone()];
        assert_eq!(world.early_fault(), Some(ErrorKind::OffsetOutside), "{}", row.name);
        assert_eq!([world.mem.at(first), world.mem.at(second)], filled, "{}", row.name);
        builder.at(first).bytes.fill(0);
        builder.at(second).bytes.fill(0);
    }
}
