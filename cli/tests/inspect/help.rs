//! Runs the tool, and reads modules in another way.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use object::LittleEndian;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use serde_json::Value;

/// The livepatch of the demo, seen from the folder in which the tests run the program.
pub const DEMO: &str = "demo/livepatch.ko";

pub fn relakit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("inspect");
    for variable in ["CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs it on a file in memory.
pub fn run(file: &[u8], arguments: &[&str]) -> Output {
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(&path, file).unwrap();
    relakit().args(arguments).arg(path.path()).output().unwrap()
}

/// Runs it on a file in memory, with colours.
pub fn run_coloured(file: &[u8]) -> Output {
    let path = tempfile::NamedTempFile::new().unwrap();
    fs::write(&path, file).unwrap();
    relakit().arg(path.path()).env("CLICOLOR_FORCE", "1").output().unwrap()
}

pub fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

pub fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// What it says with `--format json`; it must end well.
pub fn json(file: &[u8], arguments: &[&str]) -> Value {
    let output = run(file, &[&["--format", "json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The row of a special section.
pub fn special<'v>(report: &'v Value, name: &str) -> &'v Value {
    let rows = list(&report["special_sections"]);
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// Every module of the recordings, unpacked: of the small set, and of the full one if `RELAKIT_ORACLE` names it.
pub fn modules() -> Vec<(PathBuf, Vec<u8>)> {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/recordings");
    let mut folders: Vec<PathBuf> = env::var_os("RELAKIT_ORACLE").map(PathBuf::from).into_iter().collect();
    folders.extend(small.is_dir().then_some(small));
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                // The verdicts are on modules with defects.
                folders.extend((name != "verdicts").then_some(path));
            } else if name.ends_with(".ko") {
                found.push((path.clone(), fs::read(&path).unwrap()));
            } else if name.ends_with(".ko.xz") {
                let packed = fs::read(&path).unwrap();
                let mut file = Vec::new();
                lzma_rust2::XzReader::new(&packed[..], true).read_to_end(&mut file).unwrap();
                found.push((path, file));
            }
        }
    }
    found.sort();
    found
}

/// A copy of the demo's livepatch, to be spoilt.
pub struct Demo(pub Vec<u8>);

#[expect(clippy::arithmetic_side_effects, reason = "what overflows fails the test, as it should")]
impl Demo {
    pub fn new() -> Self {
        Self(fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(DEMO)).unwrap())
    }

    fn word(&self, at: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap())).unwrap()
    }

    /// File offset of a field of a section header.
    pub fn header(&self, section: usize, field: usize) -> usize {
        self.word(40) + section * 64 + field
    }

    /// File offset of a section's content.
    pub fn content(&self, section: usize) -> usize {
        self.word(self.header(section, 24))
    }

    pub fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Replaces the first `old` in a section by `new` of the same length.
    pub fn replace(self, section: usize, old: &[u8], new: &[u8]) -> Self {
        assert_eq!(old.len(), new.len());
        let start = self.content(section);
        let at = self.0[start..].windows(old.len()).position(|window| window == old).unwrap();
        self.put(start + at, new)
    }
}

/// What the `object` crate finds in a module.
#[derive(Debug, Default, PartialEq)]
pub struct Facts {
    /// Name, type, flags, size.
    pub sections: Vec<(String, u64, u64, u64)>,
    /// Index, name.
    pub klp_symbols: Vec<(u64, String)>,
    /// Number of relocations by section index and type.
    pub relocations: BTreeMap<(u64, u64), u64>,
    pub symbols: u64,
}

#[expect(clippy::arithmetic_side_effects, reason = "what overflows fails the test, as it should")]
pub fn reader(file: &[u8]) -> Facts {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(file).unwrap();
    let table = header.sections(endian, file).unwrap();
    let symbols = table.symbols(endian, file, object::elf::SHT_SYMTAB).unwrap();
    let mut facts = Facts { symbols: symbols.len() as u64, ..Facts::default() };
    let text = |bytes: &[u8]| str::from_utf8(bytes).unwrap().to_owned();
    for (index, section) in table.enumerate() {
        let name = text(table.section_name(endian, section).unwrap());
        let (sh_type, flags) = (section.sh_type(endian).0, section.sh_flags(endian).0);
        facts.sections.push((name, u64::from(sh_type), flags, section.sh_size(endian)));
        for rela in section.rela(endian, file).unwrap().map_or(&[][..], |(relas, _)| relas) {
            let key = (index.0 as u64, u64::from(rela.r_type(endian, false).0));
            *facts.relocations.entry(key).or_default() += 1;
        }
    }
    for (index, symbol) in symbols.enumerate() {
        if symbol.st_shndx(endian).0 == 0xff20 {
            let name = text(symbols.symbol_name(endian, symbol).unwrap());
            facts.klp_symbols.push((index.0 as u64, name));
        }
    }
    facts
}
