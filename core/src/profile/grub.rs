//! GRUB: modules on x86-64 (`grub_arch_dl_relocate_symbols`, GRUB 2.06; `docs/loaders/grub.md`).

use super::Profile;
use crate::reloc::{RelocFlags, RelocTypes};

impl Profile {
    /// GRUB's module loader. The value is added to the content of the field. NONE is unknown. A module
    /// that only names the modules it depends on, such as `all_video.mod`, has no symbol table. GRUB has
    /// error numbers of its own and no `errno`.
    pub const GRUB: Self = Self {
        name: "grub",
        types: RelocTypes::ABS64
            .union(RelocTypes::PC32)
            .union(RelocTypes::PLT32)
            .union(RelocTypes::PC64)
            .union(RelocTypes::ABS32)
            .union(RelocTypes::ABS32S),
        flags: RelocFlags::ADD_TO_FIELD,
        livepatch: false,
        ..Self::ELF
    };
}
