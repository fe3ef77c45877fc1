//! `--format html`: one page to review a module by. It needs no network, no script and no other file.
//!
//! Everything is in the document: HTML for what is read, inline SVG for the map, anchors from each to each. The script
//! only adds filters to long tables. Names come from the file and are escaped by maud, whatever they are.

mod findings;
mod links;
mod load;
mod map;
mod objects;
mod strip;
mod tables;
#[cfg(test)]
mod tests;
mod verdict;

use super::picture::Picture;
use super::report::Report;
use links::View;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/filter.js");

/// Nothing is loaded, and nothing runs but what has these hashes: the two files above. A test computes them.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-ox5iKYo0hVd7gwaOX3oz/9sS4G+FTtRDCn0NG8Dxg3g='; \
    script-src 'sha256-vaBpo2kIfQi0XfMRFGQSN7dfxjfEYwRtcptU9N8wPE8='; \
    base-uri 'none'; form-action 'none'";

/// The page of a module: of a check with its report, of `relakit inspect` without.
pub(crate) fn page(picture: &Picture<'_>, report: Option<&Report>) -> String {
    let view = View::new(picture, report);
    let name = view.name();
    document(
        &name,
        &html! {
            (verdict::head(&view, &name))
            (contents(&view))
            main {
                @if let Some(report) = report {
                    (findings::errors(Some(&view), report))
                    (findings::findings(&view, report))
                    (verdict::events(Some(&view), report))
                }
                (map::map(&view))
                (load::load(&view))
                (objects::objects(&view))
                (tables::relocations(&view))
                (tables::sections(&view))
            }
        },
    )
}

/// The page of a file that cannot be read as a module.
pub(crate) fn without_picture(report: &Report) -> String {
    document(
        &report.name,
        &html! {
            header {
                h1 { bdi { (report.name) } }
                p.file { bdi { (report.file) } }
                (verdict::banner(report, false))
                (verdict::notes(report))
            }
            main {
                (findings::errors(None, report))
                (verdict::events(None, report))
            }
        },
    )
}

fn document(name: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (name) " \u{2013} relakit" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                footer { p { "Made by relakit " (env!("CARGO_PKG_VERSION")) "." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn contents(view: &View<'_>) -> Markup {
    let report = view.report;
    let errors = report.filter(|report| !report.answer.errors.is_empty());
    html! {
        nav aria-label="Contents" {
            ul {
                @if let Some(report) = errors { li { a href="#errors" { "Faults " (count(report.answer.errors.len())) } } }
                @if let Some(report) = report {
                    li { a href="#findings" { "Findings " (count(report.findings.len())) } }
                    @if !report.steps.is_empty() { li { a href="#events" { "Events " (count(report.steps.len())) } } }
                }
                li { a href="#map" { "Map" } }
                li { a href="#load" { "Load" } }
                @if !view.picture.told.objects.is_empty() {
                    li { a href="#objects" { "Objects " (count(view.picture.told.objects.len())) } }
                }
                @if !view.picture.sites.is_empty() { li { a href="#relocations" { "Relocations" } } }
                li { a href="#sections" { "Sections " (count(view.picture.told.sections.len())) } }
            }
        }
    }
}

fn count(number: usize) -> Markup {
    html! { span.count { (number) } }
}

/// "1 section", "2 sections".
fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with thin spaces between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if place != 0 && place.is_multiple_of(3) {
            text.push('\u{202f}');
        }
    }
    text
}

/// A number of bytes, for people.
fn bytes(size: u64) -> String {
    match size {
        0..=9999 => plural(size, "byte"),
        10_000..=9_999_999 => format!("{} KiB", grouped(size.div_ceil(1024))),
        _ => format!("{} MiB", grouped(size.div_ceil(1 << 20))),
    }
}
