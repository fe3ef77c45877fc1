//! FreeBSD: kld objects on amd64 (`elf_reloc`, `link_elf_obj.c`; `docs/loaders/freebsd.md`).

use super::Profile;
use crate::error::ErrorKind;
use crate::reloc::{RelocFlags, RelocTypes};

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;

impl Profile {
    /// FreeBSD's linker of kernel objects. The content of a field is ignored; PC32 and PLT32 are
    /// truncated.
    ///
    /// FreeBSD also truncates 32S. No flag describes this, so a value of 32S must fit.
    pub const FREEBSD: Self = Self {
        name: "freebsd",
        types: RelocTypes::NONE
            .union(RelocTypes::ABS64)
            .union(RelocTypes::PC32)
            .union(RelocTypes::PLT32)
            .union(RelocTypes::ABS32S),
        flags: RelocFlags::ALLOW_NONZERO.union(RelocFlags::TRUNCATE_PC32),
        wants_symbols: true,
        livepatch: false,
        errnos: &[(ENOENT, &[ErrorKind::UnknownSymbol]), (ENOEXEC, &[ErrorKind::UnknownType])],
        ..Self::ELF
    };
}
