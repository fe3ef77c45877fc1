//! ELF objects for tests: well-formed ones of any shape, and the means to break one field of them.
//!
//! Every header, symbol and relocation is encoded by the `object` crate, so that nothing here and in relakit can be
//! wrong in the same way.

use object::write::elf::{Encoder, FileHeader, FileHeaderLayout, Rel, SectionHeader, Sym as RawSym};
use object::{Endianness, elf};
use relakit::abi;
use relakit::elf::Rela;

/// As `link` of a section: the index that the symbol table will get.
pub const SYMTAB: u32 = u32::MAX;

/// One section; [`Section::default`] is an empty one of type PROGBITS, without flags.
#[derive(Clone, Debug)]
pub struct Section {
    pub name: Vec<u8>,
    pub kind: u32,
    pub flags: u64,
    pub address: u64,
    pub content: Vec<u8>,
    /// `sh_size`, where it is not the size of `content`: NOBITS.
    pub size: Option<u64>,
    pub link: u32,
    pub info: u32,
    pub align: u64,
    pub entry_size: u64,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            name: Vec::new(),
            kind: abi::SHT_PROGBITS,
            flags: 0,
            address: 0,
            content: Vec::new(),
            size: None,
            link: 0,
            info: 0,
            align: 1,
            entry_size: 0,
        }
    }
}

impl Section {
    /// A PROGBITS section with SHF_ALLOC.
    pub fn alloc(name: &str, content: &[u8]) -> Self {
        Self { name: name.into(), flags: 2, content: content.into(), ..Self::default() }
    }

    /// A RELA section for `target`, with `flags`.
    pub fn rela(name: &str, target: u32, flags: u64, relas: &[Rela]) -> Self {
        Self {
            name: name.into(),
            kind: abi::SHT_RELA,
            flags,
            content: rela_bytes(relas),
            link: SYMTAB,
            info: target,
            align: 8,
            entry_size: 24,
            ..Self::default()
        }
    }
}

/// Where a symbol is.
#[derive(Clone, Copy, Debug)]
pub enum SectionMemory {
    /// This `st_shndx`, as it is.
    Raw(u16),
    /// This section; SHN_XINDEX is used where it must be.
    In(u32),
}

/// One symbol; [`Sym::default`] is the null symbol.
#[derive(Clone, Debug)]
pub struct Sym {
    pub name: Vec<u8>,
    pub info: u8,
    pub other: u8,
    pub place: SectionMemory,
    pub value: u64,
    pub size: u64,
}

impl Default for Sym {
    fn default() -> Self {
        Self { name: Vec::new(), info: 0, other: 0, place: SectionMemory::Raw(0), value: 0, size: 0 }
    }
}

impl Sym {
    /// A global symbol.
    pub fn global(name: &str, place: SectionMemory, value: u64) -> Self {
        Self { name: name.into(), info: abi::STB_GLOBAL << 4, place, value, ..Self::default() }
    }
}

/// The entries of a relocation table as they stand in a file.
pub fn rela_bytes(relas: &[Rela]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for rela in relas {
        let rel = Rel {
            r_offset: rela.r_offset,
            r_sym: rela.r_sym,
            r_type: elf::RelocationType(rela.r_type),
            r_addend: rela.r_addend,
        };
        encoder().relocation(&mut bytes, true, &rel);
    }
    bytes
}

/// `Elf64_Sym` entries as a loader keeps them, one for each value.
pub fn symtab_bytes(values: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (value, index) in values.iter().zip(1..) {
        encoder().symbol(&mut bytes, &raw_sym(index, &Sym::global("", SectionMemory::Raw(0xfff1), *value)));
    }
    bytes
}

/// What an object is made of. The symbol table, its strings and the section names come after the sections.
#[derive(Clone, Debug)]
pub struct Builder {
    pub sections: Vec<Section>,
    pub symbols: Vec<Sym>,
}

/// A file, and where its tables are.
#[derive(Clone, Debug)]
pub struct File {
    pub bytes: Vec<u8>,
    /// File offset of the section headers.
    pub headers: usize,
    /// Number of sections, section 0 included.
    pub count: u32,
    pub symtab: u32,
    pub strtab: u32,
    pub shstrtab: u32,
    /// 0 when there is none.
    pub shndx: u32,
}

/// A field of a section header: offset and size in bytes (gABI 4).
pub type Field = (usize, usize);
pub const SH_NAME: Field = (0, 4);
pub const SH_TYPE: Field = (4, 4);
pub const SH_FLAGS: Field = (8, 8);
pub const SH_ADDR: Field = (16, 8);
pub const SH_OFFSET: Field = (24, 8);
pub const SH_SIZE: Field = (32, 8);
pub const SH_LINK: Field = (40, 4);
pub const SH_INFO: Field = (44, 4);
/// Fields of the file header.
pub const E_TYPE: Field = (16, 2);
pub const E_MACHINE: Field = (18, 2);
pub const E_SHOFF: Field = (40, 8);
pub const E_SHENTSIZE: Field = (58, 2);
pub const E_SHNUM: Field = (60, 2);
pub const E_SHSTRNDX: Field = (62, 2);

impl Builder {
    /// No section, and the null symbol.
    pub fn new() -> Self {
        Self { sections: Vec::new(), symbols: vec![Sym::default()] }
    }

    /// Adds a section; answers its index.
    pub fn section(&mut self, section: Section) -> u32 {
        self.sections.push(section);
        u32::try_from(self.sections.len()).unwrap()
    }

    /// Adds a symbol; answers its index.
    pub fn symbol(&mut self, symbol: Sym) -> u32 {
        self.symbols.push(symbol);
        u32::try_from(self.symbols.len()).unwrap() - 1
    }

    /// The file: header, contents, symbol table, strings, names, section headers.
    pub fn build(&self) -> File {
        let encoder = encoder();
        let (mut names, mut strings) = (Strings::new(), Strings::new());
        let (mut table, mut extended, mut needs_extended) = (Vec::new(), Vec::new(), false);
        for symbol in &self.symbols {
            let index = encoder.symbol(&mut table, &raw_sym(strings.add(&symbol.name), symbol));
            needs_extended |= index.is_some();
            extended.extend(index.unwrap_or(0).to_le_bytes());
        }
        let symtab = u32::try_from(self.sections.len()).unwrap() + 1;
        let strtab = symtab + 1;
        let own = |name: &str, kind, content, link| Section {
            name: name.into(),
            kind,
            content,
            link,
            align: 8,
            ..Section::default()
        };
        let mut sections = self.sections.clone();
        sections.push(Section { entry_size: 24, ..own(".symtab", abi::SHT_SYMTAB, table, strtab) });
        sections.push(own(".strtab", abi::SHT_STRTAB, strings.0, 0));
        if needs_extended {
            sections.push(own(".symtab_shndx", abi::SHT_SYMTAB_SHNDX, extended, symtab));
        }
        let name_offsets: Vec<u32> = sections.iter().map(|section| names.add(&section.name)).collect();
        let own_name = names.add(b".shstrtab");
        sections.push(own(".shstrtab", abi::SHT_STRTAB, names.0, 0));
        let shstrtab = u32::try_from(sections.len()).unwrap();

        let (mut body, mut headers) = (vec![0; abi::EHDR_SIZE], Vec::new());
        for (section, name) in sections.iter().zip(name_offsets.into_iter().chain([own_name])) {
            body.resize(body.len().next_multiple_of(8), 0);
            let link = if section.link == SYMTAB { symtab } else { section.link };
            let header = SectionHeader {
                sh_name: name,
                sh_type: elf::SectionType(section.kind),
                sh_flags: elf::SectionFlags(section.flags),
                sh_addr: section.address,
                sh_offset: body.len() as u64,
                sh_size: section.size.unwrap_or(section.content.len() as u64),
                sh_link: link,
                sh_info: section.info,
                sh_addralign: section.align,
                sh_entsize: section.entry_size,
            };
            encoder.section_header(&mut headers, &header);
            body.extend(&section.content);
        }
        body.resize(body.len().next_multiple_of(8), 0);
        let offset = body.len();
        let layout = FileHeaderLayout {
            e_shoff: offset as u64,
            section_num: shstrtab + 1,
            shstrtab_index: shstrtab,
            ..FileHeaderLayout::default()
        };
        encoder.null_section_header(&mut body, &layout);
        body.extend(headers);
        let header = FileHeader { e_type: elf::ET_REL, e_machine: elf::EM_X86_64, ..FileHeader::default() };
        let mut first = Vec::new();
        encoder.file_header(&mut first, &header, &layout).unwrap();
        body[..abi::EHDR_SIZE].copy_from_slice(&first);
        let shndx = if needs_extended { strtab + 1 } else { 0 };
        File { bytes: body, headers: offset, count: shstrtab + 1, symtab, strtab, shstrtab, shndx }
    }
}

impl File {
    /// Sets a field of the file header.
    pub fn set(&mut self, (at, size): Field, value: u64) -> &mut Self {
        self.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        self
    }

    /// Sets a field of the header of section `index`.
    pub fn set_section(&mut self, index: u32, (at, size): Field, value: u64) -> &mut Self {
        let at = self.header_offset(index) + at;
        self.set((at, size), value)
    }

    /// A field of the header of section `index`.
    pub fn section_field(&self, index: u32, (at, size): Field) -> u64 {
        let at = self.header_offset(index) + at;
        let mut field = [0; 8];
        field[..size].copy_from_slice(&self.bytes[at..at + size]);
        u64::from_le_bytes(field)
    }

    /// File offset of the header of section `index`.
    pub fn header_offset(&self, index: u32) -> usize {
        self.headers + usize::try_from(index).unwrap() * abi::SHDR_SIZE
    }

    /// File offset of the content of section `index`.
    pub fn content_offset(&self, index: u32) -> usize {
        usize::try_from(self.section_field(index, SH_OFFSET)).unwrap()
    }
}

/// A string table that begins with NUL.
struct Strings(Vec<u8>);

impl Strings {
    fn new() -> Self {
        Self(vec![0])
    }

    fn add(&mut self, name: &[u8]) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.0.len()).unwrap();
        self.0.extend(name);
        self.0.push(0);
        offset
    }
}

fn encoder() -> Encoder<Endianness> {
    Encoder::new(Endianness::Little, true, elf::EM_X86_64)
}

fn raw_sym(name: u32, symbol: &Sym) -> RawSym {
    let (section, shndx) = match symbol.place {
        SectionMemory::Raw(shndx) => (None, shndx),
        SectionMemory::In(section) => (Some(section), 0),
    };
    RawSym {
        section,
        st_name: name,
        st_info: elf::SymbolInfo(symbol.info),
        st_other: elf::SymbolOther(symbol.other),
        st_shndx: elf::SymbolSection(shndx),
        st_value: symbol.value,
        st_size: symbol.size,
    }
}
