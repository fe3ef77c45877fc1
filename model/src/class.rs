//! What a section is to a loader: Linux's conditions, one after the other (Linux semantics 5, 6, 10
//! and 15).

use crate::file::{Module, Section};
use crate::{ALLOC, LIVEPATCH, names};
use relakit::ErrorKind::{self, *};
use relakit::FailsAt;
use relakit::abi::{SHT_NULL, SHT_REL, SHT_RELA};

/// What a section is to a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class<'f> {
    /// Relocations that are applied early.
    Ordinary,
    /// Livepatch relocations that are applied early.
    Early,
    /// Livepatch relocations of this object.
    Late(&'f [u8]),
    /// No relocations.
    NotRelocation,
    /// A section of livepatches before Linux 5.8.
    LegacyArch,
    /// Relocations that are never applied.
    Skipped,
    /// The module cannot be loaded.
    FailsLoad(ErrorKind),
    /// The module loads, and no object can come.
    FailsAnyComing(ErrorKind),
    /// The module loads, and this object cannot come.
    FailsComing(&'f [u8], ErrorKind),
}

/// Compares the class that relakit returns for a section with the model's.
pub fn check_class(module: &Module<'_>, index: u32, class: relakit::Class<'_>) {
    use relakit::Class as Relakit;
    let (found, target) = match class {
        Relakit::Ordinary { target } => (Class::Ordinary, Some(target)),
        Relakit::KlpEarly { target } => (Class::Early, Some(target)),
        Relakit::KlpLate { object, target } => (Class::Late(object), Some(target)),
        Relakit::NotRelocation => (Class::NotRelocation, None),
        Relakit::LegacyArch => (Class::LegacyArch, None),
        Relakit::Skipped => (Class::Skipped, None),
        Relakit::Malformed { kind, fails: FailsAt::Load } => (Class::FailsLoad(kind), None),
        Relakit::Malformed { kind, fails: FailsAt::AnyComing } => (Class::FailsAnyComing(kind), None),
        Relakit::Malformed { kind, fails: FailsAt::Coming(object) } => {
            (Class::FailsComing(object, kind), None)
        }
        other => panic!("a class that the model does not know: {other:?}"),
    };
    let section = &module.sections[index as usize];
    assert_eq!(found, module.class(index), "section {index}, {section:?}, {:?}", module.kernel);
    assert!(target.is_none_or(|target| target == section.sh_info), "section {index}");
}

/// What a loader finds where relocations are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Missing,
    /// A section that is not in memory when the early pass looks.
    NotInMemory,
    /// An unused header with `SHF_ALLOC`, section 0 among them.
    Unused,
    /// The symbol table or its strings.
    SymbolTable,
    /// Relocations in memory.
    Relocations,
    /// The template of per-CPU data: in memory while the module is loaded, and not afterwards.
    Template,
    Memory,
}

impl<'f> Module<'f> {
    /// The sections that Linux reads while it loads the module and does not keep (section 2).
    fn dropped(&self) -> &'static [&'static [u8]] {
        match self.kernel.linux {
            None => &[],
            Some((..6, _) | (6, ..14)) => &[b".modinfo", b"__versions"],
            Some(_) => &[b".modinfo", b"__versions", b"__version_ext_crcs", b"__version_ext_names"],
        }
    }

    fn target(&self, index: u32) -> Target {
        let Some(target) = self.sections.get(index as usize) else { return Target::Missing };
        let symtab = self.sections.get(self.symtab as usize).filter(|_| self.symtab != 0);
        if symtab.is_some_and(|symtab| index == self.symtab || index == symtab.sh_link) && index != 0 {
            return Target::SymbolTable;
        }
        let is_first = |name: &&[u8]| self.allocated(name) == Some(index);
        let is_per_cpu = is_first(&&b".data..percpu"[..]);
        match self.kernel.linux {
            _ if !target.has(ALLOC) => Target::NotInMemory,
            _ if self.dropped().iter().any(is_first) => Target::NotInMemory,
            Some(version) if is_per_cpu && version < (6, 16) => Target::NotInMemory,
            _ if target.sh_type == SHT_NULL => Target::Unused,
            _ if target.is_table() => Target::Relocations,
            Some(_) if is_per_cpu => Target::Template,
            _ => Target::Memory,
        }
    }

    /// The class of a section.
    pub fn class(&self, index: u32) -> Class<'f> {
        let section = &self.sections[index as usize];
        let name = section.name.unwrap_or_default();
        let is_klp = section.has(LIVEPATCH);
        if index == 0 || !is_klp && !matches!(section.sh_type, SHT_RELA | SHT_REL) {
            let is_arch = name.starts_with(b".klp.arch.");
            return if is_arch { Class::LegacyArch } else { Class::NotRelocation };
        }
        let target = self.target(section.sh_info);
        if !is_klp {
            return self.early(section, target, Class::Ordinary);
        }
        let Some((object, _)) = names::section(name) else {
            let kind = if section.name.is_none() { KlpNameOutside } else { BadKlpSectionName };
            return match target {
                Target::Missing | Target::NotInMemory => Class::FailsAnyComing(kind),
                _ => Class::FailsLoad(kind),
            };
        };
        if object == b"vmlinux" {
            return self.early(section, target, Class::Early);
        }
        // When the object comes Linux looks at nothing. So everything must be in memory.
        let fails = |kind| Class::FailsComing(object, kind);
        match target {
            _ if is_empty(section) => Class::Late(object),
            Target::Missing => fails(TargetOutOfRange),
            Target::NotInMemory => fails(TargetNotAllocated),
            Target::Template => fails(TargetPerCpu),
            _ if !section.has(ALLOC) => fails(LateNotAllocated),
            Target::Memory if section.has_bytes() => Class::Late(object),
            _ => fails(refused(section, target).unwrap_or(NoRelocationBytes)),
        }
    }

    fn early(&self, section: &Section<'f>, target: Target, class: Class<'f>) -> Class<'f> {
        let has_no_target = target == Target::Missing || section.sh_info == 0;
        let is_gabi = self.kernel.linux.is_none();
        match target {
            // Relocations of nothing: Linux does not look at them, and the gABI has none.
            Target::Missing | Target::NotInMemory if has_no_target && !is_empty(section) && is_gabi => {
                Class::FailsLoad(TargetOutOfRange)
            }
            Target::Missing | Target::NotInMemory => Class::Skipped,
            _ if section.sh_type == SHT_REL && class == Class::Ordinary => Class::FailsLoad(RelSection),
            _ if is_empty(section) => class,
            _ => refused(section, target).map_or(class, Class::FailsLoad),
        }
    }
}

/// Fewer bytes than an entry are no entry.
fn is_empty(section: &Section<'_>) -> bool {
    section.sh_size < 24
}

/// What is wrong with relocations of a target that is in memory.
fn refused(section: &Section<'_>, target: Target) -> Option<ErrorKind> {
    match target {
        Target::Unused => Some(TargetOutOfRange),
        Target::SymbolTable => Some(TargetIsSymbolTable),
        // Linux would apply what an earlier relocation has made of the table.
        Target::Relocations => Some(TargetIsRelocations),
        _ => (!section.has_bytes()).then_some(NoRelocationBytes),
    }
}
