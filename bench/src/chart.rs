//! bench/chart.svg: bars, readable on white and on black.

use crate::engines::{APPLY, APPLY_C, FLOOR, LINUX, OBJECT};
use crate::peers::PEERS;
use crate::report::ALL;
use crate::rounds::Measured;
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 190.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
const PANEL: f64 = 44.0;

/// What a bar stands for, which is its colour.
#[derive(Clone, Copy)]
enum Kind {
    Ours,
    Other,
    Floor,
}
use Kind::{Floor, Other, Ours};

type Bar = (&'static str, f64, Kind);

pub fn svg(measured: &Measured) -> String {
    let mean = |times| measured.mean(times, times, ALL);
    let mut loops: Vec<Bar> = vec![
        ("relakit", mean(measured.engine(APPLY)), Ours),
        ("relakit, called from C", mean(measured.engine(APPLY_C)), Ours),
        ("what Linux does, in C", mean(measured.engine(LINUX)), Other),
        (OBJECT, mean(measured.engine(OBJECT)), Other),
        ("floor: no checks", mean(measured.engine(FLOOR)), Floor),
    ];
    let mut loads: Vec<Bar> = vec![("relakit", mean(&measured.load), Ours)];
    for (index, peer) in PEERS.iter().enumerate() {
        loops.push((peer.name, mean(&measured.peer_loops[index]), Other));
        loads.push((peer.name, mean(&measured.peer_loads[index]), Other));
    }
    let panels =
        [("One relocation, in ns", loops), ("A whole module from its file, in ns per relocation", loads)];
    let rows: usize = panels.iter().map(|(_, bars)| bars.len()).sum();
    let height = panels.len() as f64 * PANEL + rows as f64 * ROW + 6.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\">\n<title>Nanoseconds per relocation, shorter is better</title>\n{STYLE}"
    );
    let mut y = 0.0;
    for (title, mut bars) in panels {
        bars.sort_by(|a, b| a.1.total_cmp(&b.1));
        panel(&mut svg, y, title, &bars);
        y += PANEL + bars.len() as f64 * ROW;
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, top: f64, title: &str, bars: &[Bar]) {
    let longest = bars.iter().map(|bar| bar.1).fold(0.0, f64::max);
    _ = writeln!(svg, "<text class=\"title\" x=\"8\" y=\"{:.0}\">{title}</text>", top + 27.0);
    for (index, (name, value, kind)) in bars.iter().enumerate() {
        let y = top + PANEL + index as f64 * ROW;
        let width = (WIDTH - LABELS - 70.0) * value / longest;
        let class = match kind {
            Ours => "ours",
            Other => "other",
            Floor => "floor",
        };
        let base = y + BAR - 3.0;
        _ = writeln!(
            svg,
            "<text class=\"{class}\" x=\"{:.0}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LABELS}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>\n\
             <text class=\"{class}\" x=\"{:.1}\" y=\"{base:.1}\">{value:.2}</text>",
            LABELS - 10.0,
            LABELS + width + 7.0,
        );
    }
}

const STYLE: &str = "\
<style>
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
text.title { font-size: 14px; font-weight: 600 }
text.ours { font-weight: 600 }
text.floor { fill: #59636e }
rect.ours { fill: #0f766e }
rect.other { fill: #a8b1bb }
rect.floor { fill: none; stroke: #a8b1bb; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  text.floor { fill: #9198a1 }
  rect.ours { fill: #2dd4bf }
  rect.other { fill: #656d76 }
  rect.floor { stroke: #656d76 }
}
</style>
";
