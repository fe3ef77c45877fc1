//! relakit takes an x86-64 ELF relocatable object (a Linux module, a livepatch, a boot module, a hypervisor payload),
//! proves that every relocation in it can be applied, and applies it to memory that the embedder owns.
//!
//! It is for places where nothing may fail: no `std`, no allocation, no unsafe code; every pass is all or nothing, and
//! every fault says what, where, and which numbers.
//!
//! # The pipeline
//!
//! [`Module::parse`] → [`Module::assign`] → [`Assigned::fill`] → [`Filled::early`] → [`Loaded::retain`] → [`Late`]. Each type is only to be had
//! from the one before it. A livepatch's relocations against the kernel go in with the ordinary ones, before [`Loaded`]
//! gives out the special sections; those against a module go in when it comes, and out when it goes.
//!
//! ```
//! use relakit::{CallbackError, Memory, Module, SectionMemory, Profile, Resolver};
//!
//! /// What the embedder knows of names.
//! struct Kernel;
//!
//! impl Resolver for Kernel {
//!     fn exported(&mut self, _name: &[u8]) -> Result<Option<u64>, CallbackError> {
//!         Ok(Some(0xffff_ffff_8111_3f20))
//!     }
//!     fn nth_symbol(&mut self, _object: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
//!         let count = if name == b"part_in_flight" { 2 } else { 1 };
//!         Ok((position <= count).then_some(0xffff_ffff_815a_1c40))
//!     }
//! }
//!
//! # let file: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/demo/livepatch.ko"));
//! let module = Module::parse(file, Profile::LINUX_6_12)?;
//!
//! // Where each section lives: its bytes, and the address that they will have when they run.
//! let mut bytes: Vec<_> = module.object().sections().map(|(_, section)| vec![0; section.sh_size as usize]).collect();
//! let addresses = (0u64..).map(|index| 0xffff_ffff_c090_0000 + index * 0x1000);
//! let mut memory: Vec<_> = bytes
//!     .iter_mut()
//!     .zip(addresses)
//!     .map(|(bytes, address)| Some(SectionMemory { address, symbols_at: None, bytes }))
//!     .collect();
//! let memory = &mut memory[..];
//! let mut values = vec![0; module.object().symbols().len() as usize];
//!
//! // Content, then every early relocation or none.
//! let loaded = module.assign(memory)?.fill()?.early(&mut values, &mut Kernel)?;
//!
//! // What stays when the file and the symbol values are gone.
//! let mut kept = vec![0; module.retained_size(&mut values)?];
//! let mut late = loaded.retain(memory, &mut values, &mut kept)?;
//! assert_eq!(late.coming(b"demo_disk", memory, &mut Kernel)?, 2);
//! assert_eq!(late.going(b"demo_disk", memory)?, 2);
//! # Ok::<(), relakit::Error>(())
//! ```
//!
//! Each stage can be used without the others: [`elf`] reads a file, [`klp`] reads names and classifies sections,
//! [`reloc`] applies one table to one target, for a loader that has its own everything else.
//!
//! The rules are Linux's, of the version that the [`Profile`] names, condition by condition; what Linux does not check
//! (`r_offset`, symbol indices, targets) is a fault here.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod abi;
pub mod arch;
pub mod elf;
mod error;
mod flags;
pub mod index;
pub mod klp;
mod module;
mod profile;
mod read;
pub mod reloc;
mod report;
pub mod sechdrs;
#[doc(hidden)]
pub mod sort;

pub use error::{CallbackError, Error, ErrorKind};
pub use module::{
    Assigned, Class, Classified, FailsAt, Filled, Late, Loaded, MAX_OBJECTS, Memory, Module, Objects, Reason,
    Resolver, SectionMemory, UNASSIGNED,
};
pub use profile::{PerCpu, Profile};
pub use reloc::{Target, View, Writer};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
