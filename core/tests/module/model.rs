//! Random modules and random lives of their objects, against a model that is a few vectors and no engine.

use crate::builder::{ABS, Builder, Entry, GLOBAL, UNDEF};
use crate::world::{Names, World, address};
use proptest::prelude::*;
use relakit::ErrorKind::{self, *};
use relakit::{Error, Module, Profile};
use std::collections::HashMap;

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

/// Target, offset and bytes of a field that was written.
type Written = Vec<(u32, usize, Vec<u8>)>;

/// The kind of a fault, its section and entry.
type Fault = (ErrorKind, usize, usize);

struct Model<'a> {
    sections: &'a [Section],
    profile: Profile,
    memory: Vec<Vec<u8>>,
    values: Vec<u64>,
    live: HashMap<usize, Written>,
}

impl Model<'_> {
    /// Which value a livepatch relocation's symbol has.
    fn look_up(&self, object: usize, symbol: u32, answers: &Answers) -> Result<u64, ErrorKind> {
        match symbol {
            SYMBOLS.. => Err(SymbolIndex),
            0..3 => Err(NotKlpSymbol),
            3..9 if object != 0 => Err(VmlinuxFromModule),
            _ => {
                let number = usize::try_from(symbol - 3).unwrap();
                let values = &answers[number / 6][number / 3 % 2];
                match (number % 3, values.as_slice()) {
                    (_, []) => Err(KlpNotFound),
                    (0, [_, 0, ..]) => Err(KlpNotFound),
                    (0, [_, _, ..]) => Err(KlpAmbiguous),
                    (position, values) => match values.get(position.max(1) - 1) {
                        None => Err(KlpSympos),
                        Some(0) => Err(KlpNotFound),
                        Some(&value) => Ok(value),
                    },
                }
            }
        }
    }

    /// Applies the sections that `is_it` chooses; memory and values are taken over when all of it works.
    fn apply(&mut self, is_it: impl Fn(Option<usize>) -> bool, answers: &Answers) -> Result<Written, Fault> {
        let (mut memory, mut values, mut written) = (self.memory.clone(), self.values.clone(), Vec::new());
        for (number, section) in self.sections.iter().enumerate().filter(|(_, section)| is_it(section.object))
        {
            if let Some(object) = section.object {
                for (entry, &(_, symbol, ..)) in section.entries.iter().enumerate() {
                    let value =
                        self.look_up(object, symbol, answers).map_err(|kind| (kind, number, entry))?;
                    values[usize::try_from(symbol).unwrap()] = value;
                }
            }
            for (entry, &relocation) in section.entries.iter().enumerate() {
                let target = &mut memory[usize::try_from(section.target).unwrap() - 1];
                let field =
                    one(relocation, &values, section.target, target, self.profile.reports_nonzero_first);
                let (offset, bytes) = field.map_err(|kind| (kind, number, entry))?;
                target[offset..][..bytes.len()].copy_from_slice(&bytes);
                written.push((section.target, offset, bytes));
            }
        }
        (self.memory, self.values) = (memory, values);
        Ok(written)
    }

    fn coming(&mut self, object: usize, answers: &Answers) -> Result<(), Fault> {
        if self.live.contains_key(&object) {
            return Err((AlreadyLive, 0, 0));
        }
        // The file's values again: nothing is shared with earlier passes.
        let written = self.apply(|section| section == Some(object), answers)?;
        if self.sections.iter().any(|section| section.object == Some(object)) {
            self.live.insert(object, written);
        }
        Ok(())
    }

    fn going(&mut self, object: usize) -> Result<(), ErrorKind> {
        let Some(written) = self.live.get(&object) else {
            let known = self.sections.iter().any(|section| section.object == Some(object));
            return if known { Err(NotLive) } else { Ok(()) };
        };
        let mut memory = self.memory.clone();
        for (target, offset, bytes) in written.iter().rev().filter(|_| self.profile.clears_on_going) {
            let field = &mut memory[usize::try_from(*target).unwrap() - 1][*offset..][..bytes.len()];
            if field != bytes {
                return Err(TargetMismatch);
            }
            field.fill(0);
        }
        self.memory = memory;
        self.live.remove(&object);
        Ok(())
    }
}

/// The psABI's formulas and Linux's checks in their order: the field's offset and bytes.
fn one(
    (offset, symbol, kind, addend): Entry,
    values: &[u64],
    target: u32,
    bytes: &[u8],
    zero_first: bool,
) -> Result<(usize, Vec<u8>), ErrorKind> {
    let sum = values.get(usize::try_from(symbol).unwrap()).ok_or(SymbolIndex)?.wrapping_add_signed(addend);
    let relative = sum.wrapping_sub(address(target).wrapping_add(offset));
    let (value, size, fits) = match kind {
        0 => (0, 0, true),
        1 => (sum, 8, true),
        2 | 4 => (relative, 4, true),
        10 => (sum, 4, u32::try_from(sum).is_ok()),
        11 => (sum, 4, i32::try_from(sum.cast_signed()).is_ok()),
        24 => (relative, 8, true),
        _ => return Err(UnknownType),
    };
    let offset = usize::try_from(offset).unwrap();
    let zero = bytes[offset..][..size].iter().all(|&byte| byte == 0);
    match (fits, zero, zero_first) {
        (false, true, _) | (false, false, false) => Err(Overflow),
        (true, false, _) | (false, false, true) => Err(TargetNotZero),
        (true, true, _) => Ok((offset, value.to_le_bytes()[..size].to_vec())),
    }
}

fn place(error: Error) -> Fault {
    let number = |number: Option<u64>| usize::try_from(number.unwrap_or(0)).unwrap();
    let section = error.section.map_or(0, |section| u64::from(section) - TARGETS as u64 - 1);
    (error.kind, number(Some(section)), number(error.entry))
}

/// What the early pass's dry run lists.
fn dry_early(world: &mut World) -> Vec<Fault> {
    let (module, mut listed) = (Module::parse(&world.file, world.profile).unwrap(), Vec::new());
    let before = world.mem.image();
    let mut filled = module.assign(&mut world.mem).unwrap().assume_filled();
    filled.errors(&mut world.values, &mut world.names, &mut |error| listed.push(place(error))).unwrap();
    assert_eq!((world.mem.image(), world.mem.syncs), (before, 0), "a dry run changes nothing");
    listed
}

/// Takes core and the model through the same life.
fn live(sections: &[Section], first: &Answers, steps: &[Step], profile: Profile, overlap: bool) {
    let mut world = World::new(&build(sections), profile, names(first));
    let mut model = Model {
        sections,
        profile,
        memory: vec![vec![0; TARGET_SIZE]; TARGETS],
        values: [vec![0, 0x1234, 0x5678], vec![0; 18]].concat(),
        live: HashMap::new(),
    };
    let file_values = model.values.clone();
    let expected = model.apply(|object| object.is_none_or(|object| object == 0), first).map(|_| ());
    let kept_at_most =
        sections.iter().map(|section| 88 + section.entries.len() * (24 + 24 + 8 + 12)).sum::<usize>();
    let dry = dry_early(&mut world);
    match &expected {
        Err(fault) if !overlap => assert_eq!(dry.first(), Some(fault)),
        Ok(()) => assert_eq!(dry, []),
        Err(_) => {}
    }
    let (mut late, mem) = match (world.load(), expected) {
        (Ok((late, mem, _)), Ok(())) => (late, mem),
        (Err(error), expected) => return assert_eq!(Err(place(error)), expected),
        (Ok(_), Err(fault)) => panic!("{fault:?} was not noticed"),
    };
    let memory = |mem: &crate::world::Mem| {
        (1..=TARGETS).map(|t| mem.at(u32::try_from(t).unwrap()).to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(memory(mem), model.memory, "early");
    for (number, step) in steps.iter().enumerate() {
        let before = mem.syncs;
        match step {
            Step::Coming(object, answers) => {
                let (name, mut names) = (OBJECTS[*object].as_bytes(), names(answers));
                let mut listed = Vec::new();
                let dry = late.errors(name, mem, &mut names, &mut |error| listed.push(place(error)));
                assert_eq!(
                    (memory(mem), mem.syncs),
                    (model.memory.clone(), before),
                    "a dry run changes nothing"
                );
                model.values.clone_from(&file_values);
                let expected = model.coming(*object, answers);
                let answer = late.coming(name, mem, &mut names).map(|_| ()).map_err(place);
                assert_eq!(answer, expected, "step {number}");
                match expected {
                    Err(fault @ (AlreadyLive, ..)) => assert_eq!(dry.map_err(place), Err(fault)),
                    Err(fault) if !overlap => assert_eq!(listed.first(), Some(&fault), "step {number}"),
                    Ok(()) => assert_eq!(listed, [], "step {number}"),
                    _ => {}
                }
            }
            Step::Going(object) => {
                let expected = model.going(*object);
                let answer =
                    late.going(OBJECTS[*object].as_bytes(), mem).map(|_| ()).map_err(|error| error.kind);
                assert_eq!(answer, expected, "step {number}");
            }
            Step::Flip(target, byte) => {
                mem.spot(*target).bytes[*byte] ^= 0x10;
                model.memory[usize::try_from(*target).unwrap() - 1][*byte] ^= 0x10;
            }
        }
        assert!(mem.syncs - before <= 1, "step {number}");
        assert_eq!(memory(mem), model.memory, "step {number}: {step:?}");
    }
    let is_live = |(name, live): (&[u8], bool)| {
        let object = OBJECTS.iter().position(|object| object.as_bytes() == name).unwrap();
        assert_eq!(live, model.live.contains_key(&object));
    };
    late.objects().for_each(is_live);
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
