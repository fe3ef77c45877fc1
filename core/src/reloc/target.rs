//! The memory that is relocated, and its run-time address.

#[cfg(feature = "writer")]
use super::writer::{Writer, WriterCallbacks};
use crate::error::{CallbackError, ErrorKind};
use crate::read::{copy, index};
use crate::report::{Failed, Report};
use core::fmt;
use core::ops::Range;

/// Memory of a section: its bytes, and the address that its first byte will have at run time.
///
/// The two differ in a bootloader, a hypervisor and a test. P is always `address + r_offset`.
pub struct Target<'a> {
    backing: Backing<'a>,
    size: u64,
    address: u64,
}

/// Where the bytes of a target are.
enum Backing<'a> {
    Plain(&'a mut [u8]),
    /// Only a [`View`] has it, so it is never written.
    ReadOnly(&'a [u8]),
    #[cfg(feature = "writer")]
    Writer(&'a mut dyn Writer),
    #[cfg(feature = "writer")]
    Callbacks(WriterCallbacks),
}

/// Memory of a section that is only read, for a dry run.
#[derive(Debug)]
pub struct View<'a>(pub(super) Target<'a>);

impl<'a> View<'a> {
    /// Plain memory. `address` is the run-time address of the first byte.
    pub const fn new(bytes: &'a [u8], address: u64) -> Self {
        Self(Target { backing: Backing::ReadOnly(bytes), size: bytes.len() as u64, address })
    }

    /// `size` bytes behind a writer. Only [`Writer::read`] is called.
    #[cfg(feature = "writer")]
    pub const fn with_writer(size: u64, address: u64, writer: &'a mut dyn Writer) -> Self {
        Self(Target::with_writer(size, address, writer))
    }

    /// `size` bytes behind callbacks. Only `read` is called.
    #[cfg(feature = "writer")]
    pub const fn with_callbacks(size: u64, address: u64, callbacks: WriterCallbacks) -> Self {
        Self(Target::with_callbacks(size, address, callbacks))
    }
}

impl<'a> From<&'a mut Target<'_>> for View<'a> {
    fn from(target: &'a mut Target<'_>) -> Self {
        match target.reborrow() {
            Target { backing: Backing::Plain(bytes), address, .. } => Self::new(bytes, address),
            other => Self(other),
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({:#x} bytes at {:#x})", self.size(), self.address)
    }
}

impl<'a> Target<'a> {
    /// Plain memory. `address` is the run-time address of the first byte.
    pub const fn new(bytes: &'a mut [u8], address: u64) -> Self {
        Self { size: bytes.len() as u64, backing: Backing::Plain(bytes), address }
    }

    /// `size` bytes behind a writer. `address` is the run-time address of the first byte.
    #[cfg(feature = "writer")]
    pub const fn with_writer(size: u64, address: u64, writer: &'a mut dyn Writer) -> Self {
        Self { backing: Backing::Writer(writer), size, address }
    }

    /// `size` bytes behind callbacks. `address` is the run-time address of the first byte.
    #[cfg(feature = "writer")]
    pub const fn with_callbacks(size: u64, address: u64, callbacks: WriterCallbacks) -> Self {
        Self { backing: Backing::Callbacks(callbacks), size, address }
    }

    /// Size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Run-time address of the first byte.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The bytes, or `None` behind a writer.
    pub const fn bytes(&self) -> Option<&[u8]> {
        match &self.backing {
            Backing::Plain(bytes) => Some(bytes),
            Backing::ReadOnly(bytes) => Some(bytes),
            #[cfg(feature = "writer")]
            Backing::Writer(_) | Backing::Callbacks(_) => None,
        }
    }

    /// The same memory, borrowed for a shorter time.
    pub(super) fn reborrow(&mut self) -> Target<'_> {
        let Self { backing, size, address } = self;
        let backing = match backing {
            Backing::Plain(bytes) => Backing::Plain(bytes),
            Backing::ReadOnly(bytes) => Backing::ReadOnly(bytes),
            #[cfg(feature = "writer")]
            Backing::Writer(writer) => Backing::Writer(&mut **writer),
            #[cfg(feature = "writer")]
            Backing::Callbacks(callbacks) => Backing::Callbacks(*callbacks),
        };
        Target { backing, size: *size, address: *address }
    }

    /// Returns the bytes for as long as the memory is borrowed. `None` if they are behind a writer or
    /// cannot be written.
    pub fn into_bytes(self) -> Option<&'a mut [u8]> {
        match self.backing {
            Backing::Plain(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes, if they are plain memory that can be written.
    pub(super) const fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.backing {
            Backing::Plain(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Makes the writes of a pass visible.
    pub(super) fn sync(&mut self) -> Result<(), CallbackError> {
        match &mut self.backing {
            #[cfg(feature = "writer")]
            Backing::Writer(writer) => writer.sync(),
            #[cfg(feature = "writer")]
            Backing::Callbacks(callbacks) => callbacks.sync(),
            _ => Ok(()),
        }
    }

    /// Whether the address of the last byte is above 2^64 - 1.
    #[inline(always)]
    pub(crate) const fn wraps(&self) -> bool {
        self.address.checked_add(self.size.saturating_sub(1)).is_none()
    }

    /// Returns `AddressWraps` if the address of the last byte is above 2^64 - 1.
    pub(crate) fn check_address(&self, report: &mut Report) -> Result<(), Failed> {
        match self.wraps() {
            true => Err(report.fail(ErrorKind::AddressWraps, self.address, self.size)),
            false => Ok(()),
        }
    }

    /// The range of the field of `size` bytes at `offset`, if the section contains it. Every access calls
    /// this, because the entry with the offset may have changed since the last access.
    fn field(&self, offset: u64, size: u8, report: &mut Report) -> Result<Range<usize>, Failed> {
        let section = self.size;
        let end = offset.checked_add(u64::from(size)).filter(|end| *end <= section);
        let range = index(offset).zip(end.and_then(index)).map(|(start, end)| start..end);
        range.ok_or_else(|| report.fail(ErrorKind::OffsetOutside, u64::from(size), section))
    }

    /// Returns the content of the field of `size` bytes at `offset`, zero-extended.
    pub(super) fn read(&mut self, offset: u64, size: u8, report: &mut Report) -> Result<u64, Failed> {
        let range = self.field(offset, size, report)?;
        #[cfg(feature = "writer")]
        let address = self.address.wrapping_add(offset);
        let mut field = [0; 8];
        let part = field.get_mut(..usize::from(size)).unwrap_or_default();
        let read: Result<(), CallbackError> = match &mut self.backing {
            #[cfg(feature = "writer")]
            Backing::Writer(writer) => writer.read(address, offset, part),
            #[cfg(feature = "writer")]
            Backing::Callbacks(callbacks) => callbacks.read(address, offset, part),
            _ => {
                copy(part, self.bytes().and_then(|bytes| bytes.get(range)).unwrap_or_default());
                Ok(())
            }
        };
        read.map_err(|error| report.fail(ErrorKind::Writer, error.number(), 0))?;
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
        #[cfg(feature = "writer")]
        let address = self.address.wrapping_add(offset);
        let field = value.to_le_bytes();
        let from = field.get(..usize::from(size)).unwrap_or_default();
        let written: Result<(), CallbackError> = match &mut self.backing {
            #[cfg(feature = "writer")]
            Backing::Writer(writer) => writer.write(address, offset, from),
            #[cfg(feature = "writer")]
            Backing::Callbacks(callbacks) => callbacks.write(address, offset, from),
            Backing::Plain(bytes) => {
                copy(bytes.get_mut(range).unwrap_or_default(), from);
                Ok(())
            }
            Backing::ReadOnly(bytes) => {
                return Err(report.fail(ErrorKind::OffsetOutside, u64::from(size), bytes.len() as u64));
            }
        };
        written.map_err(|error| report.fail(ErrorKind::Writer, error.number(), 0))
    }

    /// Sets plain memory to `content`, followed by zeros. Does nothing behind a writer.
    pub(crate) fn fill(&mut self, content: &[u8]) {
        if let Some(bytes) = self.bytes_mut()
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
