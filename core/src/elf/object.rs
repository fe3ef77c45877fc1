//! The ELF header and the section headers, and the checks that make every later access safe.

use super::section::{Section, SectionFlags};
use super::strtab::Strings;
use super::symbol::SymbolTable;
use crate::abi;
use crate::arch;
use crate::error::{Error, ErrorKind};
use crate::read::{index, range, u8_at, u16_at, u32_at, u64_at};
use crate::report::{Failed, Report, capture};

/// Checks of [`Object::parse`] that safe access does not need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strictness {
    /// `e_ident` must be that of ELF64, little-endian, version 1.
    pub(crate) ident: bool,
    /// Extended numbering of the gABI is supported: `e_shnum` 0, `SHN_XINDEX`.
    pub(crate) extended_numbering: bool,
    /// The section of the symbol names must be of type `SHT_STRTAB`.
    pub(crate) string_table_type: bool,
}

/// A relocatable x86-64 object. It borrows the file.
///
/// Every section with content lies inside the file and has a name. There is at most one symbol
/// table. It has a string table and at most one table of section indices.
#[derive(Clone, Copy, Debug)]
pub struct Object<'f> {
    bytes: &'f [u8],
    sections: &'f [[u8; abi::SHDR_SIZE]],
    names: Strings<'f>,
    names_section: u32,
    symbols: SymbolTable<'f>,
}

impl<'f> Object<'f> {
    /// Parses `bytes`, a whole file, by the gABI.
    ///
    /// # Errors
    /// - `EmptyFile`, `NotElf`, `BadIdent`, `NotRelocatable`, `WrongMachine`, `BadHeaderSize`,
    ///   `TooManySections`: the ELF header is wrong.
    /// - `Truncated`: a section or a header is not inside the file.
    /// - `BadNameTable`, `BadSectionName`: a section has no name.
    /// - `ManySymbolTables`, `BadStringTable`, `ManySectionIndices`: the symbol table is not
    ///   unique, or has no string table.
    pub fn parse(bytes: &'f [u8]) -> Result<Self, Error> {
        let strictness = Strictness { ident: true, extended_numbering: true, string_table_type: true };
        capture(|report| Self::parse_with(bytes, strictness, report))
    }

    pub(crate) fn parse_with(
        bytes: &'f [u8],
        strictness: Strictness,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let header = header(bytes, strictness, report)?;
        let (sections, names_section) = section_table(bytes, header, strictness, report)?;
        let mut object = Self {
            bytes,
            sections,
            names: Strings::new(&[]),
            names_section,
            symbols: SymbolTable::in_memory(&[], Strings::new(&[]), 0),
        };
        match object.usual_tables(strictness) {
            Some((names, symbols)) => (object.names, object.symbols) = (names, symbols),
            None => object.read_tables(strictness, report)?,
        }
        Ok(object)
    }

    /// Returns the file.
    pub const fn bytes(&self) -> &'f [u8] {
        self.bytes
    }

    /// Returns the number of sections, section 0 included.
    pub fn section_count(&self) -> u32 {
        // `section_table` refused more than fit.
        u32::try_from(self.sections.len()).unwrap_or(u32::MAX)
    }

    /// Returns the header of section `index`.
    pub fn section(&self, index: u32) -> Option<Section> {
        Section::read(self.sections.get(usize::try_from(index).ok()?)?)
    }

    /// Returns all sections with their indices, section 0 included.
    pub fn sections(&self) -> impl Iterator<Item = (u32, Section)> + Clone + use<'f> {
        (0..self.section_count()).zip(self.sections.iter().map_while(Section::read))
    }

    /// Returns the name of `section` without its NUL. It is empty for an unused header whose name
    /// is outside the name table. A name longer than [`NAME_MAX`](super::NAME_MAX) is cut, see
    /// [`Strings::name`].
    pub fn section_name(&self, section: &Section) -> &'f [u8] {
        self.names.name(section.sh_name).unwrap_or_default()
    }

    /// The section names.
    pub(crate) const fn names(&self) -> Strings<'f> {
        self.names
    }

    /// The section headers.
    pub(crate) const fn headers(&self) -> &'f [[u8; abi::SHDR_SIZE]] {
        self.sections
    }

    /// File offset and size of the section headers, in bytes.
    pub(crate) fn headers_range(&self) -> (u64, u64) {
        let offset = self.bytes.first_chunk::<{ abi::EHDR_SIZE }>().and_then(|header| u64_at(header, 40));
        (offset.unwrap_or(0), self.sections.as_flattened().len() as u64)
    }

    /// Returns whether the name of `section` begins with `prefix`.
    pub fn section_name_starts_with(&self, section: &Section, prefix: &[u8]) -> bool {
        self.names.starts_with(section.sh_name, prefix)
    }

    /// Returns whether the name of `section` is `name`, which contains no NUL.
    pub fn section_is_named(&self, section: &Section, name: &[u8]) -> bool {
        self.names.is(section.sh_name, name)
    }

    /// Returns for each of `names` the section index of the first `SHF_ALLOC` section of this name, or
    /// 0.
    pub(crate) fn allocated<'n, const N: usize>(
        &self,
        names: impl Iterator<Item = &'n [u8]> + Clone,
    ) -> [u32; N] {
        let mut found = [0; N];
        let is_allocated = |section: &Section| section.sh_flags.contains(SectionFlags::ALLOC);
        for (index, section) in self.sections().filter(|(_, section)| is_allocated(section)) {
            for (slot, name) in found.iter_mut().zip(names.clone()) {
                if *slot == 0 && self.section_is_named(&section, name) {
                    *slot = index;
                }
            }
        }
        found
    }

    /// Returns the section index of the section names, or 0.
    pub const fn names_section(&self) -> u32 {
        self.names_section
    }

    /// Returns the content of `section`. It is empty if the section occupies no bytes in the file.
    pub fn section_bytes(&self, section: &Section) -> &'f [u8] {
        if !section.has_bytes() {
            return &[];
        }
        range(self.bytes, section.sh_offset, section.sh_size).unwrap_or_default()
    }

    /// Returns the symbol table. It is empty if the object has none.
    pub const fn symbols(&self) -> &SymbolTable<'f> {
        &self.symbols
    }

    /// Checks all sections, and reads the section names and the symbol table.
    fn read_tables(&mut self, strictness: Strictness, report: &mut Report) -> Result<(), Failed> {
        self.check_bounds(report)?;
        self.names = self.name_table(report)?;
        self.check_names(report)?;
        self.symbols = self.symbol_table(strictness, report)?;
        Ok(())
    }

    /// Checks all sections in one walk, and returns the section names and the symbol table. `None` if
    /// there is an error or something rare. Then [`read_tables`](Self::read_tables) finds it.
    fn usual_tables(&self, strictness: Strictness) -> Option<(Strings<'f>, SymbolTable<'f>)> {
        let names = self.section(self.names_section).filter(|table| table.sh_type == abi::SHT_STRTAB)?;
        let names = range(self.bytes, names.sh_offset, names.sh_size)?;
        let (file_size, names_size) = (self.bytes.len() as u64, names.len() as u64);
        let mut symbols = None;
        for (number, section) in self.sections() {
            let is_inside =
                section.sh_offset.checked_add(section.sh_size).is_some_and(|end| end <= file_size);
            let has_name = u64::from(section.sh_name) < names_size;
            match section.sh_type {
                abi::SHT_NULL => {}
                abi::SHT_NOBITS if has_name => {}
                // Rare: a table of section indices, a second symbol table.
                abi::SHT_SYMTAB_SHNDX => return None,
                abi::SHT_SYMTAB if symbols.is_some() => return None,
                _ if !(is_inside && has_name) => return None,
                abi::SHT_SYMTAB => symbols = Some((number, section)),
                _ => {}
            }
        }
        let (number, section) = symbols?;
        let strings = self.section(section.sh_link)?;
        let has_strings = match strings.sh_type {
            abi::SHT_STRTAB => true,
            _ => !strictness.string_table_type && section.sh_link != 0,
        };
        let is_usual = self.names_section != 0 && names.last() == Some(&0) && has_strings;
        is_usual.then(|| (Strings::new(names), self.symbols_of(number, &section, &strings, &[], strictness)))
    }

    /// Returns the symbol table in section `number`.
    fn symbols_of(
        &self,
        number: u32,
        section: &Section,
        strings: &Section,
        extended: &'f [u8],
        strictness: Strictness,
    ) -> SymbolTable<'f> {
        SymbolTable {
            entries: self.section_bytes(section).as_chunks().0,
            names: Strings::new(self.section_bytes(strings)),
            extended: extended.as_chunks().0,
            reserved_are_sections: !strictness.extended_numbering,
            sections: self.section_count(),
            section: number,
            strings_section: section.sh_link,
        }
    }

    fn check_bounds(&self, report: &mut Report) -> Result<(), Failed> {
        for (number, section) in self.sections() {
            if section.has_bytes() && range(self.bytes, section.sh_offset, section.sh_size).is_none() {
                let failed = truncated(self.bytes, section.sh_offset, section.sh_size, report);
                return Err(report.in_section(failed, number));
            }
        }
        Ok(())
    }

    fn name_table(&self, report: &mut Report) -> Result<Strings<'f>, Failed> {
        let names = match self.names_section {
            // No names, which is valid if no section has one.
            0 => {
                let named =
                    |(_, section): (u32, Section)| section.sh_type != abi::SHT_NULL && section.sh_name != 0;
                (!self.sections().any(named)).then_some(Strings::new(b"\0"))
            }
            _ => {
                let section =
                    self.section(self.names_section).filter(|table| table.sh_type == abi::SHT_STRTAB);
                let bytes = section.map_or(&[][..], |section| self.section_bytes(&section));
                (bytes.last() == Some(&0)).then_some(Strings::new(bytes))
            }
        };
        names.ok_or_else(|| {
            let (index, count) = (u64::from(self.names_section), u64::from(self.section_count()));
            let failed = report.fail(ErrorKind::BadNameTable, index, count);
            report.in_section(failed, self.names_section)
        })
    }

    /// Checks that every name begins in the table. It ends there too, because the table ends with
    /// NUL.
    fn check_names(&self, report: &mut Report) -> Result<(), Failed> {
        for (number, section) in self.sections() {
            let (name, size) = (u64::from(section.sh_name), self.names.bytes().len() as u64);
            if section.sh_type != abi::SHT_NULL && name >= size {
                let failed = report.fail(ErrorKind::BadSectionName, name, size);
                return Err(report.in_section(failed, number));
            }
        }
        Ok(())
    }

    fn symbol_table(&self, strictness: Strictness, report: &mut Report) -> Result<SymbolTable<'f>, Failed> {
        let mut found = self.sections().filter(|(_, section)| section.sh_type == abi::SHT_SYMTAB);
        let Some((number, section)) = found.next() else {
            return Ok(self.symbols);
        };
        if let Some((second, _)) = found.next() {
            let failed = report.fail(ErrorKind::ManySymbolTables, u64::from(number), 0);
            return Err(report.in_section(failed, second));
        }
        let any = !strictness.string_table_type && section.sh_link != 0;
        let is_strings = |link: &Section| any || link.sh_type == abi::SHT_STRTAB;
        let Some(strings) = self.section(section.sh_link).filter(is_strings) else {
            let (link, count) = (u64::from(section.sh_link), u64::from(self.section_count()));
            let failed = report.fail(ErrorKind::BadStringTable, link, count);
            return Err(report.in_section(failed, number));
        };
        let mut found = self.sections().filter(|(_, other)| {
            strictness.extended_numbering && other.sh_type == abi::SHT_SYMTAB_SHNDX && other.sh_link == number
        });
        let extended = found.next();
        if let (Some((first, _)), Some((second, _))) = (extended, found.next()) {
            let failed = report.fail(ErrorKind::ManySectionIndices, u64::from(first), 0);
            return Err(report.in_section(failed, second));
        }
        let extended = extended.map_or(&[][..], |(_, table)| self.section_bytes(&table));
        Ok(self.symbols_of(number, &section, &strings, extended, strictness))
    }
}

fn truncated(bytes: &[u8], offset: u64, size: u64, report: &mut Report) -> Failed {
    let failed = report.fail(ErrorKind::Truncated, size, bytes.len() as u64);
    report.at_offset(failed, offset)
}

fn header<'f>(
    bytes: &'f [u8],
    strictness: Strictness,
    report: &mut Report,
) -> Result<&'f [u8; abi::EHDR_SIZE], Failed> {
    if bytes.is_empty() {
        return Err(report.fail(ErrorKind::EmptyFile, 0, 0));
    }
    let magic = u32_at(bytes, 0).unwrap_or(0);
    if magic != u32::from_le_bytes(abi::ELF_MAGIC) {
        return Err(report.fail(ErrorKind::NotElf, u64::from(magic), 0));
    }
    let Some(header) = bytes.first_chunk::<{ abi::EHDR_SIZE }>() else {
        return Err(truncated(bytes, 0, abi::EHDR_SIZE as u64, report));
    };
    if strictness.ident {
        for (at, expected) in [(4, abi::ELFCLASS64), (5, abi::ELFDATA2LSB), (6, abi::EV_CURRENT)] {
            let byte = u8_at(header, at).unwrap_or(0);
            if byte != expected {
                let failed = report.fail(ErrorKind::BadIdent, u64::from(byte), u64::from(expected));
                return Err(report.at_offset(failed, at as u64));
            }
        }
    }
    let half = |at| u16_at(header, at).unwrap_or(0);
    for (at, expected, kind) in
        [(16, abi::ET_REL, ErrorKind::NotRelocatable), (18, arch::MACHINE, ErrorKind::WrongMachine)]
    {
        if half(at) != expected {
            return Err(report.fail(kind, u64::from(half(at)), u64::from(expected)));
        }
    }
    Ok(header)
}

/// Returns the section headers, and the section index of the section names.
fn section_table<'f>(
    bytes: &'f [u8],
    header: &[u8; abi::EHDR_SIZE],
    strictness: Strictness,
    report: &mut Report,
) -> Result<(&'f [[u8; abi::SHDR_SIZE]], u32), Failed> {
    let half = |at| u16_at(header, at).unwrap_or(0);
    let offset = u64_at(header, 40).unwrap_or(0);
    let (size, mut count, mut names) = (half(58), u64::from(half(60)), u32::from(half(62)));
    let table = |count: u64, report: &mut Report| {
        let size = count.saturating_mul(abi::SHDR_SIZE as u64);
        let table = range(bytes, offset, size).map(|table| table.as_chunks().0);
        table.ok_or_else(|| truncated(bytes, offset, size, report))
    };
    if offset == 0 && count == 0 {
        return Ok((&[], 0));
    }
    if usize::from(size) != abi::SHDR_SIZE {
        return Err(report.fail(ErrorKind::BadHeaderSize, u64::from(size), abi::SHDR_SIZE as u64));
    }
    if strictness.extended_numbering && (count == 0 || names == u32::from(abi::SHN_XINDEX)) {
        let first = table(1, report)?.first().and_then(Section::read);
        if count == 0 {
            count = first.map_or(0, |section| section.sh_size);
        }
        if names == u32::from(abi::SHN_XINDEX) {
            names = first.map_or(0, |section| section.sh_link);
        }
    }
    if index(count).is_none() || count > u64::from(u32::MAX) {
        return Err(report.fail(ErrorKind::TooManySections, count, u64::from(u32::MAX)));
    }
    Ok((table(count, report)?, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/livepatch.ko"));

    /// The short way for usual files and all checks, on the same file.
    fn both(file: &[u8], strictness: Strictness) -> Result<[Option<Object<'_>>; 2], Error> {
        capture(|report| {
            let header = header(file, strictness, report)?;
            let (sections, names_section) = section_table(file, header, strictness, report)?;
            let no_symbols = SymbolTable::in_memory(&[], Strings::new(&[]), 0);
            let object = Object {
                bytes: file,
                sections,
                names: Strings::new(&[]),
                names_section,
                symbols: no_symbols,
            };
            let mut usual = object;
            let tables = usual.usual_tables(strictness);
            let is_usual = tables.is_some();
            if let Some((names, symbols)) = tables {
                (usual.names, usual.symbols) = (names, symbols);
            }
            let mut all = object;
            let all = all.read_tables(strictness, report).ok().map(|()| all);
            Ok([is_usual.then_some(usual), all])
        })
    }

    #[test]
    fn a_module_is_a_usual_file() {
        let strictness = Strictness { ident: true, extended_numbering: true, string_table_type: true };
        assert!(both(FILE, strictness).unwrap().iter().all(Option::is_some));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_short_way_accepts_only_what_all_checks_accept_and_reads_the_same(
            changes in proptest::collection::vec(
                (0usize..30, 0usize..16, prop_oneof![0u32..32, any::<u32>(), Just(0x1950), Just(0x157), Just(0xfff1)]),
                0..3,
            ),
            last_name in prop_oneof![Just(0u8), Just(1)],
            flags: [bool; 2],
        ) {
            let strictness =
                Strictness { ident: true, extended_numbering: flags[0], string_table_type: flags[1] };
            let mut file = FILE.to_vec();
            // The section names are at 0xe78 and have 0x157 bytes.
            file[0xe78 + 0x156] = last_name;
            for (section, word, value) in changes {
                let header = &mut file[0xfd0..].as_chunks_mut::<{ abi::SHDR_SIZE }>().0[section];
                header.as_chunks_mut().0[word] = value.to_le_bytes();
            }
            if let Ok([Some(usual), all]) = both(&file, strictness) {
                prop_assert_eq!(format!("{:?}", Some(usual)), format!("{all:?}"));
            }
        }
    }
}
