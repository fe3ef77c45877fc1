//! The file as a whole: header, section table, and the checks that make every later access safe.

use super::section::Section;
use super::strtab::Strings;
use super::symbol::SymbolTable;
use crate::abi;
use crate::error::{Error, ErrorKind};
use crate::read::{index, range, u8_at, u16_at, u32_at, u64_at};

/// What [`Object::parse`] asks of a file beyond what must be right for safe access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strictness {
    /// `e_ident` says ELF64, little-endian, version 1.
    pub(crate) ident: bool,
    /// gABI's extended numbering: `e_shnum` 0, `SHN_XINDEX`.
    pub(crate) extended_numbering: bool,
}

/// A relocatable x86-64 object, borrowed from its file.
///
/// After `parse` no access can leave the file: every section lies inside it, every section has a name, and there is
/// at most one symbol table, with a string table.
#[derive(Clone, Copy, Debug)]
pub struct Object<'f> {
    bytes: &'f [u8],
    sections: &'f [[u8; abi::SHDR_SIZE]],
    names: Strings<'f>,
    names_section: u32,
    symbols: SymbolTable<'f>,
}

impl<'f> Object<'f> {
    /// Reads and checks `bytes`, a whole file, by the gABI.
    ///
    /// # Errors
    /// What is wrong with the file, with the section and the numbers at fault.
    pub fn parse(bytes: &'f [u8]) -> Result<Self, Error> {
        Self::parse_with(bytes, Strictness { ident: true, extended_numbering: true })
    }

    pub(crate) fn parse_with(bytes: &'f [u8], strictness: Strictness) -> Result<Self, Error> {
        let header = header(bytes, strictness)?;
        let (sections, names_section) = section_table(bytes, header, strictness)?;
        let mut object = Self {
            bytes,
            sections,
            names: Strings::new(&[]),
            names_section,
            symbols: SymbolTable {
                entries: &[],
                names: Strings::new(&[]),
                extended: &[],
                sections: 0,
                section: 0,
                strings_section: 0,
            },
        };
        object.check_bounds()?;
        object.names = object.name_table()?;
        object.check_names()?;
        object.symbols = object.symbol_table()?;
        Ok(object)
    }

    /// The file.
    pub const fn bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Number of sections, section 0 included.
    pub fn section_count(&self) -> u32 {
        // `section_table` refused more than fit.
        u32::try_from(self.sections.len()).unwrap_or(u32::MAX)
    }

    /// The header of section `index`.
    pub fn section(&self, index: u32) -> Option<Section> {
        Section::read(self.sections.get(usize::try_from(index).ok()?)?)
    }

    /// All sections with their indices, section 0 included.
    pub fn sections(&self) -> impl Iterator<Item = (u32, Section)> + Clone + use<'f> {
        (0..self.section_count()).zip(self.sections.iter().map_while(Section::read))
    }

    /// The name of `section`, without the NUL; empty for an unused header whose name is outside.
    pub fn section_name(&self, section: &Section) -> &'f [u8] {
        self.names.name(section.name).unwrap_or_default()
    }

    /// Section index of the section names; 0 when there are none.
    pub const fn names_section(&self) -> u32 {
        self.names_section
    }

    /// The content of `section`; empty when it occupies no bytes in the file.
    pub fn section_bytes(&self, section: &Section) -> &'f [u8] {
        if !section.has_bytes() {
            return &[];
        }
        range(self.bytes, section.offset, section.size).unwrap_or_default()
    }

    /// The symbol table; empty when the object has none.
    pub const fn symbols(&self) -> &SymbolTable<'f> {
        &self.symbols
    }

    fn check_bounds(&self) -> Result<(), Error> {
        for (number, section) in self.sections() {
            if section.has_bytes() && range(self.bytes, section.offset, section.size).is_none() {
                return Err(ErrorKind::Truncated
                    .error(section.size, self.bytes.len() as u64)
                    .at_offset(section.offset)
                    .in_section(number));
            }
        }
        Ok(())
    }

    fn name_table(&self) -> Result<Strings<'f>, Error> {
        let bad = ErrorKind::BadNameTable
            .error(u64::from(self.names_section), u64::from(self.section_count()))
            .in_section(self.names_section);
        if self.names_section == 0 {
            // No names, which is right when nobody has one.
            let named = |(_, section): (u32, Section)| section.kind != abi::SHT_NULL && section.name != 0;
            return if self.sections().any(named) { Err(bad) } else { Ok(Strings::new(b"\0")) };
        }
        let section = self.section(self.names_section).ok_or(bad)?;
        let bytes = self.section_bytes(&section);
        match (section.kind, bytes.last()) {
            (abi::SHT_STRTAB, Some(0)) => Ok(Strings::new(bytes)),
            _ => Err(bad),
        }
    }

    fn check_names(&self) -> Result<(), Error> {
        for (number, section) in self.sections() {
            if section.kind != abi::SHT_NULL && self.names.name(section.name).is_none() {
                return Err(ErrorKind::BadSectionName
                    .error(u64::from(section.name), self.names.bytes().len() as u64)
                    .in_section(number));
            }
        }
        Ok(())
    }

    fn symbol_table(&self) -> Result<SymbolTable<'f>, Error> {
        let mut found = self.sections().filter(|(_, section)| section.kind == abi::SHT_SYMTAB);
        let Some((number, section)) = found.next() else {
            return Ok(self.symbols);
        };
        if let Some((second, _)) = found.next() {
            return Err(ErrorKind::ManySymbolTables.error(u64::from(number), 0).in_section(second));
        }
        let bad = ErrorKind::BadStringTable
            .error(u64::from(section.link), u64::from(self.section_count()))
            .in_section(number);
        let strings = self.section(section.link).filter(|link| link.kind == abi::SHT_STRTAB).ok_or(bad)?;
        let extended = self
            .sections()
            .find(|(_, other)| other.kind == abi::SHT_SYMTAB_SHNDX && other.link == number)
            .map_or(&[][..], |(_, other)| self.section_bytes(&other));
        Ok(SymbolTable {
            entries: self.section_bytes(&section).as_chunks().0,
            names: Strings::new(self.section_bytes(&strings)),
            extended: extended.as_chunks().0,
            sections: self.section_count(),
            section: number,
            strings_section: section.link,
        })
    }
}

fn header(bytes: &[u8], strictness: Strictness) -> Result<&[u8; abi::EHDR_SIZE], Error> {
    let magic = u32_at(bytes, 0).unwrap_or(0);
    if magic != u32::from_le_bytes(abi::ELF_MAGIC) {
        return Err(ErrorKind::NotElf.error(u64::from(magic), 0));
    }
    let header = bytes
        .first_chunk::<{ abi::EHDR_SIZE }>()
        .ok_or(ErrorKind::Truncated.error(abi::EHDR_SIZE as u64, bytes.len() as u64))?;
    if strictness.ident {
        for (at, expected) in [(4, abi::ELFCLASS64), (5, abi::ELFDATA2LSB), (6, abi::EV_CURRENT)] {
            let byte = u8_at(header, at).unwrap_or(0);
            if byte != expected {
                return Err(ErrorKind::BadIdent
                    .error(u64::from(byte), u64::from(expected))
                    .at_offset(at as u64));
            }
        }
    }
    let half = |at| u16_at(header, at).unwrap_or(0);
    for (at, expected, kind) in
        [(16, abi::ET_REL, ErrorKind::NotRelocatable), (18, abi::EM_X86_64, ErrorKind::NotX86_64)]
    {
        if half(at) != expected {
            return Err(kind.error(u64::from(half(at)), u64::from(expected)));
        }
    }
    Ok(header)
}

/// The section headers, and the index of the section names.
fn section_table<'f>(
    bytes: &'f [u8],
    header: &[u8; abi::EHDR_SIZE],
    strictness: Strictness,
) -> Result<(&'f [[u8; abi::SHDR_SIZE]], u32), Error> {
    let half = |at| u16_at(header, at).unwrap_or(0);
    let offset = u64_at(header, 40).unwrap_or(0);
    let (size, mut count, mut names) = (half(58), u64::from(half(60)), u32::from(half(62)));
    let table = |count: u64| {
        let size = count.saturating_mul(abi::SHDR_SIZE as u64);
        let truncated = ErrorKind::Truncated.error(size, bytes.len() as u64).at_offset(offset);
        range(bytes, offset, size).ok_or(truncated)
    };
    if offset == 0 && count == 0 {
        return Ok((&[], 0));
    }
    if usize::from(size) != abi::SHDR_SIZE {
        return Err(ErrorKind::BadHeaderSize.error(u64::from(size), abi::SHDR_SIZE as u64));
    }
    if strictness.extended_numbering && (count == 0 || names == u32::from(abi::SHN_XINDEX)) {
        let (first, _) = table(1)?.as_chunks();
        let first = first.first().and_then(Section::read);
        if count == 0 {
            count = first.map_or(0, |section| section.size);
        }
        if names == u32::from(abi::SHN_XINDEX) {
            names = first.map_or(0, |section| section.link);
        }
    }
    if index(count).is_none() || count > u64::from(u32::MAX) {
        return Err(ErrorKind::TooManySections.error(count, u64::from(u32::MAX)));
    }
    Ok((table(count)?.as_chunks().0, names))
}
