//! Which code is rewritten: what the entries of special sections say, held against what a real kernel did, against a
//! disassembler, and against formats by hand.
#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod check;
mod formats;
mod instructions;
mod ordering;
#[path = "../../../core/tests/verdicts/recorded.rs"]
#[expect(dead_code, reason = "replays need more of it")]
mod recorded;
mod rewritten;
#[path = "../../../core/tests/module/world.rs"]
#[expect(dead_code, reason = "tests of whole modules need more of it")]
mod world;
