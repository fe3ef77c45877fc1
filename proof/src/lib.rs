//! Calls every public function of relakit's core from functions whose names begin with `proof_`. The panic handler calls
//! a function that is defined nowhere, so they link only if no panic is reachable.
//!
//! `proof/run` derives both lists, the public functions and those that are called here, and fails if one is missing.
//! Arguments come from outside and results go into `black_box`: the optimiser must not know either.
#![no_std]

mod elf;
mod flags;
mod got;
mod life;
mod names;
mod sechdrs;
mod section;
mod tables;
mod text;
mod verify;

use core::hint::black_box;
use core::panic::PanicInfo;
use relakit::{CallbackError, Memory, Resolver, Target, Writer};
use text::Text;

unsafe extern "C" {
    // Defined nowhere.
    safe fn relakit_panic_is_reachable() -> !;
    // The embedder's side; the script gives them addresses.
    safe fn embedder_symbol(name: &[u8; 8], position: u64) -> u64;
    safe fn embedder_memory(offset: u64) -> u64;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    relakit_panic_is_reachable()
}

struct Embedder;

impl Embedder {
    fn symbol(name: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
        match embedder_symbol(name.first_chunk().unwrap_or(&[0; 8]), position) {
            0 => Ok(None),
            1 => Err(CallbackError(1)),
            value => Ok(Some(value)),
        }
    }
}

impl Resolver for Embedder {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Self::symbol(name, 0)
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        Self::symbol(object, position)?;
        Self::symbol(name, position)
    }
}

impl Writer for Embedder {
    fn read(&mut self, _address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        for byte in bytes {
            *byte = embedder_memory(offset) as u8;
        }
        Ok(())
    }

    fn write(&mut self, address: u64, _offset: u64, _bytes: &[u8]) -> Result<(), CallbackError> {
        if embedder_memory(address) == 0 { Ok(()) } else { Err(CallbackError(2)) }
    }
}

/// An embedder that has the functions that it must have, and relakit's own for the others.
struct Nothing;

impl Resolver for Nothing {
    fn exported(&mut self, _name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(None)
    }
}

impl Writer for Nothing {
    fn read(&mut self, _address: u64, _offset: u64, _bytes: &mut [u8]) -> Result<(), CallbackError> {
        Ok(())
    }

    fn write(&mut self, _address: u64, _offset: u64, _bytes: &[u8]) -> Result<(), CallbackError> {
        Ok(())
    }
}

impl Memory for Nothing {
    fn base(&self, _section: u32) -> Option<u64> {
        None
    }

    fn target(&mut self, _section: u32) -> Option<Target<'_>> {
        None
    }
}

/// Goes through an iterator to its end.
fn each<T>(iterator: impl Iterator<Item = T>) {
    for item in iterator {
        black_box(item);
    }
}
