//! What is reported.

use crate::elf::Rela;

/// The first bytes of a range.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Excerpt {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl core::fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:02x?}", self.as_slice())
    }
}

impl Excerpt {
    /// The largest number of bytes.
    pub const MAX: usize = 16;

    /// Returns the first bytes of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        let mut excerpt = Self::default();
        for byte in bytes.iter().take(Self::MAX) {
            excerpt.push(*byte);
        }
        excerpt
    }

    /// Returns the bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Adds a byte if there is room.
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.len)) {
            *slot = byte;
            self.len = self.len.saturating_add(1);
        }
    }
}

/// A range of bytes that are not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Section index.
    pub section: u32,
    /// Offset of the first byte in the section, in bytes.
    pub offset: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// Size of the range in bytes. Ranges that are fewer than 8 bytes apart are one range, so it may
    /// contain bytes that are as expected.
    pub size: u64,
    /// The first bytes that are expected.
    pub expected: Excerpt,
    /// The first bytes that were found.
    pub found: Excerpt,
    /// The relocation, if the range is its field.
    pub relocation: Option<WrongField>,
}

impl Difference {
    /// Returns the difference of two contents of one size.
    pub fn new(section: u32, offset: u64, address: u64, expected: &[u8], found: &[u8]) -> Self {
        let (size, expected, found) = (found.len() as u64, Excerpt::new(expected), Excerpt::new(found));
        Self { section, offset, address, size, expected, found, relocation: None }
    }
}

/// A relocation whose field is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongField {
    /// Section index of the relocation section.
    pub section: u32,
    /// Index of the relocation in its section, counted from 0.
    pub entry: u64,
    /// The relocation.
    pub rela: Rela,
    /// The symbol value with which the relocation gives what was found. For a call, it is the
    /// address to which the call leads.
    pub leads_to: u64,
    /// The symbol value with which it gives what is expected.
    pub expected: u64,
}
