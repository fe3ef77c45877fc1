//! The load as a list of steps, with the special sections and the relocations of each.

use super::links::Page;
use super::picture::{Phase, Read};
use super::verdict::{class, word};
use super::{bytes, grouped, plural};
use crate::simulate::report::Prediction;
use crate::view::{SectionClass, SpecialRow};
use maud::{Markup, html};

/// Most relocation sections that a step lists.
const LISTED: usize = 60;

/// The steps of Linux. ELF has none.
pub(super) fn load(page: &Page<'_>) -> Markup {
    let livepatch = page.module.livepatch;
    let Some(kernel) = &page.module.special_sections_of else { return Markup::default() };
    html! {
        section aria-labelledby="load" {
            h2 #load { "Load, step by step" }
            p.intro { "The steps of Linux " (kernel) ": what each step reads, and which relocations it applies." }
            ol.phases {
                @for (number, phase) in (1..).zip(&page.picture.phases) {
                    @if phase.id == "finalize" {
                        li.barrier {
                            "All early relocations are written. The following steps read special sections. A late relocation of these sections, or of the code that they rewrite, is too late."
                        }
                    }
                    (step(page, number, phase, livepatch))
                }
            }
        }
    }
}

fn step(page: &Page<'_>, number: usize, phase: &Phase, livepatch: bool) -> Markup {
    let object = phase.object.and_then(|number| page.module.objects.get(number));
    let ends = page.report.map(|report| &report.load).filter(|prediction| is_end(phase, prediction));
    let anchor = match phase.object {
        Some(object) => format!("phase-late-{object}"),
        None => format!("phase-{}", phase.id),
    };
    html! {
        li.phase.(ends.map(|prediction| class(prediction.verdict)).unwrap_or_default()) id=(anchor) {
            h3 {
                span.number { (number) } " "
                @if let Some(object) = object { span.name { (object.name.short(60)) } " is loaded" } @else { (phase.title) }
                @if !phase.functions.is_empty() { " " code.functions { (phase.functions) } }
            }
            @if let Some(prediction) = ends {
                p.end {
                    strong { (word(prediction.verdict)) @if let Some(errno) = prediction.errno { " with " (errno) } " here." }
                    @if let Some(message) = &prediction.message { " " code.message { (message) } }
                }
            }
            @for says in &phase.says { p { (says) } }
            (applies(page, phase))
            (reads(page, &phase.reads, livepatch))
        }
    }
}

/// Whether the load ends in this step. The page shows events separately.
fn is_end(phase: &Phase, prediction: &Prediction) -> bool {
    phase.object.is_none() && prediction.phase.is_some_and(|end| phase.ends.contains(&end))
}

fn applies(page: &Page<'_>, phase: &Phase) -> Markup {
    let rows: Vec<_> = phase.applies.iter().filter_map(|&index| page.module.section(index)).collect();
    let ordinary = rows.iter().filter(|row| row.class == SectionClass::Ordinary);
    let (sections, relocations) = ordinary.fold((0u64, 0u64), |(sections, relocations), row| {
        (sections.saturating_add(1), relocations.saturating_add(row.entries.unwrap_or(0)))
    });
    let livepatch: Vec<_> = rows.iter().filter(|row| row.class != SectionClass::Ordinary).collect();
    html! {
        @if !rows.is_empty() {
            ul.applies {
                @if sections != 0 {
                    li { span.swatch.ordinary {} " " (plural(relocations, "ordinary relocation")) " of " (plural(sections, "section")) }
                }
                @for row in livepatch.iter().take(LISTED) {
                    li {
                        span.swatch.(if row.class == SectionClass::KlpLate { "late" } else { "early" }) {} " "
                        (plural(row.entries.unwrap_or(0), "relocation")) " of " (page.section(row.index))
                        @if let Some(target) = row.target {
                            " into " (page.on_map(target, &page.section_name(target)).unwrap_or_else(|| page.section(target)))
                        }
                    }
                }
                @if livepatch.len() > LISTED { li { "and " (livepatch.len().saturating_sub(LISTED)) " more sections" } }
            }
        }
    }
}

fn reads(page: &Page<'_>, reads: &[Read], livepatch: bool) -> Markup {
    let rows: Vec<(&Read, &SpecialRow<'_>)> = reads
        .iter()
        .filter_map(|read| Some((read, page.module.special_sections.get(read.number)?)))
        .collect();
    let columns = [("", "Section"), ("", "Content"), ("", "Reader"), ("n", "Entries"), ("n", "Ordinary")];
    let livepatch = livepatch || rows.iter().any(|(_, row)| row.klp_early != 0 || !row.klp_late.is_empty());
    let late_columns = [("n", "Early"), ("", "Late")].into_iter().filter(|_| livepatch);
    html! {
        @if !rows.is_empty() {
            div.scroll {
                table {
                    (super::header(columns.into_iter().chain(late_columns)))
                    tbody {
                        @for (read, row) in rows {
                            tr.clash[row.too_late] {
                                th scope="row" { (page.section(row.section)) (page.findings_in(row.section)) }
                                td { (row.what) }
                                td { code { (row.reader) } " " span.does.rewrites[read.rewrites] { (read.does) } }
                                td.n { @if let Some(entries) = row.entries { (grouped(entries)) } @else { (bytes(row.size)) } }
                                td.n { (some(row.ordinary)) }
                                @if livepatch {
                                    td.n { (some(row.klp_early)) }
                                    td { (late(page, row)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The late relocations of a special section.
fn late(page: &Page<'_>, row: &SpecialRow<'_>) -> Markup {
    html! {
        @for late in row.klp_late.iter().take(LISTED) {
            span.late-into {
                @if row.too_late { strong { "too late: " } }
                (late.relocations) " of " (page.section(late.section))
            }
        }
    }
}

/// A count, or nothing if it is 0.
fn some(count: u64) -> Markup {
    html! { @if count != 0 { (grouped(count)) } }
}
