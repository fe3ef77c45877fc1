//! Every section of every file has a class: random damage to modules, compared with the model.

use crate::world::{Mem, Spot};
use crate::world::{names, two_objects};
use proptest::prelude::*;
use relakit::{ErrorKind, Module, Profile, Reason};
use relakit_model::class::check_class;
use relakit_model::file;
use std::collections::HashSet;

/// A module with a section of every class.
fn module() -> Vec<u8> {
    let mut builder = two_objects();
    for name in [".modinfo", "__versions", "__version_ext_crcs", ".data..percpu", ".klp.arch.a..text"] {
        builder.section(name, 1, 2, vec![0; 32]);
    }
    let one = builder.symbol("one", 0x10, 0xfff1, 1);
    let vmlinux = builder.klp_symbol(".klp.sym.vmlinux.f,0");
    builder.rela(1, &[(12, one, 10, 0)]);
    builder.klp("vmlinux", 2, &[(16, vmlinux, 1, 0)]);
    builder.klp("vmlinux", 10, &[(0, vmlinux, 1, 0)]);
    builder.rela(10, &[(8, one, 1, 0)]);
    builder.rela(7, &[]);
    builder.klp("b", 8, &[(0, vmlinux, 1, 0)]);
    builder.klp("c", 10, &[]);
    builder.build()
}

/// A change of the file: of a field of a section header to something that means something, or of any byte.
#[derive(Clone, Debug)]
enum Damage {
    Header { section: usize, field: (usize, usize), value: u64 },
    Byte { at: prop::sample::Index, value: u8 },
}

fn damage() -> impl Strategy<Value = Damage> {
    let small = prop_oneof![0..24u64, Just(u64::MAX), Just(0x7fff_ffff)];
    let flags = proptest::sample::select(vec![0u64, 2, 0x0010_0000, 0x0010_0002, u64::MAX]);
    let field = prop_oneof![
        4 => (Just((44, 4)), small.clone()),
        4 => (Just((4, 4)), proptest::sample::select(vec![0u64, 1, 2, 3, 4, 7, 8, 9, 18])),
        4 => (Just((8, 8)), flags),
        3 => (Just((32, 8)), prop_oneof![small.clone(), 20..80u64]),
        2 => (Just((40, 4)), small.clone()),
        2 => (Just((0, 4)), 0..300u64),
        1 => (Just((24, 8)), 0..2000u64),
        1 => (Just((48, 8)), small),
    ];
    prop_oneof![
        4 => (0..24usize, field).prop_map(|(section, (field, value))| Damage::Header { section, field, value }),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, value)| Damage::Byte { at, value }),
    ]
}

fn damaged(damage: &[Damage]) -> Vec<u8> {
    let mut file = module();
    let table = usize::try_from(u64::from_le_bytes(*file[40..].first_chunk().unwrap())).unwrap();
    for damage in damage {
        match *damage {
            Damage::Header { section, field: (at, size), value } => {
                if let Some(field) =
                    file.get_mut(table + section * 64 + at..).and_then(|rest| rest.get_mut(..size))
                {
                    field.copy_from_slice(&value.to_le_bytes()[..size]);
                }
            }
            Damage::Byte { at, value } => *at.get_mut(&mut file) = value,
        }
    }
    file
}

/// A place for every section of a size that memory can be had for.
fn anywhere(module: &Module<'_>) -> Mem {
    let spot = |(index, section): (u32, relakit::elf::Section)| {
        let size = usize::try_from(section.sh_size).ok().filter(|&size| size < 1 << 16)?;
        let address = crate::world::address(index);
        Some(Spot { bytes: vec![0; size], address, base: address })
    };
    Mem { spots: module.object().sections().map(spot).collect(), ..Mem::default() }
}

/// Lives a whole life with whatever the file is. Nothing panics, and what fails changes nothing.
fn live(module: &Module<'_>) -> Result<(), ErrorKind> {
    let (mut mem, mut names) = (anywhere(module), names());
    names.set("vmlinux", "f", &[0x1234]);
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let placed = module.assign(&mut mem).map_err(|error| error.kind)?;
    let mut filled = placed.fill().map_err(|error| error.kind)?;
    let mut listed = 0;
    filled.errors(&mut values, &mut names, &mut |_| listed += 1).map_err(|error| error.kind)?;
    let loaded = filled.early(&mut values, &mut names);
    let loaded = loaded.map_err(|error| error.kind)?;
    assert_eq!(listed, 0, "a dry run finds nothing that does not happen");
    let mut kept = vec![0; loaded.retained_size()];
    let mut late = loaded.retain(&mut mem, &mut values, &mut kept).unwrap();
    for object in [b"a", b"b"] {
        let before = mem.image();
        match late.coming(object, &mut mem, &mut names) {
            Err(error) => assert_eq!(mem.image(), before, "{error}"),
            Ok(_) => {
                let going = late.going(object, &mut mem);
                assert!(going.is_ok(), "what came can go: {going:?}");
                assert!(!module.profile().clears_on_going || mem.image() == before);
            }
        }
    }
    Ok(())
}

#[test]
fn the_undamaged_module_has_every_class_and_lives() {
    let file = module();
    for profile in Profile::LINUX {
        let module = Module::parse(&file, *profile).unwrap();
        live(&module).unwrap();
        let classes: Vec<_> =
            module.classes().map(|(_, class)| std::mem::discriminant(&class.class)).collect();
        let different =
            classes.iter().enumerate().filter(|(at, class)| !classes[..*at].contains(class)).count();
        assert_eq!(different, 7, "{}", profile.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damaged_modules_have_the_classes_that_the_page_says_and_never_panic(
        damage in proptest::collection::vec(damage(), 1..4),
        profile in proptest::sample::select(Profile::LINUX),
    ) {
        let file = damaged(&damage);
        for profile in [profile, Profile::ELF] {
            let Ok(module) = Module::parse(&file, profile) else { continue };
            let _ = live(&module);
            prop_assert_eq!(module.classes().count(), usize::try_from(module.object().section_count()).unwrap());
            let model = file::Module::read(&file, (&profile).into());
            for (index, class) in module.classes() {
                check_class(&model, index, class.class);
                prop_assert!(!class.reason.text().is_empty());
                prop_assert_eq!(module.class(index), Some(class));
                let Some(error) = module.malformed(index) else { continue };
                let numbers = [error.offset, error.value, error.limit];
                let mut named = error.kind.field_c_names().iter().zip(numbers);
                prop_assert!(!named.any(|(name, number)| name.is_empty() && number != 0), "{}", error);
            }
            prop_assert_eq!(module.class(module.object().section_count()), None);
        }
    }
}

#[test]
fn every_reason_has_a_sentence_of_its_own() {
    let reasons = [
        Reason::Rela,
        Reason::RelaWithKlpName,
        Reason::Vmlinux,
        Reason::Module,
        Reason::OtherType,
        Reason::ArchName,
        Reason::NoTarget,
        Reason::TargetNotAllocated,
        Reason::TargetDropped,
        Reason::TargetPerCpu,
        Reason::Malformed(ErrorKind::RelSection),
        Reason::Malformed(ErrorKind::PartialEntry),
    ];
    let texts: HashSet<_> = reasons.map(Reason::text).into_iter().collect();
    assert_eq!(texts.len(), reasons.len());
    for reason in reasons {
        assert_eq!(Ok(reason.text()), reason.message().to_str());
    }
}
