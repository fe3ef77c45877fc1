//! Memory behind hooks: when it is made visible, and what happens when a hook fails.

use crate::world::{Mem, Names, World};
use crate::world::{names, two_objects};
use relakit::ErrorKind::{NotUndone, Resolver, Sync, Writer as WriterFailed};
use relakit::{CallbackError, Error, Late, Memory, Module, Profile, Target, Writer};
use relakit_model::image::{R_64, UNDEF};
use std::cell::RefCell;
use std::rc::Rc;

const LINUX: Profile = Profile::LINUX_6_12;
const A: &[u8] = b"a";

/// What a hook was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Write,
    Sync,
}
use Call::{Read, Write};

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    /// The calls that fail: the n-th of a kind, from 0.
    fails: Vec<(Call, usize)>,
    number: i32,
}

impl Log {
    fn call(&mut self, call: Call) -> Result<(), CallbackError> {
        let count = self.count(call);
        self.calls.push(call);
        if self.fails.contains(&(call, count)) { Err(CallbackError(self.number)) } else { Ok(()) }
    }

    fn count(&self, call: Call) -> usize {
        self.calls.iter().filter(|&&other| other == call).count()
    }
}

/// One section behind a writer.
struct Behind {
    bytes: Vec<u8>,
    address: u64,
    log: Rc<RefCell<Log>>,
}

impl Writer for Behind {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        assert_eq!(address, self.address + offset);
        self.log.borrow_mut().call(Read)?;
        let from = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&self.bytes[from..][..bytes.len()]);
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        assert_eq!(address, self.address + offset);
        self.log.borrow_mut().call(Write)?;
        let to = usize::try_from(offset).unwrap();
        self.bytes[to..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        panic!("the memory is made visible as a whole")
    }
}

/// Memory of which every section is behind a writer.
struct Hooked {
    sections: Vec<Option<Behind>>,
    log: Rc<RefCell<Log>>,
}

impl Hooked {
    fn new(mem: &Mem) -> Self {
        let log = Rc::<RefCell<Log>>::default();
        let behind = |spot: &crate::world::Spot| Behind {
            bytes: spot.bytes.clone(),
            address: spot.address,
            log: Rc::clone(&log),
        };
        let sections = mem.spots.iter().map(|spot| spot.as_ref().map(behind)).collect();
        Self { sections, log }
    }

    fn image(&self) -> Vec<Option<Vec<u8>>> {
        self.sections.iter().map(|section| section.as_ref().map(|section| section.bytes.clone())).collect()
    }

    /// From now on these calls fail with `number`; what was called is forgotten.
    fn fail(&mut self, fails: &[(Call, usize)], number: i32) {
        *self.log.borrow_mut() = Log { calls: Vec::new(), fails: fails.to_vec(), number };
    }

    fn calls(&self) -> Vec<Call> {
        self.log.borrow().calls.clone()
    }
}

impl Memory for Hooked {
    fn base(&self, section: u32) -> Option<u64> {
        Some(self.sections.get(usize::try_from(section).unwrap())?.as_ref()?.address)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let section = self.sections.get_mut(usize::try_from(section).unwrap())?.as_mut()?;
        Some(Target::with_writer(section.bytes.len() as u64, section.address, section))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.log.borrow_mut().call(Call::Sync)
    }
}

/// The three passes. Each writes three fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Early,
    Coming,
    Going,
}

const PASSES: [Pass; 3] = [Pass::Early, Pass::Coming, Pass::Going];

/// A module that is ready for a pass.
struct Stage<'a> {
    module: Module<'a>,
    memory: Hooked,
    late: Option<Late<'a>>,
    names: Names,
}

impl Stage<'_> {
    fn run(&mut self, pass: Pass) -> Result<(), Error> {
        match (pass, self.late.as_mut()) {
            (Pass::Coming, Some(late)) => late.coming(A, &mut self.memory, &mut self.names).map(|_| ()),
            (Pass::Going, Some(late)) => late.going(A, &mut self.memory).map(|_| ()),
            _ => {
                let mut values = vec![0; usize::try_from(self.module.object().symbols().len()).unwrap()];
                self.module
                    .assign(&mut self.memory)?
                    .assume_filled()
                    .early(&mut values, &mut self.names)
                    .map(|_| ())
            }
        }
    }
}

/// Takes a module with early and late relocations up to a pass, and gives it to `test`.
fn before(pass: Pass, test: impl FnOnce(&mut Stage<'_>)) {
    let mut builder = two_objects();
    let known = builder.symbol("known", 0x10, UNDEF, 0);
    let vmlinux = builder.klp_symbol(".klp.sym.vmlinux.v,0");
    let data = builder.data(".data", 24);
    builder.rela(data, &[(0, known, R_64, 0), (8, known, R_64, 1)]);
    builder.klp("vmlinux", data, &[(16, vmlinux, R_64, 0)]);
    let file = builder.build();
    let mut names = names();
    names.set("", "known", &[0x10]);
    names.set("vmlinux", "v", &[0x20]);
    let mut values = vec![0; builder.symbols.len()];
    let module = Module::parse(&file, LINUX).unwrap();
    let mut kept = Vec::new();
    let mut memory = Hooked::new(&Mem::of(&file, LINUX));
    let mut late = None;
    if pass != Pass::Early {
        let loaded =
            module.assign(&mut memory).unwrap().assume_filled().early(&mut values, &mut names).unwrap();
        kept.resize(loaded.retained_size(), 0);
        late = Some(loaded.retain(&mut memory, &mut values, &mut kept).unwrap());
    }
    let mut stage = Stage { module, memory, late, names };
    if pass == Pass::Going {
        stage.run(Pass::Coming).unwrap();
    }
    stage.memory.fail(&[], 0);
    test(&mut stage);
}

#[test]
fn hooks_see_every_field_once_and_one_sync_at_the_end() {
    for pass in PASSES {
        before(pass, |stage| {
            stage.run(pass).unwrap();
            let calls = stage.memory.calls();
            let count = |call| calls.iter().filter(|&&other| other == call).count();
            assert_eq!((count(Write), count(Call::Sync)), (3, 1), "{pass:?}");
            assert_eq!(calls.last(), Some(&Call::Sync), "{pass:?}");
            assert_eq!(calls.first(), Some(&Read), "{pass:?}");
        });
    }
}

#[test]
fn memory_behind_hooks_gets_the_bytes_that_plain_memory_gets() {
    let mut world = World::new(&two_objects(), LINUX, names());
    let (mut late, mem, names) = world.load().unwrap();
    let mut with_writer = Hooked::new(mem);
    late.coming(A, mem, names).unwrap();
    late.going(A, mem).unwrap();
    late.coming(A, &mut with_writer, names).unwrap();
    let applied = with_writer.image();
    late.going(A, &mut with_writer).unwrap();
    assert_eq!(with_writer.image(), mem.image());
    late.coming(A, mem, names).unwrap();
    assert_eq!(mem.image(), applied);
}

#[test]
fn a_pass_that_a_hook_fails_is_undone_and_made_visible_and_can_be_repeated() {
    for pass in PASSES {
        for (call, number) in [(Write, 7), (Write, -7), (Read, i32::MIN), (Call::Sync, i32::MAX)] {
            for nth in 0.. {
                let mut reached = true;
                before(pass, |stage| {
                    let untouched = stage.memory.image();
                    stage.memory.fail(&[(call, nth)], number);
                    let answer = stage.run(pass);
                    let calls = stage.memory.calls();
                    let count = |call| calls.iter().filter(|&&other| other == call).count();
                    let Err(error) = answer else {
                        reached = false;
                        return assert!(nth >= count(call));
                    };
                    let what = format!("{pass:?}, {call:?} {nth}: {error}");
                    let kind = if call == Call::Sync { Sync } else { WriterFailed };
                    assert_eq!(
                        (error.kind, error.value),
                        (kind, i64::from(number).cast_unsigned()),
                        "{what}"
                    );
                    assert_eq!(stage.memory.image(), untouched, "{what}");
                    // The write that fails changes nothing; every other one is undone, and seen to be.
                    let failed = usize::from(call == Write);
                    assert_eq!((count(Write) - failed) % 2, 0, "{what}");
                    if count(Write) > failed {
                        assert_eq!(calls.last(), Some(&Call::Sync), "{what}: {calls:?}");
                    }
                    assert!(count(Call::Sync) <= if call == Call::Sync { 2 } else { 1 }, "{what}: {calls:?}");
                    stage.memory.fail(&[], 0);
                    stage.run(pass).unwrap();
                });
                if !reached {
                    assert!(nth > 0);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_hook_that_fails_twice_leaves_what_the_fault_says_it_leaves() {
    // The second write fails, and so does the next one, which would undo the first: of section 3 when "a" comes, of
    // section 5 when it goes, as the last is cleared first.
    let full = |stage: &Stage<'_>| {
        let image = stage.memory.image();
        [(1, 0), (1, 8), (2, 0)]
            .map(|(section, offset): (usize, usize)| image[section].as_ref().unwrap()[offset] != 0)
    };
    for (pass, place, left) in
        [(Pass::Coming, (3, Some(0)), [true, false, false]), (Pass::Going, (5, None), [true, true, false])]
    {
        before(pass, |stage| {
            stage.memory.fail(&[(Write, 1), (Write, 2)], -9);
            let error = stage.run(pass).unwrap_err();
            assert_eq!((error.kind, error.value), (NotUndone, (-9i64).cast_unsigned()), "{pass:?}");
            assert_eq!((error.section, error.entry), (Some(place.0), place.1), "{pass:?}");
            assert_eq!(full(stage), left, "{pass:?}");
        });
    }
}

#[test]
fn a_resolver_that_fails_while_an_object_comes_is_passed_through_and_may_be_asked_again() {
    for number in [1, -1, i32::MIN, i32::MAX] {
        before(Pass::Coming, |stage| {
            let untouched = stage.memory.image();
            stage.names.fails = Some(("f".to_owned(), number));
            let error = stage.run(Pass::Coming).unwrap_err();
            assert_eq!((error.kind, error.value), (Resolver, i64::from(number).cast_unsigned()));
            assert_eq!((error.section, error.entry, error.symbol), (Some(3), Some(0), Some(1)));
            assert_eq!((stage.memory.image(), stage.memory.calls()), (untouched, vec![]));
            stage.names.fails = None;
            stage.run(Pass::Coming).unwrap();
        });
    }
}

#[test]
fn a_pass_without_anything_to_write_is_not_made_visible() {
    before(Pass::Coming, |stage| {
        let late = stage.late.as_mut().unwrap();
        assert_eq!(late.coming(b"nobody", &mut stage.memory, &mut stage.names), Ok(0));
        assert_eq!(late.going(b"nobody", &mut stage.memory), Ok(0));
        late.errors(A, &mut stage.memory, &mut stage.names, &mut |error| panic!("{error}")).unwrap();
        let calls = stage.memory.calls();
        assert!(!calls.contains(&Write) && !calls.contains(&Call::Sync), "{calls:?}");
    });
}
