//! How often a second the targets run without a fuzzer, in one thread: `cargo run --release --example throughput [seconds]`
//!
//! On the seeds, and on seeds of which some bytes are changed.

mod targets;

use std::path::Path;
use std::time::{Duration, Instant};
use targets::TARGETS;

fn main() {
    let seconds = std::env::args().nth(1).map_or(5, |seconds| seconds.parse().expect("seconds: a number"));
    for (name, run) in TARGETS {
        let inputs = inputs(name);
        let (mut count, start) = (0u64, Instant::now());
        while start.elapsed() < Duration::from_secs(seconds) {
            inputs.iter().for_each(|input| run(input));
            count += inputs.len() as u64;
        }
        let rate = count as f64 / start.elapsed().as_secs_f64();
        println!("{name:<14} {rate:>12.0} a second, {} inputs", inputs.len());
    }
}

/// The seeds of a target, and nineteen changed ones of each.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let seeds = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap()).collect();
    inputs.sort();
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    for seed in 0..inputs.len() {
        for _ in 1..20 {
            let mut input = inputs[seed].clone();
            for _ in 0..next() % 4 {
                let at = next() % input.len().max(1);
                if let Some(byte) = input.get_mut(at) {
                    *byte = next() as u8;
                }
            }
            inputs.push(input);
        }
    }
    inputs
}
