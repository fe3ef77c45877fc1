//! Findings about modules (`relakit_linux::findings`): both sides of every edge, properties against what is slow and obvious, and
//! what is said of real modules. `each` has a module for each finding.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod each;
mod edges;
mod objects;
mod properties;
mod real;
#[path = "../../../core/tests/verdicts/recorded.rs"]
#[expect(dead_code, reason = "replays need more of it")]
mod recorded;

use relakit_linux::findings::Finding;
#[path = "../../../core/tests/module/world.rs"]
#[expect(dead_code, reason = "tests of whole modules need more of it")]
mod world;

use relakit::{Module, Profile};
use relakit_linux::findings;

/// Everything that the file alone tells.
fn of_file(file: &[u8], profile: Profile) -> Vec<Finding> {
    let module = Module::parse(file, profile).unwrap();
    let mut found = Vec::new();
    let mut scratch = vec![0; findings::scratch_len(&module)];
    findings::file(&module, profile.since, &mut scratch, &mut |finding| found.push(finding)).unwrap();
    let mut fields: Vec<_> = findings::fields(&module).collect();
    fields.sort_unstable();
    findings::overlaps(&fields, &mut |finding| found.push(finding));
    found
}

/// The names of the rules, each once, in the order of the numbers.
fn names(found: &[Finding]) -> Vec<&'static str> {
    let mut rules: Vec<_> = found.iter().map(|finding| finding.lint).collect();
    rules.sort_unstable();
    rules.dedup();
    rules.into_iter().map(findings::Lint::name).collect()
}
