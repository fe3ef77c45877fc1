//! A file in the terms that all readers have.

use super::Excuse;
use crate::words;
use relakit::abi::{ELFCLASS64, ELFDATA2LSB, ET_REL, SHN_LORESERVE, SHN_XINDEX, SHT_RELA};
use relakit::arch::MACHINE;
use relakit::elf::{Object, RelaTable, SymbolLocation};

/// What a reader sees.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    Is(T),
    /// Nothing, and why.
    Refused(String),
    /// Something else, and that is known.
    Excused(Excuse),
}

/// One refusal is as good as another.
impl<T: PartialEq> PartialEq for Seen<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is(one), Self::Is(other)) => one == other,
            _ => false,
        }
    }
}

impl<T> Seen<T> {
    pub fn of<E: core::fmt::Debug>(result: Result<T, E>) -> Self {
        match result {
            Ok(seen) => Self::Is(seen),
            Err(error) => Self::Refused(format!("{error:?}")),
        }
    }

    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Is(seen) => Seen::Is(map(seen)),
            Self::Refused(why) => Seen::Refused(why),
            Self::Excused(excuse) => Seen::Excused(excuse),
        }
    }

    /// Something else, where `is` holds.
    pub fn excused(self, is: bool, excuse: Excuse) -> Self {
        if is { Self::Excused(excuse) } else { self }
    }
}

#[derive(Debug)]
pub struct Reading<'d> {
    /// `EI_CLASS`, `EI_DATA`, `e_type` and `e_machine`.
    pub header: [u64; 4],
    pub sections: Vec<Section<'d>>,
    pub symbols: Seen<Vec<Symbol<'d>>>,
}

#[derive(Debug)]
pub struct Section<'d> {
    /// The ten members of an `Elf64_Shdr`, in order.
    pub header: [u64; 10],
    pub name: Seen<&'d [u8]>,
    pub content: Seen<&'d [u8]>,
    /// Offset, symbol, type and addend of each, in a section of type RELA.
    pub relas: Seen<Vec<[u64; 4]>>,
}

#[derive(Debug)]
pub struct Symbol<'d> {
    /// The members of an `Elf64_Sym`, in order.
    pub fields: [u64; 5],
    /// But for this one, `st_other`.
    pub other: Seen<u64>,
    pub name: Seen<&'d [u8]>,
    /// Where it is defined, if it is in a section.
    pub section: Seen<u64>,
}

pub fn by_relakit<'d>(object: &Object<'d>) -> Reading<'d> {
    let sections = object.sections().map(|(_, section)| {
        let content = object.section_bytes(&section);
        let relas = RelaTable::whole_entries(content).0.iter().filter(|_| section.sh_type == SHT_RELA);
        Section {
            header: words!(section: sh_name sh_type sh_flags.bits() sh_addr sh_offset sh_size sh_link sh_info sh_addralign sh_entsize),
            name: Seen::Is(object.section_name(&section)),
            content: Seen::Is(content),
            relas: Seen::Is(
                relas
                    .map(|rela| {
                        let (symbol, r_type) = (u64::from(rela.r_sym), u64::from(rela.r_type));
                        [rela.r_offset, symbol, r_type, rela.r_addend.cast_unsigned()]
                    })
                    .collect(),
            ),
        }
    });
    let table = object.symbols();
    let symbols = (0..table.len()).map(|index| {
        let symbol = table.get(index).expect("it exists");
        Symbol {
            fields: words!(symbol: st_name st_info st_shndx st_value st_size),
            other: Seen::Is(u64::from(symbol.st_other)),
            name: Seen::of(table.name(&symbol)),
            section: match table.location(&symbol) {
                SymbolLocation::Section(section) => Seen::Is(u64::from(section)),
                SymbolLocation::Invalid(section) if section < u32::from(SHN_LORESERVE) => {
                    Seen::Is(u64::from(section))
                }
                // A section that there is not, said in the extended table; or that table is not there.
                SymbolLocation::Invalid(section) if symbol.st_shndx == SHN_XINDEX => match section {
                    section if section == u32::from(SHN_XINDEX) => Seen::Refused("no extended index".into()),
                    section => Seen::Is(u64::from(section)),
                },
                _ => Seen::Is(0),
            },
        }
    });
    Reading {
        // The one kind of file that it reads.
        header: [u64::from(ELFCLASS64), u64::from(ELFDATA2LSB), u64::from(ET_REL), u64::from(MACHINE)],
        sections: sections.collect(),
        symbols: Seen::Is(symbols.collect()),
    }
}
