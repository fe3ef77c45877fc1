//! Which content of a running module is accepted (`relakit_linux::verify`): the memory of real kernels, and every form of every
//! kind of site.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod forms;
mod nested;
#[path = "../../../core/tests/verdicts/recorded.rs"]
#[expect(dead_code, reason = "replays need more of it")]
mod recorded;
mod recordings;
mod site;
#[path = "../../../core/tests/module/world.rs"]
#[expect(dead_code, reason = "tests of whole modules need more of it")]
mod world;
