//! What Linux leaves behind where it is not all or nothing, and what else its loader refuses (Linux semantics 10, 15).

#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

#[path = "../../core/tests/module/world.rs"]
#[expect(dead_code, reason = "tests of whole modules need more of it")]
mod world;

use crate::world::{Mem, Names, World, names, two_objects};
use relakit::ErrorKind::{
    self, BadKlpSectionName, KlpNotFound, OffsetOutside, Overflow, TargetMismatch, TargetNotZero,
};
use relakit::{Error, Module, Profile};
use relakit_linux::late::{LinuxComing, LinuxLate, Outcome};
use relakit_linux::loader_check::LoaderCheck;
use relakit_linux::{late, loader_check};
use relakit_model::image::{ALLOC, Builder, GLOBAL, NOBITS, PROGBITS, R_32, R_64, R_NONE, Sec, UNDEF, WRITE};

const LINUX: Profile = Profile::LINUX_6_12;

/// Does the early pass, and then what `run` does as Linux would.
fn after_load<T>(
    builder: &Builder,
    profile: Profile,
    names: Names,
    run: impl FnOnce(&mut LinuxLate<'_, '_>, &mut Mem, &mut Names) -> T,
) -> T {
    let mut world = World::new(builder, profile, names);
    world.early().unwrap();
    let file = world.file.clone();
    let module = Module::parse(&file, profile).unwrap();
    run(&mut LinuxLate::new(&module, &mut world.values), &mut world.mem, &mut world.names)
}

fn kind(coming: LinuxComing) -> Option<ErrorKind> {
    coming.error.map(|error| error.kind)
}

/// Two relocations for "a", the second with a value that does not fit; a third that has no field.
fn second_overflows() -> Builder {
    let mut builder = Builder::new();
    let data = builder.data(".data", 32);
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    builder.klp("a", data, &[(0, f, R_64, 1), (8, f, R_NONE, 0), (16, f, R_32, 2)]);
    builder
}

#[test]
fn what_goes_well_is_what_late_does() {
    let mut ours = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, resolver) = ours.load().unwrap();
    let mut images = vec![mem.image()];
    late.coming(b"a", mem, resolver).unwrap();
    images.push(mem.image());
    late.going(b"a", mem).unwrap();
    images.push(mem.image());
    after_load(&two_objects(), LINUX, names(), |late, mem, names| {
        let mut linux = vec![mem.image()];
        let LinuxComing { error, written, .. } = late.coming(b"a", mem, names);
        assert_eq!((error, written), (None, 3));
        linux.push(mem.image());
        late.going(b"a", mem, &mut |error| panic!("{error}"));
        linux.push(mem.image());
        assert_eq!(linux, images);
        let LinuxComing { error, written, .. } = late.coming(b"nobody", mem, names);
        assert_eq!((error, written), (None, 0));
    });
}

#[test]
fn what_was_written_before_a_fault_stays_and_the_next_coming_finds_it() {
    after_load(&second_overflows(), LINUX, names(), |late, mem, names| {
        let first = late.coming(b"a", mem, names);
        let fault = first.error.unwrap();
        assert_eq!((fault.kind, fault.section, fault.entry, first.written), (Overflow, Some(2), Some(2), 1));
        assert_eq!([mem.word(1, 0), mem.word(1, 8), mem.word(1, 16)], [0xffff_ffff_c100_0001, 0, 0]);
        let second = late.coming(b"a", mem, names);
        assert_eq!(
            (kind(second), second.error.unwrap().entry, second.written),
            (Some(TargetNotZero), Some(0), 0)
        );
    });
}

#[test]
fn before_6_3_the_low_half_of_what_does_not_fit_is_written_and_nothing_is_cleared() {
    after_load(&second_overflows(), Profile::LINUX_6_1, names(), |late, mem, names| {
        let coming = late.coming(b"a", mem, names);
        assert_eq!((kind(coming), coming.written), (Some(Overflow), 2));
        assert_eq!([mem.word(1, 0), mem.word(1, 16)], [0xffff_ffff_c100_0001, 0xc100_0002]);
        let written = mem.image();
        late.going(b"a", mem, &mut |error| panic!("{error}"));
        assert_eq!(mem.image(), written);
    });
}

#[test]
fn sections_before_the_one_at_fault_stay_written() {
    let mut builder = two_objects();
    let unknown = builder.klp_symbol(".klp.sym.a.unknown,0");
    let third = builder.data(".third", 8);
    builder.klp("a", third, &[(0, unknown, R_64, 0)]);
    after_load(&builder, LINUX, names(), |late, mem, names| {
        let coming = late.coming(b"a", mem, names);
        assert_eq!((kind(coming), coming.written), (Some(KlpNotFound), 3));
        assert_ne!(mem.word(1, 0), 0);
    });
}

#[test]
fn a_symbol_that_two_objects_share_goes_stale_and_clearing_stops_there() {
    after_load(&two_objects(), LINUX, names(), |late, mem, names| {
        assert_eq!(late.coming(b"a", mem, names).error, None);
        // "b" uses a.f too, and finds it elsewhere.
        names.set("a", "f", &[0xffff_ffff_c200_0000]);
        assert_eq!(late.coming(b"b", mem, names).error, None);
        let mut stopped = Vec::new();
        late.going(b"a", mem, &mut |error| stopped.push((error.kind, error.section, error.entry)));
        assert_eq!(stopped, [(TargetMismatch, Some(3), Some(0)), (TargetMismatch, Some(5), Some(0))]);
        assert_ne!(mem.word(1, 0), 0, "what was not cleared is still there");
        let mut stopped = Vec::new();
        late.going(b"b", mem, &mut |error| stopped.push(error));
        assert_eq!(stopped, []);
    });
}

#[test]
fn every_fault_of_a_coming_is_told_and_nothing_is_written() {
    let mut builder = two_objects();
    let unknown = builder.klp_symbol(".klp.sym.a.unknown,0");
    let [third, fourth] = [builder.data(".third", 8), builder.data(".fourth", 8)];
    builder.klp("a", third, &[(0, unknown, R_64, 0), (0, unknown, R_64, 0), (0, 0, R_64, 0)]);
    let bad = builder.klp("a", fourth, &[(1, 1, R_64, 0), (0, 1, R_32, 0)]);
    after_load(&builder, LINUX, names(), |late, mem, names| {
        let before = mem.image();
        let mut errors = Vec::new();
        let mut report = |error: Error| errors.push((error.kind, error.section, error.entry));
        late.errors(b"a", mem, names, &mut report);
        assert_eq!(mem.image(), before);
        let third = Some(bad - 1);
        assert_eq!(
            errors,
            [
                (KlpNotFound, third, Some(0)),
                (ErrorKind::NotKlpSymbol, third, Some(2)),
                (OffsetOutside, Some(bad), Some(0)),
                (Overflow, Some(bad), Some(1)),
            ]
        );
    });
}

#[test]
fn a_malformed_name_stops_every_object_that_comes() {
    let mut builder = two_objects();
    let bad = builder.klp("x", 0, &[]);
    builder.at(bad).name = b".klp.rela.".to_vec();
    after_load(&builder, LINUX, names(), |late, mem, names| {
        assert_eq!(kind(late.coming(b"nobody", mem, names)), Some(BadKlpSectionName));
    });
}

#[test]
fn what_linux_does_not_look_at_is_unsafe_and_the_rest_is_refused_with_its_number() {
    let refused = |kind, profile| late::outcome(kind, &profile);
    assert_eq!(refused(OffsetOutside, LINUX), Outcome::Unsafe);
    assert_eq!(refused(ErrorKind::SymbolIndex, LINUX), Outcome::Unsafe);
    assert_eq!(refused(Overflow, LINUX), Outcome::Refused(8));
    assert_eq!(refused(KlpNotFound, LINUX), Outcome::Refused(22));
    for kind in [ErrorKind::BadSectionName, ErrorKind::BadSymbolName] {
        assert_eq!(refused(kind, LINUX), Outcome::Unsafe);
        assert_eq!(refused(kind, Profile::LINUX_6_13), Outcome::Refused(8), "since then it looks");
    }
}

/// A module that breaks no rule of the loader.
fn module() -> Builder {
    let mut builder = Builder::new();
    let mut name = vec![0; 24];
    name.extend_from_slice(b"its_name\0");
    name.resize(256, 0);
    let this_module = builder.section(".gnu.linkonce.this_module", PROGBITS, ALLOC | WRITE, name);
    let symbol = builder.symbol("__this_module", GLOBAL, u16::try_from(this_module).unwrap(), 0);
    builder.symbols[usize::try_from(symbol).unwrap()].size = 256;
    builder.section(".modinfo", PROGBITS, ALLOC, b"license=GPL\0livepatch=Y\0name=other\0".to_vec());
    builder
}

fn broken(builder: &Builder, profile: Profile) -> Vec<LoaderCheck> {
    let file = builder.build();
    let module = Module::parse(&file, profile).unwrap();
    let mut broken = Vec::new();
    let mut sorted: Vec<u32> = module.object().sections().map(|(index, _)| index).collect();
    sorted.sort_by_key(|index| module.object().section(*index).map(|s| module.object().section_name(&s)));
    loader_check::loader(&module, &mut |fault| broken.push(fault.check));
    loader_check::same_names(&module, &sorted, &mut |fault| broken.push(fault.check));
    broken
}

type Edit = fn(&mut Builder);

#[test]
fn each_rule_of_the_loader_is_broken_by_itself_and_only_where_a_kernel_has_it() {
    use LoaderCheck as Lint;
    let edits: &[(Edit, Lint, Profile)] = &[
        (|b| _ = b.section(".modinfo", PROGBITS, 0, vec![]), Lint::ManyModinfo, LINUX),
        (|b| b.at(1).name = b".this_module".to_vec(), Lint::NoThisModule, Profile::LINUX_5_8),
        (|b| _ = b.section(".gnu.linkonce.this_module", PROGBITS, 0, vec![]), Lint::ManyThisModule, LINUX),
        (
            |b| *b.at(1) = Sec { kind: NOBITS, size: Some(256), ..b.at(1).clone() },
            Lint::ThisModuleNobits,
            LINUX,
        ),
        (|b| b.at(1).flags = WRITE, Lint::ThisModuleNotAllocated, LINUX),
        (|b| b.at(1).bytes.push(0), Lint::ThisModuleSize, LINUX),
        (
            |b| _ = b.section("__version_ext_crcs", PROGBITS, ALLOC, vec![0; 8]),
            Lint::VersionsApart,
            Profile::LINUX_6_14,
        ),
        (
            |b| _ = b.section("__ksymtab", PROGBITS, ALLOC, vec![0; 12]),
            Lint::NoExportFlags,
            Profile::LINUX_7_2,
        ),
        (
            |b| _ = b.section(".wx", PROGBITS, ALLOC | WRITE | 4, vec![]),
            Lint::WriteAndExecute,
            Profile::LINUX_5_8,
        ),
        (
            |b| [(), ()].iter().for_each(|()| _ = b.section(".same", PROGBITS, ALLOC, vec![0])),
            Lint::SameName,
            LINUX,
        ),
        (
            |b| {
                b.symbol("klp_enable_patch", GLOBAL, UNDEF, 0);
                b.at(2).bytes = b"livepatc=Y\0".to_vec();
            },
            Lint::NotMarkedLivepatch,
            Profile::LINUX_5_8,
        ),
    ];
    for (edit, rule, since) in edits {
        let mut builder = module();
        edit(&mut builder);
        for profile in Profile::LINUX {
            let expected: &[Lint] = if profile.since >= since.since { &[*rule] } else { &[] };
            assert_eq!(broken(&builder, *profile), expected, "{}", profile.name);
        }
        assert!(rule.errno() > 0 && !rule.message().is_empty());
    }
}

#[test]
fn what_comes_close_to_a_rule_breaks_none() {
    let newest = *Profile::LINUX.last().unwrap();
    let edits: &[Edit] = &[
        |_| {},
        |b| b.symbols[1].size = 0,
        |b| _ = b.section(".wx", PROGBITS, ALLOC | WRITE, vec![0]),
        |b| _ = b.section(".wx", PROGBITS, ALLOC | 4, vec![0]),
        |b| {
            b.section("__version_ext_crcs", PROGBITS, ALLOC, vec![0; 8]);
            b.section("__version_ext_names", PROGBITS, ALLOC, b"f\0g\0".to_vec());
        },
        |b| {
            b.section("__ksymtab", PROGBITS, ALLOC, vec![0; 12]);
            b.section("__kflagstab", PROGBITS, ALLOC, vec![0]);
        },
        // Only sections in memory that are not empty appear.
        |b| [1, 0].iter().for_each(|&n| _ = b.section(".same", PROGBITS, ALLOC, vec![0; n])),
        |b| [ALLOC, 0].iter().for_each(|&flags| _ = b.section(".same", PROGBITS, flags, vec![0])),
        |b| _ = b.symbol("klp_enable_patch", GLOBAL, UNDEF, 0),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut builder = module();
        edit(&mut builder);
        assert_eq!(broken(&builder, newest), [], "edit {number}");
    }
}

#[test]
fn a_module_has_the_name_in_its_struct_module_and_modinfo_is_read_by_key() {
    let file = module().build();
    let module = Module::parse(&file, LINUX).unwrap();
    assert_eq!(loader_check::module_name(&module), Some(&b"its_name"[..]));
    assert_eq!(loader_check::modinfo(&module, b"name"), Some(&b"other"[..]));
    assert_eq!(loader_check::modinfo(&module, b"livepatch"), Some(&b"Y"[..]));
    assert_eq!(loader_check::modinfo(&module, b"nam"), None);
}
