//! The table and the chart.

use crate::Times;
use crate::engines::ENGINES;
use crate::growth::SIZES;
use crate::modules::Work;
use std::fmt::Write as _;

/// Modules by number of relocations.
const GROUPS: [(&str, usize, usize); 5] = [
    ("all", 0, usize::MAX),
    ("< 500", 0, 500),
    ("500 to 5 k", 500, 5_000),
    ("5 k to 50 k", 5_000, 50_000),
    ("over 50 k", 50_000, usize::MAX),
];

/// Nanoseconds a relocation of one engine in one group.
fn mean(works: &[Work], times: &[f64], (_, from, to): (&str, usize, usize)) -> f64 {
    let in_group = |work: &Work| (from..to).contains(&work.relocations);
    let (mut time, mut count) = (0.0, 0);
    for (work, best) in works.iter().zip(times).filter(|(work, _)| in_group(work)) {
        time += best;
        count += work.relocations;
    }
    time / count.max(1) as f64
}

/// An engine's number by the beginning of its name.
fn engine(name: &str) -> usize {
    ENGINES.iter().position(|row| row.0.starts_with(name)).unwrap_or(0)
}

pub fn markdown(works: &[Work], times: &Times, growth: &[f64]) -> String {
    let mut text = String::from("| ns a relocation, by relocations of the module |");
    GROUPS.iter().for_each(|group| _ = write!(text, " {} |", group.0));
    _ = writeln!(text, " C loop / this | this / floor |\n|---|--:|--:|--:|--:|--:|--:|--:|");
    let all = |engine: usize| mean(works, &times[engine], GROUPS[0]);
    let (linux, floor) = (all(engine("C loop")), all(engine("floor: read entry, gather value, store")));
    for (index, (name, ..)) in ENGINES.iter().enumerate() {
        _ = write!(text, "| {name} |");
        GROUPS.iter().for_each(|group| _ = write!(text, " {:.2} |", mean(works, &times[index], *group)));
        _ = writeln!(text, " {:.2} | {:.2} |", linux / all(index), all(index) / floor);
    }
    _ = write!(text, "\n| relocations of one section |");
    SIZES.iter().for_each(|size| _ = write!(text, " {size} |"));
    _ = write!(text, "\n|---|{}\n| relakit apply, ns a relocation |", "--:|".repeat(SIZES.len()));
    growth.iter().for_each(|time| _ = write!(text, " {time:.2} |"));
    text.push('\n');
    text
}

/// A bar for each engine, all modules.
pub fn svg(works: &[Work], times: &Times) -> String {
    const ROW: usize = 26;
    let rows: Vec<_> =
        ENGINES.iter().zip(times).map(|(row, times)| (row.0, mean(works, times, GROUPS[0]))).collect();
    let longest = rows.iter().map(|row| row.1).fold(0.0, f64::max);
    let height = rows.len() * ROW + 40;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"760\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-weight=\"bold\">Nanoseconds a relocation (shorter is faster)</text>\n"
    );
    for (index, (name, time)) in rows.iter().enumerate() {
        let y = 34 + index * ROW;
        let width = 400.0 * time / longest;
        let colour = match name {
            name if name.starts_with("relakit") => "#2a6f97",
            name if name.starts_with("floor") => "#bbb",
            _ => "#c1666b",
        };
        _ = writeln!(
            svg,
            "<text x=\"290\" y=\"{}\" text-anchor=\"end\">{name}</text>\n\
             <rect x=\"300\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{time:.2}</text>",
            y + 14,
            306.0 + width,
            y + 14
        );
    }
    svg.push_str("</svg>\n");
    svg
}
