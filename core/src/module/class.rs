//! What each section is to a loader, and why (Linux semantics 5, 6, 10 and 15).

use super::{Module, TargetState};
use crate::abi;
use crate::elf::{Section, SectionFlags};
use crate::error::{Error, ErrorKind};
use crate::klp::RelaName;
use core::ffi::CStr;

/// What a section is to a loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class<'f> {
    /// Ordinary relocations of section `target`: applied early.
    Ordinary {
        /// Section index of what is relocated.
        target: u32,
    },
    /// vmlinux-specific livepatch relocations: applied early, in section order with the ordinary ones.
    KlpEarly {
        /// Section index of what is relocated.
        target: u32,
    },
    /// Livepatch relocations of a module: applied when it comes, cleared when it goes.
    KlpLate {
        /// The module.
        object: &'f [u8],
        /// Section index of what is relocated; of any kind when there are no relocations.
        target: u32,
    },
    /// No relocations.
    NotRelocation,
    /// A livepatch section of the design before Linux 5.8. Nobody reads it.
    LegacyArch,
    /// Relocations that are never applied.
    Skipped,
    /// Relocations that cannot be applied.
    Malformed {
        /// What is wrong; [`Module::malformed`] has the numbers.
        kind: ErrorKind,
        /// When that stops the loader.
        fails: FailsAt<'f>,
    },
}

/// When a malformed section is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailsAt<'f> {
    /// The module cannot be loaded.
    Load,
    /// The module loads, and no module that it patches can be loaded any more: Linux reads the names of all
    /// livepatch sections whenever one comes.
    AnyComing,
    /// The module loads, and this object cannot come.
    Coming(&'f [u8]),
}

/// Why a section has its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// RELA, and its target is in memory.
    Rela,
    /// RELA with a livepatch section's name, and without the flag that would make it one.
    RelaWithKlpName,
    /// Has the livepatch flag, and its name says vmlinux.
    Vmlinux,
    /// Has the livepatch flag, and its name says a module.
    Module,
    /// Neither REL nor RELA, and without the livepatch flag.
    OtherType,
    /// Named `.klp.arch.`.
    ArchName,
    /// `sh_info` names no section.
    NoTarget,
    /// The target is not `SHF_ALLOC`.
    TargetNotAllocated,
    /// The target is one of the sections that Linux reads at load time and does not keep.
    TargetDropped,
    /// The target is the per-CPU section, which this kernel does not relocate.
    TargetPerCpu,
    /// It is malformed; the error says how.
    Fault(ErrorKind),
}

impl Reason {
    /// A static sentence.
    pub fn text(self) -> &'static str {
        self.message().to_str().unwrap_or_default()
    }

    /// The same, for C.
    pub const fn message(self) -> &'static CStr {
        match self {
            Self::Rela => c"relocations of a section in memory",
            Self::RelaWithKlpName => {
                c"named .klp.rela., but SHF_RELA_LIVEPATCH is not set: applied as ordinary relocations"
            }
            Self::Vmlinux => c"livepatch relocations against vmlinux",
            Self::Module => c"livepatch relocations against a module",
            Self::OtherType => c"holds no relocations",
            Self::ArchName => c"from the livepatch design before Linux 5.8, nobody reads it",
            Self::NoTarget => c"sh_info names no section",
            Self::TargetNotAllocated => c"the target is not SHF_ALLOC",
            Self::TargetDropped => c"the target is read while loading and not kept",
            Self::TargetPerCpu => c"the target is the per-CPU section, which this kernel does not relocate",
            Self::Fault(kind) => kind.message(),
        }
    }
}

/// A class with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classified<'f> {
    /// What the section is.
    pub class: Class<'f>,
    /// Why.
    pub reason: Reason,
}

const fn classified(class: Class<'_>, reason: Reason) -> Classified<'_> {
    Classified { class, reason }
}

/// The class of section `index`. Total: every section has one.
pub(crate) fn classify<'f>(module: &Module<'f>, index: u32, section: &Section) -> Classified<'f> {
    let starts_with = |prefix| module.object().section_name_starts_with(section, prefix);
    let livepatch = section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
    // Linux starts at section 1.
    if index == 0 || !(livepatch || matches!(section.sh_type, abi::SHT_RELA | abi::SHT_REL)) {
        return match starts_with(abi::KLP_ARCH_PREFIX) {
            true => classified(Class::LegacyArch, Reason::ArchName),
            false => classified(Class::NotRelocation, Reason::OtherType),
        };
    }
    let state = module.target_state(section.sh_info);
    let judged = Judged { section, state, wants_target: module.profile().wants_targets };
    match livepatch {
        true => judged.livepatch(module.object().names().name(section.sh_name)),
        false => judged.ordinary(starts_with(abi::KLP_RELA_PREFIX)),
    }
}

struct Judged<'a> {
    section: &'a Section,
    state: TargetState,
    wants_target: bool,
}

impl Judged<'_> {
    fn ordinary(&self, has_klp_name: bool) -> Classified<'static> {
        let target = self.section.sh_info;
        match (self.unreachable(), self.early_defect()) {
            (Some(reason), _) => self.passed_over(reason),
            // Linux refuses these even when they are empty.
            (None, _) if self.section.sh_type == abi::SHT_REL => {
                malformed(ErrorKind::RelSection, FailsAt::Load)
            }
            (None, Some(kind)) => malformed(kind, FailsAt::Load),
            (None, None) if has_klp_name => classified(Class::Ordinary { target }, Reason::RelaWithKlpName),
            (None, None) => classified(Class::Ordinary { target }, Reason::Rela),
        }
    }

    /// `name` is `None` for an unused header only: other names are inside the table.
    fn livepatch<'f>(&self, name: Option<&'f [u8]>) -> Classified<'f> {
        let target = self.section.sh_info;
        let object = name.and_then(RelaName::parse).map(|name| name.object);
        let bad_name = if name.is_some() { ErrorKind::BadKlpSectionName } else { ErrorKind::KlpNameOutside };
        match (object, self.unreachable()) {
            (None, None) => malformed(bad_name, FailsAt::Load),
            (None, Some(_)) => malformed(bad_name, FailsAt::AnyComing),
            (Some(abi::VMLINUX), Some(reason)) => self.passed_over(reason),
            (Some(abi::VMLINUX), None) => match self.early_defect() {
                Some(kind) => malformed(kind, FailsAt::Load),
                None => classified(Class::KlpEarly { target }, Reason::Vmlinux),
            },
            (Some(object), unreachable) => match self.late_defect(unreachable.is_some()) {
                Some(kind) => malformed(kind, FailsAt::Coming(object)),
                None => classified(Class::KlpLate { object, target }, Reason::Module),
            },
        }
    }

    /// What the early pass does not look at: that is all right, unless there are relocations of nothing.
    fn passed_over(&self, reason: Reason) -> Classified<'static> {
        let has_target = self.state != TargetState::OutOfRange && self.section.sh_info != 0;
        match has_target || self.is_empty() || !self.wants_target {
            true => classified(Class::Skipped, reason),
            false => malformed(ErrorKind::TargetOutOfRange, FailsAt::Load),
        }
    }

    /// Why the early pass does not look at this section, if it does not.
    fn unreachable(&self) -> Option<Reason> {
        match self.state {
            TargetState::OutOfRange => Some(Reason::NoTarget),
            TargetState::NotAllocated => Some(Reason::TargetNotAllocated),
            TargetState::Dropped => Some(Reason::TargetDropped),
            TargetState::PerCpuSkipped => Some(Reason::TargetPerCpu),
            TargetState::Null
            | TargetState::SymbolTable
            | TargetState::Relocations
            | TargetState::PerCpuTemplate
            | TargetState::Allocated => None,
        }
    }

    /// What would happen to memory that must not be written, if there is anything to write.
    fn early_defect(&self) -> Option<ErrorKind> {
        match self.state {
            _ if self.is_empty() => None,
            TargetState::Null => Some(ErrorKind::TargetOutOfRange),
            TargetState::SymbolTable => Some(ErrorKind::TargetIsSymbolTable),
            TargetState::Relocations => Some(ErrorKind::TargetIsRelocations),
            _ if !self.section.has_bytes() => Some(ErrorKind::NoRelocationBytes),
            _ => None,
        }
    }

    /// The same when the object comes: Linux looks neither at `sh_info` nor at `SHF_ALLOC` then.
    fn late_defect(&self, unreachable: bool) -> Option<ErrorKind> {
        match self.state {
            _ if self.is_empty() => None,
            TargetState::OutOfRange => Some(ErrorKind::TargetOutOfRange),
            _ if unreachable => Some(ErrorKind::TargetNotAllocated),
            TargetState::PerCpuTemplate => Some(ErrorKind::TargetPerCpu),
            _ if !self.section.sh_flags.contains(SectionFlags::ALLOC) => Some(ErrorKind::LateNotAllocated),
            _ => self.early_defect(),
        }
    }

    /// Not one whole relocation.
    fn is_empty(&self) -> bool {
        self.section.sh_size < abi::RELA_SIZE as u64
    }
}

const fn malformed(kind: ErrorKind, fails: FailsAt<'_>) -> Classified<'_> {
    classified(Class::Malformed { kind, fails }, Reason::Fault(kind))
}

/// What is wrong with section `index`, which is malformed, in full.
pub(crate) fn malformed_error(module: &Module<'_>, index: u32, section: &Section, kind: ErrorKind) -> Error {
    let target = u64::from(section.sh_info);
    let (value, limit) = match kind {
        ErrorKind::TargetOutOfRange => (target, u64::from(module.object().section_count())),
        ErrorKind::TargetNotAllocated => {
            (target, module.object().section(section.sh_info).map_or(0, |target| target.sh_flags.bits()))
        }
        ErrorKind::LateNotAllocated => (section.sh_flags.bits(), 0),
        ErrorKind::NoRelocationBytes => (section.sh_size, 0),
        ErrorKind::KlpNameOutside => {
            (u64::from(section.sh_name), module.object().names().bytes().len() as u64)
        }
        ErrorKind::BadKlpSectionName => (0, 0),
        _ => (target, 0),
    };
    Error::new(kind, value, limit).in_section(index)
}
