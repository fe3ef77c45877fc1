//! relakit, one table against one target.

use crate::modules::{Job, Work};
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, SymtabValues, Values};
use relakit::{Target, View};
use relakit_ffi::{RELAKIT_OK, relakit_symbols, relakit_target};
use std::hint::black_box;
use std::ptr;

type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), relakit::Error>;

fn pass(pass: Pass, work: &Work, job: &Job, values: Values<'_>, image: &mut [u8]) -> bool {
    let Ok(table) = RelaTable::new(&work.file[job.rela.clone()]) else { return false };
    let mut target = Target::new(&mut image[job.target.clone()], job.address);
    pass(table, values, &mut target, RelocFlags::empty()).is_ok()
}

pub fn apply(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| pass(reloc::apply, work, job, Values::Dense(&work.values), image))
}

pub fn apply_symtab(work: &Work, image: &mut [u8]) -> bool {
    // SAFETY: an array of u64 may be read as bytes, because a `u8` may have any value.
    let symtab = unsafe { work.symtab.align_to::<u8>().1 };
    let Ok(symtab) = SymtabValues::new(symtab) else { return false };
    work.jobs.iter().all(|job| pass(reloc::apply, work, job, Values::Symtab(symtab), image))
}

pub fn clear(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().rev().all(|job| pass(reloc::clear, work, job, Values::Dense(&work.values), image))
}

pub fn check(work: &Work, image: &mut [u8]) -> bool {
    let check: Pass =
        |table, values, target, rules| reloc::dry_run(table, values, &mut View::from(target), rules);
    work.jobs.iter().all(|job| pass(check, work, job, Values::Dense(&work.values), image))
}

/// Answers whether every section has failed.
pub fn fail(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| !pass(reloc::apply, work, job, Values::Dense(&work.values), image))
}

pub fn apply_c(work: &Work, image: &mut [u8]) -> bool {
    let symbols = relakit_symbols {
        values: work.values.as_ptr(),
        symtab: ptr::null(),
        count: work.values.len(),
        value: None,
        ctx: ptr::null_mut(),
    };
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
        // SAFETY: the table, the values and the target are slices that live during the call.
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
