//! In what Linux versions differ, as a table. The engine asks the profile and has no version tests.

use crate::reloc::RelocFlags;

/// What happens to relocations whose target is the per-CPU section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerCpu {
    /// No section is special.
    Ordinary,
    /// `.data..percpu` loses `SHF_ALLOC`, so its relocations are passed over (Linux before 6.16).
    Skipped,
    /// `.data..percpu` is relocated in the template that is copied to the CPUs, and gone after loading.
    Template,
}

/// The rules of one kind of loader.
///
/// Rows and sources: `linux-semantics` in the repository's documentation; each field names its section there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Name for people: the first Linux version of the row, or "elf".
    pub name: &'static str,
    /// First Linux version (major, minor) that the row is true for; (0, 0) is no Linux.
    pub since: (u16, u16),
    /// `e_ident` must say ELF64, little-endian, version 1. Linux does not look (section 3).
    pub checks_ident: bool,
    /// `e_shnum` 0 and `SHN_XINDEX` mean what the gABI says. Linux refuses them (section 3).
    pub extended_numbering: bool,
    /// The string table must be `SHT_STRTAB`, begin and end with NUL and hold every `st_name` (section 3, Linux 6.13;
    /// some stable kernels took a part of it, 6.12.117 among them).
    pub checks_strings: bool,
    /// Relocations of no section are a defect of the file. Linux passes over them (section 5).
    pub wants_targets: bool,
    /// Most bytes of a KLP symbol's name (section 0, Linux 6.1).
    pub symbol_name_max: usize,
    /// A sympos beyond 64 bits becomes the largest one; before, it wraps (section 16, Linux 7.2).
    pub sympos_saturates: bool,
    /// The loader writes into the file's copy before it has read all of it: `sh_addr` of every header, and the per-CPU section
    /// if it is relocated (section 2). What shares bytes with these is refused.
    pub writes_file: bool,
    /// Sections that lose `SHF_ALLOC` before anything is relocated (section 2).
    pub dropped: &'static [&'static [u8]],
    /// What becomes of the per-CPU section (section 16, Linux 6.16).
    pub per_cpu: PerCpu,
    /// A field that is not zero is noticed before a value that does not fit (section 15, until Linux 6.3).
    pub reports_nonzero_first: bool,
    /// Late relocations are cleared when their object goes (section 12, Linux 6.3).
    pub clears_on_going: bool,
    /// PC32 and PLT32 must fit. Linux truncates them in silence (section 9).
    pub checks_pc32: bool,
}

/// Most names in [`Profile::dropped`].
pub(crate) const MAX_DROPPED: usize = 4;

const DROPPED: &[&[u8]] = &[b".modinfo", b"__versions"];
const DROPPED_WITH_EXTENDED: &[&[u8]] =
    &[b".modinfo", b"__versions", b"__version_ext_crcs", b"__version_ext_names"];
const _: () = assert!(DROPPED_WITH_EXTENDED.len() <= MAX_DROPPED);

impl Profile {
    /// No Linux: the gABI and the psABI as written, for loaders of one's own.
    pub const ELF: Self = Self {
        name: "elf",
        since: (0, 0),
        checks_ident: true,
        extended_numbering: true,
        checks_strings: true,
        wants_targets: true,
        symbol_name_max: 511,
        sympos_saturates: true,
        writes_file: false,
        dropped: &[],
        per_cpu: PerCpu::Ordinary,
        reports_nonzero_first: false,
        clears_on_going: true,
        checks_pc32: true,
    };

    /// Linux 5.8, the first with vmlinux-specific KLP relocations in the early pass.
    pub const LINUX_5_8: Self = Self {
        name: "5.8",
        since: (5, 8),
        checks_ident: false,
        extended_numbering: false,
        checks_strings: false,
        wants_targets: false,
        symbol_name_max: 127,
        sympos_saturates: false,
        writes_file: true,
        dropped: DROPPED,
        per_cpu: PerCpu::Skipped,
        reports_nonzero_first: true,
        clears_on_going: false,
        checks_pc32: false,
    };

    /// Linux 6.1: symbol names of up to 511 bytes.
    pub const LINUX_6_1: Self = Self { name: "6.1", since: (6, 1), symbol_name_max: 511, ..Self::LINUX_5_8 };

    /// Linux 6.3: clears when an object goes; judges before it writes.
    pub const LINUX_6_3: Self = Self {
        name: "6.3",
        since: (6, 3),
        reports_nonzero_first: false,
        clears_on_going: true,
        ..Self::LINUX_6_1
    };

    /// Linux 6.12, the default; by the rules that matter here the same as 6.3.
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

    /// The row for Linux `major.minor`: itself or the nearest older one. `None` before 5.8, which had another design.
    pub fn for_linux(major: u16, minor: u16) -> Option<&'static Self> {
        Self::LINUX.iter().rev().find(|row| row.since <= (major, minor))
    }

    /// This profile, with PC32 and PLT32 checked as the psABI demands.
    pub const fn with_pc32_check(self) -> Self {
        Self { checks_pc32: true, ..self }
    }

    /// How this profile judges relocations.
    pub fn reloc_flags(&self) -> RelocFlags {
        let mut rules = RelocFlags::empty();
        rules.set(RelocFlags::CHECK_PC32, self.checks_pc32);
        rules.set(RelocFlags::REPORT_NONZERO_FIRST, self.reports_nonzero_first);
        rules
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::LINUX_6_12
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_between_two_rows_takes_the_older_one() {
        let name = |major, minor| Profile::for_linux(major, minor).map(|row| row.name);
        assert_eq!(name(5, 7), None);
        assert_eq!(name(5, 8), Some("5.8"));
        assert_eq!(name(6, 0), Some("5.8"));
        assert_eq!(name(6, 2), Some("6.1"));
        assert_eq!(name(6, 11), Some("6.3"));
        assert_eq!(name(6, 12), Some("6.12"));
        assert_eq!(name(7, 0), Some("6.19"));
        assert_eq!(name(9, 99), Some("7.3"));
    }

    #[test]
    fn rows_are_in_order_and_named_after_their_version() {
        assert!(Profile::LINUX.windows(2).all(|pair| pair[0].since < pair[1].since));
        for row in Profile::LINUX {
            assert_eq!(row.name, format!("{}.{}", row.since.0, row.since.1));
        }
    }
}
