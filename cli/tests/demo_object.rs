//! The livepatch that is built into `relakit demo`: it obeys Linux's rules for KLP sections, and it is what the C source
//! beside it compiles to.

#[path = "../demo/convert.rs"]
mod convert;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs, str};

use object::build::elf::{Builder, SectionData};
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, LittleEndian, SymbolIndex};

/// The committed module.
const MODULE: &[u8] = include_bytes!("../demo/livepatch.ko");
/// How it is compiled.
const CFLAGS: &str = include_str!("../demo/cflags.txt");
/// The symbols of the kernel that the demo pretends to run in, and of demo_disk at each time it comes.
const VMLINUX: &str = include_str!("../demo/symbols.txt");
const DEMO_DISK: [&str; 2] =
    [include_str!("../demo/demo_disk-first.txt"), include_str!("../demo/demo_disk-second.txt")];

const SHF_RELA_LIVEPATCH: u64 = 0x0010_0000;
const SHN_LIVEPATCH: u16 = 0xff20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A section as the tests look at it.
struct Section {
    name: String,
    sh_type: u32,
    flags: u64,
    /// Name of the section that sh_link names.
    link: String,
    /// Name of the section that sh_info names, if it names one.
    target: String,
    align: u64,
    entsize: u64,
    data: Vec<u8>,
    relocations: Vec<Rela>,
}

/// A relocation, with its symbol.
struct Rela {
    offset: u64,
    r_type: u32,
    /// Name of the symbol; for a local one, which compilers name as they like, of its section.
    symbol: String,
    st_shndx: u16,
}

impl Section {
    fn is_klp(&self) -> bool {
        self.flags & SHF_RELA_LIVEPATCH != 0
    }
}

/// Reads all sections but the null section.
fn read(file: &[u8]) -> Result<Vec<Section>> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(file)?;
    let table = header.sections(endian, file)?;
    let symbols = table.symbols(endian, file, elf::SHT_SYMTAB)?;
    let name_of = |index: usize| -> Result<String> {
        if index == 0 {
            return Ok(String::new());
        }
        let section = table.section(object::SectionIndex(index))?;
        Ok(str::from_utf8(table.section_name(endian, section)?)?.to_owned())
    };
    let mut sections = Vec::new();
    for (index, section) in table.enumerate().skip(1) {
        let mut relocations = Vec::new();
        for rela in section.rela(endian, file)?.map_or(&[][..], |(relas, _)| relas) {
            let r_sym = usize::try_from(rela.r_sym(endian, false))?;
            let symbol = symbols.symbol(SymbolIndex(r_sym))?;
            let st_shndx = symbol.st_shndx(endian).0;
            let symbol = if symbol.st_bind() == elf::STB_LOCAL {
                name_of(st_shndx.into())?
            } else {
                str::from_utf8(symbols.symbol_name(endian, symbol)?)?.to_owned()
            };
            let (offset, r_type) = (rela.r_offset.get(endian), rela.r_type(endian, false).0);
            relocations.push(Rela { offset, r_type, symbol, st_shndx });
        }
        let names_target = section.sh_flags(endian).contains(elf::SHF_INFO_LINK);
        sections.push(Section {
            name: name_of(index.0)?,
            sh_type: section.sh_type(endian).0,
            flags: section.sh_flags(endian).0,
            link: name_of(usize::try_from(section.sh_link(endian))?)?,
            target: if names_target {
                name_of(usize::try_from(section.sh_info(endian))?)?
            } else {
                String::new()
            },
            align: section.sh_addralign(endian),
            entsize: section.sh_entsize(endian),
            data: section.data(endian, file)?.to_owned(),
            relocations,
        });
    }
    Ok(sections)
}

/// Where an ordinary relocation section names a KLP symbol: Linux would write the value 0 there.
fn stray_klp_symbols(sections: &[Section]) -> Vec<String> {
    let ordinary = sections.iter().filter(|section| !section.is_klp());
    let relocations =
        ordinary.flat_map(|section| section.relocations.iter().map(move |rela| (section, rela)));
    relocations
        .filter(|(_, rela)| rela.st_shndx == SHN_LIVEPATCH || rela.symbol.starts_with(".klp."))
        .map(|(section, rela)| format!("{}+{:#x}: {}", section.name, rela.offset, rela.symbol))
        .collect()
}

/// All that must not depend on the compiler, one line each: sections, relocations (what, not where), KLP symbols.
fn picture(sections: &[Section]) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for section in sections.iter().filter(|section| !section.data.is_empty()) {
        let Section { name, sh_type, flags, link, target, .. } = section;
        lines.insert(format!(
            "section {name} type {sh_type} flags {flags:#x} link '{link}' target '{target}'"
        ));
        for Rela { r_type, symbol, st_shndx, .. } in &section.relocations {
            let klp = if *st_shndx == SHN_LIVEPATCH { " (KLP)" } else { "" };
            lines.insert(format!("relocation in {name} of {target}: type {r_type} {symbol}{klp}"));
        }
    }
    lines
}

/// A C compiler for x86-64 Linux and its first arguments, or why there is none. `CC`, if set, has to run.
fn compiler() -> Result<std::result::Result<Vec<String>, String>> {
    let cc = env::var("CC").ok().filter(|cc| !cc.trim().is_empty());
    let candidates = cc.as_ref().map_or_else(|| vec!["gcc", "cc", "clang"], |cc| vec![cc]);
    for nth_symbol in &candidates {
        let words: Vec<String> = nth_symbol.split_whitespace().map(str::to_owned).collect();
        let Some((program, arguments)) = words.split_first() else { continue };
        match Command::new(program).args(arguments).arg("-dumpmachine").output() {
            Ok(output) if output.status.success() => {
                let machine = String::from_utf8_lossy(&output.stdout);
                if machine.starts_with("x86_64") && machine.contains("linux") {
                    return Ok(Ok(words));
                }
            }
            _ if cc.is_none() => {}
            Ok(output) => return Err(format!("CC={nth_symbol}: {}", output.status).into()),
            Err(error) => return Err(format!("CC={nth_symbol}: {error}").into()),
        }
    }
    Ok(Err(format!("no C compiler for x86-64 Linux found, tried {}", candidates.join(", "))))
}

/// Compiles `demo/livepatch.c` as `demo/cflags.txt` says.
fn compile(compiler: &[String]) -> Result<Vec<u8>> {
    let (program, arguments) = compiler.split_first().ok_or("no compiler")?;
    let version = Command::new(program).args(arguments).arg("--version").output()?;
    let is_clang = String::from_utf8_lossy(&version.stdout).contains("clang");
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join("livepatch.o");
    let output = Command::new(program)
        .args(arguments)
        .args(CFLAGS.split_whitespace())
        .args(is_clang.then_some("-fno-addrsig")) // a section that the builder cannot read
        .arg("-c")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/livepatch.c"))
        .arg("-o")
        .arg(&object)
        .output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", compiler.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(fs::read(object)?)
}

#[test]
fn the_committed_module_is_what_its_source_compiles_to() {
    let compiler = match compiler().unwrap() {
        Ok(compiler) => compiler,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let made = convert::convert(&compile(&compiler).unwrap()).unwrap();
    let (made, committed) = (picture(&read(&made).unwrap()), picture(&read(MODULE).unwrap()));
    let missing: Vec<_> = made.difference(&committed).collect();
    let extra: Vec<_> = committed.difference(&made).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "demo/livepatch.ko is not made of demo/livepatch.c\nonly in the source: {missing:#?}\nonly in the .ko: {extra:#?}"
    );
}

#[test]
fn no_klp_symbol_remains_in_an_ordinary_section() {
    let stray = stray_klp_symbols(&read(MODULE).unwrap());
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn a_klp_symbol_in_an_ordinary_section_would_be_seen() {
    let header = FileHeader64::<LittleEndian>::parse(MODULE).unwrap();
    let table = usize::try_from(header.e_shoff(LittleEndian)).unwrap();
    let sections = read(MODULE).unwrap();
    for (index, section) in sections.iter().enumerate().filter(|(_, section)| section.is_klp()) {
        let mut file = MODULE.to_vec();
        file[table + (index + 1) * 64 + 8 + 2] &= !0x10; // bit 20 of sh_flags
        let stray = stray_klp_symbols(&read(&file).unwrap());
        assert_eq!(stray.len(), section.relocations.len(), "{}: {stray:?}", section.name);
    }
}

#[test]
fn klp_sections_obey_the_rules_of_linux() {
    let sections = read(MODULE).unwrap();
    let names: BTreeSet<_> = sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names.len(), sections.len(), "section names are unique");
    let mut klp = Vec::new();
    for section in sections.iter().filter(|section| section.is_klp()) {
        let name = &section.name;
        let object = name.strip_prefix(".klp.rela.").unwrap().split('.').next().unwrap();
        assert_eq!(*name, format!(".klp.rela.{object}.{}", section.target));
        assert_eq!((section.sh_type, section.link.as_str()), (4, ".symtab"), "{name}");
        assert_eq!(section.flags, 0x0010_0042, "{name}: ALLOC, INFO_LINK and RELA_LIVEPATCH");
        assert_eq!((section.align, section.entsize, section.data.len() % 24), (8, 24, 0), "{name}");
        for Rela { symbol, st_shndx, .. } in &section.relocations {
            assert_eq!(*st_shndx, SHN_LIVEPATCH, "{name}: {symbol}");
            let (symbol_object, rest) = symbol.strip_prefix(".klp.sym.").unwrap().split_once('.').unwrap();
            assert_eq!(symbol_object, object, "{name}: {symbol}");
            rest.split_once(',').unwrap().1.parse::<u64>().unwrap();
        }
        klp.push(name.as_str());
    }
    klp.sort_unstable();
    let expected = [
        ".klp.rela.demo_disk..data",
        ".klp.rela.demo_disk..text",
        ".klp.rela.vmlinux..text",
        ".klp.rela.vmlinux.__jump_table",
    ];
    assert_eq!(klp, expected);
}

#[test]
fn every_relocation_lands_on_zeros_of_its_loaded_target() {
    let sections = read(MODULE).unwrap();
    let mut types = BTreeSet::new();
    for section in sections.iter().filter(|section| section.sh_type == 4) {
        let target = sections.iter().find(|target| target.name == section.target).unwrap();
        assert_ne!(target.flags & elf::SHF_ALLOC.0, 0, "{} is loaded", target.name);
        for rela in &section.relocations {
            let size = if matches!(rela.r_type, 1 | 24) { 8 } else { 4 };
            let start = usize::try_from(rela.offset).unwrap();
            let field = target.data.get(start..start + size).unwrap();
            assert!(field.iter().all(|&byte| byte == 0), "{}+{start:#x}", target.name);
            types.insert(rela.r_type);
        }
    }
    assert_eq!(types, BTreeSet::from([1, 2, 4, 11, 24]), "64, PC32, PLT32, 32S, PC64");
}

#[test]
fn special_sections_hold_whole_entries() {
    let sections = read(MODULE).unwrap();
    let entries = [
        ("__jump_table", 16),
        (".altinstructions", 14),
        ("__ex_table", 12),
        ("__bug_table", 12),
        (".smp_locks", 4),
    ];
    for (name, size) in entries {
        let section = sections.iter().find(|section| section.name == name).unwrap();
        assert_eq!(section.data.len(), size, "{name}");
    }
}

#[test]
fn every_symbol_that_the_demo_needs_is_in_its_lists() {
    let named = |list: &str, name: &str| {
        list.lines().filter(|line| line.split_whitespace().nth(2) == Some(name)).count()
    };
    let sections = read(MODULE).unwrap();
    for Rela { symbol, st_shndx, .. } in sections.iter().flat_map(|section| &section.relocations) {
        if *st_shndx == 0 {
            assert_eq!(named(VMLINUX, symbol), 1, "{symbol}");
            assert_eq!(named(VMLINUX, &format!("__ksymtab_{symbol}")), 1, "{symbol} is exported");
        }
        let Some(rest) = symbol.strip_prefix(".klp.sym.") else { continue };
        let (object, rest) = rest.split_once('.').unwrap();
        let (name, sympos) = rest.split_once(',').unwrap();
        let sympos: usize = sympos.parse().unwrap();
        for list in if object == "vmlinux" { [VMLINUX; 2] } else { DEMO_DISK } {
            let count = named(list, name);
            assert!(if sympos == 0 { count == 1 } else { count >= sympos }, "{symbol}: {count} of them");
        }
        assert_eq!(named(VMLINUX, &format!("__ksymtab_{name}")), 0, "{symbol} is not exported");
    }
}

/// An object with one undefined symbol.
fn object_with_symbol(name: &str) -> Vec<u8> {
    let mut object = Builder::new(Endianness::Little, true);
    object.header.e_type = elf::ET_REL;
    object.header.e_machine = elf::EM_X86_64;
    for (name, sh_type, data) in [
        (".symtab", elf::SHT_SYMTAB, SectionData::Symbol),
        (".strtab", elf::SHT_STRTAB, SectionData::String),
        (".shstrtab", elf::SHT_STRTAB, SectionData::SectionString),
    ] {
        let section = object.sections.add();
        section.name = name.into();
        section.sh_type = sh_type;
        section.sh_addralign = 8;
        section.data = data;
    }
    let symbol = object.symbols.add();
    symbol.name = name.into();
    symbol.set_st_info(elf::STB_GLOBAL, elf::STT_NOTYPE);
    let mut file = Vec::new();
    object.write(&mut file).map(|()| file).unwrap_or_default()
}

#[test]
fn conversion_refuses_a_name_that_linux_could_not_read() {
    for good in [".klp.sym.vmlinux.foo.0", ".klp.sym.demo-disk.foo.isra.0.12", "klp.sym.x", "printk"] {
        convert::convert(&object_with_symbol(good)).unwrap();
    }
    for bad in [
        ".klp.sym.",
        ".klp.sym.vmlinux",
        ".klp.sym.vmlinux.foo",
        ".klp.sym..foo.0",
        ".klp.sym.vmlinux..0",
        ".klp.sym.vmlinux.foo.",
        ".klp.sym.vmlinux.foo.+1",
        ".klp.sym.vmlinux.foo.0x1",
        ".klp.sym.vmlinux.foo.18446744073709551616",
        ".klp.sym.vmlinux.fo,o.0",
        &format!(".klp.sym.{}.foo.0", "o".repeat(56)),
        &format!(".klp.sym.vmlinux.{}.0", "f".repeat(512)),
    ] {
        let error = convert::convert(&object_with_symbol(bad)).unwrap_err().to_string();
        assert!(error.contains(bad), "{error}");
    }
}

#[test]
fn conversion_refuses_what_is_cut_short_or_converted_already() {
    for length in 0..=MODULE.len() {
        assert!(convert::convert(&MODULE[..length]).is_err(), "first {length} bytes");
    }
}
