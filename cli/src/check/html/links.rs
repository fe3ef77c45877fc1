//! Anchors. A link is only written to what is on the page, so that every link leads somewhere.

use crate::check::picture::{Picture, Site, Strip};
use crate::check::report::{Report, SectionMemory};
use crate::inspect::report::Name;
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Most rows of a table, and most maps of sections. Real modules have fewer.
pub(super) const ROWS: usize = 2000;
const STRIPS: usize = 400;
/// Most characters of a name.
pub(super) const NAME: usize = 100;

/// A picture with its report, and what of it is on the page.
pub(super) struct View<'a> {
    pub(super) picture: &'a Picture<'a>,
    pub(super) report: Option<&'a Report>,
    /// Sections that have a row.
    sections: BTreeSet<u32>,
    /// Sections that have a map.
    pub(super) strips: BTreeSet<u32>,
    /// Relocations that have a row.
    sites: BTreeSet<(u32, u64)>,
    /// Findings that speak of a relocation, by their numbers from 1.
    of_site: BTreeMap<(u32, u64), Vec<usize>>,
    /// Those that speak of a section.
    of_section: BTreeMap<u32, Vec<usize>>,
}

impl<'a> View<'a> {
    pub(super) fn new(picture: &'a Picture<'a>, report: Option<&'a Report>) -> Self {
        let (mut of_site, mut of_section) = (BTreeMap::new(), BTreeMap::new());
        for (number, row) in (1..).zip(report.into_iter().flat_map(|report| &report.findings)) {
            let other = row.other.as_ref().map(|(_, place)| place);
            for place in std::iter::once(&row.place).chain(other) {
                if let Some(key) = place.section.zip(place.entry) {
                    of_site.entry(key).or_insert_with(Vec::new).push(number);
                }
                for section in place.section.into_iter().chain(place.target) {
                    let numbers: &mut Vec<_> = of_section.entry(section).or_default();
                    if numbers.last() != Some(&number) {
                        numbers.push(number);
                    }
                }
            }
        }
        let errors = report.into_iter().flat_map(|report| {
            let steps = report.steps.iter().flat_map(|step| &step.answer.errors);
            report.answer.errors.iter().chain(steps)
        });
        let faulty = errors.flat_map(|fault| [fault.place.section, fault.place.target]).flatten();
        let spoken_of: BTreeSet<u32> = of_section.keys().copied().chain(faulty).collect();
        let rows = picture.told.sections.iter().map(|row| row.index);
        let sections = rows.clone().take(ROWS).chain(rows.filter(|row| spoken_of.contains(row))).collect();
        let mut strips: Vec<&Strip> = picture.strips.iter().collect();
        strips.sort_by_key(|strip| (!spoken_of.contains(&strip.section), !strip.is_livepatch()));
        Self {
            picture,
            report,
            sections,
            strips: strips.into_iter().take(STRIPS).map(|strip| strip.section).collect(),
            sites: picture.sites.iter().map(|site| (site.section, site.entry)).collect(),
            of_site,
            of_section,
        }
    }

    /// The module's own name, or else the file's.
    pub(super) fn name(&self) -> String {
        match (self.report, self.picture.told.name) {
            (Some(report), _) => report.name.clone(),
            (None, Some(name)) => name.short(NAME),
            (None, None) => self.picture.told.file.clone(),
        }
    }

    pub(super) fn has_row(&self, section: u32) -> bool {
        self.sections.contains(&section)
    }

    pub(super) fn section_name(&self, index: u32) -> String {
        self.picture.section(index).map(|row| label(row.name)).unwrap_or_default()
    }

    /// A section's name, leading to its row.
    pub(super) fn section(&self, index: u32) -> Markup {
        let name = self.section_name(index);
        html! {
            @if self.has_row(index) { a.name href={ "#section-" (index) } { (name) } }
            @else { span.name { (name) } }
        }
    }

    /// A section's name, leading to its map, or else to where it lies in memory.
    pub(super) fn on_map(&self, index: u32, text: &str) -> Option<Markup> {
        let place = match () {
            () if self.strips.contains(&index) => "map",
            () if self.picture.placed(index).is_some() => "at",
            () => return None,
        };
        Some(html! { a.name href={ "#" (place) "-" (index) } { (text) } })
    }

    /// A symbol's name, leading to the livepatch symbol's row if there is one.
    pub(super) fn symbol(&self, index: u32, text: &str) -> Markup {
        let rows = &self.picture.told.klp_symbols;
        let has_row = rows.binary_search_by_key(&index, |row| row.index).is_ok_and(|row| row < ROWS);
        html! {
            @if has_row { a.name href={ "#symbol-" (index) } { (text) } } @else { span.name { (text) } }
        }
    }

    /// The numbers of the findings about a relocation, each a link.
    pub(super) fn findings_of(&self, site: &Site) -> Markup {
        self.numbers(self.of_site.get(&(site.section, site.entry)))
    }

    /// The numbers of the findings about a section, each a link.
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

    /// Where a finding or a fault is, with links to the tables and to the map.
    pub(super) fn place(&self, place: &SectionMemory) -> Markup {
        let site = place.section.zip(place.entry);
        let on_map = place.target.or(place.section).and_then(|index| self.on_map(index, "on the map"));
        html! {
            @if let Some(index) = place.section {
                "section " (index) " "
                @if self.has_row(index) { (self.section(index)) }
                @else { span.name { (place.section_name.as_deref().unwrap_or_default()) } }
            }
            @if let Some((section, entry)) = site {
                ", "
                @if self.sites.contains(&(section, entry)) { a href={ "#site-" (section) "-" (entry) } { "entry " (entry) } }
                @else { "entry " (entry) }
            }
            @if let Some(r_type) = &place.r_type { " (" code { (r_type) } ")" }
            @if let Some(target) = place.target {
                ", into "
                @if self.has_row(target) { (self.section(target)) }
                @else { span.name { (place.target_name.as_deref().unwrap_or("no section")) } }
                @if let Some(offset) = place.offset { "+" code { (format!("{offset:#x}")) } }
            }
            @if let Some((index, name)) = place.symbol.zip(place.symbol_name.as_deref()) {
                ", symbol " (self.symbol(index, name))
            }
            @if let Some(on_map) = on_map { " \u{2192} " (on_map) }
        }
    }
}

/// A place without a picture: no links.
pub(super) fn plain_place(place: &SectionMemory) -> Markup {
    html! {
        @if let Some(index) = place.section {
            "section " (index) " " span.name { (place.section_name.as_deref().unwrap_or_default()) }
        }
        @if let Some(entry) = place.entry { ", entry " (entry) }
        @if let Some(name) = &place.symbol_name { ", symbol " span.name { (name) } }
    }
}

/// A name, without its middle if it is very long; something to hold on to if it is empty.
pub(super) fn label(name: Name<'_>) -> String {
    match name.0 {
        b"" => "(no name)".to_owned(),
        _ => name.short(NAME),
    }
}
