//! What a conversion needs, and what it returns.

use crate::map::Map;
use crate::symbols::Symbols;
use object::elf::SymbolSection;
use relakit::{Profile, abi};

/// `sh_flags` bit of a livepatch section.
pub(crate) const SHF_RELA_LIVEPATCH: u64 = relakit::elf::SectionFlags::RELA_LIVEPATCH.bits();
pub(crate) const SHN_LIVEPATCH: SymbolSection = SymbolSection(abi::SHN_LIVEPATCH);

/// What [`convert`](crate::convert) knows besides the file.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The rules of the kernel for which the livepatch is built.
    pub profile: Profile,
    /// The version of this kernel: major, minor.
    pub version: (u16, u16),
    /// The symbols of the kernel and its modules. Positions are looked up and verified in them.
    pub symbols: &'a dyn Symbols,
    /// What plain undefined names mean.
    pub map: &'a Map,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("version", &self.version)
            .field("map", self.map)
            .finish_non_exhaustive()
    }
}

/// A converted livepatch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted {
    /// The file.
    pub bytes: Vec<u8>,
    /// The livepatch sections that got relocations.
    pub sections: Vec<KlpSection>,
    /// The livepatch symbols, each once.
    pub symbols: Vec<KlpSymbol>,
    /// The modules that were removed from `depends=` in .modinfo.
    pub removed_depends: Vec<Vec<u8>>,
}

/// A livepatch section, and how many relocations it got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KlpSection {
    /// `.klp.rela.<patched object>.<section>`.
    pub name: Vec<u8>,
    /// The object whose load the relocations wait for. Those of `vmlinux` do not wait.
    pub patched: Vec<u8>,
    /// The name of the section that is relocated.
    pub target: Vec<u8>,
    /// The number of added relocations.
    pub relocations: u64,
}

/// A livepatch symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KlpSymbol {
    /// The object that has the symbol.
    pub object: Vec<u8>,
    /// The name in this object.
    pub name: Vec<u8>,
    /// 0 if the name is unique in the object, or N for the N-th symbol of the name.
    pub sympos: u64,
    /// Whether the symbol was found. If not, the symbols of the object are not known.
    pub verified: bool,
}
