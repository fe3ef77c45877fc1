//! What is required of the figures, and whether it is so.

use crate::engines::{APPLY, APPLY_C, CHECK, CLEAR, FLOOR, HALFWAY, LINUX};
use crate::growth::{BYTES, Row};
use crate::lookup;
use crate::report::{ALL, BUDGET, SMALL};
use crate::rounds::Measured;
use std::fmt::Write as _;

enum Limit {
    AtLeast(f64),
    AtMost(f64),
}
use Limit::{AtLeast, AtMost};

struct Demand {
    what: &'static str,
    limit: Limit,
    value: f64,
    /// What stands in the way when it is not met.
    bound: String,
}

fn demands(measured: &Measured, growth: &[Row], names: &lookup::Report) -> Vec<Demand> {
    let engine = |name| measured.engine(name);
    let ratio = |times, of| measured.ratio(times, of, ALL);
    let (apply, largest) = (engine(APPLY), measured.largest());
    let (loads, loops) = (&measured.peer_loads, &measured.peer_loops);
    let mut demands = Vec::new();
    let mut demand = |what, limit, value, bound| demands.push(Demand { what, limit, value, bound });
    demand("the C loop by Linux's rules / apply", AtLeast(4.2), ratio(engine(LINUX), apply), of_the_loop());
    demand(
        "the C loop by Linux's rules / apply through the C ABI",
        AtLeast(4.2),
        ratio(engine(LINUX), engine(APPLY_C)),
        of_the_border(measured),
    );
    demand("kmod-loader's loop / apply", AtLeast(4.0), ratio(&loops[0], apply), of_the_loop());
    demand("elf_loader's loop / apply", AtLeast(8.0), ratio(&loops[1], apply), of_the_loop());
    demand(
        "kmod-loader's load / early pass of the whole module",
        AtLeast(8.0),
        ratio(&loads[0], &measured.early),
        of_the_early_pass(measured),
    );
    demand(
        "the largest module, from file to relocated sections / memcpy of the file",
        AtMost(1.15),
        measured.load[largest] / measured.copy[largest],
        of_the_early_pass(measured),
    );
    demand(
        "apply / the same loop stopping half-way",
        AtMost(1.05),
        ratio(apply, engine(HALFWAY)),
        of_a_section(),
    );
    demand("clear / apply", AtMost(1.0), ratio(engine(CLEAR), apply), of_clear_and_check());
    demand("check / apply", AtMost(1.0), ratio(engine(CHECK), apply), of_clear_and_check());
    demand("apply / floor", AtMost(2.1), ratio(apply, engine(FLOOR)), of_the_loop());
    demand(
        "the same, hoped for: the speed of C without checks",
        AtMost(1.5),
        ratio(apply, engine(FLOOR)),
        of_the_loop(),
    );
    demand(
        "apply / floor, modules of less than 500 relocations",
        AtMost(2.7),
        measured.ratio(apply, engine(FLOOR), SMALL),
        of_a_section(),
    );
    demand(
        "apply through the C ABI / apply",
        AtMost(1.03),
        ratio(engine(APPLY_C), apply),
        of_the_border(measured),
    );
    demand(
        "most / least time a relocation, 1000 to what fits the last cache",
        AtMost(1.25),
        spread(growth, 1000),
        of_a_call(growth),
    );
    let [c, sorted, index] = names.of_exports();
    demand("bsearch and strcmp in C / a name in a sorted table", AtLeast(1.0), c / sorted, of_memory());
    demand("a name in a sorted table / with the index", AtLeast(2.5), sorted / index, of_memory());
    demand("making an index, ns a name", AtMost(80.0), names.slowest_build(), of_memory());
    demand("the slowest symbol by name and position, ns", AtMost(1000.0), names.slowest, of_memory());
    demands
}

fn of_memory() -> String {
    "memory: what takes time is reading each name, which is where its string table has it.".to_owned()
}

/// What `bench/budget` has counted for a row.
fn counted(row: &str) -> f64 {
    let figure = |line: &str| {
        line.strip_prefix("| ")?.strip_prefix(row)?.strip_prefix(" | ")?.strip_suffix(" |")?.parse().ok()
    };
    BUDGET.lines().find_map(figure).expect(row)
}

fn of_the_loop() -> String {
    format!(
        "the number of instructions. A relocation takes {:.0} of them, the floor {:.0}. Of a PC32's 32 (rustc 1.95) reading, looking up, \
         adding and storing are 7, the place 4, the type 4, the bounds of the symbol 2 and of the field 5, the range of the value 3, the \
         field that must be zero 2, the loop 5.",
        counted("apply, a relocation"),
        counted("floor: read entry, gather value, store"),
    )
}

fn of_the_early_pass(measured: &Measured) -> String {
    format!(
        "what is not relocating, which takes {:.1} of the early pass's {:.1} ns a relocation. The rest is names, of sections whenever one is \
         classified and of symbols when they are resolved, with the value of every symbol and the answers of the resolver, which all loaders \
         look up in the same map.",
        measured.mean(measured.engine(APPLY), &measured.early, ALL),
        measured.mean(&measured.early, &measured.early, ALL),
    )
}

fn of_a_section() -> String {
    format!(
        "what is done once a section: {:.0} instructions for a section of one relocation, of which the relocation takes {:.0}.",
        counted("apply, a section of 1"),
        counted("apply, a PC32"),
    )
}

fn of_clear_and_check() -> String {
    format!(
        "instructions a relocation: apply {:.1}, clear {:.1}, check {:.1}, which also looks whether fields ascend, because only then \
         reading tells what writing would do.",
        counted("apply, a relocation"),
        counted("clear, a relocation"),
        counted("check, a relocation"),
    )
}

fn of_the_border(measured: &Measured) -> String {
    let sections: usize = measured.works.iter().map(|work| work.jobs.len()).sum();
    let relocations: usize = measured.works.iter().map(|work| work.relocations).sum();
    let call = counted("apply through the C ABI, a section of 1") - counted("apply, a section of 1");
    let all = call * sections as f64 / relocations as f64;
    format!(
        "{call:.0} instructions a call, for pointers that may be anything: NULL, alignment, lengths, overlap. With {:.0} relocations a \
         section that is {all:.1} instructions a relocation, of {:.1}.",
        relocations as f64 / sections as f64,
        counted("apply through the C ABI, a relocation"),
    )
}

fn of_a_call(growth: &[Row]) -> String {
    let call =
        growth.first().zip(growth.get(2)).map_or(0.0, |(ten, thousand)| (ten.apply - thousand.apply) * 10.0);
    format!("the call: about {call:.0} ns, which ten relocations do not outweigh.")
}

/// Most over least time a relocation, of sections from `least` relocations to those that just fit the last cache.
fn spread(growth: &[Row], least: usize) -> f64 {
    let cache = last_cache();
    let fits = |row: &&Row| row.relocations >= least && row.relocations * BYTES <= cache;
    let times = growth.iter().filter(fits).map(|row| row.apply);
    let (least, most) =
        times.fold((f64::MAX, 0.0), |(least, most): (f64, f64), time| (least.min(time), most.max(time)));
    most / least
}

/// Bytes of the last cache; of a usual one where the system does not tell.
fn last_cache() -> usize {
    let size = |index: usize| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().strip_suffix('K')?.parse::<usize>().ok()? << 10)
    };
    (0..8).filter_map(size).max().unwrap_or(8 << 20)
}

/// The table, and below it what stands in the way of those that are not met.
pub fn markdown(measured: &Measured, growth: &[Row], names: &lookup::Report) -> String {
    let mut text = String::from("| required | | measured | met |\n|---|--:|--:|---|\n");
    let mut demands = demands(measured, growth, names);
    // Peers that load none of the modules have no figure.
    demands.retain(|demand| demand.value.is_finite());
    let is_met = |demand: &Demand| match demand.limit {
        AtLeast(limit) => demand.value >= limit,
        AtMost(limit) => demand.value <= limit,
    };
    for demand in &demands {
        let limit = match demand.limit {
            AtLeast(limit) => format!("≥ {limit}"),
            AtMost(limit) => format!("≤ {limit}"),
        };
        let met = if is_met(demand) { "yes" } else { "**no**" };
        _ = writeln!(text, "| {} | {limit} | {:.2} | {met} |", demand.what, demand.value);
    }
    for demand in demands.iter().filter(|demand| !is_met(demand)) {
        _ = write!(text, "\n**{}** is bound by {}\n", demand.what, demand.bound);
    }
    text
}
