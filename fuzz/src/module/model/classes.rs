//! What each section is to a loader (docs/linux-semantics.md, sections 5, 6, 10 and 15), from the plan.

use super::super::plan::{ALLOC, Plan, Relocations, Whose};
use super::{ErrorKind, Model};
use relakit::ErrorKind::*;
use relakit::abi::{SHT_NOBITS, SHT_NULL, SHT_REL};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Ordinary or vmlinux-specific.
    Early,
    /// Of this object.
    Late(usize),
    FailsLoad(ErrorKind),
    FailsComing(usize, ErrorKind),
    /// Its name is malformed, and the early pass does not see it.
    FailsAnyComing(ErrorKind),
    Skipped,
}

/// What `sh_info` leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leads {
    Nowhere,
    /// A section that is not in memory when the early pass looks.
    OutOfMemory,
    /// An unused header with `SHF_ALLOC`, section 0 among them.
    Unused,
    Tables,
    /// Relocations in memory.
    Relocations,
    Template,
    Memory,
}

/// The sections that this version of Linux drops before it relocates (section 2).
const fn dropped(version: (u16, u16)) -> &'static [&'static str] {
    match version {
        (..6, _) | (6, ..14) => &[".modinfo", "__versions"],
        _ => &[".modinfo", "__versions", "__version_ext_crcs", "__version_ext_names"],
    }
}

impl Plan {
    /// The version of Linux that the profile stands for; `None` for the profile that is no Linux. The model knows the
    /// versions by their numbers, because it would repeat an error of the profile's table.
    pub(super) fn linux(&self) -> Option<(u16, u16)> {
        Some(self.profile.since).filter(|since| *since != (0, 0))
    }

    /// Whether the profile is Linux before `version`.
    pub(super) fn is_before(&self, version: (u16, u16)) -> bool {
        self.linux().is_some_and(|linux| linux < version)
    }

    /// Index of the first section of this name that has `SHF_ALLOC`.
    fn first(&self, name: &str) -> Option<usize> {
        self.targets.iter().position(|target| target.name == name && target.flags & ALLOC != 0)
    }

    fn leads(&self, info: u32) -> Leads {
        let Some(index) = usize::try_from(info).ok().filter(|_| info < self.section_count()) else {
            return Leads::Nowhere;
        };
        if index == 0 {
            return if self.zero_flags & ALLOC == 0 { Leads::OutOfMemory } else { Leads::Unused };
        }
        if [0, 1].contains(&info.wrapping_sub(self.symbols_section())) {
            return Leads::Tables;
        }
        let Some(target) = self.targets.get(index - 1) else {
            let number = index - 1 - self.targets.len();
            let flags = self.relocations.get(number).map_or(0, |section| section.flags);
            return match self.relocations.get(number) {
                _ if flags & ALLOC == 0 => Leads::OutOfMemory,
                Some(section) if section.kind == SHT_NULL => Leads::Unused,
                _ => Leads::Relocations,
            };
        };
        let is_first = |name: &&str| self.first(name) == Some(index - 1);
        let is_per_cpu = is_first(&".data..percpu");
        match self.linux() {
            _ if target.flags & ALLOC == 0 => Leads::OutOfMemory,
            Some(version) if dropped(version).iter().any(is_first) => Leads::OutOfMemory,
            Some(version) if is_per_cpu && version < (6, 16) => Leads::OutOfMemory,
            _ if target.kind == SHT_NULL => Leads::Unused,
            Some(_) if is_per_cpu => Leads::Template,
            _ => Leads::Memory,
        }
    }
}

impl Model<'_, '_> {
    pub(super) fn class(&self, section: &Relocations) -> Class {
        let leads = self.plan.leads(section.target);
        let is_seen = !matches!(leads, Leads::Nowhere | Leads::OutOfMemory);
        // Fewer bytes than an entry are no entry.
        let is_empty = section.entries.is_empty();
        let has_no_bytes = matches!(section.kind, SHT_NOBITS | SHT_NULL);
        let bad_name = if section.is_name_outside { KlpNameOutside } else { BadKlpSectionName };
        let has_no_target = leads == Leads::Nowhere || section.target == 0;
        let early = || match leads {
            _ if !is_seen && has_no_target && !is_empty && self.plan.linux().is_none() => {
                Class::FailsLoad(TargetOutOfRange)
            }
            _ if !is_seen => Class::Skipped,
            _ if section.kind == SHT_REL && section.whose == Whose::Ordinary => Class::FailsLoad(RelSection),
            _ if is_empty => Class::Early,
            Leads::Unused => Class::FailsLoad(TargetOutOfRange),
            Leads::Tables => Class::FailsLoad(TargetIsSymbolTable),
            Leads::Relocations => Class::FailsLoad(TargetIsRelocations),
            _ if has_no_bytes => Class::FailsLoad(NoRelocationBytes),
            _ => Class::Early,
        };
        let object = match section.whose {
            Whose::Ordinary | Whose::Object(0) => return early(),
            Whose::Malformed if is_seen => return Class::FailsLoad(bad_name),
            Whose::Malformed => return Class::FailsAnyComing(bad_name),
            Whose::Object(object) => object,
        };
        let fails = |kind| Class::FailsComing(object, kind);
        match leads {
            _ if is_empty => Class::Late(object),
            Leads::Nowhere => fails(TargetOutOfRange),
            Leads::OutOfMemory => fails(TargetNotAllocated),
            Leads::Template => fails(TargetPerCpu),
            _ if section.flags & ALLOC == 0 => fails(LateNotAllocated),
            Leads::Unused => fails(TargetOutOfRange),
            Leads::Tables => fails(TargetIsSymbolTable),
            Leads::Relocations => fails(TargetIsRelocations),
            _ if has_no_bytes => fails(NoRelocationBytes),
            Leads::Memory => Class::Late(object),
        }
    }
}
