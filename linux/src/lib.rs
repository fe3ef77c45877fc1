//! What Linux does with a module besides relocating it. relakit relocates; this crate knows the
//! rest of the loader.
//!
//! - [`special`]: the special sections of x86-64, when Linux first reads each, and which code its
//!   entries rewrite.
//! - [`findings`]: mistakes in a module that Linux skips without a message, or that do harm later.
//! - [`loader_check`]: the other checks of Linux's module loader.
//! - [`verify`](mod@verify): is what runs what was loaded, apart from what Linux rewrites?
//! - [`memories`](fn@memories): which memories `struct module` has.
//! - [`late`]: late relocations as Linux applies and clears them, which is not all or nothing.
//!
//! The crate has no `std`, no allocation and no unsafe code. It depends on [`relakit`], which does
//! not depend on it.
//!
//! Only a [`Loaded`](relakit::Loaded) module gives access to special sections in memory, because
//! Linux reads them after every early relocation was applied: see [`special::in_memory`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod bytes;
pub mod findings;
pub mod late;
pub mod loader_check;
mod memories;
pub mod patch;
pub mod special;
pub mod verify;

pub use memories::memories;

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
