//! The C ABI of relakit, a thin shell around the crate `relakit`: pointers become slices, callbacks become traits, and
//! everything else is over there.
//!
//! `include/relakit.h` is made from this crate and is what its users read; the documentation here is written for them.
//!
//! # Safety
//! Every exported function may be called with any numbers and any NULL. What cannot be checked is the caller's promise:
//! a pointer that is not NULL leads to as many bytes as the argument after it says (or one item), for the time of the
//! call, and nobody else writes to them meanwhile; callbacks return.
#![cfg_attr(all(panic = "abort", not(test)), no_std)]
#![allow(non_camel_case_types, reason = "C's names")]
#![allow(rustdoc::invalid_html_tags, reason = "the documentation is for the header")]
#![expect(clippy::missing_safety_doc, reason = "the promise is the same for all functions, and stands above")]

mod addresses;
mod callbacks;
mod fault;
mod layout;
mod panic;
mod places;
mod pointers;

// What follows is in the order of the header.
mod types;

mod status;

mod names;

mod relocate;

mod sechdrs;

mod state;

mod whole;

mod describe;

mod classify;

mod findings;

mod index;

pub use classify::*;
pub use describe::*;
pub use findings::*;
pub use index::*;
pub use names::*;
pub use relocate::*;
pub use sechdrs::*;
pub use state::*;
pub use status::*;
pub use types::*;
pub use whole::*;
