//! Section headers (gABI 4, "Sections").

use crate::abi;
use crate::read::{u32_at, u64_at};
use bitflags::bitflags;

bitflags! {
    /// `sh_flags` (gABI 4, "Section Attribute Flags"). Other bits are retained.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SectionFlags: u64 {
        /// Is writable when the module runs.
        const WRITE = 1 << 0;
        /// Occupies memory when the module runs.
        const ALLOC = 1 << 1;
        /// Contains instructions.
        const EXECINSTR = 1 << 2;
        /// May be merged.
        const MERGE = 1 << 4;
        /// Contains strings that end with NUL.
        const STRINGS = 1 << 5;
        /// `sh_info` is a section index.
        const INFO_LINK = 1 << 6;
        /// Is ordered as the section `sh_link`.
        const LINK_ORDER = 1 << 7;
        /// Relocations that the livepatch core applies (`SHF_RELA_LIVEPATCH`, Linux semantics 0).
        const RELA_LIVEPATCH = 0x0010_0000;
        /// Is writable only until the module's init function has returned (`SHF_RO_AFTER_INIT` of
        /// Linux).
        const RO_AFTER_INIT = 0x0020_0000;
    }
}

/// One section header.
///
/// The fields have the names of `Elf64_Shdr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// Offset of the name in the section name table, in bytes.
    pub sh_name: u32,
    /// Kind of content: an `SHT_*` number.
    pub sh_type: u32,
    /// Attributes, as in the file.
    pub sh_flags: SectionFlags,
    /// Address. A relocatable object does not use it.
    pub sh_addr: u64,
    /// Offset of the content in the file, in bytes.
    pub sh_offset: u64,
    /// Size in bytes, in the file or (`SHT_NOBITS`) in memory.
    pub sh_size: u64,
    /// Section index. Its meaning depends on the type.
    pub sh_link: u32,
    /// For relocations: section index of the target.
    pub sh_info: u32,
    /// Alignment in bytes. It may be any number.
    pub sh_addralign: u64,
    /// Size of an entry in bytes. It may be any number.
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

    /// Returns whether the content is in the file: the type is neither `SHT_NULL` nor `SHT_NOBITS`.
    pub const fn has_bytes(&self) -> bool {
        !matches!(self.sh_type, abi::SHT_NULL | abi::SHT_NOBITS)
    }
}
