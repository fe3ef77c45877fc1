//! The view of a module that `inspect`, `check`, JSON and HTML share.
//!
//! `inspect --format json` prints these structures: a field's name is its key, and `None` is null.
//! Keys are only ever added. Names are escaped as in Rust (`\xe9`) unless they are printable ASCII.
//! They are complete, except in the texts of notes and errors. Sizes are in bytes. Only
//! `resolved` has addresses.
//!
//! For a file that is not a module, the JSON has only `file`, and `errors` with the error.

pub(crate) mod collect;
pub(crate) mod error;
pub(crate) mod got;
pub(crate) mod location;
pub(crate) mod names;
pub(crate) mod patch;
pub(crate) mod resolve;
mod special;
mod symbols;
pub(crate) mod walk;

use names::Name;
use patch::Patch;
use relakit::{Error, Module, Reason};
use resolve::ResolvedRow;
use serde::{Serialize, Serializer};

#[derive(Debug, Serialize)]
pub(crate) struct ModuleView<'f> {
    /// The path, as given.
    pub(crate) file: String,
    /// The module's name in .modinfo.
    pub(crate) name: Option<Name<'f>>,
    /// Whether .modinfo has the key "livepatch". Linux ignores its value.
    pub(crate) livepatch: bool,
    pub(crate) vermagic: Option<Name<'f>>,
    /// The Linux version that the user asked for, or "elf".
    pub(crate) kernel: String,
    /// The oldest Linux version with the same rules, or "elf".
    pub(crate) rules: &'static str,
    /// The Linux version of `special_sections`. Null for "elf", which knows no special sections.
    pub(crate) special_sections_of: Option<String>,
    pub(crate) counts: Counts,
    /// All sections in the order of the file, section 0 included.
    pub(crate) sections: Vec<SectionRow<'f>>,
    /// Which functions of which objects the livepatch replaces. Null if the module is no livepatch,
    /// or if its init function makes the tree itself, and for "elf".
    pub(crate) patch: Option<Patch<'f>>,
    /// Whether the init function makes the tree itself, so that the file does not show it.
    pub(crate) patch_made_at_run_time: bool,
    /// The relocations by class, object and type.
    pub(crate) relocations: Vec<PassRow<'f>>,
    /// The patched objects, vmlinux first.
    pub(crate) objects: Vec<ObjectRow<'f>>,
    /// The symbols that Linux's livepatch code resolves, or tries to resolve.
    pub(crate) klp_symbols: Vec<SymbolRow<'f>>,
    /// The symbols of the kernel that the livepatch means. Null without `--symbols`.
    pub(crate) resolved: Option<Vec<ResolvedRow>>,
    /// How many more names are not listed in `resolved`.
    pub(crate) more_resolved: u64,
    /// The sections that Linux knows by name.
    pub(crate) special_sections: Vec<SpecialRow<'f>>,
    /// The global offset table. Null if the module needs none, and for Linux, which makes none.
    pub(crate) got: Option<got::Got<'f>>,
    /// Always empty here.
    #[serde(rename = "errors")]
    pub(crate) errors: [serde_json::Value; 0],
}

#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    /// Section headers, section 0 included.
    pub(crate) sections: u64,
    /// Symbols, symbol 0 included.
    pub(crate) symbols: u64,
    /// Entries of all relocation sections.
    pub(crate) relocations: u64,
    /// Entries that were not read, because too many tables overlap. If this is not 0, all other
    /// numbers of relocations are too low.
    pub(crate) not_read: u64,
}

/// The class of a section.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SectionClass {
    /// Ordinary relocations, applied early.
    Ordinary,
    /// Livepatch relocations of vmlinux, applied early.
    KlpEarly,
    /// Livepatch relocations of a module, applied when this module is loaded.
    KlpLate,
    /// Relocations that are never applied.
    #[serde(rename = "skipped")]
    Skipped,
    /// Relocations that cannot be applied.
    Malformed,
    /// A section of an older livepatch format. Linux ignores it.
    LegacyArch,
    NotRelocation,
    /// A class that this program does not know.
    Other,
}

#[derive(Debug, Serialize)]
pub(crate) struct SectionRow<'f> {
    pub(crate) index: u32,
    pub(crate) name: Name<'f>,
    #[serde(rename = "type")]
    pub(crate) sh_type: u32,
    /// As readelf prints it, or a hexadecimal number.
    pub(crate) type_name: String,
    pub(crate) flags: u64,
    /// As readelf prints them. "o" is only `SHF_RELA_LIVEPATCH`; "x" is any flag without a letter.
    pub(crate) flag_letters: String,
    pub(crate) size: u64,
    pub(crate) class: SectionClass,
    /// The object in the name of a section with the livepatch flag.
    pub(crate) object: Option<Name<'f>>,
    /// `sh_info` of a relocation section. A section with this index may not exist.
    pub(crate) target: Option<u32>,
    pub(crate) target_name: Option<Name<'f>>,
    /// Number of relocations.
    pub(crate) entries: Option<u64>,
    /// Why the section has its class, as a sentence.
    #[serde(serialize_with = "sentence")]
    pub(crate) reason: Reason,
    /// When a malformed section causes an error. "load": the module cannot be loaded. "any-coming":
    /// no target module can be loaded. "coming": `object` cannot be loaded.
    pub(crate) fails: Option<&'static str>,
    /// The error of a malformed section.
    #[serde(rename = "error")]
    pub(crate) error: Option<SectionError<'f>>,
    pub(crate) notes: Vec<Note>,
    /// Whether the section is in `special_sections`.
    pub(crate) special: bool,
}

fn sentence<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.text())
}

/// The relocations of one class. Livepatch relocations have one row for each object.
#[derive(Debug, Serialize)]
pub(crate) struct PassRow<'f> {
    pub(crate) class: SectionClass,
    pub(crate) object: Option<Name<'f>>,
    pub(crate) relocations: u64,
    /// In the order of type numbers.
    pub(crate) types: Vec<TypeCount>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct TypeCount {
    #[serde(rename = "type")]
    pub(crate) r_type: u32,
    /// The psABI's name.
    pub(crate) name: Option<&'static str>,
    pub(crate) relocations: u64,
    /// Whether this type can be applied.
    pub(crate) applied: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct ObjectRow<'f> {
    pub(crate) name: Name<'f>,
    /// Section indices of its relocation sections.
    pub(crate) sections: Vec<u32>,
    /// Section indices of its relocation sections that are skipped or malformed.
    pub(crate) not_applied: Vec<u32>,
    /// Number of relocations in `sections`.
    pub(crate) relocations: u64,
    /// Number of livepatch symbols that name this object.
    pub(crate) symbols: u64,
}

/// A symbol that is `SHN_LIVEPATCH`, or named `.klp.sym.`, or used by a livepatch relocation.
#[derive(Debug, Serialize)]
pub(crate) struct SymbolRow<'f> {
    pub(crate) index: u32,
    /// The complete name, if it can be read.
    pub(crate) name: Option<Name<'f>>,
    /// Whether the symbol is `SHN_LIVEPATCH`.
    pub(crate) livepatch: bool,
    /// The object, the symbol and the sympos in the name. They are null if the name is malformed.
    pub(crate) object: Option<Name<'f>>,
    pub(crate) symbol: Option<Name<'f>>,
    #[serde(rename = "sympos")]
    pub(crate) sympos: Option<u64>,
    /// Number of relocations that use the symbol, without those that are skipped.
    pub(crate) relocations: u64,
    pub(crate) sections: Vec<Use>,
    pub(crate) notes: Vec<Note>,
}

/// The relocations of one section that use a symbol.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Use {
    pub(crate) section: u32,
    pub(crate) relocations: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct SpecialRow<'f> {
    pub(crate) section: u32,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The kernel function that reads the section.
    pub(crate) reader: &'static str,
    /// When this kernel reads it first: "load", "finalize", "formation", "coming", "init" or
    /// "on-demand".
    pub(crate) read_at: Option<&'static str>,
    /// Why this kernel does not read it: "never", "not-yet" or "no-longer".
    pub(crate) not_read: Option<&'static str>,
    /// The first kernel version that reads it, and the first one that no longer does.
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) size: u64,
    /// Bytes of an entry in this kernel, if all entries have the same size.
    pub(crate) entry_size: Option<u16>,
    pub(crate) entries: Option<u64>,
    /// Ordinary relocations of this section.
    pub(crate) ordinary: u64,
    /// Early livepatch relocations of this section.
    pub(crate) klp_early: u64,
    /// Late livepatch relocations of this section.
    pub(crate) klp_late: Vec<LateInto<'f>>,
    /// Relocations of this section that are skipped or malformed.
    pub(crate) not_applied: u64,
    /// Whether late relocations change this section after it was read.
    pub(crate) too_late: bool,
    pub(crate) notes: Vec<Note>,
}

/// Late relocations of a special section.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LateInto<'f> {
    /// The section that has the relocations.
    pub(crate) section: u32,
    pub(crate) object: Name<'f>,
    pub(crate) relocations: u64,
}

/// An error that becomes text when it is printed, because a file can have many with long names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionError<'f> {
    pub(crate) module: &'f Module<'f>,
    pub(crate) error: Error,
}

impl Serialize for SectionError<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let profile = self.module.profile();
        error::to_json(Some(self.module), &self.error, profile).serialize(serializer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// Valid, but worth knowing.
    Info,
    /// Probably a mistake.
    Warning,
    /// It cannot work.
    Error,
}

/// A sentence about a section or a symbol.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) level: Level,
    pub(crate) text: String,
}

impl<'f> ModuleView<'f> {
    /// The row of section `index`.
    pub(crate) fn section(&self, index: u32) -> Option<&SectionRow<'f>> {
        self.sections.get(usize::try_from(index).ok()?)
    }
}

impl SectionRow<'_> {
    /// Whether the section has livepatch relocations that are applied.
    pub(crate) const fn is_livepatch(&self) -> bool {
        matches!(self.class, SectionClass::KlpEarly | SectionClass::KlpLate)
    }
}
