//! The tables of relocations and sections.

use super::links::{Page, label};
use super::picture::{Clash, Site};
use super::{grouped, objects, plural};
use crate::view::names::{escaped, read_at};
use crate::view::{SectionClass, SectionRow};
use maud::{Markup, html};
use relakit::arch;

/// Livepatch relocations, and those that an error or a finding is about.
pub(super) fn relocations(page: &Page<'_>) -> Markup {
    let sites = &page.picture.sites;
    let known = sites.iter().any(|site| value(page, site).is_some());
    let columns = [
        Some(("", "When")),
        Some(("", "Section")),
        Some(("n", "Entry")),
        Some(("", "Type")),
        Some(("", "Into")),
        Some(("", "Symbol")),
        known.then_some(("n", "Symbol's address")),
        Some(("", "Notes")),
    ];
    let columns = columns.into_iter().flatten();
    html! {
        @if !sites.is_empty() {
            section aria-labelledby="relocations" {
                h2 #relocations { "Relocations" }
                p.intro {
                    "The livepatch relocations, and the other relocations that an error or a finding is about."
                    @if page.picture.unlisted != 0 { " " (plural(page.picture.unlisted, "more livepatch relocation")) " not listed." }
                }
                div.scroll {
                    table.filter {
                        (super::header(columns))
                        tbody { @for site in sites { (relocation(page, site, known)) } }
                    }
                }
            }
        }
    }
}

fn relocation(page: &Page<'_>, site: &Site, known: bool) -> Markup {
    let target = page.section_name(site.target);
    let (swatch, when) = match site.class {
        SectionClass::KlpEarly => ("early", "early"),
        SectionClass::KlpLate => ("late", "late"),
        _ => ("ordinary", "early"),
    };
    html! {
        tr.clash[site.clash.is_some()] id={ "site-" (site.section) "-" (site.entry) } {
            td { span.swatch.(swatch) {} " " (when) }
            td { (page.section(site.section)) }
            td.n { (site.entry) }
            td { code { (type_text(site.r_type)) } }
            td {
                (page.on_map(site.target, &target).unwrap_or_else(|| html! { span.name { (target) } }))
                "+" code { (format!("{:#x}", site.offset)) }
            }
            td {
                (page.symbol(site.symbol, &symbol_text(page, site)))
                @match site.addend {
                    0 => {},
                    addend @ 1.. => code { "+" (format!("{addend:#x}")) },
                    addend => code { "-" (format!("{:#x}", addend.unsigned_abs())) },
                }
            }
            @if known { td.n { @if let Some(value) = value(page, site) { code { (format!("{value:#x}")) } } } }
            td { (clash(page, site)) (page.findings_of(site)) }
        }
    }
}

fn clash(page: &Page<'_>, site: &Site) -> Markup {
    html! {
        @match site.clash {
            Some(Clash::Rewritten(range)) => {
                strong.note.error { "too late: " }
                code { (range.reader) } " rewrites " code { (format!("{:#x}..{:#x}", range.offset, range.offset.saturating_add(range.size))) }
                " for entry " (range.entry) " of " (range.special) ", " (read_at(range.when))
            }
            Some(Clash::Read(name)) => { strong.note.error { "too late: " } (name) " was read before" }
            None => {}
        }
        @if site.offset >= page.module.section(site.target).map_or(u64::MAX, |row| row.size) {
            strong.note.error { "outside its section" }
        }
    }
}

/// The value of its symbol in its object.
fn value(page: &Page<'_>, site: &Site) -> Option<u64> {
    let object = page.module.section(site.section)?.object?;
    page.picture.value(site.symbol, &escaped(object.0))
}

/// The symbol as people call it.
pub(super) fn symbol_text(page: &Page<'_>, site: &Site) -> String {
    let rows = &page.module.klp_symbols;
    let row = rows.binary_search_by_key(&site.symbol, |row| row.index).ok().and_then(|row| rows.get(row));
    match row.and_then(|row| row.symbol.or(row.name)) {
        Some(name) => label(name),
        None => format!("symbol {}", site.symbol),
    }
}

fn type_text(r_type: u32) -> String {
    arch::short_type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned)
}

pub(super) fn sections(page: &Page<'_>) -> Markup {
    let all = &page.module.sections;
    let shown: Vec<_> = all.iter().filter(|row| page.has_row(row.index)).collect();
    let addresses = shown.iter().any(|row| address(page, row.index).is_some());
    let columns = [
        Some(("n", "Nr")),
        Some(("", "Name")),
        Some(("", "Type")),
        Some(("", "Flags")),
        Some(("n", "Size")),
        addresses.then_some(("n", "Address")),
        Some(("n", "Entries")),
        Some(("", "Content")),
    ];
    let columns = columns.into_iter().flatten();
    html! {
        section aria-labelledby="sections" {
            h2 #sections { "Sections" }
            p.intro {
                "All sections in the order of the file. Flags as in readelf"
                @if all.iter().any(|row| row.flag_letters.contains('o')) { "; o: SHF_RELA_LIVEPATCH" }
                "."
            }
            div.scroll {
                table.filter {
                    (super::header(columns))
                    tbody { @for row in &shown { (section(page, row, addresses)) } }
                }
            }
            @if shown.len() < all.len() { p { "And " (all.len().saturating_sub(shown.len())) " more." } }
        }
    }
}

fn address(page: &Page<'_>, index: u32) -> Option<u64> {
    page.picture.mapped(index)?.address
}

fn section(page: &Page<'_>, row: &SectionRow<'_>, addresses: bool) -> Markup {
    html! {
        tr id={ "section-" (row.index) } {
            td.n { (row.index) }
            th scope="row" {
                @let name = label(row.name);
                @if let Some(link) = page.on_map(row.index, &name) { (link) } @else { span.name { (name) } }
                (page.findings_in(row.index))
            }
            td { (row.type_name) }
            td { code { (row.flag_letters) } }
            td.n { code { (format!("{:#x}", row.size)) } }
            @if addresses { td.n { @if let Some(address) = address(page, row.index) { code { (format!("{address:#x}")) } } } }
            td.n { @if let Some(entries) = row.entries { (grouped(entries)) } }
            td { (what(page, row)) }
        }
    }
}

fn what(page: &Page<'_>, row: &SectionRow<'_>) -> Markup {
    let target = || {
        row.target.map(|target| {
            html! { " into " (page.section(target)) }
        })
    };
    let (swatch, text) = match row.class {
        SectionClass::Ordinary => (Some("ordinary"), "ordinary relocations"),
        SectionClass::KlpEarly => (Some("early"), "early livepatch relocations"),
        SectionClass::KlpLate => (Some("late"), "late livepatch relocations"),
        SectionClass::Skipped => (None, "skipped relocations"),
        SectionClass::Malformed => (None, "malformed"),
        SectionClass::LegacyArch | SectionClass::Other => (None, row.reason.text()),
        SectionClass::NotRelocation if row.special => (None, "special section"),
        SectionClass::NotRelocation => (None, ""),
    };
    let is_odd = matches!(row.class, SectionClass::Skipped | SectionClass::Malformed);
    html! {
        @if let Some(swatch) = swatch { span.swatch.(swatch) {} " " }
        (text)
        @if let Some(object) = row.object.filter(|_| row.class == SectionClass::KlpLate) { " for " span.name { (object.short(60)) } }
        @if row.class != SectionClass::NotRelocation { (target().unwrap_or_default()) }
        @if is_odd { ": " (row.reason.text()) }
        @if !row.notes.is_empty() { " " (objects::notes(&row.notes)) }
    }
}
