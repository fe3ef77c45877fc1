//! What is relocated: bytes to read and write, and the address they will have when they run.

use crate::error::{CallbackError, ErrorKind};
use crate::read::index;
use crate::report::{Failed, Report};
use core::fmt;
use core::ops::Range;

/// Reads and writes memory that is not a plain slice: text behind `text_poke`, a guest, a bounce buffer.
///
/// A pass first reads every field, and only when all of them are right writes them: one call a field, `offset`
/// bytes into the section, at run-time address `address`, 1, 2, 4 or 8 bytes. It reads each field once more right before
/// it writes it. (Fields that overlap or do not ascend are cleared without the first reading.) Then `sync` is called,
/// once. A pass that fails while it writes puts back what it has written, in the reverse order, through `write`, and
/// calls `sync`.
pub trait Writer {
    /// Reads the bytes now in memory into `bytes`.
    ///
    /// # Errors
    /// Any number; the pass then fails with [`ErrorKind::Writer`].
    fn read(&mut self, address: u64, offset: u64, bytes: &mut [u8]) -> Result<(), CallbackError>;

    /// Writes `bytes`, or changes nothing.
    ///
    /// # Errors
    /// Any number; the pass then fails with [`ErrorKind::Writer`] after what it wrote is undone.
    fn write(&mut self, address: u64, offset: u64, bytes: &[u8]) -> Result<(), CallbackError>;

    /// Makes all writes of the pass visible where they will run.
    ///
    /// # Errors
    /// Any number; the pass then fails with [`ErrorKind::Sync`] after what it wrote is undone.
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// A section in memory: its bytes, and the address that its first byte will have when it runs. The two differ in a
/// bootloader, a hypervisor and a test; P is always `address + r_offset`.
pub struct Target<'a> {
    pub(super) memory: Memory<'a>,
    pub(super) address: u64,
}

pub(super) enum Memory<'a> {
    Plain(&'a mut [u8]),
    /// In a [`View`] only, so no pass that writes gets it.
    ReadOnly(&'a [u8]),
    Hooked {
        size: u64,
        writer: &'a mut dyn Writer,
    },
}

/// A section in memory that is only read, for a dry run.
#[derive(Debug)]
pub struct View<'a>(pub(super) Target<'a>);

impl<'a> View<'a> {
    /// Plain memory. `address` is that of the first byte when it runs.
    pub const fn new(bytes: &'a [u8], address: u64) -> Self {
        Self(Target { memory: Memory::ReadOnly(bytes), address })
    }

    /// `size` bytes behind a writer, of which only [`Writer::read`] is called.
    pub const fn with_writer(size: u64, address: u64, writer: &'a mut dyn Writer) -> Self {
        Self(Target::with_writer(size, address, writer))
    }
}

impl<'a> From<&'a mut Target<'_>> for View<'a> {
    fn from(target: &'a mut Target<'_>) -> Self {
        let Target { memory, address } = target;
        match memory {
            Memory::Plain(bytes) => Self::new(bytes, *address),
            Memory::ReadOnly(bytes) => Self::new(bytes, *address),
            Memory::Hooked { size, writer } => Self::with_writer(*size, *address, &mut **writer),
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({:#x} bytes at {:#x})", self.size(), self.address)
    }
}

impl<'a> Target<'a> {
    /// Plain memory; the fast path.
    pub const fn new(bytes: &'a mut [u8], address: u64) -> Self {
        Self { memory: Memory::Plain(bytes), address }
    }

    /// `size` bytes behind a writer.
    pub const fn with_writer(size: u64, address: u64, writer: &'a mut dyn Writer) -> Self {
        Self { memory: Memory::Hooked { size, writer }, address }
    }

    /// Bytes of the section.
    pub const fn size(&self) -> u64 {
        match &self.memory {
            Memory::Plain(bytes) => bytes.len() as u64,
            Memory::ReadOnly(bytes) => bytes.len() as u64,
            Memory::Hooked { size, .. } => *size,
        }
    }

    /// Address of the first byte when it runs.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The bytes, where they are plain memory.
    pub const fn bytes(&self) -> Option<&[u8]> {
        match &self.memory {
            Memory::Plain(bytes) => Some(bytes),
            Memory::ReadOnly(bytes) => Some(bytes),
            Memory::Hooked { .. } => None,
        }
    }

    /// Makes the writes of a pass visible.
    pub(crate) fn sync(&mut self) -> Result<(), CallbackError> {
        match &mut self.memory {
            Memory::Plain(_) | Memory::ReadOnly(_) => Ok(()),
            Memory::Hooked { writer, .. } => writer.sync(),
        }
    }

    /// Refuses a section whose last byte would have an address past 2^64 - 1.
    pub(crate) fn check_address(&self, report: &mut Report) -> Result<(), Failed> {
        let (address, size) = (self.address, self.size());
        match address.checked_add(size.saturating_sub(1)) {
            Some(_) => Ok(()),
            None => Err(report.fail(ErrorKind::AddressWraps, address, size)),
        }
    }

    /// Where the field of `size` bytes at `offset` begins and ends, if all of it is in the section. Each access asks anew: what
    /// an offset was read from may have changed since.
    fn field(&self, offset: u64, size: u8, report: &mut Report) -> Result<Range<usize>, Failed> {
        let section = self.size();
        let end = offset.checked_add(u64::from(size)).filter(|end| *end <= section);
        match index(offset).zip(end.and_then(index)) {
            Some((start, end)) => Ok(start..end),
            None => Err(report.fail(ErrorKind::OffsetOutside, u64::from(size), section)),
        }
    }

    /// The field of `size` bytes at `offset`, zero-extended.
    pub(super) fn read(&mut self, offset: u64, size: u8, report: &mut Report) -> Result<u64, Failed> {
        let range = self.field(offset, size, report)?;
        let address = self.address.wrapping_add(offset);
        let mut field = [0; 8];
        let part = field.get_mut(..usize::from(size)).unwrap_or_default();
        let plain: &[u8] = match &mut self.memory {
            Memory::Plain(bytes) => bytes,
            Memory::ReadOnly(bytes) => bytes,
            Memory::Hooked { writer, .. } => {
                let read = writer.read(address, offset, part);
                read.map_err(|error| report.fail(ErrorKind::Writer, error.number(), 0))?;
                return Ok(u64::from_le_bytes(field));
            }
        };
        for (to, from) in part.iter_mut().zip(plain.get(range).unwrap_or_default()) {
            *to = *from;
        }
        Ok(u64::from_le_bytes(field))
    }

    /// Writes the low `size` bytes of `value` at `offset`.
    pub(super) fn write(
        &mut self,
        offset: u64,
        size: u8,
        value: u64,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let range = self.field(offset, size, report)?;
        let address = self.address.wrapping_add(offset);
        let field = value.to_le_bytes();
        let from = field.get(..usize::from(size)).unwrap_or_default();
        match &mut self.memory {
            Memory::Plain(bytes) => {
                for (to, from) in bytes.get_mut(range).unwrap_or_default().iter_mut().zip(from) {
                    *to = *from;
                }
                Ok(())
            }
            Memory::ReadOnly(bytes) => {
                Err(report.fail(ErrorKind::OffsetOutside, u64::from(size), bytes.len() as u64))
            }
            Memory::Hooked { writer, .. } => writer
                .write(address, offset, from)
                .map_err(|error| report.fail(ErrorKind::Writer, error.number(), 0)),
        }
    }
}

impl Target<'_> {
    /// Sets plain memory to `content`, followed by zeros; does nothing behind a writer.
    pub(crate) fn fill(&mut self, content: &[u8]) {
        if let Memory::Plain(bytes) = &mut self.memory
            && let Some((head, tail)) = bytes.split_at_mut_checked(content.len())
        {
            head.copy_from_slice(content);
            tail.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::capture;

    /// A writer that must not be called.
    struct Nobody;

    impl Writer for Nobody {
        fn read(&mut self, _: u64, offset: u64, _: &mut [u8]) -> Result<(), CallbackError> {
            panic!("read at {offset:#x}")
        }

        fn write(&mut self, _: u64, offset: u64, _: &[u8]) -> Result<(), CallbackError> {
            panic!("write at {offset:#x}")
        }
    }

    #[test]
    fn no_access_reaches_out_of_the_section_whatever_was_read_before() {
        for (offset, size) in [(9, 8), (13, 4), (16, 1), (17, 1), (u64::MAX, 8), (u64::MAX - 7, 8)] {
            let mut bytes = [0xaa; 16];
            let mut nobody = Nobody;
            for target in [&mut Target::new(&mut bytes, 0), &mut Target::with_writer(16, 0, &mut nobody)] {
                let outside = Err((ErrorKind::OffsetOutside, u64::from(size), 16));
                let said = |error: crate::Error| (error.kind, error.value, error.limit);
                let written = capture(|report| target.write(offset, size, 0, report));
                assert_eq!(written.map_err(said), outside, "{offset:#x}");
                let read = capture(|report| target.read(offset, size, report));
                assert_eq!(read.map(|_| ()).map_err(said), outside, "{offset:#x}");
            }
            assert_eq!(bytes, [0xaa; 16]);
        }
    }

    #[test]
    fn a_view_is_not_written_to() {
        let mut view = View::new(&[0; 8], 0);
        assert!(capture(|report| view.0.write(0, 8, 1, report)).is_err());
        assert_eq!(capture(|report| view.0.read(0, 8, report)), Ok(0));
    }
}
