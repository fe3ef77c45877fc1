//! Synthetic modules, to see how time grows with the number of relocations.

use crate::engines::{APPLY, ENGINES, FLOOR, number};
use crate::modules::{Job, Work};
use relakit::arch::{R_X86_64_32S, R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32};
use relakit::elf::Rela;
use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds per relocation for sections of one size.
pub struct Row {
    pub relocations: usize,
    pub apply: f64,
    pub floor: f64,
    /// A memcpy of the same number of bytes.
    pub copy: f64,
}

/// Bytes of the image a relocation; with the 24 of its entry that is what a pass goes over.
const SPACING: usize = 12;
pub const BYTES: usize = 24 + SPACING;

/// The types of synthetic relocations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Types {
    OnlyPc32,
    /// One in eight is a 64, the others PC32, PLT32 and 32S at random.
    Mixed,
}

/// `sections` sections with `count` relocations each, against a thousand symbols.
pub fn synthetic(count: usize, sections: usize, types: Types) -> Work {
    let values: Vec<u64> = (0..1000).map(|index| 0xffff_ffff_8100_0000 + index * 64).collect();
    let of_32 = [R_X86_64_PC32, R_X86_64_PLT32, R_X86_64_32S];
    let rela = (0..count).flat_map(|index| {
        let mix = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let r_type = match types {
            Types::OnlyPc32 => R_X86_64_PC32,
            Types::Mixed if index / 8 % 8 == 7 => R_X86_64_64,
            Types::Mixed => of_32[mix / 1000 % 3],
        };
        let symbol = (mix % values.len()) as u32;
        Rela { r_offset: (index * SPACING) as u64, r_sym: symbol, r_type, r_addend: -4 }.to_bytes()
    });
    let file = rela.collect::<Vec<u8>>().repeat(sections);
    let job = |section: usize| Job {
        rela: section * count * 24..(section + 1) * count * 24,
        target: section * count * SPACING..(section + 1) * count * SPACING,
        address: 0xffff_ffff_c000_0000,
    };
    Work {
        name: format!("{count} relocations"),
        jobs: (0..sections).map(job).collect(),
        pristine: vec![0; sections * count * SPACING],
        places: Vec::new(),
        symtab: values.iter().map(|value| [0, *value, 0]).collect(),
        values,
        relocations: sections * count,
        file,
    }
}

/// From ten relocations to ten million, the fastest of many runs. So small sections that the clock would be seen are
/// measured several at a time.
pub fn measure() -> Vec<Row> {
    (1..=7).map(|power| row(10usize.pow(power))).collect()
}

fn row(relocations: usize) -> Row {
    let work = synthetic(relocations, 2_000usize.div_ceil(relocations), Types::Mixed);
    let mut image = work.pristine.clone();
    let (from, mut to) = (vec![1u8; work.relocations * BYTES], vec![0u8; work.relocations * BYTES]);
    let runs = (40_000_000 / work.relocations).clamp(5, 5_000);
    let mut row = Row { relocations, apply: f64::MAX, floor: f64::MAX, copy: f64::MAX };
    for _ in 0..runs {
        for (slot, name) in [(&mut row.apply, APPLY), (&mut row.floor, FLOOR)] {
            image.fill(0);
            let start = Instant::now();
            assert!((ENGINES[number(name)].run)(&work, &mut image));
            *slot = slot.min(start.elapsed().as_nanos() as f64 / work.relocations as f64);
        }
        let start = Instant::now();
        black_box(&mut to).copy_from_slice(black_box(&from));
        row.copy = row.copy.min(start.elapsed().as_nanos() as f64 / work.relocations as f64);
    }
    row
}
