//! The forms in which tools and people write the references of a livepatch to other objects.

pub(crate) mod klp_build;
pub(crate) mod kpatch;
pub(crate) mod named;
mod plain;

use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId};
use std::collections::HashMap;

/// The relocations of some sections, by the number of the section and the offset.
pub(crate) struct Pointers(HashMap<(usize, u64), Relocation>);

impl Pointers {
    /// The relocations of the sections in `of`.
    pub(crate) fn new(builder: &Builder<'_>, of: &[SectionId]) -> Self {
        let mut pointers = HashMap::new();
        for section in &builder.sections {
            if let (Some(target), SectionData::Relocation(relocations)) =
                (section.sh_info_section, &section.data)
                && of.contains(&target)
            {
                pointers.extend(
                    relocations.iter().map(|relocation| ((target.index(), relocation.r_offset), *relocation)),
                );
            }
        }
        Self(pointers)
    }

    pub(crate) fn at(&self, section: SectionId, offset: u64) -> Option<&Relocation> {
        self.0.get(&(section.index(), offset))
    }

    /// The section and the offset to which a pointer leads.
    pub(crate) fn leads_to(
        &self,
        builder: &Builder<'_>,
        section: SectionId,
        offset: u64,
    ) -> Option<(SectionId, u64)> {
        let relocation = self.at(section, offset)?;
        let symbol = builder.symbols.get(relocation.symbol?);
        Some((symbol.section?, symbol.st_value.wrapping_add(relocation.r_addend.cast_unsigned())))
    }
}

/// The content of a section that has content.
pub(crate) fn content<'b>(builder: &'b Builder<'_>, section: SectionId) -> &'b [u8] {
    match &builder.sections.get(section).data {
        SectionData::Data(bytes) => bytes.as_slice(),
        _ => &[],
    }
}
