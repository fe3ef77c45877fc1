//! What a module is loaded into: memory, plain and behind writers, and somebody who knows symbols; all of them fail when told.

use relakit::{CallbackError, Memory, Resolver, Target, Writer};
use std::cell::Cell;

/// Which calls of hooks fail: `times` of them, after `after` that work.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    after: Cell<usize>,
    times: Cell<usize>,
    failed: Cell<usize>,
}

/// The number that hooks fail with, and as an error has it.
const NUMBER: i32 = 77;
pub(crate) const FAILED: u64 = 77;

impl Faults {
    /// Has calls fail from now on, and forgets those that have.
    pub(crate) fn arm(&self, after: usize, times: usize) {
        self.after.set(after);
        self.times.set(times);
        self.failed.set(0);
    }

    /// How many calls have failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed.get()
    }

    fn call(&self) -> Result<(), CallbackError> {
        match (self.after.get(), self.times.get()) {
            (_, 0) => Ok(()),
            (0, times) => {
                self.times.set(times - 1);
                self.failed.set(self.failed.get() + 1);
                Err(CallbackError(NUMBER))
            }
            (after, _) => {
                self.after.set(after - 1);
                Ok(())
            }
        }
    }
}

/// Where one section lives, if it does.
#[derive(Clone, Debug)]
pub(crate) struct Spot<'w> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) address: u64,
    /// What its symbols count from.
    pub(crate) base: u64,
    pub(crate) is_placed: bool,
    pub(crate) is_hooked: bool,
    pub(crate) errors: &'w Faults,
}

impl<'w> Spot<'w> {
    pub(crate) fn new(address: u64, size: usize, errors: &'w Faults) -> Self {
        Self { bytes: vec![0; size], address, base: address, is_placed: true, is_hooked: false, errors }
    }

    /// No place at all.
    pub(crate) fn none(errors: &'w Faults) -> Self {
        Self { is_placed: false, ..Self::new(0, 0, errors) }
    }

    /// Whether its last byte would have an address of 2^64 or more.
    pub(crate) fn wraps(&self) -> bool {
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
#[derive(Debug)]
pub(crate) struct World<'w> {
    pub(crate) spots: Vec<Spot<'w>>,
    pub(crate) errors: &'w Faults,
    /// How often it was made visible.
    pub(crate) syncs: usize,
}

impl World<'_> {
    /// All bytes, one section after the other.
    pub(crate) fn image(&self) -> Vec<u8> {
        let mut image = Vec::with_capacity(self.spots.iter().map(|spot| spot.bytes.len()).sum());
        self.spots.iter().for_each(|spot| image.extend_from_slice(&spot.bytes));
        image
    }

    /// Whether these are all bytes.
    pub(crate) fn is(&self, mut image: &[u8]) -> bool {
        let mut same = |spot: &Spot<'_>| match image.split_at_checked(spot.bytes.len()) {
            Some((bytes, rest)) if bytes == spot.bytes => {
                image = rest;
                true
            }
            _ => false,
        };
        self.spots.iter().all(&mut same) && image.is_empty()
    }

    /// Whether all bytes are those of another.
    pub(crate) fn is_as(&self, other: &[Spot<'_>]) -> bool {
        self.spots.iter().map(|spot| &spot.bytes).eq(other.iter().map(|spot| &spot.bytes))
    }
}

impl Memory for World<'_> {
    fn base(&self, section: u32) -> Option<u64> {
        let spot = self.spots.get(usize::try_from(section).unwrap())?;
        spot.is_placed.then_some(spot.base)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let spot = self.spots.get_mut(usize::try_from(section).unwrap()).filter(|spot| spot.is_placed)?;
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

/// Somebody who knows symbols: `exported` by name, and all of an object's by object and name.
pub(crate) struct Names<'w, A> {
    pub(crate) answers: A,
    pub(crate) errors: &'w Faults,
}

/// What there is to know.
pub(crate) trait Answers {
    fn exported(&self, name: &[u8]) -> Option<u64>;
    /// The value of the symbol number `position`, counted from 0.
    fn nth_symbol(&self, object: &[u8], name: &[u8], position: u64) -> Option<u64>;
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
