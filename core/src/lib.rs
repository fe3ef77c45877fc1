//! relakit applies the relocations of x86-64 ELF relocatable objects (Linux modules, livepatches,
//! boot modules) to memory that the embedder provides.
//!
//! A pass applies every relocation, or it changes nothing and returns an error that names the
//! relocation that failed. The crate has no `std`, no allocation and no unsafe code.
//!
//! # The life of a module
//!
//! [`Module::parse`] → [`Module::assign`] → [`Assigned::fill`] → [`Filled::early`] →
//! [`Loaded::retain`] → [`Late`]. Each type is made only by the call before it. The early pass
//! applies the ordinary relocations and the livepatch relocations for vmlinux. Only then,
//! [`Loaded`] gives access to special sections. The livepatch relocations for a module are applied
//! when that module is loaded, and cleared when it is unloaded.
//!
//! ```
//! use relakit::{CallbackError, Memory, Module, Profile, Resolver, SectionMemory};
//!
//! /// The symbols that the embedder exports.
//! struct Kernel;
//!
//! impl Resolver for Kernel {
//!     fn exported(&mut self, _name: &[u8]) -> Result<Option<u64>, CallbackError> {
//!         Ok(Some(0xffff_ffff_8111_3f20))
//!     }
//!     fn nth_symbol(
//!         &mut self,
//!         _object: &[u8],
//!         name: &[u8],
//!         sympos: u64,
//!     ) -> Result<Option<u64>, CallbackError> {
//!         let count = if name == b"part_in_flight" { 2 } else { 1 };
//!         Ok((sympos <= count).then_some(0xffff_ffff_815a_1c40))
//!     }
//! }
//!
//! # let file: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/livepatch.ko"));
//! let module = Module::parse(file, Profile::LINUX_DEFAULT)?;
//!
//! // The memory of each section, and the address that it will have when the module runs.
//! let sizes = module.object().sections().map(|(_, section)| section.sh_size as usize);
//! let mut bytes: Vec<_> = sizes.map(|size| vec![0; size]).collect();
//! let addresses = (0u64..).map(|index| 0xffff_ffff_c090_0000 + index * 0x1000);
//! let mut memory: Vec<_> = bytes
//!     .iter_mut()
//!     .zip(addresses)
//!     .map(|(bytes, address)| Some(SectionMemory { address, symbols_at: None, bytes }))
//!     .collect();
//! let memory = &mut memory[..];
//! let mut values = vec![0; module.object().symbols().len() as usize];
//!
//! // Copy the content, then apply every early relocation or none.
//! let loaded = module.assign(memory)?.fill()?.early(&mut values, &mut Kernel)?;
//!
//! // The retained state is enough for the late passes. The file and the symbol values may go.
//! let mut retained = vec![0; loaded.retained_size()];
//! let mut late = loaded.retain(memory, &mut values, &mut retained)?;
//! assert_eq!(late.coming(b"demo_disk", memory, &mut Kernel)?, 2);
//! assert_eq!(late.going(b"demo_disk", memory)?, 2);
//! # Ok::<(), relakit::Error>(())
//! ```
//!
//! Objects that were compiled with default flags need a global offset table. [`Module::plan`] makes it
//! one more section.
//!
//! Each part can be used without the others: [`elf`] reads a file, [`klp`] parses livepatch names,
//! [`reloc`] applies one table to one target, and [`sechdrs`] serves loaders like Linux's.
//!
//! The rules are those of the [`Profile`]. The default is strict: the gABI and the psABI as
//! written. The rows of Linux and of other loaders follow their sources, condition by condition. An
//! `r_offset`, a symbol index or a target that a loader does not check is an error here with every
//! row.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod abi;
pub mod arch;
pub mod elf;
mod error;
mod error_text;
mod flags;
#[cfg(feature = "index")]
pub mod index;
#[cfg(feature = "klp")]
pub mod klp;
mod module;
mod profile;
mod read;
pub mod reloc;
mod report;
pub mod sechdrs;
#[doc(hidden)]
pub mod sort;
#[doc(hidden)]
pub mod text;
pub mod verify;

pub use error::{CallbackError, Error, ErrorKind};
pub use error_text::{ErrorNames, ErrorText, SymbolName};
pub use module::{
    Assigned, Class, Classified, Extent, FailsAt, Filled, GotSection, Group, Layout, Loaded, Memories,
    Memory, Module, Offsets, Placement, Reason, Resolver, SectionMemory, UNASSIGNED,
};
#[cfg(feature = "klp")]
pub use module::{Late, MAX_OBJECTS, Objects};
pub use profile::{PerCpu, Profile};
#[cfg(feature = "writer")]
pub use reloc::Writer;
pub use reloc::{Target, View};

/// The README's examples are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
