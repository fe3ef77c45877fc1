//! The symbol table (gABI 4, "Symbol Table").

use super::strtab::Strings;
use crate::abi;
use crate::error::{Error, ErrorKind};
use crate::read::{u8_at, u16_at, u32_at, u64_at};
use crate::report::{Report, Stopped, reported};

/// One symbol, host-order. `Copy`, so nothing borrows the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Byte offset of the name in the string table.
    pub name: u32,
    /// Binding (upper four bits) and type (lower four).
    pub info: u8,
    /// Visibility.
    pub other: u8,
    /// `st_shndx` as in the file; [`SymbolTable::place`] says what it means.
    pub shndx: u16,
    /// Offset in its section, in bytes; or an absolute value.
    pub value: u64,
    /// Bytes.
    pub size: u64,
}

impl Symbol {
    fn read(entry: &[u8; abi::SYM_SIZE]) -> Option<Self> {
        Some(Self {
            name: u32_at(entry, 0)?,
            info: u8_at(entry, 4)?,
            other: u8_at(entry, 5)?,
            shndx: u16_at(entry, 6)?,
            value: u64_at(entry, 8)?,
            size: u64_at(entry, 16)?,
        })
    }

    /// Binding: `STB_LOCAL`, `STB_GLOBAL`, `STB_WEAK` or another number.
    pub const fn binding(&self) -> u8 {
        self.info >> 4
    }
}

/// Where a symbol is (`st_shndx`, gABI 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolPlace {
    /// Defined elsewhere.
    Undefined,
    /// An absolute value.
    Absolute,
    /// A common block.
    Common,
    /// Resolved by the livepatch core (`SHN_LIVEPATCH`).
    Livepatch,
    /// In this section. The index exists.
    Section(u32),
    /// A reserved index, or a section that does not exist; the number.
    Invalid(u32),
}

/// The symbol table of an object, with its names.
#[derive(Clone, Copy, Debug)]
pub struct SymbolTable<'f> {
    pub(super) entries: &'f [[u8; abi::SYM_SIZE]],
    pub(super) names: Strings<'f>,
    /// Content of the `SHT_SYMTAB_SHNDX` section, if there is one and the profile knows such.
    pub(super) extended: &'f [[u8; 4]],
    /// Whether an index in the reserved range is a section like any other, as it is to Linux if there are so many.
    pub(super) reserved_are_sections: bool,
    pub(super) sections: u32,
    pub(super) section: u32,
    pub(super) strings_section: u32,
}

impl<'f> SymbolTable<'f> {
    /// A table whose symbols are not looked up by section; it is section `section`.
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

    /// Section index of the symbol table; 0 when the object has none.
    pub const fn section(&self) -> u32 {
        self.section
    }

    /// Section index of its string table; 0 when the object has none.
    pub const fn strings_section(&self) -> u32 {
        self.strings_section
    }

    /// Its string table.
    pub const fn strings(&self) -> Strings<'f> {
        self.names
    }

    /// Number of symbols, the null symbol included. Indices are `u32`: no relocation can name a later one.
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no symbol at all.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The symbol at `index`.
    pub fn get(&self, index: u32) -> Option<Symbol> {
        Symbol::read(self.entries.get(usize::try_from(index).ok()?)?)
    }

    /// The name of `symbol`, which is number `index`.
    ///
    /// # Errors
    /// [`ErrorKind::BadSymbolName`]: it is not inside the string table, or not ended; see [`Strings::name`].
    pub fn name(&self, index: u32, symbol: &Symbol) -> Result<&'f [u8], Error> {
        reported(|report| self.name_or(index, symbol, report))
    }

    /// The name, or the fault in `report`.
    pub(crate) fn name_or(
        &self,
        index: u32,
        symbol: &Symbol,
        report: &mut Report,
    ) -> Result<&'f [u8], Stopped> {
        self.names.name(symbol.name).ok_or_else(|| {
            let (name, size) = (u64::from(symbol.name), self.names.bytes().len() as u64);
            let stopped = report.fault(ErrorKind::BadSymbolName, name, size);
            self.locate(index, stopped, report)
        })
    }

    /// Adds to a fault that it is about symbol `index`.
    pub(crate) fn locate(&self, index: u32, stopped: Stopped, report: &mut Report) -> Stopped {
        let stopped = report.in_section(stopped, self.section);
        report.of_symbol(stopped, index)
    }

    /// Where `symbol`, which is number `index`, is; `SHN_XINDEX` is looked up.
    pub fn place(&self, index: u32, symbol: &Symbol) -> SymbolPlace {
        let section = match symbol.shndx {
            abi::SHN_UNDEF => return SymbolPlace::Undefined,
            abi::SHN_ABS => return SymbolPlace::Absolute,
            abi::SHN_COMMON => return SymbolPlace::Common,
            abi::SHN_LIVEPATCH => return SymbolPlace::Livepatch,
            abi::SHN_XINDEX => {
                let entry = usize::try_from(index).ok().and_then(|index| self.extended.get(index));
                match entry {
                    Some(entry) => u32::from_le_bytes(*entry),
                    None => return SymbolPlace::Invalid(u32::from(symbol.shndx)),
                }
            }
            reserved if reserved >= abi::SHN_LORESERVE && !self.reserved_are_sections => {
                return SymbolPlace::Invalid(u32::from(reserved));
            }
            section => u32::from(section),
        };
        match section {
            1.. if section < self.sections => SymbolPlace::Section(section),
            _ => SymbolPlace::Invalid(section),
        }
    }
}

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
            let symbol = |shndx| Symbol { name: 0, info: 0, other: 0, shndx, value: 0, size: 0 };
            let place = |index, shndx| table.place(index, &symbol(shndx));
            let exists = |section| match section < sections {
                true => SymbolPlace::Section(section),
                false => SymbolPlace::Invalid(section),
            };
            assert_eq!(place(0, 1), exists(1));
            assert_eq!(place(0, 0xfeff), exists(0xfeff));
            for reserved in [0xff00, 0xff1f, 0xff21, 0xfff0, 0xfff3, 0xfffe] {
                assert_eq!(place(0, reserved), SymbolPlace::Invalid(u32::from(reserved)), "{sections:#x}");
                assert_eq!(linux.place(0, &symbol(reserved)), exists(u32::from(reserved)), "{sections:#x}");
            }
            assert_eq!(linux.place(0, &symbol(abi::SHN_LIVEPATCH)), SymbolPlace::Livepatch);
            assert_eq!(linux.place(0, &symbol(abi::SHN_ABS)), SymbolPlace::Absolute);
            assert_eq!(linux.place(0, &symbol(abi::SHN_XINDEX)), SymbolPlace::Invalid(0xffff));
            for (index, section) in [(0, 0xff00), (1, 0xffff), (2, 0x1_0000)] {
                assert_eq!(
                    place(index, abi::SHN_XINDEX),
                    exists(section),
                    "the very same number, written elsewhere"
                );
            }
            assert_eq!(place(3, abi::SHN_XINDEX), SymbolPlace::Invalid(0xffff));
        }
    }
}
