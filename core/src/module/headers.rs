//! Section headers, and the rules by which they decide the class of a section.

use super::class::{Class, Classified, FailsAt, Reason};
use crate::abi;
use crate::elf::{Section, SectionFlags, Strings};
use crate::error::{Error, ErrorKind};
#[cfg(feature = "klp")]
use crate::klp::RelaName;
use crate::profile::MAX_DROPPED;
use crate::read::index;
use crate::report::{Failed, Report};

/// Section headers, and what the class of a section depends on besides them. They are those of a
/// file, or those that a loader like Linux's has in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers<'f> {
    pub(crate) sections: &'f [[u8; abi::SHDR_SIZE]],
    pub(crate) names: Strings<'f>,
    /// Section indices of the symbol table and of its string table, or 0.
    pub(crate) symbol_tables: [u32; 2],
    /// Section indices of the sections that Linux drops after it has read them; 0 for none.
    pub(crate) dropped: [u32; MAX_DROPPED],
    /// Section index of the per-CPU section, or 0.
    pub(crate) per_cpu: u32,
    /// Whether relocations of the per-CPU section are skipped.
    pub(crate) skips_per_cpu: bool,
    /// Whether relocations of no section are an error.
    pub(crate) wants_targets: bool,
    /// Whether the loader knows livepatch sections. Without it `SHF_RELA_LIVEPATCH` is ignored.
    pub(crate) livepatch: bool,
}

impl<'f> Headers<'f> {
    /// No section.
    pub(crate) const EMPTY: Self = Self {
        sections: &[],
        names: Strings::new(&[]),
        symbol_tables: [0; 2],
        dropped: [0; MAX_DROPPED],
        per_cpu: 0,
        skips_per_cpu: false,
        wants_targets: false,
        livepatch: true,
    };

    /// Returns the header of section `index`.
    pub(crate) fn section(&self, index: u32) -> Option<Section> {
        Section::read(self.sections.get(usize::try_from(index).ok()?)?)
    }

    /// Returns the number of sections, section 0 included.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.sections.len()).unwrap_or(u32::MAX)
    }

    /// Returns the class of section `index`. Every section has one.
    #[inline(never)]
    pub(crate) fn class(&self, index: u32) -> Option<Classified<'f>> {
        let section = self.section(index)?;
        let starts_with = |prefix| self.names.starts_with(section.sh_name, prefix);
        Some(match self.relocations(index, &section) {
            Some(Classified { class: class @ Class::Ordinary { .. }, .. })
                if starts_with(abi::KLP_RELA_PREFIX) =>
            {
                classified(class, Reason::RelaWithKlpName)
            }
            Some(classified) => classified,
            None if starts_with(abi::KLP_ARCH_PREFIX) => classified(Class::LegacyArch, Reason::ArchName),
            None => classified(Class::NotRelocation, Reason::OtherType),
        })
    }

    /// Returns the class of a section that Linux may read as relocations, `None` for the others.
    pub(crate) fn relocations(&self, index: u32, section: &Section) -> Option<Classified<'f>> {
        // Linux starts at section 1.
        if index == 0 || !self.is_relocations(section) {
            return None;
        }
        Some(self.classify(section))
    }

    /// Returns the target of section `index` if it has early relocations and is not malformed. `index` is
    /// not 0.
    #[inline]
    pub(crate) fn early_target(&self, index: u32, section: &Section) -> Option<u32> {
        if !self.is_relocations(section) {
            return None;
        }
        match self.usual_target(section) {
            None => self.rare_target(index),
            target => target,
        }
    }

    /// The same by all rules. It reads the section once more, so that its caller reads only a part of it.
    #[cold]
    #[inline(never)]
    fn rare_target(&self, index: u32) -> Option<u32> {
        let section = self.section(index)?;
        if self.is_for_vmlinux(&section) == Some(false) {
            return None;
        }
        match self.classify(&section).class {
            Class::Ordinary { target } | Class::KlpEarly { target } => Some(target),
            _ => None,
        }
    }

    /// Returns whether a livepatch section is for vmlinux, or else for a module. `None` if only
    /// [`classify`](Self::classify) can say it, and for other sections. This look at the first bytes of
    /// the name takes a tenth of the time.
    ///
    /// A section for vmlinux concerns the early pass only, one for a module only late passes.
    #[inline]
    pub(crate) fn is_for_vmlinux(&self, section: &Section) -> Option<bool> {
        let names = self.names.bytes();
        if !self.is_livepatch(section) || names.last() != Some(&0) {
            return None;
        }
        let name = names.get(index(u64::from(section.sh_name))?..)?;
        let object = name.strip_prefix(abi::KLP_RELA_PREFIX)?;
        match object.strip_prefix(abi::VMLINUX) {
            Some([0 | b'.', ..]) => Some(true),
            _ => (!matches!(object, [0 | b'.', ..])).then_some(false),
        }
    }

    /// Returns the target of early relocations if no rule of [`classify`](Self::classify) makes an
    /// exception for them or their target. This is so for nearly all sections, and takes a tenth of the
    /// time.
    #[inline]
    pub(crate) fn usual_target(&self, section: &Section) -> Option<u32> {
        let index = section.sh_info;
        let target = self.section(index)?;
        let has_rule = index == 0
            || index == self.per_cpu
            || self.symbol_tables.contains(&index)
            || self.dropped.contains(&index)
            || matches!(target.sh_type, abi::SHT_NULL | abi::SHT_RELA | abi::SHT_REL)
            || self.is_livepatch(&target);
        let is_usual = section.sh_type == abi::SHT_RELA
            && target.sh_flags.contains(SectionFlags::ALLOC)
            && !has_rule
            && (!self.is_livepatch(section) || self.is_for_vmlinux(section) == Some(true));
        is_usual.then_some(index)
    }

    #[inline(never)]
    fn classify(&self, section: &Section) -> Classified<'f> {
        let relocations = Relocations { section, target: self.target(section.sh_info) };
        let has_target = relocations.target.skip != Some(Reason::NoTarget) && section.sh_info != 0;
        let found = match self.is_livepatch(section) {
            #[cfg(feature = "klp")]
            true => relocations.livepatch(self.names.beginning(section.sh_name, KLP_RELA_NAME_MAX)),
            _ => relocations.ordinary(),
        };
        match found.class {
            Class::Skipped if self.wants_targets && !has_target && !relocations.is_empty() => {
                malformed(ErrorKind::TargetOutOfRange, FailsAt::Load)
            }
            _ => found,
        }
    }

    /// Stores the error that makes section `index` malformed: `kind` with its numbers.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&self, index: u32, section: &Section, kind: ErrorKind, report: &mut Report) -> Failed {
        report.known(&self.error(index, section, kind))
    }

    /// Returns the error that makes section `index` malformed: `kind` with its numbers.
    pub(crate) fn error(&self, index: u32, section: &Section, kind: ErrorKind) -> Error {
        let target = u64::from(section.sh_info);
        let (value, limit) = match kind {
            ErrorKind::TargetOutOfRange => (target, u64::from(self.count())),
            ErrorKind::TargetNotAllocated => {
                (target, self.section(section.sh_info).map_or(0, |target| target.sh_flags.bits()))
            }
            ErrorKind::LateNotAllocated => (section.sh_flags.bits(), 0),
            ErrorKind::NoRelocationBytes => (section.sh_size, 0),
            ErrorKind::KlpNameOutside => (u64::from(section.sh_name), self.names.bytes().len() as u64),
            ErrorKind::BadKlpSectionName => (0, 0),
            _ => (target, 0),
        };
        Error::new(kind, value, limit).in_section(index)
    }

    /// Returns section `index` as a target.
    #[inline(never)]
    pub(crate) fn target(&self, index: u32) -> RelocationTarget {
        let section = self.section(index);
        let is_symbol_table = index != 0 && self.symbol_tables.contains(&index);
        let skip = match section {
            None => Some(Reason::NoTarget),
            Some(_) if is_symbol_table => None,
            Some(target) if !target.sh_flags.contains(SectionFlags::ALLOC) => {
                Some(Reason::TargetNotAllocated)
            }
            Some(_) if index == 0 => None,
            Some(_) if self.dropped.contains(&index) => Some(Reason::TargetDropped),
            Some(_) if index == self.per_cpu && self.skips_per_cpu => Some(Reason::TargetPerCpu),
            Some(_) => None,
        };
        let error = match section {
            None => Some(ErrorKind::TargetOutOfRange),
            Some(_) if is_symbol_table => Some(ErrorKind::TargetIsSymbolTable),
            // Linux relocates an unused header with SHF_ALLOC, section 0 among them.
            Some(target) if index == 0 || target.sh_type == abi::SHT_NULL => {
                Some(ErrorKind::TargetOutOfRange)
            }
            // Linux would apply the relocations that the pass has changed.
            Some(target) if self.is_relocations(&target) => Some(ErrorKind::TargetIsRelocations),
            Some(_) => None,
        };
        RelocationTarget { skip, error, is_per_cpu: index == self.per_cpu && error.is_none() }
    }

    /// Whether section `index` is in memory while the module runs.
    pub(crate) fn is_allocated(&self, index: u32) -> bool {
        let RelocationTarget { skip, is_per_cpu, .. } = self.target(index);
        let has_alloc =
            self.section(index).is_some_and(|section| section.sh_flags.contains(SectionFlags::ALLOC));
        index != 0 && has_alloc && skip.is_none() && !is_per_cpu
    }

    /// Whether the loader may read `section` as relocations. Linux looks at the livepatch flag before
    /// the type.
    pub(crate) fn is_relocations(&self, section: &Section) -> bool {
        matches!(section.sh_type, abi::SHT_RELA | abi::SHT_REL) || self.is_livepatch(section)
    }

    pub(crate) fn is_livepatch(&self, section: &Section) -> bool {
        cfg!(feature = "klp") && self.livepatch && section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH)
    }
}

/// A section as the target of relocations.
pub(crate) struct RelocationTarget {
    /// Why the early pass skips its relocations.
    skip: Option<Reason>,
    /// Why no pass may write to it.
    pub(crate) error: Option<ErrorKind>,
    /// Whether it is the per-CPU section, which is freed after it was copied to the CPUs.
    is_per_cpu: bool,
}

/// A section that Linux may read as relocations, and its target.
struct Relocations<'a> {
    section: &'a Section,
    target: RelocationTarget,
}

impl Relocations<'_> {
    fn ordinary(&self) -> Classified<'static> {
        match (self.target.skip, self.early_error()) {
            (Some(reason), _) => classified(Class::Skipped, reason),
            // Linux refuses these even if they are empty.
            (None, _) if self.section.sh_type == abi::SHT_REL => {
                malformed(ErrorKind::RelSection, FailsAt::Load)
            }
            (None, Some(kind)) => malformed(kind, FailsAt::Load),
            (None, None) => classified(Class::Ordinary { target: self.section.sh_info }, Reason::Rela),
        }
    }

    /// `name` is the beginning of the section's name. `None` if the name is outside the name table;
    /// in a file that was parsed, only the name of an unused header can be.
    #[cfg(feature = "klp")]
    fn livepatch<'f>(&self, name: Option<&'f [u8]>) -> Classified<'f> {
        let target = self.section.sh_info;
        let object = name.and_then(RelaName::parse).map(|name| name.object);
        let bad_name = if name.is_some() { ErrorKind::BadKlpSectionName } else { ErrorKind::KlpNameOutside };
        match (object, self.target.skip) {
            (None, None) => malformed(bad_name, FailsAt::Load),
            (None, Some(_)) => malformed(bad_name, FailsAt::AnyComing),
            (Some(abi::VMLINUX), Some(reason)) => classified(Class::Skipped, reason),
            (Some(abi::VMLINUX), None) => match self.early_error() {
                Some(kind) => malformed(kind, FailsAt::Load),
                None => classified(Class::KlpEarly { target }, Reason::Vmlinux),
            },
            (Some(object), _) => match self.late_error() {
                Some(kind) => malformed(kind, FailsAt::Coming(object)),
                None => classified(Class::KlpLate { object, target }, Reason::Module),
            },
        }
    }

    /// Why the early pass must not apply the relocations, if there are any.
    fn early_error(&self) -> Option<ErrorKind> {
        let no_bytes = (!self.section.has_bytes()).then_some(ErrorKind::NoRelocationBytes);
        self.target.error.or(no_bytes).filter(|_| !self.is_empty())
    }

    /// Why a late pass must not apply them. Linux checks neither `sh_info` nor `SHF_ALLOC` then.
    #[cfg(feature = "klp")]
    fn late_error(&self) -> Option<ErrorKind> {
        match self.target.skip {
            _ if self.is_empty() => None,
            Some(Reason::NoTarget) => Some(ErrorKind::TargetOutOfRange),
            Some(_) => Some(ErrorKind::TargetNotAllocated),
            None if self.target.is_per_cpu => Some(ErrorKind::TargetPerCpu),
            None if !self.section.sh_flags.contains(SectionFlags::ALLOC) => Some(ErrorKind::LateNotAllocated),
            None => self.early_error(),
        }
    }

    /// Whether the section has not one whole entry.
    const fn is_empty(&self) -> bool {
        self.section.sh_size < abi::RELA_SIZE as u64
    }
}

const fn classified(class: Class<'_>, reason: Reason) -> Classified<'_> {
    Classified { class, reason }
}

const fn malformed(kind: ErrorKind, fails: FailsAt<'_>) -> Classified<'_> {
    classified(Class::Malformed { kind, fails }, Reason::Malformed(kind))
}

/// Whether Linux may read the section as relocations: it checks the livepatch flag before the type.
pub(crate) const fn is_relocations(section: &Section) -> bool {
    matches!(section.sh_type, abi::SHT_RELA | abi::SHT_REL)
        || section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH)
}

/// Most bytes of a section name that decide its object.
#[cfg(feature = "klp")]
const KLP_RELA_NAME_MAX: usize = abi::KLP_RELA_PREFIX.len() + abi::OBJECT_NAME_MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use proptest::prelude::*;

    const FILE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/demo/livepatch.ko"));

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        #[cfg(feature = "klp")]
        fn the_first_bytes_of_a_name_say_what_the_whole_name_says(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![".klp.rela.", "vmlinux", "vmlinu", "x", ".", "\0", "..text"]),
                0..6,
            ),
            starts in any::<bool>(),
            ends in any::<bool>(),
            sh_name in prop_oneof![4 => Just(0u32), 1 => 0u32..40],
            sh_type in prop_oneof![4 => Just(abi::SHT_RELA), 1 => 0u32..10],
            sh_info in 0u32..4,
            is_allocated in any::<bool>(),
        ) {
            let mut names = parts.concat().into_bytes();
            names.splice(0..0, if starts { b".klp.rela.".to_vec() } else { Vec::new() });
            names.extend(ends.then_some(0));
            let mut sections = [[0; abi::SHDR_SIZE]; 3];
            sections[1].as_chunks_mut().0[1] = 1u32.to_le_bytes();
            sections[1].as_chunks_mut().0[2] = (u32::from(is_allocated) << 1).to_le_bytes();
            let klp = [sh_name, sh_type, 0x0010_0002, 0, 0, 0, 0, 0, 24, 0, 0, sh_info];
            for (word, value) in sections[2].as_chunks_mut().0.iter_mut().zip(klp) {
                *word = value.to_le_bytes();
            }
            let headers = Headers { sections: &sections, names: Strings::new(&names), ..Headers::EMPTY };
            let section = headers.section(2).unwrap();
            let class = headers.relocations(2, &section).unwrap().class;
            if let Some(is_for_vmlinux) = headers.is_for_vmlinux(&section) {
                let object = headers.names.name(sh_name).and_then(RelaName::parse).map(|name| name.object);
                prop_assert_eq!(Some(is_for_vmlinux), object.map(|object| object == abi::VMLINUX));
                prop_assert!(is_for_vmlinux || !class.concerns(abi::VMLINUX));
                prop_assert!(!is_for_vmlinux || !class.concerns(b"x"));
            }
            if let Some(target) = headers.usual_target(&section) {
                prop_assert_eq!(class, Class::KlpEarly { target });
            }
        }

        #[test]
        fn the_target_of_usual_relocations_is_the_one_that_all_rules_find(
            changes in proptest::collection::vec(
                (0usize..30, prop_oneof![Just(0usize), Just(1), Just(2), Just(11)], prop_oneof![0u32..360, Just(0x0010_0002), any::<u32>()]),
                0..4,
            ),
            profile in proptest::sample::select(Profile::LINUX),
            per_cpu in 0u32..31,
        ) {
            let mut file = FILE.to_vec();
            for (section, word, value) in changes {
                let header = &mut file[0xfd0..].as_chunks_mut::<{ abi::SHDR_SIZE }>().0[section];
                header.as_chunks_mut().0[word] = value.to_le_bytes();
            }
            let sections = file[0xfd0..].as_chunks().0;
            let headers = Headers {
                sections,
                // The section names are at 0xe78 and have 0x157 bytes.
                names: Strings::new(&file[0xe78..][..0x157]),
                symbol_tables: [23, 24],
                dropped: [20, 0, 0, 0],
                per_cpu,
                skips_per_cpu: profile.per_cpu == crate::PerCpu::Skipped,
                livepatch: profile.livepatch,
                ..Headers::EMPTY
            };
            for index in 1..headers.count() {
                let section = headers.section(index).unwrap();
                let class = headers.relocations(index, &section).map(|found| found.class);
                if let Some(target) = headers.usual_target(&section) {
                    let expected = match headers.is_livepatch(&section) {
                        true => Class::KlpEarly { target },
                        false => Class::Ordinary { target },
                    };
                    prop_assert_eq!(class, Some(expected));
                }
                match headers.is_for_vmlinux(&section) {
                    Some(true) => prop_assert!(class.is_some_and(|class| !class.concerns(b"demo_disk"))),
                    Some(false) => prop_assert!(class.is_some_and(|class| !class.concerns(abi::VMLINUX))),
                    None => {}
                }
                let early = match class {
                    Some(Class::Ordinary { target } | Class::KlpEarly { target }) => Some(target),
                    _ => None,
                };
                prop_assert_eq!(headers.early_target(index, &section), early);
            }
        }
    }
}
