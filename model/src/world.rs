//! What a module is loaded into: memory, plain and behind writers, and a resolver. Every hook fails
//! when it is told to.

use relakit::{CallbackError, Memory, Resolver, Target, Writer};
use std::cell::Cell;

/// Which calls of hooks fail: `times` of them, after `after` that work.
#[derive(Debug, Default)]
pub struct Faults {
    after: Cell<usize>,
    times: Cell<usize>,
    failed: Cell<usize>,
}

/// The number that hooks fail with.
pub const FAILED: i32 = 77;

impl Faults {
    /// Has calls fail from now on, and forgets those that have.
    pub fn arm(&self, after: usize, times: usize) {
        self.after.set(after);
        self.times.set(times);
        self.failed.set(0);
    }

    /// How many calls have failed.
    pub fn failed(&self) -> usize {
        self.failed.get()
    }

    fn call(&self) -> Result<(), CallbackError> {
        match (self.after.get(), self.times.get()) {
            (_, 0) => Ok(()),
            (0, times) => {
                self.times.set(times - 1);
                self.failed.set(self.failed.get() + 1);
                Err(CallbackError(FAILED))
            }
            (after, _) => {
                self.after.set(after - 1);
                Ok(())
            }
        }
    }
}

/// Where one section is.
#[derive(Clone, Debug)]
pub struct Spot<'w> {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its run-time address.
    pub address: u64,
    /// What its symbols count from.
    pub base: u64,
    /// Whether it has memory.
    pub is_placed: bool,
    /// Whether it is behind a writer.
    pub is_hooked: bool,
    /// Which calls of the writer fail.
    pub errors: &'w Faults,
}

impl<'w> Spot<'w> {
    /// `size` zero bytes of plain memory.
    pub fn new(address: u64, size: usize, errors: &'w Faults) -> Self {
        Self { bytes: vec![0; size], address, base: address, is_placed: true, is_hooked: false, errors }
    }

    /// No memory.
    pub fn none(errors: &'w Faults) -> Self {
        Self { is_placed: false, ..Self::new(0, 0, errors) }
    }

    /// Whether its last byte would have an address of 2^64 or more.
    pub fn wraps(&self) -> bool {
        !self.bytes.is_empty() && u128::from(self.address) + self.bytes.len() as u128 > 1 << 64
    }

    fn field(&mut self, address: u64, offset: u64, size: usize) -> &mut [u8] {
        assert_eq!(address, self.address.wrapping_add(offset), "a field is where its offset says");
        &mut self.bytes[usize::try_from(offset).unwrap()..][..size]
    }
}

impl Writer for Spot<'_> {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.errors.call()?;
        bytes.copy_from_slice(self.field(address, offset, bytes.len()));
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.errors.call()?;
        self.field(address, offset, bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        panic!("sections of a module are made visible together")
    }
}

/// Memory for a module, by section index.
#[derive(Clone, Debug)]
pub struct World<'w> {
    /// The sections.
    pub spots: Vec<Spot<'w>>,
    /// Which calls fail.
    pub errors: &'w Faults,
    /// How often the memory was made visible.
    pub syncs: usize,
}

impl World<'_> {
    /// All bytes, section after section.
    pub fn image(&self) -> Vec<Vec<u8>> {
        self.spots.iter().map(|spot| spot.bytes.clone()).collect()
    }

    /// Whether these are all bytes.
    pub fn is(&self, image: &[Vec<u8>]) -> bool {
        self.spots.iter().map(|spot| &spot.bytes).eq(image)
    }

    /// Whether all bytes are those of another world.
    pub fn is_as(&self, other: &[Spot<'_>]) -> bool {
        self.spots.iter().map(|spot| &spot.bytes).eq(other.iter().map(|spot| &spot.bytes))
    }
}

impl Memory for World<'_> {
    fn base(&self, section: u32) -> Option<u64> {
        let spot = self.spots.get(section as usize)?;
        spot.is_placed.then_some(spot.base)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let spot = self.spots.get_mut(section as usize).filter(|spot| spot.is_placed)?;
        let (size, address) = (spot.bytes.len() as u64, spot.address);
        Some(match spot.is_hooked {
            false => Target::new(&mut spot.bytes, address),
            true => Target::with_writer(size, address, spot),
        })
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.syncs += 1;
        self.errors.call()
    }
}

/// The symbols of other modules and of the kernel.
pub trait Answers {
    /// The value of an exported symbol.
    fn exported(&self, name: &[u8]) -> Option<u64>;
    /// The value of the symbol number `position` of an object, counted from 0.
    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64>;
}

impl<A: Answers> Answers for &A {
    fn exported(&self, name: &[u8]) -> Option<u64> {
        (**self).exported(name)
    }

    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64> {
        (**self).nth_symbol(object, name, position)
    }
}

/// A resolver that knows `answers`.
#[derive(Debug)]
pub struct Names<'w, A> {
    /// What it knows.
    pub answers: A,
    /// Which calls fail.
    pub errors: &'w Faults,
}

impl<A: Answers> Resolver for Names<'_, A> {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        self.errors.call()?;
        Ok(self.answers.exported(name))
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        self.errors.call()?;
        let position = position.checked_sub(1).expect("positions count from 1");
        Ok(self.answers.nth_symbol(object, name, position))
    }
}
