//! Level 3: a module's whole life through the C ABI is its life through Rust, the same answers,
//! values, bytes and calls of the writer and the resolver.

use super::call::{Told, c, of_core, poisoned};
use super::hooks::{Device, Names, State, resolver_for_c, writer_for_c};
use super::sections::{Choices, Sections};
use super::take;
use crate::words;
use core::{ptr, slice};
use relakit::{Class, Error, Group, Module, Objects};
use relakit_ffi::*;
use std::ffi::{CStr, CString};

/// Files with more symbols are not tried: 24 bytes each is what a symbol costs, so that these are
/// none of the fuzzer's.
const MAX_SYMBOLS: u32 = 0x4000;

/// Names that modules of the seeds define, or do not.
const SOUGHT: [&CStr; 5] = [c"f", c"local", c"init_module", c"part_in_flight", c""];

/// What happened, step by step.
#[derive(Debug, Default, PartialEq)]
struct Life {
    steps: Vec<Result<u64, Told>>,
    memory: Vec<State>,
    asked: u64,
}

impl Life {
    fn note(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.steps.extend(numbers.into_iter().map(Ok));
    }

    fn see(&mut self, sections: &Sections) {
        let (behind, trace) = sections.device.seen();
        let plain = sections.plain().into_iter().map(<[u8]>::to_vec).collect();
        self.memory.push((plain, behind.to_vec(), trace));
    }
}

/// The choices, and the file.
pub fn run(mut data: &[u8]) -> Option<()> {
    let choices = Choices::new(take(&mut data)?);
    assert_eq!(live(data, choices, c_steps), live(data, choices, rust), "{choices:?}");
    Some(())
}

/// Objects that come and go: the module's own, and some that it does not know.
pub fn objects(module: &Module<'_>) -> Vec<CString> {
    let known = Objects::of(module);
    let known = known.iter().flat_map(|objects| objects.names()).filter(|name| !name.contains(&0));
    let others: [&[u8]; 4] = [b"unknown", b"vmlinux", b"", &[b'x'; 60]];
    known.copied().chain(others).map(|name| CString::new(name).expect("without NUL")).collect()
}

/// Whether each object comes, or goes.
const EVENTS: [bool; 5] = [false, true, true, false, true];

type Steps = fn(&[u8], Choices, &mut Names, &mut Option<Sections>, &mut Life) -> Result<(), Told>;

fn live(file: &[u8], choices: Choices, steps: Steps) -> Life {
    let (mut life, mut names, mut sections) = (Life::default(), Names::new(choices.salt), None);
    let end = steps(file, choices, &mut names, &mut sections, &mut life);
    life.steps.push(end.map(|()| 0));
    sections.iter().for_each(|sections| life.see(sections));
    life.asked = names.asked();
    life
}

fn rust(
    file: &[u8],
    choices: Choices,
    names: &mut Names,
    sections: &mut Option<Sections>,
    life: &mut Life,
) -> Result<(), Told> {
    rust_steps(file, choices, names, sections, life).map_err(of_core)
}

fn rust_steps(
    file: &[u8],
    choices: Choices,
    names: &mut Names,
    sections: &mut Option<Sections>,
    life: &mut Life,
) -> Result<(), Error> {
    let module = Module::parse(file, choices.profile())?;
    if module.object().symbols().len() > MAX_SYMBOLS {
        return Ok(());
    }
    describe(&module, life);
    lay_out(&module, choices, life);
    let count = (module.object().symbols().len() as usize).saturating_sub(usize::from(choices.short));
    let sections = sections.insert(Sections::of(&module, choices));
    let mut values = vec![0; count];
    let placed = module.assign(sections)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, names)?;
    for index in 0..module.object().section_count() {
        life.note([u64::from(relakit_linux::special::of_section(&loaded, index).is_some())]);
    }
    life.note(values.iter().copied());
    for object in objects(&module) {
        life.steps.extend(super::verify::rust(&loaded, sections, choices, object.as_bytes()));
    }
    let size = loaded.retained_size();
    life.note([size as u64]);
    let mut kept = vec![0; size.saturating_sub(usize::from(choices.kept_short))];
    let mut late = loaded.retain(sections, &mut values, &mut kept)?;
    for object in objects(&module) {
        for coming in EVENTS {
            let result = match coming {
                true => late.coming(object.as_bytes(), sections, names),
                false => late.going(object.as_bytes(), sections),
            };
            life.steps.push(result.map(|count| count as u64).map_err(of_core));
            life.see(sections);
        }
    }
    Ok(())
}

/// A checksum.
fn text(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte))
}

/// What the file consists of.
fn describe(module: &Module<'_>, life: &mut Life) {
    let object = module.object();
    for (index, section) in object.sections() {
        let class = module.class(index).expect("it exists");
        let (number, target) = match class.class {
            Class::Ordinary { target } => (RELAKIT_CLASS_ORDINARY, target),
            Class::KlpEarly { target } => (RELAKIT_CLASS_KLP_EARLY, target),
            Class::KlpLate { target, .. } => (RELAKIT_CLASS_KLP_LATE, target),
            Class::Skipped => (RELAKIT_CLASS_SKIPPED, section.sh_info),
            Class::LegacyArch => (RELAKIT_CLASS_LEGACY_ARCH, 0),
            Class::Malformed { .. } => (RELAKIT_CLASS_MALFORMED, section.sh_info),
            _ => (RELAKIT_CLASS_NOT_RELOCATION, 0),
        };
        let fault = module.malformed(index).map_or(0, |error| error.kind as i32);
        let of_class = [number, target, fault.unsigned_abs(), module.is_allocated(index).into()];
        life.note(of_class.map(u64::from));
        let (name, reason) = (object.section_name(&section), class.reason.message().to_bytes());
        life.note([name, reason, object.section_bytes(&section)].map(text));
        life.note(words!(section: sh_type sh_size sh_addralign sh_flags.bits() sh_link sh_info));
    }
    for index in 0..object.symbols().len() {
        let symbol = object.symbols().get(index).expect("it exists");
        let name = object.symbols().name(&symbol).map(text).map_err(of_core);
        life.steps.push(name);
        if name.is_ok() {
            life.note(words!(symbol: st_shndx st_info st_value st_size));
        }
    }
}

/// Where sections are in one arena, and who has a name.
fn lay_out(module: &Module<'_>, choices: Choices, life: &mut Life) {
    let page = choices.page();
    let layout = module.layout(page);
    life.steps.push(layout.map(|layout| layout.size()).map_err(of_core));
    if let Ok(layout) = layout {
        life.note(Group::ALL.map(|group| layout.group(group).offset));
        let mut places: Vec<_> = layout.sections().collect();
        places.sort_by_key(|place| place.section);
        for place in places {
            life.note([u64::from(place.section), place.offset, place.size]);
        }
    }
    for name in SOUGHT {
        life.note([module.object().symbols().find(name.to_bytes()).map_or(0, |found| found.index().into())]);
    }
}

/// The same, as C tells it.
fn lay_out_c(module: *mut relakit_module, info: &relakit_module_info, choices: Choices, life: &mut Life) {
    let mut layout = relakit_layout { struct_size: 136, ..poisoned() };
    let (out, page, none) = (&raw mut layout, choices.page(), ptr::null_mut());
    let sized = c!(relakit_module_layout(module, ptr::null_mut(), 7, page, none, 0, out));
    life.steps.push(sized.map(|_| layout.size));
    if sized.is_ok() {
        life.note(layout.groups.map(|group| group.offset));
        let mut places: Vec<relakit_section_memory> = vec![poisoned(); info.section_count as usize];
        let (to, count, size) = (places.as_mut_ptr(), places.len(), layout.size);
        let filled = c!(relakit_module_layout(module, ptr::null_mut(), 0, page, to, count, out));
        assert_eq!((filled, layout.size), (Ok(RELAKIT_OK), size));
        for (index, place) in (0..).zip(&places).filter(|(_, place)| place.flags != 0) {
            assert_eq!(place.flags & RELAKIT_MEMORY_PRESENT, RELAKIT_MEMORY_PRESENT);
            life.note([index, place.address, place.size]);
        }
    }
    for name in SOUGHT {
        let mut found = relakit_symbol { struct_size: 48, ..poisoned() };
        let status = c!(relakit_module_find_symbol(module, name.as_ptr(), &raw mut found));
        life.note([if status == Ok(RELAKIT_NOT_FOUND) { 0 } else { found.index.into() }]);
    }
}

fn c_steps(
    file: &[u8],
    choices: Choices,
    names: &mut Names,
    sections: &mut Option<Sections>,
    life: &mut Life,
) -> Result<(), Told> {
    let options = choices.options();
    let mut state = vec![0u64; relakit_module_size().div_ceil(8)];
    let (memory, size) = (state.as_mut_ptr().cast(), state.len() * 8);
    let mut module = ptr::null_mut();
    let (file_start, file_size) = (file.as_ptr().cast(), file.len());
    c!(relakit_module_init(memory, size, file_start, file_size, &raw const options, &raw mut module))?;
    let mut info = relakit_module_info { struct_size: 24, ..poisoned() };
    c!(relakit_module_describe(module, &raw mut info))?;
    if info.symbol_count > MAX_SYMBOLS {
        return Ok(());
    }
    describe_c(module, &info, life);
    lay_out_c(module, &info, choices, life);
    // Only for the places, which the caller chooses.
    let parsed = Module::parse(file, choices.profile()).expect("it was parsed");
    let sections = sections.insert(Sections::of(&parsed, choices));
    let places = sections.places();
    let device: *mut Device = &raw mut sections.device;
    // SAFETY: `device` points to a device that lives, and no other code uses it during the call.
    let writer = writer_for_c(unsafe { &mut *device });
    let memory = sections.for_c(&places, &writer);
    let memory = &raw const memory;
    let resolver = resolver_for_c(names);
    let resolver = &raw const resolver;
    let count = (info.symbol_count as usize).saturating_sub(usize::from(choices.short));
    let mut values = vec![0u64; count];
    c!(relakit_module_assign(module, memory))?;
    c!(relakit_module_fill(module, memory))?;
    c!(relakit_module_early(module, memory, values.as_mut_ptr(), count, resolver))?;
    for index in 0..info.section_count {
        let mut special = relakit_special { struct_size: 16, ..poisoned() };
        let status = c!(relakit_module_special(module, index, &raw mut special))?;
        life.note([u64::from(status == RELAKIT_OK)]);
    }
    life.note(values.iter().copied());
    for object in objects(&parsed) {
        life.steps.extend(super::verify::c_abi(module, sections, choices, object.as_bytes()));
    }
    let mut size = 0;
    c!(relakit_module_retained_size(module, &raw mut size))?;
    life.note([size as u64]);
    let mut kept = vec![0u8; size.saturating_sub(usize::from(choices.kept_short))];
    let (lent, lent_size) = (kept.as_mut_ptr().cast(), kept.len());
    c!(relakit_module_retain(module, memory, values.as_mut_ptr(), count, lent, lent_size))?;
    for object in objects(&parsed) {
        for coming in EVENTS {
            let (object, mut count) = (object.as_ptr(), 0);
            let result = match coming {
                true => c!(relakit_module_coming(module, object, memory, resolver, &raw mut count)),
                false => c!(relakit_module_going(module, object, memory, &raw mut count)),
            };
            life.steps.push(result.map(|_| u64::from(count)));
            life.see(sections);
        }
    }
    Ok(())
}

/// What the file consists of, as C tells it.
fn describe_c(module: *mut relakit_module, info: &relakit_module_info, life: &mut Life) {
    let text = |start: *const u8, len: usize| {
        // SAFETY: `start` is not NULL, and relakit reports `len` bytes there.
        let bytes = if start.is_null() { &[] } else { unsafe { slice::from_raw_parts(start, len) } };
        self::text(bytes)
    };
    for index in 0..info.section_count {
        let mut section = relakit_section { struct_size: 104, ..poisoned() };
        assert_eq!(c!(relakit_module_section(module, index, &raw mut section)), Ok(RELAKIT_OK));
        // SAFETY: relakit documents `reason` as constant text that ends with NUL.
        let reason = unsafe { core::ffi::CStr::from_ptr(section.reason) };
        // SAFETY: relakit documents `name` as a string in the file that ends with NUL.
        let name = unsafe { core::ffi::CStr::from_ptr(section.name) };
        assert_eq!(name.count_bytes(), section.name_len);
        let size = usize::try_from(section.sh_size).unwrap_or(usize::MAX);
        let is_in_memory = section.flags & RELAKIT_SECTION_IN_MEMORY;
        let of_class = [section.section_class, section.target, section.status.unsigned_abs(), is_in_memory];
        life.note(of_class.map(u64::from));
        let reason_len = reason.count_bytes();
        life.note([text(section.name.cast(), section.name_len), text(section.reason.cast(), reason_len)]);
        life.note([text(section.content.cast(), size)]);
        life.note(words!(section: sh_type sh_size sh_addralign sh_flags sh_link sh_info));
    }
    for index in 0..info.symbol_count {
        let mut symbol = relakit_symbol { struct_size: 48, ..poisoned() };
        let status = c!(relakit_module_symbol(module, index, &raw mut symbol));
        life.steps.push(status.map(|_| text(symbol.name.cast(), symbol.name_len)));
        if status.is_ok() {
            life.note(words!(symbol: st_shndx st_info st_value st_size));
        }
    }
}
