//! Writes modules, right ones and wrong ones: every field of every header can be set to anything.
//!
//! Records are laid out here by the gABI's tables (chapter 4), independent of the crate under test.
#![allow(missing_docs, reason = "the fields and constants of the gABI")]

pub const ALLOC: u64 = 2;
pub const WRITE: u64 = 1;
pub const LIVEPATCH: u64 = 0x0010_0000;
pub const PROGBITS: u32 = 1;
pub const SYMTAB: u32 = 2;
pub const STRTAB: u32 = 3;
pub const RELA: u32 = 4;
pub const NOTE: u32 = 7;
pub const NOBITS: u32 = 8;
pub const REL: u32 = 9;

pub const UNDEF: u16 = 0;
pub const SHN_LIVEPATCH: u16 = 0xff20;
pub const ABS: u16 = 0xfff1;
pub const COMMON: u16 = 0xfff2;
pub const XINDEX: u16 = 0xffff;

pub const LOCAL: u8 = 0;
pub const GLOBAL: u8 = 0x10;
pub const WEAK: u8 = 0x20;

pub const R_NONE: u32 = 0;
pub const R_64: u32 = 1;
pub const R_PC32: u32 = 2;
pub const R_32: u32 = 10;
pub const R_32S: u32 = 11;

#[derive(Clone, Debug, Default)]
pub struct Sec {
    pub name: Vec<u8>,
    pub kind: u32,
    pub flags: u64,
    pub address: u64,
    pub link: u32,
    pub info: u32,
    pub align: u64,
    pub entry_size: u64,
    pub bytes: Vec<u8>,
    /// `sh_size`, where it is not the number of bytes.
    pub size: Option<u64>,
    /// `sh_name`, where it is not that of the name.
    pub name_at: Option<u32>,
    /// `sh_offset`, where the bytes are not.
    pub offset: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct Sym {
    pub name: Vec<u8>,
    pub info: u8,
    pub shndx: u16,
    pub value: u64,
    pub size: u64,
    /// `st_name`, where it is not that of the name.
    pub name_at: Option<u32>,
}

/// `e_` fields, where they are not as they should be.
#[derive(Clone, Debug)]
pub struct Header {
    pub ident: [u8; 16],
    pub kind: u16,
    pub machine: u16,
    pub section_size: u16,
    pub sections: Option<u16>,
    pub names: Option<u16>,
    pub table: Option<u64>,
}

/// A module to be. Section 0 and symbol 0 are there from the start; `.symtab`, `.strtab` and
/// `.shstrtab` come last.
#[derive(Clone, Debug)]
pub struct Builder {
    pub header: Header,
    pub sections: Vec<Sec>,
    pub symbols: Vec<Sym>,
    /// Edits the three tables, in the order above, before the file is written.
    pub tables: fn(&mut [Sec]),
    /// How many unused headers follow the tables.
    pub unused: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub fn new() -> Self {
        let mut ident = [0; 16];
        ident[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\x00");
        let header = Header {
            ident,
            kind: 1,
            machine: 62,
            section_size: 64,
            sections: None,
            names: None,
            table: None,
        };
        Self {
            header,
            sections: vec![Sec::default()],
            symbols: vec![Sym::default()],
            tables: |_| {},
            unused: 0,
        }
    }

    pub fn section(&mut self, name: &str, kind: u32, flags: u64, bytes: Vec<u8>) -> u32 {
        let name = name.as_bytes().to_vec();
        self.sections.push(Sec { name, kind, flags, bytes, align: 8, ..Sec::default() });
        u32::try_from(self.sections.len() - 1).unwrap()
    }

    /// `size` zero bytes in memory.
    pub fn data(&mut self, name: &str, size: usize) -> u32 {
        self.section(name, PROGBITS, ALLOC | WRITE, vec![0; size])
    }

    /// Ordinary relocations of section `target`.
    pub fn rela(&mut self, target: u32, entries: &[Entry]) -> u32 {
        let name = [b".rela", self.at(target).name.as_slice()].concat();
        let section = self.section("", RELA, 0, table(entries));
        *self.at(section) = Sec { name, info: target, entry_size: 24, ..self.at(section).clone() };
        section
    }

    /// Livepatch relocations of section `target`.
    pub fn klp(&mut self, object: &str, target: u32, entries: &[Entry]) -> u32 {
        let name = [b".klp.rela.", object.as_bytes(), b".", self.at(target).name.as_slice()].concat();
        let section = self.rela(target, entries);
        *self.at(section) = Sec { name, flags: ALLOC | LIVEPATCH, ..self.at(section).clone() };
        section
    }

    pub fn at(&mut self, section: u32) -> &mut Sec {
        &mut self.sections[usize::try_from(section).unwrap()]
    }

    pub fn symbol(&mut self, name: &str, info: u8, shndx: u16, value: u64) -> u32 {
        let name = name.as_bytes().to_vec();
        self.symbols.push(Sym { name, info, shndx, value, ..Sym::default() });
        u32::try_from(self.symbols.len() - 1).unwrap()
    }

    /// A livepatch symbol of any name.
    pub fn klp_symbol(&mut self, name: &str) -> u32 {
        self.symbol(name, GLOBAL, SHN_LIVEPATCH, 0)
    }

    pub fn symtab_index(&self) -> u32 {
        u32::try_from(self.sections.len()).unwrap()
    }

    pub fn build(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let entry = |symbol: &Sym| {
            let at = string(&mut strings, &symbol.name);
            let name = u64::from(symbol.name_at.unwrap_or(at));
            let (info, shndx) = (u64::from(symbol.info), u64::from(symbol.shndx));
            record(&[(name, 4), (info, 1), (0, 1), (shndx, 2), (symbol.value, 8), (symbol.size, 8)])
        };
        let symbols: Vec<u8> = self.symbols.iter().flat_map(entry).collect();
        let link = self.symtab_index() + 1;
        let tables =
            [(".symtab", SYMTAB, symbols), (".strtab", STRTAB, strings), (".shstrtab", STRTAB, vec![])];
        let mut sections = self.sections.clone();
        sections.extend(tables.map(|(name, kind, bytes)| Sec {
            name: name.as_bytes().to_vec(),
            kind,
            bytes,
            link: if kind == SYMTAB { link } else { 0 },
            ..Sec::default()
        }));
        let mut names = vec![0];
        for section in &mut sections {
            let at = string(&mut names, &section.name);
            section.name_at = section.name_at.or(Some(at));
        }
        sections.last_mut().unwrap().bytes = names;
        let first = self.sections.len();
        (self.tables)(&mut sections[first..]);
        self.write(&sections)
    }

    fn write(&self, sections: &[Sec]) -> Vec<u8> {
        let mut file = vec![0; 64];
        let mut headers = Vec::new();
        for section in sections {
            let offset = section.offset.unwrap_or(file.len() as u64);
            let size = section.size.unwrap_or(section.bytes.len() as u64);
            headers.extend(header(section, offset, size));
            if section.kind != NOBITS {
                file.extend_from_slice(&section.bytes);
            }
        }
        let unused = Sec { align: 8, ..Sec::default() };
        headers.extend(header(&unused, file.len() as u64, 0).repeat(self.unused));
        let count = u16::try_from(sections.len() + self.unused).unwrap();
        let half = |value: u16| (u64::from(value), 2);
        let mut header = self.header.ident.to_vec();
        header.extend(record(&[half(self.header.kind), half(self.header.machine), (1, 4), (0, 8), (0, 8)]));
        header.extend(record(&[
            (self.header.table.unwrap_or(file.len() as u64), 8),
            (0, 4),
            half(64),
            (0, 4),
        ]));
        header.extend(record(&[
            half(self.header.section_size),
            half(self.header.sections.unwrap_or(count)),
            half(self.header.names.unwrap_or(u16::try_from(sections.len()).unwrap() - 1)),
        ]));
        file[..64].copy_from_slice(&header);
        file.extend(headers);
        file
    }
}

/// A section header.
fn header(section: &Sec, offset: u64, size: u64) -> Vec<u8> {
    record(&[
        (u64::from(section.name_at.unwrap_or(0)), 4),
        (u64::from(section.kind), 4),
        (section.flags, 8),
        (section.address, 8),
        (offset, 8),
        (size, 8),
        (u64::from(section.link), 4),
        (u64::from(section.info), 4),
        (section.align, 8),
        (section.entry_size, 8),
    ])
}

/// Offset, symbol, type, addend.
pub type Entry = (u64, u32, u32, i64);

pub fn table(entries: &[Entry]) -> Vec<u8> {
    let entry = |&(offset, symbol, kind, addend): &Entry| {
        record(&[(offset, 8), (u64::from(kind), 4), (u64::from(symbol), 4), (addend.cast_unsigned(), 8)])
    };
    entries.iter().flat_map(entry).collect()
}

/// Fields with their sizes in bytes, little-endian, one after the other.
pub fn record(fields: &[(u64, usize)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    fields.iter().for_each(|(value, size)| bytes.extend_from_slice(&value.to_le_bytes()[..*size]));
    bytes
}

/// Adds a string and answers where it begins.
fn string(strings: &mut Vec<u8>, name: &[u8]) -> u32 {
    if name.is_empty() {
        return 0;
    }
    let at = u32::try_from(strings.len()).unwrap();
    strings.extend_from_slice(name);
    strings.push(0);
    at
}
