//! A module as it stands in a file, read by fixed offsets (gABI 4), and what a loader refuses in a
//! file that can be read.

use crate::{ALLOC, Kernel, LIVEPATCH};
use core::ops::Range;
use relakit::ErrorKind;
use relakit::abi::{SHN_XINDEX, SHT_NOBITS, SHT_NULL, SHT_REL, SHT_RELA, SHT_SYMTAB, SHT_SYMTAB_SHNDX};
use relakit::elf::Rela;

/// A section header, with the section's name.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "the fields of an Elf64_Shdr")]
pub struct Section<'f> {
    /// `None`: outside of the table of names.
    pub name: Option<&'f [u8]>,
    pub sh_type: u32,
    pub sh_flags: u64,
    pub sh_offset: u64,
    pub sh_size: u64,
    pub sh_link: u32,
    pub sh_info: u32,
}

impl Section<'_> {
    /// Whether it has one of these flags.
    pub fn has(&self, flag: u64) -> bool {
        self.sh_flags & flag != 0
    }

    /// Whether it has bytes in the file.
    pub fn has_bytes(&self) -> bool {
        !matches!(self.sh_type, SHT_NOBITS | SHT_NULL)
    }

    /// Whether it holds relocations.
    pub fn is_table(&self) -> bool {
        matches!(self.sh_type, SHT_RELA | SHT_REL) || self.has(LIVEPATCH)
    }

    /// Where its bytes are in the file. An empty section can have any offset.
    fn range(&self) -> Range<usize> {
        match self.sh_size {
            0 => 0..0,
            size => self.sh_offset as usize..(self.sh_offset + size) as usize,
        }
    }
}

/// A symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'f> {
    /// Its name.
    pub name: &'f [u8],
    /// `st_info`.
    pub info: u8,
    /// `st_shndx`.
    pub shndx: u16,
    /// The section of a symbol that is in one: `st_shndx`, or its extended index.
    pub section: u32,
    /// `st_value`.
    pub value: u64,
}

/// A module. The file is one that can be read: its tables are inside of it.
#[derive(Clone, Debug)]
pub struct Module<'f> {
    /// By whose rules it is loaded.
    pub kernel: Kernel,
    /// The sections, section 0 included.
    pub sections: Vec<Section<'f>>,
    /// Index of the symbol table; 0 if there is none.
    pub symtab: u32,
    names_section: u32,
    file: &'f [u8],
}

/// The little-endian number of `size` bytes at `at`.
fn number(file: &[u8], at: usize, size: usize) -> u64 {
    file[at..][..size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn half(file: &[u8], at: usize) -> u16 {
    number(file, at, 2) as u16
}

fn word(file: &[u8], at: usize) -> u32 {
    number(file, at, 4) as u32
}

/// The bytes up to a NUL; `None` if `at` is outside.
fn text(strings: &[u8], at: u32) -> Option<&[u8]> {
    strings.get(at as usize..)?.split(|byte| *byte == 0).next()
}

impl<'f> Module<'f> {
    /// Reads the section headers of a file.
    pub fn read(file: &'f [u8], kernel: Kernel) -> Self {
        let table = number(file, 40, 8) as usize;
        let headers = file.get(table..).unwrap_or_default().as_chunks::<64>().0;
        let first = headers.first().unwrap_or(&[0; 64]);
        let count = match half(file, 60) {
            0 => number(first, 32, 8) as usize,
            count => usize::from(count),
        };
        let names_section = match half(file, 62) {
            SHN_XINDEX => word(first, 40),
            index => u32::from(index),
        };
        let section = |header: &[u8; 64]| Section {
            name: None,
            sh_type: word(header, 4),
            sh_flags: number(header, 8, 8),
            sh_offset: number(header, 24, 8),
            sh_size: number(header, 32, 8),
            sh_link: word(header, 40),
            sh_info: word(header, 44),
        };
        let headers = &headers[..count.min(headers.len())];
        let sections: Vec<_> = headers.iter().map(section).collect();
        let symtab = sections.iter().position(|section| section.sh_type == SHT_SYMTAB).unwrap_or(0) as u32;
        let mut module = Self { kernel, sections, symtab, names_section, file };
        let names = if names_section == 0 { b"\0" } else { module.bytes(names_section) };
        for (section, header) in module.sections.iter_mut().zip(headers) {
            section.name = text(names, word(header, 0));
        }
        module
    }

    /// The bytes of a section in the file.
    pub fn bytes(&self, index: u32) -> &'f [u8] {
        let section = self.sections.get(index as usize).filter(|section| section.has_bytes());
        section.map_or(&[], |section| &self.file[section.range()])
    }

    /// The relocations of a section. Bytes after the last whole one are skipped.
    pub fn entries(&self, index: u32) -> Vec<Rela> {
        crate::table::entries(self.bytes(index))
    }

    /// The symbols, symbol 0 included.
    pub fn symbols(&self) -> Vec<Symbol<'f>> {
        let strings = self.bytes(self.sections.get(self.symtab as usize).map_or(0, |table| table.sh_link));
        let is_extended =
            |section: &Section<'_>| section.sh_type == SHT_SYMTAB_SHNDX && section.sh_link == self.symtab;
        let extended = self.sections.iter().position(is_extended).map_or(&[][..], |at| self.bytes(at as u32));
        let symbol = |(index, entry): (usize, &[u8; 24])| {
            let shndx = half(entry, 6);
            let extended = extended.as_chunks().0.get(index).filter(|_| shndx == SHN_XINDEX);
            Symbol {
                name: text(strings, word(entry, 0)).unwrap_or_default(),
                info: entry[4],
                shndx,
                section: extended.map_or(u32::from(shndx), |section| u32::from_le_bytes(*section)),
                value: number(entry, 8, 8),
            }
        };
        self.bytes(self.symtab).as_chunks().0.iter().enumerate().map(symbol).collect()
    }

    /// Why a loader refuses the file, by a slow look at single bytes: relocation tables share
    /// bytes, or Linux writes bytes before it reads them (Linux semantics 2). The error, and
    /// the section that it names.
    pub fn refusal(&self) -> Option<(ErrorKind, Option<u32>)> {
        let tables = self.sections.iter().filter(|section| section.has_bytes() && section.is_table());
        let size = tables.map(|section| u128::from(section.sh_size)).sum::<u128>();
        if size > self.file.len() as u128 {
            return Some((ErrorKind::RelocationsTooLarge, None));
        }
        // Only Linux writes to the bytes of the file.
        let version = self.kernel.linux?;
        let headers = number(self.file, 40, 8) as usize;
        let mut is_header = vec![false; self.file.len()];
        is_header[headers..][..64 * self.sections.len()].fill(true);
        let mut is_in_template = vec![false; self.file.len()];
        if let Some(index) = self.allocated(b".data..percpu")
            && version >= (6, 16)
            && self.sections[index as usize].has_bytes()
        {
            is_in_template[self.sections[index as usize].range()].fill(true);
        }
        (0..).zip(&self.sections).find_map(|(index, section)| {
            let end = u128::from(section.sh_offset) + u128::from(section.sh_size);
            let is_copied = index != 0 && section.sh_type == SHT_NULL && section.has(ALLOC);
            if is_copied && section.sh_size != 0 && end > self.file.len() as u128 {
                return Some((ErrorKind::NullOutside, Some(index)));
            }
            let is_read_late = section.is_table() || index == self.names_section;
            let shares = section.has_bytes()
                && (is_header[section.range()].contains(&true)
                    || is_read_late && is_in_template[section.range()].contains(&true));
            shares.then_some((ErrorKind::SharedBytes, Some(index)))
        })
    }

    /// Index of the first section of this name that has `SHF_ALLOC`.
    pub fn allocated(&self, name: &[u8]) -> Option<u32> {
        let is_it = |section: &Section<'_>| section.has(ALLOC) && section.name == Some(name);
        let at = self.sections.iter().skip(1).position(is_it)?;
        Some(at as u32 + 1)
    }
}
