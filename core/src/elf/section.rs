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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Byte offset of the name in the section name table.
    pub name: u32,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags` as in the file.
    pub flags: SectionFlags,
    /// `sh_addr`; no meaning in a relocatable object.
    pub address: u64,
    /// Byte offset of the content in the file.
    pub offset: u64,
    /// Bytes, in the file or (`SHT_NOBITS`) in memory.
    pub size: u64,
    /// `sh_link`: a section index whose meaning depends on the type.
    pub link: u32,
    /// `sh_info`: for relocations the section index of the target.
    pub info: u32,
    /// `sh_addralign`, in bytes; not checked to be a power of two.
    pub align: u64,
    /// `sh_entsize`, in bytes; not checked.
    pub entry_size: u64,
}

impl Section {
    pub(crate) fn read(header: &[u8; abi::SHDR_SIZE]) -> Option<Self> {
        Some(Self {
            name: u32_at(header, 0)?,
            kind: u32_at(header, 4)?,
            flags: SectionFlags::from_bits_retain(u64_at(header, 8)?),
            address: u64_at(header, 16)?,
            offset: u64_at(header, 24)?,
            size: u64_at(header, 32)?,
            link: u32_at(header, 40)?,
            info: u32_at(header, 44)?,
            align: u64_at(header, 48)?,
            entry_size: u64_at(header, 56)?,
        })
    }

    /// Whether the content is in the file: neither `SHT_NULL` nor `SHT_NOBITS`.
    pub const fn has_bytes(&self) -> bool {
        !matches!(self.kind, abi::SHT_NULL | abi::SHT_NOBITS)
    }
}
