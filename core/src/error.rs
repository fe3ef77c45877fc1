//! The error of this crate: what failed, where, and the numbers.

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
            pub const fn message(self) -> &'static CStr {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns the meaning of `offset`, `value` and `limit` in an [`Error`] of this kind,
            /// in this order. A text is empty if the member is not used.
            pub const fn field_c_names(self) -> &'static [&'static CStr] {
                match self {
                    $(Self::$name => &[$offset, $value, $limit],)*
                }
            }
        }
    };
}

kinds! {
    /// A table, a section or a record reaches past the end of the file.
    Truncated = -1, c"data extends past the end of the file", [c"file offset" c"size" c"file size"];
    /// The file does not begin with the ELF magic.
    NotElf = -2, c"not an ELF file", [c"" c"magic" c""];
    /// `e_ident` is not that of ELF64, little-endian, version 1 (gABI 4). Linux does not check it.
    BadIdent = -3, c"unsupported ELF class, byte order or version", [c"file offset" c"byte" c"expected"];
    /// `e_type` is not `ET_REL`.
    NotRelocatable = -4, c"not a relocatable file", [c"" c"e_type" c"expected"];
    /// `e_machine` is not `EM_X86_64`.
    WrongMachine = -5, c"not an x86-64 file", [c"" c"e_machine" c"expected"];
    /// `e_shentsize` is not the size of a section header.
    BadHeaderSize = -6, c"wrong section header size", [c"" c"e_shentsize" c"expected"];
    /// Section 0 is not empty: type NULL, size 0, address 0 (Linux semantics 3).
    BadSectionZero = -7, c"section 0 is not empty", [c"" c"value" c""];
    /// The file has more sections than a section index can number.
    TooManySections = -8, c"too many sections", [c"" c"sections" c"maximum"];
    /// The module has no sections, or it uses extended numbering and the profile does not.
    NoSections = -9, c"no section headers", [c"" c"e_shnum" c""];
    /// `e_shstrndx` is not the index of a string table that ends with NUL.
    BadNameTable = -10, c"section name table is not a NUL-terminated string table", [c"" c"e_shstrndx" c"sections"];
    /// `sh_name` is outside the name table, or the name does not end in it.
    BadSectionName = -11, c"section name is outside the name table", [c"" c"sh_name" c"table size"];
    /// A relocatable module needs a symbol table.
    NoSymbolTable = -12, c"no symbol table", [c"" c"" c""];
    /// The file has a second symbol table.
    ManySymbolTables = -13, c"more than one symbol table", [c"" c"first section" c""];
    /// `sh_link` of the symbol table is not the index of a string table, or the profile refuses the
    /// table.
    BadStringTable = -14, c"symbol table has no valid string table", [c"" c"sh_link" c"sections"];
    /// `st_name` is outside the string table, or the name does not end in it.
    BadSymbolName = -15, c"symbol name is outside the string table", [c"" c"st_name" c"table size"];
    /// The size of a relocation table is not a multiple of 24. Linux ignores the rest.
    PartialEntry = -16, c"relocation table ends with an incomplete entry", [c"" c"size" c"remaining bytes"];

    /// A relocation uses a symbol that does not exist.
    SymbolIndex = -17, c"symbol index is outside the symbol table", [c"offset" c"" c"symbols"];
    /// `st_shndx` is the index of no section, or a reserved index that is not supported.
    SymbolSection = -18, c"symbol has an invalid section index", [c"" c"st_shndx" c"sections"];
    /// A symbol is common. Compile with -fno-common.
    CommonSymbol = -19, c"common symbol in a module", [c"" c"size" c""];
    /// A symbol is undefined and not weak, and the resolver does not export it.
    UnknownSymbol = -20, c"unknown symbol", [c"" c"" c""];
    /// A relocation uses a symbol of a section without memory.
    SymbolUnassigned = -21, c"symbol is in a section that has no memory", [c"offset" c"symbol section" c""];
    /// The caller-provided buffer for symbol values is too short.
    ValuesTooShort = -22, c"buffer for symbol values is too short", [c"" c"entries provided" c"entries needed"];
    /// The resolver failed. `value` is its [`CallbackError`].
    Resolver = -23, c"resolver failed", [c"" c"callback result" c""];

    /// The name of a section with `SHF_RELA_LIVEPATCH` does not begin with `.klp.rela.<object>`.
    BadKlpSectionName = -24, c"malformed livepatch section name", [c"" c"" c""];
    /// A livepatch relocation uses a symbol whose `st_shndx` is not `SHN_LIVEPATCH`.
    NotKlpSymbol = -25, c"symbol of a livepatch relocation is not SHN_LIVEPATCH", [c"offset" c"st_shndx" c""];
    /// The symbol's name is not `.klp.sym.<object>.<name>,<sympos>`.
    BadKlpSymbolName = -26, c"malformed livepatch symbol name", [c"offset" c"" c""];
    /// A livepatch section for a module uses a symbol of vmlinux, which only the early pass
    /// resolves.
    VmlinuxFromModule = -27, c"livepatch section for a module uses a vmlinux symbol", [c"offset" c"" c""];
    /// The object has no symbol of that name, or its value is 0.
    KlpNotFound = -28, c"livepatch symbol not found in its object", [c"offset" c"sympos" c""];
    /// The sympos is 0, so the name must be unique in its object. It is not.
    KlpAmbiguous = -29, c"ambiguous livepatch symbol: sympos is 0, but the name is not unique", [c"offset" c"sympos" c""];
    /// The object has fewer symbols of that name.
    KlpSympos = -30, c"sympos is greater than the number of symbols of that name", [c"offset" c"sympos" c""];
    /// A late section is not `SHF_ALLOC`. Linux has freed it when the object is loaded, and reads
    /// freed memory.
    LateNotAllocated = -31, c"livepatch section for a module is not SHF_ALLOC", [c"" c"sh_flags" c""];
    /// `sh_info` is the index of no section. In a late pass, Linux writes through a wild pointer.
    TargetOutOfRange = -32, c"relocation target does not exist", [c"" c"sh_info" c"sections"];
    /// The target of a late section is not in memory. Linux writes to freed memory.
    TargetNotAllocated = -33, c"relocation target is not in memory", [c"" c"target" c"target sh_flags"];
    /// The target of a late section is the template of the per-CPU data, which Linux has freed by
    /// then.
    TargetPerCpu = -34, c"relocation target is the per-CPU template, which is freed after load", [c"" c"target" c""];
    /// The target is the symbol or string table, which the pass reads.
    TargetIsSymbolTable = -35, c"relocation target is the symbol table or its string table", [c"" c"target" c""];
    /// A livepatch section of type NOBITS has no relocations to read.
    NoRelocationBytes = -36, c"livepatch section has no content in the file", [c"" c"size" c""];
    /// x86-64 has no REL relocations (psABI 4.4).
    RelSection = -37, c"SHT_REL sections are not supported on x86-64", [c"" c"target" c""];

    /// The flags of the pass do not support the relocation type.
    UnknownType = -38, c"unknown relocation type", [c"offset" c"" c""];
    /// The value does not fit its field.
    Overflow = -39, c"value does not fit its field", [c"offset" c"value" c"largest"];
    /// The field is not inside the target section.
    OffsetOutside = -40, c"field is outside the target section", [c"offset" c"field size" c"section size"];
    /// A field is not zero before its relocation.
    TargetNotZero = -41, c"field is not zero before its relocation", [c"offset" c"value" c"existing"];
    /// A field does not hold the value that was applied, so it is not cleared.
    TargetMismatch = -42, c"field does not hold the relocated value", [c"offset" c"expected" c"existing"];
    /// A writer failed. Nothing is changed. `value` is its [`CallbackError`].
    Writer = -43, c"writer failed, nothing is changed", [c"offset" c"callback result" c""];
    /// `sync` failed, and the pass was rolled back. `value` is its [`CallbackError`].
    Sync = -44, c"sync of the writer failed, nothing is changed", [c"" c"callback result" c""];
    /// A writer failed, and the rollback failed too. The entries 0 to `entry` hold their values.
    /// The later entries are as before, or cleared if the pass was clearing. Without `entry`, no
    /// entry holds its value. `value` is the [`CallbackError`] of the writer.
    NotUndone = -45, c"rollback failed, memory is partly changed", [c"offset" c"callback result" c""];
    /// A dry run cannot check a field that begins before the end of the field before it.
    FieldsNotAscending = -46, c"dry run is impossible: fields overlap or are not in ascending order", [c"offset" c"" c""];

    /// A section that is relocated has no memory.
    NotAssigned = -47, c"section has no memory", [c"" c"size" c""];
    /// The memory for a section is not of the section's size.
    AssignedSize = -48, c"memory of the section has the wrong size", [c"" c"bytes provided" c"bytes needed"];
    /// The name of the object is empty, or it is "vmlinux".
    NotAModule = -49, c"not a module name", [c"" c"length" c""];
    /// The late relocations of the object are already applied.
    AlreadyLive = -50, c"late relocations of this module are already applied", [c"" c"" c""];
    /// The late relocations of the object are not applied.
    NotLive = -51, c"late relocations of this module are not applied", [c"" c"" c""];
    /// The caller-provided buffer for the retained state is too short.
    RetainedTooShort = -52, c"buffer for the retained state is too short", [c"" c"bytes provided" c"bytes needed"];
    /// The section does not have the address of the early pass.
    SectionMoved = -53, c"section address has changed since the early pass", [c"" c"address" c"expected"];
    /// The module has late relocations for more objects than can be listed.
    TooManyObjects = -54, c"too many patched objects", [c"" c"" c"maximum"];
    /// There is no section of that index, or it is section 0.
    NoSuchSection = -55, c"no such section", [c"" c"index" c"sections"];
    /// The section is not of type RELA.
    NotRelocations = -56, c"not a relocation section", [c"" c"sh_type" c""];
    /// The target overlaps memory that the pass reads: section headers, symbols, names or
    /// relocations.
    TargetOverlaps = -57, c"relocation target overlaps memory that the pass reads", [c"" c"target" c""];
    /// The caller-provided buffer for an index of names is too short.
    IndexTooShort = -58, c"buffer for the name index is too short", [c"" c"bytes provided" c"bytes needed"];
    /// Two `SHT_SYMTAB_SHNDX` sections belong to the symbol table. The gABI does not say which one
    /// takes precedence. Linux does not read them.
    ManySectionIndices = -59, c"more than one SHT_SYMTAB_SHNDX section for the symbol table", [c"" c"first section" c""];
    /// The target is a relocation section. Linux would read the entries that it has changed.
    TargetIsRelocations = -60, c"relocation target is a relocation section", [c"" c"target" c""];
    /// The section's last byte would have an address past 2^64 - 1.
    AddressWraps = -61, c"section address range wraps past 2^64", [c"" c"address" c"size"];
    /// All relocation tables together are larger than the file. They share bytes, so that a small
    /// file could take a long time.
    RelocationsTooLarge = -62, c"total size of the relocation tables exceeds the file size", [c"" c"total size" c"file size"];
    /// A relocation uses a symbol with value 0 that is `SHN_LIVEPATCH`, or `SHN_UNDEF` and not
    /// weak.
    SymbolUnresolved = -63, c"symbol is not resolved: its value is 0", [c"offset" c"st_shndx" c""];
    /// The file has no bytes. Linux's `finit_module` refuses it before the loader reads it.
    EmptyFile = -64, c"file is empty", [c"" c"" c""];
    /// An unused header (`SHT_NULL`) has `SHF_RELA_LIVEPATCH`, and a name outside the name table,
    /// which Linux reads.
    KlpNameOutside = -65, c"livepatch section name is outside the name table", [c"" c"sh_name" c"table size"];
    /// A section shares bytes of the file with what Linux writes before it reads the section: the
    /// section headers, or the per-CPU template.
    SharedBytes = -66, c"section overlaps file data that Linux changes during load", [c"" c"file offset" c"size"];
    /// An unused header (`SHT_NULL`) has `SHF_ALLOC` and describes bytes outside the file, which
    /// Linux copies.
    NullOutside = -67, c"SHT_NULL section is SHF_ALLOC, but its content is outside the file", [c"" c"file offset" c"size"];
    /// The flags of the pass exclude each other: a field cannot be both overwritten and added to.
    FlagsConflict = -68, c"conflicting flags", [c"" c"flags" c""];
    /// A relocation table overlaps memory that the call writes: the symbol table, or a
    /// caller-provided buffer.
    TableOverlaps = -69, c"relocation table overlaps memory that the call writes", [c"" c"size" c""];
    /// `sh_addralign` of a section, or without `section` the size of a page, is not a power of two.
    BadAlignment = -70, c"alignment is not a power of two", [c"" c"alignment" c""];
    /// The sections in memory are together larger than the largest size of a layout, or the layout
    /// would end past the end of the address space. `value` is `u64::MAX` if the size itself is
    /// more than 64 bits.
    LayoutTooLarge = -71, c"layout is too large", [c"" c"bytes needed" c"largest"];
    /// The address for a layout is not a multiple of the alignment that the layout needs.
    AddressMisaligned = -72, c"address of the layout is misaligned", [c"" c"address" c"alignment"];
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().to_str().unwrap_or_default())
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
        let names = self.kind.field_c_names().iter().map(|name| name.to_str().unwrap_or_default());
        names.zip([self.offset, self.value, self.limit]).filter(|(name, _)| !name.is_empty())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        let mut separator = ": ";
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, value: fmt::Arguments<'_>| {
            let written = write!(f, "{separator}{name} {value}");
            separator = ", ";
            written
        };
        if let Some(section) = self.section {
            part(f, "section", format_args!("{section}"))?;
        }
        if let Some(entry) = self.entry {
            part(f, "entry", format_args!("{entry}"))?;
        }
        if let Some(r_type) = self.r_type {
            match crate::arch::type_name(r_type) {
                Some(name) => part(f, "type", format_args!("{name}"))?,
                None => part(f, "type", format_args!("{r_type}"))?,
            }
        }
        if let Some(symbol) = self.symbol {
            part(f, "symbol", format_args!("{symbol}"))?;
        }
        self.numbers().try_for_each(|(name, number)| part(f, name, format_args!("{number:#x}")))
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
        for (position, kind) in ErrorKind::ALL.iter().enumerate() {
            let text = kind.message().to_str().unwrap();
            assert!(text.len() > 8, "{kind:?}");
            assert!(
                ErrorKind::ALL[..position].iter().all(|other| other.message() != kind.message()),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn an_error_prints_all_that_it_has_and_nothing_else() {
        let error = Error {
            entry: Some(3),
            r_type: Some(10),
            symbol: Some(7),
            offset: 0x20,
            ..Error::new(ErrorKind::Overflow, 0x1_0000_0000, 0xffff_ffff)
        }
        .in_section(43);
        assert_eq!(
            error.to_string(),
            "value does not fit its field: section 43, entry 3, type R_X86_64_32, symbol 7, offset 0x20, \
             value 0x100000000, largest 0xffffffff"
        );
        assert_eq!(Error::new(ErrorKind::NoSymbolTable, 1, 2).to_string(), "no symbol table");
    }
}
