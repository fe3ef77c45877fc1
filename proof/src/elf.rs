//! A file, its sections, its symbols and its relocations.

use crate::each;
use core::hint::black_box;
use relakit::elf::{Object, Rela, RelaTable, Section, Strings, Symbol};
use relakit::{Error, Profile, klp};

/// A file and numbers to ask it with.
pub struct Asked<'a> {
    file: &'a [u8],
    entry: [u8; 24],
    section: Section,
    symbol: Symbol,
    profile: Profile,
    index: u32,
    at: usize,
}

#[unsafe(no_mangle)]
extern "C" fn proof_elf(asked: &Asked<'_>) -> i32 {
    object(asked).and_then(|()| relocations(asked)).map_or_else(|error| error.kind as i32, |()| 0)
}

fn object(asked: &Asked<'_>) -> Result<(), Error> {
    let Asked { file, section, symbol, index, .. } = asked;
    let object = Object::parse(file)?;
    black_box((object.bytes(), object.section_count(), object.names_section(), object.section(*index)));
    black_box((object.section_name(section), object.section_bytes(section), section.has_bytes()));
    black_box((object.section_is_named(section, file), object.section_name_starts_with(section, file)));
    each(object.sections());
    let symbols = object.symbols();
    black_box((symbols.section(), symbols.strings_section(), symbols.len(), symbols.is_empty()));
    black_box((symbols.get(*index), symbol.binding(), symbol.index(), symbols.location(symbol)));
    black_box(symbols.name(symbol)?);
    each(symbols.into_iter());
    each(symbols.iter().rev());
    black_box(symbols.iter().size_hint());
    black_box(symbols.strings().name(*index));
    strings(asked);
    Ok(())
}

fn strings(asked: &Asked<'_>) {
    let strings = Strings::new(asked.file);
    black_box((strings.bytes(), strings.name(asked.index)));
    black_box((strings.is(asked.index, &asked.entry), strings.starts_with(asked.index, &asked.entry)));
    if let Some(name) = klp::RelaName::parse(asked.file) {
        black_box((name, name.section(), name.is_cut()));
    }
    black_box(klp::SymName::parse(asked.file, &asked.profile));
    let mut text = [0; 600];
    black_box(klp::RelaName::write(asked.file, asked.file, &mut text));
    black_box(klp::SymName::write(asked.file, asked.file, u64::from(asked.index), &asked.profile, &mut text));
}

fn relocations(asked: &Asked<'_>) -> Result<(), Error> {
    black_box(Rela::read(&asked.entry).to_bytes());
    black_box(RelaTable::whole_entries(asked.file));
    let table = RelaTable::new(asked.file)?;
    black_box((table.entries(), table.len(), table.is_empty(), table.get(asked.at)));
    each(table.iter());
    each(table.iter().rev());
    each(table.numbered());
    let mut numbers = [asked.index, asked.symbol.st_name, 1];
    relakit::sort::sort(&mut numbers, &|one: u32, other| one.cmp(&other));
    black_box(numbers);
    Ok(())
}
