//! Memory behind a writer that can fail.

use super::case::Case;
use super::model::World;
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, Values, dry_run};
use relakit::{CallbackError, Error, ErrorKind, Target, View, Writer};

/// The engine's passes.
pub type Pass = fn(RelaTable<'_>, Values<'_>, &mut Target<'_>, RelocFlags) -> Result<(), Error>;

pub struct Guest {
    pub bytes: Vec<u8>,
    address: u64,
    pub calls: usize,
    /// The call that fails.
    fails: Option<usize>,
    /// Every call after it fails too.
    for_good: bool,
    /// It may only be read.
    only_read: bool,
    /// Something was written, and nobody has called `sync`.
    pending: bool,
}

impl Guest {
    pub fn new(world: &World) -> Self {
        Self {
            bytes: world.bytes.clone(),
            address: world.address,
            calls: 0,
            fails: None,
            for_good: false,
            only_read: false,
            pending: false,
        }
    }

    pub fn failing(world: &World, fails: usize, for_good: bool) -> Self {
        Self { fails: Some(fails), for_good, ..Self::new(world) }
    }

    pub fn reading(world: &World) -> Self {
        Self { only_read: true, ..Self::new(world) }
    }

    pub fn run(&mut self, case: &Case, pass: Pass) -> Result<(), Error> {
        let World { bytes, address, values, flags: rules } = &case.world;
        let mut target = Target::with_writer(bytes.len() as u64, *address, self);
        let result = pass(case.entries(), Values::Dense(values), &mut target, *rules);
        self.is_told(&result);
        result
    }

    /// A dry run.
    pub fn dry_run(&mut self, case: &Case) -> Result<(), Error> {
        let World { bytes, address, values, flags: rules } = &case.world;
        let mut view = View::with_writer(bytes.len() as u64, *address, self);
        let result = dry_run(case.entries(), Values::Dense(values), &mut view, *rules);
        self.is_told(&result);
        result
    }

    /// The number of a call that failed is in the error.
    fn is_told(&self, result: &Result<(), Error>) {
        assert!(!self.pending, "all that was written is made visible");
        if let Err(Error {
            kind: ErrorKind::Writer | ErrorKind::Sync | ErrorKind::NotUndone, value, ..
        }) = result
        {
            let told = (0..self.calls).find(|call| Self::number(*call) == value.cast_signed());
            assert!(told.is_some_and(|call| self.has_failed(call)), "{value:#x}");
        }
    }

    /// What a call fails with.
    fn number(call: usize) -> i64 {
        -1 - call as i64
    }

    fn has_failed(&self, call: usize) -> bool {
        self.fails.is_some_and(|fails| call == fails || self.for_good && call > fails)
    }

    fn call(&mut self) -> Result<(), CallbackError> {
        let call = self.calls;
        self.calls += 1;
        if self.has_failed(call) { Err(CallbackError(Self::number(call) as i32)) } else { Ok(()) }
    }

    fn field(&mut self, address: u64, offset: u64, size: usize) -> &mut [u8] {
        assert_eq!(address, self.address.wrapping_add(offset));
        let at = usize::try_from(offset).expect("inside");
        &mut self.bytes[at..at + size]
    }
}

impl Writer for Guest {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.call()?;
        bytes.copy_from_slice(self.field(address, offset, bytes.len()));
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        assert!(!self.only_read);
        self.call()?;
        self.field(address, offset, bytes.len()).copy_from_slice(bytes);
        self.pending = true;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        assert!(!self.only_read);
        self.pending = false;
        self.call()
    }
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
