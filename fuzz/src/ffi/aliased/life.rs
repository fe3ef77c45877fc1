//! Level 3: a module's life in section memory that may overlap its file, its values or its retained
//! state.

use super::super::call::{Told, call_trusted, options};
use super::super::hooks::{Names, resolver_for_c};
use super::super::sections::{NOWHERE, PROFILES};
use super::super::whole::objects;
use super::arena::{Arena, Manner, Port, Trial};
use crate::module::{self, Bytes};
use core::mem::size_of;
use core::ops::Range;
use relakit::Module;
use relakit::abi::OBJECT_NAME_MAX;
use relakit_ffi::*;
use std::ffi::CString;

/// Bytes for the retained state: enough for most modules of a plan.
const KEPT: usize = 0x800;
/// Sections that may share their memory with something else.
const ALIASES: usize = 3;
const LARGEST: u64 = 0x1000;
const LARGEST_FILE: usize = 0x1_0000;

/// One call of the trial, which may write to the sections or not. `$memory` is the memory that it
/// is given.
macro_rules! step {
    ($life:expr, $trial:expr, $writes:expr, $function:ident($($argument:expr),*)) => {
        step!($life, $trial, $writes, _memory, $function($($argument),*))
    };
    ($life:expr, $trial:expr, $writes:expr, $memory:ident, $function:ident($($argument:expr),*)) => {
        $life.step($trial, stringify!($function), $writes, &mut |$memory, error| {
            // SAFETY: each pointer leads into the arena, which lives during the call.
            unsafe { $function($($argument,)* error) }
        })
    };
}

struct Life {
    arena: Arena,
    profile: u32,
    file: Range<usize>,
    state: Range<usize>,
    values: Range<usize>,
    kept: Range<usize>,
    /// The memory of each section that has some.
    sections: Vec<Range<usize>>,
    /// The sections that have memory: index, and whether it is behind the writer.
    placed: Vec<(u32, bool)>,
    /// The array that leads to it.
    places: Range<usize>,
    objects: Vec<CString>,
    names: Names,
}

/// Runs one input.
pub fn run(bytes: &mut Bytes<'_>) -> Option<()> {
    let [how, with_writer] = [bytes.byte(), bytes.byte()];
    let manner = Manner::read(bytes, true, how & 3 == 3, how & 0x0c == 0x0c);
    let profile = &PROFILES[bytes.below(PROFILES.len())];
    let aliases: [[u8; 3]; ALIASES] = core::array::from_fn(|_| [bytes.byte(), bytes.byte(), bytes.byte()]);
    let file = module::file(bytes);
    if file.len() > LARGEST_FILE {
        return None;
    }
    let parsed = Module::parse(&file, profile.1).ok()?;
    let mut life = Life::new(&file, &parsed, profile.0);
    life.place(&parsed, how, with_writer, aliases);
    life.run(manner);
    Some(())
}

impl Life {
    fn new(file: &[u8], module: &Module<'_>, profile: u32) -> Self {
        let memory = module.object().sections().map(|(_, section)| section.sh_size.min(LARGEST) as usize + 8);
        let counts = (module.object().symbols().len() as usize, module.object().section_count() as usize);
        let lent =
            8 * counts.0 + KEPT + relakit_module_size() + counts.1 * size_of::<relakit_section_memory>();
        let mut arena = Arena::new(file.len() + lent + memory.sum::<usize>() + 128);
        let _guard = arena.part(64);
        let (in_file, values) = (arena.part(file.len()), arena.part(8 * counts.0));
        let kept = arena.part(KEPT);
        arena.put(in_file.start, file);
        Self {
            profile,
            file: in_file,
            values,
            kept,
            sections: Vec::new(),
            placed: Vec::new(),
            state: 0..0,
            places: 0..0,
            objects: objects(module),
            names: Names::new(0),
            arena,
        }
    }

    /// Gives the sections memory: some of it shared, some of it behind the writer.
    fn place(&mut self, module: &Module<'_>, how: u8, with_writer: u8, aliases: [[u8; 3]; ALIASES]) {
        let mut places = Vec::new();
        for (index, section) in module.object().sections() {
            let is_in_memory = module.is_allocated(index) || module.per_cpu_section() == Some(index);
            if !is_in_memory || section.sh_size > LARGEST {
                places.push(NOWHERE);
                continue;
            }
            let size = section.sh_size as usize;
            let shared = aliases.iter().find(|alias| u32::from(alias[0]) == index + 1);
            let part = match shared {
                Some([_, what, at]) => self.shared(*what, *at, size),
                None => self.arena.part(size),
            };
            let is_hooked = how & 0x10 != 0 || with_writer >> (index % 8) & 1 != 0;
            if shared.is_none() && is_hooked {
                self.arena.put(part.start, module.object().section_bytes(&section));
            }
            let bytes = self.arena.pointer(part.start).cast();
            places.push(relakit_section_memory {
                flags: RELAKIT_MEMORY_PRESENT | if is_hooked { RELAKIT_MEMORY_WRITER } else { 0 },
                bytes: if is_hooked || size == 0 { core::ptr::null_mut() } else { bytes },
                size: section.sh_size,
                address: self.arena.address(part.start),
                ..NOWHERE
            });
            self.sections.push(part);
            self.placed.push((index, is_hooked));
        }
        // What leads to everything else comes last: a writer that lies does not reach it.
        self.state = self.arena.part(relakit_module_size());
        self.places = self.arena.part(places.len() * size_of::<relakit_section_memory>());
        // SAFETY: the struct has numbers and pointers, and no padding.
        let bytes = unsafe {
            core::slice::from_raw_parts(
                places.as_ptr().cast::<u8>(),
                places.len() * size_of::<relakit_section_memory>(),
            )
        };
        self.arena.put(self.places.start, bytes);
    }

    /// `size` bytes of something else, or of two things.
    fn shared(&self, what: u8, at: u8, size: usize) -> Range<usize> {
        let part = match what % 4 {
            0 | 3 => &self.file,
            1 => &self.values,
            _ => &self.kept,
        };
        let start = (part.start + usize::from(at) * 8).min(self.arena.size() - size);
        start..start + size
    }

    /// Compares the answer of a call that is given the places, as argument `number`, with what it
    /// must be: the first place that overlaps something else that is lent is refused, and no
    /// other one.
    fn judge(&self, answer: &Result<i32, Told>, is_foreign: bool, number: u64, others: &[&Range<usize>]) {
        let shares = |one: &Range<usize>, other: &Range<usize>| {
            one.start < other.end && other.start < one.end && !one.is_empty() && !other.is_empty()
        };
        let is_refused = |(section, (_, is_hooked)): &(&Range<usize>, &(u32, bool))| {
            let is_here = !is_hooked || !is_foreign;
            is_here && others.iter().chain([&&self.places]).any(|other| shares(section, other))
        };
        let refused = self.sections.iter().zip(&self.placed).find(is_refused);
        let expected = refused.map(|(_, (index, _))| {
            (RELAKIT_ERR_OVERLAP, [Some(u64::from(*index)), None, None, None], [0, number, 0])
        });
        assert_eq!(answer.err().filter(|told| told.0 == RELAKIT_ERR_OVERLAP), expected, "{answer:x?}");
    }

    /// One call. `written`: it may write to the sections if it succeeds.
    fn step(
        &self,
        trial: &mut Trial<'_>,
        what: &str,
        written: bool,
        act: &mut dyn FnMut(*const relakit_memory, *mut relakit_error) -> i32,
    ) -> Result<i32, Told> {
        let places = self.sections.iter().zip(&self.placed);
        let plain = places.filter(|(_, (_, is_hooked))| !is_hooked).map(|(section, _)| section.clone());
        (trial.written, trial.plain) = match written {
            true => (self.sections.clone(), plain.collect()),
            false => (Vec::new(), Vec::new()),
        };
        let is_honest = trial.port.manner.lies == 0;
        trial.step(what, &mut |writer| {
            let memory = relakit_memory {
                struct_size: size_of::<relakit_memory>() as u32,
                flags: 0,
                sections: self.arena.pointer(self.places.start).cast_const().cast(),
                count: self.places.len() / size_of::<relakit_section_memory>(),
                writer,
            };
            call_trusted(what, is_honest, |error| act(&raw const memory, error))
        })
    }

    fn run(mut self, manner: Manner) {
        let mut names = self.names.clone();
        let resolver = resolver_for_c(&mut names);
        let port = Port::new(&self.arena, manner, self.sections.clone(), self.state.start);
        let objects = core::mem::take(&mut self.objects);
        let mut trial = Trial::new(&self.arena, port, Vec::new());
        trial.scratch = vec![self.state.clone(), self.values.clone(), self.kept.clone()];
        let _ = self.load(&mut trial, &raw const resolver).and_then(|module| {
            // The file and the values are free now.
            trial.scratch.remove(1);
            objects.iter().try_for_each(|object| self.object(&mut trial, module, object, &raw const resolver))
        });
    }

    fn load(
        &self,
        trial: &mut Trial<'_>,
        resolver: *const relakit_resolver,
    ) -> Result<*mut relakit_module, Told> {
        let file = self.arena.bytes()[self.file.clone()].to_vec();
        let pointer = |part: &Range<usize>| self.arena.pointer(part.start);
        let (state, state_size) = (pointer(&self.state).cast(), self.state.len());
        let (start, size) = (pointer(&self.file).cast_const().cast(), self.file.len());
        let (values, count) = (pointer(&self.values).cast::<u64>(), self.values.len() / 8);
        let (kept, kept_size) = (pointer(&self.kept).cast(), self.kept.len());
        let options = options(0, self.profile);
        let options = &raw const options;
        let mut module = core::ptr::null_mut();
        let mut late = 0;
        let (is_foreign, is_honest) = (trial.port.manner.foreign, trial.port.manner.lies == 0);
        // The first place that overlaps one of `others` is refused.
        let judge = |answer: Result<i32, Told>, others: &[&Range<usize>]| {
            self.judge(&answer, is_foreign, 2, others);
            answer
        };
        let (file_and_state, with_values) =
            ([&self.file, &self.state], [&self.file, &self.values, &self.state]);
        let with_kept = [&self.file, &self.values, &self.kept, &self.state];
        let out = &raw mut module;
        step!(self, trial, false, relakit_module_init(state, state_size, start, size, options, out))?;
        let placed = step!(self, trial, false, memory, relakit_module_assign(module, memory));
        judge(placed, &file_and_state)?;
        let early = |trial: &mut Trial<'_>, is_filled| {
            step!(
                self,
                trial,
                is_filled,
                memory,
                relakit_module_early(module, memory, values, count, resolver)
            )
        };
        let stage = RELAKIT_STAGE_ASSIGNED as u64;
        let too_early = Err((RELAKIT_ERR_ORDER, [None; 4], [0, stage, 0]));
        assert_eq!(early(trial, false), too_early, "nothing is filled");
        let filled = step!(self, trial, true, memory, relakit_module_fill(module, memory));
        judge(filled, &file_and_state)?;
        judge(early(trial, true), &with_values)?;
        step!(self, trial, false, relakit_module_retained_size(module, &raw mut late))?;
        let late = step!(
            self,
            trial,
            false,
            memory,
            relakit_module_retain(module, memory, values, count, kept, kept_size)
        );
        judge(late, &with_kept)?;
        let now = &self.arena.bytes()[self.file.clone()];
        assert!(!is_honest || now == file, "the file has changed while it was needed");
        Ok(module)
    }

    /// An object comes and goes.
    fn object(
        &self,
        trial: &mut Trial<'_>,
        module: *mut relakit_module,
        object: &CString,
        resolver: *const relakit_resolver,
    ) -> Result<(), Told> {
        let (before, none, failed) = (trial.image(), core::ptr::null_mut(), trial.port.failed);
        let name = object.as_ptr();
        let came =
            step!(self, trial, true, memory, relakit_module_coming(module, name, memory, resolver, none));
        if object.count_bytes() <= OBJECT_NAME_MAX {
            self.judge(&came, trial.port.manner.foreign, 3, &[&self.kept, &self.state]);
        }
        match came {
            Err((RELAKIT_ERR_NOT_UNDONE, ..)) => return came.map(drop),
            Err(_) => return Ok(()),
            Ok(_) => {}
        }
        let went = step!(self, trial, true, memory, relakit_module_going(module, name, memory, none));
        let is_cleared = [RELAKIT_PROFILE_ELF, RELAKIT_PROFILE_DEFAULT].contains(&self.profile)
            || self.profile >= 6 << 16 | 3;
        match went {
            _ if trial.port.manner.lies != 0 => {}
            Ok(_) => assert!(!is_cleared || trial.image() == before, "going is not the inverse of coming"),
            Err(error) => {
                assert!(trial.port.failed != failed, "came but cannot go: {error:x?}");
                return Err(error);
            }
        }
        Ok(())
    }
}
