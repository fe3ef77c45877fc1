//! The ELF parser: files of any shape read as the `object` crate reads them, broken ones refused with their numbers,
//! and no byte anywhere that makes an accessor panic.
#![expect(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod common;
mod compared;
mod errors;
mod hostile;
mod numbering;
mod samples;
mod table_faults;

use proptest::prelude::ProptestConfig;

/// Defaults, and no files beside the sources: a failure prints its smallest input.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}
