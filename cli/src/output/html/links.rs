//! Links inside the page. Each link has a target, because only items on the page are linked.

use super::picture::{Picture, SectionMap, Site};
use crate::simulate::report::Report;
use crate::view::ModuleView;
use crate::view::location::Location;
use crate::view::names::Name;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Most rows of a table, and most maps of sections. Real modules have fewer.
pub(super) const ROWS: usize = 2000;
const MAPS: usize = 400;
/// Most characters of a name.
pub(super) const NAME: usize = 100;

/// The content of the page, and what can be linked to.
pub(super) struct Page<'a> {
    pub(super) module: &'a ModuleView<'a>,
    pub(super) picture: &'a Picture<'a>,
    pub(super) report: Option<&'a Report>,
    /// Sections that have a row.
    sections: BTreeSet<u32>,
    /// Sections that have a map.
    pub(super) maps: BTreeSet<u32>,
    /// Relocations that have a row.
    sites: BTreeSet<(u32, u64)>,
    /// The numbers of the findings about a relocation, counted from 1.
    of_site: BTreeMap<(u32, u64), Vec<usize>>,
    /// The numbers of the findings about a section.
    of_section: BTreeMap<u32, Vec<usize>>,
}

impl<'a> Page<'a> {
    pub(super) fn new(picture: &'a Picture<'a>, report: Option<&'a Report>) -> Self {
        let (mut of_site, mut of_section) = (BTreeMap::new(), BTreeMap::new());
        for (number, row) in (1..).zip(report.into_iter().flat_map(|report| &report.findings)) {
            let other = row.other.as_ref().map(|(_, location)| location);
            for location in std::iter::once(&row.location).chain(other) {
                if let Some(key) = location.section.zip(location.entry) {
                    of_site.entry(key).or_insert_with(Vec::new).push(number);
                }
                for section in location.section.into_iter().chain(location.target) {
                    let numbers: &mut Vec<_> = of_section.entry(section).or_default();
                    if numbers.last() != Some(&number) {
                        numbers.push(number);
                    }
                }
            }
        }
        let predictions = report.into_iter().flat_map(Report::predictions);
        let errors = predictions.flat_map(|prediction| &prediction.errors);
        let with_errors = errors.flat_map(|error| [error.location.section, error.location.target]).flatten();
        let capture: BTreeSet<u32> = of_section.keys().copied().chain(with_errors).collect();
        let rows = picture.module.sections.iter().map(|row| row.index);
        let sections = rows.clone().take(ROWS).chain(rows.filter(|row| capture.contains(row))).collect();
        let mut maps: Vec<&SectionMap> = picture.maps.iter().collect();
        maps.sort_by_key(|map| (!capture.contains(&map.section), !map.is_livepatch()));
        Self {
            module: &picture.module,
            picture,
            report,
            sections,
            maps: maps.into_iter().take(MAPS).map(|map| map.section).collect(),
            sites: picture.sites.iter().map(|site| (site.section, site.entry)).collect(),
            of_site,
            of_section,
        }
    }

    /// The module's name, or else the file's.
    pub(super) fn name(&self) -> String {
        match (self.report, self.module.name) {
            (Some(report), _) => report.name.clone(),
            (None, Some(name)) => name.short(NAME),
            (None, None) => self.module.file.clone(),
        }
    }

    pub(super) fn has_row(&self, section: u32) -> bool {
        self.sections.contains(&section)
    }

    pub(super) fn section_name(&self, index: u32) -> String {
        self.module.section(index).map(|row| label(row.name)).unwrap_or_default()
    }

    /// A section's name, linked to its row.
    pub(super) fn section(&self, index: u32) -> Markup {
        let name = self.section_name(index);
        html! {
            @if self.has_row(index) { a.name href={ "#section-" (index) } { (name) } }
            @else { span.name { (name) } }
        }
    }

    /// A text that is linked to the section's map, or else to the section in the memory layout.
    pub(super) fn on_map(&self, index: u32, text: &str) -> Option<Markup> {
        let place = match () {
            () if self.maps.contains(&index) => "map",
            () if self.picture.mapped(index).is_some() => "at",
            () => return None,
        };
        Some(html! { a.name href={ "#" (place) "-" (index) } { (text) } })
    }

    /// A symbol's name, linked to its row if it is a livepatch symbol.
    pub(super) fn symbol(&self, index: u32, text: &str) -> Markup {
        let rows = &self.module.klp_symbols;
        let has_row = rows.binary_search_by_key(&index, |row| row.index).is_ok_and(|row| row < ROWS);
        html! {
            @if has_row { a.name href={ "#symbol-" (index) } { (text) } } @else { span.name { (text) } }
        }
    }

    /// Links to the findings about a relocation.
    pub(super) fn findings_of(&self, site: &Site) -> Markup {
        self.numbers(self.of_site.get(&(site.section, site.entry)))
    }

    /// Links to the findings about a section.
    pub(super) fn findings_in(&self, section: u32) -> Markup {
        self.numbers(self.of_section.get(&section))
    }

    fn numbers(&self, numbers: Option<&Vec<usize>>) -> Markup {
        let numbers = numbers.map_or(&[][..], |numbers| numbers);
        let findings = self.report.map_or(&[][..], |report| &report.findings);
        html! {
            @for &number in numbers.iter().take(12) {
                @if let Some(row) = number.checked_sub(1).and_then(|place| findings.get(place)) {
                    " "
                    a.badge.(row.severity.name()) href={ "#finding-" (number) } title=(row.message) {
                        span.unseen { "finding " } (number)
                    }
                }
            }
            @if numbers.len() > 12 { " and " (numbers.len().saturating_sub(12)) " more" }
        }
    }

    /// A location, with links to the tables and to the map.
    pub(super) fn location(&self, location: &Location) -> Markup {
        let site = location.section.zip(location.entry);
        let on_map = location.target.or(location.section).and_then(|index| self.on_map(index, "on the map"));
        html! {
            @if let Some(index) = location.section {
                "section " (index) " "
                @if self.has_row(index) { (self.section(index)) }
                @else { span.name { (location.section_name.as_deref().unwrap_or_default()) } }
            }
            @if let Some((section, entry)) = site {
                ", "
                @if self.sites.contains(&(section, entry)) { a href={ "#site-" (section) "-" (entry) } { "entry " (entry) } }
                @else { "entry " (entry) }
            }
            @if let Some(r_type) = &location.r_type { " (" code { (r_type) } ")" }
            @if let Some(target) = location.target {
                ", into "
                @if self.has_row(target) { (self.section(target)) }
                @else { span.name { (location.target_name.as_deref().unwrap_or("no section")) } }
                @if let Some(offset) = location.offset { "+" code { (format!("{offset:#x}")) } }
            }
            @if let Some((index, name)) = location.symbol.zip(location.symbol_name.as_deref()) {
                ", symbol " (self.symbol(index, name))
            }
            @if let Some(on_map) = on_map { " \u{2192} " (on_map) }
        }
    }
}

/// A location without links.
pub(super) fn plain_location(location: &Location) -> Markup {
    html! {
        @if let Some(index) = location.section {
            "section " (index) " " span.name { (location.section_name.as_deref().unwrap_or_default()) }
        }
        @if let Some(entry) = location.entry { ", entry " (entry) }
        @if let Some(name) = &location.symbol_name { ", symbol " span.name { (name) } }
    }
}

/// A shortened name, or a text if the name is empty.
pub(super) fn label(name: Name<'_>) -> String {
    match name.0 {
        b"" => "(no name)".to_owned(),
        _ => name.short(NAME),
    }
}
