//! What the livepatch is made for: objects, and the symbols that it looks for in them.

use super::links::{ROWS, View};
use super::plural;
use crate::inspect::report::{Level, Note, ObjectRow, SymbolRow};
use crate::{check::report::Verdict, errors};
use maud::{Markup, html};

pub(super) fn objects(view: &View<'_>) -> Markup {
    let told = &view.picture.told;
    let objects = || told.objects.iter().take(ROWS);
    // Those that belong to no object are in a table of their own.
    let shown: Vec<&SymbolRow<'_>> = told.klp_symbols.iter().take(ROWS).collect();
    let other: Vec<_> = shown.iter().copied().filter(|row| row.object.is_none()).collect();
    html! {
        @if !told.objects.is_empty() || !other.is_empty() {
            section aria-labelledby="objects" {
                h2 #objects { "Objects and their symbols" }
                @for object in objects() {
                    @let symbols: Vec<_> = shown.iter().copied().filter(|row| row.object == Some(object.name)).collect();
                    (card(view, object, &symbols))
                }
                @if !other.is_empty() {
                    article.card {
                        h3 { "Symbols of no object" }
                        p.intro { "Marked or used as livepatch symbols, and not named as such." }
                        (symbols(view, &other, None))
                    }
                }
                @if told.klp_symbols.len() > ROWS { p { "And " (told.klp_symbols.len().saturating_sub(ROWS)) " more symbols." } }
            }
        }
    }
}

fn card(view: &View<'_>, object: &ObjectRow<'_>, rows: &[&SymbolRow<'_>]) -> Markup {
    let name = errors::text(object.name.0);
    let is_vmlinux = object.name.0 == b"vmlinux";
    let steps = view.report.map_or(&[][..], |report| &report.steps);
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
                    @if is_vmlinux { "early: with the ordinary relocations" } @else { "late: when it comes" }
                }
            }
            p {
                (plural(object.relocations, "relocation")) " of " (plural(object.sections.len() as u64, "section")) ", "
                (plural(object.symbols, "symbol"))
                @if !object.sections.is_empty() {
                    ":"
                    @for &index in object.sections.iter().take(40) { " " (view.section(index)) }
                    @if object.sections.len() > 40 { " and " (object.sections.len().saturating_sub(40)) " more" }
                }
            }
            @if !object.not_applied.is_empty() {
                p.warning {
                    "Not applied, though named for it:"
                    @for &index in object.not_applied.iter().take(40) { " " (view.section(index)) }
                }
            }
            @if !events.is_empty() {
                p {
                    @for (number, step) in events {
                        a.chip.(super::verdict::class(step.answer.verdict)) href={ "#event-" (number) } {
                            (step.event) @if step.answer.verdict != Verdict::Accepted { ": " (super::verdict::word(step.answer.verdict)) }
                        } " "
                    }
                }
            }
            (symbols(view, rows, Some(&name)))
        }
    }
}

fn symbols(view: &View<'_>, rows: &[&SymbolRow<'_>], object: Option<&str>) -> Markup {
    let value = |row: &SymbolRow<'_>| view.picture.value(row.index, object?);
    let known = rows.iter().any(|row| value(row).is_some());
    html! {
        @if !rows.is_empty() {
            div.scroll {
                table.filter {
                    thead {
                        tr {
                            th.n scope="col" { "Nr" }
                            th scope="col" { "Symbol" }
                            th.n scope="col" { "Position" }
                            @if known { th.n scope="col" { "Address" } }
                            th scope="col" { "Used by" }
                            th scope="col" { "Notes" }
                        }
                    }
                    tbody {
                        @for row in rows {
                            tr id={ "symbol-" (row.index) } {
                                td.n { (row.index) }
                                th.name scope="row" { (row.symbol.or(row.name).map(super::links::label).unwrap_or_default()) }
                                td.n { @if let Some(position) = row.position { (position_text(position)) } }
                                @if known { td.n { @if let Some(value) = value(row) { code { (format!("{value:#x}")) } } } }
                                td {
                                    @for (place, used) in row.sections.iter().take(12).enumerate() {
                                        @if place != 0 { ", " }
                                        (used.relocations) "\u{d7} " (view.section(used.section))
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

fn position_text(position: u64) -> String {
    match position {
        0 => "the only one".to_owned(),
        position => position.to_string(),
    }
}

/// Notes of `relakit inspect`.
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
