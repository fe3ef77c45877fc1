//! The modules of kpatch-build before `create-klp-module`.
//!
//! `.kpatch.symbols` and `.kpatch.relocations` are tables, and `.kpatch.strings` has the names. The
//! fields have no other relocations. The tables are removed, and so is `.kpatch.arch`, which only
//! kernels before 5.8 need.
//!
//! Source (facts only): `kpatch-build/kpatch-intermediate.h`, `create-klp-module.c` of kpatch.

use super::{Pointers, content};
use crate::refusal::Refusal;
use crate::session::{Planned, Session};
use crate::symbols::{Position, Wanted};
use crate::types::SHN_LIVEPATCH;
use object::build::elf::{Builder, Relocation, SectionId, SymbolId};
use object::elf::{RelocationType, SymbolBind, SymbolType};
use relakit::abi::VMLINUX;
use std::collections::HashMap;

const SYMBOLS: &[u8] = b".kpatch.symbols";
const RELOCATIONS: &[u8] = b".kpatch.relocations";
const ARCH: &[u8] = b".kpatch.arch";

/// `struct kpatch_symbol`: size, and the offsets of its members, in bytes.
mod symbol {
    pub(super) const SIZE: usize = 40;
    pub(super) const SYMPOS: usize = 8;
    pub(super) const BIND: usize = 16;
    pub(super) const TYPE: usize = 17;
    pub(super) const NAME: u64 = 24;
    pub(super) const OBJECT: u64 = 32;
}

/// `struct kpatch_relocation`: the same.
mod relocation {
    pub(super) const SIZE: usize = 40;
    pub(super) const DEST: u64 = 0;
    pub(super) const TYPE: usize = 8;
    pub(super) const EXTERNAL: usize = 12;
    pub(super) const ADDEND: usize = 16;
    pub(super) const OBJECT: u64 = 24;
    pub(super) const SYMBOL: u64 = 32;
}

pub(crate) fn plan(builder: &mut Builder<'_>, session: &mut Session<'_>, has_groups: bool) {
    let named = |builder: &Builder<'_>, name: &[u8]| {
        builder.sections.iter().find(|section| *section.name == *name).map(|section| section.id())
    };
    let (Some(symbols), Some(relocations)) = (named(builder, SYMBOLS), named(builder, RELOCATIONS)) else {
        return;
    };
    if has_groups {
        session.refuse(Refusal::new(
            "the tables of kpatch cannot be removed, because the file has section groups",
        ));
        return;
    }
    let arch = named(builder, ARCH);
    let tables = Tables { symbols, pointers: Pointers::new(builder, &[symbols, relocations]) };
    let mut made = HashMap::new();
    let entries = content(builder, relocations).to_vec();
    for (number, entry) in (0u64..).zip(entries.chunks(relocation::SIZE)) {
        let at = number.saturating_mul(relocation::SIZE as u64);
        match tables.relocation(builder, session, &mut made, relocations, at, entry) {
            Ok(planned) => session.planned.extend(planned),
            Err(why) => session.refuse(Refusal::new(why).at(RELOCATIONS, at)),
        }
    }
    session.changed = true;
    let removed = [Some(symbols), Some(relocations), arch];
    for section in &mut builder.sections {
        let id = Some(section.id());
        section.delete |= removed.contains(&id)
            || (section.sh_info_section.is_some() && removed.contains(&section.sh_info_section));
    }
}

struct Tables {
    symbols: SectionId,
    pointers: Pointers,
}

/// The symbols that are made, by the object that is patched and their names. Two objects share none:
/// when one of them is unloaded, the symbol's value is stale.
type Made = HashMap<(Vec<u8>, Vec<u8>), SymbolId>;

impl Tables {
    /// Reads an entry of `.kpatch.relocations`. `None`: its symbol is refused.
    fn relocation(
        &self,
        builder: &mut Builder<'_>,
        session: &mut Session<'_>,
        made: &mut Made,
        table: SectionId,
        at: u64,
        entry: &[u8],
    ) -> Result<Option<Planned>, &'static str> {
        if entry.len() != relocation::SIZE {
            return Err("the table ends with a part of an entry");
        }
        let external = u32_at(entry, relocation::EXTERNAL);
        let (Some(r_type), Some(0 | 1), Some(addend)) =
            (u32_at(entry, relocation::TYPE), external, u64_at(entry, relocation::ADDEND))
        else {
            return Err("the entry is not that of a current kpatch");
        };
        let leads = |offset: u64| self.pointers.leads_to(builder, table, at.saturating_add(offset));
        let (target, r_offset) = leads(relocation::DEST).ok_or("the entry has no pointer to a field")?;
        let object = leads(relocation::OBJECT)
            .and_then(|place| string(builder, place))
            .ok_or("the entry has no object")?;
        let (section, ksym) = leads(relocation::SYMBOL).ok_or("the entry has no pointer to a symbol")?;
        if section != self.symbols {
            return Err("the entry's symbol is not in .kpatch.symbols");
        }
        let Some((symbol, patched)) = self.symbol(builder, session, made, ksym, object)? else {
            return Ok(None);
        };
        let relocation = Relocation {
            r_offset,
            symbol: Some(symbol),
            r_type: RelocationType(r_type),
            r_addend: addend.cast_signed(),
        };
        Ok(Some(Planned { patched, target, relocation }))
    }

    /// Finds or makes the symbol of an entry of `.kpatch.symbols`. `patched` is the object of the
    /// relocation. Returns the object whose load it waits for, too.
    fn symbol(
        &self,
        builder: &mut Builder<'_>,
        session: &mut Session<'_>,
        made: &mut Made,
        at: u64,
        patched: Vec<u8>,
    ) -> Result<Option<(SymbolId, Vec<u8>)>, &'static str> {
        let start = usize::try_from(at).ok().filter(|start| start.is_multiple_of(symbol::SIZE));
        let entry = start.and_then(|start| content(builder, self.symbols).get(start..)?.get(..symbol::SIZE));
        let entry = entry.ok_or("the entry's symbol is outside of .kpatch.symbols")?;
        let (sympos, bind, kind) = (
            u64_at(entry, symbol::SYMPOS),
            entry.get(symbol::BIND).copied(),
            entry.get(symbol::TYPE).copied(),
        );
        let (Some(sympos), Some(bind), Some(kind)) = (sympos, bind, kind) else {
            return Err("the symbol is incomplete");
        };
        let text = |offset: u64| {
            let place = self.pointers.leads_to(builder, self.symbols, at.saturating_add(offset));
            place.and_then(|place| string(builder, place))
        };
        let (Some(name), Some(object)) = (text(symbol::NAME), text(symbol::OBJECT)) else {
            return Err("the entry's symbol has no name");
        };
        let patched = if object == VMLINUX { object.clone() } else { patched };
        let wanted = Wanted { object, name, position: Position::Given(sympos) };
        let Some(name) = session.name_of(&wanted) else { return Ok(None) };
        let id = *made.entry((patched.clone(), name)).or_insert_with_key(|(_, name)| {
            let symbol = builder.symbols.add();
            symbol.name = name.clone().into();
            symbol.set_st_info(SymbolBind(bind & 0xf), SymbolType(kind & 0xf));
            symbol.st_shndx = SHN_LIVEPATCH;
            symbol.id()
        });
        Ok(Some((id, patched)))
    }
}

/// Longest text that is read, in bytes. Linux refuses names of 512 bytes.
const LONGEST: usize = 1024;

/// The text at a place, without its NUL.
fn string(builder: &Builder<'_>, (section, offset): (SectionId, u64)) -> Option<Vec<u8>> {
    let bytes = content(builder, section).get(usize::try_from(offset).ok()?..)?;
    let end = bytes.iter().take(LONGEST).position(|byte| *byte == 0)?;
    bytes.get(..end).map(<[u8]>::to_vec)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
