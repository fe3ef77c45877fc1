//! The target of a pass: plain memory, or memory behind a writer.

use crate::callbacks::CWriter;
use crate::error::{Failed, Report};
use crate::pointers::{Piece, Span};
use crate::status::*;
use crate::types::*;
use relakit::{Target, View};

/// A `relakit_target` after the checks.
pub(crate) enum CTarget {
    Plain { bytes: Piece<u8>, address: u64 },
    Writer { writer: CWriter, size: u64, address: u64 },
}

impl CTarget {
    /// Checks argument `number`. Its memory must not overlap `others`, which the call reads.
    ///
    /// # Safety
    /// If `target` has a writer, the struct is readable, and its callbacks accept its `ctx` while the
    /// returned value lives.
    #[inline(never)]
    pub(crate) unsafe fn new(
        target: &relakit_target,
        others: &[Span],
        number: u64,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let relakit_target { bytes, size, address, writer } = *target;
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks accept
        // its `ctx`.
        let (target, span) = match unsafe { CWriter::new(writer, number, report) }? {
            Some(_) if !bytes.is_null() => return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0)),
            Some(writer) => {
                let span = writer.span(address, size);
                (Self::Writer { writer, size, address }, span)
            }
            None => {
                let Ok(size) = usize::try_from(size) else {
                    return Err(report.refuse(RELAKIT_ERR_LENGTH, number, size));
                };
                let bytes = Piece::<u8>::new(bytes.cast(), size, number, report)?;
                (Self::Plain { bytes, address }, bytes.span)
            }
        };
        span.apart_from(others, number, report)?;
        Ok(target)
    }

    /// Returns the target of a pass that writes.
    ///
    /// # Safety
    /// Plain memory is writable. No reference to a byte of it exists while the target is used.
    pub(crate) unsafe fn write(&mut self) -> Target<'_> {
        match self {
            // SAFETY: `Piece::new` checked the pointer; the caller promises that the bytes are writable
            // and that no reference to them exists.
            Self::Plain { bytes, address } => Target::new(unsafe { bytes.write() }, *address),
            Self::Writer { writer, size, address } => writer.target(*size, *address),
        }
    }

    /// Returns the target of a pass that only reads.
    ///
    /// # Safety
    /// Plain memory is readable, and is not written while the target is used.
    pub(crate) unsafe fn read(&mut self) -> View<'_> {
        match self {
            // SAFETY: `Piece::new` checked the pointer; the caller promises that no code writes to the
            // bytes while the target is used.
            Self::Plain { bytes, address } => View::new(unsafe { bytes.read() }, *address),
            Self::Writer { writer, size, address } => writer.view(*size, *address),
        }
    }
}
