//! Measures relakit beside other relocation loops and loaders, and writes BENCHMARKS.md and bench/chart.svg.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml [rounds]`

use relakit_bench::{chart, growth, lookup, modules, report, rounds};
use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(20, |rounds| rounds.parse().expect("rounds: a number"));
    let Some(found) = modules::find() else {
        eprintln!("no modules: run bench/fetch, which fetches those of Debian's kernel");
        std::process::exit(3);
    };
    let works = modules::load(found.files);
    eprintln!("{} modules of {}", works.len(), found.source);
    let measured = rounds::measure(works, rounds);
    eprintln!("growth");
    let growth = growth::measure();
    eprintln!("names");
    let text = report::markdown(&measured, &growth, &lookup::measure(rounds), &found.source);
    print!("{text}");
    if !found.is_fetched {
        eprintln!(
            "BENCHMARKS.md and bench/chart.svg are as they were: they are about the modules that bench/fetch fetches"
        );
        return;
    }
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    std::fs::write(root.join("BENCHMARKS.md"), text).expect("BENCHMARKS.md");
    std::fs::write(root.join("bench/chart.svg"), chart::svg(&measured)).expect("bench/chart.svg");
}
