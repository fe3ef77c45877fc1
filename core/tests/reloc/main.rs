//! The relocation engine against a model in 128-bit arithmetic, a disassembler, and memory that fails.
#![expect(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code"
)]

mod add_to_field;
mod all_or_nothing;
mod callbacks;
mod clearing;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod common;
mod decoded;
mod dry_run;
mod edges;
mod ends;
mod failing_writer;
mod formulas;
mod got;
mod names;
mod one;
mod order_of_checks;
mod small;
mod source;
mod tables;
mod writer;

use proptest::prelude::ProptestConfig;

/// Defaults, and no files beside the sources: a failure prints its smallest input.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
