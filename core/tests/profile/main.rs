//! The rows of the profiles, compared with what their loaders do (`docs/loaders`, Linux semantics):
//! for each fact what the loader accepts, and what it refuses or treats otherwise.
#![expect(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod fields;
mod modules;
mod rows;
#[path = "../module/world.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod world;
