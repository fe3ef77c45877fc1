//! The relocations that matter one by one, and all sections.

use super::links::{View, label};
use super::{grouped, objects, plural};
use crate::check::picture::{Clash, Site};
use crate::errors;
use crate::inspect::report::{Kind, SectionRow};
use maud::{Markup, html};
use relakit::arch;

/// Livepatch relocations, and those that a finding or a fault speaks of.
pub(super) fn relocations(view: &View<'_>) -> Markup {
    let sites = &view.picture.sites;
    let known = sites.iter().any(|site| value(view, site).is_some());
    html! {
        @if !sites.is_empty() {
            section aria-labelledby="relocations" {
                h2 #relocations { "Relocations" }
                p.intro {
                    "Those of livepatch sections, and any other that a finding speaks of."
                    @if view.picture.unlisted != 0 { " " (plural(view.picture.unlisted, "more livepatch relocation")) " not listed." }
                }
                div.scroll {
                    table.filter {
                        thead {
                            tr {
                                th scope="col" { "When" }
                                th scope="col" { "Section" }
                                th.n scope="col" { "Entry" }
                                th scope="col" { "Type" }
                                th scope="col" { "Into" }
                                th scope="col" { "Symbol" }
                                @if known { th.n scope="col" { "Symbol's address" } }
                                th scope="col" { "Notes" }
                            }
                        }
                        tbody { @for site in sites { (relocation(view, site, known)) } }
                    }
                }
            }
        }
    }
}

fn relocation(view: &View<'_>, site: &Site, known: bool) -> Markup {
    let target = view.section_name(site.target);
    let (swatch, when) = match site.class {
        Kind::KlpEarly => ("early", "early"),
        Kind::KlpLate => ("late", "late"),
        _ => ("ordinary", "early"),
    };
    html! {
        tr.clash[site.clash.is_some()] id={ "site-" (site.section) "-" (site.entry) } {
            td { span.swatch.(swatch) {} " " (when) }
            td { (view.section(site.section)) }
            td.n { (site.entry) }
            td { code { (type_text(site.r_type)) } }
            td {
                (view.on_map(site.target, &target).unwrap_or_else(|| html! { span.name { (target) } }))
                "+" code { (format!("{:#x}", site.offset)) }
            }
            td {
                (view.symbol(site.symbol, &symbol_text(view, site)))
                @match site.addend {
                    0 => {},
                    addend @ 1.. => code { "+" (format!("{addend:#x}")) },
                    addend => code { "-" (format!("{:#x}", addend.unsigned_abs())) },
                }
            }
            @if known { td.n { @if let Some(value) = value(view, site) { code { (format!("{value:#x}")) } } } }
            td { (clash(view, site)) (view.findings_of(site)) }
        }
    }
}

fn clash(view: &View<'_>, site: &Site) -> Markup {
    html! {
        @match site.clash {
            Some(Clash::Rewritten(range)) => {
                strong.note.error { "too late: " }
                code { (range.reader) } " rewrites " code { (format!("{:#x}..{:#x}", range.offset, range.offset.saturating_add(range.size))) }
                " for entry " (range.entry) " of " (range.special) ", " (read_at(range.when))
            }
            Some(Clash::Read(name)) => { strong.note.error { "too late: " } (name) " has been read by then" }
            None => {}
        }
        @if site.offset >= view.picture.section(site.target).map_or(u64::MAX, |row| row.size) {
            strong.note.error { "outside of its section" }
        }
    }
}

const fn read_at(at: relakit_linux::special::ReadAt) -> &'static str {
    use relakit_linux::special::ReadAt;
    match at {
        ReadAt::Finalize => "right after the early relocations",
        ReadAt::Formation => "before the state is COMING",
        ReadAt::Coming => "by a notifier of COMING",
        ReadAt::Init => "before init runs",
        ReadAt::OnDemand => "when something asks",
        _ => "while loading",
    }
}

/// The value of its symbol, for the object that it waits for.
fn value(view: &View<'_>, site: &Site) -> Option<u64> {
    let object = view.picture.section(site.section)?.object?;
    view.picture.value(site.symbol, &errors::text(object.0))
}

/// The symbol as people call it.
pub(super) fn symbol_text(view: &View<'_>, site: &Site) -> String {
    let rows = &view.picture.told.klp_symbols;
    let row = rows.binary_search_by_key(&site.symbol, |row| row.index).ok().and_then(|row| rows.get(row));
    match row.and_then(|row| row.symbol.or(row.name)) {
        Some(name) => label(name),
        None => format!("symbol {}", site.symbol),
    }
}

fn type_text(r_type: u32) -> String {
    arch::short_type_name(r_type).map_or_else(|| format!("type {r_type}"), str::to_owned)
}

/// Every section of the file.
pub(super) fn sections(view: &View<'_>) -> Markup {
    let all = &view.picture.told.sections;
    let shown: Vec<_> = all.iter().filter(|row| view.has_row(row.index)).collect();
    let addresses = shown.iter().any(|row| address(view, row.index).is_some());
    html! {
        section aria-labelledby="sections" {
            h2 #sections { "Sections" }
            p.intro { "All of the file, in its order. Flags as readelf has them; o: SHF_RELA_LIVEPATCH." }
            div.scroll {
                table.filter {
                    thead {
                        tr {
                            th.n scope="col" { "Nr" }
                            th scope="col" { "Name" }
                            th scope="col" { "Type" }
                            th scope="col" { "Flags" }
                            th.n scope="col" { "Size" }
                            @if addresses { th.n scope="col" { "Address" } }
                            th.n scope="col" { "Entries" }
                            th scope="col" { "What it is" }
                        }
                    }
                    tbody { @for row in &shown { (section(view, row, addresses)) } }
                }
            }
            @if shown.len() < all.len() { p { "And " (all.len().saturating_sub(shown.len())) " more." } }
        }
    }
}

fn address(view: &View<'_>, index: u32) -> Option<u64> {
    view.picture.placed(index)?.address
}

fn section(view: &View<'_>, row: &SectionRow<'_>, addresses: bool) -> Markup {
    html! {
        tr id={ "section-" (row.index) } {
            td.n { (row.index) }
            th scope="row" {
                @let name = label(row.name);
                @if let Some(link) = view.on_map(row.index, &name) { (link) } @else { span.name { (name) } }
                (view.findings_in(row.index))
            }
            td { (row.type_name) }
            td { code { (row.flag_letters) } }
            td.n { code { (format!("{:#x}", row.size)) } }
            @if addresses { td.n { @if let Some(address) = address(view, row.index) { code { (format!("{address:#x}")) } } } }
            td.n { @if let Some(entries) = row.entries { (grouped(entries)) } }
            td { (what(view, row)) }
        }
    }
}

fn what(view: &View<'_>, row: &SectionRow<'_>) -> Markup {
    let target = || {
        row.target.map(|target| {
            html! { " into " (view.section(target)) }
        })
    };
    let (swatch, text) = match row.class {
        Kind::Ordinary => (Some("ordinary"), "ordinary relocations"),
        Kind::KlpEarly => (Some("early"), "early livepatch relocations"),
        Kind::KlpLate => (Some("late"), "late livepatch relocations"),
        Kind::Skipped => (None, "relocations that are passed over"),
        Kind::Malformed => (None, "malformed"),
        Kind::LegacyArch | Kind::Other => (None, row.reason.text()),
        Kind::NotRelocation if row.special => (None, "special section"),
        Kind::NotRelocation => (None, ""),
    };
    let is_odd = matches!(row.class, Kind::Skipped | Kind::Malformed);
    html! {
        @if let Some(swatch) = swatch { span.swatch.(swatch) {} " " }
        (text)
        @if let Some(object) = row.object.filter(|_| row.class == Kind::KlpLate) { " for " span.name { (object.short(60)) } }
        @if row.class != Kind::NotRelocation { (target().unwrap_or_default()) }
        @if is_odd { ": " (row.reason.text()) }
        @if !row.notes.is_empty() { " " (objects::notes(&row.notes)) }
    }
}
