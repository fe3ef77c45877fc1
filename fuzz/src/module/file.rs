//! Writes a plan as an ELF file (gABI 4), independent of the crate under test.

use super::plan::{Plan, Relocations, Symbol};
use relakit::abi::*;
use relakit::arch::MACHINE;

/// A section header to be, without its name: type, flags, size, link, info, and its bytes.
struct Header<'a> {
    /// `None`: outside of the name table.
    name: Option<&'a str>,
    kind: u32,
    flags: u64,
    size: usize,
    link: u32,
    info: u32,
    bytes: &'a [u8],
}

impl Plan {
    /// The module as a file.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut symbols = Vec::with_capacity(self.symbols.len() * SYM_SIZE);
        for symbol in &self.symbols {
            symbol.write(&mut symbols, &mut strings);
        }
        let tables: Vec<_> = self.relocations.iter().map(Relocations::table).collect();
        let number = self.symbols_section();
        let plain =
            |name, kind, bytes| Header { name: Some(name), kind, flags: 0, size: 0, link: 0, info: 0, bytes };
        let mut headers = vec![Header { flags: self.zero_flags, ..plain("", SHT_NULL, &[]) }];
        headers.extend(self.targets.iter().map(|target| Header {
            flags: target.flags,
            ..plain(target.name, target.kind, &target.content)
        }));
        headers.extend(self.relocations.iter().zip(&tables).map(|(section, table)| Header {
            flags: section.flags,
            link: number,
            info: section.target,
            name: Some(&*section.name).filter(|_| !section.is_name_outside),
            ..plain("", section.kind, table)
        }));
        headers.push(Header { link: number + 1, ..plain(".symtab", SHT_SYMTAB, &symbols) });
        headers.push(plain(".strtab", SHT_STRTAB, &strings));
        headers.push(plain(".shstrtab", SHT_STRTAB, &[]));
        let names = headers.len() - 1;
        let count = usize::try_from(self.section_count()).unwrap();
        headers.extend((headers.len()..count).map(|_| plain("", SHT_NULL, &[])));
        write(headers, names)
    }
}

impl Symbol {
    fn write(&self, table: &mut Vec<u8>, strings: &mut Vec<u8>) {
        table.extend(add(strings, &self.name).to_le_bytes());
        table.extend([self.info, 0]);
        table.extend(self.shndx.to_le_bytes());
        table.extend(self.value.to_le_bytes());
        table.extend(8u64.to_le_bytes());
    }
}

impl Relocations {
    fn table(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(self.entries.len() * RELA_SIZE + self.partial);
        for entry in &self.entries {
            table.extend(entry.offset.to_le_bytes());
            table.extend(entry.r_type.to_le_bytes());
            table.extend(entry.symbol.to_le_bytes());
            table.extend(entry.addend.to_le_bytes());
        }
        table.resize(table.len() + self.partial, 0xee);
        table
    }
}

/// Adds a string and answers where it begins.
fn add(strings: &mut Vec<u8>, text: &str) -> u32 {
    if text.is_empty() {
        return 0;
    }
    let at = strings.len();
    strings.extend(text.bytes());
    strings.push(0);
    u32::try_from(at).unwrap()
}

/// Section headers last; the names' section, which is number `shstrndx`, is still empty.
fn write(sections: Vec<Header<'_>>, shstrndx: usize) -> Vec<u8> {
    let mut names = vec![0];
    let mut offset = |section: &Header<'_>| section.name.map_or(u32::MAX, |name| add(&mut names, name));
    let offsets: Vec<_> = sections.iter().map(&mut offset).collect();
    let names = names;
    let [count, shstrndx_half] = [sections.len(), shstrndx].map(|number| u16::try_from(number).unwrap());
    let mut sections: Vec<Header<'_>> = sections;
    for section in &mut sections {
        section.size = section.bytes.len();
    }
    (sections[shstrndx].size, sections[shstrndx].bytes) = (names.len(), &names);
    let mut file = vec![0; EHDR_SIZE];
    let mut headers = Vec::with_capacity(sections.len() * SHDR_SIZE);
    for (section, name) in sections.iter().zip(offsets) {
        headers.extend(name.to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        headers.extend(section.flags.to_le_bytes());
        headers.extend(0u64.to_le_bytes());
        headers.extend((file.len() as u64).to_le_bytes());
        headers.extend((section.size as u64).to_le_bytes());
        headers.extend(section.link.to_le_bytes());
        headers.extend(section.info.to_le_bytes());
        headers.extend(8u64.to_le_bytes());
        headers.extend(0u64.to_le_bytes());
        if section.kind != SHT_NOBITS {
            file.extend(section.bytes);
        }
    }
    let table = file.len() as u64;
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT]);
    for (at, half) in
        [(16, ET_REL), (18, MACHINE), (20, 1), (52, 64), (58, 64), (60, count), (62, shstrndx_half)]
    {
        file[at..at + 2].copy_from_slice(&u16::to_le_bytes(half));
    }
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file.extend(headers);
    file
}
