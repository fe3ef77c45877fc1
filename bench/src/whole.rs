//! relakit on whole modules.

use crate::modules::Work;
use crate::names::Names;
use relakit::{Module, Profile};
use std::time::Instant;

/// Nanoseconds of the early pass: the file is read, sections are classified, symbols get their values, names are
/// resolved, everything is relocated. The content of the sections is in `image`, which is relocated where it is.
pub fn early(work: &Work, image: &mut [u8], values: &mut Vec<u64>) -> f64 {
    let mut memory = work.memory(image);
    values.resize(work.values.len(), 0);
    let start = Instant::now();
    let module = Module::parse(&work.file, Profile::LINUX_6_1).expect(&work.name);
    let placed = module.assign(&mut memory[..]).expect(&work.name);
    placed.assume_filled().early(values, &mut Names).expect(&work.name);
    start.elapsed().as_nanos() as f64
}

/// The same with the copy of every section's content before it.
pub fn load(work: &Work, image: &mut [u8], values: &mut Vec<u64>) -> f64 {
    let mut memory = work.memory(image);
    values.resize(work.values.len(), 0);
    let start = Instant::now();
    let module = Module::parse(&work.file, Profile::LINUX_6_1).expect(&work.name);
    let placed = module.assign(&mut memory[..]).expect(&work.name);
    placed.fill().expect(&work.name).early(values, &mut Names).expect(&work.name);
    start.elapsed().as_nanos() as f64
}
