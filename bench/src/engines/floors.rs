//! Floors relocate nothing: they show what reading the entries, looking values up and storing cost, without a check and
//! without a look at the type.

use crate::modules::{Job, Work};
use std::hint::black_box;

fn entries<'w>(work: &'w Work, job: &Job) -> &'w [[u8; 24]] {
    work.file[job.rela.clone()].as_chunks().0
}

fn word(entry: &[u8; 24], at: usize) -> u64 {
    entry.get(at..).and_then(|tail| tail.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}

pub fn stream(work: &Work, _: &mut [u8]) -> bool {
    let mut sum = 0u64;
    for job in &work.jobs {
        for entry in entries(work, job) {
            sum = sum.wrapping_add(word(entry, 0)).wrapping_add(word(entry, 8)).wrapping_add(word(entry, 16));
        }
    }
    black_box(sum) != 1
}

pub fn gather(work: &Work, _: &mut [u8]) -> bool {
    let (mut sum, values) = (0u64, &work.values[..]);
    for job in &work.jobs {
        for entry in entries(work, job) {
            let value = values.get((word(entry, 8) >> 32) as usize).copied().unwrap_or(0);
            sum = sum.wrapping_add(word(entry, 0)).wrapping_add(value).wrapping_add(word(entry, 16));
        }
    }
    black_box(sum) != 1
}

pub fn store(work: &Work, image: &mut [u8]) -> bool {
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
