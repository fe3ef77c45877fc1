//! The modules of klp-build before `objtool klp post-link` (Linux semantics 14).
//!
//! The section `__klp_relocs.<object>` is a table of `struct klp_reloc`: a pointer to the field, a
//! pointer to the symbol with the addend, and the type. `<object>` is the object whose load the
//! relocations wait for; in the first version of the tool, the section has no `.<object>`, and it is
//! the object of the symbol. Each field also has an ordinary relocation, so that linkers keep it. It
//! uses a symbol that nothing defines.
//!
//! Source (facts only): `tools/objtool/klp-post-link.c`, and modules that klp-build made.

use super::{Pointers, content};
use crate::map::position;
use crate::refusal::Refusal;
use crate::session::{Planned, Session};
use crate::symbols::Wanted;
use crate::types::{SHF_RELA_LIVEPATCH, SHN_LIVEPATCH};
use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId, SymbolId};
use object::elf::{RelocationType, SHN_UNDEF};
use relakit::abi::{KLP_SYM_PREFIX, VMLINUX};
use std::collections::HashMap;

const TABLE: &[u8] = b"__klp_relocs";
/// Size of `struct klp_reloc`, and the offsets of `sym` and `type`, in bytes.
const ENTRY: usize = 24;
const SYMBOL: u64 = 8;
const TYPE: usize = 16;
/// The relocation type that does nothing, on every machine.
const NONE: RelocationType = RelocationType(0);

/// The table sections, and the object in the name of each.
pub(crate) fn tables(builder: &Builder<'_>) -> Vec<(SectionId, Option<Vec<u8>>)> {
    let table = |section: &object::build::elf::Section<'_>| {
        let rest = section.name.strip_prefix(TABLE)?;
        let object = match rest {
            [] => None,
            [b'.', object @ ..] => Some(object.to_vec()),
            _ => return None,
        };
        matches!(section.data, SectionData::Data(_)).then_some((section.id(), object))
    };
    builder.sections.iter().filter_map(table).collect()
}

/// An entry of a table.
struct Entry {
    patched: Vec<u8>,
    target: SectionId,
    offset: u64,
    symbol: SymbolId,
    addend: i64,
    r_type: u32,
}

pub(crate) fn plan(builder: &mut Builder<'_>, session: &mut Session<'_>) {
    let tables = tables(builder);
    if tables.is_empty() {
        return;
    }
    let ids: Vec<_> = tables.iter().map(|(id, _)| *id).collect();
    let pointers = Pointers::new(builder, &ids);
    let mut entries = Vec::new();
    for (table, object) in &tables {
        for (number, entry) in (0u64..).zip(content(builder, *table).chunks(ENTRY)) {
            let at = number.saturating_mul(ENTRY as u64);
            match read(builder, &pointers, *table, object.as_deref(), at, entry) {
                Ok(entry) => entries.extend(entry),
                Err(why) => session.refuse(malformed(builder, *table, at, why)),
            }
        }
    }
    let originals = originals(builder);
    for entry in entries {
        let Some(original) = originals.get(&(entry.target.index(), entry.offset)) else {
            let name = builder.sections.get(entry.target).name.to_vec();
            let why = "an entry of __klp_relocs leads here, and there is no relocation";
            session.refuse(Refusal::new(why).at(&name, entry.offset));
            continue;
        };
        session.changed = true;
        disable(builder, *original);
        builder.symbols.get_mut(entry.symbol).st_shndx = SHN_LIVEPATCH;
        let relocation = Relocation {
            r_offset: entry.offset,
            symbol: Some(entry.symbol),
            r_type: RelocationType(entry.r_type),
            r_addend: entry.addend,
        };
        session.planned.push(Planned { patched: entry.patched, target: entry.target, relocation });
    }
    names(builder, session);
}

fn malformed(builder: &Builder<'_>, table: SectionId, at: u64, why: &str) -> Refusal {
    Refusal::new(why).at(&builder.sections.get(table).name, at)
}

/// Reads an entry. `None`: `objtool klp post-link` has converted it already.
fn read(
    builder: &Builder<'_>,
    pointers: &Pointers,
    table: SectionId,
    object: Option<&[u8]>,
    at: u64,
    entry: &[u8],
) -> Result<Option<Entry>, &'static str> {
    let r_type = entry.get(TYPE..).and_then(|bytes| bytes.first_chunk().copied());
    let r_type = r_type.filter(|_| entry.len() == ENTRY).ok_or("the table ends with a part of an entry")?;
    let (target, offset) =
        pointers.leads_to(builder, table, at).ok_or("the entry has no pointer to a field")?;
    let symbol =
        pointers.at(table, at.saturating_add(SYMBOL)).ok_or("the entry has no pointer to a symbol")?;
    let (id, addend) = (symbol.symbol.ok_or("the entry has no symbol")?, symbol.r_addend);
    let symbol = builder.symbols.get(id);
    if symbol.section.is_none() && symbol.st_shndx == SHN_LIVEPATCH {
        return Ok(None);
    }
    if symbol.section.is_some() || symbol.st_shndx != SHN_UNDEF {
        return Err("the entry's symbol is defined in the livepatch");
    }
    let wanted =
        wanted(&symbol.name).ok_or("the entry's symbol is not named .klp.sym.<object>.<name>,<sympos>")?;
    let patched = match object {
        _ if wanted.object == VMLINUX => VMLINUX.to_vec(),
        Some(object) => object.to_vec(),
        None => wanted.object,
    };
    Ok(Some(Entry { patched, target, offset, symbol: id, addend, r_type: u32::from_le_bytes(r_type) }))
}

/// `.klp.sym.<object>.<name>,<sympos>`, with a sympos of digits or `auto`.
pub(crate) fn wanted(name: &[u8]) -> Option<Wanted> {
    let rest = name.strip_prefix(KLP_SYM_PREFIX)?;
    let (object, rest) = super::named::split_once(rest, b'.')?;
    let (name, sympos) = super::named::split_once(rest, b',')?;
    Some(Wanted { object: object.to_vec(), name: name.to_vec(), position: position(sympos)? })
}

/// Where an ordinary relocation is: its section, and its number there.
type Place = (SectionId, usize);

/// The ordinary relocations by the number of their target and the offset. Of several, the first.
fn originals(builder: &Builder<'_>) -> HashMap<(usize, u64), Place> {
    let mut originals = HashMap::new();
    for section in &builder.sections {
        let (Some(target), SectionData::Relocation(relocations)) = (section.sh_info_section, &section.data)
        else {
            continue;
        };
        if section.sh_flags.0 & SHF_RELA_LIVEPATCH != 0 {
            continue;
        }
        for (number, relocation) in relocations.iter().enumerate() {
            originals.entry((target.index(), relocation.r_offset)).or_insert((section.id(), number));
        }
    }
    originals
}

/// Turns a relocation into one that does nothing. Its symbol becomes one that Linux does not look up.
fn disable(builder: &mut Builder<'_>, (section, number): Place) {
    let SectionData::Relocation(relocations) = &mut builder.sections.get_mut(section).data else { return };
    let Some(relocation) = relocations.get_mut(number) else { return };
    relocation.r_type = NONE;
    let Some(symbol) = relocation.symbol else { return };
    let symbol = builder.symbols.get_mut(symbol);
    if symbol.section.is_none() && symbol.st_shndx == SHN_UNDEF {
        symbol.st_shndx = SHN_LIVEPATCH;
    }
}

/// Verifies the symbols of the planned relocations, and gives each the name that Linux reads.
fn names(builder: &mut Builder<'_>, session: &mut Session<'_>) {
    let ids: Vec<_> = session.planned.iter().filter_map(|planned| planned.relocation.symbol).collect();
    for id in ids {
        let symbol = builder.symbols.get_mut(id);
        if let Some(name) = wanted(&symbol.name).and_then(|wanted| session.name_of(&wanted))
            && *symbol.name != *name
        {
            symbol.name = name.into();
        }
    }
}
