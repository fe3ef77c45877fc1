//! Level 2: a Linux-shaped module whose relocation sections target anything, themselves and each
//! other included.

use super::super::call::{Told, c, options};
use super::super::hooks::resolver_for_c;
use super::super::sections::PROFILES;
use super::arena::{Arena, Manner, Port, Trial};
use crate::module::Bytes;
use core::ops::Range;
use core::ptr;
use relakit::abi::*;
use relakit::{CallbackError, Resolver};
use relakit_ffi::*;
use relakit_model::image::{self, record};

/// Sections besides section 0, the symbol table and its strings, which come behind them.
const SECTIONS: usize = 6;
pub const SYMTAB: u32 = SECTIONS as u32 + 1;
pub const HEADERS: usize = SECTIONS + 3;
/// Most entries of a relocation section; the bytes that each section has.
const ENTRIES: usize = 4;
const SLOT: usize = ENTRIES * RELA_SIZE;
pub const SYMBOLS: usize = 7;

const SECTION_NAMES: &[u8] = b"\0.klp.rela.m.x\0.klp.rela.vmlinux.x\0.d\0.klp.rela.\0";
const NAMES_AT: [u32; 4] = [1, 15, 35, 38];
const SYMBOL_NAMES: &[u8] =
    b"\0.klp.sym.m.a,1\0.klp.sym.m.b,1\0.klp.sym.m.c,1\0.klp.sym.vmlinux.d,1\0.klp.sym.vmlinux.e,1\0x\0";
const SYMBOLS_AT: [u32; SYMBOLS] = [0, 1, 16, 31, 46, 67, 88];

pub const LIVEPATCH: u64 = 0x0010_0000;

/// Runs one input.
pub fn run(bytes: &mut Bytes<'_>) {
    Shape::read(bytes).run();
}

#[derive(Clone, Copy, Default)]
pub struct Header {
    name: u32,
    pub kind: u32,
    pub flags: u64,
    pub address: u64,
    pub size: u64,
    link: u32,
    pub info: u32,
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let half = |number: u32| (u64::from(number), 4);
        record(&[
            half(self.name),
            half(self.kind),
            (self.flags, 8),
            (self.address, 8),
            (0, 8),
            (self.size, 8),
            half(self.link),
            half(self.info),
            (0, 8),
            (0, 8),
        ])
    }
}

pub struct Shape {
    pub arena: Arena,
    pub headers: [Header; HEADERS],
    /// Where the parts of the arena are.
    pub symtab: Range<usize>,
    pub names: Range<usize>,
    pub strings: Range<usize>,
    pub table: Range<usize>,
    pub manner: Manner,
    /// `relakit_klp_apply`, or one section.
    pub is_livepatch: bool,
    pub is_vmlinux: bool,
    /// The call for one section is not told the number of headers.
    is_unknown: bool,
    pub relsec: u32,
    pub flags: u32,
    profile: u32,
    resolved: [u64; SYMBOLS],
}

impl Shape {
    fn read(bytes: &mut Bytes<'_>) -> Self {
        let how = bytes.byte();
        let manner = Manner::read(bytes, how & 2 != 0, how & 0x0c == 0x0c, how & 0x30 == 0x30);
        let mut arena = Arena::new(0x800);
        let _guard = arena.part(64);
        let slots: [Range<usize>; SECTIONS] = core::array::from_fn(|_| arena.part(SLOT));
        let symtab = arena.part(SYMBOLS * SYM_SIZE);
        let (names, strings) = (arena.part(SECTION_NAMES.len()), arena.part(SYMBOL_NAMES.len()));
        let table = arena.part(HEADERS * SHDR_SIZE);
        let is_livepatch = how & 1 != 0;
        let mut shape = Self {
            arena,
            headers: [Header::default(); HEADERS],
            symtab,
            names,
            strings,
            table,
            manner,
            is_livepatch,
            is_vmlinux: how & 0xc0 == 0xc0,
            is_unknown: false,
            relsec: 0,
            flags: 0,
            profile: PROFILES[bytes.below(PROFILES.len())].0,
            resolved: [0; SYMBOLS],
        };
        let flags = bytes.byte();
        shape.flags = match is_livepatch {
            true => u32::from(flags) & RELAKIT_OPT_TRUNCATE_PC32,
            false => u32::from(flags & 31),
        };
        shape.is_unknown = !is_livepatch && flags & 0x40 != 0;
        shape.relsec = bytes.below(SECTIONS) as u32 + 1;
        shape.symbols(bytes);
        for (number, slot) in (1..).zip(slots) {
            shape.section(number, slot, bytes);
        }
        shape.write();
        shape
    }

    fn symbols(&mut self, bytes: &mut Bytes<'_>) {
        for (index, name) in (0..).zip(SYMBOLS_AT).skip(1) {
            let base = self.arena.address(0);
            let choice = bytes.byte();
            let value = match choice {
                0..0x60 => u64::from(choice % 12) * 8,
                0x60..0xa0 => base + u64::from(choice % 64) * 8,
                0xa0..0xc0 => u64::from(choice % 8) << 32 | 1,
                0xc0..0xe0 => {
                    [0xffff_ffff_8100_0000, 0x7fff_ffff, 1 << 63, u64::MAX][usize::from(choice % 4)]
                }
                _ => 0,
            };
            let (shndx, info) = match bytes.byte() {
                0xff => (SHN_UNDEF, STB_GLOBAL << 4),
                0xfe => (SHN_UNDEF, STB_WEAK << 4),
                0xfd => (SHN_ABS, STB_GLOBAL << 4),
                _ => (SHN_LIVEPATCH, STB_GLOBAL << 4),
            };
            self.resolved[index] = value;
            let mut entry = name.to_le_bytes().to_vec();
            entry.extend([info, 0]);
            entry.extend(shndx.to_le_bytes());
            entry.extend(if self.is_livepatch { 0 } else { value }.to_le_bytes());
            self.arena.put(self.symtab.start + index * SYM_SIZE, &entry);
        }
    }

    /// A section of entries or of data, in its slot or anywhere.
    fn section(&mut self, number: usize, slot: Range<usize>, bytes: &mut Bytes<'_>) {
        let what = bytes.byte();
        let info = match bytes.byte() {
            byte @ 0xf8.. => [0, SYMTAB, SYMTAB + 1, SYMTAB + 2][usize::from(byte % 4)],
            byte => u32::from(byte) % SECTIONS as u32 + 1,
        };
        let (at, count) = match bytes.byte() {
            byte @ 0xe0.. => {
                (usize::from(bytes.byte()) * 8 + usize::from(byte & 7), bytes.below(ENTRIES + 1))
            }
            byte => (slot.start, usize::from(byte) % (ENTRIES + 1)),
        };
        let is_table = !what.is_multiple_of(4);
        let size = if is_table { count * RELA_SIZE } else { [SLOT, 24, 40, 8, 0][count] };
        let at = at.min(self.arena.size() - size);
        if is_table && at == slot.start {
            let entries: Vec<u8> = (0..count).flat_map(|_| entry(bytes)).collect();
            self.arena.put(at, &entries);
        }
        let is_klp = what % 4 > 1;
        self.headers[number] = Header {
            name: NAMES_AT[match what {
                0xfc.. => 3,
                _ if is_klp => usize::from(self.is_vmlinux),
                _ => 2,
            }],
            kind: match what {
                0xf8..0xfc => [SHT_REL, SHT_NOBITS, SHT_PROGBITS, SHT_SYMTAB][usize::from(what % 4)],
                _ if is_table => SHT_RELA,
                _ => SHT_PROGBITS,
            },
            flags: if what & 0xf0 == 0xe0 { 0 } else { 2 } | if is_klp { LIVEPATCH } else { 0 },
            address: self.arena.address(at),
            size: size as u64,
            link: SYMTAB,
            info,
        };
        match what {
            0xd0 => self.headers[number].address = 0,
            0xd4 => self.headers[number].size = u64::MAX - 8 * u64::from(info),
            0xd8 if self.manner.with_writer => self.headers[number].address = u64::MAX - 39,
            _ => {}
        }
    }

    /// Puts the tables into the arena.
    fn write(&mut self) {
        let (symtab, strings) = (self.symtab.clone(), self.strings.clone());
        let table = |kind, at: &Range<usize>, link, arena: &Arena| Header {
            kind,
            address: arena.address(at.start),
            size: at.len() as u64,
            link,
            ..Header::default()
        };
        self.headers[SECTIONS + 1] = table(SHT_SYMTAB, &symtab, SYMTAB + 1, &self.arena);
        self.headers[SECTIONS + 2] = table(SHT_STRTAB, &strings, 0, &self.arena);
        self.arena.put(self.names.start, SECTION_NAMES);
        self.arena.put(strings.start, SYMBOL_NAMES);
        for (index, header) in self.headers.iter().enumerate() {
            self.arena.put(self.table.start + index * SHDR_SIZE, &header.bytes());
        }
    }

    /// Address and bytes of the sections that a writer may be asked for.
    fn sections(&self) -> Vec<(u64, u64)> {
        self.headers.iter().map(|header| (header.address, header.size)).collect()
    }

    /// The sections that the call relocates, as far as they lie in the arena.
    fn targets(&self) -> Vec<Range<usize>> {
        let is_used = |(index, header): (usize, &Header)| match self.is_livepatch {
            true => header.flags & LIVEPATCH != 0,
            false => index == self.relsec as usize,
        };
        let used = self.headers.iter().enumerate().filter(|pair| is_used(*pair));
        let target = |(_, header): (usize, &Header)| {
            let target = self.headers.get(header.info as usize)?;
            let start = usize::try_from(target.address.checked_sub(self.arena.address(0))?).ok()?;
            let end = start.checked_add(usize::try_from(target.size).ok()?)?;
            (end <= self.arena.size()).then_some(start..end)
        };
        used.filter_map(target).collect()
    }

    fn run(&self) {
        let targets = self.targets();
        let mut port = Port::new(&self.arena, self.manner, targets.clone(), self.table.start);
        let arena = self.arena.address(0)..self.arena.address(self.arena.size());
        port.elsewhere = self.sections();
        port.elsewhere.retain(|(address, _)| !arena.contains(address));
        let value = |index: usize| {
            let at = self.symtab.start + index * SYM_SIZE + 8;
            at..at + 8
        };
        let mut trial = Trial::new(&self.arena, port, targets);
        if self.is_livepatch {
            trial.results.extend((0..SYMBOLS).map(value));
        }
        let is_inverse = self.flags & RELAKIT_OPT_ALLOW_NONZERO == 0;
        let act = |applies, writer| match self.is_livepatch {
            true => self.livepatch(applies, writer),
            false => self.one_section(applies, writer),
        };
        let _ = trial.run(is_inverse, &mut |writer| act(true, writer), &mut |writer| act(false, writer));
    }

    fn one_section(&self, applies: bool, writer: *const relakit_writer) -> Result<i32, Told> {
        let options = options(self.flags, self.profile);
        let section_count = match self.target_of_unknown_count() {
            Some(_) => RELAKIT_SECTION_COUNT_UNKNOWN,
            None => HEADERS as u32,
        };
        let image = relakit_sechdrs { section_count, ..self.sechdrs() };
        let before = self.arena.bytes();
        let (image, relsec, options) = (&raw const image, self.relsec, &raw const options);
        let answer = match applies {
            true => c!(relakit_apply_relocate_add(image, relsec, writer, options)),
            false => c!(relakit_clear_relocate_add(image, relsec, writer, options)),
        };
        if self.manner.lies == 0 {
            self.judge_one(&answer, applies, &before);
        }
        answer
    }

    /// Whether the section's name says that it is of the object that the call is for.
    pub const fn is_name_of_object(&self, section: &Header) -> bool {
        section.name == NAMES_AT[if self.is_vmlinux { 1 } else { 0 }]
    }

    /// The section index of the target if the call for one section is not told the number of
    /// headers. Then it must be the index of a header.
    fn target_of_unknown_count(&self) -> Option<u32> {
        let section = self.headers[self.relsec as usize];
        let target = if section.kind == SHT_RELA { section.info } else { 0 };
        Some(target).filter(|target| self.is_unknown && (*target as usize) < HEADERS)
    }

    /// How many headers the call reads.
    pub fn headers_used(&self) -> usize {
        self.target_of_unknown_count().map_or(HEADERS, |target| target.max(SYMTAB) as usize + 1)
    }

    fn sechdrs(&self) -> relakit_sechdrs {
        let pointer = |part: &Range<usize>| self.arena.pointer(part.start);
        relakit_sechdrs {
            struct_size: size_of::<relakit_sechdrs>() as u32,
            flags: 0,
            sechdrs: pointer(&self.table).cast_const().cast(),
            section_count: HEADERS as u32,
            symindex: SYMTAB,
            shstrtab: pointer(&self.names).cast_const().cast(),
            shstrtab_size: self.names.len(),
            strtab: pointer(&self.strings).cast_const().cast(),
            strtab_size: self.strings.len(),
        }
    }

    fn livepatch(&self, applies: bool, writer: *const relakit_writer) -> Result<i32, Told> {
        let image = self.sechdrs();
        let mut letters = Letters(self.resolved);
        let resolver = relakit_resolver { exported: None, ..resolver_for_c(&mut letters) };
        let options = options(self.flags, self.profile);
        let object = if self.is_vmlinux { c"vmlinux" } else { c"m" }.as_ptr();
        let (image, resolver, options) = (&raw const image, &raw const resolver, &raw const options);
        let none = ptr::null_mut();
        let answer = match applies {
            true => c!(relakit_klp_apply(image, object, resolver, writer, options, none)),
            false => c!(relakit_klp_clear(image, object, writer, options, none)),
        };
        if self.manner.lies == 0 {
            self.judge_livepatch(&answer);
        }
        answer
    }
}

/// One `Elf64_Rela`.
pub fn entry(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let r_type: u32 = bytes.of(&[1, 1, 1, 2, 4, 10, 11, 24, 0, 1, 1, 9]);
    let symbol = match bytes.byte() {
        byte @ 0xf8.. => u32::from(byte),
        byte => u32::from(byte) % SYMBOLS as u32,
    };
    let offset = match bytes.byte() {
        byte @ 0..0x80 => u64::from(byte % 12) * 8,
        byte @ 0x80..0xf8 => u64::from(byte % 97),
        _ => bytes.word(),
    };
    let addend = match bytes.byte() {
        0..0x80 => 0,
        byte @ 0x80..0xc0 => i64::from(byte % 64) - 16,
        byte @ 0xc0..0xf8 => i64::from(byte % 8) * 24,
        _ => bytes.word().cast_signed(),
    };
    image::table(&[(offset, symbol, r_type, addend)])
}

/// There is one symbol of each name, and its value is that of its letter.
struct Letters([u64; SYMBOLS]);

impl Resolver for Letters {
    fn exported(&mut self, _: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(None)
    }

    fn nth_symbol(&mut self, _: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, CallbackError> {
        let letter = name.first().map_or(0, |letter| usize::from(letter.wrapping_sub(b'a'))) + 1;
        Ok(self.0.get(letter).copied().filter(|_| position == 1))
    }
}
