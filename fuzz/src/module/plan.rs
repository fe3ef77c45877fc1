//! What a module is made of.

mod symbols;

use super::Bytes;
use relakit::Profile;
use relakit::abi::*;
use relakit_model::image::{Builder, Entry, Sec, Sym, table};
use relakit_model::{ALLOC, LIVEPATCH};

/// The objects that livepatch sections and symbols name. The last has the longest name that Linux
/// tells apart.
pub(super) const OBJECTS: [&str; 4] =
    ["vmlinux", "demo_disk", "b", "ooooooooooooooooooooooooooooooooooooooooooooooooooooooo"];
/// Names of livepatch symbols. Usually an object has one of the first, two of the second and three
/// of the third.
pub(super) const NAMES: [&str; 3] = ["f", "part_in_flight", "ko.isra.0"];
/// Bytes of the longest name that a resolver is asked for.
pub(super) const LONGEST_NAME: usize = 4096;
/// Sections of a module that has so many that reserved indices are sections to Linux; 0xff00 is the
/// first of these.
const MANY: usize = 0xff10;
/// Bytes of long names: on both sides of what Linux reads before 6.1, and of what it reads since;
/// and a length that no byte holds.
pub(super) const LONG_NAMES: [usize; 5] = [128, 127, 511, 512, 256];

/// Section indices of symbols that stand for the last section, and for one that there would be
/// behind it.
const THE_LAST: u16 = 0xfefd;
const BEHIND_THE_LAST: u16 = 0xfefe;

/// Sections that are relocated: name, type, flags.
const TARGETS: [(&str, u32, u64); 15] = [
    (".text", SHT_PROGBITS, ALLOC | 4),
    (".data", SHT_PROGBITS, ALLOC | 1),
    (".bss", SHT_NOBITS, ALLOC | 1),
    ("__jump_table", SHT_PROGBITS, ALLOC | 1),
    (".altinstructions", SHT_PROGBITS, ALLOC),
    (".init.text", SHT_PROGBITS, ALLOC | 4),
    (".data..percpu", SHT_PROGBITS, ALLOC | 1),
    (".modinfo", SHT_PROGBITS, ALLOC),
    ("__versions", SHT_PROGBITS, ALLOC),
    ("__version_ext_crcs", SHT_PROGBITS, ALLOC),
    (".comment", SHT_PROGBITS, 0),
    (".data", SHT_NOTE, ALLOC),
    (".return_sites", SHT_PROGBITS, ALLOC),
    (".static_call_sites", SHT_PROGBITS, ALLOC | 1),
    (".unused", SHT_NULL, ALLOC),
];

/// A section that may be relocated.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) content: Vec<u8>,
    pub(super) address: u64,
    /// What its symbols count from.
    pub(super) base: u64,
    pub(super) is_placed: bool,
    pub(super) is_hooked: bool,
    /// How many bytes too many, or too few, its memory has.
    pub(super) excess: i8,
}

/// Whose relocations a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ordinary,
    /// Livepatch relocations of this object.
    Object(usize),
    /// Livepatch relocations of nobody: the name is not in the grammar.
    Malformed,
}

/// A section with relocations.
#[derive(Clone, Debug)]
pub(super) struct Relocations {
    pub(super) name: String,
    pub(super) kind: u32,
    pub(super) flags: u64,
    /// `sh_info`.
    pub(super) target: u32,
    pub(super) entries: Vec<Entry>,
    /// Bytes behind the last whole entry.
    pub(super) partial: usize,
    /// Whether `sh_name` is outside of the name table.
    pub(super) is_name_outside: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Symbol {
    /// Whose relocations can use it.
    whose: Whose,
    name: String,
    info: u8,
    shndx: u16,
    value: u64,
}

/// A module. Section 0 is followed by the targets, the relocations, and three tables: symbols and
/// two of strings. Unused headers may follow.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) profile: Profile,
    /// `sh_flags` of section 0.
    pub(super) zero_flags: u64,
    pub(super) targets: Vec<Target>,
    pub(super) relocations: Vec<Relocations>,
    pub(super) symbols: Vec<Symbol>,
    /// There are [`MANY`] sections.
    pub(super) has_many: bool,
}

impl Plan {
    pub(super) fn read(bytes: &mut Bytes<'_>) -> Self {
        let profile = crate::profiles::of(bytes.byte());
        let (zero_flags, has_many) = match bytes.byte() {
            // Half a second each with AddressSanitizer, so only seeds have them.
            0xff => (0, cfg!(not(fuzzing))),
            0xf8.. => (ALLOC, false),
            _ => (0, false),
        };
        let targets: Vec<_> = (1..=1 + bytes.below(6)).map(|index| target(bytes, index)).collect();
        let count = bytes.below(24);
        let mut symbols = vec![Symbol {
            whose: Whose::Ordinary,
            name: String::new(),
            info: 0,
            shndx: 0,
            value: if bytes.is_rare() { bytes.word() } else { 0 },
        }];
        symbols.extend((0..count).map(|_| symbols::symbol(bytes, targets.len())));
        let mut plan = Self { profile, zero_flags, targets, relocations: Vec::new(), symbols, has_many };
        let mut free = [0; 8];
        for _ in 0..bytes.below(10) {
            let relocations = plan.relocations(bytes, &mut free);
            plan.relocations.push(relocations);
        }
        plan.number_the_last();
        plan
    }

    /// How many sections there are is known at last.
    fn number_the_last(&mut self) {
        let count = self.section_count();
        for symbol in &mut self.symbols {
            symbol.shndx = match symbol.shndx {
                THE_LAST => u16::try_from(count - 1).unwrap(),
                BEHIND_THE_LAST => u16::try_from(count).unwrap(),
                other => other,
            };
        }
    }

    fn section_count(&self) -> usize {
        if self.has_many { MANY } else { 1 + self.targets.len() + self.relocations.len() + 3 }
    }

    /// The module as a file.
    pub(super) fn file(&self) -> Vec<u8> {
        let sec = |name: &str, kind, flags, bytes: &[u8]| Sec {
            name: name.into(),
            kind,
            flags,
            bytes: bytes.to_vec(),
            align: 8,
            ..Sec::default()
        };
        let mut builder = Builder::new();
        builder.sections = vec![sec("", SHT_NULL, self.zero_flags, &[])];
        let targets = self.targets.iter();
        builder
            .sections
            .extend(targets.map(|target| sec(target.name, target.kind, target.flags, &target.content)));
        let symtab = u32::try_from(1 + self.targets.len() + self.relocations.len()).unwrap();
        builder.sections.extend(self.relocations.iter().map(|section| {
            let mut bytes = table(&section.entries);
            bytes.resize(bytes.len() + section.partial, 0xee);
            let is_outside = section.is_name_outside;
            Sec {
                link: symtab,
                info: section.target,
                name_at: is_outside.then_some(u32::MAX),
                ..sec(if is_outside { "" } else { &section.name }, section.kind, section.flags, &bytes)
            }
        }));
        builder.symbols = self
            .symbols
            .iter()
            .map(|symbol| Sym {
                name: symbol.name.as_bytes().to_vec(),
                info: symbol.info,
                shndx: symbol.shndx,
                value: symbol.value,
                size: 8,
                name_at: None,
            })
            .collect();
        builder.tables = |tables| tables.iter_mut().for_each(|table| table.align = 8);
        builder.unused = self.section_count() - builder.sections.len() - 3;
        builder.build()
    }

    fn relocations(&self, bytes: &mut Bytes<'_>, free: &mut [u64; 8]) -> Relocations {
        let targets = self.targets.len();
        let usual = bytes.below(targets) + 1;
        let whose = bytes.of(&[
            Whose::Ordinary,
            Whose::Object(0),
            Whose::Object(1),
            Whose::Object(1),
            Whose::Object(2),
            Whose::Object(3),
        ]);
        let target = match bytes.is_rare() {
            false => u32::try_from(usual).unwrap(),
            // The number of relocation sections is not known yet, so their tables are reached by going far
            // enough.
            true => bytes.of(&[0, 1000, u32::MAX, u32::try_from(targets).unwrap() + 2]),
        };
        let name = self.targets[usual - 1].name;
        let (mut whose, mut kind, mut flags) =
            (whose, SHT_RELA, if whose == Whose::Ordinary { 0 } else { ALLOC | LIVEPATCH });
        let mut name = match whose {
            Whose::Object(object) => format!(".klp.rela.{}.{name}", OBJECTS[object]),
            _ => format!(".rela{name}"),
        };
        match (bytes.byte(), whose) {
            (0xff, Whose::Ordinary) => kind = SHT_REL,
            (0xfe, Whose::Ordinary) => name = ".klp.rela.vmlinux..text".to_owned(),
            (0xff, _) => kind = bytes.of(&[SHT_PROGBITS, SHT_NOTE, SHT_REL, SHT_NOBITS]),
            (0xfe, _) => flags &= !ALLOC,
            (0xfc, Whose::Object(_)) => kind = SHT_NULL,
            (0xfb, Whose::Object(_)) => (whose, kind) = (Whose::Malformed, SHT_NULL),
            (0xfd, Whose::Object(_)) => {
                whose = Whose::Malformed;
                name = bytes.of(&[".klp.rela.", ".klp.rela..text", ".text", ".klp.relaxvmlinux"]).to_owned();
            }
            (0xf0..0xf4, Whose::Object(3)) => name.insert_str(10, bytes.of(&["o", "ooo"])),
            (0xf4..0xf8, Whose::Object(object)) => name = format!(".klp.rela.{}", OBJECTS[object]),
            _ => {}
        }
        let slot = &mut free[usual % 8];
        // Mostly few, and sometimes more than a small limit.
        let count = match bytes.byte() {
            byte @ 0xf0.. => 5 + usize::from(byte & 15),
            byte => usize::from(byte % 5),
        };
        let entries = (0..count).map(|_| self.entry(bytes, whose, slot)).collect();
        let partial = if bytes.is_rare() { bytes.below(24) } else { 0 };
        let is_name_outside = whose == Whose::Malformed && kind == SHT_NULL;
        Relocations { name, kind, flags, target, entries, partial, is_name_outside }
    }

    fn entry(&self, bytes: &mut Bytes<'_>, whose: Whose, free: &mut u64) -> Entry {
        let fits = |symbol: &Symbol| match (symbol.whose, whose) {
            (Whose::Object(object), Whose::Object(section)) => section == 0 || object != 0,
            (symbol, section) => symbol == Whose::Ordinary && !matches!(section, Whose::Object(_)),
        };
        let fitting = || (0..).zip(&self.symbols).filter(|(_, symbol)| fits(symbol)).map(|(index, _)| index);
        let count = fitting().count();
        let symbol = match bytes.is_rare() || count == 0 {
            false => fitting().nth(bytes.below(count)).unwrap(),
            true => u32::from(bytes.byte()) % (u32::try_from(self.symbols.len()).unwrap() + 2),
        };
        let r_type = bytes.of(&[
            1, 2, 4, 10, 11, 24, 2, 1, 0, 1, 2, 4, 10, 11, 24, 2, 1, 0, 11, 1, 2, 2, 4, 4, 11, 11, 1, 1, 2,
            2, 3, 12,
        ]);
        let offset = match bytes.byte() {
            0xf0..0xfd => u64::from(bytes.byte()),
            0xfd.. => bytes.word(),
            // In the upper half of the field before it, which is zero if that has eight bytes and a small
            // value.
            0xe0..0xf0 => free.saturating_sub(4),
            step => {
                let offset = *free + u64::from(step % 4);
                *free = offset + 8;
                offset
            }
        };
        let addend = match bytes.byte() {
            0xf8.. => bytes.word().cast_signed(),
            addend => i64::from(addend.cast_signed()),
        };
        (offset, symbol, r_type, addend)
    }
}

fn target(bytes: &mut Bytes<'_>, index: usize) -> Target {
    let (name, kind, flags) = match bytes.byte() {
        0xc0.. => bytes.of(&TARGETS),
        byte => TARGETS[usize::from(byte) % 6],
    };
    let size = bytes.of(&[64, 64, 64, 128, 40, 9, 0, 64]);
    let mut content = vec![0; size];
    if bytes.is_rare() && size != 0 {
        content[bytes.below(size)] = bytes.byte();
    }
    if kind == SHT_NOBITS {
        content.fill(0);
    }
    if kind == SHT_NULL {
        // In the file, and not in memory.
        content.fill(0xee);
    }
    let first = bytes.of(&[
        0xffff_ffff_c000_0000u64,
        0xffff_ffff_c000_0000,
        0x7fff_0000,
        0xffff_ffff_fff8_0000,
        0x1000,
        1 << 40,
    ]);
    let odd = bytes.byte();
    let address = match odd {
        // The last byte has the last address there is; and beyond it.
        0xf3 | 0xf4 => 0u64.wrapping_sub(size as u64),
        0xf2 | 0xf7 => 8u64.wrapping_sub(size as u64),
        _ => first.wrapping_add(index as u64 * 0x1_0000),
    };
    Target {
        name,
        kind,
        flags,
        content,
        address,
        base: if odd & 0x70 == 0x70 || name == ".data..percpu" { address ^ 0x0012_0000 } else { address },
        is_placed: odd < 0xf8,
        is_hooked: odd & 3 == 3,
        excess: match odd {
            0xf0 => 1,
            0xf1 if size != 0 => -1,
            _ => 0,
        },
    }
}
