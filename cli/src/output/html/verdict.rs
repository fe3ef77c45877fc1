//! The head of the page: the results of the load and of each event.

use super::findings;
use super::links::Page;
use super::plural;
use crate::diagnostics::{self, level};
use crate::simulate::report::{Phase, Prediction, Report, Verdict};
use crate::view::SectionClass;
use crate::view::names::rules;
use maud::{Markup, html};
use relakit_linux::findings::Severity;

pub(super) fn head(page: &Page<'_>, name: &str) -> Markup {
    let module = page.module;
    let kernel = rules(&module.kernel, module.rules);
    let built_for = module.vermagic.map(|vermagic| vermagic.short(60));
    html! {
        header {
            h1 { bdi { (name) } " " span.kind { @if module.livepatch { "livepatch" } @else { "module" } } }
            p.file {
                bdi { (module.file) } ", " (kernel)
                @if let (true, Some(version)) = (module.special_sections_of.is_some(), built_for.as_deref().and_then(|text| text.split(' ').next())) {
                    ", built for " (version)
                }
            }
            @if let Some(report) = page.report { (banner(report, true)) (notes(report)) }
            @if module.counts.not_read != 0 {
                p.warning {
                    "The relocation tables overlap: " (plural(module.counts.not_read, "relocation"))
                    " not read. All numbers of relocations are too low."
                }
            }
            (tiles(page))
        }
    }
}

fn tiles(page: &Page<'_>) -> Markup {
    let of_class = |class| {
        let passes = page.module.relocations.iter().filter(|pass| pass.class == class);
        passes.map(|pass| pass.relocations).fold(0, u64::saturating_add)
    };
    let late = page.module.objects.iter().filter(|object| object.name.0 != b"vmlinux").count();
    let clashes = page.picture.clashes(None).count();
    let tile = |class: &str, number: u64, text: &str| {
        html! { div class=(format!("tile {class}")) { dd { (super::grouped(number)) } dt { (text) } } }
    };
    html! {
        dl.tiles {
            (tile("ordinary", of_class(SectionClass::Ordinary), "ordinary relocations"))
            @if page.module.livepatch || late != 0 || of_class(SectionClass::KlpEarly) != 0 {
                (tile("early", of_class(SectionClass::KlpEarly), "early livepatch relocations"))
                (tile("late", of_class(SectionClass::KlpLate), "late livepatch relocations"))
                (tile("", late as u64, "target modules"))
            }
            @if clashes != 0 { (tile("clash", clashes as u64, "late relocations that are too late")) }
            @for (kind, text) in [(SectionClass::Skipped, "skipped"), (SectionClass::Malformed, "malformed")] {
                @if of_class(kind) != 0 { (tile("", of_class(kind), text)) }
            }
        }
    }
}

/// The result of the load. `whole` is false for a file that is not a module.
pub(super) fn banner(report: &Report, whole: bool) -> Markup {
    let prediction = &report.load;
    let counts = [Severity::Error, Severity::Warning, Severity::Info]
        .map(|severity| (severity, report.count(severity)))
        .into_iter()
        .filter(|(_, count)| *count != 0);
    let counts: Vec<_> = counts.map(|(severity, count)| plural(count, level(severity))).collect();
    let bad = report.steps.iter().filter(|step| step.prediction.verdict != Verdict::Accepted).count();
    // A module that loads but has errors must not be green.
    let colour = match report.worst() {
        Verdict::Accepted if report.count(Severity::Error) != 0 => class(Verdict::NotJudged),
        worst => class(worst),
    };
    html! {
        div class=(format!("banner {colour}")) role="status" {
            p.verdict {
                span.sign aria-hidden="true" { (sign(report.worst())) } " "
                (says(prediction))
                @if bad != 0 { "; " (plural(bad as u64, "event")) " " (if bad == 1 { "is" } else { "are" }) " not accepted" }
                @else if prediction.verdict == Verdict::Accepted && !report.not_judged.is_empty() { ", but not all of it is judged" }
                @else if colour != class(report.worst()) { ", with errors" }
            }
            @if !report.not_judged.is_empty() {
                ul.missing {
                    @for missing in &report.not_judged { li { "Not judged: " (missing.what) ". To judge it, " (missing.give) "." } }
                }
            }
            @if let Some(message) = &prediction.message { p { code.message { (message) } } }
            @if prediction.count() > 1 {
                p { a href="#errors" { (plural(prediction.count(), "error")) } ". The kernel reports the first one, shown above." }
            }
            @if !report.steps.is_empty() {
                ol.steps aria-label="Results, in order" {
                    @for (number, event, prediction) in report.in_order().filter(|(number, ..)| *number <= findings::LISTED) {
                        @match number {
                            0 => (chip(if whole { "load" } else { "errors" }, "the load", prediction.verdict)),
                            _ => (chip(&format!("event-{number}"), event, prediction.verdict)),
                        }
                    }
                }
            }
            p {
                @if counts.is_empty() && whole { "relakit found no mistakes that the kernel does not notice." }
                @else if whole { "Mistakes that the kernel does not notice: " a href="#findings" { (counts.join(", ")) } "." }
            }
        }
    }
}

fn chip(anchor: &str, text: &str, verdict: Verdict) -> Markup {
    html! {
        li {
            a class=(format!("chip {}", class(verdict))) href={ "#" (anchor) } {
                span.sign aria-hidden="true" { (sign(verdict)) } " " (text)
                span.unseen { ": " (word(verdict)) }
            }
        }
    }
}

pub(super) fn notes(report: &Report) -> Markup {
    html! {
        @if !report.notes.is_empty() {
            details.notes open {
                summary { "About this run" }
                ul { @for note in &report.notes { li { (note) } } }
            }
        }
    }
}

pub(super) fn events(page: Option<&Page<'_>>, report: &Report) -> Markup {
    html! {
        @if !report.steps.is_empty() {
            section aria-labelledby="events" {
                h2 #events { "Events" }
                @for (number, step) in (1..).zip(&report.steps).take(findings::LISTED) {
                    article.card.event.(class(step.prediction.verdict)) id={ "event-" (number) } {
                        h3 {
                            span.sign aria-hidden="true" { (sign(step.prediction.verdict)) } " " code { (step.event) }
                            " " span.says { (says(&step.prediction)) }
                        }
                        @if let Some(message) = &step.prediction.message { p { code.message { (message) } } }
                        @if let Some(applied) = step.prediction.applied {
                            p { "Applies " (plural(applied.relocations, "livepatch relocation")) " and replaces " (plural(applied.functions, "function")) "." }
                        }
                        (findings::list(page, &step.prediction.errors))
                    }
                }
            }
        }
    }
}

/// "Rejected with EINVAL, when relocations are applied"
fn says(prediction: &Prediction) -> String {
    let errno = prediction.errno.map(|errno| format!(" with {errno}")).unwrap_or_default();
    let phase = prediction.phase.map(|phase| format!(", {}", when(phase))).unwrap_or_default();
    format!("{}{errno}{phase}", word(prediction.verdict))
}

pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "Accepted",
        Verdict::NotJudged => "Not judged",
        Verdict::Rejected => "Rejected",
        Verdict::Unsafe => "Unsafe: the kernel may crash",
    }
}

/// A shape for each verdict, for readers who cannot see the colour.
pub(crate) const fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "\u{2713}",
        Verdict::NotJudged => "?",
        Verdict::Rejected => "\u{2717}",
        Verdict::Unsafe => "\u{203c}",
    }
}

/// The CSS class. It determines the colour.
pub(crate) fn class(verdict: Verdict) -> String {
    diagnostics::verdict(verdict).replace(' ', "-")
}

const fn when(phase: Phase) -> &'static str {
    match phase {
        Phase::Validity => "when the file is checked",
        Phase::Layout => "when sections get addresses",
        Phase::Symbols => "when symbols get values",
        Phase::Relocation => "when relocations are applied",
        Phase::Finalize => "when special sections are read",
        Phase::Sysfs => "when the module appears in sysfs",
        Phase::Init => "when the init function runs",
        Phase::Coming => "when livepatches are applied to the loaded module",
        Phase::Going => "when livepatches are reverted in the unloaded module",
    }
}
