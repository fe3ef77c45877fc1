//! The rules of loaders, one row each. The engine asks the row; it knows no loader and no version.
//!
//! Each family of loaders has a file with its rows. A row contains what the loader does, as far as
//! its source or a recording shows it. A fact that is not known has the strict value: that of
//! [`Profile::ELF`].

mod elf;
mod freebsd;
mod grub;
mod kexec;
mod linux;
mod numbers;
mod xen;

use crate::error::ErrorKind;
use crate::reloc::{RelocFlags, RelocTypes};

/// How the loader treats relocations whose target is the per-CPU section, `.data..percpu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PerCpu {
    /// The loader knows no per-CPU section.
    Ordinary,
    /// The section loses `SHF_ALLOC`, so its relocations are skipped.
    Skipped,
    /// The section is relocated in the template that is copied to the CPUs. The template is freed
    /// after loading.
    Template,
}

/// The rules of one kind of loader. The default is [`Profile::ELF`].
///
/// Start from the row that is nearest to your loader and change fields:
///
/// ```
/// use relakit::reloc::{RelocFlags, RelocTypes};
/// use relakit::Profile;
///
/// const MINE: Profile = {
///     let mut mine = Profile::ELF;
///     mine.name = "mine";
///     mine.types = RelocTypes::ABS64.union(RelocTypes::PC32);
///     mine.flags = RelocFlags::ALLOW_NONZERO;
///     mine
/// };
/// assert!(MINE.checks_strings, "a field that is not mentioned stays strict");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Name for people: the family, or the first Linux version of the row.
    pub name: &'static str,
    /// First Linux version (major, minor) that the row is true for. (0, 0) if the loader is not Linux.
    pub since: (u16, u16),
    /// The relocation types that the loader knows. Other types are
    /// [`UnknownType`](ErrorKind::UnknownType).
    pub types: RelocTypes,
    /// Checks of a relocation that differ from the strict ones:
    /// - the field must be zero, or is ignored (`ALLOW_NONZERO`), or added to (`ADD_TO_FIELD`);
    /// - PC32 and PLT32 must fit, or are truncated (`TRUNCATE_PC32`);
    /// - the range is checked before the field, or after it (`REPORT_NONZERO_FIRST`).
    pub flags: RelocFlags,
    /// `e_ident` must be ELF64, little-endian, version 1.
    pub checks_ident: bool,
    /// `e_shnum` 0 and `SHN_XINDEX` have the meaning of the gABI. Otherwise they are errors.
    pub extended_numbering: bool,
    /// The string table must be `SHT_STRTAB`, begin and end with NUL and contain every `st_name`.
    pub checks_strings: bool,
    /// A module without a symbol table is an error. Otherwise its symbol table is empty, so that no
    /// relocation can use a symbol.
    pub wants_symbols: bool,
    /// A relocation section whose `sh_info` is not the index of a section is an error. Otherwise it
    /// is skipped.
    pub wants_targets: bool,
    /// The loader writes into its copy of the file before it has read all of it: `sh_addr` of every
    /// section header, and the per-CPU section if it is a template. Sections that share bytes with
    /// these are errors.
    pub writes_file: bool,
    /// See [`dropped`](Self::dropped).
    pub(crate) dropped: &'static [&'static [u8]],
    /// How the loader treats the per-CPU section.
    pub per_cpu: PerCpu,
    /// Sections with `SHF_RELA_LIVEPATCH` and symbols with `SHN_LIVEPATCH` exist. Otherwise the flag
    /// has no meaning, and the index is that of no section. [`Klp`](crate::sechdrs::Klp) does not ask.
    pub livepatch: bool,
    /// Longest name of a livepatch symbol, in bytes.
    pub symbol_name_max: usize,
    /// A sympos of more than 64 bits becomes the largest number. Otherwise it wraps.
    pub sympos_saturates: bool,
    /// Late relocations are cleared when their object is unloaded.
    pub clears_on_going: bool,
    /// The `errno` values of the loader, as positive numbers, each with the kinds of errors for which
    /// the loader returns it. Empty if the loader has none.
    pub errnos: &'static [(i32, &'static [ErrorKind])],
}

/// Most names in [`Profile::dropped`]. A module stores the index of a section for each.
pub(crate) const MAX_DROPPED: usize = 4;

impl Profile {
    /// The row of a Linux version: its own, or that of the nearest older version. `None` for versions
    /// before the first row, because their livepatches had another design.
    pub fn for_linux(major: u16, minor: u16) -> Option<&'static Self> {
        Self::LINUX.iter().rev().find(|row| row.since <= (major, minor))
    }

    /// This profile with `flags` in addition.
    #[must_use]
    pub const fn with_flags(mut self, flags: RelocFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }

    /// Names of sections that lose `SHF_ALLOC` before anything is relocated: the first `SHF_ALLOC`
    /// section of each name.
    pub const fn dropped(&self) -> &'static [&'static [u8]] {
        self.dropped
    }

    /// This profile with other names of [`dropped`](Self::dropped) sections. `None` for more than
    /// four.
    pub const fn with_dropped(mut self, names: &'static [&'static [u8]]) -> Option<Self> {
        if names.len() > MAX_DROPPED {
            return None;
        }
        self.dropped = names;
        Some(self)
    }

    /// The flags of a pass with this profile: `flags`, restricted to `types`.
    pub const fn reloc_flags(&self) -> RelocFlags {
        self.flags.with_types(self.types)
    }

    /// The `errno` that the loader returns for an error of this kind, as a positive number. 0 if the
    /// loader does not report the error, or has no `errno`.
    pub const fn errno(&self, kind: ErrorKind) -> i32 {
        let mut rows = self.errnos;
        while let [(errno, kinds), other_rows @ ..] = rows {
            let mut kinds = *kinds;
            while let [first, others @ ..] = kinds {
                if *first as i32 == kind as i32 {
                    return *errno;
                }
                kinds = others;
            }
            rows = other_rows;
        }
        0
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::ELF
    }
}
