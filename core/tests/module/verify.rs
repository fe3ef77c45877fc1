//! Memory that holds what was loaded has no difference, and every change of it is one.

use crate::world::{Mem, Names, address};
use proptest::prelude::*;
use relakit::reloc::{RelocFlags, Values};
use relakit::verify::{self, Comparison, Difference, Reader, Verified};
use relakit::{CallbackError, Error, ErrorKind, Group, Memory, Module, Profile, Target};
use relakit_model::image::{ALLOC, Builder, GLOBAL, R_32S, R_64, R_PC32, WRITE, table};

const LINUX: Profile = Profile::LINUX_6_12;
const PROGBITS: u32 = 1;
const EXEC: u64 = 4;

/// The memory of a module that runs. It holds the reader to its promises.
struct Running(Mem);

impl Reader for Running {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let size = bytes.len() as u64;
        assert!(size != 0 && at / 256 == (at + (size - 1)) / 256, "{size} bytes at {at:#x}");
        let of = |spot: &&crate::world::Spot| {
            at >= spot.address && at + (size - 1) <= spot.address + (spot.bytes.len() as u64 - 1)
        };
        let spots = self.0.spots.iter().flatten().filter(|spot| !spot.bytes.is_empty());
        let spot = spots.clone().find(of).expect("the bytes lie in one section");
        let start = usize::try_from(at - spot.address).unwrap();
        bytes.copy_from_slice(&spot.bytes[start..][..bytes.len()]);
        Ok(())
    }
}

struct Broken;

impl Reader for Broken {
    fn read(&mut self, _: u64, _: &mut [u8]) -> Result<(), CallbackError> {
        Err(CallbackError(-14))
    }
}

/// Code, constants and data, with relocations of all three.
fn builder() -> Builder {
    let mut builder = Builder::new();
    let code =
        (0..600u32).map(|at| if (40..44).contains(&at) || (596..600).contains(&at) { 0 } else { 0x90 });
    let text = builder.section(".text", PROGBITS, ALLOC | EXEC, code.collect());
    let rodata = builder.section(".rodata", PROGBITS, ALLOC, vec![0; 64]);
    let data = builder.section(".data", PROGBITS, ALLOC | WRITE, vec![0; 16]);
    let f = builder.symbol("f", GLOBAL, 0, 0);
    let late = builder.klp_symbol(".klp.sym.a.f,0");
    builder.rela(text, &[(596, f, R_PC32, -4), (40, f, R_PC32, -4)]);
    builder.rela(rodata, &[(8, f, R_64, 3), (16, f, R_32S, 0)]);
    builder.rela(data, &[(0, f, R_64, 0)]);
    builder.klp("a", rodata, &[(32, late, R_64, 1)]);
    builder
}

fn names() -> Names {
    Names::new(&[("", "f", &[0xffff_ffff_8100_0000]), ("a", "f", &[0xffff_ffff_c0f0_0000])])
}

/// The expected memory, without late relocations.
fn loaded(file: &[u8]) -> Mem {
    let mut mem = Mem::of(file, LINUX);
    let module = Module::parse(file, LINUX).unwrap();
    module.assign(&mut mem).unwrap().fill().unwrap().early(&mut [0; 16], &mut names()).unwrap();
    mem
}

fn verify(
    file: &[u8],
    running: &Mem,
    prepare: impl FnOnce(&mut Mem),
) -> Result<(Verified, Vec<Difference>), Error> {
    let module = Module::parse(file, LINUX).unwrap();
    let mut mem = Mem::of(file, LINUX);
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut [0; 16], &mut names()).unwrap();
    prepare(&mut mem);
    let mut differences = Vec::new();
    let running = &mut Running(running.clone());
    let verified = loaded.verify(&mut mem, running, &mut |difference| differences.push(*difference))?;
    assert_eq!(verified.differences, differences.len() as u64);
    Ok((verified, differences))
}

#[test]
fn memory_that_holds_what_was_loaded_has_no_difference() {
    let file = builder().build();
    let (verified, differences) = verify(&file, &loaded(&file), |_| {}).unwrap();
    assert_eq!(differences, []);
    // Text, constants and the late relocations, which are in memory too. The data may change.
    assert_eq!((verified.bytes, verified.not_judged), (600 + 64 + 24, 16));
}

#[test]
fn every_changed_byte_of_code_and_constants_is_one_difference_and_names_its_relocation() {
    let file = builder().build();
    let original = loaded(&file);
    for (section, size) in [(1, 600), (2, 64), (3, 16)] {
        for at in 0..size {
            let mut running = original.clone();
            running.spot(section).bytes[at] ^= 0x40;
            let differences = verify(&file, &running, |_| {}).unwrap().1;
            if section == 3 {
                assert_eq!(differences, [], "data");
                continue;
            }
            let [difference] = differences[..] else { panic!("{section} {at}: {differences:?}") };
            let field = match (section, at) {
                (1, 596..600) => Some((596, 0)),
                (1, 40..44) => Some((40, 1)),
                (2, 8..16) => Some((8, 0)),
                (2, 16..20) => Some((16, 1)),
                (2, 32..40) => Some((32, 0)),
                _ => None,
            };
            let found = difference.relocation.map(|relocation| (difference.offset, relocation.entry));
            assert_eq!(found, field, "{section} {at}");
            assert_eq!(difference.section, section);
            assert_eq!(difference.address, address(section) + difference.offset);
            assert!((difference.offset..difference.offset + difference.size).contains(&(at as u64)));
        }
    }
}

#[test]
fn a_redirected_call_says_where_it_leads() {
    let file = builder().build();
    let mut running = loaded(&file);
    let elsewhere = address(1) + 100;
    let field = elsewhere.wrapping_sub(address(1) + 44).to_le_bytes();
    running.spot(1).bytes[40..44].copy_from_slice(&field[..4]);
    running.spot(2).bytes[8..16].copy_from_slice(&0x1234_5678u64.to_le_bytes());
    let differences = verify(&file, &running, |_| {}).unwrap().1;
    let leads = |difference: &Difference| {
        difference.relocation.map(|relocation| (relocation.section, relocation.expected, relocation.leads_to))
    };
    let f = 0xffff_ffff_8100_0000;
    let leads: Vec<_> = differences.iter().map(leads).collect();
    let tables: Vec<_> =
        differences.iter().map(|difference| difference.relocation.unwrap().section).collect();
    assert_eq!(leads, [Some((tables[0], f, elsewhere)), Some((tables[1], f, 0x1234_5675))]);
}

#[test]
fn ranges_are_one_if_fewer_than_eight_bytes_lie_between_them() {
    let file = builder().build();
    for (gap, ranges) in [(1, vec![(100, 3)]), (7, vec![(100, 9)]), (8, vec![(100, 1), (109, 1)])] {
        let mut running = loaded(&file);
        running.spot(1).bytes[100] ^= 1;
        running.spot(1).bytes[100 + gap + 1] ^= 1;
        let differences = verify(&file, &running, |_| {}).unwrap().1;
        let found: Vec<_> =
            differences.iter().map(|difference| (difference.offset, difference.size)).collect();
        assert_eq!(found, ranges, "{gap}");
        let first = differences[0].expected.as_slice();
        assert_eq!(first, &vec![0x90; usize::try_from(ranges[0].1).unwrap()][..]);
    }
}

#[test]
fn a_long_range_shows_its_first_bytes() {
    let file = builder().build();
    let mut running = loaded(&file);
    running.spot(1).bytes[200..500].fill(0xcc);
    let [difference] = verify(&file, &running, |_| {}).unwrap().1[..] else { panic!() };
    assert_eq!((difference.offset, difference.size), (200, 300));
    assert_eq!(difference.found.as_slice(), [0xcc; 16]);
}

#[test]
fn late_relocations_are_found_out_and_compared_when_they_are_applied() {
    let file = builder().build();
    let module = Module::parse(&file, LINUX).unwrap();
    let mut mem = Mem::of(&file, LINUX);
    let mut values = [0; 16];
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut values, &mut names()).unwrap();
    let without = Running(mem.clone());
    let mut with = Running(mem.clone());
    let mut kept = vec![0; loaded.retained_size()];
    loaded.retain(&mut mem, &mut values, &mut kept).unwrap().coming(b"a", &mut with.0, &mut names()).unwrap();
    for (mut running, is_applied) in [(without, false), (with, true)] {
        assert_eq!(loaded.is_applied(b"a", &mut mem, &mut running), Ok(is_applied));
        assert_eq!(loaded.is_applied(b"b", &mut mem, &mut running), Ok(false), "no such object");
        let mut found = Vec::new();
        let mut expected = mem.clone();
        loaded.verify(&mut expected, &mut running, &mut |difference| found.push(*difference)).unwrap();
        assert_eq!(found.len(), usize::from(is_applied));
        let mut late = loaded.retain(&mut mem, &mut values, &mut kept).unwrap();
        let mut expected = mem.clone();
        late.coming(b"a", &mut expected, &mut names()).unwrap();
        found.clear();
        loaded.verify(&mut expected, &mut running, &mut |difference| found.push(*difference)).unwrap();
        assert_eq!(found.len(), usize::from(!is_applied));
    }
}

#[test]
fn late_relocations_can_be_applied_from_the_file_as_a_late_pass_does() {
    let file = builder().build();
    let module = Module::parse(&file, LINUX).unwrap();
    let mut mem = Mem::of(&file, LINUX);
    let mut values = [0; 16];
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut values, &mut names()).unwrap();
    let mut passed = mem.clone();
    let (mut kept, mut scratch) = (vec![0; loaded.retained_size()], values);
    let mut late = loaded.retain(&mut passed, &mut scratch, &mut kept).unwrap();
    assert_eq!(late.coming(b"a", &mut passed, &mut names()), Ok(1));
    assert_eq!(loaded.apply_late(b"b", &mut mem, &mut values, &mut names()), Ok(0), "no such object");
    assert_eq!(loaded.apply_late(b"a", &mut mem, &mut values, &mut names()), Ok(1));
    assert_eq!(mem.image(), passed.image());
    let mut again = |object: &[u8], values: &mut [u64]| {
        let answer = loaded.apply_late(object, &mut mem, values, &mut names());
        assert_eq!(mem.image(), passed.image(), "nothing is changed");
        answer.unwrap_err().kind
    };
    assert_eq!(again(b"a", &mut values), ErrorKind::TargetNotZero);
    assert_eq!(again(b"vmlinux", &mut values), ErrorKind::NotAModule);
    assert_eq!(again(b"", &mut values), ErrorKind::NotAModule);
    assert_eq!(again(b"a", &mut []), ErrorKind::ValuesTooShort);
}

#[test]
fn a_reader_that_fails_is_an_error_with_section_and_offset() {
    let file = builder().build();
    let module = Module::parse(&file, LINUX).unwrap();
    let mut mem = Mem::of(&file, LINUX);
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut [0; 16], &mut names()).unwrap();
    let error = loaded.verify(&mut mem, &mut Broken, &mut |_| {}).unwrap_err();
    assert_eq!((error.kind, error.section, error.offset), (ErrorKind::Reader, Some(1), 0));
    assert_eq!(error.value.cast_signed(), -14);
}

#[test]
fn a_settled_difference_is_not_reported() {
    let file = builder().build();
    let mut running = loaded(&file);
    running.spot(1).bytes[250..260].fill(0xcc);
    let module = Module::parse(&file, LINUX).unwrap();
    let mut mem = Mem::of(&file, LINUX);
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut [0; 16], &mut names()).unwrap();
    let mut running = Running(running);
    let mut comparison = Comparison::new(&loaded, &mut mem, &mut running, &[Group::Text]);
    assert_eq!(
        comparison.expected(1).map(|(address, bytes)| (address, bytes.len())),
        Some((address(1), 600))
    );
    assert!(comparison.compares(1) && !comparison.compares(2) && !comparison.compares(99));
    let mut found = [0; 12];
    comparison.found(1, 249, &mut found).unwrap();
    assert_eq!(found, [0x90, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0x90]);
    let outside = comparison.found(1, 589, &mut found).unwrap_err();
    assert_eq!((outside.kind, outside.section, outside.offset), (ErrorKind::OffsetOutside, Some(1), 589));
    comparison.found(1, 588, &mut found).unwrap();
    // Outside: ignored.
    comparison.settle(1, 595, &[0xcc; 10]);
    comparison.settle(1, 250, &[0xcc; 9]);
    let mut differences = Vec::new();
    let verified = comparison.run(&mut |difference| differences.push((difference.offset, difference.size)));
    assert_eq!(differences, [(259, 1)]);
    assert_eq!(verified.map(|verified| (verified.bytes, verified.not_judged)), Ok((600, 64 + 24 + 16)));
}

/// Memory of which one thing is wrong: it is behind a writer, or a byte is missing.
struct Wrong<'a>(&'a mut Mem, Option<Nobody>);

struct Nobody;

impl relakit::Writer for Nobody {
    fn read(&mut self, _: u64, _: u64, _: &mut [u8]) -> Result<(), CallbackError> {
        panic!("read")
    }

    fn write(&mut self, _: u64, _: u64, _: &[u8]) -> Result<(), CallbackError> {
        panic!("written")
    }
}

impl Memory for Wrong<'_> {
    fn base(&self, section: u32) -> Option<u64> {
        self.0.base(section)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        match &mut self.1 {
            Some(nobody) => Some(Target::with_writer(600, address(section), nobody)),
            None => Some(Target::new(&mut self.0.spot(section).bytes[1..], address(section))),
        }
    }
}

#[test]
fn a_section_behind_a_writer_or_of_another_size_is_an_error() {
    let file = builder().build();
    let module = Module::parse(&file, LINUX).unwrap();
    let mut mem = Mem::of(&file, LINUX);
    let loaded = module.assign(&mut mem).unwrap().fill().unwrap().early(&mut [0; 16], &mut names()).unwrap();
    let mut running = Running(mem.clone());
    for (nobody, kind) in [(Some(Nobody), ErrorKind::NotPlain), (None, ErrorKind::AssignedSize)] {
        let mut wrong = Wrong(&mut mem, nobody);
        let error = loaded.verify(&mut wrong, &mut running, &mut |_| {}).unwrap_err();
        assert_eq!((error.kind, error.section), (kind, Some(1)));
    }
}

#[test]
fn a_section_may_end_with_the_address_space() {
    struct Ones;
    impl Reader for Ones {
        fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
            assert!(u64::MAX - at >= bytes.len() as u64 - 1);
            bytes.fill(0xff);
            Ok(())
        }
    }
    let empty = relakit::elf::RelaTable::new(&[]).unwrap();
    let mut bytes = [0xff; 300];
    let at = u64::MAX - 299;
    for (address, kind) in [(at, None), (at + 1, Some(ErrorKind::AddressWraps))] {
        let target = Target::new(&mut bytes, address);
        let answer =
            verify::section(empty, Values::Dense(&[]), target, RelocFlags::empty(), &mut Ones, &mut |_| {
                panic!("a difference")
            });
        assert_eq!(
            answer.map(|verified| verified.bytes).map_err(|error| error.kind),
            kind.map_or(Ok(300), Err)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Level 1 finds exactly the bytes that were changed, in fields or not, in any order of fields.
    #[test]
    fn one_section_and_any_changes(
        changes in prop::collection::btree_map(0usize..512, 1u8.., 0..20),
        order in prop::collection::vec(any::<prop::sample::Index>(), 8),
        at in 0u64..1000,
    ) {
        struct Bytes(Vec<u8>, u64);
        impl Reader for Bytes {
            fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
                let start = usize::try_from(at - self.1).unwrap();
                bytes.copy_from_slice(&self.0[start..][..bytes.len()]);
                Ok(())
            }
        }
        let mut entries: Vec<_> = (0..8u64).map(|index| (index * 60, 1, R_64, i64::try_from(index).unwrap())).collect();
        for (one, other) in order.iter().enumerate() {
            entries.swap(one, other.index(8));
        }
        let table = table(&entries);
        let table = relakit::elf::RelaTable::new(&table).unwrap();
        let values = [0, 0x1122_3344_5566_7700];
        let mut expected = vec![0; 512];
        relakit::reloc::apply(table, Values::Dense(&values), &mut Target::new(&mut expected, at), RelocFlags::empty()).unwrap();
        let mut running = Bytes(expected, at);
        for (at, change) in &changes {
            running.0[*at] ^= change;
        }
        let mut covered = vec![false; 512];
        let mut content = vec![0; 512];
        let target = Target::new(&mut content, at);
        let verified = verify::section(table, Values::Dense(&values), target, RelocFlags::empty(), &mut running, &mut |difference| {
            let range = usize::try_from(difference.offset).unwrap()..usize::try_from(difference.offset + difference.size).unwrap();
            assert!(changes.range(range.clone()).next().is_some(), "nothing was changed there");
            covered[range].fill(true);
        }).unwrap();
        prop_assert!(changes.keys().all(|at| covered[*at]));
        prop_assert_eq!(verified.differences == 0, changes.is_empty());
    }
}

#[test]
fn an_entry_that_cannot_be_applied_is_an_error_before_anything_is_read() {
    let table = table(&[(0, 1, R_64, 0), (9, 1, R_64, 0)]);
    let table = relakit::elf::RelaTable::new(&table).unwrap();
    let mut bytes = [0; 16];
    let target = Target::new(&mut bytes, 0);
    let answer =
        verify::section(table, Values::Dense(&[0, 7]), target, RelocFlags::empty(), &mut Broken, &mut |_| {});
    assert_eq!(answer.map_err(|error| (error.kind, error.entry)), Err((ErrorKind::OffsetOutside, Some(1))));
    assert_eq!(bytes, [0; 16]);
}
