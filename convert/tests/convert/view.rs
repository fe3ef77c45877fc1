//! A module as the tests compare it.

use relakit::elf::SectionFlags;
use relakit::{Module, Profile};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub const PROFILE: Profile = Profile::LINUX_6_12;

/// A file of `testdata`, unpacked.
pub fn testdata(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(path);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The recorded livepatches of 6.12.
pub fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let read = |name| (name, testdata(&format!("recordings/klp-6.12/{name}/module.ko.xz")));
    ["module_late", "multi_mixed", "vmlinux_only"].map(read).to_vec()
}

/// The modules that klp-build of Linux 7.3 made.
pub fn of_klp_build() -> Vec<(&'static str, Vec<u8>)> {
    ["livepatch-mixed", "livepatch-vmstatic"]
        .map(|name| (name, testdata(&format!("klp-build/{name}.ko.xz"))))
        .to_vec()
}

pub fn text(name: &[u8]) -> String {
    String::from_utf8(name.to_vec()).unwrap()
}

/// Offset, type, symbol and addend.
pub type Relocation = (u64, u32, String, i64);

/// The relocations of each livepatch section, sorted. Of two sections with one name, both.
pub fn klp(file: &[u8]) -> BTreeMap<String, Vec<Relocation>> {
    relocations(file, true)
}

/// The relocations of the relocation sections that are, or are not, livepatch sections.
pub fn relocations(file: &[u8], is_klp: bool) -> BTreeMap<String, Vec<Relocation>> {
    let module = Module::parse(file, PROFILE).unwrap();
    let object = module.object();
    let mut all: BTreeMap<String, Vec<Relocation>> = BTreeMap::new();
    for (index, section) in object.sections() {
        if section.sh_type != 4 || section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH) != is_klp {
            continue;
        }
        let table = object.symbols();
        let name = |symbol: u32| {
            let symbol = table.get(symbol).unwrap();
            match (text(table.name(&symbol).unwrap()), symbol.st_shndx) {
                (name, shndx) if name.is_empty() => format!("section {shndx}"),
                (name, _) => name,
            }
        };
        let rows = module.relocations(index);
        let rows = rows.iter().map(|rela| (rela.r_offset, rela.r_type, name(rela.r_sym), rela.r_addend));
        all.entry(text(object.section_name(&section))).or_default().extend(rows);
    }
    all.values_mut().for_each(|rows| rows.sort());
    all
}

/// Name, header and content of each section that is neither relocations nor symbols nor strings, in
/// the order of the file.
pub fn content(file: &[u8]) -> Vec<(String, u32, u64, u64, Vec<u8>)> {
    let module = Module::parse(file, PROFILE).unwrap();
    let object = module.object();
    let sections = object.sections().filter(|(_, section)| ![2, 3, 4].contains(&section.sh_type));
    sections
        .map(|(_, section)| {
            let name = text(object.section_name(&section));
            let bytes = object.section_bytes(&section).to_vec();
            (name, section.sh_type, section.sh_flags.bits(), section.sh_addralign.max(1), bytes)
        })
        .collect()
}

/// Name, `st_info`, section, value and size of each symbol that a predicate chooses.
pub fn symbols(file: &[u8], chosen: impl Fn(&str) -> bool) -> BTreeSet<(String, u8, u16, u64, u64)> {
    let module = Module::parse(file, PROFILE).unwrap();
    let table = module.object().symbols();
    let rows = table.iter().skip(1).map(|symbol| {
        let name = text(table.name(&symbol).unwrap());
        (name, symbol.st_info, symbol.st_shndx, symbol.st_value, symbol.st_size)
    });
    rows.filter(|(name, ..)| chosen(name)).collect()
}

/// The names of all symbols, in order.
pub fn symbol_names(file: &[u8]) -> Vec<String> {
    let module = Module::parse(file, PROFILE).unwrap();
    let table = module.object().symbols();
    table.iter().map(|symbol| text(table.name(&symbol).unwrap())).collect()
}
