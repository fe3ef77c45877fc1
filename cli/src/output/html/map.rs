//! The map: the memory layout of the kernel to one scale, then each relocated section to its own
//! scale.

use super::links::Page;
use super::picture::{LaneKind, MappedSection, Region, SectionMap};
use super::section_map::{self, percent};
use super::{bytes, plural};
use crate::view::SectionClass;
use maud::{Markup, html};
use relakit::Group;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Width of a letter of a label, in percent of the map.
const LETTER: f64 = 0.75;

pub(super) fn map(page: &Page<'_>) -> Markup {
    let regions = &page.picture.regions;
    let longest = regions.iter().map(|region| region.size).max().unwrap_or(1);
    let shown: Vec<&SectionMap> =
        page.picture.maps.iter().filter(|map| page.maps.contains(&map.section)).collect();
    let is_plain = |map: &&SectionMap| {
        let has_findings = page.picture.clashes(Some(map.section)).next().is_some();
        !map.is_livepatch() && !has_findings && !section_map::has_findings(page, map.section)
    };
    let (plain, telling): (Vec<&SectionMap>, Vec<&SectionMap>) = shown.into_iter().partition(is_plain);
    let left = page.picture.maps.len().saturating_sub(page.maps.len());
    html! {
        section aria-labelledby="map" {
            h2 #map { "Map" }
            @if regions.is_empty() {
                p.intro { "No section of this module is loaded." }
            } @else {
                p.intro {
                    "The sections in memory"
                    @if page.module.special_sections_of.is_some() { ", in the kernel's layout" }
                    ", all to one scale: the widest row has " (bytes(longest)) "."
                    @if !page.module.objects.is_empty() { " Marks below a row are livepatch relocations." }
                }
                (legend(page))
                div.memory {
                    @for region in regions { (row(page, region, longest)) }
                }
            }
            @if !telling.is_empty() {
                h3 { "Sections with livepatch relocations or findings" }
                p.intro { "Each section has its own scale. A mark is as wide as the field, but wide enough to be visible." }
                @for map in telling { (section_map::map(page, map)) }
            }
            @if !plain.is_empty() {
                details.plain open[plain.len() <= 8] {
                    summary { h3 { (plural(plain.len() as u64, "section")) " with ordinary relocations only" } }
                    @for map in plain { (section_map::map(page, map)) }
                }
            }
            @if left != 0 { p { "And " (plural(left as u64, "section")) " without a map." } }
        }
    }
}

fn legend(page: &Page<'_>) -> Markup {
    let kinds: BTreeSet<&str> = page
        .picture
        .maps
        .iter()
        .flat_map(|map| &map.lanes)
        .map(|lane| section_map::class(lane.kind))
        .collect();
    let sample = |kind: LaneKind, text: &str| {
        let class = section_map::class(kind);
        html! {
            @if kinds.contains(class) {
                li { svg width="26" height="12" aria-hidden="true" { rect.(class) x="2" y="1" width="22" height="10" {} } " " (text) }
            }
        }
    };
    let special = page.module.special_sections.iter().any(|row| page.picture.mapped(row.section).is_some());
    html! {
        ul.legend aria-label="Legend" {
            @if special {
                li { svg width="26" height="12" aria-hidden="true" { rect.special x="2" y="1" width="22" height="10" {} } " special section" }
            }
            (sample(LaneKind::Ordinary, "ordinary relocations"))
            (sample(LaneKind::Early, "early livepatch relocations, applied with the ordinary ones"))
            (sample(LaneKind::Late(0), "late livepatch relocations, applied when the target module is loaded"))
            (sample(LaneKind::Rewritten, "code that readers of special sections rewrite"))
            @if page.picture.clashes(None).next().is_some() {
                li { svg width="26" height="14" aria-hidden="true" { (section_map::bang("50%", 7)) } " late relocation that is too late" }
            }
            @if page.report.is_some_and(|report| !report.findings.is_empty()) {
                li { svg width="26" height="14" aria-hidden="true" { (section_map::flag("50%", "n")) } " finding number n" }
            }
        }
    }
}

fn row(page: &Page<'_>, region: &Region, longest: u64) -> Markup {
    let name = group(region.group);
    let base = region.sections.iter().find_map(|mapped| mapped.address);
    html! {
        div.region {
            div.label {
                strong { (name) } " " span.size { (bytes(region.size)) }
                @if let Some(base) = base { br; code.address { (format!("{base:#x}")) } }
            }
            svg.band width="100%" height="44" role="group" aria-label={ (name) ", " (plural(region.sections.len() as u64, "section")) } {
                @for mapped in &region.sections { (section(page, mapped, longest)) }
                (marks(page, region, longest))
            }
        }
    }
}

fn section(page: &Page<'_>, mapped: &MappedSection, longest: u64) -> Markup {
    let name = page.section_name(mapped.section);
    let (x, width) = (percent(mapped.start, longest), percent(mapped.size, longest));
    let share = mapped.size as f64 * 100.0 / longest as f64;
    let fits = share > name.len() as f64 * LETTER;
    let special = page.module.section(mapped.section).is_some_and(|row| row.special);
    let class = if special { "special" } else { "section" };
    let anchor = if page.maps.contains(&mapped.section) { "map" } else { "section" };
    let shape = html! {
        rect.(class) id={ "at-" (mapped.section) } x=(x) y="1" width=(width) height="30" {
            title { (name) ", section " (mapped.section) ", " (format!("{:#x}", mapped.size)) " bytes" }
        }
        @if fits { svg x=(x) y="0" width=(width) height="32" { text x="5" y="20" { (name) } } }
    };
    html! {
        @if anchor == "map" || page.has_row(mapped.section) {
            a href={ "#" (anchor) "-" (mapped.section) } { (shape) }
        } @else { (shape) }
    }
}

/// Marks for the livepatch relocations of a region.
fn marks(page: &Page<'_>, region: &Region, longest: u64) -> Markup {
    let in_row = |section: u32, offset: u64| {
        let mapped = region.sections.iter().find(|mapped| mapped.section == section)?;
        (offset < mapped.size).then(|| mapped.start.saturating_add(offset))
    };
    let path = |class: SectionClass| {
        let sites = page.picture.sites.iter().filter(|site| site.class == class);
        let places = sites.filter_map(|site| in_row(site.target, site.offset));
        let places: BTreeSet<u128> = places.map(|at| section_map::ten_thousandths(at, longest)).collect();
        places.iter().fold(String::new(), |mut path, at| {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{at} 0v9");
            path
        })
    };
    let clashes: BTreeSet<_> = page
        .picture
        .clashes(None)
        .filter_map(|site| in_row(site.target, site.offset))
        .map(|at| percent(at, longest))
        .collect();
    html! {
        svg x="0" y="34" width="100%" height="9" viewBox="0 0 10000 9" preserveAspectRatio="none" aria-hidden="true" {
            @for (class, kind) in [("early", SectionClass::KlpEarly), ("late", SectionClass::KlpLate)] {
                @let path = path(kind);
                @if !path.is_empty() { path.(class) d=(path) vector-effect="non-scaling-stroke" {} }
            }
        }
        @for x in clashes { (section_map::bang(&x, 37)) }
    }
}

const fn group(group: Option<Group>) -> &'static str {
    match group {
        Some(Group::Text) => "text",
        Some(Group::Rodata) => "read-only data",
        Some(Group::RoAfterInit) => "read-only after init",
        Some(Group::Data) => "data",
        Some(Group::InitText) => "init text",
        Some(Group::InitRodata) => "init read-only data",
        Some(Group::InitData) => "init data",
        None => "per-CPU template",
    }
}
