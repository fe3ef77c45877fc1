//! The other readers, and where each may answer otherwise.

use super::Excuse;
use super::read::{Reading, Section, Seen, Symbol};
use crate::words;
use elf::ElfBytes;
use elf::endian::LittleEndian as ElfLittleEndian;
use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::{EI_CLASS, EI_DATA};
use goblin::elf::{Elf, RelocSection, SectionHeader as GoblinSection, Symtab};
use goblin::strtab::Strtab;
use object::elf::{FileHeader64, SHT_SYMTAB as OBJECT_SYMTAB};
use object::read::elf::{FileHeader, Rela as _, SectionHeader as _, Sym as _};
use object::{LittleEndian, SymbolIndex};
use relakit::abi::{
    SHN_LORESERVE, SHN_XINDEX, SHT_NOBITS, SHT_NULL, SHT_RELA, SHT_SYMTAB, SHT_SYMTAB_SHNDX, SYM_SIZE,
};

/// `SHF_COMPRESSED` (gABI 4).
const COMPRESSED: u64 = 1 << 11;

fn kind(header: &[u64; 10]) -> u64 {
    header[1]
}

fn is_unused(header: &[u64; 10]) -> bool {
    kind(header) == u64::from(SHT_NULL)
}

fn is_rela(header: &[u64; 10]) -> bool {
    kind(header) == u64::from(SHT_RELA)
}

fn has_no_table(data: &[u8]) -> bool {
    data.get(40..48) == Some(&[0; 8])
}

/// An extended `e_shstrndx`, and section 0 says 0.
fn names_in_section_zero(data: &[u8]) -> bool {
    let word = |at: usize| data.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
    let table = word(40).and_then(|table| usize::try_from(table).ok());
    let link = table.and_then(|table| data.get(table.checked_add(40)?..)?.first_chunk::<4>());
    data.get(62..64) == Some(&[0xff; 2]) && link == Some(&[0; 4])
}

pub fn by_object(data: &[u8]) -> Seen<Reading<'_>> {
    let read = || -> object::read::Result<Reading<'_>> {
        let header = FileHeader64::<LittleEndian>::parse(data)?;
        let endian = header.endian()?;
        let table = header.sections(endian, data)?;
        let sections = table.iter().map(|section| {
            let header = words!(section: sh_name(endian) sh_type(endian).0 sh_flags(endian).0 sh_addr(endian)
                sh_offset(endian) sh_size(endian) sh_link(endian) sh_info(endian) sh_addralign(endian)
                sh_entsize(endian));
            let relas = section.rela(endian, data).map(|relas| {
                let relas = relas.map_or(&[][..], |relas| relas.0).iter();
                let rela = |rela: &object::elf::Rela64<LittleEndian>| {
                    let (symbol, r_type) = (rela.r_sym(endian, false), rela.r_type(endian, false).0);
                    let addend = rela.r_addend(endian).cast_unsigned();
                    [rela.r_offset(endian), u64::from(symbol), u64::from(r_type), addend]
                };
                relas.map(rela).collect()
            });
            let is_partial = is_rela(&header) && !header[5].is_multiple_of(24);
            Section {
                header,
                name: Seen::of(table.section_name(endian, section))
                    .excused(is_unused(&header), Excuse::UnusedHeader),
                content: Seen::of(section.data(endian, data))
                    .excused(is_unused(&header), Excuse::UnusedHeader),
                relas: Seen::of(relas).excused(is_partial, Excuse::PartialEntry),
            }
        });
        let is_partial = table.iter().any(|section| match section.sh_type(endian).0 {
            SHT_SYMTAB => section.sh_size(endian) % SYM_SIZE as u64 != 0,
            SHT_SYMTAB_SHNDX => section.sh_size(endian) % 4 != 0,
            _ => false,
        });
        let symbols = table.symbols(endian, data, OBJECT_SYMTAB).map(|symbols| {
            let symbol = |(index, symbol): (SymbolIndex, &object::elf::Sym64<LittleEndian>)| Symbol {
                fields: words!(symbol: st_name(endian) st_info().0 st_shndx(endian).0 st_value(endian) st_size(endian)),
                other: Seen::Is(u64::from(symbol.st_other().0)),
                name: Seen::of(symbols.symbol_name(endian, symbol)),
                section: Seen::of(symbols.symbol_section(endian, symbol, index))
                    .map(|section| section.map_or(0, |section| section.0 as u64)),
            };
            symbols.enumerate().map(symbol).collect()
        });
        let symbols = Seen::of(symbols).excused(is_partial, Excuse::PartialEntry);
        Ok(Reading {
            header: words!(header: e_ident().class.0 e_ident().data.0 e_type(endian).0 e_machine(endian).0),
            sections: sections.collect(),
            symbols,
        })
    };
    Seen::of(read())
        .excused(has_no_table(data), Excuse::NoTable)
        .excused(data.get(62..64) == Some(&[0; 2]), Excuse::NoNames)
        .excused(names_in_section_zero(data), Excuse::NamesInSectionZero)
}

pub fn by_goblin(data: &[u8]) -> Seen<Reading<'_>> {
    // Part by part: goblin's way through a whole file also reads what only executables have.
    let read = || -> goblin::error::Result<Option<Reading<'_>>> {
        let header = Elf::parse_header(data)?;
        let ctx = Ctx::new(Container::Big, Endian::Little);
        let offset = usize::try_from(header.e_shoff).unwrap_or(usize::MAX);
        let headers = GoblinSection::parse(data, offset, usize::from(header.e_shnum), ctx)?;
        if header.e_shnum == 0 && headers.first().is_some_and(|first| first.sh_size == 0) {
            return Ok(None);
        }
        let content = |section: &GoblinSection| match section.sh_type {
            SHT_NOBITS => Some(&data[..0]),
            _ => data.get(section.file_range()?),
        };
        let strings = |index: usize| headers.get(index).and_then(content).unwrap_or_default();
        let names = match header.e_shstrndx {
            SHN_XINDEX => headers.first().map_or(0, |first| first.sh_link as usize),
            index => usize::from(index),
        };
        let sections = headers.iter().map(|section| {
            let header = words!(section: sh_name sh_type sh_flags sh_addr sh_offset sh_size sh_link sh_info
                sh_addralign sh_entsize);
            let (start, size) = (section.sh_offset as usize, section.sh_size as usize);
            let relas = match is_rela(&header) {
                true => RelocSection::parse(data, start, size, true, ctx).map(|relas| {
                    let addend = |rela: &goblin::elf::Reloc| rela.r_addend.unwrap_or(0).cast_unsigned();
                    relas
                        .iter()
                        .map(|rela| [rela.r_offset, rela.r_sym as u64, u64::from(rela.r_type), addend(&rela)])
                        .collect()
                }),
                false => Ok(Vec::new()),
            };
            Section {
                header,
                name: goblin_name(strings(names), section.sh_name)
                    .excused(is_unused(&header), Excuse::UnusedHeader)
                    .excused(names == 0, Excuse::NoNames),
                content: content(section)
                    .map_or_else(|| Seen::Refused("outside".into()), Seen::Is)
                    .excused(is_unused(&header), Excuse::UnusedHeader),
                relas: Seen::of(relas),
            }
        });
        let sections = sections.collect();
        let mut symbols = Seen::Is(Vec::new());
        if let Some(symtab) = headers.iter().find(|section| section.sh_type == SHT_SYMTAB) {
            let (offset, count) = (symtab.sh_offset as usize, symtab.sh_size as usize / SYM_SIZE);
            let names = strings(symtab.sh_link as usize);
            let symbol = |symbol: goblin::elf::Sym| Symbol {
                fields: words!(symbol: st_name st_info st_shndx st_value st_size),
                other: Seen::Is(u64::from(symbol.st_other)),
                name: goblin_name(names, symbol.st_name),
                // It does not read the extended table.
                section: Seen::Is(symbol.st_shndx as u64)
                    .excused(symbol.st_shndx >= usize::from(SHN_LORESERVE), Excuse::ReservedIndex),
            };
            let table = Symtab::parse(data, offset, count, ctx);
            symbols = Seen::of(table.map(|table| table.iter().map(symbol).collect()))
                .excused(count == 0 && offset >= data.len(), Excuse::EmptyTable);
        }
        let ident = header.e_ident;
        let (class, data) = (u64::from(ident[EI_CLASS]), u64::from(ident[EI_DATA]));
        let header = [class, data, u64::from(header.e_type), u64::from(header.e_machine)];
        Ok(Some(Reading { header, sections, symbols }))
    };
    match read().transpose() {
        None => Seen::Excused(Excuse::CountOfZero),
        Some(seen) => Seen::of(seen).excused(has_no_table(data), Excuse::NoTable),
    }
}

fn goblin_name(table: &[u8], at: usize) -> Seen<&[u8]> {
    let Some(tail) = table.get(at..) else { return Seen::Refused("outside".into()) };
    let Some(end) = tail.iter().position(|byte| *byte == 0) else { return Seen::Excused(Excuse::NoNul) };
    if core::str::from_utf8(&tail[..end]).is_err() {
        return Seen::Excused(Excuse::NotUtf8);
    }
    let name = Strtab::new(table, 0).get_unsafe(at);
    name.map_or_else(|| Seen::Refused("outside".into()), |name| Seen::Is(name.as_bytes()))
}

pub fn by_elf<'d>(data: &'d [u8]) -> Seen<Reading<'d>> {
    let read = || -> Result<Reading<'d>, elf::ParseError> {
        let file = ElfBytes::<ElfLittleEndian>::minimal_parse(data)?;
        let (headers, names) = file.section_headers_with_strtab()?;
        let sections = headers.iter().flat_map(|headers| headers.iter()).map(|section| {
            let header = words!(section: sh_name sh_type sh_flags sh_addr sh_offset sh_size sh_link sh_info
                sh_addralign sh_entsize);
            let name = names.map_or(Ok(&[][..]), |names| names.get_raw(section.sh_name as usize));
            let content = file.section_data(&section).map(|(bytes, _)| bytes);
            let relas = match is_rela(&header) {
                true => file.section_data_as_relas(&section).map(|relas| {
                    let rela = |rela: elf::relocation::Rela| {
                        let (symbol, r_type) = (u64::from(rela.r_sym), u64::from(rela.r_type));
                        [rela.r_offset, symbol, r_type, rela.r_addend.cast_unsigned()]
                    };
                    relas.map(rela).collect()
                }),
                false => Ok(Vec::new()),
            };
            let is_compressed = header[2] & COMPRESSED != 0;
            Section {
                header,
                name: Seen::of(name).excused(is_unused(&header), Excuse::UnusedHeader),
                content: Seen::of(content)
                    .excused(is_unused(&header), Excuse::UnusedHeader)
                    .excused(is_compressed, Excuse::Compressed),
                relas: Seen::of(relas).excused(is_compressed, Excuse::Compressed),
            }
        });
        let wrong_size = |section: elf::section::SectionHeader| {
            section.sh_type == SHT_SYMTAB && section.sh_entsize != SYM_SIZE as u64
        };
        let wrong_size = headers.iter().flat_map(|headers| headers.iter()).any(wrong_size);
        let symbols = file.symbol_table().map(|table| {
            let symbols = table
                .into_iter()
                .flat_map(|(symbols, names)| symbols.into_iter().map(move |symbol| (symbol, names)));
            let symbol =
                |(symbol, names): (elf::symbol::Symbol, elf::string_table::StringTable<'d>)| Symbol {
                    fields: [
                        u64::from(symbol.st_name),
                        u64::from(symbol.st_symtype() | symbol.st_bind() << 4),
                        u64::from(symbol.st_shndx),
                        symbol.st_value,
                        symbol.st_size,
                    ],
                    other: Seen::Excused(Excuse::Visibility),
                    name: Seen::of(names.get_raw(symbol.st_name as usize)),
                    section: Seen::Is(u64::from(symbol.st_shndx))
                        .excused(symbol.st_shndx >= SHN_LORESERVE, Excuse::ReservedIndex),
                };
            symbols.map(symbol).collect()
        });
        let symbols = Seen::of(symbols).excused(wrong_size, Excuse::EntrySize);
        let class = if file.ehdr.class == elf::file::Class::ELF64 { 2 } else { 1 };
        // It reads no other order of bytes with this parameter.
        let header = [class, 1, u64::from(file.ehdr.e_type), u64::from(file.ehdr.e_machine)];
        Ok(Reading { header, sections: sections.collect(), symbols })
    };
    let has_program_headers = data.get(32..40) != Some(&[0; 8]);
    match read() {
        Err(_) if has_program_headers => Seen::Excused(Excuse::ProgramHeaders),
        seen => Seen::of(seen)
            .excused(has_no_table(data), Excuse::NoTable)
            .excused(names_in_section_zero(data), Excuse::NamesInSectionZero),
    }
}
