//! Passes on memory behind a writer.

use super::case::Case;
use relakit::elf::RelaTable;
use relakit::reloc::{self, RelocFlags, Values};
use relakit::{CallbackError, Error, ErrorKind, Target, View, Writer};
use relakit_model::guest::{Guest, hook_number};

/// The engine's passes.
pub type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), Error>;

/// A dry run, as a pass.
pub fn dry_run(
    table: RelaTable<'_>,
    values: Values<'_>,
    target: &mut Target<'_>,
    flags: RelocFlags,
) -> Result<(), Error> {
    reloc::dry_run(table, values, &mut View::from(target), flags)
}

/// Runs a pass. What it wrote is made visible, and the number of a call that failed is in the
/// error.
pub fn run(guest: &mut Guest, case: &Case, pass: Pass) -> Result<(), Error> {
    let world = &case.world;
    let mut target = Target::with_writer(world.bytes.len() as u64, world.address, guest);
    let result = pass(case.entries(), Values::Dense(&world.values), &mut target, world.flags);
    assert!(!guest.is_pending(), "all that was written is made visible");
    if let Err(Error { kind: ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone, value, .. }) = result
    {
        let told = (0..guest.calls.len()).find(|call| hook_number(*call) == value);
        assert!(told.is_some_and(|call| guest.fails(call)), "{value:#x}");
    }
    result
}

/// Memory behind a writer that has nothing to sync.
pub struct Quiet<'g>(pub &'g mut Guest);

impl Writer for Quiet<'_> {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.0.read(address, offset, bytes)
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.0.write(address, offset, bytes)
    }
}
