//! Section headers (gABI 4, "Sections").

use crate::abi;
use crate::read::{u32_at, u64_at};
use bitflags::bitflags;

bitflags! {
    /// `sh_flags` (gABI 4, "Section Attribute Flags"). Bits without a name here are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SectionFlags: u64 {
        /// May be written when it runs.
        const WRITE = 1 << 0;
        /// Occupies memory when it runs.
        const ALLOC = 1 << 1;
        /// Machine instructions.
        const EXECINSTR = 1 << 2;
        /// May be merged.
        const MERGE = 1 << 4;
        /// NUL-terminated strings.
        const STRINGS = 1 << 5;
        /// `sh_info` is a section index.
        const INFO_LINK = 1 << 6;
        /// Order follows `sh_link`.
        const LINK_ORDER = 1 << 7;
        /// Relocations that the livepatch core applies (`SHF_RELA_LIVEPATCH`, Linux semantics 0).
        const RELA_LIVEPATCH = 0x0010_0000;
    }
}

/// One section header, host-order. `Copy`, so nothing borrows the file.
///
/// The fields have the names of `Elf64_Shdr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// Byte offset of the name in the section name table.
    pub sh_name: u32,
    /// Kind of content: an `SHT_*` number.
    pub sh_type: u32,
    /// Attributes, as in the file.
    pub sh_flags: SectionFlags,
    /// Address; no meaning in a relocatable object.
    pub sh_addr: u64,
    /// Byte offset of the content in the file.
    pub sh_offset: u64,
    /// Bytes, in the file or (`SHT_NOBITS`) in memory.
    pub sh_size: u64,
    /// Section index whose meaning depends on the type.
    pub sh_link: u32,
    /// For relocations: section index of the target.
    pub sh_info: u32,
    /// Alignment in bytes; not checked to be a power of two.
    pub sh_addralign: u64,
    /// Bytes of one entry; not checked.
    pub sh_entsize: u64,
}

impl Section {
    pub(crate) fn read(header: &[u8; abi::SHDR_SIZE]) -> Option<Self> {
        Some(Self {
            sh_name: u32_at(header, 0)?,
            sh_type: u32_at(header, 4)?,
            sh_flags: SectionFlags::from_bits_retain(u64_at(header, 8)?),
            sh_addr: u64_at(header, 16)?,
            sh_offset: u64_at(header, 24)?,
            sh_size: u64_at(header, 32)?,
            sh_link: u32_at(header, 40)?,
            sh_info: u32_at(header, 44)?,
            sh_addralign: u64_at(header, 48)?,
            sh_entsize: u64_at(header, 56)?,
        })
    }

    /// Whether the content is in the file: neither `SHT_NULL` nor `SHT_NOBITS`.
    pub const fn has_bytes(&self) -> bool {
        !matches!(self.sh_type, abi::SHT_NULL | abi::SHT_NOBITS)
    }
}
