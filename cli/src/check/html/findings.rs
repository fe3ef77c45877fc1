//! Faults and findings: what is wrong, where, and what to do.

use super::links::{View, plain_place};
use crate::check::report::{Fault, Report};
use maud::{Markup, html};
use relakit_linux::findings::Severity;

/// Most errors of one answer that are listed, and most events.
pub(super) const LISTED: usize = 500;

/// The errors of the load.
pub(super) fn errors(view: Option<&View<'_>>, report: &Report) -> Markup {
    html! {
        @if !report.answer.errors.is_empty() || view.is_none() {
            section aria-labelledby="errors" {
                h2 #errors { "Faults" }
                p.intro { "Everything that would stop the load; the kernel notices the first." }
                (list(view, &report.answer.errors))
            }
        }
    }
}

/// Faults in their order.
pub(super) fn list(view: Option<&View<'_>>, errors: &[Fault]) -> Markup {
    html! {
        @if !errors.is_empty() {
            ol.errors {
                @for fault in errors.iter().take(LISTED) {
                    li {
                        p { strong { (fault.message) } @if let Some(errno) = fault.errno { " " code.errno { (errno) } } }
                        p.where { @if let Some(view) = view { (view.place(&fault.place)) } @else { (plain_place(&fault.place)) } }
                        (numbers(&fault.numbers))
                        @if let Some(help) = &fault.help { p.help { (help) } }
                        @if fault.more != 0 { p { "And " (fault.more) " more of this kind." } }
                    }
                }
            }
            @if let Some(more @ 1..) = errors.len().checked_sub(LISTED) { p { "And " (more) " more." } }
        }
    }
}

/// What the kernel would not notice.
pub(super) fn findings(view: &View<'_>, report: &Report) -> Markup {
    html! {
        section aria-labelledby="findings" {
            h2 #findings { "Findings" }
            @if report.findings.is_empty() {
                p.intro { "There is nothing in this module that Linux would pass over in silence, or get wrong later." }
            } @else {
                p.intro { "What Linux would pass over in silence, or get wrong later; the worst first." }
            }
            @for (number, row) in (1..).zip(&report.findings) {
                article.card.(row.severity.name()) id={ "finding-" (number) } {
                    h3 {
                        span.badge.(row.severity.name()) { (number) } " " (row.message)
                        " " span.says { (row.severity.name()) " " code { (row.rule.name()) } }
                    }
                    p.where { (view.place(&row.place)) }
                    @if let Some((what, place)) = &row.other { p.where { (what) ": " (view.place(place)) } }
                    (numbers(&row.numbers))
                    @if !row.details.is_empty() { ul.details { @for detail in &row.details { li { (detail) } } } }
                    p.help { (row.help) }
                    @if row.more != 0 { p { "And " (row.more) " more of this kind." } }
                }
            }
        }
    }
}

fn numbers(numbers: &[(&'static str, u64)]) -> Markup {
    html! {
        @if !numbers.is_empty() {
            p.numbers {
                @for (place, (name, number)) in numbers.iter().enumerate() {
                    @if place != 0 { ", " }
                    (name) " " code { (format!("{number:#x}")) }
                }
            }
        }
    }
}

pub(super) const fn noun(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "remark",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
