//! Writes modules for the tests.

/// `sh_type` values (gABI 4, "Sections").
pub const PROGBITS: u32 = 1;
pub const RELA: u32 = 4;
pub const NOBITS: u32 = 8;
/// `sh_flags`: `SHF_ALLOC` with `SHF_WRITE`, and with `SHF_RELA_LIVEPATCH`.
pub const DATA: u64 = 0x3;
pub const LIVEPATCH: u64 = 0x10_0042;
/// `st_shndx` of a livepatch symbol, and of one with an absolute value.
pub const SHN_LIVEPATCH: u16 = 0xff20;
pub const SHN_ABS: u16 = 0xfff1;
/// Index of the first section after those that each module has, such as [`THIS_MODULE`].
pub const FIRST: u32 = 4;
pub const TEXT: u32 = 1;
pub const THIS_MODULE: u32 = 3;

/// A section header with its content.
#[derive(Clone, Default)]
pub struct Section {
    pub name: String,
    pub kind: u32,
    pub flags: u64,
    pub data: Vec<u8>,
    /// `sh_size`, if it is not the length of the data.
    pub size: Option<u64>,
    pub info: u32,
    /// `sh_addralign`, if it is not 8.
    pub align: Option<u64>,
}

pub fn section(name: &str, kind: u32, flags: u64, data: Vec<u8>) -> Section {
    Section { name: name.to_owned(), kind, flags, data, ..Section::default() }
}

/// A section without bytes in the file.
pub fn nobits(flags: u64, size: u64) -> Section {
    Section { size: Some(size), ..section(".big", NOBITS, flags, Vec::new()) }
}

/// Relocations of section `target`: offset, type and symbol of each.
pub fn relocations(
    name: &str,
    flags: u64,
    target: u32,
    entries: impl Iterator<Item = (u64, u32, u32)>,
) -> Section {
    let entry = |(offset, r_type, symbol): (u64, u32, u32)| {
        [offset, u64::from(symbol) << 32 | u64::from(r_type), 0].map(u64::to_le_bytes).concat()
    };
    Section { info: target, ..section(name, RELA, flags, entries.flat_map(entry).collect()) }
}

/// A module with .text, .modinfo, `struct module`, more sections, and symbols: name, section index
/// and value.
pub fn module(more: Vec<Section>, symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    module_with(this_module("evil"), more, symbols)
}

/// A `struct module` with a name.
pub fn this_module(name: &str) -> Vec<u8> {
    let mut this_module = vec![0; 1280];
    this_module[24..24 + name.len()].copy_from_slice(name.as_bytes());
    this_module
}

/// The same, with another `struct module`.
pub fn module_with(this_module: Vec<u8>, more: Vec<Section>, symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    with_modinfo(this_module, "license=GPL\0", more, symbols)
}

/// A module with a name and with the entries of .modinfo, each with a NUL after it.
pub fn named(name: &str, modinfo: &str, symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    module_named(name, modinfo, Vec::new(), symbols)
}

/// The same, with more sections.
pub fn module_named(name: &str, modinfo: &str, more: Vec<Section>, symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    with_modinfo(this_module(name), modinfo, more, symbols)
}

/// The module that the demo's livepatch patches, with one function that can be traced.
pub fn demo_disk(modinfo: &str) -> Vec<u8> {
    let symbols =
        [("demo_queue", 1, 16), ("demo_submit", 1, 32), ("demo_requests", 1, 64), ("demo_limits", 1, 96)];
    let traced = section("__mcount_loc", PROGBITS, 2, vec![0; 8]);
    // R_X86_64_64 of demo_submit.
    let relocation = relocations(".rela__mcount_loc", 0, FIRST, [(0, 1, 2)].into_iter());
    small("demo_disk", modinfo, vec![traced, relocation], &symbols)
}

/// A module whose `struct module` is as small as that of the demo.
pub fn small(name: &str, modinfo: &str, more: Vec<Section>, symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    let mut this = this_module(name);
    this.truncate(88);
    with_modinfo(this, modinfo, more, symbols)
}

pub fn with_modinfo(
    this_module: Vec<u8>,
    modinfo: &str,
    more: Vec<Section>,
    symbols: &[(&str, u16, u64)],
) -> Vec<u8> {
    let mut sections = vec![
        Section::default(),
        section(".text", PROGBITS, 0x6, vec![0; 4096]),
        section(".modinfo", PROGBITS, 0x2, modinfo.as_bytes().to_vec()),
        section(".gnu.linkonce.this_module", PROGBITS, DATA, this_module),
    ];
    sections.extend(more);
    let symbol_section = u32::try_from(sections.len()).unwrap();
    let (mut table, mut strings) = (vec![0; 24], vec![0]);
    for (name, shndx, value) in symbols {
        table.extend(u32::try_from(strings.len()).unwrap().to_le_bytes());
        table.extend([0x10, 0]);
        table.extend(shndx.to_le_bytes());
        table.extend(value.to_le_bytes());
        table.extend([0; 8]);
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    sections.push(Section { info: 1, ..section(".symtab", 2, 0, table) });
    sections.push(section(".strtab", 3, 0, strings));
    sections.push(section(".shstrtab", 3, 0, Vec::new()));
    write(sections, symbol_section)
}

fn write(mut sections: Vec<Section>, symbol_section: u32) -> Vec<u8> {
    let mut names = vec![0];
    let mut name_offsets = Vec::new();
    for section in &sections {
        name_offsets.push(if section.name.is_empty() { 0 } else { names.len() });
        names.extend_from_slice(section.name.as_bytes());
        names.push(0);
    }
    sections.last_mut().unwrap().data = names;
    let (mut file, mut headers) = (vec![0; 64], Vec::new());
    for (section, name) in sections.iter().zip(name_offsets) {
        file.resize(file.len().next_multiple_of(8), 0);
        let (offset, size) = (file.len() as u64, section.size.unwrap_or(section.data.len() as u64));
        let (link, entry_size) = match section.kind {
            2 => (symbol_section + 1, 24),
            RELA => (symbol_section, 24),
            _ => (0, 0),
        };
        headers.extend(u32::try_from(name).unwrap().to_le_bytes());
        headers.extend(section.kind.to_le_bytes());
        headers.extend(
            [section.flags, 0, if section.kind == 0 { 0 } else { offset }, size]
                .map(u64::to_le_bytes)
                .concat(),
        );
        headers.extend([link, section.info].map(u32::to_le_bytes).concat());
        headers.extend([section.align.unwrap_or(8), entry_size].map(u64::to_le_bytes).concat());
        file.extend_from_slice(&section.data);
    }
    file.resize(file.len().next_multiple_of(8), 0);
    let table = file.len() as u64;
    file.extend(headers);
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0");
    file[20] = 1;
    file[40..48].copy_from_slice(&table.to_le_bytes());
    let count = u16::try_from(sections.len()).unwrap();
    for (at, value) in [(52, 64), (58, 64), (60, count), (62, count - 1)] {
        file[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
    }
    file
}
