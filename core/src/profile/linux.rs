//! Linux: modules and livepatches on x86-64 (`docs/linux-semantics.md`). Each row names the section
//! of that page.

use super::{MAX_DROPPED, PerCpu, Profile};
use crate::error::ErrorKind;
use crate::reloc::{RelocFlags, RelocTypes};

const DROPPED: &[&[u8]] = &[b".modinfo", b"__versions"];
const DROPPED_WITH_EXTENDED: &[&[u8]] =
    &[b".modinfo", b"__versions", b"__version_ext_crcs", b"__version_ext_names"];
const _: () = assert!(DROPPED_WITH_EXTENDED.len() <= MAX_DROPPED);

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const EINVAL: i32 = 22;

/// The same in every version. Linux does not notice errors of other kinds, or has no such call.
const ERRNOS: &[(i32, &[ErrorKind])] = &[
    (ENOENT, &[ErrorKind::UnknownSymbol]),
    (
        ENOEXEC,
        &[
            ErrorKind::Truncated,
            ErrorKind::NotElf,
            ErrorKind::NotRelocatable,
            ErrorKind::WrongMachine,
            ErrorKind::BadHeaderSize,
            ErrorKind::BadSectionZero,
            ErrorKind::TooManySections,
            ErrorKind::NoSections,
            ErrorKind::BadNameTable,
            ErrorKind::BadSectionName,
            ErrorKind::NoSymbolTable,
            ErrorKind::ManySymbolTables,
            ErrorKind::BadStringTable,
            ErrorKind::BadSymbolName,
            ErrorKind::SymbolSection,
            ErrorKind::CommonSymbol,
            ErrorKind::RelSection,
            ErrorKind::UnknownType,
            ErrorKind::Overflow,
            ErrorKind::TargetNotZero,
        ],
    ),
    (
        EINVAL,
        &[
            ErrorKind::BadKlpSectionName,
            ErrorKind::NotKlpSymbol,
            ErrorKind::BadKlpSymbolName,
            ErrorKind::VmlinuxFromModule,
            ErrorKind::KlpNotFound,
            ErrorKind::KlpAmbiguous,
            ErrorKind::KlpSympos,
            ErrorKind::NoRelocationBytes,
            ErrorKind::NotAModule,
            ErrorKind::EmptyFile,
        ],
    ),
];

impl Profile {
    /// Linux 5.8, the first version that applies KLP relocations against vmlinux in the early pass
    /// (section 12). It does not look at `e_ident` and refuses extended numbering (3), skips
    /// relocations of no section (5), truncates PC32 and PLT32 (9), and checks that the field is zero
    /// before the range (15).
    pub const LINUX_5_8: Self = Self {
        name: "5.8",
        since: (5, 8),
        types: RelocTypes::BASE,
        flags: RelocFlags::TRUNCATE_PC32.union(RelocFlags::REPORT_NONZERO_FIRST),
        checks_ident: false,
        extended_numbering: false,
        checks_strings: false,
        wants_symbols: true,
        wants_targets: false,
        writes_file: true,
        dropped: DROPPED,
        per_cpu: PerCpu::Skipped,
        livepatch: true,
        symbol_name_max: 127,
        sympos_saturates: false,
        clears_on_going: false,
        errnos: ERRNOS,
    };

    /// Linux 6.1: symbol names of up to 511 bytes.
    pub const LINUX_6_1: Self = Self { name: "6.1", since: (6, 1), symbol_name_max: 511, ..Self::LINUX_5_8 };

    /// Linux 6.3: clears when an object goes; judges before it writes.
    pub const LINUX_6_3: Self = Self {
        name: "6.3",
        since: (6, 3),
        flags: RelocFlags::TRUNCATE_PC32,
        clears_on_going: true,
        ..Self::LINUX_6_1
    };

    /// Linux 6.12; by the rules that matter here the same as 6.3.
    pub const LINUX_6_12: Self = Self { name: "6.12", since: (6, 12), ..Self::LINUX_6_3 };

    /// Linux 6.13: checks the symbol names' string table.
    pub const LINUX_6_13: Self =
        Self { name: "6.13", since: (6, 13), checks_strings: true, ..Self::LINUX_6_12 };

    /// Linux 6.14: extended module versions, two more sections that are not kept.
    pub const LINUX_6_14: Self =
        Self { name: "6.14", since: (6, 14), dropped: DROPPED_WITH_EXTENDED, ..Self::LINUX_6_13 };

    /// Linux 6.16: relocates the per-CPU section in its template.
    pub const LINUX_6_16: Self =
        Self { name: "6.16", since: (6, 16), per_cpu: PerCpu::Template, ..Self::LINUX_6_14 };

    /// Linux 6.19; by the rules that matter here the same as 6.16.
    pub const LINUX_6_19: Self = Self { name: "6.19", since: (6, 19), ..Self::LINUX_6_16 };

    /// Linux 7.2: a sympos beyond 64 bits saturates (seen in 7.2.13; 7.1 is not known to).
    pub const LINUX_7_2: Self =
        Self { name: "7.2", since: (7, 2), sympos_saturates: true, ..Self::LINUX_6_19 };

    /// Linux 7.3; by the rules that matter here the same as 7.2.
    pub const LINUX_7_3: Self = Self { name: "7.3", since: (7, 3), ..Self::LINUX_7_2 };

    /// The Linux rows, oldest first.
    pub const LINUX: &'static [Self] = &[
        Self::LINUX_5_8,
        Self::LINUX_6_1,
        Self::LINUX_6_3,
        Self::LINUX_6_12,
        Self::LINUX_6_13,
        Self::LINUX_6_14,
        Self::LINUX_6_16,
        Self::LINUX_6_19,
        Self::LINUX_7_2,
        Self::LINUX_7_3,
    ];

    /// The row of Linux for a caller that names no version: 6.12.
    pub const LINUX_DEFAULT: Self = Self::LINUX_6_12;
}
