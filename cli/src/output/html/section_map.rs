//! The map of one section, with a lane for each kind of writer.

use super::links::Page;
use super::picture::{BINS, Lane, LaneKind, Marks, SectionMap, Site};
use super::{bytes, grouped};
use crate::view::SectionClass;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most lanes of a section. Further objects are counted.
const LANES: usize = 16;
/// Height of a lane in pixels.
const HEIGHT: u32 = 16;
/// Findings in the same one of this many parts of a section share a mark.
const PARTS: u128 = 50;

pub(super) fn map(page: &Page<'_>, map: &SectionMap) -> Markup {
    let index = map.section;
    let address = page.picture.mapped(index).and_then(|mapped| mapped.address);
    let sites: BTreeMap<(u64, u64), Vec<&Site>> = by_field(page, index);
    html! {
        article.section-map id={ "map-" (index) } {
            h4 {
                (page.section(index)) " "
                span.size {
                    (bytes(map.size))
                    @if let Some(address) = address { " at " code { (format!("{address:#x}")) } }
                }
                (page.findings_in(index))
            }
            div.lanes {
                div.label aria-hidden="true" {} (ruler(map.size))
                (flags(page, map))
                @for lane in map.lanes.iter().take(LANES) {
                    div.label { (title(page, lane.kind)) " " span.count { (grouped(lane.count)) } }
                    (draw(page, map, lane, &sites))
                }
            }
            @if map.lanes.len() > LANES { p { "And relocations for " (map.lanes.len().saturating_sub(LANES)) " more objects." } }
            @if !map.rewriters.is_empty() {
                p.rewriters {
                    "Rewritten by "
                    @for (index, (reader, special, count)) in map.rewriters.iter().enumerate() {
                        @if index != 0 { ", " }
                        code { (reader) } " (" (special) ", " (grouped(*count)) ")"
                    }
                    "."
                }
            }
        }
    }
}

/// The listed relocations of a section, by offset and size.
fn by_field<'v>(page: &'v Page<'_>, section: u32) -> BTreeMap<(u64, u64), Vec<&'v Site>> {
    let mut sites: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for site in page.picture.sites.iter().filter(|site| site.target == section) {
        sites.entry((site.offset, u64::from(site.size))).or_default().push(site);
    }
    sites
}

fn title(page: &Page<'_>, kind: LaneKind) -> String {
    match kind {
        LaneKind::Rewritten => "rewritten".to_owned(),
        LaneKind::Ordinary => "ordinary".to_owned(),
        LaneKind::Early => "early vmlinux".to_owned(),
        LaneKind::Late(number) => {
            let object = page.module.objects.get(number);
            format!("late {}", object.map(|object| object.name.short(40)).unwrap_or_default())
        }
    }
}

/// The CSS class. It determines the colour.
pub(super) const fn class(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Rewritten => "rewritten",
        LaneKind::Ordinary => "ordinary",
        LaneKind::Early => "early",
        LaneKind::Late(_) => "late",
    }
}

fn draw(page: &Page<'_>, map: &SectionMap, lane: &Lane, sites: &BTreeMap<(u64, u64), Vec<&Site>>) -> Markup {
    let label = format!("{}: {}", title(page, lane.kind), grouped(lane.count));
    let is_of_lane = |site: &&&Site| match lane.kind {
        LaneKind::Rewritten => false,
        LaneKind::Ordinary => site.class == SectionClass::Ordinary,
        LaneKind::Early => site.class == SectionClass::KlpEarly,
        LaneKind::Late(number) => {
            let object = page.module.objects.get(number);
            object.is_some_and(|object| object.sections.contains(&site.section))
        }
    };
    let class = class(lane.kind);
    html! {
        svg.lane width="100%" height=(HEIGHT) role="group" aria-label=(label) {
            @match &lane.marks {
                Marks::Each(marks) => @for &(offset, size) in marks {
                    @let here = sites.get(&(offset, size)).into_iter().flatten().find(is_of_lane);
                    (mark(page, map, here, class, offset, size))
                },
                Marks::Bins(bins) => svg width="100%" height=(HEIGHT) viewBox={ "0 0 " (BINS) " 12" } preserveAspectRatio="none" {
                    title { (label) ", counted in " (BINS) " parts of " (bytes(map.size.div_ceil(BINS))) }
                    path.(class) d=(columns(bins)) {}
                },
            }
            @for site in sites.values().flatten().filter(|site| site.clash.is_some()).filter(is_of_lane) {
                a href={ "#site-" (site.section) "-" (site.entry) } aria-label={ "too late, at " (format!("{:#x}", site.offset)) } {
                    (bang(&middle(site.offset, site.size.into(), map.size), 8))
                }
            }
        }
    }
}

fn mark(
    page: &Page<'_>,
    map: &SectionMap,
    site: Option<&&Site>,
    class: &str,
    offset: u64,
    size: u64,
) -> Markup {
    let name = site.map(|site| super::tables::symbol_text(page, site)).unwrap_or_default();
    let shape = html! {
        rect.(class) x=(percent(offset, map.size)) y="2" width=(percent(size, map.size)) height="12" {
            title { (format!("+{offset:#x}, {size} bytes ")) (name) }
        }
    };
    html! {
        @if let Some(site) = site { a href={ "#site-" (site.section) "-" (site.entry) } { (shape) } }
        @else { (shape) }
    }
}

/// A triangle with an exclamation mark.
pub(super) fn bang(x: &str, y: u32) -> Markup {
    html! {
        svg.over x=(x) y=(y) width="1" height="1" {
            path.clash d="M0-7L7.5 6H-7.5Z" {}
            path.stroke d="M0-3V1.5M0 3.6v.4" {}
        }
    }
}

/// The number of a finding, in a circle.
pub(super) fn flag(x: &str, text: &str) -> Markup {
    html! {
        svg.over x=(x) y="7" width="1" height="1" {
            circle.flag r="7" {}
            text.number y="3.5" text-anchor="middle" { (text) }
        }
    }
}

/// The findings about this section.
fn flags(page: &Page<'_>, map: &SectionMap) -> Markup {
    let report = page.report;
    let mut marks: BTreeMap<u128, (usize, u64, Vec<&str>)> = BTreeMap::new();
    for (number, row) in (1..).zip(report.into_iter().flat_map(|report| &report.findings)) {
        let Some(offset) = row.location.offset.filter(|_| row.location.target == Some(map.section)) else {
            continue;
        };
        let part = ten_thousandths(offset, map.size).checked_div(10_000 / PARTS).unwrap_or(0);
        let (_, _, texts) = marks.entry(part).or_insert((number, offset, Vec::new()));
        texts.push(&row.message);
    }
    html! {
        @if !marks.is_empty() {
            div.label { "findings" }
            svg.lane width="100%" height=(HEIGHT) role="group" aria-label="findings" {
                @for (number, offset, texts) in marks.into_values() {
                    a href={ "#finding-" (number) } {
                        title { (format!("+{offset:#x}: ")) (texts.join("; ")) }
                        (flag(&percent(offset, map.size), &number.to_string()))
                    }
                }
            }
        }
    }
}

/// Whether a finding is about this section.
pub(super) fn has_findings(page: &Page<'_>, section: u32) -> bool {
    let findings = page.report.map_or(&[][..], |report| &report.findings);
    findings.iter().any(|row| row.location.target.or(row.location.section) == Some(section))
}

/// A scale with offsets that are multiples of a power of two.
fn ruler(size: u64) -> Markup {
    let step = size.div_ceil(5).checked_next_power_of_two().unwrap_or(1 << 63).max(1);
    let ticks =
        std::iter::successors(Some(0u64), |tick| tick.checked_add(step)).take_while(|&tick| tick < size);
    html! {
        svg.ruler width="100%" height="16" aria-hidden="true" {
            line x1="0" x2="100%" y1="15.5" y2="15.5" {}
            @for tick in ticks {
                @let x = percent(tick, size);
                line x1=(x) x2=(x) y1="10" y2="16" {}
                svg x=(x) width="9%" height="14" { text x="3" y="10" { (format!("{tick:#x}")) } }
            }
        }
    }
}

/// A column for each part with relocations. Its height is the square root of their number, so that
/// single ones are visible next to hundreds.
fn columns(bins: &[u32]) -> String {
    let most = bins.iter().copied().max().unwrap_or(1).max(1);
    let mut path = String::new();
    let mut open = false;
    for (bin, &count) in bins.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = match (count, open) {
            (0, false) => Ok(()),
            (0, true) => write!(path, "V12"),
            _ => {
                let height = (10.0 * (f64::from(count) / f64::from(most)).sqrt()).max(1.0);
                let start = if open { String::new() } else { format!("M{bin} 12") };
                write!(path, "{start}V{:.0}h1", 12.0 - height)
            }
        };
        open = count != 0;
    }
    path + if open { "V12" } else { "" }
}

/// `part` of `whole`, as an SVG length.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part).saturating_mul(100_000).checked_div(whole.into()).unwrap_or(0);
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The middle of a field as an SVG length.
fn middle(offset: u64, size: u64, whole: u64) -> String {
    percent(offset.saturating_mul(2).saturating_add(size), whole.saturating_mul(2))
}

pub(super) fn ten_thousandths(part: u64, whole: u64) -> u128 {
    u128::from(part).saturating_mul(10_000).checked_div(whole.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_three_digits_at_most() {
        assert_eq!(percent(0, 7), "0%");
        assert_eq!(percent(7, 7), "100%");
        assert_eq!(percent(1, 3), "33.333%");
        assert_eq!(percent(1, 2000), "0.05%");
        assert_eq!(percent(1, 0), "0%");
        assert_eq!(percent(u64::MAX, u64::MAX), "100%");
    }

    #[test]
    fn the_highest_column_has_the_most_relocations() {
        assert_eq!(columns(&[0, 1, 0, 25, 100]), "M1 12V11h1V12M3 12V7h1V2h1V12");
        assert_eq!(columns(&[0, 0]), "");
    }
}
