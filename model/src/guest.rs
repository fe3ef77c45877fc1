//! One section behind a writer that notes every call, and fails those that it is told to.

use crate::table::World;
use relakit::{CallbackError, Writer};
use std::collections::BTreeSet;

/// A call of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the arguments of the call")]
pub enum Call {
    Read { offset: u64, size: usize },
    Write { offset: u64, bytes: Vec<u8> },
    Sync,
}

/// The memory.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its run-time address.
    pub address: u64,
    /// The calls, those that failed among them.
    pub calls: Vec<Call>,
    /// The numbers of the calls that fail, counted from 0.
    pub fails: BTreeSet<usize>,
    /// All calls from this number on fail.
    pub fails_from: usize,
}

/// The error of call `number`.
fn hook_error(number: usize) -> CallbackError {
    CallbackError(-1000 - number as i32)
}

/// The number of call `number` in an error of relakit: sign-extended.
pub fn hook_number(number: usize) -> u64 {
    i64::from(hook_error(number).0).cast_unsigned()
}

impl Guest {
    /// The memory of `world`. No call fails.
    pub fn new(world: &World) -> Self {
        let (bytes, address) = (world.bytes.clone(), world.address);
        Self { bytes, address, calls: Vec::new(), fails: BTreeSet::new(), fails_from: usize::MAX }
    }

    /// Whether call `number` fails.
    pub fn fails(&self, number: usize) -> bool {
        self.fails.contains(&number) || number >= self.fails_from
    }

    /// Whether it was only read.
    pub fn is_only_read(&self) -> bool {
        self.calls.iter().all(|call| matches!(call, Call::Read { .. }))
    }

    /// Whether something was written that was not made visible.
    pub fn is_pending(&self) -> bool {
        let synced = self.calls.iter().rposition(|call| *call == Call::Sync).map_or(0, |last| last + 1);
        let is_written = |number| matches!(self.calls[number], Call::Write { .. }) && !self.fails(number);
        (synced..self.calls.len()).any(is_written)
    }

    fn call(&mut self, call: Call) -> Result<(), CallbackError> {
        let number = self.calls.len();
        self.calls.push(call);
        if self.fails(number) { Err(hook_error(number)) } else { Ok(()) }
    }

    fn field(&mut self, address: u64, offset: u64, size: usize) -> &mut [u8] {
        assert_eq!(address, self.address.wrapping_add(offset));
        &mut self.bytes[usize::try_from(offset).unwrap()..][..size]
    }
}

impl Writer for Guest {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.call(Call::Read { offset, size: bytes.len() })?;
        bytes.copy_from_slice(self.field(address, offset, bytes.len()));
        Ok(())
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        self.call(Call::Write { offset, bytes: bytes.to_vec() })?;
        self.field(address, offset, bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.call(Call::Sync)
    }
}
