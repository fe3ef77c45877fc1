//! One walk over the sections of a module and their relocations.

use super::names::{IN_SENTENCE, Name, flag_letters, section_type};
use super::{Level, Note, SectionClass, SectionError, SectionRow, TypeCount, Use, got};
use relakit::elf::{RelaTable, Section, SectionFlags, SymbolLocation};
use relakit::klp::RelaName;
use relakit::{Class, Classified, FailsAt, Module, Profile, Reason, abi, arch, reloc};
use relakit_linux::special as specials;
use std::collections::HashMap;

/// How often relocations are read on average, if tables overlap. Linkers do not make overlapping
/// tables, but without a limit a small file could cost hours.
pub(crate) const OVERLAP_MAX: u64 = 16;

/// The result of the walk over sections and relocations.
pub(super) struct Walk<'f> {
    pub(super) rows: Vec<SectionRow<'f>>,
    /// Number of relocations of each type, for each section that was read.
    pub(super) types: Vec<(u32, Vec<TypeCount>)>,
    /// The symbols that livepatch relocations use, and the watched symbols that others use.
    pub(super) uses: HashMap<u32, Vec<Use>>,
    /// Relocations that were not read.
    pub(super) not_read: u64,
}

impl<'f> Walk<'f> {
    pub(super) fn over(module: &'f Module<'f>) -> Self {
        let object = module.object();
        let watched = watched(module);
        let file_size = u64::try_from(object.bytes().len()).unwrap_or(u64::MAX);
        let mut left = file_size.saturating_mul(OVERLAP_MAX);
        let mut walk = Self { rows: Vec::new(), types: Vec::new(), uses: HashMap::new(), not_read: 0 };
        for ((index, section), (_, class)) in object.sections().zip(module.classes()) {
            let table = table(module, &section, class.class);
            let entries = table.map(|(table, _)| table.len() as u64);
            let row = row(module, index, &section, class, table);
            let bytes = entries.unwrap_or(0).saturating_mul(abi::RELA_SIZE as u64);
            match (table, left.checked_sub(bytes)) {
                (Some((table, _)), Some(rest)) => {
                    left = rest;
                    walk.read(&row, table, module.profile(), &watched);
                }
                (Some(_), None) => walk.not_read = walk.not_read.saturating_add(entries.unwrap_or(0)),
                (None, _) => {}
            }
            walk.rows.push(row);
        }
        walk
    }

    fn read(&mut self, row: &SectionRow<'f>, table: RelaTable<'f>, profile: &Profile, watched: &[bool]) {
        let klp = row.flags & SectionFlags::RELA_LIVEPATCH.bits() != 0;
        let mut types: HashMap<u32, u64> = HashMap::new();
        for rela in table.iter() {
            count(types.entry(rela.r_type).or_default());
            let is_watched =
                || usize::try_from(rela.r_sym).ok().and_then(|symbol| watched.get(symbol)) == Some(&true);
            // An ordinary R_X86_64_NONE does not use its symbol.
            let uses_it = klp || !arch::is_none(rela.r_type) && is_watched();
            if row.class == SectionClass::Skipped || !uses_it {
                continue;
            }
            let uses = self.uses.entry(rela.r_sym).or_default();
            match uses.last_mut() {
                Some(last) if last.section == row.index => count(&mut last.relocations),
                _ => uses.push(Use { section: row.index, relocations: 1 }),
            }
        }
        let mut types: Vec<_> = types
            .into_iter()
            .map(|(r_type, relocations)| TypeCount {
                r_type,
                name: arch::type_name(r_type),
                relocations,
                applied: reloc::howto(r_type, profile.reloc_flags()).is_some()
                    || got::applies(profile.types, r_type),
            })
            .collect();
        types.sort_by_key(|count| count.r_type);
        self.types.push((row.index, types));
    }

    pub(super) fn row(&self, index: u32) -> Option<&SectionRow<'f>> {
        self.rows.get(usize::try_from(index).ok()?)
    }
}

pub(super) fn count(number: &mut u64) {
    *number = number.saturating_add(1);
}

/// The entries of a relocation section as Linux counts them, and the number of bytes after the last
/// one. With `SHF_RELA_LIVEPATCH`, each section is a relocation section. REL sections have another
/// format.
fn table<'f>(module: &Module<'f>, section: &Section, class: Class<'f>) -> Option<(RelaTable<'f>, usize)> {
    let is_rela = section.sh_type == abi::SHT_RELA || section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
    let is_any = !matches!(class, Class::NotRelocation | Class::LegacyArch);
    (is_rela && is_any).then(|| RelaTable::whole_entries(module.object().section_bytes(section)))
}

fn row<'f>(
    module: &'f Module<'f>,
    index: u32,
    section: &Section,
    Classified { class, reason, .. }: Classified<'f>,
    table: Option<(RelaTable<'f>, usize)>,
) -> SectionRow<'f> {
    let object = module.object();
    let name = object.section_name(section);
    let (class, error, fails) = match class {
        Class::Ordinary { .. } => (SectionClass::Ordinary, None, None),
        Class::KlpEarly { .. } => (SectionClass::KlpEarly, None, None),
        Class::KlpLate { .. } => (SectionClass::KlpLate, None, None),
        Class::NotRelocation => (SectionClass::NotRelocation, None, None),
        Class::LegacyArch => (SectionClass::LegacyArch, None, None),
        Class::Skipped => (SectionClass::Skipped, None, None),
        Class::Malformed { fails, .. } => (SectionClass::Malformed, module.malformed(index), Some(fails)),
        _ => (SectionClass::Other, None, None),
    };
    let klp_name =
        section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH).then(|| RelaName::parse(name)).flatten();
    let is_relocation =
        !matches!(class, SectionClass::NotRelocation | SectionClass::LegacyArch | SectionClass::Other);
    let target = is_relocation.then_some(section.sh_info);
    let target_name =
        target.and_then(|target| object.section(target)).map(|target| object.section_name(&target));
    let named_for = match klp_name {
        Some(klp_name) => klp_name.section(),
        None if is_relocation => name.strip_prefix(b".rela").filter(|_| reason == Reason::Rela),
        None => None,
    };

    let mut notes = Vec::new();
    let mut warn = |text| notes.push(Note { level: Level::Warning, text });
    if let Some((named_for, target_name)) = named_for.zip(target_name).filter(|(a, b)| a != b) {
        warn(format!(
            "the name says {}, but sh_info says {}; Linux uses sh_info",
            Name(named_for).short(IN_SENTENCE),
            Name(target_name).short(IN_SENTENCE)
        ));
    }
    if klp_name.is_some_and(|name| name.is_cut()) {
        warn(format!("Linux reads only {} bytes of the object's name", abi::OBJECT_NAME_MAX));
    }
    if let Some((_, rest @ 1..)) = table {
        warn(format!("Linux ignores the last {rest} bytes, because they are not a complete relocation"));
    }
    SectionRow {
        index,
        name: Name(name),
        sh_type: section.sh_type,
        type_name: section_type(section.sh_type),
        flags: section.sh_flags.bits(),
        flag_letters: flag_letters(section.sh_flags),
        size: section.sh_size,
        class,
        object: klp_name.map(|name| Name(name.object)),
        target,
        target_name: target_name.map(Name),
        entries: table.map(|(table, _)| table.len() as u64),
        reason,
        fails: fails.map(|fails| match fails {
            FailsAt::Load => "load",
            FailsAt::AnyComing => "any-coming",
            FailsAt::Coming(_) => "coming",
        }),
        error: error.map(|error| SectionError { module, error }),
        notes,
        special: specials::by_name(name).is_some(),
    }
}

/// For each symbol, whether it is a livepatch symbol or named like one.
pub(super) fn watched(module: &Module<'_>) -> Vec<bool> {
    let symbols = module.object().symbols();
    (0..symbols.len())
        .map(|index| {
            symbols.get(index).is_some_and(|symbol| {
                let name = || symbols.name(&symbol).unwrap_or_default();
                symbols.location(&symbol) == SymbolLocation::Livepatch
                    || name().starts_with(abi::KLP_SYM_PREFIX)
            })
        })
        .collect()
}
