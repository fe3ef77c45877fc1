//! The head of the page: what the kernel answers, to the load and to each event.

use super::findings;
use super::links::View;
use super::plural;
use crate::check::report::{Answer, Phase, Report, Verdict};
use crate::inspect::report::Kind;
use maud::{Markup, html};
use relakit_linux::findings::Severity;

/// Name, file, verdict, and how many there are of what.
pub(super) fn head(view: &View<'_>, name: &str) -> Markup {
    let told = &view.picture.told;
    let kernel = match (told.kernel.as_str(), told.rules) {
        (_, "elf") => "by the rules of ELF".to_owned(),
        (asked, row) if asked == row => format!("by the rules of Linux {row}"),
        (asked, row) => format!("by the rules of Linux {asked}, which are those of {row}"),
    };
    let built_for = told.vermagic.map(|vermagic| vermagic.short(60));
    html! {
        header {
            h1 { bdi { (name) } " " span.kind { @if told.livepatch { "livepatch" } @else { "module" } } }
            p.file {
                bdi { (told.file) } ", " (kernel)
                @if let Some(version) = built_for.as_deref().and_then(|text| text.split(' ').next()) {
                    ", built for " (version)
                }
            }
            @if let Some(report) = view.report { (banner(report, true)) (notes(report)) }
            @if told.counts.not_read != 0 {
                p.warning {
                    "The relocation tables overlap: " (plural(told.counts.not_read, "relocation"))
                    " not looked at, and all numbers of relocations are too low."
                }
            }
            (tiles(view))
        }
    }
}

fn tiles(view: &View<'_>) -> Markup {
    let of_class = |class| {
        let passes = view.picture.told.relocations.iter().filter(|pass| pass.class == class);
        passes.map(|pass| pass.relocations).fold(0, u64::saturating_add)
    };
    let late = view.picture.told.objects.iter().filter(|object| object.name.0 != b"vmlinux").count();
    let clashes = view.picture.clashes(None).count();
    let tile = |class: &str, number: u64, text: &str| {
        html! { div class=(format!("tile {class}")) { dd { (super::grouped(number)) } dt { (text) } } }
    };
    html! {
        dl.tiles {
            (tile("ordinary", of_class(Kind::Ordinary), "ordinary relocations"))
            @if view.picture.told.livepatch || late != 0 || of_class(Kind::KlpEarly) != 0 {
                (tile("early", of_class(Kind::KlpEarly), "early livepatch relocations"))
                (tile("late", of_class(Kind::KlpLate), "late livepatch relocations"))
                (tile("", late as u64, "modules patched late"))
            }
            @if clashes != 0 { (tile("clash", clashes as u64, "late relocations that come too late")) }
            @for (kind, text) in [(Kind::Skipped, "passed over"), (Kind::Malformed, "malformed")] {
                @if of_class(kind) != 0 { (tile("", of_class(kind), text)) }
            }
        }
    }
}

/// The verdict on the load, in a sentence. Not the `whole` page is there for a file that is no module.
pub(super) fn banner(report: &Report, whole: bool) -> Markup {
    let answer = &report.answer;
    let counts = [Severity::Error, Severity::Warning, Severity::Info]
        .map(|severity| (severity, report.count(severity)))
        .into_iter()
        .filter(|(_, count)| *count != 0);
    let counts: Vec<_> = counts.map(|(severity, count)| plural(count, findings::noun(severity))).collect();
    // Modules that were there before come first.
    let steps = || (1..).zip(&report.steps).take(findings::LISTED);
    let chips = |live: bool| {
        let these = steps().filter(move |(_, step)| step.event.starts_with("live:") == live);
        html! {
            @for (number, step) in these { (chip(&format!("event-{number}"), &step.event, step.answer.verdict)) }
        }
    };
    let bad = report.steps.iter().filter(|step| step.answer.verdict != Verdict::Accepted).count();
    // Nobody shall take for well what only loads.
    let colour = match report.worst() {
        Verdict::Accepted if report.count(Severity::Error) != 0 => class(Verdict::NotJudged),
        worst => class(worst),
    };
    html! {
        div class=(format!("banner {colour}")) role="status" {
            p.verdict {
                span.sign aria-hidden="true" { (sign(report.worst())) } " "
                (says(answer))
                @if bad != 0 { "; " (plural(bad as u64, "event")) " " (if bad == 1 { "is" } else { "are" }) " not" }
                @else if colour != class(report.worst()) { ", with errors" }
            }
            @if let Some(message) = &answer.message { p { code.message { (message) } } }
            @if answer.count() > 1 {
                p { a href="#errors" { (plural(answer.count(), "error")) } " in all, the one above decides." }
            }
            @if !report.steps.is_empty() {
                ol.steps aria-label="What happens, in order" {
                    (chips(true))
                    (chip(if whole { "load" } else { "errors" }, "the load", answer.verdict))
                    (chips(false))
                }
            }
            p {
                @if counts.is_empty() && whole { "Nothing found that the kernel would not notice." }
                @else if whole { "What the kernel would not notice: " a href="#findings" { (counts.join(", ")) } "." }
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

/// What happened at each event.
pub(super) fn events(view: Option<&View<'_>>, report: &Report) -> Markup {
    html! {
        @if !report.steps.is_empty() {
            section aria-labelledby="events" {
                h2 #events { "Events" }
                @for (number, step) in (1..).zip(&report.steps).take(findings::LISTED) {
                    article.card.event.(class(step.answer.verdict)) id={ "event-" (number) } {
                        h3 {
                            span.sign aria-hidden="true" { (sign(step.answer.verdict)) } " " code { (step.event) }
                            " " span.says { (says(&step.answer)) }
                        }
                        @if let Some(message) = &step.answer.message { p { code.message { (message) } } }
                        (findings::list(view, &step.answer.errors))
                    }
                }
            }
        }
    }
}

/// "Rejected with EINVAL, when relocations are applied".
fn says(answer: &Answer) -> String {
    let errno = answer.errno.map(|errno| format!(" with {errno}")).unwrap_or_default();
    let phase = answer.phase.map(|phase| format!(", {}", when(phase))).unwrap_or_default();
    format!("{}{errno}{phase}", word(answer.verdict))
}

pub(super) const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "Accepted",
        Verdict::NotJudged => "Not judged",
        Verdict::Rejected => "Rejected",
        Verdict::Unsafe => "Unsafe: the kernel would read or write out of bounds",
    }
}

/// A shape for each, for those who do not see the colour.
const fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "\u{2713}",
        Verdict::NotJudged => "?",
        Verdict::Rejected => "\u{2717}",
        Verdict::Unsafe => "\u{203c}",
    }
}

pub(super) const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::NotJudged => "not-judged",
        Verdict::Rejected => "rejected",
        Verdict::Unsafe => "unsafe",
    }
}

const fn when(phase: Phase) -> &'static str {
    match phase {
        Phase::Validity => "when the file is checked",
        Phase::Layout => "when sections get their places",
        Phase::Symbols => "when symbols get their values",
        Phase::Relocation => "when relocations are applied",
        Phase::Sysfs => "when it appears in sysfs",
        Phase::Init => "when its init function runs",
        Phase::Coming => "when livepatches are applied to what comes",
        Phase::Going => "when livepatches are taken back from what goes",
    }
}
