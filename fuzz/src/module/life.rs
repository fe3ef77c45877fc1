//! A module whose meaning is known, and the model, through the same life.

use super::Bytes;
use super::plan::{NAMES, OBJECTS, Plan};
use relakit::ErrorKind::*;
use relakit::abi::SHT_NULL;
use relakit::elf::SymbolLocation;
use relakit::{Error, Late, Loaded, Module};
use relakit_model::life::{Life as Model, Meaning};
use relakit_model::world::{Answers, FAILED, Faults, Names, Spot, World};
use relakit_model::{ErrorKey, file};

/// Most steps of a life.
const STEPS: usize = 16;

/// Runs one input.
pub(super) fn run(plan: &Plan, bytes: &mut Bytes<'_>) {
    let (file, errors) = (plan.file(), Faults::default());
    let module = Module::parse(&file, plan.profile).unwrap_or_else(|error| panic!("{error}"));
    let spots = spots(plan, &errors);
    let model = Model::new(file::Module::read(&file, (&plan.profile).into()), spots.clone());
    if !plan.has_many {
        super::layout::check(&module);
    }
    symbols_are_where_the_model_says(plan, &module, &model);
    if plan.has_many {
        // A life would take half a second.
        return;
    }
    let world = World { spots, errors: &errors, syncs: 0 };
    let mut life = Life { plan, world, model };
    // A loader that lends more memory than is needed is no worse.
    let more = usize::from(bytes.is_rare());
    let mut values = vec![0; plan.symbols.len() + more];
    let Some(loaded) = life.load(&module, &mut values, bytes) else { return };
    life.model.retain();
    let mut kept = vec![0x5a; loaded.retained_size() + more];
    if let Some(short) = kept.len().checked_sub(1 + more) {
        let error = loaded.retain(&mut life.world, &mut values, &mut kept[..short]).unwrap_err();
        assert_eq!(error.kind, RetainedTooShort);
    }
    let mut late = loaded.retain(&mut life.world, &mut values, &mut kept).unwrap();
    drop((loaded, values));
    for _ in 0..STEPS {
        if bytes.is_empty() {
            break;
        }
        if life.step(&mut late, bytes).is_none() {
            return;
        }
        life.compare(&late);
    }
    // Whatever happened, every object comes once more and goes: so each late section of each plan is
    // applied and cleared.
    let nothing = &mut Bytes::new(&[]);
    for object in 1..OBJECTS.len() {
        let came = life.coming(&mut late, object, nothing);
        if came.and_then(|()| life.going(&mut late, object, nothing)).is_none() {
            return;
        }
        life.compare(&late);
    }
}

fn symbols_are_where_the_model_says(plan: &Plan, module: &Module<'_>, model: &Model<'_, '_>) {
    let table = module.object().symbols();
    for (index, symbol) in (1..).zip(plan.symbols.iter().skip(1)) {
        let place = match table.location(&table.get(index).unwrap()) {
            SymbolLocation::Section(section) => Meaning::Section(section),
            SymbolLocation::Absolute => Meaning::Absolute,
            SymbolLocation::Undefined => Meaning::Undefined,
            SymbolLocation::Common => Meaning::Common,
            SymbolLocation::Invalid(_) => Meaning::Invalid,
            SymbolLocation::Livepatch => Meaning::Livepatch,
            other => panic!("{other:?}"),
        };
        assert_eq!(place, model.meaning(index), "{symbol:?}");
    }
}

/// The sections of a plan, in the memory that it gives them.
pub(super) fn spots<'w>(plan: &Plan, errors: &'w Faults) -> Vec<Spot<'w>> {
    let mut spots = vec![Spot::none(errors); 1 + plan.targets.len() + plan.relocations.len()];
    for (spot, target) in spots.iter_mut().skip(1).zip(&plan.targets) {
        // An unused header has zeros, whatever it leads to.
        let mut bytes = match target.kind {
            SHT_NULL => vec![0; target.content.len()],
            _ => target.content.clone(),
        };
        bytes.resize(bytes.len().saturating_add_signed(isize::from(target.excess)), 0);
        let (address, base, is_placed, is_hooked) =
            (target.address, target.base, target.is_placed, target.is_hooked);
        *spot = Spot { bytes, address, base, is_placed, is_hooked, errors };
    }
    spots
}

/// Who knows which symbols: nearly always those that the names of a plan count on.
pub(super) struct Known {
    /// Values are others for each.
    seed: u64,
    /// An object, a name, how many of them there are, and the value of the last.
    odd: Option<(usize, usize, u64, u64)>,
}

impl Known {
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Self {
        let seed = bytes.byte();
        let value = |bytes: &mut Bytes<'_>| bytes.of(&[0, 1 << 33, 0xffff_ffff_8123_4567, 0x7fff_ffff]);
        let odd = |bytes: &mut Bytes<'_>| {
            (bytes.below(OBJECTS.len()), bytes.below(NAMES.len()), bytes.below(4) as u64, value(bytes))
        };
        Self { seed: u64::from(seed % 0xc0), odd: (seed >= 0xc0).then(|| odd(bytes)) }
    }
}

impl Answers for Known {
    fn exported(&self, name: &[u8]) -> Option<u64> {
        let is_known = !name.starts_with(b"nobody") && !name.starts_with(b"_GLOBAL");
        match self.odd {
            Some((0, 0, _, value)) if name == b"printk" => Some(value),
            _ => is_known.then_some(0x4_0000 + self.seed * 16 + name.len() as u64),
        }
    }

    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64> {
        let object = OBJECTS.iter().position(|known| known.as_bytes() == object).unwrap();
        let (length, name) = (name.len(), NAMES.iter().position(|known| known.as_bytes() == name));
        let (count, last) = match (self.odd, name) {
            (Some((of, odd, count, value)), Some(name)) if (of, odd) == (object, name) => {
                (count, Some(value))
            }
            (_, Some(name)) => (name as u64 + 1, None),
            // The long ones.
            (_, None) => (1, None),
        };
        // A long name that is cut has another value.
        let name = name.unwrap_or(length) as u64;
        let usual = 0x8_0000 + self.seed * 0x1000 + object as u64 * 0x100 + name * 0x20 + position.min(7) * 4;
        (position < count).then(|| last.filter(|_| position + 1 == count).unwrap_or(usual))
    }
}

/// A pass of core, to be done once or twice.
type Pass<'a, T> = dyn FnMut(&mut World<'_>, &mut Names<'_, &Known>) -> Result<T, Error> + 'a;

struct Life<'p, 'w> {
    plan: &'p Plan,
    world: World<'w>,
    model: Model<'p, 'w>,
}

impl Life<'_, '_> {
    /// Placing, filling and the early pass.
    fn load<'f>(
        &mut self,
        module: &Module<'f>,
        values: &mut [u64],
        bytes: &mut Bytes<'_>,
    ) -> Option<Loaded<'f>> {
        let errors: Vec<ErrorKey> = module.assign_errors(&mut self.world).map(ErrorKey::from).collect();
        assert_eq!(errors, self.model.assign_errors(), "place");
        if let Err(error) = module.assign(&mut self.world).map(|_| ()) {
            assert_eq!(Some(&ErrorKey::from(error)), errors.first());
            return None;
        }
        assert_eq!(errors, []);
        self.fill(module);
        let answers = Known::read(bytes);
        let mut listed = Vec::new();
        let names = &mut Names { answers: &answers, errors: self.world.errors };
        module
            .assign(&mut self.world)
            .unwrap()
            .assume_filled()
            .errors(values, names, &mut |error| listed.push(error))
            .unwrap();
        assert_eq!(self.world.syncs, 0, "a dry run writes nothing");
        self.is_as_the_model();
        let expected = self.model.early(&answers);
        let loaded = self.attempt(bytes, &answers, expected.is_err(), &mut |world, names| {
            values.fill(0x1111_1111_1111_1111);
            module.assign(world)?.assume_filled().early(values, names)
        })?;
        let loaded = self.agree(loaded, expected, &listed)?;
        assert_eq!(values.get(..self.plan.symbols.len()), Some(&self.model.values[..]), "values");
        Some(loaded)
    }

    /// Fills the memory from the file. Behind writers the embedder does.
    fn fill(&mut self, module: &Module<'_>) {
        for spot in self.world.spots.iter_mut().filter(|spot| spot.is_placed && !spot.is_hooked) {
            spot.bytes.fill(0xcc);
        }
        let filled = module.assign(&mut self.world).unwrap().fill().map(|_| ());
        assert_eq!(filled.map_err(ErrorKey::from), self.model.fill_fault().map_or(Ok(()), Err), "fill");
        if filled.is_err() {
            self.world.spots.clone_from(&self.model.spots);
        }
        self.is_as_the_model();
    }

    /// Does a pass, with errors of hooks if the input wants them. A pass that one fails changes
    /// nothing, and is done again without. `None` when the pass could not be undone, because
    /// the hooks kept failing. `fails`: it does by itself.
    fn attempt<T>(
        &mut self,
        bytes: &mut Bytes<'_>,
        answers: &Known,
        fails: bool,
        pass: &mut Pass<'_, T>,
    ) -> Option<Result<T, Error>> {
        let before = self.world.image();
        let world = &mut self.world;
        let names = &mut Names { answers, errors: world.errors };
        let mut pass = |world: &mut World<'_>| {
            let done = pass(world, names);
            if let Some(error) = done.as_ref().err().filter(|error| error.kind != NotUndone) {
                assert!(world.is(&before), "changed by a pass that failed: {error}");
            }
            done
        };
        let choice = bytes.byte();
        if choice < 0xe0 {
            return Some(pass(world));
        }
        world.errors.arm(bytes.below(32), [1, 1, 1, 2, 3, 1000][usize::from(choice) % 6]);
        let done = pass(world);
        let failed = world.errors.failed();
        world.errors.arm(0, 0);
        if failed == 0 {
            return Some(done);
        }
        let error = done.err().expect("a pass knows that a hook failed");
        if error.kind == NotUndone {
            assert!(failed + usize::from(fails) > 1, "one call failed, and those that undo did not");
            return None;
        }
        world.syncs = 0;
        let done = pass(world);
        let is_hooks = matches!(error.kind, Resolver | Writer | Sync) && error.value == FAILED as u64;
        assert!(is_hooks || done.as_ref().err() == Some(&error), "{error}");
        Some(done)
    }

    /// What a pass answers and what the model does; what its dry run said; and how often memory was
    /// made visible.
    fn agree<T>(
        &mut self,
        done: Result<T, Error>,
        expected: Result<bool, ErrorKey>,
        listed: &[Error],
    ) -> Option<T> {
        let syncs = std::mem::take(&mut self.world.syncs);
        match (&done, expected) {
            (Ok(_), Ok(wrote)) => {
                assert_eq!(listed, [], "a dry run finds nothing in what can be applied");
                assert_eq!(syncs, usize::from(wrote), "syncs");
            }
            (Err(error), Err(told)) => {
                assert_eq!(ErrorKey::from(*error), told);
                // Where fields overlap only writing tells.
                assert!(error.kind == TargetNotZero || listed.contains(error), "a dry run finds {error}");
            }
            (Err(error), Ok(_)) => panic!("{error}"),
            (Ok(_), Err(told)) => panic!("{told:?} was not noticed"),
        }
        self.is_as_the_model();
        done.ok()
    }

    fn is_as_the_model(&self) {
        for (index, (spot, model)) in self.world.spots.iter().zip(&self.model.spots).enumerate() {
            assert_eq!(spot.bytes, model.bytes, "memory of section {index}");
        }
    }

    fn compare(&self, late: &Late<'_>) {
        self.is_as_the_model();
        let expected: Vec<_> = self.model.objects().collect();
        assert_eq!(late.objects().collect::<Vec<_>>(), expected, "objects");
        let by_index: Vec<_> = (0..).map_while(|index| late.object_at(index)).collect();
        assert_eq!(by_index, expected, "objects by index");
    }

    /// Something happens to the module.
    fn step(&mut self, late: &mut Late<'_>, bytes: &mut Bytes<'_>) -> Option<()> {
        let choice = bytes.byte();
        let object = [1, 2, 3, 1][usize::from(choice >> 4 & 3)];
        match choice & 15 {
            0..6 => self.coming(late, object, bytes),
            6..11 => self.going(late, object, bytes),
            11 if choice >= 0xc0 => self.coming(late, 0, bytes),
            11 if choice >= 0x80 => self.going(late, 0, bytes),
            11 => self.nobody(late, bytes),
            12 | 13 => {
                self.meddle(bytes);
                Some(())
            }
            _ => self.again(late, object, bytes),
        }
    }

    fn coming(&mut self, late: &mut Late<'_>, object: usize, bytes: &mut Bytes<'_>) -> Option<()> {
        let (name, answers, mut listed) = (OBJECTS[object].as_bytes(), Known::read(bytes), Vec::new());
        let names = &mut Names { answers: &answers, errors: self.world.errors };
        let dry = late.errors(name, &mut self.world, names, &mut |error| listed.push(error));
        listed.extend(dry.err());
        assert_eq!(self.world.syncs, 0, "a dry run writes nothing");
        self.is_as_the_model();
        let expected = self.model.coming(name, &answers);
        let fails = expected.is_err();
        let done =
            self.attempt(bytes, &answers, fails, &mut |world, names| late.coming(name, world, names))?;
        self.counted(done, expected, &listed);
        Some(())
    }

    fn going(&mut self, late: &mut Late<'_>, object: usize, bytes: &mut Bytes<'_>) -> Option<()> {
        let answers = Known { seed: 0, odd: None };
        let (name, expected) = (OBJECTS[object].as_bytes(), self.model.going(OBJECTS[object].as_bytes()));
        let done =
            self.attempt(bytes, &answers, expected.is_err(), &mut |world, _| late.going(name, world))?;
        // Of several fields that do not hold what they should one is named; which depends on the order they
        // are read in.
        let done = done.map_err(|mut error| {
            if error.kind == TargetMismatch {
                (error.entry, error.symbol) = (None, None);
            }
            error
        });
        let listed = Vec::from_iter(done.err());
        self.counted(done, expected, &listed);
        Some(())
    }

    fn counted(
        &mut self,
        done: Result<usize, Error>,
        expected: Result<(usize, bool), ErrorKey>,
        listed: &[Error],
    ) {
        let sections = expected.map(|(sections, _)| sections);
        if let Some(count) = self.agree(done, expected.map(|(_, wrote)| wrote), listed) {
            assert_eq!(Ok(count), sections, "sections");
        }
    }

    /// Comes, goes and comes again with other values: what is in memory then is as if it had come
    /// once.
    fn again(&mut self, late: &mut Late<'_>, object: usize, bytes: &mut Bytes<'_>) -> Option<()> {
        self.coming(late, object, bytes)?;
        self.going(late, object, bytes)?;
        self.coming(late, object, bytes)
    }

    /// Names of no object.
    fn nobody(&mut self, late: &mut Late<'_>, bytes: &mut Bytes<'_>) -> Option<()> {
        let answers = Known::read(bytes);
        let names = &mut Names { answers: &answers, errors: self.world.errors };
        assert_eq!(late.coming(b"", &mut self.world, names).unwrap_err().kind, NotAModule);
        assert_eq!(late.going(b"", &mut self.world).unwrap_err().kind, NotAModule);
        assert_eq!(late.going(b"demo_dis", &mut self.world), Ok(0));
        Some(())
    }

    /// Somebody else writes to a section, or moves, shrinks, or takes it away, or puts it behind a
    /// writer.
    fn meddle(&mut self, bytes: &mut Bytes<'_>) {
        let section = 1 + bytes.below(self.plan.targets.len());
        let (how, at) = (bytes.below(16), bytes.byte());
        for spots in [&mut self.world.spots, &mut self.model.spots] {
            let spot = &mut spots[section];
            match how {
                0 => spot.is_placed ^= true,
                1 => spot.address ^= 0x1000_0000,
                2 => drop(spot.bytes.pop()),
                3 => spot.bytes.push(0),
                4 => spot.is_hooked ^= true,
                _ => {
                    let length = spot.bytes.len().max(1);
                    spot.bytes
                        .get_mut(usize::from(at) % length)
                        .into_iter()
                        .for_each(|byte| *byte ^= 1 << (how & 7));
                }
            }
        }
    }
}
