//! `--format html`: one page for the review of a module. It needs no network and no other file.
//!
//! The document has HTML text, an inline SVG map, and links between them. The script only adds
//! filters to long tables. maud escapes all names of the module.

mod findings;
mod links;
mod load;
mod map;
mod objects;
mod picture;
mod section_map;
mod tables;
#[cfg(test)]
mod tests;
mod verdict;

use crate::simulate::report::Report;
use links::Page;
use maud::{DOCTYPE, Markup, PreEscaped, html};
pub(crate) use picture::Picture;
pub(crate) use verdict::{class, sign};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("filter.js");

/// The page loads nothing, and only the two files above may run. A test computes their hashes.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-8krFRFjV1/0zrG3hY2b3p8lTTfsG+QoXItmbmdoDd+E='; \
    script-src 'sha256-vaBpo2kIfQi0XfMRFGQSN7dfxjfEYwRtcptU9N8wPE8='; \
    base-uri 'none'; form-action 'none'";

/// The page of a module: with the report of `check`, or without one for `inspect`.
pub(crate) fn render(picture: &Picture<'_>, report: Option<&Report>) -> String {
    let page = Page::new(picture, report);
    let name = page.name();
    document(
        &name,
        &html! {
            (verdict::head(&page, &name))
            (contents(&page))
            main {
                @if let Some(report) = report {
                    (findings::errors(Some(&page), report))
                    (findings::findings(&page, report))
                    (verdict::events(Some(&page), report))
                }
                (objects::functions(&page))
                (map::map(&page))
                (load::load(&page))
                (objects::objects(&page))
                (tables::relocations(&page))
                (tables::sections(&page))
            }
        },
    )
}

/// The page of a file that is not a module.
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

pub(crate) fn document(name: &str, body: &Markup) -> String {
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

fn contents(page: &Page<'_>) -> Markup {
    let report = page.report;
    let errors = report.filter(|report| !report.load.errors.is_empty());
    html! {
        nav aria-label="Contents" {
            ul {
                @if let Some(report) = errors { li { a href="#errors" { "Errors " (count(report.load.errors.len())) } } }
                @if let Some(report) = report {
                    li { a href="#findings" { "Findings " (count(report.findings.len())) } }
                    @if !report.steps.is_empty() { li { a href="#events" { "Events " (count(report.steps.len())) } } }
                }
                li { a href="#map" { "Map" } }
                @if page.module.special_sections_of.is_some() { li { a href="#load" { "Load" } } }
                @if !page.module.objects.is_empty() {
                    li { a href="#objects" { "Objects " (count(page.module.objects.len())) } }
                }
                @if !page.picture.sites.is_empty() { li { a href="#relocations" { "Relocations" } } }
                li { a href="#sections" { "Sections " (count(page.module.sections.len())) } }
            }
        }
    }
}

/// The header of a table: the class and the title of each column. Numbers have the class "n".
pub(crate) fn header<'t>(columns: impl IntoIterator<Item = (&'t str, &'t str)>) -> Markup {
    html! {
        thead {
            tr {
                @for (class, title) in columns {
                    th class=[(!class.is_empty()).then_some(class)] scope="col" { (title) }
                }
            }
        }
    }
}

pub(crate) fn count(number: usize) -> Markup {
    html! { span.count { (number) } }
}

/// "1 section", "2 000 sections".
fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with thin spaces between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in (0..digits.len()).rev().zip(digits.chars()) {
        text.push(digit);
        if index != 0 && index.is_multiple_of(3) {
            text.push('\u{202f}');
        }
    }
    text
}

fn bytes(size: u64) -> String {
    match size {
        0..=9999 => plural(size, "byte"),
        10_000..=9_999_999 => format!("{} KiB", grouped(size.div_ceil(1024))),
        _ => format!("{} MiB", grouped(size.div_ceil(1 << 20))),
    }
}
