//! Findings about modules (`relakit::check`): both sides of every edge, properties against what is slow and obvious, and
//! what is said of real modules. That each rule has a module that shows just it is in `tests/module/findings.rs`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

#[path = "../module/builder.rs"]
#[expect(dead_code, reason = "tests of whole modules need more of it")]
mod builder;
mod edges;
mod objects;
mod properties;
mod real;
#[path = "../verdicts/recorded.rs"]
#[expect(dead_code, reason = "replays need more of it")]
mod recorded;

use relakit::check::{self, Finding};
use relakit::{Module, Profile};

/// Everything that the file alone tells.
fn of_file(file: &[u8], profile: Profile) -> Vec<Finding> {
    let module = Module::parse(file, profile).unwrap();
    let mut found = Vec::new();
    let mut scratch = vec![0; check::scratch_len(&module)];
    check::file(&module, profile.since, &mut scratch, &mut |finding| found.push(finding)).unwrap();
    let mut fields: Vec<_> = check::fields(&module).collect();
    fields.sort_unstable();
    check::overlaps(&fields, &mut |finding| found.push(finding));
    found
}

/// The names of the rules, each once, in the order of the numbers.
fn names(found: &[Finding]) -> Vec<&'static str> {
    let mut rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules.into_iter().map(check::Rule::name).collect()
}
