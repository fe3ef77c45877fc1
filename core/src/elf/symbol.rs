//! The symbol table (gABI 4, "Symbol Table").

use super::strtab::{NAME_MAX, Strings};
use crate::abi;
use crate::error::{Error, ErrorKind};
use crate::read::{u8_at, u16_at, u32_at, u64_at};
use crate::report::{Failed, Report, capture};
use core::ops::Range;

/// One symbol.
///
/// The fields have the names of `Elf64_Sym`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Symbol {
    /// Index in the symbol table.
    index: u32,
    /// Offset of the name in the string table, in bytes.
    pub st_name: u32,
    /// Binding (upper four bits) and type (lower four).
    pub st_info: u8,
    /// Visibility.
    pub st_other: u8,
    /// `st_shndx` as in the file, see [`SymbolTable::location`].
    pub st_shndx: u16,
    /// Offset in its section in bytes, or an absolute value.
    pub st_value: u64,
    /// Size in bytes.
    pub st_size: u64,
}

impl Symbol {
    fn read(index: u32, entry: &[u8; abi::SYM_SIZE]) -> Option<Self> {
        Some(Self {
            index,
            st_name: u32_at(entry, 0)?,
            st_info: u8_at(entry, 4)?,
            st_other: u8_at(entry, 5)?,
            st_shndx: u16_at(entry, 6)?,
            st_value: u64_at(entry, 8)?,
            st_size: u64_at(entry, 16)?,
        })
    }

    /// Returns the index in the symbol table.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Returns the binding: the upper four bits of `st_info`.
    pub const fn binding(&self) -> Binding {
        Binding(self.st_info >> 4)
    }
}

/// The binding of a symbol (gABI 4, "Symbol Table"). The numbers that have no constant here are
/// those of operating systems and processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding(pub u8);

impl Binding {
    /// Visible in its file only.
    pub const LOCAL: Self = Self(abi::STB_LOCAL);
    /// Visible to all files.
    pub const GLOBAL: Self = Self(abi::STB_GLOBAL);
    /// As `GLOBAL`, but need not be defined.
    pub const WEAK: Self = Self(abi::STB_WEAK);
}

/// The place where a symbol is defined (`st_shndx`, gABI 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolLocation {
    /// In another file.
    Undefined,
    /// The value is absolute.
    Absolute,
    /// In a common block.
    Common,
    /// In the patched object of a livepatch (`SHN_LIVEPATCH`).
    Livepatch,
    /// In this section, which exists.
    Section(u32),
    /// The number is a reserved index, or the index of no section.
    Invalid(u32),
}

/// The symbol table of an object, with its string table.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'f> {
    pub(super) entries: &'f [[u8; abi::SYM_SIZE]],
    pub(super) names: Strings<'f>,
    /// Content of the `SHT_SYMTAB_SHNDX` section, if the profile uses it.
    pub(super) extended: &'f [[u8; 4]],
    /// Whether an index in the reserved range is a section index, as in Linux if there are that
    /// many sections.
    pub(super) reserved_are_sections: bool,
    pub(super) sections: u32,
    pub(super) section: u32,
    pub(super) strings_section: u32,
}

impl<'f> SymbolTable<'f> {
    /// Returns a table whose symbols have no sections. Its own section is `section`.
    pub(crate) const fn in_memory(
        entries: &'f [[u8; abi::SYM_SIZE]],
        names: Strings<'f>,
        section: u32,
    ) -> Self {
        Self {
            entries,
            names,
            extended: &[],
            reserved_are_sections: false,
            sections: 0,
            section,
            strings_section: 0,
        }
    }

    /// Returns the section index of the symbol table, or 0.
    pub const fn section(&self) -> u32 {
        self.section
    }

    /// Returns the section index of the string table, or 0.
    pub const fn strings_section(&self) -> u32 {
        self.strings_section
    }

    /// Returns the string table.
    pub const fn strings(&self) -> Strings<'f> {
        self.names
    }

    /// Returns the number of symbols, the null symbol included. Relocations cannot use a symbol
    /// after the first 2^32.
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Returns whether the table has no symbol.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the symbol at `index`.
    pub fn get(&self, index: u32) -> Option<Symbol> {
        Symbol::read(index, self.entries.get(usize::try_from(index).ok()?)?)
    }

    /// Returns all symbols in order, the null symbol included.
    pub fn iter(&self) -> Symbols<'f> {
        Symbols { table: *self, indices: 0..self.len() }
    }

    /// Returns the symbol `name`: the first one that is defined and not local, or else the first
    /// local one. A symbol is defined if it is absolute or in a section that exists. Symbols for
    /// sections and source files (`STT_SECTION`, `STT_FILE`) do not count.
    ///
    /// `name` contains no NUL. The time is linear in the number of symbols.
    pub fn find(&self, name: &[u8]) -> Option<Symbol> {
        if name.is_empty() || name.len() > NAME_MAX {
            return None;
        }
        let mut local = None;
        for symbol in self {
            let is_named = self.names.is(symbol.st_name, name);
            let kind = symbol.st_info & 0xf;
            if !is_named || matches!(kind, abi::STT_SECTION | abi::STT_FILE) {
                continue;
            }
            if !matches!(self.location(&symbol), SymbolLocation::Absolute | SymbolLocation::Section(_)) {
                continue;
            }
            if symbol.binding() != Binding::LOCAL {
                return Some(symbol);
            }
            local = local.or(Some(symbol));
        }
        local
    }

    /// Returns the name of `symbol`, without its NUL.
    ///
    /// # Errors
    /// - `BadSymbolName`: the name does not begin or end in the string table, see
    ///   [`Strings::name`].
    pub fn name(&self, symbol: &Symbol) -> Result<&'f [u8], Error> {
        capture(|report| self.name_or(symbol, report))
    }

    pub(crate) fn name_or(&self, symbol: &Symbol, report: &mut Report) -> Result<&'f [u8], Failed> {
        self.names.name(symbol.st_name).ok_or_else(|| {
            let (name, size) = (u64::from(symbol.st_name), self.names.bytes().len() as u64);
            let failed = report.fail(ErrorKind::BadSymbolName, name, size);
            self.locate(symbol.index, failed, report)
        })
    }

    /// Adds symbol `index` to an error.
    pub(crate) fn locate(&self, index: u32, failed: Failed, report: &mut Report) -> Failed {
        let failed = report.in_section(failed, self.section);
        report.of_symbol(failed, index)
    }

    /// Returns the entries of all symbols with their indices.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &'f [u8; abi::SYM_SIZE])> {
        (0..self.len()).zip(self.entries)
    }

    /// The section indices that `st_shndx` itself can be: [`location`](Self::location) returns the section
    /// of the same number.
    pub(crate) fn usual_sections(&self) -> Range<u32> {
        1..self.sections.min(u32::from(abi::SHN_LORESERVE))
    }

    /// Returns where `symbol` is defined. `SHN_XINDEX` is looked up in the extended section
    /// indices.
    pub fn location(&self, symbol: &Symbol) -> SymbolLocation {
        let section = match symbol.st_shndx {
            abi::SHN_UNDEF => return SymbolLocation::Undefined,
            abi::SHN_ABS => return SymbolLocation::Absolute,
            abi::SHN_COMMON => return SymbolLocation::Common,
            abi::SHN_LIVEPATCH => return SymbolLocation::Livepatch,
            abi::SHN_XINDEX => {
                let entry = usize::try_from(symbol.index).ok().and_then(|index| self.extended.get(index));
                match entry {
                    Some(entry) => u32::from_le_bytes(*entry),
                    None => return SymbolLocation::Invalid(u32::from(symbol.st_shndx)),
                }
            }
            reserved if reserved >= abi::SHN_LORESERVE && !self.reserved_are_sections => {
                return SymbolLocation::Invalid(u32::from(reserved));
            }
            section => u32::from(section),
        };
        match section {
            1.. if section < self.sections => SymbolLocation::Section(section),
            _ => SymbolLocation::Invalid(section),
        }
    }
}

impl<'f> IntoIterator for &SymbolTable<'f> {
    type Item = Symbol;
    type IntoIter = Symbols<'f>;

    fn into_iter(self) -> Symbols<'f> {
        self.iter()
    }
}

/// The symbols of a table: the iterator of [`SymbolTable::iter`].
#[derive(Clone, Debug)]
pub struct Symbols<'f> {
    table: SymbolTable<'f>,
    indices: Range<u32>,
}

impl Iterator for Symbols<'_> {
    type Item = Symbol;

    fn next(&mut self) -> Option<Symbol> {
        self.indices.next().and_then(|index| self.table.get(index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indices.size_hint()
    }
}

impl DoubleEndedIterator for Symbols<'_> {
    fn next_back(&mut self) -> Option<Symbol> {
        self.indices.next_back().and_then(|index| self.table.get(index))
    }
}

impl ExactSizeIterator for Symbols<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_index_is_a_section_only_to_linux() {
        for sections in [0, 1, 0xff00, 0xff01, 0x1_0000, u32::MAX] {
            let extended = [0xff00u32, 0xffff, 0x1_0000].map(u32::to_le_bytes);
            let table = SymbolTable {
                entries: &[],
                names: Strings::new(&[]),
                extended: &extended,
                reserved_are_sections: false,
                sections,
                section: 0,
                strings_section: 0,
            };
            let linux = SymbolTable { extended: &[], reserved_are_sections: true, ..table };
            let symbol = |index, st_shndx| Symbol {
                index,
                st_name: 0,
                st_info: 0,
                st_other: 0,
                st_shndx,
                st_value: 0,
                st_size: 0,
            };
            let place = |index, shndx| table.location(&symbol(index, shndx));
            let exists = |section| match section < sections {
                true => SymbolLocation::Section(section),
                false => SymbolLocation::Invalid(section),
            };
            assert_eq!(place(0, 1), exists(1));
            assert_eq!(place(0, 0xfeff), exists(0xfeff));
            for reserved in [0xff00, 0xff1f, 0xff21, 0xfff0, 0xfff3, 0xfffe] {
                assert_eq!(place(0, reserved), SymbolLocation::Invalid(u32::from(reserved)), "{sections:#x}");
                assert_eq!(
                    linux.location(&symbol(0, reserved)),
                    exists(u32::from(reserved)),
                    "{sections:#x}"
                );
            }
            assert_eq!(linux.location(&symbol(0, abi::SHN_LIVEPATCH)), SymbolLocation::Livepatch);
            assert_eq!(linux.location(&symbol(0, abi::SHN_ABS)), SymbolLocation::Absolute);
            assert_eq!(linux.location(&symbol(0, abi::SHN_XINDEX)), SymbolLocation::Invalid(0xffff));
            for (index, section) in [(0, 0xff00), (1, 0xffff), (2, 0x1_0000)] {
                assert_eq!(
                    place(index, abi::SHN_XINDEX),
                    exists(section),
                    "the very same number, written elsewhere"
                );
            }
            assert_eq!(place(3, abi::SHN_XINDEX), SymbolLocation::Invalid(0xffff));
        }
    }
}
