//! The livepatch symbols: what their names say, who uses them, and what is wrong with them.

use super::collect::Walk;
use super::report::{IN_SENTENCE, Level, Name, Note, SymbolRow, Use};
use relakit::elf::{SectionFlags, SymbolLocation};
use relakit::klp::SymName;
use relakit::{ErrorKind, Module, Profile, abi};
use std::collections::BTreeSet;

/// For each symbol whether it is a livepatch symbol, or named like one.
pub(crate) fn watched(module: &Module<'_>) -> Vec<bool> {
    let symbols = module.object().symbols();
    (0..symbols.len())
        .map(|index| {
            symbols.get(index).is_some_and(|symbol| {
                let name = || symbols.name(&symbol).unwrap_or_default();
                symbols.location(&symbol) == SymbolLocation::Livepatch
                    || name().starts_with(abi::KLP_SYM_PREFIX)
            })
        })
        .collect()
}

/// A row for each of them, and for each that a livepatch relocation uses all the same.
pub(crate) fn rows<'f>(module: &Module<'f>, walk: &Walk<'f>) -> Vec<SymbolRow<'f>> {
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
        position: parsed.map(|parsed| parsed.sympos),
        relocations: uses.iter().map(|one| one.relocations).sum(),
        notes: notes(module, walk, &uses, Facts { exists: symbol.is_some(), name: bytes, parsed, livepatch }),
        sections: uses,
    }
}

/// What is known of one symbol.
struct Facts<'f> {
    exists: bool,
    name: Option<&'f [u8]>,
    parsed: Option<SymName<'f>>,
    livepatch: bool,
}

/// What there is to say, in the order in which Linux looks.
fn notes(module: &Module<'_>, walk: &Walk<'_>, uses: &[Use], symbol: Facts<'_>) -> Vec<Note> {
    let klp_rows = || {
        let rows = uses.iter().filter_map(|one| walk.row(one.section));
        rows.filter(|row| row.flags & SectionFlags::RELA_LIVEPATCH.bits() != 0)
    };
    let is_used = klp_rows().next().is_some();
    let late = || klp_rows().any(|row| row.object.is_some_and(|object| object != Name(abi::VMLINUX)));
    let fault = |kind: ErrorKind| Some((Level::Error, kind.to_string()));
    let info = |text: &str| Some((Level::Info, text.to_owned()));
    let note = match symbol {
        Facts { exists: false, .. } => fault(ErrorKind::SymbolIndex),
        Facts { livepatch: false, .. } if is_used => fault(ErrorKind::NotKlpSymbol),
        Facts { livepatch: false, .. } => {
            Some((Level::Warning, "named like a livepatch symbol, but not SHN_LIVEPATCH".to_owned()))
        }
        Facts { name: None, .. } => fault(ErrorKind::BadSymbolName),
        Facts { name: Some(name), parsed: None, .. } if is_used => {
            Some((Level::Error, format!("incorrectly formatted: {}", problem(name, module.profile()))))
        }
        Facts { parsed: None, .. } if uses.is_empty() => info("not a KLP name, unused"),
        Facts { parsed: None, .. } => info("not a KLP name, never resolved"),
        Facts { parsed: Some(name), .. } if name.object == abi::VMLINUX && late() => {
            fault(ErrorKind::VmlinuxFromModule)
        }
        Facts { parsed: Some(name), .. } if !name.rest.is_empty() => Some((
            Level::Warning,
            format!("\"{}\" after the position is ignored", Name(name.rest).short(IN_SENTENCE)),
        )),
        Facts { .. } => None,
    };
    note.map(|(level, text)| Note { level, text }).into_iter().collect()
}

/// Why a name is not `.klp.sym.<object>.<name>,<position>`.
fn problem(name: &[u8], profile: &Profile) -> String {
    let Some(rest) = name.strip_prefix(abi::KLP_SYM_PREFIX) else {
        return "does not begin with .klp.sym.".to_owned();
    };
    let mut parts = rest.splitn(2, |&byte| byte == b'.');
    let object = parts.next().unwrap_or_default();
    let mut parts = parts.next().map(|rest| rest.splitn(2, |&byte| byte == b','));
    let symbol = parts.as_mut().and_then(Iterator::next);
    let position = parts.as_mut().and_then(Iterator::next);
    match (object.len(), symbol.map(<[u8]>::len), position) {
        (0, _, _) => "no object".to_owned(),
        (length, _, _) if length > abi::OBJECT_NAME_MAX => {
            format!("object of {length} bytes, {} at most", abi::OBJECT_NAME_MAX)
        }
        (_, None | Some(0), _) => "no symbol after the object".to_owned(),
        (_, Some(length), _) if length > profile.symbol_name_max => {
            format!("symbol of {length} bytes, {} at most", profile.symbol_name_max)
        }
        (_, _, None) => "no position after a comma".to_owned(),
        (_, _, Some(_)) => "the position is not a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outside_the_grammar_has_a_problem_that_says_where() {
        let (o56, s512) = ("o".repeat(56), "s".repeat(512));
        for (name, expected) in [
            (".klp.tombstone.a", "does not begin with .klp.sym."),
            (".klp.sym.", "no object"),
            (".klp.sym..a,0", "no object"),
            (&format!(".klp.sym.{o56}.a,0"), "object of 56 bytes, 55 at most"),
            (".klp.sym.m", "no symbol after the object"),
            (".klp.sym.m,0", "no symbol after the object"),
            (".klp.sym.m.,0", "no symbol after the object"),
            (&format!(".klp.sym.m.{s512},0"), "symbol of 512 bytes, 511 at most"),
            (".klp.sym.m.a", "no position after a comma"),
            (".klp.sym.m.a,", "the position is not a number"),
            (".klp.sym.m.a,-1", "the position is not a number"),
        ] {
            assert_eq!(SymName::parse(name.as_bytes(), &Profile::LINUX_6_12), None, "{name}");
            assert_eq!(problem(name.as_bytes(), &Profile::LINUX_6_12), expected, "{name}");
        }
    }
}
