//! Proves and applies the relocations of x86-64 modules, Linux livepatch (KLP) sections included.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod abi;
pub mod elf;
mod error;
pub mod klp;
mod module;
mod profile;
mod read;
pub mod reloc;
pub mod special;
mod symbols;

pub use error::{Error, ErrorKind, HookError};
pub use module::{Late, Loaded, Memory, Module, Place, Placed};
pub use profile::{PerCpu, Profile};
pub use reloc::{Target, Writer};
pub use symbols::Resolver;
