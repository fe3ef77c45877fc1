//! Level 3: a module's whole life through the C ABI is its life through Rust, the same answers, values, bytes and calls of
//! the writer and the resolver.

use super::call::{Told, call, of_core, poisoned};
use super::hooks::{Device, Names, State};
use super::sections::{Choices, Sections};
use super::take;
use core::{ptr, slice};
use relakit::{Class, Error, Late, Module, Objects};
use relakit_ffi::*;
use std::ffi::CString;

/// Files with more symbols are not tried: 24 bytes each is what a symbol costs, so that these are none of the fuzzer's.
const MAX_SYMBOLS: u32 = 0x4000;

/// What happened, step by step.
#[derive(Debug, Default, PartialEq)]
struct Life {
    steps: Vec<Result<u64, Told>>,
    memory: Vec<State>,
    asked: u64,
}

impl Life {
    fn see(&mut self, sections: &Sections) {
        let (behind, trace) = sections.device.seen();
        let plain = sections.plain().into_iter().map(<[u8]>::to_vec).collect();
        self.memory.push((plain, behind.to_vec(), trace));
    }
}

/// The choices, and the file.
pub fn run(mut data: &[u8]) -> Option<()> {
    let choices = Choices::new(take(&mut data)?);
    let rust = through_rust(data, choices);
    let c = through_c(data, choices);
    assert_eq!(c, rust, "{choices:?}");
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

fn through_rust(file: &[u8], choices: Choices) -> Life {
    let mut life = Life::default();
    let mut names = Names::new(choices.salt);
    let mut sections = None;
    let end = rust_steps(file, choices, &mut names, &mut sections, &mut life);
    life.steps.push(end.map(|()| 0).map_err(of_core));
    if let Some(sections) = &sections {
        life.see(sections);
    }
    life.asked = names.asked();
    life
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
    let count = (module.object().symbols().len() as usize).saturating_sub(usize::from(choices.short));
    let sections = sections.insert(Sections::of(&module, choices));
    let mut values = vec![0; count];
    let placed = module.assign(sections)?;
    let filled = placed.fill()?;
    let loaded = filled.early(&mut values, names)?;
    for index in 0..module.object().section_count() {
        life.steps.push(Ok(u64::from(relakit_linux::special::of_section(&loaded, index).is_some())));
    }
    life.steps.extend(values.iter().map(|value| Ok(*value)));
    let size = module.retained_size(&mut values)?;
    life.steps.push(Ok(size as u64));
    let mut kept = vec![0; size.saturating_sub(usize::from(choices.kept_short))];
    let mut late = loaded.retain(sections, &mut values, &mut kept)?;
    for object in objects(&module) {
        for coming in EVENTS {
            let result = step(&mut late, object.as_bytes(), coming, sections, names);
            life.steps.push(result.map_err(of_core));
            life.see(sections);
        }
    }
    Ok(())
}

fn step(
    late: &mut Late<'_>,
    object: &[u8],
    coming: bool,
    sections: &mut Sections,
    names: &mut Names,
) -> Result<u64, Error> {
    let count = if coming { late.coming(object, sections, names)? } else { late.going(object, sections)? };
    Ok(count as u64)
}

/// What the file consists of.
fn describe(module: &Module<'_>, life: &mut Life) {
    let object = module.object();
    let text = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
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
        life.steps.extend(
            [
                u64::from(section.sh_type),
                u64::from(number),
                u64::from(target),
                u64::from(fault.unsigned_abs()),
                u64::from(module.is_allocated(index)),
                text(object.section_name(&section)),
                text(class.reason.message().to_bytes()),
                text(object.section_bytes(&section)),
                section.sh_size,
                section.sh_addralign,
                section.sh_flags.bits(),
                u64::from(section.sh_link),
                u64::from(section.sh_info),
            ]
            .map(Ok),
        );
    }
    for index in 0..object.symbols().len() {
        let symbol = object.symbols().get(index).expect("it exists");
        let name = object.symbols().name(&symbol).map(text).map_err(of_core);
        life.steps.push(name);
        if name.is_err() {
            continue;
        }
        life.steps.extend(
            [u64::from(symbol.st_shndx), u64::from(symbol.st_info), symbol.st_value, symbol.st_size].map(Ok),
        );
    }
}

fn through_c(file: &[u8], choices: Choices) -> Life {
    let mut life = Life::default();
    let mut names = Names::new(choices.salt);
    let mut sections = None;
    let end = c_steps(file, choices, &mut names, &mut sections, &mut life);
    life.steps.push(end.map(|()| 0));
    if let Some(sections) = &sections {
        life.see(sections);
    }
    life.asked = names.asked();
    life
}

fn c_steps(
    file: &[u8],
    choices: Choices,
    names: &mut Names,
    sections: &mut Option<Sections>,
    life: &mut Life,
) -> Result<(), Told> {
    macro_rules! c {
        ($function:ident($($argument:expr),* $(,)?)) => {
            // SAFETY: everything that is lent is there, and outlives the module.
            call(stringify!($function), |error| unsafe { $function($($argument),*, error) })
        };
    }
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
    // Only for the places, which the caller chooses.
    let parsed = Module::parse(file, choices.profile()).expect("it was parsed");
    let sections = sections.insert(Sections::of(&parsed, choices));
    let places = sections.places();
    let device: *mut Device = &raw mut sections.device;
    // SAFETY: nobody else uses it while it is lent.
    let writer = unsafe { &mut *device }.for_c();
    let memory = sections.for_c(&places, &writer);
    let memory = &raw const memory;
    let resolver = names.for_c();
    let resolver = &raw const resolver;
    let count = (info.symbol_count as usize).saturating_sub(usize::from(choices.short));
    let mut values = vec![0u64; count];
    c!(relakit_module_assign(module, memory))?;
    c!(relakit_module_fill(module, memory))?;
    c!(relakit_module_early(module, memory, values.as_mut_ptr(), count, resolver))?;
    for index in 0..info.section_count {
        let mut special = relakit_special { struct_size: 16, ..poisoned() };
        let status = c!(relakit_module_special(module, index, &raw mut special))?;
        life.steps.push(Ok(u64::from(status == RELAKIT_OK)));
    }
    life.steps.extend(values.iter().map(|value| Ok(*value)));
    let mut size = 0;
    c!(relakit_module_retained_size(module, values.as_mut_ptr(), count, &raw mut size))?;
    life.steps.push(Ok(size as u64));
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
        // SAFETY: what relakit says is there.
        let bytes = if start.is_null() { &[] } else { unsafe { slice::from_raw_parts(start, len) } };
        bytes.iter().fold(0u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte))
    };
    for index in 0..info.section_count {
        let mut section = relakit_section { struct_size: 104, ..poisoned() };
        // SAFETY: the module is there.
        let status = call("relakit_module_section", |error| unsafe {
            relakit_module_section(module, index, &raw mut section, error)
        });
        assert_eq!(status, Ok(RELAKIT_OK));
        // SAFETY: constant text, ended by NUL.
        let reason = unsafe { core::ffi::CStr::from_ptr(section.reason) };
        // SAFETY: its name, ended by NUL.
        let name = unsafe { core::ffi::CStr::from_ptr(section.name) };
        assert_eq!(name.count_bytes(), section.name_len);
        let size = usize::try_from(section.size).unwrap_or(usize::MAX);
        life.steps.extend(
            [
                u64::from(section.sh_type),
                u64::from(section.section_class),
                u64::from(section.target),
                u64::from(section.status.unsigned_abs()),
                u64::from(section.flags & RELAKIT_SECTION_IN_MEMORY),
                text(section.name.cast(), section.name_len),
                text(section.reason.cast(), reason.count_bytes()),
                text(section.content.cast(), size),
                section.size,
                section.align,
                section.sh_flags,
                u64::from(section.link),
                u64::from(section.info),
            ]
            .map(Ok),
        );
    }
    for index in 0..info.symbol_count {
        let mut symbol = relakit_symbol { struct_size: 48, ..poisoned() };
        // SAFETY: the module is there.
        let status = call("relakit_module_symbol", |error| unsafe {
            relakit_module_symbol(module, index, &raw mut symbol, error)
        });
        life.steps.push(status.map(|_| text(symbol.name.cast(), symbol.name_len)));
        if status.is_err() {
            continue;
        }
        life.steps
            .extend([u64::from(symbol.shndx), u64::from(symbol.info), symbol.value, symbol.size].map(Ok));
    }
}
