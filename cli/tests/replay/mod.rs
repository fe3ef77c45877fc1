//! Finds the recordings, and collects the errors.

pub mod compare;
pub mod klp;
pub mod layout;
pub mod module;
pub mod plain;
pub mod run;
pub mod verify;

use super::reader;
use super::reader::read;

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Once;

use layout::Layout;
use module::Module;
use relakit::Profile;
use serde_json::Value;

/// The variable that names the folder of the full set.
const FULL_SET: &str = "RELAKIT_ORACLE";

/// The prefixes of folders with recordings.
const KINDS: [&str; 2] = [PLAIN, LIVEPATCH];
/// Ordinary modules.
pub const PLAIN: &str = "plain-";
/// Livepatches.
pub const LIVEPATCH: &str = "klp-";

/// A folder with `klp-*` and `plain-*` folders.
pub struct Root(PathBuf);

/// The small set, then the full set if it exists.
pub fn roots() -> Vec<Root> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let small = here.join("../testdata/recordings");
    assert!(small.is_dir(), "the repository's recordings are missing: {}", small.display());
    let named = env::var_os(FULL_SET).map(PathBuf::from);
    let full = named.clone().unwrap_or_else(|| here.join("../../shared/oracle"));
    if full.is_dir() {
        return vec![Root(small), Root(full)];
    }
    assert!(named.is_none(), "{FULL_SET} names no folder: {}", full.display());
    say_once(&format!(
        "only the small set of recordings is replayed: {FULL_SET} is not set and there is no {}",
        full.display()
    ));
    vec![Root(small)]
}

impl Root {
    /// The cases of all folders with this prefix. A folder without a case is an error.
    pub fn recordings(&self, prefix: &str) -> Vec<Recording> {
        let families = folders(&self.0);
        let known = |family: &PathBuf| KINDS.iter().any(|kind| file_name(family).starts_with(kind));
        assert!(families.iter().any(known), "{} has none of the folders {KINDS:?}", self.0.display());

        let mut found = Vec::new();
        for family in families.iter().filter(|family| file_name(family).starts_with(prefix)) {
            let is_case =
                |case: &PathBuf| ["layout.json", "module.ko"].iter().any(|name| find(case, name).is_some());
            let cases: Vec<_> = folders(family).into_iter().filter(is_case).collect();
            assert!(!cases.is_empty(), "{} holds no recording", family.display());
            found.extend(cases.iter().map(|case| Recording::open(family, case)));
        }
        found
    }
}

/// A module, its recorded states, and the symbols of the kernel.
pub struct Recording {
    /// Name of its folder.
    pub name: String,
    pub path: PathBuf,
    /// The folder of all recordings of this kernel.
    pub family: PathBuf,
    /// `layout.json` or `layout.json.xz`.
    pub layout: Layout,
    /// `module.ko` or `module.ko.xz`.
    pub module: Module,
}

impl Recording {
    fn open(family: &Path, case: &Path) -> Self {
        Self {
            name: file_name(case),
            path: case.to_path_buf(),
            family: family.to_path_buf(),
            layout: Layout::open(&need(case, "layout.json")),
            module: Module::open(&need(case, "module.ko")),
        }
    }

    /// The same recording of another file of the module, without the content of the livepatch sections.
    /// `folder` is empty, and gets links to the other files.
    pub fn of_module(&self, module: &[u8], folder: &Path) -> Self {
        let case = folder.join(&self.name);
        fs::create_dir(&case).unwrap();
        let mut layout = self.layout.json.clone();
        let sections = layout["sections"].as_array().unwrap().iter();
        let is_klp = |section: &&Value| section["name"].as_str().unwrap().starts_with(".klp.rela.");
        let klp: Vec<_> = sections.filter(is_klp).map(|section| section["index"].to_string()).collect();
        for state in layout["states"].as_object_mut().unwrap().values_mut() {
            state["sections"].as_object_mut().unwrap().retain(|index, _| !klp.contains(index));
        }
        fs::write(case.join("layout.json"), layout.to_string()).unwrap();
        for entry in fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file_name(&entry);
            if !name.starts_with("module.ko") && !name.starts_with("layout.json") {
                symlink(entry.canonicalize().unwrap(), case.join(file_name(&entry))).unwrap();
            }
        }
        fs::write(case.join("module.ko"), module).unwrap();
        Self::open(&self.family, &case)
    }

    /// `folder/case`, for messages.
    pub fn title(&self) -> String {
        format!("{}/{}", file_name(&self.family), self.name)
    }

    /// Major and minor version of the kernel, as in `6.12`.
    pub fn kernel(&self) -> String {
        let (major, minor) = self.version();
        format!("{major}.{minor}")
    }

    /// The same as numbers.
    pub fn version(&self) -> (u16, u16) {
        let family = file_name(&self.family);
        let release =
            self.layout.kernel.as_deref().or(family.split_once('-').map(|(_, version)| version)).unwrap();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// The rules of the kernel.
    pub fn profile(&self) -> Profile {
        let (major, minor) = self.version();
        *Profile::for_linux(major, minor).unwrap()
    }

    /// The kernel's symbol table.
    pub fn symbols(&self) -> PathBuf {
        ["kallsyms-after", "kallsyms-vmlinux", "kallsyms"]
            .iter()
            .flat_map(|name| [find(&self.path, name), find(&self.family, name)])
            .flatten()
            .next()
            .unwrap_or_else(|| panic!("{} has no kallsyms file", self.title()))
    }
}

/// What was replayed, and all errors.
pub struct Report {
    kind: &'static str,
    recordings: u32,
    bytes: usize,
    errors: Vec<String>,
}

impl Report {
    pub fn new(kind: &'static str) -> Self {
        Self { kind, recordings: 0, bytes: 0, errors: Vec::new() }
    }

    /// Counts a recording.
    pub fn begin(&mut self) {
        self.recordings = self.recordings.saturating_add(1);
    }

    /// Counts compared bytes.
    pub fn compared(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub fn error(&mut self, text: String) {
        self.errors.push(text);
    }

    /// Fails if there are errors.
    pub fn finish(self) {
        println!("{}*: {} recordings, {} bytes compared", self.kind, self.recordings, self.bytes);
        assert!(self.bytes > 0, "nothing was compared");
        assert!(self.errors.is_empty(), "{} errors:\n{}", self.errors.len(), self.errors.join("\n"));
    }
}

/// Prints a note also if the tests pass. The harness captures `println!`.
fn say_once(text: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| writeln!(std::io::stderr(), "note: {text}").unwrap());
}

/// `name` or `name.xz` in a folder.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.xz")].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The same, but the file must exist.
pub fn need(folder: &Path, name: &str) -> PathBuf {
    find(folder, name).unwrap_or_else(|| panic!("{} has neither {name} nor {name}.xz", folder.display()))
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
