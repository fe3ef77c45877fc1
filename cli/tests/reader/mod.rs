//! Reads module files with the crate `object`, and so without relakit.

use object::LittleEndian;
use object::elf::{FileHeader64, Rela64, SHF_INFO_LINK, SHT_RELA, SHT_SYMTAB, STB_LOCAL, STT_SECTION};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use std::fs;
use std::io::Read;
use std::path::Path;

/// SHF_RELA_LIVEPATCH of Linux.
pub const LIVEPATCH: u64 = 0x0010_0000;
/// Size of an Elf64_Rela. A truncated last entry is ignored, as in Linux.
const RELA_SIZE: usize = 24;

pub struct File {
    /// All sections, section 0 included.
    pub sections: Vec<Section>,
    /// All symbols, symbol 0 included.
    pub symbols: Vec<Symbol>,
}

pub struct Section {
    pub name: String,
    pub sh_type: u32,
    pub flags: u64,
    pub size: u64,
    pub link: usize,
    pub info: usize,
    pub align: u64,
    pub entsize: u64,
    pub data: Vec<u8>,
    pub relocations: Vec<Rela>,
}

pub struct Rela {
    pub offset: u64,
    pub r_type: u32,
    pub symbol: usize,
}

pub struct Symbol {
    /// Empty for most section symbols.
    pub name: String,
    pub shndx: u16,
    pub value: u64,
    pub is_local: bool,
    pub is_section: bool,
}

impl Section {
    pub fn is_klp(&self) -> bool {
        self.flags & LIVEPATCH != 0
    }

    pub fn is_rela(&self) -> bool {
        self.sh_type == SHT_RELA.0 || self.is_klp()
    }
}

impl File {
    pub fn read(file: &[u8]) -> object::read::Result<Self> {
        let endian = LittleEndian;
        let table = FileHeader64::<LittleEndian>::parse(file)?.sections(endian, file)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let index = |number: u32| usize::try_from(number).unwrap();
        let mut sections = Vec::new();
        for header in table.iter() {
            let mut section = Section {
                name: text(table.section_name(endian, header)?),
                sh_type: header.sh_type(endian).0,
                flags: header.sh_flags(endian).0,
                size: header.sh_size(endian),
                link: index(header.sh_link(endian)),
                info: index(header.sh_info(endian)),
                align: header.sh_addralign(endian),
                entsize: header.sh_entsize(endian),
                data: header.data(endian, file)?.to_owned(),
                relocations: Vec::new(),
            };
            let entries = section.data.as_chunks::<RELA_SIZE>().0.iter().filter(|_| section.is_rela());
            let entries = entries.map(|entry| {
                let rela = object::from_bytes::<Rela64<LittleEndian>>(entry).unwrap().0;
                let (r_type, symbol) = (rela.r_type(endian, false).0, index(rela.r_sym(endian, false)));
                Rela { offset: rela.r_offset.get(endian), r_type, symbol }
            });
            section.relocations = entries.collect();
            sections.push(section);
        }
        let table = table.symbols(endian, file, SHT_SYMTAB)?;
        let mut symbols = Vec::new();
        for symbol in table.iter() {
            symbols.push(Symbol {
                name: text(table.symbol_name(endian, symbol)?),
                shndx: symbol.st_shndx(endian).0,
                value: symbol.st_value(endian),
                is_local: symbol.st_bind() == STB_LOCAL,
                is_section: symbol.st_type() == STT_SECTION,
            });
        }
        Ok(Self { sections, symbols })
    }

    /// The name of the section in `sh_info`, if `SHF_INFO_LINK` is set.
    pub fn target(&self, section: &Section) -> &str {
        if section.flags & SHF_INFO_LINK.0 != 0 { &self.sections[section.info].name } else { "" }
    }
}

/// The content of a file, unpacked if its name ends in `.xz`.
pub fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "xz") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    lzma_rust2::XzReader::new(bytes.as_slice(), true)
        .read_to_end(&mut unpacked)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    unpacked
}
