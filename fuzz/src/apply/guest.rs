//! Memory behind a writer that can fail.

use super::case::Case;
use super::model::World;
use relakit::elf::RelaTable;
use relakit::reloc::{Rules, Values};
use relakit::{Error, HookError, Target, Writer};

/// The engine's passes.
pub type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, Rules) -> Result<(), Error>;

pub struct Guest {
    pub bytes: Vec<u8>,
    address: u64,
    pub calls: usize,
    /// The call that fails.
    fails: Option<usize>,
    /// Every call after it fails too.
    for_good: bool,
}

impl Guest {
    pub fn new(world: &World) -> Self {
        Self { bytes: world.bytes.clone(), address: world.address, calls: 0, fails: None, for_good: false }
    }

    pub fn failing(world: &World, fails: usize, for_good: bool) -> Self {
        Self { fails: Some(fails), for_good, ..Self::new(world) }
    }

    pub fn run(&mut self, case: &Case, pass: Pass) -> Result<(), Error> {
        let World { bytes, address, values, rules } = &case.world;
        let mut target = Target::hooked(bytes.len() as u64, *address, self);
        pass(case.entries(), Values::Dense(values), &mut target, *rules)
    }

    fn call(&mut self) -> Result<(), HookError> {
        let call = self.calls;
        self.calls += 1;
        match self.fails {
            Some(fails) if call == fails || self.for_good && call > fails => Err(HookError(-5)),
            _ => Ok(()),
        }
    }

    fn field(&mut self, address: u64, offset: u64, size: usize) -> &mut [u8] {
        assert_eq!(address, self.address.wrapping_add(offset));
        let at = usize::try_from(offset).expect("inside");
        &mut self.bytes[at..at + size]
    }
}

impl Writer for Guest {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), HookError> {
        self.call()?;
        bytes.copy_from_slice(self.field(address, offset, bytes.len()));
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), HookError> {
        self.call()?;
        self.field(address, offset, bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), HookError> {
        self.call()
    }
}
