//! Undefined symbols whose names say what they mean: `.klp.sym.rela.<patched object>.<symbol's
//! object>.<name>,<position>` of the macro `KLP_RELOC_SYMBOL`, and `.klp.sym.<object>.<name>,<sympos>`.
//! Plain undefined names are in [`plain`].

use super::{klp_build, plain};
use crate::map::position;
use crate::refusal::{Refusal, text};
use crate::session::{Planned, Session};
use crate::symbols::{Position, Wanted};
use crate::types::{SHF_RELA_LIVEPATCH, SHN_LIVEPATCH};
use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId};
use object::elf::SHN_UNDEF;
use relakit::abi::{KLP_SYM_PREFIX, VMLINUX};
use std::collections::{HashMap, HashSet};

const RELA: &[u8] = b".klp.sym.rela.";

/// What a name means, and the object whose load its relocations wait for.
struct Meaning {
    wanted: Wanted,
    patched: Vec<u8>,
    /// The module that exports it.
    exported: bool,
}

/// The objects for which the relocations of a symbol wait, by the number of the symbol.
type Waiting = HashMap<usize, Vec<u8>>;

pub(crate) fn plan(builder: &mut Builder<'_>, session: &mut Session<'_>) {
    let tables: Vec<_> = klp_build::tables(builder).into_iter().map(|(id, _)| id).collect();
    let moved_from: HashSet<usize> = moved_from(builder, &tables).map(|id| id.index()).collect();
    let used = used(builder, &moved_from);
    let mut waiting = Waiting::new();
    for symbol in &mut builder.symbols {
        let is_undefined = symbol.section.is_none() && symbol.st_shndx == SHN_UNDEF;
        // Linux refuses a name like these even if nothing uses the symbol.
        if !is_undefined || !(symbol.name.starts_with(KLP_SYM_PREFIX) || used.contains(&symbol.id().index()))
        {
            continue;
        }
        let meaning = match meaning(&symbol.name, session) {
            Ok(Some(meaning)) => meaning,
            Ok(None) => continue,
            Err(refusal) => {
                session.refuse(refusal);
                continue;
            }
        };
        let Some(name) = session.name_of(&meaning.wanted) else { continue };
        if meaning.exported {
            session.imported.insert(meaning.wanted.object);
        }
        symbol.name = name.into();
        symbol.st_shndx = SHN_LIVEPATCH;
        waiting.insert(symbol.id().index(), meaning.patched);
    }
    if !waiting.is_empty() {
        session.changed = true;
        move_relocations(builder, session, &moved_from, &waiting);
    }
}

/// The relocation sections whose target is in memory, except the livepatch sections and those of the
/// tables of klp-build.
fn moved_from<'b>(builder: &'b Builder<'_>, tables: &'b [SectionId]) -> impl Iterator<Item = SectionId> + 'b {
    let is_moved = |section: &&object::build::elf::Section<'_>| {
        let target = section.sh_info_section.filter(|target| !tables.contains(target));
        matches!(section.data, SectionData::Relocation(_))
            && section.sh_flags.0 & SHF_RELA_LIVEPATCH == 0
            && target.is_some_and(|target| builder.sections.get(target).is_alloc())
    };
    builder.sections.iter().filter(is_moved).map(|section| section.id())
}

/// The numbers of the symbols that these sections use.
fn used(builder: &Builder<'_>, sections: &HashSet<usize>) -> HashSet<usize> {
    let sections = builder.sections.iter().filter(|section| sections.contains(&section.id().index()));
    let relocations = sections.filter_map(|section| match &section.data {
        SectionData::Relocation(relocations) => Some(relocations),
        _ => None,
    });
    relocations.flatten().filter_map(|relocation| Some(relocation.symbol?.index())).collect()
}

/// `None`: the symbol stays as it is.
fn meaning(name: &[u8], session: &Session<'_>) -> Result<Option<Meaning>, Refusal> {
    let found = if name.starts_with(RELA) {
        from_macro(name).map(Some)?
    } else if name.starts_with(KLP_SYM_PREFIX) {
        let why = || Refusal::new(format!("symbol {} is not .klp.sym.<object>.<name>,<sympos>", text(name)));
        let wanted = klp_build::wanted(name).ok_or_else(why)?;
        Some((wanted.object.clone(), wanted, false))
    } else if name.starts_with(b".klp.") {
        None
    } else {
        plain::meaning(name, session)?
    };
    let Some((patched, wanted, exported)) = found else { return Ok(None) };
    if wanted.object == VMLINUX {
        // Linux applies it when the livepatch is loaded, for every patched object.
        return Ok(Some(Meaning { patched: VMLINUX.to_vec(), wanted, exported }));
    }
    if patched == VMLINUX {
        let (of, symbol) = (text(&wanted.object), text(&wanted.name));
        return Err(Refusal::new(format!(
            "code for vmlinux uses {symbol} of the module {of}, which may be missing"
        ))
        .help(format!("name the module that the code waits for: KLP_RELOC_SYMBOL({of}, {of}, {symbol})")));
    }
    Ok(Some(Meaning { patched, wanted, exported }))
}

/// The name that the macro makes. Without a comma, or with `auto`, the position is looked up.
fn from_macro(name: &[u8]) -> Result<(Vec<u8>, Wanted, bool), Refusal> {
    let parts = name.strip_prefix(RELA).and_then(|rest| {
        let (patched, rest) = split_once(rest, b'.')?;
        let (object, rest) = split_once(rest, b'.')?;
        let (name, position) = match rest.contains(&b',') {
            true => split_once(rest, b',').and_then(|(name, sympos)| Some((name, position(sympos)?)))?,
            false => (rest, Position::Auto),
        };
        let wanted = Wanted { object: object.to_vec(), name: name.to_vec(), position };
        (!name.is_empty()).then(|| (patched.to_vec(), wanted, false))
    });
    parts.ok_or_else(|| {
        let form = "symbol is not .klp.sym.rela.<patched object>.<symbol's object>.<name>,<position>";
        Refusal::new(format!("{form}: {}", text(name)))
            .help("declare it with KLP_RELOC_SYMBOL, which relakit convert --header prints")
    })
}

/// Splits at the first `byte`.
pub(crate) fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|other| *other == byte)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(1..)?)).filter(|(before, _)| !before.is_empty())
}

/// Moves each relocation of a waiting symbol to the livepatch sections.
fn move_relocations(
    builder: &mut Builder<'_>,
    session: &mut Session<'_>,
    moved_from: &HashSet<usize>,
    waiting: &Waiting,
) {
    for section in &mut builder.sections {
        if !moved_from.contains(&section.id().index()) {
            continue;
        }
        let (Some(target), SectionData::Relocation(relocations)) =
            (section.sh_info_section, &mut section.data)
        else {
            continue;
        };
        let patched = |relocation: &Relocation| waiting.get(&relocation.symbol?.index());
        relocations.retain(|relocation| {
            let Some(patched) = patched(relocation) else { return true };
            session.planned.push(Planned { patched: patched.clone(), target, relocation: *relocation });
            false
        });
    }
}
