//! The targets of late relocations: what is wrong with one is noticed when its object comes, and not before.

use crate::world::{Mem, World};
use crate::world::{names, two_objects};
use relakit::ErrorKind::{
    self, AssignedSize, LateNotAllocated, NoRelocationBytes, NotAssigned, SectionMoved, TargetIsSymbolTable,
    TargetNotAllocated, TargetOutOfRange, TargetPerCpu,
};
use relakit::{Class, Error, FailsAt, Module, Profile};
use relakit_model::image::{
    ALLOC, Builder, GLOBAL, LIVEPATCH, NOBITS, NOTE, PROGBITS, R_64, REL, RELA, Sec, table,
};

const LINUX: Profile = Profile::LINUX_6_12;
const A: &[u8] = b"a";
const B: &[u8] = b"b";

fn newest() -> Profile {
    *Profile::LINUX.last().unwrap()
}

/// The sections of "a" are 3 and 5, those of "b" 4 and 6.
fn edited(edit: impl Fn(&mut Builder)) -> Builder {
    let mut builder = two_objects();
    edit(&mut builder);
    builder
}

/// Loads, has "b" and "vmlinux" relocations done, and answers what "a" meets when it comes.
fn coming_of_a(builder: &Builder, profile: Profile) -> Option<Error> {
    let mut world = World::new(builder, profile, names());
    let (mut late, mem, names) = world.load().expect("the load does not mind");
    late.coming(B, mem, names).expect("b does not mind");
    let before = mem.image();
    let error = late.coming(A, mem, names).err();
    if error.is_some() {
        assert_eq!(mem.image(), before);
        let mut listed = Vec::new();
        late.errors(A, mem, names, &mut |error| listed.push(error)).unwrap();
        assert_eq!(listed.first(), error.as_ref());
    }
    late.going(B, mem).unwrap();
    error
}

#[test]
fn a_malformed_target_fails_the_coming_of_its_object_only() {
    type Edit = fn(&mut Builder);
    let edits: &[(&str, Edit, ErrorKind)] = &[
        ("no target", |b| b.at(5).info = 0, TargetNotAllocated),
        ("beyond", |b| b.at(5).info = b.symtab_index() + 3, TargetOutOfRange),
        ("far beyond", |b| b.at(5).info = u32::MAX, TargetOutOfRange),
        ("symbols", |b| b.at(5).info = b.symtab_index(), TargetIsSymbolTable),
        ("strings", |b| b.at(5).info = b.symtab_index() + 1, TargetIsSymbolTable),
        ("section names", |b| b.at(5).info = b.symtab_index() + 2, TargetNotAllocated),
        ("itself not kept", |b| b.at(5).flags = LIVEPATCH, LateNotAllocated),
        ("no bytes", |b| b.at(5).kind = NOBITS, NoRelocationBytes),
        ("no type", |b| b.at(5).kind = 0, NoRelocationBytes),
        ("modinfo", |b| b.at(5).info = b.data(".modinfo", 32), TargetNotAllocated),
        ("versions", |b| b.at(5).info = b.data("__versions", 32), TargetNotAllocated),
    ];
    for (what, edit, kind) in edits {
        for profile in [LINUX, newest()] {
            let builder = edited(edit);
            let error = coming_of_a(&builder, profile).expect(what);
            assert_eq!((error.kind, error.section), (*kind, Some(5)), "{what}, {}", profile.name);
            let Sec { info, flags, bytes, .. } = &builder.sections[5];
            let target = usize::try_from(*info).ok().and_then(|info| builder.sections.get(info));
            let numbers = match kind {
                TargetOutOfRange => (u64::from(*info), u64::from(builder.symtab_index()) + 3),
                TargetNotAllocated => (u64::from(*info), target.map_or(0, |target| target.flags)),
                LateNotAllocated => (*flags, 0),
                NoRelocationBytes => (bytes.len() as u64, 0),
                _ => (u64::from(*info), 0),
            };
            assert_eq!((error.value, error.limit), numbers, "{what}");
            let file = builder.build();
            let module = Module::parse(&file, profile).unwrap();
            let class = module.class(5).unwrap().class;
            assert_eq!(class, Class::Malformed { kind: *kind, fails: FailsAt::Coming(A) }, "{what}");
            assert_eq!(module.malformed(5), Some(error), "{what}: known when it is classified");
        }
    }
    assert_eq!(coming_of_a(&edited(|_| {}), LINUX), None);
}

#[test]
fn the_per_cpu_section_cannot_be_relocated_late() {
    for (profile, kind) in
        [(LINUX, TargetNotAllocated), (Profile::LINUX_6_16, TargetPerCpu), (newest(), TargetPerCpu)]
    {
        let builder = edited(|b| b.at(5).info = b.data(".data..percpu", 32));
        let error = coming_of_a(&builder, profile).unwrap();
        assert_eq!((error.kind, error.section), (kind, Some(5)), "{}", profile.name);
    }
    let builder = edited(|b| b.at(5).info = b.data(".data..percpu", 32));
    assert_eq!(coming_of_a(&builder, Profile::ELF), None, "no section is special there");
}

#[test]
fn late_sections_are_read_as_rela_whatever_their_headers_say() {
    for kind in [PROGBITS, NOTE, RELA, REL, 3, u32::MAX] {
        let edit = |b: &mut Builder| {
            let entries = table(&[(0, 1, R_64, 2)]);
            let bytes = [entries.as_slice(), &[0xff; 23]].concat();
            *b.at(5) = Sec { kind, bytes, link: 77, entry_size: 1, align: 3, ..b.at(5).clone() };
        };
        let mut world = World::new(&edited(edit), LINUX, names());
        let (mut late, mem, names) = world.load().unwrap();
        assert_eq!(late.coming(A, mem, names), Ok(2), "{kind:#x}");
        assert_eq!(mem.word(2, 0), 0xffff_ffff_c100_0002);
    }
}

/// Number of sections, or the numbers of a fault.
type Answer = Result<usize, (ErrorKind, Option<u32>, u64, u64)>;

/// What "a" meets when it comes, and after that when it goes, to memory that has changed.
fn changed(edit: impl Fn(&mut Mem)) -> [Answer; 2] {
    let numbers = |error: Error| (error.kind, error.section, error.value, error.limit);
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let right = mem.clone();
    edit(mem);
    let before = mem.image();
    let coming = late.coming(A, mem, names);
    if coming.is_err() {
        assert_eq!(mem.image(), before);
        *mem = right.clone();
        late.coming(A, mem, names).unwrap();
    }
    let applied = mem.clone();
    edit(mem);
    let changed = mem.image();
    let going = late.going(A, mem);
    if going.is_err() {
        assert_eq!(mem.image(), changed);
        *mem = applied;
        late.going(A, mem).unwrap();
        assert_eq!(mem.image(), right.image());
    }
    [coming.map_err(numbers), going.map_err(numbers)]
}

#[test]
fn a_target_must_be_where_it_was_and_as_long_as_it_was() {
    let both = |error| [Err(error), Err(error)];
    let at = crate::world::address(2);
    assert_eq!(changed(|_| {}), [Ok(2), Ok(2)]);
    assert_eq!(changed(|mem| mem.spot(2).address += 1), both((SectionMoved, Some(2), at + 1, at)));
    assert_eq!(changed(|mem| mem.spot(2).bytes.truncate(31)), both((AssignedSize, Some(2), 31, 32)));
    assert_eq!(changed(|mem| mem.spot(2).bytes.resize(33, 0)), both((AssignedSize, Some(2), 33, 32)));
    assert_eq!(changed(|mem| mem.spots[2] = None), both((NotAssigned, Some(2), 32, 0)));
    assert_eq!(changed(|mem| mem.spot(2).base += 1), [Ok(2), Ok(2)], "symbols are resolved long ago");
}

#[test]
fn a_section_without_entries_needs_no_place() {
    let builder = edited(|b| (b.at(5).size, b.at(6).size) = (Some(23), Some(0)));
    let mut world = World::new(&builder, LINUX, names());
    world.mem.spots[2] = None;
    let (mut late, mem, names) = world.load().unwrap();
    assert_eq!(late.coming(A, mem, names), Ok(2));
    assert_eq!(late.coming(B, mem, names), Ok(2));
    assert_eq!([late.going(A, mem), late.going(B, mem)], [Ok(2), Ok(2)]);
}

#[test]
fn a_target_without_a_place_or_of_the_wrong_size_while_loading_fails_the_coming() {
    for (lent, fault) in
        [(None, NotAssigned), (Some(31), AssignedSize), (Some(33), AssignedSize), (Some(32), SectionMoved)]
    {
        let mut world = World::new(&two_objects(), LINUX, names());
        let right = world.mem.clone();
        match lent {
            None => world.mem.spots[2] = None,
            Some(lent) => {
                world.mem.spot(2).bytes.resize(lent, 0);
                world.mem.spot(2).address += u64::from(lent == 32);
            }
        }
        let module = Module::parse(&world.file, LINUX).unwrap();
        let loaded = module
            .assign(&mut world.mem)
            .unwrap()
            .assume_filled()
            .early(&mut world.values, &mut world.names)
            .unwrap();
        let mut kept = vec![0; loaded.retained_size()];
        let mut late = loaded.retain(&mut world.mem, &mut world.values, &mut kept).unwrap();
        // Being right later does not help: what is kept is what was seen.
        let mut mem = right;
        let error = late.coming(A, &mut mem, &mut world.names).unwrap_err();
        assert_eq!((error.kind, error.section), (fault, Some(2)), "{lent:?}");
        assert!(mem.spots.iter().flatten().all(|spot| spot.bytes.iter().all(|&byte| byte == 0)));
    }
}

#[test]
fn an_ordinary_section_does_not_see_what_is_resolved_late() {
    let mut builder = two_objects();
    builder.symbols[1].value = 0x77;
    builder.rela(2, &[(24, 1, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    assert_eq!(mem.word(2, 24), 0x77);
    late.coming(A, mem, names).unwrap();
    assert_eq!(mem.word(2, 24), 0x77);
}

#[test]
fn a_late_field_that_an_early_relocation_has_written_is_not_zero() {
    let mut builder = two_objects();
    let one = builder.symbol("one", GLOBAL, 0xfff1, 1);
    builder.rela(2, &[(4, one, R_64, 0)]);
    let mut world = World::new(&builder, LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let before = mem.image();
    let error = late.coming(A, mem, names).unwrap_err();
    assert_eq!((error.kind, error.section, error.limit), (ErrorKind::TargetNotZero, Some(5), 1 << 32));
    assert_eq!(mem.image(), before);
}

#[test]
fn a_late_name_of_56_bytes_is_that_of_the_object_of_55() {
    let (object, longer) = ("o".repeat(55), "o".repeat(56));
    for name in [&object, &longer] {
        let mut builder = Builder::new();
        let data = builder.data(".data", 8);
        let symbol = builder.klp_symbol(&format!(".klp.sym.{object}.f,0"));
        builder.klp(name, data, &[(0, symbol, R_64, 0)]);
        builder.at(2).flags |= ALLOC;
        let mut world = World::new(&builder, LINUX, crate::world::Names::new(&[(&object, "f", &[7])]));
        let (mut late, mem, names) = world.load().unwrap();
        assert_eq!(late.coming(longer.as_bytes(), mem, names), Ok(0));
        assert_eq!(late.coming(object.as_bytes(), mem, names), Ok(1));
        assert_eq!(mem.word(data, 0), 7);
    }
}
