//! relakit's loop without its promise: the same checks in the same order, and at a fault it stops where it is. What `apply`
//! takes longer than this is what all-or-nothing costs.

use crate::modules::Work;
use relakit::arch::{R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32};

pub fn apply(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| {
        let (entries, rest) = work.file[job.rela.clone()].as_chunks();
        rest.is_empty() && relocate(entries, &work.values, &mut image[job.target.clone()], job.address)
    })
}

/// By type: the mask of P, and 0 if the field is signed and has 32 bits.
static TYPES: [[u64; 32]; 2] = {
    let (mut masks, mut others) = ([0; 32], [1; 32]);
    masks[R_X86_64_PC32 as usize] = u64::MAX;
    masks[R_X86_64_PLT32 as usize] = u64::MAX;
    masks[R_X86_64_PC64 as usize] = u64::MAX;
    others[R_X86_64_PC32 as usize] = 0;
    others[R_X86_64_PLT32 as usize] = 0;
    others[R_X86_64_32S as usize] = 0;
    [masks, others]
};

/// Answers whether there was no fault.
#[inline(never)]
fn relocate(entries: &[[u8; 24]], values: &[u64], bytes: &mut [u8], address: u64) -> bool {
    let Some(limit) = bytes.len().checked_sub(4) else { return false };
    entries.iter().all(|entry| one(entry, values, bytes, address, limit).is_some())
}

#[inline(always)]
fn one(entry: &[u8; 24], values: &[u64], bytes: &mut [u8], address: u64, limit: usize) -> Option<()> {
    let long = |at: usize| u64::from_le_bytes(*entry[at..].first_chunk().expect("inside"));
    let word = |at: usize| u32::from_le_bytes(*entry[at..].first_chunk().expect("inside"));
    let (r_offset, r_type, r_sym, r_addend) = (long(0), word(8), word(12), long(16));
    let [masks, others] = &TYPES;
    let (mask, is_other) = (masks.get(r_type as usize)?, others.get(r_type as usize)?);
    let sum = values.get(r_sym as usize)?.wrapping_add(r_addend);
    let offset = Some(r_offset as usize).filter(|offset| *offset <= limit)?;
    let value = sum.wrapping_sub(address.wrapping_add(r_offset) & mask);
    let field: &mut [u8; 4] = bytes.get_mut(offset..)?.first_chunk_mut()?;
    let extended = i64::from(value as u32 as i32).cast_unsigned();
    if (extended ^ value) | u64::from(u32::from_le_bytes(*field)) | is_other == 0 {
        *field = (value as u32).to_le_bytes();
        return Some(());
    }
    match r_type {
        R_X86_64_NONE => Some(()),
        R_X86_64_64 | R_X86_64_PC64 => {
            let field: &mut [u8; 8] = bytes.get_mut(offset..)?.first_chunk_mut()?;
            (*field == [0; 8]).then(|| *field = value.to_le_bytes())
        }
        _ => None,
    }
}
