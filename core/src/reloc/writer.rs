//! Memory behind callbacks.

use crate::error::CallbackError;

/// Reads and writes memory that is not a plain slice: kernel text, a guest, a bounce buffer.
///
/// A pass first reads and checks every field. Then it writes each field with one call and reads the
/// field once more just before. Then it calls `sync` once. Fields that overlap or do not ascend are
/// cleared without the first step. If a call fails after the first write, the pass restores the
/// fields in the reverse order with `write`, and calls `sync`.
///
/// `address` is the run-time address of the field, `offset` its offset in the section in bytes. A
/// field has 1, 2, 4 or 8 bytes.
pub trait Writer {
    /// Reads the present content of a field into `bytes`.
    ///
    /// # Errors
    /// Any number. The pass fails with [`ErrorKind::Writer`](crate::ErrorKind::Writer).
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError>;

    /// Writes `bytes`, or fails and changes nothing.
    ///
    /// # Errors
    /// Any number. The pass fails with [`ErrorKind::Writer`](crate::ErrorKind::Writer) after its rollback.
    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError>;

    /// Makes all writes of the pass visible to the code that uses them.
    ///
    /// # Errors
    /// Any number. The pass fails with [`ErrorKind::Sync`](crate::ErrorKind::Sync) after its rollback.
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// A [`Writer`] as functions and their first argument. It needs no vtable, so a program that is
/// linked at address 0 needs no relocation of its own for it.
///
/// The functions are called as those of [`Writer`], and return the same.
#[derive(Clone, Copy, Debug)]
pub struct WriterCallbacks {
    /// First argument of each function. relakit does not dereference it.
    pub ctx: *const (),
    /// See [`Writer::read`].
    pub read: fn(ctx: *const (), address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError>,
    /// See [`Writer::write`].
    pub write: fn(ctx: *const (), address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError>,
    /// See [`Writer::sync`].
    pub sync: fn(ctx: *const ()) -> Result<(), CallbackError>,
}

impl WriterCallbacks {
    pub(super) fn read(&self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        (self.read)(self.ctx, address, offset, bytes)
    }

    pub(super) fn write(&self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        (self.write)(self.ctx, address, offset, bytes)
    }

    pub(super) fn sync(&self) -> Result<(), CallbackError> {
        (self.sync)(self.ctx)
    }
}
