//! What was recorded: the list of cases, layouts, states, and the symbols of the kernel and of target modules.

use object::read::elf::{ElfFile64, FileHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, elf};
use relakit::{CallbackError, Resolver};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The folders of recordings that are here: the small set of the repository, and the full one, which is looked for where
/// `RELAKIT_ORACLE` says or in `shared/oracle` beside the repository.
pub fn oracles() -> Vec<PathBuf> {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let full =
        std::env::var_os("RELAKIT_ORACLE").map_or_else(|| core.join("../../shared/oracle"), PathBuf::from);
    let found = |root: &PathBuf| {
        let here = exists(&root.join("verdicts/verdicts.json"));
        if !here {
            println!("no recordings in {}: nothing of it compared", root.display());
        }
        here
    };
    let oracles: Vec<_> = [core.join("../testdata/recordings"), full].into_iter().filter(found).collect();
    assert!(!oracles.is_empty(), "not even the repository's own recordings are here");
    oracles
}

fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".xz");
    name.into()
}

/// Whether the file is there, plain or as `.xz`.
pub fn exists(path: &Path) -> bool {
    path.exists() || packed(path).exists()
}

/// A file that is there plain or as `.xz`.
pub fn read(path: &Path) -> Vec<u8> {
    if path.exists() {
        return std::fs::read(path).unwrap();
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(packed(path)).unwrap();
    lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes).unwrap();
    bytes
}

/// One line of `verdicts.json`.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub file: Vec<u8>,
    pub preload: Vec<String>,
    pub verdict: String,
    pub errno: i32,
    pub reached_end_of_relocation: bool,
    pub steps: Vec<Step>,
}

/// What was done after the load.
pub struct Step {
    /// `L:module`, `U:module` or `S:state`.
    pub action: char,
    pub argument: String,
    pub errno: i32,
    pub log: String,
    /// The layout that a loaded target got.
    pub target: Option<String>,
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read(path)).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> u64 {
    match value.as_str() {
        Some(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap(),
        None => value.as_u64().unwrap(),
    }
}

fn errno(value: &Value) -> i32 {
    i32::try_from(value["errno"].as_i64().unwrap_or(0)).unwrap()
}

pub fn cases(oracle: &Path) -> Vec<Case> {
    let verdicts = oracle.join("verdicts");
    let list = json(&verdicts.join("verdicts.json"));
    let case = |case: &Value| {
        let name = text(&case["case"]);
        Case {
            folder: verdicts.join("cases").join(&name),
            file: read(&verdicts.join(text(&case["file"]))),
            preload: case["preload"].as_array().unwrap().iter().map(text).collect(),
            verdict: text(&case["verdict"]),
            errno: errno(case),
            reached_end_of_relocation: case["reached_end_of_relocation"] == true,
            steps: case["steps"].as_array().unwrap().iter().map(step).collect(),
            name,
        }
    };
    list["cases"].as_array().unwrap().iter().map(case).collect()
}

fn step(step: &Value) -> Step {
    let (action, argument) = step["step"].as_str().unwrap().split_once(':').unwrap();
    let log = step["dmesg"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    Step {
        action: action.chars().next().unwrap(),
        argument: argument.to_owned(),
        errno: errno(step),
        log: log.join("\n"),
        target: step["target_layout"].as_str().map(str::to_owned),
    }
}

/// Where the sections of a module were placed, and the values of its symbols.
pub struct Layout {
    json: Value,
    folder: PathBuf,
}

impl Layout {
    pub fn open(path: &Path) -> Option<Self> {
        exists(path).then(|| Self { json: json(path), folder: path.parent().unwrap().to_owned() })
    }

    pub fn address(&self, section: usize) -> u64 {
        number(&self.json["sections"][section]["addr"])
    }

    /// The name of the kernel memory in which the section is; `None` for per-CPU data.
    #[allow(dead_code, reason = "only the test of layouts asks")]
    pub fn memory(&self, section: usize) -> Option<&str> {
        self.json["sections"][section]["mem"].as_str()
    }

    pub fn symbols(&self) -> Vec<u64> {
        self.json["symbols"].as_array().unwrap().iter().map(number).collect()
    }

    /// Whether the section is there while the module is live.
    fn stays(&self, section: usize) -> bool {
        let placed = &self.json["sections"][section];
        let allocated = number(&placed["flags"]) & elf::SHF_ALLOC.0 != 0;
        let per_cpu = placed["name"] == ".data..percpu";
        per_cpu || allocated && placed["mem"].as_str().is_some_and(|mem| !mem.starts_with("init"))
    }

    /// The states that were recorded.
    #[allow(dead_code, reason = "only the test of special sections goes over all states")]
    pub fn labels(&self) -> Vec<String> {
        self.json["states"].as_object().unwrap().keys().cloned().collect()
    }

    /// The recorded bytes by section.
    pub fn state(&self, label: &str) -> Option<BTreeMap<u32, Vec<u8>>> {
        let state = self.json["states"].get(label)?;
        let file = text(&state["file"]);
        let bytes = read(&self.folder.join(file.strip_suffix(".xz").unwrap_or(&file)));
        let section = |(index, place): (&String, &Value)| {
            let at = |part: usize| usize::try_from(number(&place[part])).unwrap();
            (index.parse().unwrap(), bytes[at(0)..][..at(1)].to_vec())
        };
        Some(state["sections"].as_object().unwrap().iter().map(section).collect())
    }
}

type ByName = HashMap<Vec<u8>, Vec<u64>>;

/// The kernel's symbols, and those of the modules that are loaded.
pub struct Kernel {
    vmlinux: ByName,
    modules: HashMap<Vec<u8>, ByName>,
}

impl Kernel {
    pub fn open(oracle: &Path) -> Self {
        let lines = String::from_utf8(read(&oracle.join("klp-6.12/kallsyms-vmlinux"))).unwrap();
        let mut vmlinux = ByName::new();
        for line in lines.lines() {
            let mut words = line.split_whitespace();
            let value = u64::from_str_radix(words.next().unwrap(), 16).unwrap();
            let name = words.nth(1).unwrap().as_bytes().to_vec();
            vmlinux.entry(name).or_default().push(value);
        }
        Self { vmlinux, modules: HashMap::new() }
    }

    /// A module comes (all its symbols can be found) or is live (only those that stay).
    pub fn load(&mut self, file: &[u8], layout: &Layout, live: bool) -> String {
        let object = ElfFile64::<LittleEndian>::parse(file).unwrap();
        let sections = object.elf_header().e_shnum(LittleEndian);
        let values = layout.symbols();
        let mut symbols = ByName::new();
        for symbol in object.symbols() {
            let section = symbol.elf_symbol().st_shndx.get(LittleEndian).0;
            let stays = section < sections && layout.stays(usize::from(section));
            if section != elf::SHN_UNDEF.0 && (!live || stays) {
                let name = symbol.name_bytes().unwrap().to_vec();
                symbols.entry(name).or_default().push(values[symbol.index().0]);
            }
        }
        // `struct module` of these kernels: state, list head, name.
        let this_module = object.section_by_name(".gnu.linkonce.this_module").unwrap();
        let name = &this_module.data().unwrap()[24..80];
        let name = String::from_utf8(name.split(|&byte| byte == 0).next().unwrap().to_vec()).unwrap();
        self.modules.insert(name.as_bytes().to_vec(), symbols);
        name
    }

    pub fn unload(&mut self, module: &str) {
        self.modules.remove(module.as_bytes());
    }
}

impl Resolver for Kernel {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        let is_exported = self.vmlinux.contains_key(&[b"__ksymtab_", name].concat());
        Ok(self.vmlinux.get(name).filter(|_| is_exported).map(|values| values[0]))
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        let symbols = match object {
            b"vmlinux" => Some(&self.vmlinux),
            module => self.modules.get(module),
        };
        let values = symbols.and_then(|symbols| symbols.get(name)).map_or(&[][..], Vec::as_slice);
        let position = usize::try_from(position).unwrap().checked_sub(1).unwrap();
        Ok(values.get(position).copied())
    }
}
