//! Converts a compiled object to a livepatch module, as `klp-convert` and kpatch-build do, but
//! simpler.
//!
//! In the object, a symbol `.klp.sym.<object>.<name>.<sympos>` is a symbol of the kernel (object
//! `vmlinux`) or of a module that is not exported. Each relocation that uses such a symbol moves
//! from `.rela<section>` to a section `.klp.rela.<object>.<section>`, and the symbol becomes
//! `.klp.sym.<object>.<name>,<sympos>` in `SHN_LIVEPATCH`. `make-demo` and the test of the
//! committed `livepatch.ko` share this file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::str;

use object::build::Id;
use object::build::elf::{Builder, Relocation, SectionData, SectionId};
use object::elf::{self, SectionFlags, SymbolSection};

/// `sh_flags` bit of a section that only the livepatch code applies (Linux `uapi/linux/elf.h`).
const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
/// `st_shndx` of a symbol that only the livepatch code resolves (Linux `uapi/linux/elf.h`).
const SHN_LIVEPATCH: SymbolSection = SymbolSection(0xff20);
/// The prefix of both spellings of a livepatch symbol.
const KLP_SYM: &str = ".klp.sym.";
/// Longest object name that Linux reads, in bytes (`MODULE_NAME_LEN` - 1).
const MAX_OBJECT: usize = 55;
/// Longest symbol name that Linux reads, in bytes (`KSYM_NAME_LEN` - 1, since 6.1).
const MAX_NAME: usize = 511;
/// Largest section alignment that is accepted, in bytes. Modules need at most a page.
const MAX_ALIGN: u64 = 4096;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The objects of livepatch symbols, by symbol index.
type KlpObjects = HashMap<usize, String>;

/// Converts the compiled `object`, an x86-64 `ET_REL` file, and returns the livepatch module.
///
/// Sections that a loader does not load (comments, notes, debug information) are removed.
///
/// # Errors
/// `object` is not such a file, a livepatch symbol is defined or has a malformed name, or a section
/// needs a section that was removed.
pub fn convert(object: &[u8]) -> Result<Vec<u8>> {
    let mut module = Builder::read(object).map_err(|e| format!("not an object file to convert: {e}"))?;
    check_header(&module)?;
    drop_unloaded(&mut module)?;
    let objects = rename_klp_symbols(&mut module)?;
    move_klp_relocations(&mut module, &objects)?;
    if !module.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        add_section_names(&mut module); // clang has all names in one table
    }
    let mut out = Vec::new();
    module.write(&mut out)?;
    Ok(out)
}

fn check_header(module: &Builder<'_>) -> Result<()> {
    let header = &module.header;
    if !module.is_64 || header.e_machine != elf::EM_X86_64 || header.e_type != elf::ET_REL {
        return Err("not a relocatable x86-64 object (gcc -c makes one)".into());
    }
    for section in &module.sections {
        let align = section.sh_addralign;
        if align > MAX_ALIGN || (align != 0 && !align.is_power_of_two()) {
            return Err(format!("section {}: alignment {align} is not supported", section.name).into());
        }
    }
    Ok(())
}

/// Removes the sections that are not loaded, and their relocations.
fn drop_unloaded(module: &mut Builder<'_>) -> Result<()> {
    let mut dropped = HashSet::new();
    for section in &mut module.sections {
        let content = matches!(
            section.data,
            SectionData::Data(_) | SectionData::UninitializedData(_) | SectionData::Note(_)
        );
        if content && (!section.is_alloc() || section.name.as_slice() == b".note.gnu.property") {
            section.delete = true;
            dropped.insert(section.id().index());
        }
        section.sh_addralign = section.sh_addralign.max(1);
    }
    for section in &mut module.sections {
        let SectionData::Relocation(relocations) = &section.data else { continue };
        if section.sh_type != elf::SHT_RELA {
            return Err(format!("section {}: not SHT_RELA, the only kind of x86-64", section.name).into());
        }
        let Some(target) = section.sh_info_section else {
            return Err(format!("section {}: sh_info is not the relocated section", section.name).into());
        };
        if dropped.contains(&target.index()) {
            section.delete = true;
            continue;
        }
        for symbol in relocations.iter().filter_map(|relocation| relocation.symbol) {
            if module.symbols.get(symbol).section.is_some_and(|home| dropped.contains(&home.index())) {
                return Err(format!("section {}: needs a section that is not loaded", section.name).into());
            }
        }
    }
    Ok(())
}

/// Gives livepatch symbols the name and the section index that Linux expects.
fn rename_klp_symbols(module: &mut Builder<'_>) -> Result<KlpObjects> {
    let mut objects = KlpObjects::new();
    for symbol in &mut module.symbols {
        let Some(rest) = symbol.name.strip_prefix(KLP_SYM.as_bytes()) else { continue };
        let bad = |what: &str| format!("symbol {}: {what}", symbol.name);
        let rest = str::from_utf8(rest).map_err(|_| bad("not UTF-8"))?;
        let (object, name, sympos) = split_name(rest).map_err(bad)?;
        if symbol.section.is_some() || symbol.st_shndx != elf::SHN_UNDEF {
            return Err(bad("must be defined elsewhere, not in the livepatch").into());
        }
        let object = object.to_owned();
        symbol.name = format!("{KLP_SYM}{object}.{name},{sympos}").into_bytes().into();
        symbol.st_shndx = SHN_LIVEPATCH;
        objects.insert(symbol.id().index(), object);
    }
    Ok(objects)
}

/// Splits `<object>.<name>.<sympos>`. The name may have dots, as in `foo.isra.0`.
fn split_name(rest: &str) -> std::result::Result<(&str, &str, u64), &'static str> {
    let (object, rest) = rest.split_once('.').ok_or("no symbol name")?;
    let (name, sympos) = rest.rsplit_once('.').ok_or("no sympos")?;
    if object.is_empty() || object.len() > MAX_OBJECT {
        return Err("the object name must have 1 to 55 bytes");
    }
    if name.is_empty() || name.len() > MAX_NAME || name.contains(',') {
        return Err("the symbol name must have 1 to 511 bytes and no comma");
    }
    if !sympos.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the sympos must be a decimal number");
    }
    Ok((object, name, sympos.parse().map_err(|_| "the sympos must be a decimal number")?))
}

/// A new section `.klp.rela.<object>.<section>`.
struct KlpSection<'a> {
    object: &'a str,
    /// The relocated section.
    target: SectionId,
    symtab: Option<SectionId>,
    /// The moved relocations, in their original order.
    relocations: Vec<Relocation>,
}

/// Moves each relocation that uses a livepatch symbol to the section of its target and object.
fn move_klp_relocations(module: &mut Builder<'_>, objects: &KlpObjects) -> Result<()> {
    let mut moved = Vec::new();
    for section in &mut module.sections {
        let symtab = section.sh_link_section;
        let (Some(target), SectionData::Relocation(relocations)) =
            (section.sh_info_section, &mut section.data)
        else {
            continue;
        };
        let mut ordinary = Vec::new();
        let mut klp = BTreeMap::<&str, Vec<Relocation>>::new();
        for relocation in relocations.drain(..) {
            match relocation.symbol.and_then(|symbol| objects.get(&symbol.index())) {
                Some(object) => klp.entry(object).or_default().push(relocation),
                None => ordinary.push(relocation),
            }
        }
        section.delete = ordinary.is_empty();
        *relocations = ordinary;
        for (object, relocations) in klp {
            moved.push(KlpSection { object, target, symtab, relocations });
        }
    }
    let mut names = HashSet::new();
    for KlpSection { object, target, symtab, relocations } in moved {
        let name = format!(".klp.rela.{object}.{}", module.sections.get(target).name);
        if !names.insert(name.clone()) {
            return Err(format!("two sections would be called {name}").into());
        }
        let section = module.sections.add();
        section.name = name.into_bytes().into();
        section.sh_type = elf::SHT_RELA;
        section.sh_flags = SectionFlags(elf::SHF_ALLOC.0 | elf::SHF_INFO_LINK.0 | SHF_RELA_LIVEPATCH);
        section.sh_link_section = symtab;
        section.sh_info_section = Some(target);
        section.sh_addralign = 8;
        section.sh_entsize = 24;
        section.data = SectionData::Relocation(relocations);
    }
    Ok(())
}

fn add_section_names(module: &mut Builder<'_>) {
    let section = module.sections.add();
    section.name = ".shstrtab".into();
    section.sh_type = elf::SHT_STRTAB;
    section.sh_addralign = 1;
    section.data = SectionData::SectionString;
}
