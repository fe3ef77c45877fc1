//! The error of this crate: what failed, where, and the numbers.

use crate::text::{Texts, texts};
use core::ffi::CStr;
use core::fmt;

/// Each row is a kind: number, message, meaning of `offset`, `value` and `limit` ("" if not used).
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal, [$offset:literal $value:literal $limit:literal];)*) => {
        /// The kind of an error. From the first release on, numbers are only added at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum ErrorKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl ErrorKind {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns an English text without the numbers.
            pub fn text(self) -> &'static str {
                Self::texts().get(self.row())
            }

            /// Returns the same text for C.
            pub fn message(self) -> &'static CStr {
                Self::texts().c_str(self.row())
            }

            const fn texts() -> Texts {
                texts!($($text),*)
            }

            /// Returns the meaning of `offset`, `value` and `limit` in an [`Error`] of this kind,
            /// in this order. A text is empty if the member is not used.
            pub fn field_names(self) -> [&'static str; 3] {
                self.fields().map(|index| Self::meanings().get(index))
            }

            /// Returns the same texts for C.
            pub fn field_c_names(self) -> [&'static CStr; 3] {
                self.fields().map(|index| Self::meanings().c_str(index))
            }

            const fn meanings() -> Texts {
                texts!($($offset, $value, $limit),*)
            }
        }
    };
}

kinds! {
    /// A table, a section or a record reaches past the end of the file.
    Truncated = -1, "data extends past the end of the file", ["file offset" "size" "file size"];
    /// The file does not begin with the ELF magic.
    NotElf = -2, "not an ELF file", ["" "magic" ""];
    /// `e_ident` is not that of ELF64, little-endian, version 1 (gABI 4). Linux does not check it.
    BadIdent = -3, "unsupported ELF class, byte order or version", ["file offset" "byte" "expected"];
    /// `e_type` is not `ET_REL`.
    NotRelocatable = -4, "not a relocatable file", ["" "e_type" "expected"];
    /// `e_machine` is not `EM_X86_64`.
    WrongMachine = -5, "not an x86-64 file", ["" "e_machine" "expected"];
    /// `e_shentsize` is not the size of a section header.
    BadHeaderSize = -6, "wrong section header size", ["" "e_shentsize" "expected"];
    /// Section 0 is not empty: type NULL, size 0, address 0 (Linux semantics 3).
    BadSectionZero = -7, "section 0 is not empty", ["" "value" ""];
    /// The file has more sections than a section index can number.
    TooManySections = -8, "too many sections", ["" "sections" "maximum"];
    /// The module has no sections, or it uses extended numbering and the profile does not.
    NoSections = -9, "no section headers", ["" "e_shnum" ""];
    /// `e_shstrndx` is not the index of a string table that ends with NUL.
    BadNameTable = -10, "section name table is not a NUL-terminated string table", ["" "e_shstrndx" "sections"];
    /// `sh_name` is outside the name table, or the name does not end in it.
    BadSectionName = -11, "section name is outside the name table", ["" "sh_name" "table size"];
    /// The module has no symbol table, and the profile wants one.
    NoSymbolTable = -12, "no symbol table", ["" "" ""];
    /// The file has a second symbol table.
    ManySymbolTables = -13, "more than one symbol table", ["" "first section" ""];
    /// `sh_link` of the symbol table is not the index of a string table, or the profile refuses the
    /// table.
    BadStringTable = -14, "symbol table has no valid string table", ["" "sh_link" "sections"];
    /// `st_name` is outside the string table, or the name does not end in it.
    BadSymbolName = -15, "symbol name is outside the string table", ["" "st_name" "table size"];
    /// The size of a relocation table is not a multiple of 24. Linux ignores the rest.
    PartialEntry = -16, "relocation table ends with an incomplete entry", ["" "size" "remaining bytes"];

    /// A relocation uses a symbol that does not exist.
    SymbolIndex = -17, "symbol index is outside the symbol table", ["offset" "" "symbols"];
    /// `st_shndx` is the index of no section, or a reserved index that is not supported.
    SymbolSection = -18, "symbol has an invalid section index", ["" "st_shndx" "sections"];
    /// A symbol is common. Compile with -fno-common.
    CommonSymbol = -19, "common symbol in a module", ["" "size" ""];
    /// A symbol is undefined and not weak, and the resolver does not export it.
    UnknownSymbol = -20, "unknown symbol", ["" "" ""];
    /// A relocation uses a symbol of a section without memory.
    SymbolUnassigned = -21, "symbol is in a section that has no memory", ["offset" "symbol section" ""];
    /// The caller-provided buffer for symbol values is too short.
    ValuesTooShort = -22, "buffer for symbol values is too short", ["" "entries provided" "entries needed"];
    /// The resolver failed. `value` is its [`CallbackError`].
    Resolver = -23, "resolver failed", ["" "callback result" ""];

    /// The name of a section with `SHF_RELA_LIVEPATCH` does not begin with `.klp.rela.<object>`.
    BadKlpSectionName = -24, "malformed livepatch section name", ["" "" ""];
    /// A livepatch relocation uses a symbol whose `st_shndx` is not `SHN_LIVEPATCH`.
    NotKlpSymbol = -25, "symbol of a livepatch relocation is not SHN_LIVEPATCH", ["offset" "st_shndx" ""];
    /// The symbol's name is not `.klp.sym.<object>.<name>,<sympos>`, or this part of it is longer
    /// than 4096 bytes.
    BadKlpSymbolName = -26, "malformed livepatch symbol name", ["offset" "" ""];
    /// A livepatch section for a module uses a symbol of vmlinux, which only the early pass
    /// resolves.
    VmlinuxFromModule = -27, "livepatch section for a module uses a vmlinux symbol", ["offset" "" ""];
    /// The object has no symbol of that name, or its value is 0.
    KlpNotFound = -28, "livepatch symbol not found in its object", ["offset" "sympos" ""];
    /// The sympos is 0, so the name must be unique in its object. It is not.
    KlpAmbiguous = -29, "ambiguous livepatch symbol: sympos is 0, but the name is not unique", ["offset" "sympos" ""];
    /// The object has fewer symbols of that name.
    KlpSympos = -30, "sympos is greater than the number of symbols of that name", ["offset" "sympos" ""];
    /// A late section is not `SHF_ALLOC`. Linux has freed it when the object is loaded, and reads
    /// freed memory.
    LateNotAllocated = -31, "livepatch section for a module is not SHF_ALLOC", ["" "sh_flags" ""];
    /// `sh_info` is the index of no section. In a late pass, Linux writes through a wild pointer.
    TargetOutOfRange = -32, "relocation target does not exist", ["" "sh_info" "sections"];
    /// The target of a late section is not in memory. Linux writes to freed memory.
    TargetNotAllocated = -33, "relocation target is not in memory", ["" "target" "target sh_flags"];
    /// The target of a late section is the template of the per-CPU data, which Linux has freed by
    /// then.
    TargetPerCpu = -34, "relocation target is the per-CPU template, which is freed after load", ["" "target" ""];
    /// The target is the symbol or string table, which the pass reads.
    TargetIsSymbolTable = -35, "relocation target is the symbol table or its string table", ["" "target" ""];
    /// A livepatch section of type NOBITS has no relocations to read.
    NoRelocationBytes = -36, "livepatch section has no content in the file", ["" "size" ""];
    /// x86-64 has no REL relocations (psABI 4.4).
    RelSection = -37, "SHT_REL sections are not supported on x86-64", ["" "target" ""];

    /// The flags of the pass do not support the relocation type.
    UnknownType = -38, "unknown relocation type", ["offset" "" ""];
    /// The value does not fit its field.
    Overflow = -39, "value does not fit its field", ["offset" "value" "largest"];
    /// The field is not inside the target section.
    OffsetOutside = -40, "field is outside the target section", ["offset" "field size" "section size"];
    /// A field is not zero before its relocation.
    TargetNotZero = -41, "field is not zero before its relocation", ["offset" "value" "existing"];
    /// A field does not hold the value that was applied, so it is not cleared.
    TargetMismatch = -42, "field does not hold the relocated value", ["offset" "expected" "existing"];
    /// A writer failed. Nothing is changed. `value` is its [`CallbackError`].
    Writer = -43, "writer failed, nothing is changed", ["offset" "callback result" ""];
    /// `sync` failed, and the pass was rolled back. `value` is its [`CallbackError`].
    Sync = -44, "sync of the writer failed, nothing is changed", ["" "callback result" ""];
    /// A writer failed, and the rollback failed too. The entries 0 to `entry` hold their values.
    /// The later entries are as before, or cleared if the pass was clearing. Without `entry`, no
    /// entry holds its value. `value` is the [`CallbackError`] of the writer.
    NotUndone = -45, "rollback failed, memory is partly changed", ["offset" "callback result" ""];
    /// A dry run cannot check a field that begins before the end of the field before it.
    FieldsNotAscending = -46, "dry run is impossible: fields overlap or are not in ascending order", ["offset" "" ""];

    /// A section that is relocated has no memory.
    NotAssigned = -47, "section has no memory", ["" "size" ""];
    /// The memory for a section is not of the section's size.
    AssignedSize = -48, "memory of the section has the wrong size", ["" "bytes provided" "bytes needed"];
    /// The name of the object is empty, or it is "vmlinux".
    NotAModule = -49, "not a module name", ["" "length" ""];
    /// The late relocations of the object are already applied.
    AlreadyLive = -50, "late relocations of this module are already applied", ["" "" ""];
    /// The late relocations of the object are not applied.
    NotLive = -51, "late relocations of this module are not applied", ["" "" ""];
    /// The caller-provided buffer for the retained state is too short.
    RetainedTooShort = -52, "buffer for the retained state is too short", ["" "bytes provided" "bytes needed"];
    /// The section does not have the address of the early pass.
    SectionMoved = -53, "section address has changed since the early pass", ["" "address" "expected"];
    /// The module has late relocations for more objects than can be listed.
    TooManyObjects = -54, "too many patched objects", ["" "" "maximum"];
    /// There is no section of that index, or it is section 0.
    NoSuchSection = -55, "no such section", ["" "index" "sections"];
    /// The section is not of type RELA.
    NotRelocations = -56, "not a relocation section", ["" "sh_type" ""];
    /// The target overlaps memory that the pass reads: section headers, symbols, names or
    /// relocations.
    TargetOverlaps = -57, "relocation target overlaps memory that the pass reads", ["" "target" ""];
    /// The caller-provided buffer for an index of names is too short.
    IndexTooShort = -58, "buffer for the name index is too short", ["" "bytes provided" "bytes needed"];
    /// Two `SHT_SYMTAB_SHNDX` sections belong to the symbol table. The gABI does not say which one
    /// takes precedence. Linux does not read them.
    ManySectionIndices = -59, "more than one SHT_SYMTAB_SHNDX section for the symbol table", ["" "first section" ""];
    /// The target is a relocation section. Linux would read the entries that it has changed.
    TargetIsRelocations = -60, "relocation target is a relocation section", ["" "target" ""];
    /// The section's last byte would have an address past 2^64 - 1.
    AddressWraps = -61, "section address range wraps past 2^64", ["" "address" "size"];
    /// All relocation tables together are larger than the file. They share bytes, so that a small
    /// file could take a long time.
    RelocationsTooLarge = -62, "total size of the relocation tables exceeds the file size", ["" "total size" "file size"];
    /// A relocation uses a symbol with value 0 that is `SHN_LIVEPATCH`, or `SHN_UNDEF` and not
    /// weak.
    SymbolUnresolved = -63, "symbol is not resolved: its value is 0", ["offset" "st_shndx" ""];
    /// The file has no bytes. Linux's `finit_module` refuses it before the loader reads it.
    EmptyFile = -64, "file is empty", ["" "" ""];
    /// An unused header (`SHT_NULL`) has `SHF_RELA_LIVEPATCH`, and a name outside the name table,
    /// which Linux reads.
    KlpNameOutside = -65, "livepatch section name is outside the name table", ["" "sh_name" "table size"];
    /// A section shares bytes of the file with what Linux writes before it reads the section: the
    /// section headers, or the per-CPU template.
    SharedBytes = -66, "section overlaps file data that Linux changes during load", ["" "file offset" "size"];
    /// An unused header (`SHT_NULL`) has `SHF_ALLOC` and describes bytes outside the file, which
    /// Linux copies.
    NullOutside = -67, "SHT_NULL section is SHF_ALLOC, but its content is outside the file", ["" "file offset" "size"];
    /// The flags of the pass exclude each other: a field cannot be both overwritten and added to.
    FlagsConflict = -68, "conflicting flags", ["" "flags" ""];
    /// A relocation table overlaps memory that the call writes: the symbol table, or a
    /// caller-provided buffer.
    TableOverlaps = -69, "relocation table overlaps memory that the call writes", ["" "size" ""];
    /// `sh_addralign` of a section, or without `section` the size of a page, is not a power of two.
    BadAlignment = -70, "alignment is not a power of two", ["" "alignment" ""];
    /// The sections in memory are together larger than the largest size of a layout, or the layout
    /// would end past the end of the address space, or an offset needs more than the 32 bits that
    /// Linux has. `value` is `u64::MAX` if the size itself is
    /// more than 64 bits.
    LayoutTooLarge = -71, "layout is too large", ["" "bytes needed" "largest"];
    /// The address for a layout, or of a GOT, is not a multiple of the alignment that it needs.
    AddressMisaligned = -72, "address is misaligned", ["" "address" "alignment"];
    /// A reader failed, so not everything was verified. `value` is its [`CallbackError`].
    Reader = -73, "reader failed, not everything is verified", ["offset" "callback result" ""];
    /// Memory that holds expected content is behind a writer.
    NotPlain = -74, "memory for the expected content is not plain memory", ["" "" ""];
    /// The caller-provided buffer for the plan of a GOT is too short.
    GotPlanTooShort = -75, "buffer for the plan of the GOT is too short", ["" "words provided" "words needed"];
    /// A relocation refers to the GOT slot of a symbol that has none, because the GOT was planned
    /// without this relocation.
    NoGotSlot = -76, "symbol has no slot in the GOT", ["offset" "" ""];
}

impl ErrorKind {
    /// Returns the kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        // The numbers are -1, -2 and so on.
        Self::ALL.get(usize::try_from(!number).ok()?).copied()
    }

    /// Returns whether `value` is the number of a [`CallbackError`].
    pub const fn is_of_callback(self) -> bool {
        matches!(self, Self::Resolver | Self::Writer | Self::Sync | Self::NotUndone | Self::Reader)
    }

    /// The index of its row in the table of kinds.
    pub(crate) const fn row(self) -> usize {
        !(self as i32).cast_unsigned() as usize
    }

    /// The indices of its meanings.
    fn fields(self) -> [usize; 3] {
        let first = self.row().saturating_mul(3);
        [first, first.saturating_add(1), first.saturating_add(2)]
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error: what failed, where, and the numbers. It borrows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Error {
    /// What failed.
    pub kind: ErrorKind,
    /// Section index. For a relocation, it is the section that holds it. If memory is wrong, it is
    /// the section of the memory.
    pub section: Option<u32>,
    /// Index of the relocation in its section, counted from 0.
    pub entry: Option<u64>,
    /// Index of the symbol in the symbol table.
    pub symbol: Option<u32>,
    /// psABI type number of the relocation.
    pub r_type: Option<u32>,
    /// `r_offset` or an offset in the file, in bytes; see [`numbers`](Self::numbers).
    pub offset: u64,
    /// The number that is wrong; see [`numbers`](Self::numbers).
    pub value: u64,
    /// The number that it was compared with; see [`numbers`](Self::numbers).
    pub limit: u64,
}

impl Error {
    /// Returns an error with the number that is wrong, and the number that it was compared with.
    pub const fn new(kind: ErrorKind, value: u64, limit: u64) -> Self {
        Self { kind, section: None, entry: None, symbol: None, r_type: None, offset: 0, value, limit }
    }

    /// Returns the same error with the index of a relocation in its section.
    #[must_use]
    pub const fn in_entry(mut self, entry: u64) -> Self {
        self.entry = Some(entry);
        self
    }

    /// Returns the same error with a section index. Functions that work on one table don't know it.
    #[must_use]
    pub const fn in_section(mut self, section: u32) -> Self {
        self.section = Some(section);
        self
    }
}

impl Error {
    /// Returns the members `offset`, `value` and `limit` that an error of this kind uses, with
    /// their meaning.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let numbers = [self.offset, self.value, self.limit];
        self.kind.field_names().into_iter().zip(numbers).filter(|(name, _)| !name.is_empty())
    }
}

impl core::error::Error for Error {}

/// The error of a callback: a number of the embedder. relakit returns it in [`Error::value`],
/// sign-extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackError(
    /// Any number but 0.
    pub i32,
);

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a callback failed with {}", self.0)
    }
}

impl core::error::Error for CallbackError {}

impl CallbackError {
    /// The number as it is in [`Error::value`].
    pub(crate) const fn number(self) -> u64 {
        // A cast between integers of known width; `i64::from` is not const.
        (self.0 as i64).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_minus_one_downwards_without_gaps() {
        for (number, kind) in (1..).zip(ErrorKind::ALL) {
            assert_eq!(*kind as i32, -number, "{kind:?}");
        }
    }

    #[test]
    fn every_message_is_unique_text() {
        if !crate::text::ENABLED {
            return assert!(ErrorKind::ALL.iter().all(|kind| kind.text().is_empty()));
        }
        for (position, kind) in ErrorKind::ALL.iter().enumerate() {
            let text = kind.message().to_str().unwrap();
            assert!(text.len() > 8, "{kind:?}");
            assert!(
                ErrorKind::ALL[..position].iter().all(|other| other.message() != kind.message()),
                "{kind:?}"
            );
        }
    }
}
