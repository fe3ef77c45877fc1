//! The livepatch symbols: the parts of their names, who uses them, and what is wrong with them.

use super::names::{IN_SENTENCE, Name};
use super::walk::{Walk, watched};
use super::{Level, Note, SymbolRow, Use};
use relakit::elf::{SectionFlags, SymbolLocation};
use relakit::klp::SymName;
use relakit::{ErrorKind, Module, Profile, abi};
use std::collections::BTreeSet;

/// A row for each of these symbols, and for each other symbol that a livepatch relocation uses.
pub(super) fn rows<'f>(module: &Module<'f>, walk: &Walk<'f>) -> Vec<SymbolRow<'f>> {
    let watched = (0u32..).zip(watched(module)).filter_map(|(index, watched)| watched.then_some(index));
    let indices: BTreeSet<u32> = watched.chain(walk.uses.keys().copied()).collect();
    indices.into_iter().map(|index| row(module, walk, index)).collect()
}

fn row<'f>(module: &Module<'f>, walk: &Walk<'f>, index: u32) -> SymbolRow<'f> {
    let symbols = module.object().symbols();
    let symbol = symbols.get(index);
    let name = symbol.map(|symbol| symbols.name(&symbol));
    let bytes = name.and_then(Result::ok);
    let livepatch = symbol.is_some_and(|symbol| symbols.location(&symbol) == SymbolLocation::Livepatch);
    let parsed = bytes.and_then(|bytes| SymName::parse(bytes, module.profile()));
    let uses = walk.uses.get(&index).cloned().unwrap_or_default();
    SymbolRow {
        index,
        name: bytes.map(Name),
        livepatch,
        object: parsed.map(|parsed| Name(parsed.object)),
        symbol: parsed.map(|parsed| Name(parsed.name)),
        sympos: parsed.map(|parsed| parsed.sympos),
        relocations: uses.iter().map(|one| one.relocations).sum(),
        notes: notes(module, walk, &uses, Facts { exists: symbol.is_some(), name: bytes, parsed, livepatch }),
        sections: uses,
    }
}

struct Facts<'f> {
    exists: bool,
    name: Option<&'f [u8]>,
    parsed: Option<SymName<'f>>,
    livepatch: bool,
}

/// What is wrong with a symbol. The checks are in the order of Linux.
fn notes(module: &Module<'_>, walk: &Walk<'_>, uses: &[Use], symbol: Facts<'_>) -> Vec<Note> {
    let klp_rows = || {
        let rows = uses.iter().filter_map(|one| walk.row(one.section));
        rows.filter(|row| row.flags & SectionFlags::RELA_LIVEPATCH.bits() != 0)
    };
    let is_used = klp_rows().next().is_some();
    let late = || klp_rows().any(|row| row.object.is_some_and(|object| object != Name(abi::VMLINUX)));
    let error = |kind: ErrorKind| Some((Level::Error, kind.to_string()));
    let info = |text: &str| Some((Level::Info, text.to_owned()));
    let note = match symbol {
        Facts { exists: false, .. } => error(ErrorKind::SymbolIndex),
        Facts { livepatch: false, .. } if is_used => error(ErrorKind::NotKlpSymbol),
        Facts { livepatch: false, .. } => {
            Some((Level::Warning, "named like a livepatch symbol, but not SHN_LIVEPATCH".to_owned()))
        }
        Facts { name: None, .. } => error(ErrorKind::BadSymbolName),
        Facts { name: Some(name), parsed: None, .. } if is_used => {
            Some((Level::Error, format!("malformed name: {}", why_malformed(name, module.profile()))))
        }
        Facts { parsed: None, .. } if uses.is_empty() => info("not a livepatch name, and not used"),
        Facts { parsed: None, .. } => info("not a livepatch name, and never resolved"),
        Facts { parsed: Some(name), .. } if name.object == abi::VMLINUX && late() => {
            error(ErrorKind::VmlinuxFromModule)
        }
        Facts { parsed: Some(name), .. } if !name.rest.is_empty() => Some((
            Level::Warning,
            format!("\"{}\" after the sympos is ignored", Name(name.rest).short(IN_SENTENCE)),
        )),
        Facts { .. } => None,
    };
    note.map(|(level, text)| Note { level, text }).into_iter().collect()
}

/// Why a name is not `.klp.sym.<object>.<name>,<sympos>`.
fn why_malformed(name: &[u8], profile: &Profile) -> String {
    let Some(rest) = name.strip_prefix(abi::KLP_SYM_PREFIX) else {
        return "it does not begin with .klp.sym.".to_owned();
    };
    let mut parts = rest.splitn(2, |&byte| byte == b'.');
    let object = parts.next().unwrap_or_default();
    let mut parts = parts.next().map(|rest| rest.splitn(2, |&byte| byte == b','));
    let symbol = parts.as_mut().and_then(Iterator::next);
    let sympos = parts.as_mut().and_then(Iterator::next);
    match (object.len(), symbol.map(<[u8]>::len), sympos) {
        (0, _, _) => "the object is missing".to_owned(),
        (length, _, _) if length > abi::OBJECT_NAME_MAX => {
            format!("the object has {length} bytes, the maximum is {}", abi::OBJECT_NAME_MAX)
        }
        (_, None | Some(0), _) => "the symbol after the object is missing".to_owned(),
        (_, Some(length), _) if length > profile.symbol_name_max => {
            format!("the symbol has {length} bytes, the maximum is {}", profile.symbol_name_max)
        }
        (_, _, None) => "the sympos after a comma is missing".to_owned(),
        (_, _, Some(_)) => "the sympos is not a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_which_part_of_a_name_is_malformed() {
        let (o56, s512) = ("o".repeat(56), "s".repeat(512));
        for (name, expected) in [
            (".klp.tombstone.a", "it does not begin with .klp.sym."),
            (".klp.sym.", "the object is missing"),
            (".klp.sym..a,0", "the object is missing"),
            (&format!(".klp.sym.{o56}.a,0"), "the object has 56 bytes, the maximum is 55"),
            (".klp.sym.m", "the symbol after the object is missing"),
            (".klp.sym.m,0", "the symbol after the object is missing"),
            (".klp.sym.m.,0", "the symbol after the object is missing"),
            (&format!(".klp.sym.m.{s512},0"), "the symbol has 512 bytes, the maximum is 511"),
            (".klp.sym.m.a", "the sympos after a comma is missing"),
            (".klp.sym.m.a,", "the sympos is not a number"),
            (".klp.sym.m.a,-1", "the sympos is not a number"),
        ] {
            assert_eq!(SymName::parse(name.as_bytes(), &Profile::LINUX_DEFAULT), None, "{name}");
            assert_eq!(why_malformed(name.as_bytes(), &Profile::LINUX_DEFAULT), expected, "{name}");
        }
    }
}
