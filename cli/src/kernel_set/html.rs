//! The page of `relakit check --kernel-set`: a matrix, and the groups of kernels with the same result.

use super::row::{Answer, Group, Outcome, Set};
use super::text as plain;
use crate::output::html::{class, count, document, header, sign};
use crate::simulate::report::Verdict;
use maud::{Markup, html};

pub(crate) fn render(set: &Set) -> String {
    let title = set.files.join(", ");
    document(
        &title,
        &html! {
            header {
                h1 { bdi { (title) } " " span.kind { "with " bdi { (set.kernel_set) } } }
                div class=(format!("banner {}", colour(set.result))) role="status" {
                    p.verdict { span.sign aria-hidden="true" { (sign(verdict(set.result))) } " " (plain::counts(set)) }
                    @if set.any_vermagic {
                        p { "For other kernels, the module counts as if it were built for them." }
                    }
                }
            }
            nav aria-label="Contents" {
                ul {
                    li { a href="#kernels" { "Kernels " (count(set.kernels.len())) } }
                    li { a href="#groups" { "Groups " (count(set.groups.len())) } }
                }
            }
            main { (kernels(set)) (groups(set)) }
        },
    )
}

fn kernels(set: &Set) -> Markup {
    let columns =
        ["Group", "Kernel", "Release", "As it is", "Rebuilt", "Phase", "Errno", "Modules", "Message"];
    let columns = columns.map(|title| (if title == "Group" { "n" } else { "" }, title));
    html! {
        section aria-labelledby="kernels" {
            h2 #kernels { "Kernels" }
            div.scroll {
                table.filter {
                    (header(columns))
                    tbody {
                        @for row in &set.kernels {
                            @let answer = row.answer();
                            tr {
                                td.n { a href={ "#group-" (row.group) } { (row.group) } }
                                td { bdi { (row.folder) } }
                                td { (row.release.as_deref().unwrap_or("not known")) }
                                td { (outcome(&row.file)) }
                                td { @if let Some(rebuilt) = &row.rebuilt { (outcome(rebuilt)) } @else { "-" } }
                                td { (plain::phase(answer)) }
                                td { (answer.errno.unwrap_or("-")) }
                                td { (plain::modules(row)) }
                                td { @if let Some(message) = &answer.message { code.message { (message) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn groups(set: &Set) -> Markup {
    html! {
        section aria-labelledby="groups" {
            h2 #groups { "Groups" }
            p.intro { "The kernels of a group have the same result. RELEASE stands for the release of each." }
            @for group in &set.groups { (card(group)) }
        }
    }
}

fn card(group: &Group) -> Markup {
    html! {
        article.card.(colour(group.result)) id={ "group-" (group.number) } {
            h3 {
                span.sign aria-hidden="true" { (sign(verdict(group.result))) } " Group " (group.number) " "
                (count(group.kernels.len()))
            }
            p { "As it is: " (plain::says(&group.file)) }
            @if let Some(rebuilt) = &group.rebuilt { p { "Rebuilt: " (plain::says(rebuilt)) } }
            @if !group.findings.is_empty() {
                ul.details {
                    @for rule in &group.findings { li { (rule.severity) ": " (rule.rule) ", " (rule.count) } }
                }
            }
            p.where { (group.kernels.join(", ")) }
        }
    }
}

fn outcome(answer: &Answer) -> Markup {
    html! {
        span.chip.(colour(answer.outcome)) {
            span aria-hidden="true" { (sign(verdict(answer.outcome))) } " " (answer.outcome.name())
        }
    }
}

fn colour(outcome: Outcome) -> String {
    class(verdict(outcome))
}

/// "fits" has the colour of what is not judged, because it is no verdict about the file.
const fn verdict(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Accepted => Verdict::Accepted,
        Outcome::Fits | Outcome::NotJudged => Verdict::NotJudged,
        Outcome::Rejected => Verdict::Rejected,
        Outcome::Unsafe => Verdict::Unsafe,
    }
}
