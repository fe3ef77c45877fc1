//! Xen: livepatch payloads on x86 (`arch_livepatch_perform_rela`, Xen 4.17; `docs/loaders/xen.md`).

use super::Profile;
use crate::error::ErrorKind;
use crate::reloc::{RelocFlags, RelocTypes};

const EINVAL: i32 = 22;
const EOVERFLOW: i32 = 75;
const EOPNOTSUPP: i32 = 95;

impl Profile {
    /// Xen's loader of livepatch payloads. The content of a field is ignored.
    ///
    /// Xen also refuses entries whose symbol is symbol 0 or in a section that it did not load. No field
    /// describes this.
    pub const XEN: Self = Self {
        name: "xen",
        types: RelocTypes::NONE.union(RelocTypes::ABS64).union(RelocTypes::PC32).union(RelocTypes::PLT32),
        flags: RelocFlags::ALLOW_NONZERO,
        wants_symbols: true,
        livepatch: false,
        errnos: &[
            (EINVAL, &[ErrorKind::SymbolIndex, ErrorKind::OffsetOutside]),
            (EOVERFLOW, &[ErrorKind::Overflow]),
            (
                EOPNOTSUPP,
                &[
                    ErrorKind::UnknownType,
                    ErrorKind::RelSection,
                    ErrorKind::BadIdent,
                    ErrorKind::WrongMachine,
                ],
            ),
        ],
        ..Self::ELF
    };
}
