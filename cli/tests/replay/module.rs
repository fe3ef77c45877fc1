//! What the harness needs to know of a module file, read with the `object` crate and so without relakit.

use std::collections::BTreeSet;
use std::path::Path;

use object::LittleEndian;
use object::elf::{FileHeader64, Rela64, SHN_UNDEF, SHT_RELA, SHT_SYMTAB, STT_SECTION};
use object::read::elf::{FileHeader, SectionHeader, Sym};

use super::compare::Spot;
use super::read;

/// Its name is `struct module` to the kernel, which fills in much more than the relocations do.
const THIS_MODULE: &str = ".gnu.linkonce.this_module";
/// Its symbols are offsets into the memory of each CPU.
const PER_CPU: &str = ".data..percpu";
/// SHF_RELA_LIVEPATCH of Linux.
const LIVEPATCH_FLAG: u64 = 0x0010_0000;
/// Bytes of an Elf64_Rela; a last one that is cut short is ignored, as Linux does.
const RELA_SIZE: usize = 24;
/// Bytes of an object's name that the kernel reads from the name of a section.
const OBJECT_WIDTH: usize = 55;

/// A module file.
pub struct Module {
    sections: Vec<Section>,
    /// The symbol table, symbol 0 included.
    pub symbols: Vec<Symbol>,
}

struct Section {
    name: String,
    size: u64,
    relocations: Option<Relocations>,
}

/// A table of relocations.
struct Relocations {
    /// Whom the table waits for: nobody, or an object ("vmlinux" or a module).
    object: Option<String>,
    fields: Vec<Spot>,
}

/// One symbol.
pub struct Symbol {
    /// Empty for most section symbols.
    pub name: String,
    /// st_shndx.
    pub section: u16,
    /// st_value.
    pub value: u64,
    is_section: bool,
}

impl Module {
    /// Reads the file.
    pub fn open(path: &Path) -> Self {
        let file = read(path);
        Self::parse(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn parse(file: &[u8]) -> object::read::Result<Self> {
        let endian = LittleEndian;
        let headers = FileHeader64::<LittleEndian>::parse(file)?.sections(endian, file)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

        let mut sections = Vec::new();
        for header in headers.iter() {
            let name = text(headers.section_name(endian, header)?);
            let livepatch = header.sh_flags(endian).0 & LIVEPATCH_FLAG != 0;
            let relocations = if livepatch || header.sh_type(endian) == SHT_RELA {
                let table = header.data(endian, file)?;
                let (table, _) = table.as_chunks::<RELA_SIZE>();
                let table =
                    table.iter().map(|entry| object::from_bytes::<Rela64<LittleEndian>>(entry).unwrap().0);
                let target = header.sh_info(endian);
                let fields = table.filter_map(|rela| {
                    let size = field_size(rela.r_type(endian, false).0)?;
                    Some(Spot::new(target, usize::try_from(rela.r_offset.get(endian)).unwrap(), size))
                });
                Some(Relocations { object: livepatch.then(|| object_of(&name)), fields: fields.collect() })
            } else {
                None
            };
            sections.push(Section { name, size: header.sh_size(endian), relocations });
        }

        let table = headers.symbols(endian, file, SHT_SYMTAB)?;
        let mut symbols = Vec::new();
        for symbol in table.iter() {
            symbols.push(Symbol {
                name: text(table.symbol_name(endian, symbol)?),
                section: symbol.st_shndx(endian).0,
                value: symbol.st_value(endian),
                is_section: symbol.st_type() == STT_SECTION,
            });
        }
        Ok(Self { sections, symbols })
    }

    /// The objects that the module has late relocations for.
    pub fn late_objects(&self) -> BTreeSet<&str> {
        let objects = self.relocations().filter_map(|table| table.object.as_deref());
        objects.filter(|&object| object != "vmlinux").collect()
    }

    /// The fields of all late relocations, or of those of one object.
    pub fn late_fields(&self, only: Option<&str>) -> Vec<Spot> {
        let wanted = |object: &str| object != "vmlinux" && only.is_none_or(|only| only == object);
        let late = self.relocations().filter(|table| table.object.as_deref().is_some_and(wanted));
        late.flat_map(|table| table.fields.iter().copied()).collect()
    }

    /// The relocated fields of `struct module`: all that can be compared in that section. `None` for other sections.
    pub fn only_fields_of(&self, section: u32) -> Option<Vec<Spot>> {
        if self.sections[usize::try_from(section).unwrap()].name != THIS_MODULE {
            return None;
        }
        let fields = self.relocations().flat_map(|table| table.fields.iter().copied());
        Some(fields.filter(|field| field.section == section).collect())
    }

    /// The non-empty per-CPU section, if there is one.
    pub fn per_cpu_section(&self) -> Option<u16> {
        let index = self.sections.iter().position(|section| section.name == PER_CPU && section.size > 0)?;
        Some(u16::try_from(index).unwrap())
    }

    /// Index of each named symbol that a section defines (no section symbols), in the order of the symbol table.
    pub fn defined(&self) -> impl Iterator<Item = (usize, &Symbol)> {
        let symbols = self.symbols.iter().enumerate();
        symbols.filter(|(_, symbol)| {
            symbol.section != SHN_UNDEF.0 && !symbol.is_section && !symbol.name.is_empty()
        })
    }

    /// Whether the section is freed when the module has been initialised.
    pub fn is_init(&self, section: u16) -> bool {
        self.sections.get(usize::from(section)).is_some_and(|section| section.name.starts_with(".init"))
    }

    fn relocations(&self) -> impl Iterator<Item = &Relocations> {
        self.sections.iter().filter_map(|section| section.relocations.as_ref())
    }
}

/// Bytes that a relocation of this type writes; `None` if it writes nothing, or is none that Linux knows.
fn field_size(r_type: u32) -> Option<usize> {
    match r_type {
        1 | 24 => Some(8),          // R_X86_64_64, PC64
        2 | 4 | 10 | 11 => Some(4), // R_X86_64_PC32, PLT32, 32, 32S
        _ => None,
    }
}

/// `orc_tgt1` of `.klp.rela.orc_tgt1..text`, as `sscanf(".klp.rela.%55[^.]")` reads it.
fn object_of(name: &str) -> String {
    let rest = name.strip_prefix(".klp.rela.").unwrap_or("");
    let object = rest.split('.').next().unwrap();
    object.get(..OBJECT_WIDTH).unwrap_or(object).to_owned()
}
