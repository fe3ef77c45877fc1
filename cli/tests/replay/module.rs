//! What the replay needs to know about a module.

use super::compare::Spot;
use super::reader::{File, Rela, Section, Symbol, read};
use std::collections::BTreeSet;
use std::path::Path;

/// The section of `struct module`. The kernel writes more to it than relocations.
const THIS_MODULE: &str = ".gnu.linkonce.this_module";
/// Symbols of this section are offsets in the memory of each CPU.
const PER_CPU: &str = ".data..percpu";
/// Longest object name that the kernel reads from a section name, in bytes.
const OBJECT_WIDTH: usize = 55;

pub struct Module(File);

impl Module {
    pub fn open(path: &Path) -> Self {
        Self(File::read(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The objects that have late relocations.
    pub fn late_objects(&self) -> BTreeSet<&str> {
        self.late().map(|section| object_of(&section.name)).collect()
    }

    /// The fields of all late relocations, or of those of one object.
    pub fn late_fields(&self, only: Option<&str>) -> Vec<Spot> {
        let wanted = |section: &&Section| only.is_none_or(|only| only == object_of(&section.name));
        self.late().filter(wanted).flat_map(fields).collect()
    }

    fn late(&self) -> impl Iterator<Item = &Section> {
        let klp = self.0.sections.iter().filter(|section| section.is_klp());
        klp.filter(|section| object_of(&section.name) != "vmlinux")
    }

    /// The relocated fields of `struct module`. Only these can be compared. `None` for other
    /// sections.
    pub fn only_fields_of(&self, section: u32) -> Option<Vec<Spot>> {
        if self.0.sections[usize::try_from(section).unwrap()].name != THIS_MODULE {
            return None;
        }
        Some(self.0.sections.iter().flat_map(fields).filter(|field| field.section == section).collect())
    }

    /// The per-CPU section, if it is not empty.
    pub fn per_cpu_section(&self) -> Option<u16> {
        let index = self.0.sections.iter().position(|section| section.name == PER_CPU && section.size > 0)?;
        Some(u16::try_from(index).unwrap())
    }

    /// The index of the code.
    pub fn text(&self) -> u32 {
        let index = self.0.sections.iter().position(|section| section.name == ".text").unwrap();
        u32::try_from(index).unwrap()
    }

    /// The named symbols that are defined in a section, without section symbols, and their indices.
    pub fn defined(&self) -> impl Iterator<Item = (usize, &Symbol)> {
        let symbols = self.0.symbols.iter().enumerate();
        symbols.filter(|(_, symbol)| symbol.shndx != 0 && !symbol.is_section && !symbol.name.is_empty())
    }

    /// Whether the section is freed after the init function.
    pub fn is_init(&self, section: u16) -> bool {
        self.0.sections.get(usize::from(section)).is_some_and(|section| section.name.starts_with(".init"))
    }
}

/// The fields that the relocations of a section write.
fn fields(section: &Section) -> impl Iterator<Item = Spot> {
    let target = u32::try_from(section.info).unwrap();
    section.relocations.iter().filter_map(move |rela: &Rela| {
        let offset = usize::try_from(rela.offset).unwrap();
        Some(Spot::new(target, offset, field_size(rela.r_type)?))
    })
}

/// Bytes that a relocation of this type writes, if Linux knows the type and it writes any.
fn field_size(r_type: u32) -> Option<usize> {
    match r_type {
        1 | 24 => Some(8),          // R_X86_64_64, PC64
        2 | 4 | 10 | 11 => Some(4), // R_X86_64_PC32, PLT32, 32, 32S
        _ => None,
    }
}

/// The object "orc_tgt1" of `.klp.rela.orc_tgt1..text`, as `sscanf(".klp.rela.%55[^.]")` reads it.
fn object_of(name: &str) -> &str {
    let rest = name.strip_prefix(".klp.rela.").unwrap_or("");
    let object = rest.split('.').next().unwrap();
    object.get(..OBJECT_WIDTH).unwrap_or(object)
}
