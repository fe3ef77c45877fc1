//! The file as a builder, which changes some of its parts and copies the others.
//!
//! The builder reads allocated relocation sections as those of a dynamic linker, and refuses section
//! types that it does not know. Both are hidden from it while it reads: the type of such a section is
//! changed to data, and the flag `SHF_ALLOC` of a relocation section is cleared. Their own type and
//! flags are set again before the file is written.

use crate::refusal::{Refusal, text};
use object::build::elf::{Builder, SectionData};
use object::elf::{self, SectionFlags, SectionType};
use relakit::Module;
use relakit::abi::{
    SHDR_SIZE, SHT_NOBITS, SHT_NOTE, SHT_PROGBITS, SHT_RELA, SHT_STRTAB, SHT_SYMTAB, SHT_SYMTAB_SHNDX,
};
use relakit::elf::Section;

/// Largest section alignment that is accepted, in bytes. Modules need at most a page.
const MAX_ALIGN: u64 = 4096;
/// `SHT_GROUP`: its content is section indices (gABI 4, "Section Groups").
const SHT_GROUP: u32 = 17;
/// Where the offset of the section headers is in the file header, and where type and flags are in a
/// section header (gABI 2 and 4).
const E_SHOFF: usize = 40;
const SH_TYPE: usize = 4;
const SH_FLAGS: usize = 8;

/// The header of a section that is hidden from the builder.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    /// Number of the section, counted from 0 after the null section.
    number: usize,
    sh_type: u32,
    sh_flags: u64,
}

/// A copy of the file that the builder can read.
#[derive(Debug)]
pub(crate) struct Readable {
    bytes: Vec<u8>,
    hidden: Vec<Hidden>,
}

impl Readable {
    pub(crate) fn new(module: &Module<'_>) -> Result<Self, Refusal> {
        let object = module.object();
        let (bytes, mut hidden) = (object.bytes().to_vec(), Vec::new());
        for (number, (index, section)) in (0usize..).zip(object.sections().filter(|(index, _)| *index != 0)) {
            let align = section.sh_addralign;
            if align > MAX_ALIGN || (align != 0 && !align.is_power_of_two()) {
                let name = text(object.section_name(&section));
                return Err(Refusal::new(format!(
                    "section {name} has the alignment {align}, which modules cannot have"
                )));
            }
            let (sh_type, sh_flags) = (section.sh_type, section.sh_flags.bits());
            let hidden_type = if is_copied(module, index, &section) { sh_type } else { SHT_PROGBITS };
            let is_alloc_rela = hidden_type == SHT_RELA && sh_flags & elf::SHF_ALLOC.0 != 0;
            if hidden_type != sh_type || is_alloc_rela {
                hidden.push(Hidden { number, sh_type, sh_flags });
            }
        }
        let mut readable = Self { bytes, hidden: Vec::new() };
        for header in &hidden {
            let is_rela = header.sh_type == SHT_RELA;
            let (kind, flags) = if is_rela {
                (SHT_RELA, header.sh_flags & !elf::SHF_ALLOC.0)
            } else {
                (SHT_PROGBITS, header.sh_flags)
            };
            readable
                .set_header(header.number, kind, flags)
                .ok_or_else(|| Refusal::new("the section headers cannot be changed"))?;
        }
        readable.hidden = hidden;
        Ok(readable)
    }

    fn set_header(&mut self, number: usize, sh_type: u32, sh_flags: u64) -> Option<()> {
        let start = self.bytes.get(E_SHOFF..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?;
        let header = number.checked_add(1)?.checked_mul(SHDR_SIZE)?;
        let header = usize::try_from(start).ok()?.checked_add(header)?;
        let header = self.bytes.get_mut(header..)?.get_mut(..SHDR_SIZE)?;
        *header.get_mut(SH_TYPE..)?.first_chunk_mut()? = sh_type.to_le_bytes();
        *header.get_mut(SH_FLAGS..)?.first_chunk_mut()? = sh_flags.to_le_bytes();
        Some(())
    }

    /// Whether section numbers are the content of a section, so that no section can be removed.
    pub(crate) fn has_groups(&self) -> bool {
        self.hidden.iter().any(|header| header.sh_type == SHT_GROUP)
    }

    pub(crate) fn builder(&self) -> Result<Builder<'_>, Refusal> {
        let mut builder = Builder::read(&*self.bytes)
            .map_err(|error| Refusal::new(format!("the file cannot be rewritten: {error}")))?;
        for section in &mut builder.sections {
            // To Linux, 0 and 1 are the same.
            section.sh_addralign = section.sh_addralign.max(1);
        }
        let ids: Vec<_> = builder.sections.iter().map(|section| section.id()).collect();
        for header in &self.hidden {
            let Some(id) = ids.get(header.number) else { continue };
            let section = builder.sections.get_mut(*id);
            section.sh_type = SectionType(header.sh_type);
            section.sh_flags = SectionFlags(header.sh_flags);
        }
        // Without SHF_INFO_LINK, the target of a relocation section is only a number to the builder.
        for section in &mut builder.sections {
            if matches!(section.data, SectionData::Relocation(_)) && section.sh_info_section.is_none() {
                let target = usize::try_from(section.sh_info).ok().and_then(|index| index.checked_sub(1));
                section.sh_info_section = target.and_then(|number| ids.get(number).copied());
            }
        }
        Ok(builder)
    }
}

/// Whether the builder reads the section and writes it as it was.
fn is_copied(module: &Module<'_>, index: u32, section: &Section) -> bool {
    let object = module.object();
    let symbols = object.symbols();
    match section.sh_type {
        SHT_PROGBITS | SHT_NOTE | SHT_NOBITS => true,
        SHT_SYMTAB => index == symbols.section(),
        SHT_STRTAB => index == symbols.strings_section() || index == object.names_section(),
        SHT_SYMTAB_SHNDX => section.sh_link == symbols.section(),
        SHT_RELA => section.sh_link == symbols.section(),
        _ => false,
    }
}

/// Writes the file.
pub(crate) fn write(mut builder: Builder<'_>) -> Result<Vec<u8>, Refusal> {
    let has_names = builder.sections.iter().any(|section| matches!(section.data, SectionData::SectionString));
    if !has_names {
        // clang has the names of symbols and sections in one table. The builder makes two.
        let names = builder.sections.add();
        names.name = ".shstrtab".into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut out = Vec::new();
    builder
        .write(&mut out)
        .map_err(|error| Refusal::new(format!("the file cannot be rewritten: {error}")))?;
    Ok(out)
}
