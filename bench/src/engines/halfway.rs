//! relakit's loop without its promise: the same checks in the same order, and at a fault it stops where it is. What `apply`
//! takes longer than this is what all-or-nothing costs.

use crate::modules::Work;
use relakit::arch::{R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32};
use relakit::elf::Rela;

pub fn apply(work: &Work, image: &mut [u8]) -> bool {
    work.jobs.iter().all(|job| {
        let (entries, rest) = work.file[job.rela.clone()].as_chunks();
        rest.is_empty() && relocate(entries, &work.values, &mut image[job.target.clone()], job.address)
    })
}

enum Common {
    Word32(u32),
    Word64(u64),
}

#[inline(always)]
fn common(entry: &[u8; 24], values: &[u64], address: u64) -> Option<(usize, Common)> {
    const WORD32: u32 = 1 << R_X86_64_PC32 | 1 << R_X86_64_PLT32 | 1 << R_X86_64_32S;
    let Rela { r_offset: offset, r_sym: symbol, r_type, r_addend: addend } = Rela::read(entry);
    let sum = values.get(symbol as usize)?.wrapping_add(addend.cast_unsigned());
    let place = address.wrapping_add(offset);
    let offset = offset as usize;
    if r_type < 32 && WORD32 >> r_type & 1 != 0 {
        let relative = u64::from(r_type >> 3 & 1).wrapping_sub(1);
        let field = i32::try_from(sum.wrapping_sub(place & relative).cast_signed()).ok()?;
        Some((offset, Common::Word32(field.cast_unsigned())))
    } else if r_type == R_X86_64_64 || r_type == R_X86_64_PC64 {
        let relative = 0u64.wrapping_sub(u64::from(r_type >> 4));
        Some((offset, Common::Word64(sum.wrapping_sub(place & relative))))
    } else {
        None
    }
}

fn slot<const SIZE: usize>(bytes: &mut [u8], offset: usize) -> Option<&mut [u8; SIZE]> {
    bytes.get_mut(offset..)?.first_chunk_mut()
}

/// Answers whether there was no fault.
#[inline(never)]
fn relocate(entries: &[[u8; 24]], values: &[u64], bytes: &mut [u8], address: u64) -> bool {
    for entry in entries {
        match common(entry, values, address) {
            Some((offset, Common::Word32(value))) => match slot(bytes, offset) {
                Some(slot) if u32::from_le_bytes(*slot) == 0 => *slot = value.to_le_bytes(),
                _ => return false,
            },
            Some((offset, Common::Word64(value))) => match slot(bytes, offset) {
                Some(slot) if u64::from_le_bytes(*slot) == 0 => *slot = value.to_le_bytes(),
                _ => return false,
            },
            None if Rela::read(entry).r_type == R_X86_64_NONE => {}
            None => return false,
        }
    }
    true
}
