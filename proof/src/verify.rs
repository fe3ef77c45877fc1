//! The verification of a module that runs.

use crate::{Embedder, Nothing, Text};
use core::fmt::Write;
use core::hint::black_box;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, Values};
use relakit::sort::{self, Rows};
use relakit::verify::{self, Comparison, Difference, Reader};
use relakit::{CallbackError, Error, Loaded, SectionMemory, Target};
use relakit_linux::special::{Place, Role, sort_tables};
use relakit_linux::verify::{
    Kernel, Known, Mismatch, PatchSite, Policies, Policy, allowed_patch, patch_sites, verify as linux,
};

/// What the embedder lends for a verification.
pub struct Running<'a> {
    loaded: &'a Loaded<'a>,
    memory: &'a mut [Option<SectionMemory<'a>>],
    values: &'a mut [u64],
    bytes: &'a mut [u8],
    places: &'a [Place],
    sites: &'a [PatchSite],
    object: &'a [u8],
    table: RelaTable<'a>,
    flags: RelocFlags,
    version: (u16, u16),
    role: Role,
    number: u64,
    index: u32,
    fault: Option<Error>,
    count: u64,
}

impl Reader for Embedder {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        relakit::Writer::read(self, 0, address, bytes)
    }
}

impl Known for Embedder {
    fn function(&mut self, address: u64) -> bool {
        crate::embedder_memory(address) == 1
    }

    fn symbol(&mut self, name: &[u8]) -> Option<u64> {
        Self::symbol(name, 0).ok()?
    }
}

impl Rows for Nothing {
    fn is_less(&mut self, one: usize, other: usize) -> bool {
        crate::embedder_memory(one as u64) < crate::embedder_memory(other as u64)
    }

    fn swap(&mut self, _one: usize, _other: usize) {}
}

#[unsafe(no_mangle)]
extern "C" fn proof_verify(running: &mut Running<'_>) -> i32 {
    match all(running) {
        Ok(()) => 0,
        Err(error) => {
            running.fault = Some(error);
            error.kind as i32
        }
    }
}

fn all(running: &mut Running<'_>) -> Result<(), Error> {
    let Running { loaded, memory, values, bytes, object, table, flags, number, index, count, .. } = running;
    let (loaded, memory) = (*loaded, &mut **memory);
    let mut on = |difference: &Difference| *count = count.wrapping_add(difference.size);
    loaded.apply_late(object, memory, values, &mut Embedder)?;
    black_box(loaded.is_applied(object, memory, &mut Embedder)?);
    black_box(loaded.verify(memory, &mut Embedder, &mut on)?);
    let target = Target::new(bytes, *number);
    black_box(verify::section(*table, Values::Dense(values), target, *flags, &mut Embedder, &mut on)?);
    let mut reader = Embedder;
    let mut comparison = Comparison::new(loaded, memory, &mut reader, verify::CONSTANT);
    black_box((comparison.module().object().section_count(), comparison.compares(*index)));
    black_box(comparison.expected(*index));
    comparison.found(*index, *number, bytes)?;
    comparison.settle(*index, *number, bytes);
    black_box(comparison.run(&mut on)?);
    let excerpt = verify::Excerpt::new(bytes);
    black_box((excerpt.as_slice(), write!(Text, "{comparison:?} {excerpt:?}"))).1.ok();
    black_box(Difference::new(*index, *number, *number, bytes, bytes));
    sort::sort_rows(&mut Nothing, bytes.len());
    black_box(Target::new(bytes, *number).into_bytes());
    by_forms(running)
}

fn by_forms(running: &mut Running<'_>) -> Result<(), Error> {
    let Running { loaded, memory, bytes, places, sites, version, role, number, count, .. } = running;
    let (loaded, memory) = (*loaded, &mut **memory);
    let mut embedder = Embedder;
    let mut kernel = Kernel::new(*version, &mut embedder);
    kernel.policies = Policies::default().with(*role, Policy::Anything).with(Role::Lock, Policy::Untouched);
    black_box((kernel.policies.of(*role), role.name(), role.c_name()));
    black_box(write!(Text, "{kernel:?}")).ok();
    black_box(kernel.known.tracer(*number) | kernel.known.its_thunk(*number, 1));
    let mut on = |mismatch: &Mismatch| *count = count.wrapping_add(mismatch.difference.size);
    black_box(linux(loaded, memory, &mut Embedder, &mut kernel, places, &mut on)?);
    sort_tables(loaded.module(), memory, *version, places);
    patch_sites(loaded, memory, *version, places, &mut |site| *count = count.wrapping_add(site.size));
    black_box(allowed_patch(loaded, memory, &mut Embedder, &mut kernel, sites, *number, bytes)?);
    Ok(())
}
