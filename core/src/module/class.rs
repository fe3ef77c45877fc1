//! The class of a section: when its relocations are applied, or why they are not (Linux semantics 5, 6,
//! 10 and 15).

use crate::abi;
use crate::error::ErrorKind;
use crate::text::{Texts, texts};
use core::ffi::CStr;

/// Says when the relocations of a section are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class<'f> {
    /// Ordinary relocations. They are applied early.
    Ordinary {
        /// Section index of the target.
        target: u32,
    },
    /// Livepatch relocations for vmlinux. They are applied early, in section order with the
    /// ordinary ones.
    KlpEarly {
        /// Section index of the target.
        target: u32,
    },
    /// Livepatch relocations for a module. They are applied when it is loaded, and cleared when it
    /// is unloaded.
    KlpLate {
        /// Name of the module.
        object: &'f [u8],
        /// Section index of the target. If there are no relocations, it may be invalid.
        target: u32,
    },
    /// No relocations.
    NotRelocation,
    /// A livepatch section of the old design (Linux semantics 12). No profile reads it.
    LegacyArch,
    /// Relocations that are never applied.
    Skipped,
    /// Relocations that cannot be applied.
    Malformed {
        /// The error. [`Module::malformed`](crate::Module::malformed) returns its numbers.
        kind: ErrorKind,
        /// When Linux notices it.
        fails: FailsAt<'f>,
    },
}

impl<'f> Class<'f> {
    /// Returns the section index of the target, if the relocations are applied early or late.
    pub const fn target(self) -> Option<u32> {
        match self {
            Self::Ordinary { target } | Self::KlpEarly { target } | Self::KlpLate { target, .. } => {
                Some(target)
            }
            _ => None,
        }
    }

    /// Returns the module to which late relocations belong, whether they are malformed or not.
    pub const fn object(self) -> Option<&'f [u8]> {
        match self {
            Self::KlpLate { object, .. } | Self::Malformed { fails: FailsAt::Coming(object), .. } => {
                Some(object)
            }
            _ => None,
        }
    }

    /// Returns whether the pass for `object` applies the section, or fails because of it. The pass
    /// for "vmlinux" is the early pass.
    pub fn concerns(self, object: &[u8]) -> bool {
        let is_early = object == abi::VMLINUX;
        match self {
            // Linux reads the names of all livepatch sections to find those of an object.
            Self::Malformed {
                kind: ErrorKind::BadKlpSectionName | ErrorKind::KlpNameOutside,
                fails: FailsAt::Load,
            } => true,
            Self::Ordinary { .. } | Self::KlpEarly { .. } | Self::Malformed { fails: FailsAt::Load, .. } => {
                is_early
            }
            Self::Malformed { fails: FailsAt::AnyComing, .. } => !is_early,
            _ => self.object() == Some(object),
        }
    }
}

/// Says when a malformed section is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailsAt<'f> {
    /// The module cannot be loaded.
    Load,
    /// The module loads, but no module that it patches can be loaded any more, because Linux reads
    /// the names of all livepatch sections whenever a module is loaded.
    AnyComing,
    /// The module loads, but this target module cannot be loaded.
    Coming(&'f [u8]),
}

/// The reason for the class of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The section is RELA, and its target is in memory.
    Rela,
    /// The section is RELA and has the name of a livepatch section, but not its flag.
    RelaWithKlpName,
    /// The section has the livepatch flag, and its name says vmlinux.
    Vmlinux,
    /// The section has the livepatch flag, and its name says a module.
    Module,
    /// The section is neither REL nor RELA, and has no livepatch flag.
    OtherType,
    /// The name begins with `.klp.arch.`.
    ArchName,
    /// `sh_info` is the index of no section.
    NoTarget,
    /// The target is not `SHF_ALLOC`.
    TargetNotAllocated,
    /// The target is a section that Linux reads during load and then drops.
    TargetDropped,
    /// The target is the per-CPU section, which the profile does not relocate.
    TargetPerCpu,
    /// The section is malformed, see the error.
    Malformed(ErrorKind),
}

impl Reason {
    /// Returns an English text.
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed(kind) => kind.text(),
            _ => Self::texts().get(self.row()),
        }
    }

    /// Returns the same text for C.
    pub fn message(self) -> &'static CStr {
        match self {
            Self::Malformed(kind) => kind.message(),
            _ => Self::texts().c_str(self.row()),
        }
    }
}

/// The text of each reason without an error.
macro_rules! reasons {
    ($($name:ident = $text:literal;)*) => {
        impl Reason {
            const fn row(self) -> usize {
                enum Row { $($name),* }
                match self {
                    $(Self::$name => Row::$name as usize,)*
                    Self::Malformed(_) => usize::MAX,
                }
            }

            const fn texts() -> Texts {
                texts!($($text),*)
            }
        }
    };
}

reasons! {
    Rela = "relocations for a section in memory";
    RelaWithKlpName =
        "named like a livepatch section, but without SHF_RELA_LIVEPATCH: applied as ordinary relocations";
    Vmlinux = "livepatch relocations for vmlinux";
    Module = "livepatch relocations for a module";
    OtherType = "contains no relocations";
    ArchName = "livepatch section of an older design, which no profile reads";
    NoTarget = "sh_info is not a section index";
    TargetNotAllocated = "the target is not SHF_ALLOC";
    TargetDropped = "the target is read during load and not retained";
    TargetPerCpu = "the target is the per-CPU section, which the profile does not relocate";
}

/// A class with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Classified<'f> {
    /// The class.
    pub class: Class<'f>,
    /// The reason for it.
    pub reason: Reason,
}
