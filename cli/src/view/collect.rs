//! Builds the view of a module in one walk over its sections and one over its symbols.

use super::names::{IN_SENTENCE, Name, flag_letters, section_type};
use super::{
    Counts, Level, ModuleView, Note, ObjectRow, PassRow, SectionClass, SectionError, SectionRow, SymbolRow,
    TypeCount, Use, special, symbols,
};
use crate::input::kernel::Kernel;
use relakit::elf::{RelaTable, Section, SectionFlags};
use relakit::klp::RelaName;
use relakit::{Class, Classified, FailsAt, Module, Profile, Reason, abi, arch, reloc};
use relakit_linux::loader_check::modinfo;
use relakit_linux::special as specials;
use std::collections::{BTreeMap, HashMap};

/// How often relocations are read on average, if tables overlap. Linkers do not make overlapping
/// tables, but without a limit a small file could cost hours.
pub(crate) const OVERLAP_MAX: u64 = 16;

impl<'f> ModuleView<'f> {
    pub(crate) fn new(path: String, module: &'f Module<'f>, kernel: &Kernel) -> Self {
        let object = module.object();
        let walk = Walk::over(module);
        let klp_symbols = symbols::rows(module, &walk);
        Self {
            file: path,
            name: modinfo(module, b"name").map(Name),
            livepatch: modinfo(module, b"livepatch").is_some(),
            vermagic: modinfo(module, b"vermagic").map(Name),
            kernel: kernel.asked.clone(),
            rules: kernel.profile.name,
            special_sections_of: special::version(kernel.version),
            counts: Counts {
                sections: u64::from(object.section_count()),
                symbols: u64::from(object.symbols().len()),
                relocations: walk.rows.iter().filter_map(|row| row.entries).sum(),
                not_read: walk.not_read,
            },
            relocations: passes(&walk),
            objects: objects(&walk, &klp_symbols),
            klp_symbols,
            special_sections: special::rows(&walk, kernel.version),
            sections: walk.rows,
            errors: [],
        }
    }
}

/// The result of the walk over sections and relocations.
pub(super) struct Walk<'f> {
    pub(super) rows: Vec<SectionRow<'f>>,
    /// Number of relocations of each type, for each section that was read.
    types: Vec<(u32, Vec<TypeCount>)>,
    /// The symbols that livepatch relocations use, and the watched symbols that others use.
    pub(super) uses: HashMap<u32, Vec<Use>>,
    /// Relocations that were not read.
    not_read: u64,
}

impl<'f> Walk<'f> {
    fn over(module: &'f Module<'f>) -> Self {
        let object = module.object();
        let watched = symbols::watched(module);
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
                applied: reloc::howto(r_type, profile.reloc_flags()).is_some(),
            })
            .collect();
        types.sort_by_key(|count| count.r_type);
        self.types.push((row.index, types));
    }

    pub(super) fn row(&self, index: u32) -> Option<&SectionRow<'f>> {
        self.rows.get(usize::try_from(index).ok()?)
    }
}

fn count(number: &mut u64) {
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

/// The relocations by class and object. Objects keep the order of the file.
fn passes<'f>(walk: &Walk<'f>) -> Vec<PassRow<'f>> {
    let mut numbers = HashMap::new();
    let mut passes = BTreeMap::new();
    for (index, types) in &walk.types {
        let Some(row) = walk.row(*index) else { continue };
        let object = row.object.filter(|_| row.is_livepatch());
        let next = numbers.len();
        let number = *numbers.entry(object).or_insert(next);
        let (_, counts) = passes.entry((row.class, number)).or_insert_with(|| (object, BTreeMap::new()));
        for found in types {
            let zero = || TypeCount { relocations: 0, ..found.clone() };
            let count = counts.entry(found.r_type).or_insert_with(zero);
            count.relocations = count.relocations.saturating_add(found.relocations);
        }
    }
    let row = |((class, _), (object, counts)): (_, (_, BTreeMap<u32, TypeCount>))| {
        let types: Vec<_> = counts.into_values().collect();
        PassRow { class, object, relocations: types.iter().map(|count| count.relocations).sum(), types }
    };
    passes.into_iter().map(row).filter(|pass| pass.relocations != 0).collect()
}

/// vmlinux, then the objects in section names, then those that are only in symbol names.
fn objects<'f>(walk: &Walk<'f>, symbols: &[SymbolRow<'f>]) -> Vec<ObjectRow<'f>> {
    let new =
        |name| ObjectRow { name, sections: Vec::new(), not_applied: Vec::new(), relocations: 0, symbols: 0 };
    let vmlinux = Name(abi::VMLINUX);
    let mut numbers = HashMap::from([(vmlinux, 0)]);
    let mut objects = vec![new(vmlinux)];
    let mut number = |objects: &mut Vec<ObjectRow<'f>>, name| {
        *numbers.entry(name).or_insert_with(|| {
            objects.push(new(name));
            objects.len().saturating_sub(1)
        })
    };
    for row in &walk.rows {
        let Some(name) = row.object else { continue };
        let number = number(&mut objects, name);
        let Some(object) = objects.get_mut(number) else { continue };
        if row.is_livepatch() {
            object.sections.push(row.index);
            object.relocations = object.relocations.saturating_add(row.entries.unwrap_or(0));
        } else {
            object.not_applied.push(row.index);
        }
    }
    for symbol in symbols.iter().filter(|symbol| symbol.livepatch) {
        let Some(name) = symbol.object else { continue };
        let number = number(&mut objects, name);
        if let Some(object) = objects.get_mut(number) {
            count(&mut object.symbols);
        }
    }
    objects.retain(|object| {
        object.symbols != 0 || !object.sections.is_empty() || !object.not_applied.is_empty()
    });
    objects
}
