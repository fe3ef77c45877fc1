//! A loop with relakit's checks, as one would write it with the `object` crate.

use crate::modules::Work;
use object::elf::Rela64;
use object::read::elf::Rela as _;
use object::{LittleEndian, pod};

pub fn apply(work: &Work, image: &mut [u8]) -> bool {
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
