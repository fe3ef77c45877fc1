//! Objects come and go: what is applied and cleared, and when (Linux semantics 10 and 15).

use crate::world::{Mem, Names, World, address, names, two_objects};
use relakit::ErrorKind::{
    self, AlreadyLive, BadKlpSectionName, KlpNotFound, NotAModule, NotLive, Overflow, RetainedTooShort,
    TargetMismatch, TargetNotZero, VmlinuxFromModule,
};
use relakit::{Error, MAX_OBJECTS, Module, Objects, Profile};
use relakit_model::image::{ABS, Builder, GLOBAL, R_32, R_64, table};

const LINUX: Profile = Profile::LINUX_6_12;
const A: &[u8] = b"a";
const B: &[u8] = b"b";

/// The words at which the sections of "a" and "b" write.
fn words(world: &crate::world::Mem) -> [u64; 6] {
    [(1, 0), (1, 8), (2, 0), (1, 16), (1, 24), (2, 8)].map(|(section, offset)| world.word(section, offset))
}

/// Those words when "a.f" and "b.g" have these values; 0 where the object is not there.
fn expected(a: Option<u64>, b: Option<(u64, u64)>) -> [u64; 6] {
    let pc32 = |f: u64| u64::from(u32::try_from(f.wrapping_sub(address(1) + 12) & 0xffff_ffff).unwrap());
    let [x, y, z] = a.map_or([0; 3], |f| [f + 1, pc32(f), f + 2]);
    let [u, v, w] = b.map_or([0; 3], |(g, f)| [g, f, g + 3]);
    [x, y, z, u, v, w]
}

fn kind<T>(answer: Result<T, Error>) -> ErrorKind {
    answer.map(|_| ()).unwrap_err().kind
}

#[test]
fn a_symbol_is_kept_once_for_each_section_that_uses_it() {
    let size = |entries: &[_]| {
        let mut builder = two_objects();
        builder.klp_symbol(".klp.sym.a.f,1");
        builder.at(3).bytes.extend(table(entries));
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let mut mem = Mem::of(&file, LINUX);
        let filled = module.assign(&mut mem).unwrap().assume_filled();
        filled.early(&mut [0; 4], &mut names()).unwrap().retained_size()
    };
    let [f, also_f] = [(16, 1, R_64, 0), (24, 3, R_64, 0)];
    let before = size(&[]);
    assert_eq!(size(&[f]), before + 24, "a relocation");
    assert_eq!(size(&[f, f]), before + 48);
    let symbol = 24 + 8 + "a".len() + "f".len();
    assert_eq!(size(&[also_f]), before + 24 + symbol, "a relocation, and another symbol with its names");
    assert_eq!(size(&[also_f, f, also_f]), before + 72 + symbol);
}

#[test]
fn an_object_is_applied_when_it_comes_cleared_when_it_goes_and_applied_again_elsewhere() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let loaded = mem.image();
    assert_eq!(words(mem), [0; 6], "the early pass leaves it alone");
    for f in [0xffff_ffff_c100_0000, 0xffff_ffff_c200_0000, 0xffff_ffff_c0f0_0000] {
        names.set("a", "f", &[f]);
        assert_eq!(late.coming(A, mem, names).unwrap(), 2);
        assert_eq!(words(mem), expected(Some(f), None));
        assert_eq!(late.going(A, mem).unwrap(), 2);
        assert_eq!(mem.image(), loaded);
    }
}

#[test]
fn two_objects_do_not_touch_each_other() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let (f, g) = (0xffff_ffff_c100_0000, 0x5000);
    late.coming(B, mem, names).unwrap();
    assert_eq!(words(mem), expected(None, Some((g, f))));
    late.coming(A, mem, names).unwrap();
    assert_eq!(words(mem), expected(Some(f), Some((g, f))));
    assert_eq!(late.objects().collect::<Vec<_>>(), [(A, true), (B, true), (A, true), (B, true)]);
    late.going(B, mem).unwrap();
    assert_eq!(words(mem), expected(Some(f), None));
    assert_eq!(late.objects().collect::<Vec<_>>(), [(A, true), (B, false), (A, true), (B, false)]);
    late.going(A, mem).unwrap();
    assert_eq!(words(mem), [0; 6]);
}

#[test]
fn a_symbol_that_two_objects_share_is_cleared_by_the_value_it_was_applied_with() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let (f, moved, g) = (0xffff_ffff_c100_0000, 0xffff_ffff_c300_0000, 0x5000);
    late.coming(A, mem, names).unwrap();
    late.coming(B, mem, names).unwrap();
    late.going(A, mem).unwrap();
    names.set("a", "f", &[moved]);
    late.coming(A, mem, names).unwrap();
    assert_eq!(words(mem), expected(Some(moved), Some((g, f))), "b keeps what it was given");
    late.going(B, mem).unwrap();
    assert_eq!(words(mem), expected(Some(moved), None));
    late.coming(B, mem, names).unwrap();
    assert_eq!(words(mem), expected(Some(moved), Some((g, moved))));
    late.going(A, mem).unwrap();
    late.going(B, mem).unwrap();
    assert_eq!(words(mem), [0; 6]);
}

#[test]
fn an_object_comes_once_and_goes_once() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    assert_eq!(kind(late.going(A, mem)), NotLive);
    late.coming(A, mem, names).unwrap();
    let image = mem.image();
    assert_eq!(kind(late.coming(A, mem, names)), AlreadyLive);
    assert_eq!(kind(late.errors(A, mem, names, &mut |_| {})), AlreadyLive);
    assert_eq!(kind(late.going(B, mem)), NotLive);
    assert_eq!(mem.image(), image);
    late.going(A, mem).unwrap();
    assert_eq!(kind(late.going(A, mem)), NotLive);
    assert_eq!(words(mem), [0; 6]);
}

#[test]
fn a_name_without_sections_may_come_and_go_and_vmlinux_may_not() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let (image, syncs) = (mem.image(), mem.syncs);
    for name in ["aa", "A", "Vmlinux", "a.", "vmlinux2"].map(str::as_bytes) {
        assert_eq!(late.coming(name, mem, names), Ok(0));
        assert_eq!(late.coming(name, mem, names), Ok(0));
        assert_eq!(late.going(name, mem), Ok(0));
    }
    for name in ["", "vmlinux"].map(str::as_bytes) {
        for answer in [late.coming(name, mem, names), late.going(name, mem)] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind, error.value), (NotAModule, name.len() as u64));
        }
        assert_eq!(kind(late.errors(name, mem, names, &mut |_| {})), NotAModule);
    }
    assert_eq!((mem.image(), mem.syncs), (image, syncs));
}

#[test]
fn what_is_kept_outlives_the_file_the_module_and_the_values() {
    let builder = two_objects();
    let mut mem = World::new(&builder, LINUX, names()).mem;
    let mut kept = Vec::new();
    let mut late = {
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let mut values = vec![0; builder.symbols.len()];
        let loaded =
            module.assign(&mut mem).unwrap().assume_filled().early(&mut values, &mut names()).unwrap();
        kept.resize(loaded.retained_size(), 0);
        loaded.retain(&mut mem, &mut values, &mut kept).unwrap()
    };
    assert_eq!(late.coming(A, &mut mem, &mut names()), Ok(2));
    assert_eq!(words(&mem)[0], 0xffff_ffff_c100_0001);
}

#[test]
fn the_kept_buffer_is_long_enough_or_is_refused() {
    for (builder, least) in [(two_objects(), 1), (Builder::new(), 0)] {
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        let mut values = vec![0; builder.symbols.len()];
        let mut mem = World::new(&builder, LINUX, names()).mem;
        let loaded =
            module.assign(&mut mem).unwrap().assume_filled().early(&mut values, &mut names()).unwrap();
        let size = loaded.retained_size();
        assert!(size >= least && (least > 0 || size == 0), "nothing to keep, no memory needed");
        for lent in 0..size {
            let error = loaded.retain(&mut mem, &mut values, &mut vec![0xff; lent]).map(|_| ()).unwrap_err();
            assert_eq!((error.kind, error.value, error.limit), (RetainedTooShort, lent as u64, size as u64));
        }
        for lent in [size, size + 1, size + 100] {
            let mut kept = vec![0xff; lent];
            let late = loaded.retain(&mut mem, &mut values, &mut kept).unwrap();
            assert_eq!(late.objects().count(), 4 * least);
            assert!(kept[size..].iter().all(|&byte| byte == 0xff), "no more than it asked for");
        }
    }
}

#[test]
fn a_section_that_fails_undoes_those_before_it_and_the_object_can_come_later() {
    let mut builder = two_objects();
    let g = builder.klp_symbol(".klp.sym.a.later,2");
    builder.klp("a", 2, &[(16, 1, R_64, 0), (24, g, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    late.coming(B, mem, names).unwrap();
    let before = mem.image();
    for (values, fault) in [(&[][..], KlpNotFound), (&[1], ErrorKind::KlpSympos), (&[1, 0], KlpNotFound)] {
        names.set("a", "later", values);
        let error = late.coming(A, mem, names).unwrap_err();
        assert_eq!(
            (error.kind, error.section, error.entry, error.symbol),
            (fault, Some(7), Some(1), Some(g))
        );
        assert_eq!(mem.image(), before);
        assert_eq!(kind(late.going(A, mem)), NotLive);
    }
    names.set("a", "later", &[1, 0x99]);
    assert_eq!(late.coming(A, mem, names), Ok(3));
    assert_eq!((mem.word(2, 16), mem.word(2, 24)), (0xffff_ffff_c100_0000, 0x99));
    late.going(A, mem).unwrap();
    assert_eq!(mem.image(), before);
}

#[test]
fn one_changed_byte_in_a_field_keeps_the_object_from_going_and_nothing_is_cleared() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    late.coming(A, mem, names).unwrap();
    for (section, field) in [(1, 0..8), (1, 8..12), (2, 0..8)] {
        for offset in field {
            mem.spot(section).bytes[offset] ^= 0x40;
            let changed = mem.image();
            let error = late.going(A, mem).unwrap_err();
            assert_eq!(error.kind, TargetMismatch, "section {section} offset {offset}");
            assert_eq!(
                error.section,
                Some(if section == 1 { 3 } else { 5 }),
                "the section that holds the relocation"
            );
            assert_eq!(error.symbol, Some(1));
            assert_eq!(mem.image(), changed);
            mem.spot(section).bytes[offset] ^= 0x40;
        }
    }
    for offset in [12, 31] {
        mem.spot(1).bytes[offset] = 0xee;
    }
    assert_eq!(late.going(A, mem), Ok(2), "bytes beside the fields do not matter");
    assert_eq!((mem.at(1)[12], mem.at(1)[31], mem.word(1, 0), mem.word(2, 0)), (0xee, 0xee, 0, 0));
}

#[test]
fn the_last_section_is_cleared_first_so_that_fields_which_overlap_in_zeros_come_out_as_they_were() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 16);
    let f = builder.klp_symbol(".klp.sym.a.f,0");
    // The upper half of the first field is zero, and the second field begins there.
    builder.klp("a", data, &[(0, f, R_64, 0)]);
    builder.klp("a", data, &[(4, f, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, Names::new(&[("a", "f", &[0x5000])]));
    let (mut late, mem, names) = world.load().unwrap();
    let loaded = mem.image();
    assert_eq!(late.coming(A, mem, names), Ok(2));
    assert_eq!((mem.word(data, 0), mem.word(data, 4)), (0x5000_0000_5000, 0x5000));
    assert_eq!(late.going(A, mem), Ok(2));
    assert_eq!(mem.image(), loaded);
}

#[test]
fn a_name_of_any_length_in_the_grammar_is_asked_for_in_full_when_the_object_comes() {
    for length in 1..=511 {
        let name = "s".repeat(length);
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        let symbol = builder.klp_symbol(&format!(".klp.sym.a.{name},0"));
        builder.klp("a", data, &[(0, symbol, R_64, 0)]);
        let mut world = World::new(&builder, LINUX, Names::new(&[("a", &name, &[0x5000])]));
        let (mut late, mem, names) = world.load().unwrap();
        assert_eq!(late.coming(A, mem, names), Ok(1), "{length} bytes");
        assert_eq!(mem.word(data, 0), 0x5000, "{length} bytes");
    }
}

#[test]
fn before_6_3_nothing_is_cleared_and_the_second_coming_finds_the_first_ones_bytes() {
    for profile in Profile::LINUX {
        let mut world = World::new(&two_objects(), *profile, names());
        let (mut late, mem, names) = world.load().unwrap();
        late.coming(A, mem, names).unwrap();
        let (applied, syncs) = (mem.image(), mem.syncs);
        late.going(A, mem).unwrap();
        let again = late.coming(A, mem, names).map_err(|error| (error.kind, error.section, error.entry));
        assert_eq!(mem.image(), applied, "{}", profile.name);
        match profile.since >= (6, 3) {
            true => assert_eq!(again, Ok(2), "{}", profile.name),
            false => {
                assert_eq!(again, Err((TargetNotZero, Some(3), Some(0))), "{}", profile.name);
                assert!(mem.syncs - syncs <= 1, "nothing was written");
                assert_eq!(kind(late.going(A, mem)), NotLive);
            }
        }
    }
}

#[test]
fn faults_of_a_late_section_come_in_linuxs_order() {
    let mut builder = Builder::new();
    let data = builder.data(".data", 32);
    let good = builder.klp_symbol(".klp.sym.a.f,0");
    let other = builder.klp_symbol(".klp.sym.b.g,0");
    let vmlinux = builder.klp_symbol(".klp.sym.vmlinux.none,0");
    let bad = builder.klp_symbol(".klp.sym.vmlinux.,0");
    let none = builder.klp_symbol(".klp.sym.a.none,0");
    let plain = builder.symbol(".klp.sym.vmlinux.none,0", GLOBAL, ABS, 1);
    let section = builder.klp("a", data, &[]);
    for (entries, fault, entry) in [
        (vec![(0, good, R_64, 0), (8, other, R_64, 0)], None, 0),
        (vec![(0, good, R_64, 0), (8, 99, R_64, 0), (8, plain, R_64, 0)], Some(ErrorKind::SymbolIndex), 1),
        (vec![(0, plain, R_64, 0), (8, 99, R_64, 0)], Some(ErrorKind::NotKlpSymbol), 0),
        (vec![(0, 0, 0, 0)], Some(ErrorKind::NotKlpSymbol), 0),
        (vec![(0, bad, R_64, 0), (8, vmlinux, R_64, 0)], Some(ErrorKind::BadKlpSymbolName), 0),
        (vec![(0, vmlinux, R_64, 0), (8, none, R_64, 0)], Some(VmlinuxFromModule), 0),
        (vec![(0, none, R_64, 0), (8, vmlinux, R_64, 0)], Some(KlpNotFound), 0),
        (
            vec![(0, other, 99, 0), (8, good, R_32, 0), (99, good, R_64, 0), (8, none, 0, 0)],
            Some(KlpNotFound),
            3,
        ),
        (vec![(0, good, R_64, 0), (8, good, R_32, 0), (8, good, 99, 0)], Some(Overflow), 1),
        (vec![(0, good, R_64, 0), (4, good, R_32, 0)], Some(Overflow), 1),
        (vec![(0, good, R_64, 0), (4, good, R_64, 0), (8, good, R_32, 0)], Some(TargetNotZero), 1),
        (vec![(0, good, R_64, 0), (25, other, R_64, 0)], Some(ErrorKind::OffsetOutside), 1),
        (vec![(8, good, R_64, 0), (8, good, 0, 0), (0, good, 5, 0)], Some(ErrorKind::UnknownType), 2),
    ] {
        builder.at(section).bytes = table(&entries);
        let mut world = World::new(&builder, LINUX, names());
        let (mut late, mem, names) = world.load().unwrap();
        let error = late.coming(A, mem, names).err();
        assert_eq!(error.map(|error| error.kind), fault, "{entries:?}");
        let Some(error) = error else { continue };
        let (offset, symbol, r_type, _) = entries[entry];
        let place = (error.section, error.entry, error.symbol, error.r_type, error.offset);
        assert_eq!(
            place,
            (Some(section), Some(entry as u64), Some(symbol), Some(r_type), offset),
            "{entries:?}"
        );
        assert_eq!(mem.at(data), [0; 32], "{entries:?}");
        if error.kind == VmlinuxFromModule {
            assert_eq!(names.asked, [""; 0], "nobody is asked");
        }
    }
}

#[test]
fn a_bad_name_behind_a_good_section_undoes_it() {
    let mut builder = two_objects();
    let bad = builder.klp("", 1, &[]);
    builder.at(bad).info = 0;
    let mut world = World::new(&builder, LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    for object in [A, B] {
        let error = late.coming(object, mem, names).unwrap_err();
        assert_eq!((error.kind, error.section), (BadKlpSectionName, Some(bad)));
        assert_eq!(words(mem), [0; 6]);
    }
}

#[test]
fn objects_are_listed_once_each_and_no_more_than_the_limit() {
    for (count, fits) in [(0, true), (1, true), (MAX_OBJECTS, true), (MAX_OBJECTS + 1, false)] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        builder.klp("vmlinux", data, &[]);
        for round in 0..2 {
            for object in 0..count {
                let section = builder.klp(&format!("m{object}"), data, &[]);
                // A malformed one counts as well.
                builder.at(section).info = if round == 0 { 0 } else { data };
            }
        }
        let file = builder.build();
        let module = Module::parse(&file, LINUX).unwrap();
        match Objects::of(&module) {
            Ok(objects) => {
                let names: Vec<_> = (0..count).map(|object| format!("m{object}").into_bytes()).collect();
                assert!(fits && objects.names() == names, "{count}");
            }
            Err(error) => {
                let first_too_many = 3 + u32::try_from(MAX_OBJECTS).unwrap();
                assert_eq!((error.kind, error.limit), (ErrorKind::TooManyObjects, MAX_OBJECTS as u64));
                assert!(!fits && error.section == Some(first_too_many), "{count}");
            }
        }
    }
}
