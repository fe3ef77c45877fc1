//! The memory of a module that runs: the same differences through C as through Rust.

use super::call::{Told, c, of_core, poisoned};
use super::hooks::{Names, resolver_for_c, writer_for_c};
use super::sections::{Choices, Sections};
use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::{ptr, slice};
use relakit::verify::{Difference, Reader};
use relakit::{CallbackError, Error, Loaded};
use relakit_ffi::*;
use relakit_linux::special::places;
use relakit_linux::verify::{Cause, Kernel, Known, Mismatch, allowed_patch, patch_sites, verify};
use std::ffi::CString;

/// What was found: numbers, and errors.
pub type Steps = Vec<Result<u64, Told>>;

/// The memory of a running module: its sections after the early pass, and one changed byte.
#[derive(Clone, Debug)]
pub struct Running {
    sections: Vec<(u64, Vec<u8>)>,
    differences: Vec<relakit_difference>,
}

impl Running {
    pub fn new(sections: &Sections, salt: u8) -> Self {
        let mut sections = sections.running();
        let count = sections.len();
        let chosen = sections.get_mut(usize::from(salt) % count.max(1)).map(|section| &mut section.1);
        if let Some(byte) = chosen.and_then(|bytes| bytes.get_mut(usize::from(salt) * 3)) {
            *byte ^= salt;
        }
        Self { sections, differences: Vec::new() }
    }

    /// A verifier for C that leads to this.
    pub fn for_c(&mut self) -> relakit_verifier {
        relakit_verifier {
            struct_size: size_of::<relakit_verifier>() as u32,
            flags: 0,
            ctx: ptr::from_mut(self).cast(),
            read: Some(read),
            report: Some(report),
            symbol: Some(symbol),
            is_target: Some(is_target),
            policies: [0; 32],
        }
    }
}

impl Reader for Running {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let found = self.sections.iter().find_map(|(address, section)| {
            let start = usize::try_from(at.checked_sub(*address)?).ok()?;
            section.get(start..start.checked_add(bytes.len())?)
        });
        // A caller that moves sections between calls is told so.
        bytes.copy_from_slice(found.ok_or(CallbackError(-14))?);
        Ok(())
    }
}

/// A kernel whose symbols follow from their names.
struct Guessed;

impl Known for Guessed {
    fn function(&mut self, address: u64) -> bool {
        address & 0x10 == 0
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        let sum = name.iter().fold(0, |sum: u64, byte| sum * 31 + u64::from(*byte));
        (sum % 5 != 0).then_some(0xffff_ffff_8200_0000 + sum % 0x10_0000)
    }

    fn tracer(&mut self, address: u64) -> bool {
        address & 0x20 == 0
    }

    fn its_thunk(&mut self, address: u64, register: u8) -> bool {
        address & 0xf == u64::from(register)
    }
}

unsafe extern "C" fn read(ctx: *mut c_void, address: u64, bytes: *mut c_void, size: usize) -> i32 {
    // SAFETY: `ctx` is the `Running` that `for_c` passes, and relakit passes `size` writable bytes.
    let (running, bytes) =
        unsafe { (&mut *ctx.cast::<Running>(), slice::from_raw_parts_mut(bytes.cast::<u8>(), size)) };
    running.read(address, bytes).map_or_else(|error| error.0, |()| 0)
}

unsafe extern "C" fn report(ctx: *mut c_void, difference: *const relakit_difference) {
    // SAFETY: `ctx` is the `Running` that `for_c` passes, and relakit passes a readable difference.
    let (running, difference) = unsafe { (&mut *ctx.cast::<Running>(), *difference) };
    running.differences.push(difference);
}

unsafe extern "C" fn symbol(_: *mut c_void, name: *const c_char, len: usize, value: *mut u64) -> i32 {
    // SAFETY: relakit passes `len` bytes, and the header promises a NUL after them.
    let name = unsafe { slice::from_raw_parts(name.cast::<u8>(), len + 1) };
    assert!(name.ends_with(b"\0"), "{name:?}");
    match Guessed.symbol(&name[..len]) {
        Some(found) => {
            // SAFETY: relakit passes its callbacks a writable `value`.
            unsafe { value.write(found) };
            RELAKIT_OK
        }
        None => RELAKIT_NOT_FOUND,
    }
}

unsafe extern "C" fn is_target(_: *mut c_void, target: u32, number: u32, address: u64) -> i32 {
    i32::from(match target {
        RELAKIT_TARGET_FUNCTION => Guessed.function(address),
        RELAKIT_TARGET_TRACER => Guessed.tracer(address),
        RELAKIT_TARGET_ITS_THUNK => Guessed.its_thunk(address, number as u8),
        _ => panic!("{target}"),
    })
}

/// What the differences have in common.
fn note(steps: &mut Steps, difference: &Difference, cause: [u64; 3]) {
    let Difference { section, offset, address, size, relocation, .. } = *difference;
    steps.extend([u64::from(section), offset, address, size].map(Ok));
    let field = relocation.map_or([0; 2], |field| [field.leads_to, field.expected]);
    let of_field = relocation.map(|field| [1, u64::from(field.section), field.entry]);
    steps.extend(of_field.unwrap_or(cause).map(Ok));
    steps.push(Ok(field[1]));
    let shown = difference.found.as_slice().iter().fold(0, |sum: u64, byte| sum * 7 + u64::from(*byte));
    steps.push(Ok(shown));
}

/// Through Rust.
pub fn rust(loaded: &Loaded<'_>, sections: &Sections, choices: Choices, object: &[u8]) -> Steps {
    let mut steps = Steps::new();
    if let Err(error) = rust_steps(loaded, sections, choices, object, &mut steps) {
        steps.push(Err(of_core(error)));
    }
    steps
}

fn rust_steps(
    loaded: &Loaded<'_>,
    sections: &Sections,
    choices: Choices,
    object: &[u8],
    steps: &mut Steps,
) -> Result<(), Error> {
    let (mut expected, mut running) = (sections.clone(), Running::new(sections, choices.salt));
    let mut places: Vec<_> = places(loaded.module(), &expected).collect();
    places.sort_unstable();
    let version = loaded.module().profile().since;
    let mut known = Guessed;
    let mut kernel = Kernel::new(version, &mut known);
    steps.push(Ok(loaded.is_applied(object, &mut expected, &mut running)?.into()));
    let mut values = vec![0; loaded.module().object().symbols().len() as usize];
    let names = &mut Names::new(choices.salt);
    let late = loaded.apply_late(object, &mut expected.clone(), &mut values, names);
    steps.push(late.map(|count| count as u64).map_err(of_core));
    if version == (0, 0) {
        let on = &mut |difference: &Difference| note(steps, difference, [0; 3]);
        let verified = loaded.verify(&mut expected, &mut running, on)?;
        steps.extend([verified.bytes, 0, verified.not_judged, verified.differences].map(Ok));
        return Ok(());
    }
    let mut sites = Vec::new();
    patch_sites(loaded, &mut expected, version, &places, &mut |site| sites.push(site));
    sites.sort_unstable();
    for site in sites.iter().take(4) {
        let (reader, kernel) = (&mut running, &mut kernel);
        let write = [choices.salt];
        let site =
            allowed_patch(loaded, &mut expected, reader, kernel, &sites, site.address, &write)?.is_some();
        steps.push(Ok(site.into()));
    }
    let on = &mut |mismatch: &Mismatch| {
        let cause = match mismatch.cause {
            Cause::PatchSite { section, entry, .. } => [2, section.into(), entry],
            Cause::Table { section, entry } => [3, section.into(), entry],
            _ => [0; 3],
        };
        note(steps, &mismatch.difference, cause);
    };
    let verified = verify(loaded, &mut expected, &mut running, &mut kernel, &places, on)?;
    steps.extend([verified.bytes, verified.flexible, verified.not_judged, verified.mismatches].map(Ok));
    Ok(())
}

/// Through C.
pub fn c_abi(module: *mut relakit_module, sections: &Sections, choices: Choices, object: &[u8]) -> Steps {
    let mut steps = Steps::new();
    if let Err(told) = c_steps(module, sections, choices, object, &mut steps) {
        steps.push(Err(told));
    }
    steps
}

fn c_steps(
    module: *mut relakit_module,
    sections: &Sections,
    choices: Choices,
    object: &[u8],
    steps: &mut Steps,
) -> Result<(), Told> {
    let mut expected = sections.clone();
    let mut running = Running::new(sections, choices.salt);
    let places = expected.places();
    let writer = writer_for_c(&mut expected.device);
    let memory = expected.for_c(&places, &writer);
    let memory = &raw const memory;
    let verifier = running.for_c();
    let verifier = &raw const verifier;
    let object = CString::new(object).expect("without NUL");
    let object = object.as_ptr();
    let mut is_applied = 7;
    c!(relakit_module_is_applied(module, object, memory, verifier, &raw mut is_applied))?;
    steps.push(Ok(is_applied.into()));
    steps.push(late(module, sections, choices, object));
    let mut scratch = vec![0; 3 * sections.count()];
    let (scratch, count) = (scratch.as_mut_ptr(), scratch.len());
    let mut found = 0;
    let mut sites: Vec<relakit_patch_site> = Vec::new();
    for _ in 0..2 {
        sites.resize(found, poisoned());
        let (to, room, out) = (sites.as_mut_ptr(), sites.len(), &raw mut found);
        c!(relakit_module_patch_sites(module, memory, 0, scratch, count, to, room, out))?;
    }
    assert_eq!(sites.len(), found);
    for site in sites.iter().take(4) {
        let (bytes, mut may) = ([choices.salt], 7);
        let (start, address) = (bytes.as_ptr().cast(), site.address);
        let (all, many, out) = (sites.as_ptr(), sites.len(), &raw mut may);
        c!(relakit_module_allowed_patch(module, memory, verifier, 0, all, many, address, start, 1, out))?;
        steps.push(Ok(may.into()));
    }
    let mut verified = relakit_verified { struct_size: 40, ..poisoned() };
    let out = &raw mut verified;
    let answer = c!(relakit_module_verify(module, memory, verifier, 0, scratch, count, out));
    for of in core::mem::take(&mut running.differences) {
        steps.extend([u64::from(of.section), of.offset, of.address, of.size].map(Ok));
        steps.extend([u64::from(of.cause), u64::from(of.other_section), of.entry, of.expected_value].map(Ok));
        let shown = of.found.iter().take(of.shown as usize);
        steps.push(Ok(shown.fold(0, |sum: u64, byte| sum * 7 + u64::from(*byte))));
    }
    answer?;
    let relakit_verified { bytes, flexible, not_judged, differences, .. } = verified;
    steps.extend([bytes, flexible, not_judged, differences].map(Ok));
    Ok(())
}

fn late(
    module: *mut relakit_module,
    sections: &Sections,
    choices: Choices,
    object: *const c_char,
) -> Result<u64, Told> {
    let mut expected = sections.clone();
    let places = expected.places();
    let writer = writer_for_c(&mut expected.device);
    let memory = expected.for_c(&places, &writer);
    let mut info = relakit_module_info { struct_size: 24, ..poisoned() };
    c!(relakit_module_describe(module, &raw mut info))?;
    let mut values = vec![0; info.symbol_count as usize];
    let mut names = Names::new(choices.salt);
    let (resolver, mut total) = (resolver_for_c(&mut names), 0);
    let (values, count, resolver, total_out) =
        (values.as_mut_ptr(), values.len(), &raw const resolver, &raw mut total);
    let memory = &raw const memory;
    c!(relakit_module_apply_late(module, object, memory, values, count, resolver, total_out))?;
    Ok(total.into())
}
