//! The map: memory as the kernel lays it out, all of it to one scale; then each section that is written to, to a scale
//! of its own.

use super::links::View;
use super::strip::{self, percent};
use super::{bytes, plural};
use crate::check::layout::Group;
use crate::check::picture::{Assigned, LaneKind, Region, Strip};
use crate::inspect::report::Kind;
use maud::{Markup, html};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Share of the width, in per cent, that a letter of a label takes.
const LETTER: f64 = 0.75;

pub(super) fn map(view: &View<'_>) -> Markup {
    let regions = &view.picture.regions;
    let longest = regions.iter().map(|region| region.size).max().unwrap_or(1);
    let shown: Vec<&Strip> =
        view.picture.strips.iter().filter(|strip| view.strips.contains(&strip.section)).collect();
    let is_plain = |strip: &&Strip| {
        let has_findings = view.picture.clashes(Some(strip.section)).next().is_some();
        !strip.is_livepatch() && !has_findings && !strip::has_findings(view, strip.section)
    };
    let (plain, telling): (Vec<&Strip>, Vec<&Strip>) = shown.into_iter().partition(is_plain);
    let left = view.picture.strips.len().saturating_sub(view.strips.len());
    html! {
        section aria-labelledby="map" {
            h2 #map { "Map" }
            @if regions.is_empty() {
                p.intro { "No section of this module is kept in memory." }
            } @else {
                p.intro {
                    "The sections as the kernel lays them out, all to one scale: the widest row is " (bytes(longest)) "."
                    " Marks below a row are livepatch relocations."
                }
                (legend(view))
                div.memory {
                    @for region in regions { (row(view, region, longest)) }
                }
            }
            @if !telling.is_empty() {
                h3 { "Sections that livepatch relocations are written to, or that have findings" }
                p.intro { "Each to a scale of its own. A mark is as wide as what is written, but never too narrow to be seen." }
                @for strip in telling { (strip::strip(view, strip)) }
            }
            @if !plain.is_empty() {
                details.plain open[plain.len() <= 8] {
                    summary { h3 { (plural(plain.len() as u64, "section")) " with ordinary relocations only" } }
                    @for strip in plain { (strip::strip(view, strip)) }
                }
            }
            @if left != 0 { p { "And " (plural(left as u64, "section")) " without a map." } }
        }
    }
}

/// What each colour and shape means.
fn legend(view: &View<'_>) -> Markup {
    let kinds: BTreeSet<&str> = view
        .picture
        .strips
        .iter()
        .flat_map(|strip| &strip.lanes)
        .map(|lane| strip::class(lane.kind))
        .collect();
    let sample = |kind: LaneKind, text: &str| {
        let class = strip::class(kind);
        html! {
            @if kinds.contains(class) {
                li { svg width="26" height="12" aria-hidden="true" { rect.(class) x="2" y="1" width="22" height="10" {} } " " (text) }
            }
        }
    };
    let special =
        view.picture.told.special_sections.iter().any(|row| view.picture.placed(row.section).is_some());
    html! {
        ul.legend aria-label="Legend" {
            @if special {
                li { svg width="26" height="12" aria-hidden="true" { rect.special x="2" y="1" width="22" height="10" {} } " section that the kernel knows by name" }
            }
            (sample(LaneKind::Ordinary, "ordinary relocations"))
            (sample(LaneKind::Early, "early livepatch relocations, with the ordinary ones"))
            (sample(LaneKind::Late(0), "late livepatch relocations, when their module comes"))
            (sample(LaneKind::Rewritten, "what readers of special sections rewrite"))
            @if view.picture.clashes(None).next().is_some() {
                li { svg width="26" height="14" aria-hidden="true" { (strip::bang("50%", 7)) } " a late relocation that comes too late" }
            }
            @if view.report.is_some_and(|report| !report.findings.is_empty()) {
                li { svg width="26" height="14" aria-hidden="true" { (strip::flag("50%", "n")) } " finding number n" }
            }
        }
    }
}

/// One kind of memory, with its sections in a row.
fn row(view: &View<'_>, region: &Region, longest: u64) -> Markup {
    let name = group(region.group);
    let base = region.sections.iter().find_map(|placed| placed.address);
    html! {
        div.region {
            div.label {
                strong { (name) } " " span.size { (bytes(region.size)) }
                @if let Some(base) = base { br; code.address { (format!("{base:#x}")) } }
            }
            svg.band width="100%" height="44" role="group" aria-label={ (name) ", " (plural(region.sections.len() as u64, "section")) } {
                @for placed in &region.sections { (section(view, placed, longest)) }
                (marks(view, region, longest))
            }
        }
    }
}

fn section(view: &View<'_>, placed: &Assigned, longest: u64) -> Markup {
    let name = view.section_name(placed.section);
    let (x, width) = (percent(placed.start, longest), percent(placed.size, longest));
    let share = placed.size as f64 * 100.0 / longest as f64;
    let fits = share > name.len() as f64 * LETTER;
    let special = view.picture.section(placed.section).is_some_and(|row| row.special);
    let class = if special { "special" } else { "section" };
    let anchor = if view.strips.contains(&placed.section) { "map" } else { "section" };
    let shape = html! {
        rect.(class) id={ "at-" (placed.section) } x=(x) y="1" width=(width) height="30" {
            title { (name) ", section " (placed.section) ", " (format!("{:#x}", placed.size)) " bytes" }
        }
        @if fits { svg x=(x) y="0" width=(width) height="32" { text x="5" y="20" { (name) } } }
    };
    html! {
        @if anchor == "map" || view.has_row(placed.section) {
            a href={ "#" (anchor) "-" (placed.section) } { (shape) }
        } @else { (shape) }
    }
}

/// Where the livepatch relocations of a region are.
fn marks(view: &View<'_>, region: &Region, longest: u64) -> Markup {
    let place = |section: u32, offset: u64| {
        let placed = region.sections.iter().find(|placed| placed.section == section)?;
        (offset < placed.size).then(|| placed.start.saturating_add(offset))
    };
    let path = |class: Kind| {
        let sites = view.picture.sites.iter().filter(|site| site.class == class);
        let places = sites.filter_map(|site| place(site.target, site.offset));
        let places: BTreeSet<u128> = places.map(|place| strip::tenths(place, longest)).collect();
        places.iter().fold(String::new(), |mut path, place| {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{place} 0v9");
            path
        })
    };
    let clashes: BTreeSet<_> = view
        .picture
        .clashes(None)
        .filter_map(|site| place(site.target, site.offset))
        .map(|place| percent(place, longest))
        .collect();
    html! {
        svg x="0" y="34" width="100%" height="9" viewBox="0 0 10000 9" preserveAspectRatio="none" aria-hidden="true" {
            @for (class, kind) in [("early", Kind::KlpEarly), ("late", Kind::KlpLate)] {
                @let path = path(kind);
                @if !path.is_empty() { path.(class) d=(path) vector-effect="non-scaling-stroke" {} }
            }
        }
        @for x in clashes { (strip::bang(&x, 37)) }
    }
}

const fn group(group: Group) -> &'static str {
    match group {
        Group::Text => "text",
        Group::ReadOnly => "read-only data",
        Group::ReadOnlyAfterInit => "read-only after init",
        Group::Data => "data",
        Group::InitText => "init text",
        Group::InitReadOnly => "init read-only data",
        Group::InitData => "init data",
        Group::Copy => "per-CPU template",
    }
}
