//! The target of a pass: plain memory, or memory behind a writer.

use crate::callbacks::CWriter;
use crate::error::{Failed, Report};
use crate::pointers::{Piece, Span};
use crate::status::*;
use crate::types::*;
use relakit::{Target, View};

/// A `relakit_target` and what its checks have found. It has no bytes before them.
pub(crate) struct CTarget {
    target: relakit_target,
    bytes: Piece<u8>,
    writer: Option<CWriter>,
}

impl CTarget {
    pub(crate) fn new(target: relakit_target) -> Self {
        Self { target, bytes: Piece::empty(), writer: None }
    }

    /// Checks argument `number`. Its memory must not overlap `others`, which the call reads.
    ///
    /// # Safety
    /// If it has a writer, the struct is readable, and its callbacks accept its `ctx` while the target is
    /// used.
    #[inline(never)]
    pub(crate) unsafe fn check(
        &mut self,
        others: &[Span],
        number: u64,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let relakit_target { bytes, size, address, writer } = self.target;
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks accept
        // its `ctx`.
        self.writer = unsafe { CWriter::new(writer, number, report) }?;
        let span = match &self.writer {
            Some(_) if !bytes.is_null() => return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0)),
            Some(writer) => writer.span(address, size),
            None => {
                let Ok(size) = usize::try_from(size) else {
                    return Err(report.refuse(RELAKIT_ERR_LENGTH, number, size));
                };
                self.bytes = Piece::new(bytes.cast(), size, number, report)?;
                self.bytes.span
            }
        };
        span.apart_from(others, number, report)
    }

    /// Returns the target of a pass that writes.
    ///
    /// # Safety
    /// Plain memory is writable. No reference to a byte of it exists while the target is used.
    pub(crate) unsafe fn write(&mut self) -> Target<'_> {
        let relakit_target { size, address, .. } = self.target;
        match &mut self.writer {
            // SAFETY: `Piece::new` checked the pointer; the caller promises that the bytes are writable
            // and that no reference to them exists.
            None => Target::new(unsafe { self.bytes.write() }, address),
            Some(writer) => writer.target(size, address),
        }
    }

    /// Returns the target of a pass that only reads.
    ///
    /// # Safety
    /// Plain memory is readable, and is not written while the target is used.
    pub(crate) unsafe fn read(&mut self) -> View<'_> {
        let relakit_target { size, address, .. } = self.target;
        match &mut self.writer {
            // SAFETY: `Piece::new` checked the pointer; the caller promises that no code writes to the
            // bytes while the target is used.
            None => View::new(unsafe { self.bytes.read() }, address),
            Some(writer) => writer.view(size, address),
        }
    }
}
