//! The life of a module and the rules of livepatch, through core's public interface (Linux semantics 3 to 10, 15, 16).
#![expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

mod again;
mod classes;
mod early;
mod got;
mod headers;
mod headers_resolver;
mod hooks;
mod hostile;
mod in_memory;
mod late;
mod late_targets;
mod layout;
mod model;
mod offsets;
mod sections;
mod sentinel;
mod structure;
mod symbols;
mod verify;
mod world;
