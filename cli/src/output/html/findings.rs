//! Errors and findings: what is wrong, where, and what to do.

use super::links::{Page, plain_location};
use crate::simulate::report::{ErrorRow, Report};
use maud::{Markup, html};

/// Most errors of one step that are listed, and most events.
pub(super) const LISTED: usize = 500;

/// The errors of the load.
pub(super) fn errors(page: Option<&Page<'_>>, report: &Report) -> Markup {
    html! {
        @if !report.load.errors.is_empty() || page.is_none() {
            section aria-labelledby="errors" {
                h2 #errors { "Errors" }
                p.intro { "Each of these errors prevents the load. The kernel reports only the first one." }
                (list(page, &report.load.errors))
            }
        }
    }
}

pub(super) fn list(page: Option<&Page<'_>>, errors: &[ErrorRow]) -> Markup {
    html! {
        @if !errors.is_empty() {
            ol.errors {
                @for error in errors.iter().take(LISTED) {
                    li {
                        p { strong { (error.message) } @if let Some(errno) = error.errno { " " code.errno { (errno) } } }
                        p.where { @if let Some(page) = page { (page.location(&error.location)) } @else { (plain_location(&error.location)) } }
                        (numbers(&error.numbers))
                        (details(&error.details))
                        @if let Some(help) = &error.help { p.help { (help) } }
                        @if error.more != 0 { p { "And " (error.more) " more of this kind." } }
                    }
                }
            }
            @if let Some(more @ 1..) = errors.len().checked_sub(LISTED) { p { "And " (more) " more." } }
        }
    }
}

/// Mistakes that the kernel does not notice.
pub(super) fn findings(page: &Page<'_>, report: &Report) -> Markup {
    html! {
        section aria-labelledby="findings" {
            h2 #findings { "Findings" }
            @if report.findings.is_empty() {
                p.intro { "relakit found no mistakes that Linux ignores or handles wrongly later." }
            } @else {
                p.intro { "Mistakes that Linux ignores or handles wrongly later, the worst first." }
            }
            @for (number, row) in (1..).zip(&report.findings) {
                article.card.(row.severity.name()) id={ "finding-" (number) } {
                    h3 {
                        span.badge.(row.severity.name()) { (number) } " " (row.message)
                        " " span.says { (row.severity.name()) " " code { (row.rule.name()) } }
                    }
                    p.where { (page.location(&row.location)) }
                    @if let Some((what, location)) = &row.other { p.where { (what) ": " (page.location(location)) } }
                    (numbers(&row.numbers))
                    (details(&row.details))
                    p.help { (row.help) }
                    @if row.more != 0 { p { "And " (row.more) " more of this kind." } }
                }
            }
        }
    }
}

fn details(details: &[String]) -> Markup {
    html! {
        @if !details.is_empty() { ul.details { @for detail in details { li { (detail) } } } }
    }
}

fn numbers(numbers: &[(&'static str, u64)]) -> Markup {
    html! {
        @if !numbers.is_empty() {
            p.numbers {
                @for (index, (name, number)) in numbers.iter().enumerate() {
                    @if index != 0 { ", " }
                    (name) " " code { (crate::diagnostics::number(name, *number)) }
                }
            }
        }
    }
}
