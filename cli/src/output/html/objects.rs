//! The patched objects, and the symbols that the livepatch uses in them.

use super::links::{Page, ROWS};
use super::plural;
use crate::simulate::report::Verdict;
use crate::view::names::escaped;
use crate::view::{Level, Note, ObjectRow, SymbolRow};
use maud::{Markup, html};

pub(super) fn objects(page: &Page<'_>) -> Markup {
    let module = page.module;
    let objects = || module.objects.iter().take(ROWS);
    // Symbols without an object have their own table.
    let shown: Vec<&SymbolRow<'_>> = module.klp_symbols.iter().take(ROWS).collect();
    let other: Vec<_> = shown.iter().copied().filter(|row| row.object.is_none()).collect();
    html! {
        @if !module.objects.is_empty() || !other.is_empty() {
            section aria-labelledby="objects" {
                h2 #objects { "Objects and their symbols" }
                @for object in objects() {
                    @let symbols: Vec<_> = shown.iter().copied().filter(|row| row.object == Some(object.name)).collect();
                    (card(page, object, &symbols))
                }
                @if !other.is_empty() {
                    article.card {
                        h3 { "Symbols without an object" }
                        p.intro { "Symbols that are marked or used as livepatch symbols, but whose names are not livepatch names." }
                        (symbols(page, &other, None))
                    }
                }
                @if module.klp_symbols.len() > ROWS { p { "And " (module.klp_symbols.len().saturating_sub(ROWS)) " more symbols." } }
            }
        }
    }
}

/// The functions that the livepatch replaces.
pub(super) fn functions(page: &Page<'_>) -> Markup {
    let objects = page.module.patch.iter().flat_map(|patch| &patch.objects);
    let all: Vec<_> =
        objects.flat_map(|object| object.functions.iter().map(move |func| (object, func))).collect();
    let columns = [("", "Object"), ("", "Function"), ("n", "Sympos"), ("", "Replacement")];
    html! {
        @if page.module.patch_made_at_run_time || !all.is_empty() {
            section aria-labelledby="functions" {
                h2 #functions { "Replaced functions" }
                @if page.module.patch_made_at_run_time {
                    p { "The init function makes the list of functions, so the file does not show it." }
                } @else {
                    div.scroll {
                        table {
                            (super::header(columns))
                            tbody {
                                @for (object, func) in all.iter().take(ROWS) {
                                    tr {
                                        td { (object.name()) }
                                        th.name scope="row" { (func.name.map_or_else(|| "NULL".to_owned(), |name| name.short(120))) }
                                        td.n { (sympos_text(func.sympos)) }
                                        td { (func.replacement.map(|name| name.short(120)).unwrap_or_default()) }
                                    }
                                }
                            }
                        }
                    }
                    @if all.len() > ROWS { p { "And " (all.len().saturating_sub(ROWS)) " more functions." } }
                }
            }
        }
    }
}

fn card(page: &Page<'_>, object: &ObjectRow<'_>, rows: &[&SymbolRow<'_>]) -> Markup {
    let name = escaped(object.name.0);
    let is_vmlinux = object.name.0 == b"vmlinux";
    let steps = page.report.map_or(&[][..], |report| &report.steps);
    let events: Vec<_> = (1..)
        .zip(steps)
        .filter(|(_, step)| step.event.split_once(':').is_some_and(|(_, module)| module == name))
        .take(super::findings::LISTED)
        .collect();
    html! {
        article.card.object {
            h3 {
                span.swatch.(if is_vmlinux { "early" } else { "late" }) {} " " span.name { (object.name.short(60)) }
                " " span.says {
                    @if is_vmlinux { "early: with the ordinary relocations" } @else { "late: when it is loaded" }
                }
            }
            p {
                (plural(object.relocations, "relocation")) " of " (plural(object.sections.len() as u64, "section")) ", "
                (plural(object.symbols, "symbol"))
                @if !object.sections.is_empty() {
                    ":"
                    @for &index in object.sections.iter().take(40) { " " (page.section(index)) }
                    @if object.sections.len() > 40 { " and " (object.sections.len().saturating_sub(40)) " more" }
                }
            }
            @if !object.not_applied.is_empty() {
                p.warning {
                    "Named for this object, but not applied:"
                    @for &index in object.not_applied.iter().take(40) { " " (page.section(index)) }
                }
            }
            @if !events.is_empty() {
                p {
                    @for (number, step) in events {
                        a.chip.(super::verdict::class(step.prediction.verdict)) href={ "#event-" (number) } {
                            (step.event) @if step.prediction.verdict != Verdict::Accepted { ": " (super::verdict::word(step.prediction.verdict)) }
                        } " "
                    }
                }
            }
            (symbols(page, rows, Some(&name)))
        }
    }
}

fn symbols(page: &Page<'_>, rows: &[&SymbolRow<'_>], object: Option<&str>) -> Markup {
    let value = |row: &SymbolRow<'_>| page.picture.value(row.index, object?);
    let known = rows.iter().any(|row| value(row).is_some());
    let columns = [
        Some(("n", "Nr")),
        Some(("", "Symbol")),
        Some(("n", "Sympos")),
        known.then_some(("n", "Address")),
        Some(("", "Used by")),
        Some(("", "Notes")),
    ];
    let columns = columns.into_iter().flatten();
    html! {
        @if !rows.is_empty() {
            div.scroll {
                table.filter {
                    (super::header(columns))
                    tbody {
                        @for row in rows {
                            tr id={ "symbol-" (row.index) } {
                                td.n { (row.index) }
                                th.name scope="row" { (row.symbol.or(row.name).map(super::links::label).unwrap_or_default()) }
                                td.n { @if let Some(sympos) = row.sympos { (sympos_text(sympos)) } }
                                @if known { td.n { @if let Some(value) = value(row) { code { (format!("{value:#x}")) } } } }
                                td {
                                    @for (index, used) in row.sections.iter().take(12).enumerate() {
                                        @if index != 0 { ", " }
                                        (used.relocations) "\u{d7} " (page.section(used.section))
                                    }
                                    @if row.sections.len() > 12 { " and " (row.sections.len().saturating_sub(12)) " more" }
                                }
                                td { (notes(&row.notes)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn sympos_text(sympos: u64) -> String {
    match sympos {
        0 => "unique".to_owned(),
        sympos => sympos.to_string(),
    }
}

pub(super) fn notes(notes: &[Note]) -> Markup {
    html! {
        @for note in notes {
            span class=(match note.level { Level::Info => "note info", Level::Warning => "note warning", Level::Error => "note error" }) {
                (note.text)
            }
            " "
        }
    }
}
