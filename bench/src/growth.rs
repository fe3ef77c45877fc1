//! Synthetic modules of one section, to see how time grows with the number of relocations.

use crate::engines::{ENGINES, Leaves};
use crate::modules::{Job, Work};
use relakit::abi;
use relakit::elf::Rela;
use std::time::Instant;

/// The numbers of relocations.
pub const SIZES: [usize; 7] = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// A section with as many relocations, of the types and in the proportions of a distribution's modules, against a
/// thousand symbols.
fn synthetic(count: usize) -> Work {
    let types =
        [abi::R_X86_64_PC32, abi::R_X86_64_PLT32, abi::R_X86_64_PC32, abi::R_X86_64_64, abi::R_X86_64_32S];
    let values: Vec<u64> = (0..1000).map(|index| 0xffff_ffff_8100_0000 + index * 64).collect();
    let rela = (0..count).flat_map(|index| {
        let mix = index.wrapping_mul(0x9e37_79b9) >> 7;
        let (symbol, r_type) = ((mix % values.len()) as u32, types[mix / 1000 % types.len()]);
        Rela { offset: index as u64 * 12, symbol, r_type, addend: -4 }.to_bytes()
    });
    let file: Vec<u8> = rela.collect();
    let symtab = values.iter().map(|value| [0, *value, 0]).collect();
    let job = Job { rela: 0..file.len(), target: 0..count * 12, address: 0xffff_ffff_c000_0000 };
    Work { jobs: vec![job], pristine: vec![0; count * 12], values, symtab, relocations: count, file }
}

/// Nanoseconds a relocation of `relakit apply`, for each size: the fastest of many runs.
pub fn measure() -> Vec<f64> {
    let apply =
        ENGINES.iter().find(|(name, leaves, _)| *name == "relakit apply" && *leaves == Leaves::Relocated);
    let Some((_, _, apply)) = apply else { return Vec::new() };
    SIZES
        .iter()
        .map(|&size| {
            let work = synthetic(size);
            let mut image = work.pristine.clone();
            let runs = (20_000_000 / size).clamp(5, 2_000);
            let run = |_| {
                image.fill(0);
                let start = Instant::now();
                assert!(apply(&work, &mut image));
                start.elapsed().as_nanos() as f64 / size as f64
            };
            (0..runs).map(run).fold(f64::MAX, f64::min)
        })
        .collect()
}
