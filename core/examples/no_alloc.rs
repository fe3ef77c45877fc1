//! The life of a livepatch without an allocator: all memory is in fixed arrays.
//!
//! ```sh
//! cargo run -p relakit --example no_alloc
//! ```
#![no_std]

extern crate std;

use relakit::{CallbackError, Error, Late, Memory, Module, Profile, Resolver, SectionMemory};
use std::println;

const FILE: &[u8] = include_bytes!("../demo/livepatch.ko");
/// Where the livepatch will run. Here it is only data.
const ADDRESS: u64 = 0xffff_ffff_c090_0000;
const PAGE: u64 = 4096;

/// The symbols of a kernel: those that modules may use, and those of a livepatch.
struct Kernel {
    /// The address of the module `demo_disk`, if it is loaded.
    demo_disk: Option<u64>,
}

impl Resolver for Kernel {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(match name {
            b"_printk" => Some(0xffff_ffff_8111_3f20),
            b"klp_enable_patch" => Some(0xffff_ffff_8112_c6b0),
            b"seq_printf" => Some(0xffff_ffff_8146_a5d0),
            _ => None,
        })
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let in_module = |offset| Some(self.demo_disk?.wrapping_add(offset));
        Ok(match (object, name, sympos) {
            (b"vmlinux", b"diskstats_key", 1) => Some(0xffff_ffff_82e4_b2c0),
            (b"vmlinux", b"part_in_flight", 1) => Some(0xffff_ffff_815a_1c40),
            (b"vmlinux", b"part_in_flight", 2) => Some(0xffff_ffff_815b_7e60),
            (b"demo_disk", b"demo_queue", 1) => in_module(0),
            (b"demo_disk", b"demo_limits", 1) => in_module(0x2040),
            (b"demo_disk", b"demo_requests", 1) => in_module(0x2400),
            _ => None,
        })
    }
}

/// Loads the module, and returns what the late passes need.
fn load<'k, M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    retained: &'k mut [u8],
    kernel: &mut Kernel,
) -> Result<Late<'k>, Error> {
    let mut values = [0; 64];
    let loaded = module.assign(memory)?.fill()?.early(&mut values, kernel)?;
    println!("the late passes need {} bytes", loaded.retained_size());
    loaded.retain(memory, &mut values, retained)
}

fn main() -> Result<(), Error> {
    let (mut arena, mut retained) = ([0; 0x8000], [0; 0x1000]);
    let mut memory: [Option<SectionMemory<'_>>; 40] = [const { None }; 40];
    let mut kernel = Kernel { demo_disk: None };

    let module = Module::parse(FILE, Profile::LINUX_DEFAULT)?;
    let layout = module.layout(PAGE)?;
    println!("the sections need {:#x} bytes", layout.size());
    layout.split(&mut arena, ADDRESS, &mut memory)?;

    let memory = &mut memory[..];
    let mut late = load(&module, memory, &mut retained, &mut kernel)?;
    if let Err(error) = late.coming(b"demo_disk", memory, &mut kernel) {
        println!("demo_disk is not loaded yet, and nothing is changed: {error}");
    }
    for address in [0xffff_ffff_c0a1_0000, 0xffff_ffff_c0b1_0000] {
        kernel.demo_disk = Some(address);
        let sections = late.coming(b"demo_disk", memory, &mut kernel)?;
        println!("demo_disk at {address:#x}: {sections} sections are relocated");
        late.going(b"demo_disk", memory)?;
    }
    Ok(())
}
