//! The C ABI of the crate `relakit`. This crate converts pointers to slices and callbacks to
//! traits; the crate `relakit` does the work.
//!
//! cbindgen generates `include/relakit.h` from this crate, so its documentation is written for C
//! programmers.
//!
//! # Safety
//! An exported function returns an error for invalid numbers and for NULL. It cannot check
//! everything, so the caller promises the following:
//! - a pointer that is not NULL is valid during the call, for the length in its length argument or
//!   for one item;
//! - no other code writes to this memory during the call;
//! - callbacks return.
#![cfg_attr(all(panic = "abort", not(test)), no_std)]
#![allow(unsafe_code, reason = "the C ABI reads and writes memory of the caller")]
#![allow(non_camel_case_types, reason = "C's names")]
#![allow(rustdoc::invalid_html_tags, reason = "the documentation is for the header")]
#![expect(clippy::missing_safety_doc, reason = "the promise is the same for all functions, and stands above")]

mod callbacks;
mod error;
mod layout;
mod panic;
mod pointers;
mod sechdrs_memory;
mod target;

// These modules are in the order of the header.
mod version;

mod types;

mod relocate;

mod small;

mod got;

mod resolver;

mod image;

mod sechdrs;

mod state;

mod memory;

mod module;

mod plan;

mod arena;

mod late;

mod describe;

mod findings;

mod verifier;

mod verify;

mod patch_sites;

mod klp_names;

mod index;

mod error_format;

mod names;

mod status;

pub use arena::*;
pub use describe::*;
pub use error_format::*;
pub use findings::*;
pub use got::*;
pub use image::*;
pub use index::*;
pub use klp_names::*;
pub use late::*;
pub use memory::*;
pub use module::*;
pub use names::*;
pub use patch_sites::*;
pub use plan::*;
pub use relocate::*;
pub use resolver::*;
pub use sechdrs::*;
pub use small::*;
pub use state::*;
pub use status::*;
pub use types::*;
pub use verifier::*;
pub use verify::*;
pub use version::*;

/// The Rust example of the project's README is compiled with the tests. It is here because the
/// published crates do not contain this file.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
