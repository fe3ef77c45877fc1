//! BENCHMARKS.md: what is required and what was measured, tables, and how it was measured.

use crate::demands;
use crate::engines::{APPLY, ENGINES, FLOOR, number};
use crate::growth::Row;
use crate::lookup;
use crate::peers::PEERS;
use crate::rounds::{Measured, Times};
use std::fmt::Write as _;

/// Modules by number of relocations.
pub type Group = (&'static str, usize, usize);
pub const ALL: Group = ("all", 0, usize::MAX);
pub const SMALL: Group = ("< 500", 0, 500);
const GROUPS: [Group; 5] = [
    ALL,
    SMALL,
    ("500 to 5 k", 500, 5_000),
    ("5 k to 50 k", 5_000, 50_000),
    ("over 50 k", 50_000, usize::MAX),
];

impl Measured {
    /// Nanoseconds per relocation, over the modules of a group that both `times` and `also` have a figure for.
    pub fn mean(&self, times: &Times, also: &Times, (_, from, to): Group) -> f64 {
        let (mut time, mut count) = (0.0, 0);
        for ((work, best), also) in self.works.iter().zip(times).zip(also) {
            if (from..to).contains(&work.relocations) && best.is_finite() && also.is_finite() {
                time += best;
                count += work.relocations;
            }
        }
        time / count as f64
    }

    /// How many times as long `times` is as `of`, over the modules that both have a figure for.
    pub fn ratio(&self, times: &Times, of: &Times, group: Group) -> f64 {
        self.mean(times, of, group) / self.mean(of, times, group)
    }

    pub fn engine(&self, name: &str) -> &Times {
        &self.warm[number(name)]
    }

    /// A table of `rows`, and how many times as long each is as each of `bases`.
    fn table(&self, title: &str, rows: &[(&str, &Times)], bases: &[(&str, &Times)]) -> String {
        let mut text = format!("| {title} |");
        GROUPS.iter().for_each(|group| _ = write!(text, " {} |", group.0));
        bases.iter().for_each(|(name, _)| _ = write!(text, " / {name} |"));
        _ = writeln!(text, "\n|---|{}", "--:|".repeat(GROUPS.len() + bases.len()));
        for (name, times) in rows {
            _ = write!(text, "| {name} |");
            for group in GROUPS {
                text.push_str(&cell(self.mean(times, times, group)));
            }
            bases.iter().for_each(|(_, base)| text.push_str(&cell(self.ratio(times, base, ALL))));
            text.push('\n');
        }
        text
    }

    fn loops(&self) -> String {
        let (apply, floor) = (self.engine(APPLY), self.engine(FLOOR));
        let mut rows: Vec<_> =
            ENGINES.iter().zip(&self.warm).map(|(engine, times)| (engine.name, times)).collect();
        rows.splice(2..2, PEERS.iter().zip(&self.peer_loops).map(|(peer, times)| (peer.name, times)));
        self.table(
            "ns per relocation, by number of relocations in the module",
            &rows,
            &[("apply", apply), ("floor", floor)],
        )
    }

    fn cold(&self) -> String {
        let (apply, floor) = (&self.cold[number(APPLY)], &self.cold[number(FLOOR)]);
        let rows: Vec<_> =
            ENGINES.iter().zip(&self.cold).map(|(engine, times)| (engine.name, times)).collect();
        self.table("ns per relocation, with all caches flushed", &rows, &[("apply", apply), ("floor", floor)])
    }

    fn whole(&self) -> String {
        let mut rows = vec![
            ("relakit, early pass without copy", &self.early),
            ("relakit, from the file, with copy", &self.load),
            ("memcpy of the file", &self.copy),
        ];
        rows.splice(2..2, PEERS.iter().zip(&self.peer_loads).map(|(peer, times)| (peer.name, times)));
        self.table("ns per relocation", &rows, &[("early pass", &self.early)])
    }

    /// The module with the most relocations.
    pub fn largest(&self) -> usize {
        (0..self.works.len()).max_by_key(|module| self.works[*module].relocations).unwrap_or(0)
    }

    fn peers(&self) -> String {
        let mut text = String::new();
        for (peer, refused) in PEERS.iter().zip(&self.refused) {
            let count = self.works.len() - refused.values().sum::<usize>();
            _ = write!(text, "- {} loads {count} of {} modules", peer.name, self.works.len());
            for (index, (why, count)) in refused.iter().enumerate() {
                _ = write!(text, "{} {count}: {why}", if index == 0 { "; not" } else { "," });
            }
            _ = writeln!(text, ". {}", peer.how);
        }
        text
    }
}

/// Empty when there is no figure.
fn cell(value: f64) -> String {
    if value.is_finite() { format!(" {value:.2} |") } else { " |".to_owned() }
}

fn growth(rows: &[Row]) -> String {
    let mut text = String::from("| relocations of a section |");
    rows.iter().for_each(|row| _ = write!(text, " {} |", row.relocations));
    _ = writeln!(text, "\n|---|{}", "--:|".repeat(rows.len()));
    type Value = fn(&Row) -> f64;
    let kinds: [(&str, Value); 4] = [
        ("relakit apply, ns per relocation", |row| row.apply),
        ("floor (read entry, gather value, store)", |row| row.floor),
        ("memcpy of the same number of bytes", |row| row.copy),
        ("apply minus floor", |row| row.apply - row.floor),
    ];
    for (name, value) in kinds {
        _ = write!(text, "| {name} |");
        rows.iter().for_each(|row| _ = write!(text, " {:.2} |", value(row)));
        text.push('\n');
    }
    text
}

pub fn markdown(measured: &Measured, rows: &[Row], names: &lookup::Report, source: &str) -> String {
    let relocations: usize = measured.works.iter().map(|work| work.relocations).sum();
    let largest = measured.largest();
    let micros = |times: &Times| times[largest] / 1000.0;
    format!(
        "# Benchmarks\n\nMade by `bench/fetch && cargo run --release --manifest-path bench/Cargo.toml` on {date}: {count} modules \
         of {source},\n{relocations} relocations, the fastest of {rounds} rounds for each module and engine. {cpu}, {rustc}, {cc}.\n\n\
         {demands}\n![nanoseconds per relocation](bench/chart.svg)\n\n\
         ## Relocation loops\n\n{loops}\n## Relocation loops with cold caches\n\n{cold}\n\
         ## Whole modules\n\n{whole}\nThe largest, {name} ({in_it} relocations, {size:.1} MB), takes {load:.0} us from the file to relocated \
         sections.\nThe early pass takes {early:.0} us of them. memcpy of the file takes {copy:.0} us.\n\n\
         ## Growth\n\n{growth}\n{GROWTH}\n## Names\n\n{names}\n## Peers\n\n{peers}\n## How it is measured\n\n{HOW}\n## Instructions\n\n{INSTRUCTIONS}\n{BUDGET}",
        date = output("date", &["+%Y-%m-%d"]),
        count = measured.works.len(),
        rounds = measured.rounds,
        cpu = cpu(),
        rustc = output("rustc", &["--version"]),
        cc = output("cc", &["--version"]).lines().next().unwrap_or("?"),
        demands = demands::markdown(measured, rows, names),
        loops = measured.loops(),
        cold = measured.cold(),
        whole = measured.whole(),
        name = measured.works[largest].name,
        in_it = measured.works[largest].relocations,
        size = measured.works[largest].file.len() as f64 / 1e6,
        load = micros(&measured.load),
        early = micros(&measured.early),
        copy = micros(&measured.copy),
        growth = growth(rows),
        names = names.to_markdown(),
        peers = measured.peers(),
    )
}

const GROWTH: &str = "\
One section and a thousand symbols. One relocation in eight has type 64; the others have type PC32,
PLT32 or 32S at random. Several small sections are measured together, because one is too short for
the clock. With ten relocations the cost of the call shows. If a section does not fit the caches,
the floor grows, because every entry has to come from memory. The last row is the time that relakit
adds to the floor.
";

const HOW: &str = "\
- All engines relocate the same bytes in one process, in turns: each module once per round, and each
  round in another order. Before each run the image is copied again. After each run it is compared
  byte for byte. The time of a module is that of its fastest round. A row is the sum of all modules,
  divided by their relocations. Absolute times depend on the machine; compare ratios of one run.
- relakit checks everything and applies all or nothing. The C loop (`bench/c/loop.c`) does what Linux
  does: it checks no bounds, and an error leaves the module half relocated. `object + match` has
  relakit's checks and is written with the crate `object`. `without rollback` is a copy of relakit's
  loop in the benchmark.
- The floors relocate nothing and check nothing. They show the cost of reading entries, looking
  values up and storing them.
- Whole modules: all loaders resolve names with the same hash map. \"Early pass\" is all of relakit's
  work: reading and checking the file, classes of sections, symbol values, names, relocations. It
  does not include copying the sections. The other loaders copy them.
- Cold caches: entries, values and image are flushed with clflush before each run.
";

const INSTRUCTIONS: &str = "\
callgrind counted these instructions. `bench/budget` counts them again, and fails if a row changes by
2 %. The count of a section includes the call.
";

/// What `bench/budget` has recorded.
pub const BUDGET: &str = include_str!("../budget.txt");

fn output(program: &str, arguments: &[&str]) -> String {
    let output = std::process::Command::new(program).args(arguments).output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name| {
        let value = |line: &str| Some(line.strip_prefix(name)?.split_once(": ")?.1.to_owned());
        info.lines().find_map(value).unwrap_or_else(|| "?".to_owned())
    };
    format!("{} (family {}, model {})", field("model name"), field("cpu family"), field("model\t"))
}
