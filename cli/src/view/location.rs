//! Where an error or a finding is in a module. Text, JSON, SARIF and HTML print the same locations.

use super::names::{self, escaped, shorten};
use crate::input::memory::GOT;
use relakit::elf::{RelaTable, SectionFlags};
use relakit::{Error, Module, abi};
use serde::Serialize;
use std::fmt;

/// Most bytes of a name. Names that Linux accepts are shorter. docs/check.md has the same number.
const NAME: usize = 1024;
/// Most bytes of a name in a sentence.
const IN_SENTENCE: usize = 72;

/// Indices, and the names that belong to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Location {
    /// Section index. For a relocation: the section that has the entry.
    pub(crate) section: Option<u32>,
    pub(crate) section_name: Option<String>,
    /// Index of the relocation in its section.
    pub(crate) entry: Option<u64>,
    /// The psABI's name of the relocation type, or its number.
    pub(crate) r_type: Option<String>,
    /// Section index of the relocated section.
    pub(crate) target: Option<u32>,
    pub(crate) target_name: Option<String>,
    /// Offset in the relocated section, in bytes.
    pub(crate) offset: Option<u64>,
    /// Symbol index.
    pub(crate) symbol: Option<u32>,
    pub(crate) symbol_name: Option<String>,
}

impl Location {
    /// The location of an error. Without a module, it has no names.
    pub(crate) fn of_error(module: Option<&Module<'_>>, error: &Error) -> Self {
        let mut location = Self {
            section: error.section,
            entry: error.entry,
            r_type: error.r_type.map(names::type_name),
            symbol: error.symbol,
            ..Self::default()
        };
        let Some(module) = module else { return location };
        let section = error.section.and_then(|index| module.object().section(index));
        // `sh_info` is the relocated section only if the error is in a relocation.
        location.target = section.filter(|_| error.entry.is_some()).map(|section| section.sh_info);
        location.offset = location.target.map(|_| error.offset);
        location.with_names(module)
    }

    pub(crate) fn of_section(module: &Module<'_>, section: Option<u32>) -> Self {
        Self { section, ..Self::default() }.with_names(module)
    }

    /// A place in a section that is no relocation.
    pub(crate) fn in_section(module: &Module<'_>, section: u32, offset: u64) -> Self {
        Self { section: Some(section), offset: Some(offset), ..Self::default() }.with_names(module)
    }

    /// A section, an entry of it and a symbol. The rest comes from the module.
    pub(crate) fn new(
        module: &Module<'_>,
        section: Option<u32>,
        entry: Option<u64>,
        symbol: Option<u32>,
    ) -> Self {
        let mut location = Self { section, entry, symbol, ..Self::default() };
        let header = section.and_then(|index| module.object().section(index)).filter(|section| {
            section.sh_type == abi::SHT_RELA || section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH)
        });
        if let Some(header) = header {
            location.target = Some(header.sh_info);
            let table = RelaTable::whole_entries(module.object().section_bytes(&header)).0;
            let rela = entry.and_then(|entry| table.get(usize::try_from(entry).ok()?));
            if let Some(rela) = rela {
                location.offset = Some(rela.r_offset);
                location.r_type = Some(names::type_name(rela.r_type));
                location.symbol = Some(rela.r_sym);
            }
        }
        location.with_names(module)
    }

    fn with_names(mut self, module: &Module<'_>) -> Self {
        let text = |name: &[u8]| shorten(escaped(name), NAME);
        let is_got = |index| module.got().is_some_and(|got| got.section == index);
        let section = |index: u32| {
            let in_file = names::section(module, index);
            in_file.or_else(|| is_got(index).then_some(GOT)).map(text)
        };
        self.section_name = self.section.and_then(section);
        self.target_name = self.target.and_then(section);
        self.symbol_name = self.symbol.and_then(|index| names::symbol(module, index)).map(text);
        self
    }

    /// "R_X86_64_PC32, symbol 93 .klp.sym.nfs.nfs_commit_inode,0", without what `Display` prints.
    pub(crate) fn relocation(&self) -> Option<String> {
        let symbol = self.symbol_text().filter(|_| self.section.is_some());
        let parts: Vec<_> = self.r_type.clone().into_iter().chain(symbol).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn symbol_text(&self) -> Option<String> {
        self.symbol.map(|index| numbered("symbol", index, self.symbol_name.as_deref()))
    }
}

/// "section 41 .klp.rela.nfs..text, entry 3, into .text+0x40". Empty if nothing is known.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = self.section.map(|index| numbered("section", index, self.section_name.as_deref()));
        let mut parts: Vec<String> = section.or_else(|| self.symbol_text()).into_iter().collect();
        parts.extend(self.entry.map(|entry| format!("entry {entry}")));
        let target = match self.target_name.as_deref() {
            None | Some("") => self.target.map(|index| format!("section {index}")),
            Some(name) => Some(short(name)),
        };
        match (target, self.offset) {
            (Some(target), Some(offset)) => parts.push(format!("into {target}+{offset:#x}")),
            (Some(target), None) => parts.push(format!("into {target}")),
            (None, Some(offset)) => parts.push(format!("offset {offset:#x}")),
            (None, None) => {}
        }
        f.write_str(&parts.join(", "))
    }
}

fn numbered(noun: &str, index: u32, name: Option<&str>) -> String {
    match name {
        None | Some("") => format!("{noun} {index}"),
        Some(name) => format!("{noun} {index} {}", short(name)),
    }
}

/// A name in a sentence.
pub(crate) fn short(name: &str) -> String {
    shorten(name.to_owned(), IN_SENTENCE)
}
