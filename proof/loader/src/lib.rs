//! A bootloader's use of relakit: it loads one object into plain memory.
#![no_std]

use core::panic::PanicInfo;
use relakit::{Error, Module, Profile, Resolver, SectionMemory};

/// Loads `file` into `memory`, which has the memory of each section.
///
/// # Errors
/// Those of the library.
#[unsafe(no_mangle)]
pub fn load(
    file: &[u8],
    memory: &mut [Option<SectionMemory<'_>>],
    values: &mut [u64],
    resolver: &mut dyn Resolver,
) -> Result<(), Error> {
    let module = Module::parse(file, Profile::ELF)?;
    module.assign(memory)?.fill()?.early(values, resolver).map(drop)
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
