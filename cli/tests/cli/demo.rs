//! Checks the livepatch of `relakit demo`: it obeys Linux's rules for livepatch sections, and it is
//! compiled from the C source beside it.

use super::help::Demo;
use super::reader::{File, LIVEPATCH, Rela, Section};
use object::elf;
use relakit::Profile;
use relakit_convert::{Map, NoSymbols, Request};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The committed module.
const MODULE: &[u8] = include_bytes!("../../demo/livepatch.ko");
/// The compiler's arguments.
const CFLAGS: &str = include_str!("../../demo/cflags.txt");
/// The symbols of the demo's kernel, and those of demo_disk at each load.
const VMLINUX: &str = include_str!("../../demo/symbols.txt");
const DEMO_DISK: [&str; 2] =
    [include_str!("../../demo/demo_disk-first.txt"), include_str!("../../demo/demo_disk-second.txt")];

const SHN_LIVEPATCH: u16 = 0xff20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn read(file: &[u8]) -> File {
    File::read(file).unwrap()
}

/// The name and the section index of a relocation's symbol. A local symbol has the name of its
/// section, because compilers differ.
fn symbol<'f>(file: &'f File, rela: &Rela) -> (&'f str, u16) {
    let symbol = &file.symbols[rela.symbol];
    let section = &file.sections.get(usize::from(symbol.shndx)).filter(|_| symbol.is_local);
    (section.map_or(&symbol.name, |section| &section.name), symbol.shndx)
}

fn klp(file: &File) -> impl Iterator<Item = &Section> {
    file.sections.iter().filter(|section| section.is_klp())
}

/// Ordinary relocations that use a livepatch symbol. Linux would use the value 0.
fn stray_klp_symbols(file: &File) -> Vec<String> {
    let ordinary = file.sections.iter().filter(|section| !section.is_klp());
    let relocations =
        ordinary.flat_map(|section| section.relocations.iter().map(move |rela| (section, rela)));
    relocations
        .map(|(section, rela)| (&section.name, rela.offset, symbol(file, rela)))
        .filter(|(_, _, (name, shndx))| *shndx == SHN_LIVEPATCH || name.starts_with(".klp."))
        .map(|(section, offset, (name, _))| format!("{section}+{offset:#x}: {name}"))
        .collect()
}

/// Everything that does not depend on the compiler: sections, and relocations without offsets.
fn summary(file: &File) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for section in file.sections.iter().filter(|section| !section.data.is_empty()) {
        let Section { name, sh_type, flags, link, .. } = section;
        let (link, target) = (&file.sections[*link].name, file.target(section));
        lines.insert(format!(
            "section {name} type {sh_type} flags {flags:#x} link '{link}' target '{target}'"
        ));
        for rela in &section.relocations {
            let (symbol, shndx) = symbol(file, rela);
            let klp = if shndx == SHN_LIVEPATCH { " (KLP)" } else { "" };
            lines.insert(format!("relocation in {name} of {target}: type {} {symbol}{klp}", rela.r_type));
        }
    }
    lines
}

/// A C compiler for x86-64 Linux and its first arguments, or the reason why none is found. If `CC`
/// is set, it must work.
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

/// Compiles `demo/livepatch.c` with the arguments in `demo/cflags.txt`.
fn compile(compiler: &[String]) -> Result<Vec<u8>> {
    let (program, arguments) = compiler.split_first().ok_or("no compiler")?;
    let version = Command::new(program).args(arguments).arg("--version").output()?;
    let is_clang = String::from_utf8_lossy(&version.stdout).contains("clang");
    let object = Path::new(env!("CARGO_TARGET_TMPDIR")).join("livepatch.o");
    let output = Command::new(program)
        .args(arguments)
        .args(CFLAGS.split_whitespace())
        .args(is_clang.then_some("-fno-addrsig")) // gcc makes no such section
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
fn the_committed_module_is_compiled_from_its_source() {
    let compiler = match compiler().unwrap() {
        Ok(compiler) => compiler,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let (profile, map) = (Profile::LINUX_6_12, Map::default());
    let request = Request { profile, version: (6, 12), symbols: &NoSymbols, map: &map };
    let made = relakit_convert::convert(&compile(&compiler).unwrap(), &request).unwrap().bytes;
    let (made, committed) = (summary(&read(&made)), summary(&read(MODULE)));
    let missing: Vec<_> = made.difference(&committed).collect();
    let extra: Vec<_> = committed.difference(&made).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "demo/livepatch.ko does not match demo/livepatch.c\nonly in the source: {missing:#?}\nonly in the .ko: {extra:#?}"
    );
}

#[test]
fn no_klp_symbol_remains_in_an_ordinary_section() {
    let stray = stray_klp_symbols(&read(MODULE));
    assert!(stray.is_empty(), "{stray:?}");
}

#[test]
fn a_klp_symbol_in_an_ordinary_section_is_found() {
    let sections = read(MODULE).sections;
    for (index, section) in sections.iter().enumerate().filter(|(_, section)| section.is_klp()) {
        let demo = Demo::new();
        let flags = demo.header(index, 8);
        let stray = stray_klp_symbols(&read(&demo.put(flags, &(section.flags & !LIVEPATCH).to_le_bytes()).0));
        assert_eq!(stray.len(), section.relocations.len(), "{}: {stray:?}", section.name);
    }
}

#[test]
fn klp_sections_obey_the_rules_of_linux() {
    let file = read(MODULE);
    let sections = &file.sections;
    let names: BTreeSet<_> = sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names.len(), sections.len(), "section names are unique");
    for section in klp(&file) {
        let name = &section.name;
        let object = name.strip_prefix(".klp.rela.").unwrap().split('.').next().unwrap();
        assert_eq!(*name, format!(".klp.rela.{object}.{}", file.target(section)));
        assert_eq!((section.sh_type, sections[section.link].name.as_str()), (4, ".symtab"), "{name}");
        assert_eq!(section.flags, 0x0010_0042, "{name}: ALLOC, INFO_LINK and RELA_LIVEPATCH");
        assert_eq!((section.align, section.entsize, section.data.len() % 24), (8, 24, 0), "{name}");
        for rela in &section.relocations {
            let (symbol, shndx) = symbol(&file, rela);
            assert_eq!(shndx, SHN_LIVEPATCH, "{name}: {symbol}");
            let (symbol_object, rest) = symbol.strip_prefix(".klp.sym.").unwrap().split_once('.').unwrap();
            assert_eq!(symbol_object, object, "{name}: {symbol}");
            rest.split_once(',').unwrap().1.parse::<u64>().unwrap();
        }
    }
    let mut klp: Vec<_> = klp(&file).map(|section| section.name.as_str()).collect();
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
fn every_field_is_zero_and_in_a_loaded_section() {
    let file = read(MODULE);
    let mut types = BTreeSet::new();
    for section in file.sections.iter().filter(|section| section.is_rela()) {
        let target = &file.sections[section.info];
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
fn special_sections_have_complete_entries() {
    let sections = read(MODULE).sections;
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
fn the_symbol_files_list_every_symbol_of_the_demo() {
    let named = |list: &str, name: &str| {
        list.lines().filter(|line| line.split_whitespace().nth(2) == Some(name)).count()
    };
    let file = read(MODULE);
    for rela in file.sections.iter().flat_map(|section| &section.relocations) {
        let (symbol, shndx) = symbol(&file, rela);
        if shndx == 0 {
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
