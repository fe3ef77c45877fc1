//! What is required of the figures, and whether it is so.

use crate::engines::{APPLY, APPLY_C, APPLY_SYMTAB, CHECK, CLEAR, FLOOR, HALFWAY, LINUX};
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
    demand("the C loop with Linux's rules / apply", AtLeast(6.2), ratio(engine(LINUX), apply), of_the_loop());
    demand(
        "the C loop with Linux's rules / apply through the C ABI",
        AtLeast(4.2),
        ratio(engine(LINUX), engine(APPLY_C)),
        of_the_border(measured),
    );
    demand("kmod-loader's loop / apply", AtLeast(4.0), ratio(&loops[0], apply), of_the_loop());
    demand("elf_loader's loop / apply", AtLeast(8.0), ratio(&loops[1], apply), of_the_loop());
    demand(
        "kmod-loader's load / early pass of the whole module",
        AtLeast(10.0),
        ratio(&loads[0], &measured.early),
        of_the_early_pass(measured),
    );
    demand(
        "the largest module, from file to relocated sections / memcpy of the file",
        AtMost(1.12),
        measured.load[largest] / measured.copy[largest],
        of_the_early_pass(measured),
    );
    demand(
        "apply / the same loop without rollback",
        AtMost(1.05),
        ratio(apply, engine(HALFWAY)),
        of_a_section(),
    );
    demand("clear / apply", AtMost(1.0), ratio(engine(CLEAR), apply), of_clear_and_check());
    demand("dry run / apply", AtMost(1.06), ratio(engine(CHECK), apply), of_clear_and_check());
    demand(
        "apply with values in a symbol table / apply",
        AtMost(1.1),
        ratio(engine(APPLY_SYMTAB), apply),
        of_a_symbol_table(),
    );
    demand("apply / floor", AtMost(1.7), ratio(apply, engine(FLOOR)), of_the_loop());
    demand("stretch goal: the speed of unchecked C", AtMost(1.5), ratio(apply, engine(FLOOR)), of_the_loop());
    demand(
        "apply / floor, modules with fewer than 500 relocations",
        AtMost(1.8),
        measured.ratio(apply, engine(FLOOR), SMALL),
        of_a_section(),
    );
    demand(
        "apply through the C ABI / apply",
        AtMost(1.04),
        ratio(engine(APPLY_C), apply),
        of_the_border(measured),
    );
    demand(
        "slowest / fastest time per relocation, from 1000 relocations to the size of the second cache",
        AtMost(1.25),
        spread(growth, 1000),
        of_growth(growth),
    );
    let [c, sorted, index] = names.of_exports();
    demand("bsearch and strcmp in C / lookup in a sorted table", AtLeast(1.0), c / sorted, of_lookups());
    demand("lookup in a sorted table / lookup with the index", AtLeast(2.5), sorted / index, of_lookups());
    demand(
        "building an index, per name / bsearch and strcmp in C, per lookup, of 200000 symbols",
        AtMost(0.5),
        names.slowest_build() / names.symbols.first().map_or(f64::NAN, |row| row.time),
        of_an_index(names),
    );
    demand("slowest lookup by name and sympos, ns", AtMost(1000.0), names.slowest, of_lookups());
    demands
}

fn of_lookups() -> String {
    "the comparisons of names: at most log2(n) + 2 in a sorted table of n names, one or two with the index."
        .to_owned()
}

fn of_an_index(names: &lookup::Report) -> String {
    let times: Vec<_> =
        names.builds.iter().map(|build| format!("{:.0} ns for {}", build.time, build.what)).collect();
    format!(
        "instructions, and by memory if there are many names. It takes {:.0} instructions for a name of twelve bytes by offset, {:.0} by \
         pointer, where the end of the name is looked for byte by byte. A name takes {}.",
        counted("building an index, names by offset, per name"),
        counted("building an index, names by pointer, through the C ABI, per name"),
        times.join(", "),
    )
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
        "the number of instructions: {:.0} per relocation, {:.0} for the floor. A PC32 takes 24 (rustc 1.95): reading, lookup, addition and \
         storing 6, the address of the field 3, the bounds of the type, of the symbol and of the field 2 each, the range of the value 2, \
         the branch for type, range and content of the field 4, the loop 3.",
        counted("apply, per relocation"),
        counted("floor: read entry, gather value, store"),
    )
}

fn of_the_early_pass(measured: &Measured) -> String {
    format!(
        "other work. The early pass takes {1:.1} ns per relocation; relocating takes {0:.1} ns of them. The rest checks and classifies \
         sections, and resolves symbols. All loaders look symbols up in the same map.",
        measured.mean(measured.engine(APPLY), &measured.early, ALL),
        measured.mean(&measured.early, &measured.early, ALL),
    )
}

fn of_a_section() -> String {
    format!(
        "the work per section: a section with one relocation takes {:.0} instructions, and the relocation takes {:.0} of them.",
        counted("apply, a section of 1"),
        counted("apply, a PC32"),
    )
}

fn of_a_symbol_table() -> String {
    format!(
        "instructions per relocation: {:.1} with an array, {:.1} with a symbol table. An entry has 24 bytes, and the value 0 may be that of an \
         unresolved symbol.",
        counted("apply, per relocation"),
        counted("apply, values in a symbol table, per relocation"),
    )
}

fn of_clear_and_check() -> String {
    format!(
        "instructions per relocation: apply {:.1}, clear {:.1}, dry run {:.1}. A dry run also checks that fields ascend, because otherwise \
         reading does not show what writing would do.",
        counted("apply, per relocation"),
        counted("clear, per relocation"),
        counted("dry run, per relocation"),
    )
}

fn of_the_border(measured: &Measured) -> String {
    let sections: usize = measured.works.iter().map(|work| work.jobs.len()).sum();
    let relocations: usize = measured.works.iter().map(|work| work.relocations).sum();
    let call = counted("apply through the C ABI, a section of 1") - counted("apply, a section of 1");
    let all = call * sections as f64 / relocations as f64;
    format!(
        "the checks of pointers, which take {call:.0} instructions per call: NULL, alignment, lengths, overlap. With {:.0} relocations per \
         section these are {all:.1} of {:.1} instructions per relocation.",
        relocations as f64 / sections as f64,
        counted("apply through the C ABI, per relocation"),
    )
}

fn of_growth(growth: &[Row]) -> String {
    let rows = growth.iter().map(|row| format!("{:.2} ns with {} relocations", row.floor, row.relocations));
    format!("what limits the floor, which takes {}.", rows.collect::<Vec<_>>().join(", "))
}

/// Most over least time a relocation, of sections from `least` relocations to those that just fit the second cache. The last
/// one may be shared with other virtual machines.
fn spread(growth: &[Row], least: usize) -> f64 {
    let cache = second_cache();
    let fits = |row: &&Row| row.relocations >= least && row.relocations * BYTES <= cache;
    let times = growth.iter().filter(fits).map(|row| row.apply);
    let (least, most) =
        times.fold((f64::MAX, 0.0), |(least, most): (f64, f64), time| (least.min(time), most.max(time)));
    most / least
}

/// Bytes of the second cache; of a usual one where the system does not tell.
fn second_cache() -> usize {
    let read = |index: usize, what: &str| {
        std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{what}")).ok()
    };
    let size = |index: usize| {
        read(index, "level").filter(|level| level.trim() == "2")?;
        Some(read(index, "size")?.trim().strip_suffix('K')?.parse::<usize>().ok()? << 10)
    };
    (0..8).find_map(size).unwrap_or(1 << 20)
}

/// The table, and below it what stands in the way of those that are not met.
pub fn markdown(measured: &Measured, growth: &[Row], names: &lookup::Report) -> String {
    let mut text = String::from("| requirement | limit | measured | met |\n|---|--:|--:|---|\n");
    let mut demands = demands(measured, growth, names);
    // Peers that load none of the modules have no figure.
    demands.retain(|demand| demand.value.is_finite());
    // As it is printed.
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    let is_met = |demand: &Demand| match demand.limit {
        AtLeast(limit) => rounded(demand.value) >= limit,
        AtMost(limit) => rounded(demand.value) <= limit,
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
        _ = write!(text, "\n**{}** is limited by {}\n", demand.what, demand.bound);
    }
    text
}
