//! What Linux does with a module, written a second time: slow and plain. Tests and fuzz targets
//! compare relakit with it.
//!
//! The model decides by itself. It uses types of relakit, so that results can be compared, and
//! calls no function of relakit.

pub mod class;
pub mod file;
pub mod guest;
pub mod image;
pub mod life;
pub mod names;
pub mod table;
pub mod world;

use relakit::reloc::RelocFlags;
use relakit::{Error, ErrorKind, Profile};

/// `SHF_ALLOC`.
pub const ALLOC: u64 = 2;
/// `SHF_RELA_LIVEPATCH`.
pub const LIVEPATCH: u64 = 0x10_0000;

/// Whose rules apply. The model knows the versions of Linux by their numbers, because it would
/// repeat an error in the table of profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The version of Linux; `None` for a loader that is not Linux and follows the gABI.
    pub linux: Option<(u16, u16)>,
    /// Whether PC32 and PLT32 are truncated.
    pub truncates_pc32: bool,
}

impl From<&Profile> for Kernel {
    fn from(profile: &Profile) -> Self {
        let linux = Some(profile.since).filter(|since| *since != (0, 0));
        Self { linux, truncates_pc32: profile.flags.contains(RelocFlags::TRUNCATE_PC32) }
    }
}

impl Kernel {
    /// Whether this is Linux before `version`.
    pub fn is_before(self, version: (u16, u16)) -> bool {
        self.linux.is_some_and(|linux| linux < version)
    }
}

/// The part of an error that the model predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorKey {
    /// What is wrong.
    pub kind: ErrorKind,
    /// In which section.
    pub section: Option<u32>,
    /// At which relocation of it.
    pub entry: Option<u64>,
    /// With which symbol.
    pub symbol: Option<u32>,
}

impl From<Error> for ErrorKey {
    fn from(error: Error) -> Self {
        Self { kind: error.kind, section: error.section, entry: error.entry, symbol: error.symbol }
    }
}

impl ErrorKey {
    const fn of(kind: ErrorKind) -> Self {
        Self { kind, section: None, entry: None, symbol: None }
    }

    const fn about(kind: ErrorKind, section: u32) -> Self {
        Self { section: Some(section), ..Self::of(kind) }
    }
}
