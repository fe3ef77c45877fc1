//! Who is measured: each relocates all sections of a module.

use crate::modules::{Job, Work};
use object::elf::Rela64;
use object::read::elf::Rela as _;
use object::{LittleEndian, pod};
use relakit::Target;
use relakit::elf::RelaTable;
use relakit::reloc::{self, Rules, SymtabValues, Values};
use relakit_ffi::{RELAKIT_OK, relakit_symbols, relakit_target};
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr;

/// Relocates `image`, or clears it; answers whether all went well.
pub type Engine = fn(&Work, &mut [u8]) -> bool;

/// What an engine leaves behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// The relocated image.
    Relocated,
    /// What was there before: it starts with the relocated image.
    Cleared,
    /// The image as it was.
    Untouched,
    /// Nothing that means anything: a floor.
    Nonsense,
}

pub const ENGINES: &[(&str, Leaves, Engine)] = &[
    ("C loop by Linux's rules", Leaves::Relocated, linux_loop),
    ("object + match", Leaves::Relocated, object_match),
    ("relakit apply", Leaves::Relocated, apply),
    ("relakit apply, values in a symbol table", Leaves::Relocated, apply_symtab),
    ("relakit apply through the C ABI", Leaves::Relocated, apply_c),
    ("relakit clear", Leaves::Cleared, clear),
    ("relakit check", Leaves::Untouched, check),
    ("floor: read entry, gather value, store", Leaves::Nonsense, store),
    ("floor: read entry, gather value", Leaves::Nonsense, gather),
    ("floor: read entry", Leaves::Nonsense, stream),
];

unsafe extern "C" {
    fn bench_linux_loop(
        rela: *const c_void,
        count: usize,
        symtab: *const [u64; 3],
        bytes: *mut u8,
        address: u64,
        write: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void,
    ) -> usize;
    fn memcpy(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void;
}

fn linux_loop(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| {
        let rela = &work.file[job.rela.clone()];
        let bytes = &mut image[job.target.clone()];
        // SAFETY: the modules are a distribution's own, and relakit has applied them before.
        let fault = unsafe {
            bench_linux_loop(
                rela.as_ptr().cast(),
                rela.len() / 24,
                work.symtab.as_ptr(),
                bytes.as_mut_ptr(),
                job.address,
                black_box(memcpy),
            )
        };
        fault == 0
    })
}

fn object_match(work: &Work, image: &mut [u8]) -> bool {
    let endian = LittleEndian;
    work.jobs.iter().all(|job| {
        let rela = &work.file[job.rela.clone()];
        let Ok(entries) = pod::slice_from_all_bytes::<Rela64<LittleEndian>>(rela) else { return false };
        let bytes = &mut image[job.target.clone()];
        entries.iter().all(|entry| {
            let Some(s) = work.values.get(entry.r_sym(endian, false) as usize) else { return false };
            let offset = entry.r_offset(endian);
            let sum = s.wrapping_add_signed(entry.r_addend(endian));
            let relative = sum.wrapping_sub(job.address.wrapping_add(offset));
            let (value, size) = match entry.r_type(endian, false).0 {
                0 => return true,
                1 => (sum, 8),
                2 | 4 => (relative, 4),
                10 if u32::try_from(sum).is_ok() => (sum, 4),
                11 if i32::try_from(sum.cast_signed()).is_ok() => (sum, 4),
                24 => (relative, 8),
                _ => return false,
            };
            let Some(field) = bytes.get_mut(offset as usize..).and_then(|tail| tail.get_mut(..size)) else {
                return false;
            };
            if field.iter().any(|byte| *byte != 0) {
                return false;
            }
            field.copy_from_slice(&value.to_le_bytes()[..size]);
            true
        })
    })
}

type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, Rules) -> Result<(), relakit::Error>;

fn pass(pass: Pass, work: &Work, job: &Job, values: Values<'_>, image: &mut [u8]) -> bool {
    let Ok(table) = RelaTable::new(&work.file[job.rela.clone()]) else { return false };
    let mut target = Target::new(&mut image[job.target.clone()], job.address);
    pass(table, values, &mut target, Rules::empty()).is_ok()
}

fn apply(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| pass(reloc::apply, work, job, Values::Dense(&work.values), image))
}

fn apply_symtab(work: &Work, image: &mut [u8]) -> bool {
    // SAFETY: any bytes are bytes.
    let symtab = unsafe { work.symtab.align_to::<u8>().1 };
    let Ok(symtab) = SymtabValues::new(symtab) else { return false };
    work.jobs.iter().all(|job| pass(reloc::apply, work, job, Values::Symtab(symtab), image))
}

fn clear(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().rev().all(|job| pass(reloc::clear, work, job, Values::Dense(&work.values), image))
}

fn check(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| pass(reloc::check, work, job, Values::Dense(&work.values), image))
}

fn apply_c(work: &Work, image: &mut [u8]) -> bool {
    let symbols =
        relakit_symbols { values: work.values.as_ptr(), symtab: ptr::null(), count: work.values.len() };
    // As a C program calls it: not inlined.
    let apply = black_box(relakit_ffi::relakit_apply as unsafe extern "C" fn(_, _, _, _, _, _) -> _);
    work.jobs.iter().all(|job| {
        let rela = &work.file[job.rela.clone()];
        let bytes = &mut image[job.target.clone()];
        let target = relakit_target {
            bytes: bytes.as_mut_ptr().cast(),
            size: bytes.len() as u64,
            address: job.address,
            writer: ptr::null(),
        };
        // SAFETY: everything that is lent is there.
        let status = unsafe {
            apply(
                rela.as_ptr().cast(),
                rela.len(),
                &raw const symbols,
                &raw const target,
                ptr::null(),
                ptr::null_mut(),
            )
        };
        status == RELAKIT_OK
    })
}

fn entries<'w>(work: &'w Work, job: &Job) -> &'w [[u8; 24]] {
    work.file[job.rela.clone()].as_chunks().0
}

fn word(entry: &[u8; 24], at: usize) -> u64 {
    entry.get(at..).and_then(|tail| tail.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

fn stream(work: &Work, _: &mut [u8]) -> bool {
    let mut sum = 0u64;
    for job in &work.jobs {
        for entry in entries(work, job) {
            sum = sum.wrapping_add(word(entry, 0)).wrapping_add(word(entry, 8)).wrapping_add(word(entry, 16));
        }
    }
    black_box(sum) != 1
}

fn gather(work: &Work, _: &mut [u8]) -> bool {
    let (mut sum, values) = (0u64, &work.values[..]);
    for job in &work.jobs {
        for entry in entries(work, job) {
            let value = values.get((word(entry, 8) >> 32) as usize).copied().unwrap_or(0);
            sum = sum.wrapping_add(word(entry, 0)).wrapping_add(value).wrapping_add(word(entry, 16));
        }
    }
    black_box(sum) != 1
}

fn store(work: &Work, image: &mut [u8]) -> bool {
    let values = &work.values[..];
    for job in &work.jobs {
        let bytes = &mut image[job.target.clone()];
        for entry in entries(work, job) {
            // SAFETY: relakit has applied this entry before, so both are inside.
            unsafe {
                let value = *values.get_unchecked((word(entry, 8) >> 32) as usize);
                let value = value.wrapping_add(word(entry, 16)) as u32;
                bytes.as_mut_ptr().add(word(entry, 0) as usize).cast::<u32>().write_unaligned(value);
            }
        }
    }
    true
}
