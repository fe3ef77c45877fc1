//! kexec-tools: the purgatory on x86-64 (`machine_apply_elf_rel`, kexec-tools 2.0.25;
//! `docs/loaders/kexec-tools.md`). The kernel's `kexec_file_load` knows the same types.

use super::Profile;
use crate::reloc::{RelocFlags, RelocTypes};

impl Profile {
    /// kexec's loader of the purgatory. The content of a field is ignored; PC32 and PLT32 are
    /// truncated. kexec-tools ends the program at an error, so it has no `errno`.
    pub const KEXEC: Self = Self {
        name: "kexec",
        types: RelocTypes::BASE.difference(RelocTypes::PC64),
        flags: RelocFlags::ALLOW_NONZERO.union(RelocFlags::TRUNCATE_PC32),
        livepatch: false,
        ..Self::ELF
    };
}
