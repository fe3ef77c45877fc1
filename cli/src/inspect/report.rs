//! What `relakit inspect` tells. `--format json` prints these structures as they stand here: a field's name is its
//! key, `Option` is null or the value. Keys are only ever added.
//!
//! Names are text: bytes that are not printable ASCII are escaped as in Rust (`\xe9`), and so are quotes and the
//! backslash. They are whole, however long, but not inside the sentences of notes. Numbers are numbers; sizes are in bytes. There are no addresses.
//!
//! A file that cannot be read as a module gives `file` and `errors` only, with the one fault in it, and exit code 1.

use super::names::shorten;
use crate::errors;
use relakit::{Error, Module, Reason};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Most characters of a name in a sentence.
pub(crate) const IN_SENTENCE: usize = 80;

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'f> {
    /// The path, as given.
    pub(crate) file: String,
    /// The module's own name, from .modinfo.
    pub(crate) name: Option<Name<'f>>,
    /// Whether .modinfo says livepatch; Linux looks for the key and not at its value.
    pub(crate) livepatch: bool,
    /// What it was built for, from .modinfo.
    pub(crate) vermagic: Option<Name<'f>>,
    /// The Linux version asked for, or "elf".
    pub(crate) kernel: String,
    /// The oldest Linux version with the rules that apply to it, or "elf".
    pub(crate) rules: &'static str,
    /// The Linux version that [`Self::special_sections`] is about: the one asked for, or for "elf" the newest known.
    pub(crate) special_sections_of: String,
    /// How many there are of what.
    pub(crate) counts: Counts,
    /// Every section in order, section 0 included.
    pub(crate) sections: Vec<SectionRow<'f>>,
    /// The relocations by class, object and type.
    pub(crate) relocations: Vec<PassRow<'f>>,
    /// What the livepatch is made for, vmlinux first.
    pub(crate) objects: Vec<ObjectRow<'f>>,
    /// The symbols that the livepatch core resolves, or is asked to.
    pub(crate) klp_symbols: Vec<SymbolRow<'f>>,
    /// The sections that the kernel knows by name.
    pub(crate) special_sections: Vec<SpecialRow<'f>>,
    /// Always empty here.
    pub(crate) errors: [Value; 0],
}

/// How many there are of what.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    /// Section headers, section 0 included.
    pub(crate) sections: u64,
    /// Symbols, the null symbol included.
    pub(crate) symbols: u64,
    /// Entries of all relocation sections.
    pub(crate) relocations: u64,
    /// Of these, how many were not looked at, because the tables of this file overlap without measure. Not 0 means
    /// that all other numbers of relocations are too low.
    pub(crate) not_read: u64,
}

/// What a section is to a loader.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Ordinary relocations, applied early.
    Ordinary,
    /// vmlinux-specific livepatch relocations, applied early.
    KlpEarly,
    /// Livepatch relocations of a module, applied when it comes.
    KlpLate,
    /// Relocations that are never applied.
    Skipped,
    /// Relocations that cannot be applied.
    Malformed,
    /// Of the livepatch design before Linux 5.8; nobody reads it.
    LegacyArch,
    /// No relocations.
    NotRelocation,
    /// A class that this command does not know.
    Other,
}

/// One section.
#[derive(Debug, Serialize)]
pub(crate) struct SectionRow<'f> {
    pub(crate) index: u32,
    pub(crate) name: Name<'f>,
    /// `sh_type`.
    #[serde(rename = "type")]
    pub(crate) sh_type: u32,
    /// As readelf has it; a number in hexadecimal for a type without a name.
    pub(crate) type_name: String,
    /// `sh_flags`.
    pub(crate) flags: u64,
    /// As readelf has them, but that o is `SHF_RELA_LIVEPATCH` only, and other bits without a letter are x.
    pub(crate) flag_letters: String,
    pub(crate) size: u64,
    pub(crate) class: Kind,
    /// The object in the section's name, where it has the livepatch flag and such a name.
    pub(crate) object: Option<Name<'f>>,
    /// Section index of what is relocated: `sh_info` of relocations, whether there is such a section or not.
    pub(crate) target: Option<u32>,
    /// Its name.
    pub(crate) target_name: Option<Name<'f>>,
    /// Number of relocations.
    pub(crate) entries: Option<u64>,
    /// Why it has its class, as a sentence.
    #[serde(serialize_with = "sentence")]
    pub(crate) reason: Reason,
    /// A malformed section: "load", the module cannot be loaded; "any-coming", no module that it patches can come;
    /// "coming", `object` cannot come.
    pub(crate) fails: Option<&'static str>,
    /// A malformed section: what is wrong, as `relakit apply` has it.
    pub(crate) fault: Option<Fault<'f>>,
    /// What else there is to say.
    pub(crate) notes: Vec<Note>,
    /// Whether it is one of [`Report::special_sections`].
    pub(crate) special: bool,
}

fn sentence<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.text())
}

/// The relocations of one class; of one object for livepatch relocations.
#[derive(Debug, Serialize)]
pub(crate) struct PassRow<'f> {
    pub(crate) class: Kind,
    pub(crate) object: Option<Name<'f>>,
    pub(crate) relocations: u64,
    /// In the order of type numbers.
    pub(crate) types: Vec<TypeCount>,
}

/// The relocations of one type.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TypeCount {
    /// psABI type number.
    #[serde(rename = "type")]
    pub(crate) r_type: u32,
    /// The psABI's name.
    pub(crate) name: Option<&'static str>,
    pub(crate) relocations: u64,
    /// Whether the rules know how to apply it.
    pub(crate) applied: bool,
}

/// One object.
#[derive(Debug, Serialize)]
pub(crate) struct ObjectRow<'f> {
    pub(crate) name: Name<'f>,
    /// Section indices of its relocations.
    pub(crate) sections: Vec<u32>,
    /// Section indices of what bears its name and is passed over or malformed.
    pub(crate) not_applied: Vec<u32>,
    /// Relocations in `sections`.
    pub(crate) relocations: u64,
    /// Livepatch symbols whose names name it.
    pub(crate) symbols: u64,
}

/// One symbol: marked `SHN_LIVEPATCH`, named `.klp.sym.`, or used by a livepatch relocation.
#[derive(Debug, Serialize)]
pub(crate) struct SymbolRow<'f> {
    /// Its number in the symbol table.
    pub(crate) index: u32,
    /// Its whole name; null when there is none to read.
    pub(crate) name: Option<Name<'f>>,
    /// Whether it is marked `SHN_LIVEPATCH`.
    pub(crate) livepatch: bool,
    /// The object in its name. This and the next two are null when the name is not in the grammar.
    pub(crate) object: Option<Name<'f>>,
    /// The name of the symbol that is meant.
    pub(crate) symbol: Option<Name<'f>>,
    /// 0: the only one of that name; N: the N-th.
    pub(crate) position: Option<u64>,
    /// How many relocations use it. Those that are passed over do not count.
    pub(crate) relocations: u64,
    /// Where.
    pub(crate) sections: Vec<Use>,
    /// What there is to say about it.
    pub(crate) notes: Vec<Note>,
}

/// The relocations of one section that use a symbol.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Use {
    pub(crate) section: u32,
    pub(crate) relocations: u64,
}

/// One section that the kernel knows by name.
#[derive(Debug, Serialize)]
pub(crate) struct SpecialRow<'f> {
    pub(crate) section: u32,
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The function that reads it, in the newest kernel that does.
    pub(crate) reader: &'static str,
    /// When this kernel reads it first: "load", "finalize", "formation", "coming", "init", "on-demand"; null when it
    /// does not.
    pub(crate) read_at: Option<&'static str>,
    /// Why it does not: "never" in any kernel, "not-yet", "no-longer".
    pub(crate) not_read: Option<&'static str>,
    /// First and first-no-more kernel version that reads it, where it is not all of them.
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) size: u64,
    /// Bytes per entry in this kernel; null when it is no table, or the size is not fixed.
    pub(crate) entry_size: Option<u16>,
    pub(crate) entries: Option<u64>,
    /// Ordinary relocations into it.
    pub(crate) ordinary: u64,
    /// Early livepatch relocations into it.
    pub(crate) klp_early: u64,
    /// Late livepatch relocations into it.
    pub(crate) klp_late: Vec<LateInto<'f>>,
    /// Relocations into it that are passed over or malformed.
    pub(crate) not_applied: u64,
    /// Whether relocations into it come after it was read.
    pub(crate) too_late: bool,
    /// What there is to say about it.
    pub(crate) notes: Vec<Note>,
}

/// A section of late relocations into a special section.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct LateInto<'f> {
    pub(crate) section: u32,
    pub(crate) object: Name<'f>,
    pub(crate) relocations: u64,
}

/// What is wrong with a section. It becomes text when it is printed: a file may have many with long names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault<'f> {
    pub(crate) module: &'f Module<'f>,
    pub(crate) error: Error,
}

impl Serialize for Fault<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        errors::to_json(Some(self.module), &self.error).serialize(serializer)
    }
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// It is so, and it is well.
    Info,
    /// Probably not what was meant.
    Warning,
    /// It cannot work.
    Error,
}

/// A sentence about a row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// The bytes of a name; printed escaped.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) struct Name<'f>(pub(crate) &'f [u8]);

impl Name<'_> {
    /// At most `most` characters of it, escaped; without its middle when it has more.
    pub(crate) fn short(self, most: usize) -> String {
        let tail = self.0.len().saturating_sub(most);
        let text = match (self.0.get(..most), self.0.get(tail..)) {
            // The middle goes anyway: do not escape what may be long.
            (Some(head), Some(end)) if tail > most => errors::text(head) + &errors::text(end),
            _ => errors::text(self.0),
        };
        shorten(text, most)
    }
}

impl Serialize for Name<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&errors::text(self.0))
    }
}
