//! All calls of callbacks.

use crate::error::{Failed, Report};
use crate::pointers::{Span, versioned};
use crate::status::*;
use crate::types::*;
use core::ffi::c_char;
use relakit::{CallbackError, Resolver, Writer};

/// A writer of the caller.
#[derive(Debug)]
pub(crate) struct CWriter(relakit_writer);

impl CWriter {
    /// Reads argument `number`; `None` if it is NULL.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and its callbacks accept its `ctx` while the returned
    /// value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        writer: *const relakit_writer,
        number: u64,
        report: &mut Report,
    ) -> Result<Option<Self>, Failed> {
        if writer.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL; the caller promises as many readable bytes as struct_size says.
        let writer = unsafe { versioned(writer, number, report) }?;
        if writer.flags & !RELAKIT_WRITER_FOREIGN != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(writer.flags)));
        }
        match (writer.read, writer.write) {
            (Some(_), Some(_)) => Ok(Some(Self(writer))),
            _ => Err(report.refuse(RELAKIT_ERR_CALLBACK, number, 0)),
        }
    }
}

impl CWriter {
    /// Returns whether `size` bytes at `address` belong to this program and overlap one of
    /// `others`.
    pub(crate) fn overlaps(&self, address: u64, size: u64, mut others: impl Iterator<Item = Span>) -> bool {
        self.0.flags & RELAKIT_WRITER_FOREIGN == 0
            && Span::behind_writer(address, size)
                .is_some_and(|span| others.any(|other| !span.is_apart_from(other)))
    }
}

const fn hook(answer: i32) -> Result<(), CallbackError> {
    match answer {
        0 => Ok(()),
        number => Err(CallbackError(number)),
    }
}

impl Writer for CWriter {
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        let Some(read) = self.0.read else { return Ok(()) };
        // SAFETY: `new`'s caller promised the callback; `bytes` is ours, with `bytes.len()` bytes.
        hook(unsafe { read(self.0.ctx, address, offset, bytes.as_mut_ptr().cast(), bytes.len()) })
    }

    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError> {
        let Some(write) = self.0.write else { return Ok(()) };
        // SAFETY: `new`'s caller promised the callback; `bytes` is ours and is only read.
        hook(unsafe { write(self.0.ctx, address, offset, bytes.as_ptr().cast(), bytes.len()) })
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        let Some(sync) = self.0.sync else { return Ok(()) };
        // SAFETY: `new`'s caller promised that the callback can be called with `ctx`.
        hook(unsafe { sync(self.0.ctx) })
    }
}

/// A resolver of the caller.
#[derive(Debug)]
pub(crate) struct CResolver(relakit_resolver);

impl CResolver {
    /// Reads argument `number`.
    ///
    /// # Safety
    /// If not NULL, the struct is readable, and its callbacks accept its `ctx` while the returned
    /// value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        resolver: *const relakit_resolver,
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises that `resolver` is NULL or readable for its struct_size.
        let resolver = unsafe { versioned(resolver, number, report) }?;
        match resolver.flags {
            0 => Ok(Self(resolver)),
            flags => Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(flags))),
        }
    }
}

const fn found(answer: i32, value: u64) -> Result<Option<u64>, CallbackError> {
    match answer {
        RELAKIT_OK => Ok(Some(value)),
        RELAKIT_NOT_FOUND => Ok(None),
        number => Err(CallbackError(number)),
    }
}

/// Returns a name as a C pointer.
const fn text(name: &[u8]) -> *const c_char {
    name.as_ptr().cast()
}

impl Resolver for CResolver {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        let Some(exported) = self.0.exported else { return Ok(None) };
        let mut value = 0;
        // SAFETY: `new`'s caller promised the callback; `name` and `value` live during the call.
        let answer = unsafe { exported(self.0.ctx, text(name), name.len(), &raw mut value) };
        found(answer, value)
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let Some(nth_symbol) = self.0.nth_symbol else { return Ok(None) };
        let mut value = 0;
        // SAFETY: `new`'s caller promised the callback; the names and `value` live during the call.
        let answer = unsafe {
            nth_symbol(self.0.ctx, text(object), object.len(), text(name), name.len(), sympos, &raw mut value)
        };
        found(answer, value)
    }
}
