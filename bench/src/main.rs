//! Measures relocation loops side by side: all engines on the same bytes in one process, interleaved, each module once a
//! round; of each module and engine the fastest round counts.

mod engines;
mod growth;
mod modules;
mod report;

use engines::{ENGINES, Leaves};
use modules::Work;
use std::path::PathBuf;
use std::time::Instant;

/// Nanoseconds of the fastest round, by engine and module.
pub type Times = Vec<Vec<f64>>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(9, |rounds| rounds.parse().expect("rounds: a number"));
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench-modules"));
    if !folder.join("done").exists() {
        eprintln!("no modules in {}: run bench/fetch", folder.display());
        std::process::exit(3);
    }
    let package = std::fs::read_to_string(folder.join("done")).unwrap_or_default();
    let mut works = Vec::new();
    modules::load(&folder, &mut works);
    let relocations: usize = works.iter().map(|work| work.relocations).sum();
    eprintln!("{} modules, {relocations} relocations, {rounds} rounds", works.len());

    let relocated: Vec<_> = works.iter().map(relocate).collect();
    let mut times = vec![vec![f64::MAX; works.len()]; ENGINES.len()];
    let mut image = Vec::new();
    for round in 0..rounds {
        eprint!("\rround {}", round + 1);
        for (module, work) in works.iter().enumerate() {
            measure(work, &relocated[module], &mut image, round, |engine, time| {
                times[engine][module] = times[engine][module].min(time);
            });
        }
    }
    eprintln!();
    eprintln!("growth");
    let growth = growth::measure();
    let table = report::markdown(&works, &times, &growth);
    print!("{table}");
    let text = format!(
        "# Benchmarks\n\nMade by `cargo run --release --manifest-path bench/Cargo.toml` on {}: {} modules of {}, {relocations} \
         relocations,\nthe fastest of {rounds} rounds of each module and engine. {}, {}.\n\n\
         ![nanoseconds a relocation](bench/chart.svg)\n\n{table}\n{NOTES}",
        output("date", &["+%Y-%m-%d"]),
        works.len(),
        package.trim(),
        cpu(),
        output("rustc", &["--version"]),
    );
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    std::fs::write(root.join("BENCHMARKS.md"), text).expect("BENCHMARKS.md");
    std::fs::write(root.join("bench/chart.svg"), report::svg(&works, &times)).expect("bench/chart.svg");
}

/// What stands below the tables.
const NOTES: &str = "\
- All engines run on the same bytes in one process, interleaved, each module once a round; the image is copied anew before each, and
  what relocates must agree byte for byte. Absolute figures move with the machine, the ratios in one run hold.
- relakit checks everything and is all or nothing; the C loop (`bench/c/loop.c`) does what Linux does, without bounds, and stops
  half-way. `object + match` has relakit's checks, written as one would write them with that crate.
- The floors relocate nothing: they show what reading the entries, looking the values up and storing cost.
- Through the C ABI a section costs some 170 instructions more: it shows in small modules, whose sections have a handful of relocations.
";

fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|part| part.1));
    name.unwrap_or("unknown processor").to_owned()
}

/// Runs every engine once, each round another one first. Those that relocate must agree byte for byte.
fn measure(
    work: &Work,
    relocated: &[u8],
    image: &mut Vec<u8>,
    round: usize,
    mut told: impl FnMut(usize, f64),
) {
    for turn in 0..ENGINES.len() {
        let number = (turn + round) % ENGINES.len();
        let (name, leaves, engine) = ENGINES[number];
        let (before, after) = match leaves {
            Leaves::Relocated => (&work.pristine[..], Some(relocated)),
            Leaves::Cleared => (relocated, Some(&work.pristine[..])),
            Leaves::Untouched => (&work.pristine[..], Some(&work.pristine[..])),
            Leaves::Nonsense => (&work.pristine[..], None),
        };
        image.clear();
        image.extend_from_slice(before);
        let start = Instant::now();
        let went_well = engine(work, image);
        told(number, start.elapsed().as_nanos() as f64);
        assert!(went_well, "{name}");
        assert!(after.is_none_or(|after| after == image), "{name}: other bytes");
    }
}

/// The image as the first engine relocates it.
fn relocate(work: &Work) -> Vec<u8> {
    let mut image = work.pristine.clone();
    assert!((ENGINES[0].2)(work, &mut image));
    image
}
