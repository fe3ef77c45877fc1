//! The gABI and the psABI as written, for loaders that have no row.

use super::{PerCpu, Profile};
use crate::reloc::{RelocFlags, RelocTypes};

impl Profile {
    /// The strict rules: the gABI and the psABI as written. Livepatch sections work as in Linux. The
    /// default.
    pub const ELF: Self = Self {
        name: "elf",
        since: (0, 0),
        types: RelocTypes::BASE.union(RelocTypes::GOT),
        flags: RelocFlags::empty(),
        checks_ident: true,
        extended_numbering: true,
        checks_strings: true,
        wants_symbols: false,
        wants_targets: true,
        writes_file: false,
        dropped: &[],
        per_cpu: PerCpu::Ordinary,
        livepatch: true,
        symbol_name_max: 511,
        sympos_saturates: true,
        clears_on_going: true,
        errnos: &[],
    };
}
