//! The map of one section: a lane for each who writes to it.

use super::links::View;
use super::{bytes, grouped};
use crate::check::picture::{BINS, Lane, LaneKind, Marks, Site, Strip};
use crate::inspect::report::Kind;
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most lanes of a section: more objects are counted.
const LANES: usize = 16;
/// Height of a lane in pixels.
const HEIGHT: u32 = 16;
/// Finding marks that are nearer than this many to the hundred are one.
const NEAR: u64 = 40;

pub(super) fn strip(view: &View<'_>, strip: &Strip) -> Markup {
    let index = strip.section;
    let address = view.picture.placed(index).and_then(|placed| placed.address);
    let sites: BTreeMap<(u64, u64), Vec<&Site>> = by_place(view, index);
    html! {
        article.strip id={ "map-" (index) } {
            h4 {
                (view.section(index)) " "
                span.size {
                    (bytes(strip.size))
                    @if let Some(address) = address { " at " code { (format!("{address:#x}")) } }
                }
                (view.findings_in(index))
            }
            div.lanes {
                div.label aria-hidden="true" {} (ruler(strip.size))
                (flags(view, strip))
                @for lane in strip.lanes.iter().take(LANES) {
                    div.label { (title(view, lane.kind)) " " span.count { (grouped(lane.count)) } }
                    (draw(view, strip, lane, &sites))
                }
            }
            @if strip.lanes.len() > LANES { p { "And relocations for " (strip.lanes.len().saturating_sub(LANES)) " more objects." } }
            @if !strip.rewriters.is_empty() {
                p.rewriters {
                    "Rewritten by "
                    @for (place, (reader, special, count)) in strip.rewriters.iter().enumerate() {
                        @if place != 0 { ", " }
                        code { (reader) } " (" (special) ", " (grouped(*count)) ")"
                    }
                    "."
                }
            }
        }
    }
}

/// The listed relocations of a section by object and offset.
fn by_place<'v>(view: &'v View<'_>, section: u32) -> BTreeMap<(u64, u64), Vec<&'v Site>> {
    let mut sites: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for site in view.picture.sites.iter().filter(|site| site.target == section) {
        sites.entry((site.offset, u64::from(site.size))).or_default().push(site);
    }
    sites
}

fn title(view: &View<'_>, kind: LaneKind) -> String {
    match kind {
        LaneKind::Rewritten => "rewritten".to_owned(),
        LaneKind::Ordinary => "ordinary".to_owned(),
        LaneKind::Early => "early vmlinux".to_owned(),
        LaneKind::Late(number) => {
            let object = view.picture.told.objects.get(number);
            format!("late {}", object.map(|object| object.name.short(40)).unwrap_or_default())
        }
    }
}

/// The class that gives it its colour.
pub(super) const fn class(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Rewritten => "rewritten",
        LaneKind::Ordinary => "ordinary",
        LaneKind::Early => "early",
        LaneKind::Late(_) => "late",
    }
}

fn draw(view: &View<'_>, strip: &Strip, lane: &Lane, sites: &BTreeMap<(u64, u64), Vec<&Site>>) -> Markup {
    let label = format!("{}: {}", title(view, lane.kind), grouped(lane.count));
    let is_of_lane = |site: &&&Site| match lane.kind {
        LaneKind::Rewritten => false,
        LaneKind::Ordinary => site.class == Kind::Ordinary,
        LaneKind::Early => site.class == Kind::KlpEarly,
        LaneKind::Late(number) => {
            let object = view.picture.told.objects.get(number);
            object.is_some_and(|object| object.sections.contains(&site.section))
        }
    };
    let class = class(lane.kind);
    html! {
        svg.lane width="100%" height=(HEIGHT) role="group" aria-label=(label) {
            @match &lane.marks {
                Marks::Each(marks) => @for &(offset, size) in marks {
                    @let here = sites.get(&(offset, size)).into_iter().flatten().find(is_of_lane);
                    (mark(view, strip, here, class, offset, size))
                },
                Marks::Bins(bins) => svg width="100%" height=(HEIGHT) viewBox={ "0 0 " (BINS) " 12" } preserveAspectRatio="none" {
                    title { (label) ", counted in " (BINS) " parts of " (bytes(strip.size.div_ceil(BINS))) }
                    path.(class) d=(columns(bins)) {}
                },
            }
            @for site in sites.values().flatten().filter(|site| site.clash.is_some()).filter(is_of_lane) {
                a href={ "#site-" (site.section) "-" (site.entry) } aria-label={ "too late, at " (format!("{:#x}", site.offset)) } {
                    (bang(&middle(site.offset, site.size.into(), strip.size), 8))
                }
            }
        }
    }
}

fn mark(view: &View<'_>, strip: &Strip, site: Option<&&Site>, class: &str, offset: u64, size: u64) -> Markup {
    let name = site.map(|site| super::tables::symbol_text(view, site)).unwrap_or_default();
    let shape = html! {
        rect.(class) x=(percent(offset, strip.size)) y="2" width=(percent(size, strip.size)) height="12" {
            title { (format!("+{offset:#x}, {size} bytes ")) (name) }
        }
    };
    html! {
        @if let Some(site) = site { a href={ "#site-" (site.section) "-" (site.entry) } { (shape) } }
        @else { (shape) }
    }
}

/// An exclamation mark in a triangle.
pub(super) fn bang(x: &str, y: u32) -> Markup {
    html! {
        svg.over x=(x) y=(y) width="1" height="1" {
            path.clash d="M0-7L7.5 6H-7.5Z" {}
            path.stroke d="M0-3V1.5M0 3.6v.4" {}
        }
    }
}

/// A finding's number on a flag.
pub(super) fn flag(x: &str, text: &str) -> Markup {
    html! {
        svg.over x=(x) y="7" width="1" height="1" {
            circle.flag r="7" {}
            text.number y="3.5" text-anchor="middle" { (text) }
        }
    }
}

/// The findings about places in this section.
fn flags(view: &View<'_>, strip: &Strip) -> Markup {
    let report = view.report;
    let mut places: BTreeMap<u64, (usize, u64, Vec<&str>)> = BTreeMap::new();
    for (number, row) in (1..).zip(report.into_iter().flat_map(|report| &report.findings)) {
        let Some(offset) = row.place.offset.filter(|_| row.place.target == Some(strip.section)) else {
            continue;
        };
        let near = tenths(offset, strip.size).checked_div(u128::from(NEAR).saturating_mul(5)).unwrap_or(0);
        let near = u64::try_from(near).unwrap_or(u64::MAX);
        let (_, _, texts) = places.entry(near).or_insert((number, offset, Vec::new()));
        texts.push(&row.message);
    }
    html! {
        @if !places.is_empty() {
            div.label { "findings" }
            svg.lane width="100%" height=(HEIGHT) role="group" aria-label="findings" {
                @for (number, offset, texts) in places.into_values() {
                    a href={ "#finding-" (number) } {
                        title { (format!("+{offset:#x}: ")) (texts.join("; ")) }
                        (flag(&percent(offset, strip.size), &number.to_string()))
                    }
                }
            }
        }
    }
}

/// Whether a finding speaks of a place in this section.
pub(super) fn has_findings(view: &View<'_>, section: u32) -> bool {
    let findings = view.report.map_or(&[][..], |report| &report.findings);
    findings.iter().any(|row| row.place.target.or(row.place.section) == Some(section))
}

/// Offsets, at distances that are powers of two.
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

/// A column for each part that has something, high where there is much: the square root of the count, so that single
/// ones are seen next to hundreds.
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

/// A share as an SVG length.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part).saturating_mul(100_000).checked_div(whole.into()).unwrap_or(0);
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The middle of a field as an SVG length.
fn middle(offset: u64, size: u64, whole: u64) -> String {
    percent(offset.saturating_mul(2).saturating_add(size), whole.saturating_mul(2))
}

/// A share in parts of ten thousand.
pub(super) fn tenths(part: u64, whole: u64) -> u128 {
    u128::from(part).saturating_mul(10_000).checked_div(whole.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_whole() {
        assert_eq!(percent(0, 7), "0%");
        assert_eq!(percent(7, 7), "100%");
        assert_eq!(percent(1, 3), "33.333%");
        assert_eq!(percent(1, 2000), "0.05%");
        assert_eq!(percent(1, 0), "0%");
        assert_eq!(percent(u64::MAX, u64::MAX), "100%");
    }

    #[test]
    fn columns_are_where_something_is_and_the_highest_where_most_is() {
        assert_eq!(columns(&[0, 1, 0, 25, 100]), "M1 12V11h1V12M3 12V7h1V2h1V12");
        assert_eq!(columns(&[0, 0]), "");
    }
}
