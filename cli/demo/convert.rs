//! Makes a livepatch module of a compiled object: what `klp-convert` and kpatch-build do, in its simplest form.
//!
//! In the object, a symbol `.klp.sym.<object>.<name>.<sympos>` stands for a symbol of the kernel (object `vmlinux`) or
//! of a module that nobody exports. Every relocation against such a symbol moves from `.rela<section>` to a section
//! `.klp.rela.<object>.<section>`, and the symbol becomes `.klp.sym.<object>.<name>,<sympos>` in `SHN_LIVEPATCH`.
//! `make-demo` and the test of the committed `livepatch.ko` share this file.

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
/// What both spellings of a KLP symbol begin with.
const KLP_SYM: &str = ".klp.sym.";
/// Longest object name that Linux reads, in bytes (`MODULE_NAME_LEN` - 1).
const MAX_OBJECT: usize = 55;
/// Longest symbol name that Linux reads, in bytes (`KSYM_NAME_LEN` - 1, since 6.1).
const MAX_NAME: usize = 511;
/// Largest section alignment taken, in bytes; no section of a module needs more than a page.
const MAX_ALIGN: u64 = 4096;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The objects that KLP symbols belong to, by the index of the symbol in the builder's table.
type KlpObjects = HashMap<usize, String>;

/// Converts the compiled `object`, an x86-64 `ET_REL` file, and returns the livepatch module.
///
/// Sections that a loader would not load (comments, notes, debug information) are left out.
///
/// # Errors
/// `object` is no such file, a KLP symbol is defined or badly named, or a section needs one that was left out.
pub fn convert(object: &[u8]) -> Result<Vec<u8>> {
    let mut module = Builder::read(object).map_err(|e| format!("not an object file to convert: {e}"))?;
    check_header(&module)?;
    drop_unloaded(&mut module)?;
    let objects = rename_klp_symbols(&mut module)?;
    move_klp_relocations(&mut module, &objects)?;
    if !module.sections.iter().any(|section| matches!(section.data, SectionData::SectionString)) {
        add_section_names(&mut module); // clang keeps all names in one table
    }
    let mut out = Vec::new();
    module.write(&mut out)?;
    Ok(out)
}

/// Accepts only what the rest of this file was written for.
fn check_header(module: &Builder<'_>) -> Result<()> {
    let header = &module.header;
    if !module.is_64 || header.e_machine != elf::EM_X86_64 || header.e_type != elf::ET_REL {
        return Err("not a relocatable x86-64 object (gcc -c makes one)".into());
    }
    for section in &module.sections {
        let align = section.sh_addralign;
        if align > MAX_ALIGN || (align != 0 && !align.is_power_of_two()) {
            return Err(format!("section {}: alignment {align} is no use", section.name).into());
        }
    }
    Ok(())
}

/// Leaves out every section that is not loaded, with its relocations.
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
            return Err(format!("section {}: not SHT_RELA, which is all x86-64 has", section.name).into());
        }
        let Some(target) = section.sh_info_section else {
            return Err(format!("section {}: sh_info does not name its target", section.name).into());
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

/// Gives KLP symbols the name and the section index that Linux looks for.
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

/// Splits `<object>.<name>.<sympos>`; the name may have dots of its own, as in `foo.isra.0`.
fn split_name(rest: &str) -> std::result::Result<(&str, &str, u64), &'static str> {
    let (object, rest) = rest.split_once('.').ok_or("no symbol name")?;
    let (name, sympos) = rest.rsplit_once('.').ok_or("no position")?;
    if object.is_empty() || object.len() > MAX_OBJECT {
        return Err("the object name must have 1 to 55 bytes");
    }
    if name.is_empty() || name.len() > MAX_NAME || name.contains(',') {
        return Err("the symbol name must have 1 to 511 bytes and no comma");
    }
    if !sympos.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the position must be a decimal number");
    }
    Ok((object, name, sympos.parse().map_err(|_| "the position must be a decimal number")?))
}

/// One `.klp.rela.<object>.<section>` to be added.
struct KlpSection<'a> {
    /// Object whose loading its symbols wait for.
    object: &'a str,
    /// Section that it is applied to.
    target: SectionId,
    /// The symbol table.
    symtab: Option<SectionId>,
    /// What moved here, in the order that it had.
    relocations: Vec<Relocation>,
}

/// Moves each relocation against a KLP symbol to the section of its target and object.
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

/// Adds the section name table.
fn add_section_names(module: &mut Builder<'_>) {
    let section = module.sections.add();
    section.name = ".shstrtab".into();
    section.sh_type = elf::SHT_STRTAB;
    section.sh_addralign = 1;
    section.data = SectionData::SectionString;
}
