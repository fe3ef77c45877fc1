//! Random modules and random lives of their objects, compared with the model.

use crate::world::{Names, World, address};
use proptest::prelude::*;
use relakit::ErrorKind::*;
use relakit::{Module, Profile};
use relakit_model::ErrorKey;
use relakit_model::image::{ABS, Builder, Entry, GLOBAL, UNDEF};
use relakit_model::life::Life;
use relakit_model::world::{Faults, Spot};

const OBJECTS: [&str; 3] = ["vmlinux", "a", "b"];
const TARGETS: usize = 3;
const TARGET_SIZE: usize = 128;

/// Symbols 1 and 2 are ordinary; then for each object f and g with the positions 0, 1 and 2.
fn symbol(object: usize, name: usize, position: usize) -> u32 {
    u32::try_from(3 + object * 6 + name * 3 + position).unwrap()
}
/// Two ordinary symbols, the null symbol, and those.
const SYMBOLS: u32 = 3 + 18;

/// The values that each object's f and g have.
type Answers = [[Vec<u64>; 2]; 3];

#[derive(Clone, Debug)]
struct Section {
    /// Number of the object; `None` is an ordinary section.
    object: Option<usize>,
    target: u32,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
enum Step {
    Coming(usize, Answers),
    Going(usize),
    /// Somebody flips a bit of a target, and flips it back later.
    Flip(u32, usize),
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 1..0x7000_0000u64, 1 => Just(0), 1 => 1u64 << 33.., 1 => 0xffff_ffff_8100_0000..0xffff_ffff_8200_0000u64]
}

fn answers() -> impl Strategy<Value = Answers> {
    let list = |usual: usize| prop_oneof![9 => proptest::collection::vec(value(), usual), 1 => proptest::collection::vec(value(), 0..4)];
    std::array::from_fn::<_, 3, _>(|_| [list(1), list(2)]).prop_map(|answers| answers)
}

fn entry(object: Option<usize>) -> impl Strategy<Value = (u32, u32, i64)> {
    let own = object.unwrap_or(0);
    let usual = match object {
        None => proptest::sample::select(vec![0, 1, 2, symbol(0, 0, 0), symbol(1, 0, 0)]),
        Some(_) => proptest::sample::select(vec![
            symbol(own, 0, 0),
            symbol(own, 0, 1),
            symbol(own, 1, 1),
            symbol(own, 1, 2),
            symbol(3 - own.max(1), 0, 0),
        ]),
    };
    let symbol = prop_oneof![60 => usual, 1 => 0..SYMBOLS + 1];
    let kind = prop_oneof![60 => proptest::sample::select(vec![0u32, 1, 1, 2, 4, 10, 11, 24]), 1 => Just(99)];
    (symbol, kind, prop_oneof![3 => -8..0x100i64, 1 => any::<i64>()])
}

/// Sections whose fields are in slots of their own, or anywhere.
fn sections(overlap: bool) -> impl Strategy<Value = Vec<Section>> {
    let object = prop_oneof![1 => Just(None), 1 => Just(Some(0)), 4 => Just(Some(1)), 4 => Just(Some(2))];
    let section = object.prop_flat_map(|object| {
        let entries = proptest::collection::vec((entry(object), 0..TARGET_SIZE as u64 - 7), 0..3);
        (Just(object), 0..TARGETS, entries)
    });
    proptest::collection::vec(section, 2..9).prop_map(move |sections| {
        let mut free = [0; TARGETS];
        let section = |(object, target, entries): (Option<usize>, usize, Vec<_>)| {
            let entry = |((symbol, kind, addend), anywhere)| {
                let offset = if overlap { anywhere } else { free[target] };
                free[target] += 8;
                (offset, symbol, kind, addend)
            };
            let entries = entries.into_iter().map(entry).collect();
            Section { object, target: u32::try_from(target + 1).unwrap(), entries }
        };
        sections.into_iter().map(section).collect()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1..3usize, answers()).prop_map(|(object, answers)| Step::Coming(object, answers)),
        4 => (1..3usize).prop_map(Step::Going),
        2 => (1..=TARGETS, prop_oneof![0..40usize, 0..TARGET_SIZE])
            .prop_map(|(target, byte)| Step::Flip(u32::try_from(target).unwrap(), byte)),
    ];
    proptest::collection::vec(step, 0..16)
}

fn build(sections: &[Section]) -> Builder {
    let mut builder = Builder::new();
    for target in 0..TARGETS {
        builder.data(&format!(".t{target}"), TARGET_SIZE);
    }
    builder.symbol("absolute", GLOBAL, ABS, 0x1234);
    builder.symbol("known", GLOBAL, UNDEF, 0);
    for object in OBJECTS {
        for name in ["f", "g"] {
            for position in 0..3 {
                builder.klp_symbol(&format!(".klp.sym.{object}.{name},{position}"));
            }
        }
    }
    for section in sections {
        match section.object {
            None => builder.rela(section.target, &section.entries),
            Some(object) => builder.klp(OBJECTS[object], section.target, &section.entries),
        };
    }
    builder
}

fn names(answers: &Answers) -> Names {
    let mut names = Names::new(&[("", "known", &[0x5678])]);
    for (object, values) in OBJECTS.iter().zip(answers) {
        names.set(object, "f", &values[0]);
        names.set(object, "g", &values[1]);
    }
    names
}

/// What the early pass's dry run lists.
fn dry_early(world: &mut World) -> Vec<ErrorKey> {
    let (module, mut listed) = (Module::parse(&world.file, world.profile).unwrap(), Vec::new());
    let before = world.mem.image();
    let mut filled = module.assign(&mut world.mem).unwrap().assume_filled();
    filled
        .errors(&mut world.values, &mut world.names, &mut |error| listed.push(ErrorKey::from(error)))
        .unwrap();
    assert_eq!((world.mem.image(), world.mem.syncs), (before, 0), "a dry run changes nothing");
    listed
}

/// Takes core and the model through the same life.
fn live(sections: &[Section], first: &Answers, steps: &[Step], profile: Profile, overlap: bool) {
    let mut world = World::new(&build(sections), profile, names(first));
    let (file, errors) = (world.file.clone(), Faults::default());
    let mut spots = vec![Spot::none(&errors)];
    spots.extend((1..).take(TARGETS).map(|target| Spot::new(address(target), TARGET_SIZE, &errors)));
    let mut model = Life::new(relakit_model::file::Module::read(&file, (&profile).into()), spots);
    let expected = model.early(&world.names);
    let kept_at_most =
        sections.iter().map(|section| 88 + section.entries.len() * (24 + 24 + 8 + 12)).sum::<usize>();
    let dry = dry_early(&mut world);
    match &expected {
        Err(fault) if !overlap => assert_eq!(dry.first(), Some(fault)),
        Ok(_) => assert_eq!(dry, []),
        Err(_) => {}
    }
    let (mut late, mem) = match (world.load(), expected) {
        (Ok((late, mem, _)), Ok(_)) => (late, mem),
        (Err(error), expected) => return assert_eq!(Err(error.into()), expected),
        (Ok(_), Err(fault)) => panic!("{fault:?} was not noticed"),
    };
    model.retain();
    let memory = |mem: &crate::world::Mem| -> Vec<Vec<u8>> {
        (1..).take(TARGETS).map(|target| mem.at(target).to_vec()).collect()
    };
    let expected_memory = |model: &Life<'_, '_>| -> Vec<Vec<u8>> {
        model.spots[1..].iter().map(|spot| spot.bytes.clone()).collect()
    };
    assert_eq!(memory(mem), expected_memory(&model), "early");
    for (number, step) in steps.iter().enumerate() {
        let before = mem.syncs;
        match step {
            Step::Coming(object, answers) => {
                let (name, mut names) = (OBJECTS[*object].as_bytes(), names(answers));
                let mut listed = Vec::new();
                let dry = late.errors(name, mem, &mut names, &mut |error| listed.push(ErrorKey::from(error)));
                assert_eq!(
                    (memory(mem), mem.syncs),
                    (expected_memory(&model), before),
                    "a dry run changes nothing"
                );
                let expected = model.coming(name, &names).map(|(sections, _)| sections);
                let answer = late.coming(name, mem, &mut names).map_err(ErrorKey::from);
                assert_eq!(answer, expected, "step {number}");
                match expected {
                    Err(fault) if fault.kind == AlreadyLive => {
                        assert_eq!(dry.map_err(ErrorKey::from), Err(fault));
                    }
                    Err(fault) if !overlap => assert_eq!(listed.first(), Some(&fault), "step {number}"),
                    Ok(_) => assert_eq!(listed, [], "step {number}"),
                    _ => {}
                }
            }
            Step::Going(object) => {
                let name = OBJECTS[*object].as_bytes();
                let expected = model.going(name).map(|(sections, _)| sections).map_err(|told| told.kind);
                assert_eq!(late.going(name, mem).map_err(|error| error.kind), expected, "step {number}");
            }
            Step::Flip(target, byte) => {
                mem.spot(*target).bytes[*byte] ^= 0x10;
                model.spots[usize::try_from(*target).unwrap()].bytes[*byte] ^= 0x10;
            }
        }
        assert!(mem.syncs - before <= 1, "step {number}");
        assert_eq!(memory(mem), expected_memory(&model), "step {number}: {step:?}");
    }
    assert!(late.objects().eq(model.objects()));
    assert!(world.kept.len() <= kept_at_most, "{} bytes are kept", world.kept.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_modules_life_is_that_of_the_model(
        (overlap, sections) in any::<bool>().prop_flat_map(|overlap| (Just(overlap), sections(overlap))),
        first in answers(),
        steps in steps(),
        profile in proptest::sample::select(Profile::LINUX),
    ) {
        live(&sections, &first, &steps, profile, overlap);
    }
}
