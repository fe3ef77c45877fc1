//! The load as a list of steps: what each reads, and which relocations are applied there.

use super::links::View;
use super::verdict::{class, word};
use super::{bytes, grouped, plural};
use crate::check::picture::{Phase, Read};
use crate::check::report::Answer;
use crate::inspect::report::{Kind, SpecialRow};
use maud::{Markup, html};

/// Most sections of relocations that a step lists.
const LISTED: usize = 60;

pub(super) fn load(view: &View<'_>) -> Markup {
    let livepatch = view.picture.told.livepatch;
    html! {
        section aria-labelledby="load" {
            h2 #load { "Load, step by step" }
            p.intro { "As Linux " (view.picture.told.special_sections_of) " does it: what each step reads, and which relocations are applied there." }
            ol.phases {
                @for (number, phase) in (1..).zip(&view.picture.phases) {
                    @if phase.id == "finalize" {
                        li.barrier {
                            "Every early relocation is written. From here on special sections are read: what a late relocation changes in them, or in what they rewrite, comes too late."
                        }
                    }
                    (step(view, number, phase, livepatch))
                }
            }
        }
    }
}

fn step(view: &View<'_>, number: usize, phase: &Phase, livepatch: bool) -> Markup {
    let object = phase.object.and_then(|number| view.picture.told.objects.get(number));
    let ends = view.report.map(|report| &report.answer).filter(|answer| is_end(phase, answer));
    let anchor = match phase.object {
        Some(object) => format!("phase-late-{object}"),
        None => format!("phase-{}", phase.id),
    };
    html! {
        li.phase.(ends.map_or("", |answer| class(answer.verdict))) id=(anchor) {
            h3 {
                span.number { (number) } " "
                @if let Some(object) = object { span.name { (object.name.short(60)) } " comes" } @else { (phase.title) }
                @if !phase.functions.is_empty() { " " code.functions { (phase.functions) } }
            }
            @if let Some(answer) = ends {
                p.end {
                    strong { (word(answer.verdict)) @if let Some(errno) = answer.errno { " with " (errno) } " here." }
                    @if let Some(message) = &answer.message { " " code.message { (message) } }
                }
            }
            @for says in &phase.says { p { (says) } }
            (applies(view, phase))
            (reads(view, &phase.reads, livepatch))
        }
    }
}

/// Whether the load ends in this step. The events have a place of their own on the page.
fn is_end(phase: &Phase, answer: &Answer) -> bool {
    phase.object.is_none() && answer.phase.is_some_and(|end| phase.ends.contains(&end))
}

fn applies(view: &View<'_>, phase: &Phase) -> Markup {
    let rows: Vec<_> = phase.applies.iter().filter_map(|&index| view.picture.section(index)).collect();
    let ordinary = rows.iter().filter(|row| row.class == Kind::Ordinary);
    let (sections, relocations) = ordinary.fold((0u64, 0u64), |(sections, relocations), row| {
        (sections.saturating_add(1), relocations.saturating_add(row.entries.unwrap_or(0)))
    });
    let livepatch: Vec<_> = rows.iter().filter(|row| row.class != Kind::Ordinary).collect();
    html! {
        @if !rows.is_empty() {
            ul.applies {
                @if sections != 0 {
                    li { span.swatch.ordinary {} " " (plural(relocations, "ordinary relocation")) " of " (plural(sections, "section")) }
                }
                @for row in livepatch.iter().take(LISTED) {
                    li {
                        span.swatch.(if row.class == Kind::KlpLate { "late" } else { "early" }) {} " "
                        (plural(row.entries.unwrap_or(0), "relocation")) " of " (view.section(row.index))
                        @if let Some(target) = row.target {
                            " into " (view.on_map(target, &view.section_name(target)).unwrap_or_else(|| view.section(target)))
                        }
                    }
                }
                @if livepatch.len() > LISTED { li { "and " (livepatch.len().saturating_sub(LISTED)) " more sections" } }
            }
        }
    }
}

fn reads(view: &View<'_>, reads: &[Read], livepatch: bool) -> Markup {
    let rows: Vec<(&Read, &SpecialRow<'_>)> = reads
        .iter()
        .filter_map(|read| Some((read, view.picture.told.special_sections.get(read.number)?)))
        .collect();
    let livepatch = livepatch || rows.iter().any(|(_, row)| row.klp_early != 0 || !row.klp_late.is_empty());
    html! {
        @if !rows.is_empty() {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Reads" }
                            th scope="col" { "What it is" }
                            th scope="col" { "Who, and does what" }
                            th.n scope="col" { "Entries" }
                            th.n scope="col" { "Ordinary" }
                            @if livepatch {
                                th.n scope="col" { "Early" }
                                th scope="col" { "Late" }
                            }
                        }
                    }
                    tbody {
                        @for (read, row) in rows {
                            tr.clash[row.too_late] {
                                th scope="row" { (view.section(row.section)) (view.findings_in(row.section)) }
                                td { (row.what) }
                                td { code { (row.reader) } " " span.does.rewrites[read.rewrites] { (read.does) } }
                                td.n { @if let Some(entries) = row.entries { (grouped(entries)) } @else { (bytes(row.size)) } }
                                td.n { (some(row.ordinary)) }
                                @if livepatch {
                                    td.n { (some(row.klp_early)) }
                                    td { (late(view, row)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Late relocations into a special section, and whether that is too late.
fn late(view: &View<'_>, row: &SpecialRow<'_>) -> Markup {
    html! {
        @for late in row.klp_late.iter().take(LISTED) {
            span.late-into {
                @if row.too_late { strong { "too late: " } }
                (late.relocations) " of " (view.section(late.section))
            }
        }
    }
}

/// A count that is nothing when it is 0.
fn some(count: u64) -> Markup {
    html! { @if count != 0 { (grouped(count)) } }
}
