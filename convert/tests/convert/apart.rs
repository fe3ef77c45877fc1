//! Takes a converted livepatch apart: makes one of the input forms from its livepatch sections.
//!
//! A livepatch section becomes an empty section, so that all other sections keep their numbers.

use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId, SymbolId};
use object::elf::{self, RelocationType, SectionFlags, SymbolSection};
use std::collections::HashMap;
use std::fmt::Write;

const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
const SHN_LIVEPATCH: SymbolSection = SymbolSection(0xff20);

/// The form to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The names of `KLP_RELOC_SYMBOL`.
    Macro,
    /// The sections of klp-build.
    KlpBuild,
    /// The sections of kpatch.
    Kpatch,
    /// Plain names and a map. Names that are not unique get the form `Macro`.
    Map,
}

/// A relocation of a livepatch section.
struct Klp {
    patched: String,
    target: SectionId,
    /// `<object>`, `<name>` and `<sympos>` of the symbol.
    symbol: (String, String, String),
    relocation: Relocation,
}

/// Returns the file and the lines of the map.
pub fn take_apart(file: &[u8], form: Form) -> (Vec<u8>, String) {
    let mut copy = file.to_vec();
    let klp_sections = hide(&mut copy);
    let mut builder = Builder::read(&*copy).unwrap();
    let klp = take(&mut builder, &klp_sections);
    let mut map = String::new();
    match form {
        Form::Macro => name_them(&mut builder, &klp, None),
        Form::Map => name_them(&mut builder, &klp, Some(&mut map)),
        Form::KlpBuild => klp_build(&mut builder, &klp),
        Form::Kpatch => kpatch(&mut builder, &klp),
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    (out, map)
}

/// Clears `SHF_ALLOC` of the livepatch sections, which the builder could not read. Returns their
/// numbers without the null section.
fn hide(file: &mut [u8]) -> Vec<usize> {
    let at = |file: &[u8], offset: usize| u64::from_le_bytes(file[offset..offset + 8].try_into().unwrap());
    let headers = usize::try_from(at(file, 40)).unwrap();
    let count = usize::from(u16::from_le_bytes(file[60..62].try_into().unwrap()));
    let mut hidden = Vec::new();
    for index in 1..count {
        let flags = headers + 64 * index + 8;
        let value = at(file, flags);
        if value & SHF_RELA_LIVEPATCH != 0 {
            file[flags..flags + 8].copy_from_slice(&(value & !2).to_le_bytes());
            hidden.push(index - 1);
        }
    }
    hidden
}

/// Empties the livepatch sections, and returns their relocations.
fn take(builder: &mut Builder<'_>, klp_sections: &[usize]) -> Vec<Klp> {
    let names: HashMap<usize, String> = builder
        .symbols
        .iter()
        .map(|symbol| (symbol.id().index(), String::from_utf8(symbol.name.to_vec()).unwrap()))
        .collect();
    let mut all = Vec::new();
    for section in &mut builder.sections {
        if !klp_sections.contains(&section.id().index()) {
            continue;
        }
        let name = String::from_utf8(section.name.to_vec()).unwrap();
        let patched = name.strip_prefix(".klp.rela.").unwrap().split('.').next().unwrap().to_owned();
        let target = section.sh_info_section.take().unwrap();
        let empty = SectionData::Data(Vec::new().into());
        let SectionData::Relocation(relocations) = std::mem::replace(&mut section.data, empty) else {
            panic!()
        };
        (section.sh_type, section.sh_flags) = (elf::SHT_PROGBITS, SectionFlags(0));
        (section.sh_link_section, section.sh_info, section.sh_entsize) = (None, 0, 0);
        section.name = format!("taken.apart.{}", section.id().index()).into_bytes().into();
        for relocation in relocations {
            let name = &names[&relocation.symbol.unwrap().index()];
            let (object, rest) = name.strip_prefix(".klp.sym.").unwrap().split_once('.').unwrap();
            let (name, sympos) = rest.split_once(',').unwrap();
            let symbol = (object.to_owned(), name.to_owned(), sympos.to_owned());
            all.push(Klp { patched: patched.clone(), target, symbol, relocation });
        }
    }
    for symbol in &mut builder.symbols {
        symbol.delete |= symbol.section.is_none() && symbol.st_shndx == SHN_LIVEPATCH;
    }
    all
}

/// A new undefined weak symbol, or the one of this name.
fn undefined(builder: &mut Builder<'_>, made: &mut HashMap<String, SymbolId>, name: String) -> SymbolId {
    *made.entry(name.clone()).or_insert_with(|| {
        let symbol = builder.symbols.add();
        symbol.name = name.into_bytes().into();
        symbol.set_st_info(elf::STB_WEAK, elf::STT_NOTYPE);
        symbol.id()
    })
}

/// Adds relocations to the relocation section of `target`, or makes it.
fn add_relocations(builder: &mut Builder<'_>, target: SectionId, mut relocations: Vec<Relocation>) {
    for section in &mut builder.sections {
        if section.sh_info_section == Some(target)
            && let SectionData::Relocation(before) = &mut section.data
        {
            before.append(&mut relocations);
            return;
        }
    }
    let symtab =
        builder.sections.iter().find(|section| matches!(section.data, SectionData::Symbol)).unwrap().id();
    let name = builder.sections.get(target).name.to_vec();
    let section = builder.sections.add();
    section.name = [b".rela", &*name].concat().into();
    (section.sh_type, section.sh_flags) = (elf::SHT_RELA, elf::SHF_INFO_LINK);
    (section.sh_link_section, section.sh_info_section) = (Some(symtab), Some(target));
    (section.sh_addralign, section.sh_entsize) = (8, 24);
    section.data = SectionData::Relocation(relocations);
}

fn name_them(builder: &mut Builder<'_>, klp: &[Klp], mut map: Option<&mut String>) {
    let mut made = HashMap::new();
    let mut plain: HashMap<&str, (&str, &Klp)> = HashMap::new();
    for one in klp {
        let Klp { patched, target, symbol: (object, name, sympos), relocation } = one;
        let first = *plain.entry(name).or_insert((patched, one));
        let is_plain = map.is_some() && first.0 == patched && first.1.symbol == one.symbol;
        let symbol =
            if is_plain { name.clone() } else { format!(".klp.sym.rela.{patched}.{object}.{name},{sympos}") };
        if let Some(map) = map.as_deref_mut().filter(|_| is_plain && !made.contains_key(name)) {
            writeln!(map, "{object} {name} {sympos} {patched}").unwrap();
        }
        let symbol = Some(undefined(builder, &mut made, symbol));
        add_relocations(builder, *target, vec![Relocation { symbol, ..*relocation }]);
    }
}

fn pointer(r_offset: u64, symbol: SymbolId, r_addend: i64) -> Relocation {
    Relocation { r_offset, symbol: Some(symbol), r_type: elf::R_X86_64_64, r_addend }
}

/// The symbol of a section.
fn section_symbol(builder: &mut Builder<'_>, section: SectionId) -> SymbolId {
    let is_it = |symbol: &&object::build::elf::Symbol<'_>| {
        symbol.section == Some(section) && symbol.st_type() == elf::STT_SECTION
    };
    if let Some(symbol) = builder.symbols.iter().find(is_it) {
        return symbol.id();
    }
    let symbol = builder.symbols.add();
    symbol.section = Some(section);
    symbol.set_st_info(elf::STB_LOCAL, elf::STT_SECTION);
    symbol.id()
}

fn add_data(builder: &mut Builder<'_>, name: String, data: Vec<u8>) -> SectionId {
    let section = builder.sections.add();
    section.name = name.into_bytes().into();
    (section.sh_type, section.sh_flags, section.sh_addralign) = (elf::SHT_PROGBITS, elf::SHF_ALLOC, 8);
    section.data = SectionData::Data(data.into());
    section.id()
}

fn klp_build(builder: &mut Builder<'_>, klp: &[Klp]) {
    let mut made = HashMap::new();
    let mut tables: Vec<(String, Vec<u8>, Vec<Relocation>)> = Vec::new();
    for Klp { patched, target, symbol: (object, name, sympos), relocation } in klp {
        let tombstone = undefined(builder, &mut made, format!(".klp.tombstone.{name}"));
        add_relocations(builder, *target, vec![Relocation { symbol: Some(tombstone), ..*relocation }]);
        let symbol = undefined(builder, &mut made, format!(".klp.sym.{object}.{name},{sympos}"));
        let field = section_symbol(builder, *target);
        if !tables.iter().any(|(name, ..)| name == patched) {
            tables.push((patched.clone(), Vec::new(), Vec::new()));
        }
        let (_, data, pointers) = tables.iter_mut().find(|(name, ..)| name == patched).unwrap();
        let at = data.len() as u64;
        pointers.push(pointer(at, field, relocation.r_offset.cast_signed()));
        pointers.push(pointer(at + 8, symbol, relocation.r_addend));
        data.extend([0; 16].into_iter().chain(relocation.r_type.0.to_le_bytes()).chain([0; 4]));
    }
    for (patched, data, pointers) in tables {
        let table = add_data(builder, format!("__klp_relocs.{patched}"), data);
        add_relocations(builder, table, pointers);
    }
}

fn kpatch(builder: &mut Builder<'_>, klp: &[Klp]) {
    let mut strings = Vec::new();
    let (mut symbols, mut relocations) = (Vec::new(), Vec::new());
    let mut string = |text: &str| {
        let at = strings.len();
        strings.extend(text.bytes().chain([0]));
        i64::try_from(at).unwrap()
    };
    // Places in `.kpatch.strings`, by the offset of the pointer.
    let (mut of_symbols, mut of_relocations) = (Vec::new(), Vec::new());
    for Klp { patched, symbol: (object, name, sympos), relocation, .. } in klp {
        let (at, ksym) = (relocations.len() as u64, symbols.len() as u64);
        of_symbols.push((ksym + 24, string(name)));
        of_symbols.push((ksym + 32, string(object)));
        of_relocations.push((at + 24, string(patched)));
        let sympos: u64 = sympos.parse().unwrap();
        symbols.extend([0; 8].into_iter().chain(sympos.to_le_bytes()).chain([1, 2]).chain([0; 22]));
        relocations.extend([0; 8].into_iter().chain(relocation.r_type.0.to_le_bytes()).chain([0; 4]));
        relocations.extend(relocation.r_addend.to_le_bytes().into_iter().chain([0; 16]));
    }
    let strings = add_data(builder, ".kpatch.strings".to_owned(), strings);
    let symbols = add_data(builder, ".kpatch.symbols".to_owned(), symbols);
    let relocations = add_data(builder, ".kpatch.relocations".to_owned(), relocations);
    let (text, table) = (section_symbol(builder, strings), section_symbol(builder, symbols));
    let texts = |places: Vec<(u64, i64)>| places.into_iter().map(move |(at, to)| pointer(at, text, to));
    let mut pointers: Vec<_> = texts(of_relocations).collect();
    for (at, one) in (0u64..).step_by(40).zip(klp) {
        let field = section_symbol(builder, one.target);
        pointers.push(pointer(at, field, one.relocation.r_offset.cast_signed()));
        pointers.push(pointer(at + 32, table, at.cast_signed()));
    }
    add_relocations(builder, relocations, pointers);
    let pointers: Vec<_> = texts(of_symbols).collect();
    add_relocations(builder, symbols, pointers);
}

/// What klp-build gave to `objtool klp post-link`: the module without its livepatch sections, with the
/// original relocations, and with undefined symbols.
pub fn before_post_link(file: &[u8]) -> Vec<u8> {
    let mut copy = file.to_vec();
    let klp_sections = hide(&mut copy);
    let mut builder = Builder::read(&*copy).unwrap();
    let mut types: HashMap<(usize, u64), RelocationType> = HashMap::new();
    for section in &mut builder.sections {
        if klp_sections.contains(&section.id().index()) {
            let SectionData::Relocation(relocations) = &section.data else { panic!() };
            let target = section.sh_info_section.unwrap().index();
            types.extend(
                relocations.iter().map(|relocation| ((target, relocation.r_offset), relocation.r_type)),
            );
            section.delete = true;
        }
    }
    for section in &mut builder.sections {
        let Some(target) = section.sh_info_section.map(|target| target.index()) else { continue };
        if let (false, SectionData::Relocation(relocations)) = (section.delete, &mut section.data) {
            for relocation in relocations {
                if let Some(r_type) = types.get(&(target, relocation.r_offset)) {
                    assert_eq!(relocation.r_type, elf::R_X86_64_NONE);
                    relocation.r_type = *r_type;
                }
            }
        }
    }
    for symbol in &mut builder.symbols {
        if symbol.section.is_none() && symbol.st_shndx == SHN_LIVEPATCH {
            symbol.st_shndx = elf::SHN_UNDEF;
        }
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}
