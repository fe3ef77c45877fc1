//! Runs `relakit apply`, and reads its output.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use super::compare::Image;
use super::{Recording, find, need, read};

/// A run of `relakit apply`, and its output folder.
pub struct Run {
    folder: TempDir,
    output: Output,
}

/// A late pass.
pub enum Pass {
    /// The object is loaded. The file has its symbols.
    Coming(String, PathBuf),
    /// The object is unloaded.
    Going(String),
}

impl Pass {
    /// The output folder of this pass. Steps are counted from 1.
    pub fn folder(&self, step: usize) -> String {
        match self {
            Self::Coming(object, _) => format!("{step}-coming-{object}"),
            Self::Going(object) => format!("{step}-going-{object}"),
        }
    }
}

/// Relocates the module for its recorded addresses.
pub fn apply(recording: &Recording, more_symbols: Option<&Path>, passes: &[Pass]) -> Run {
    let folder = TempDir::new().unwrap();
    let mut symbols = vec![recording.symbols()];
    symbols.extend(more_symbols.map(Path::to_path_buf));
    let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
    command.arg("apply").arg(need(&recording.path, "module.ko"));
    command.arg("--place").arg(addresses(recording, &symbols, folder.path()));
    command.arg("--symbols").args(&symbols);
    for pass in passes {
        match pass {
            Pass::Coming(object, file) => {
                let mut argument = OsString::from(format!("{object}="));
                argument.push(file);
                command.arg("--coming").arg(argument)
            }
            Pass::Going(object) => command.arg("--going").arg(object),
        };
    }
    command.args(["--kernel", &recording.kernel()]).arg("--out").arg(folder.path().join("out"));
    let output = command.output().unwrap();
    Run { folder, output }
}

impl Run {
    pub fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).trim_end().to_owned()
    }

    /// Whether a step wrote its folder.
    pub fn wrote(&self, step: &str) -> bool {
        self.folder.path().join("out").join(step).exists()
    }

    /// The sections that were written for a step.
    pub fn image(&self, step: &str) -> Image {
        let Ok(entries) = fs::read_dir(self.folder.path().join("out").join(step)) else {
            return Image::new();
        };
        let files = entries.map(|entry| entry.unwrap().path());
        let sections =
            files.filter_map(|file| Some((file.file_stem()?.to_str()?.parse().ok()?, read(&file))));
        sections.collect()
    }
}

/// The recorded addresses. If the symbol files do not list the module, because its init function
/// failed before they were recorded, a copy has the base of its per-CPU symbols.
fn addresses(recording: &Recording, symbols: &[PathBuf], folder: &Path) -> PathBuf {
    let layout = &recording.layout;
    let Some(section) = recording.module.per_cpu_section() else {
        return layout.path.clone();
    };
    if symbols.iter().any(|file| mentions(file, &layout.module)) {
        return layout.path.clone();
    }
    let mut defined = recording.module.defined().filter(|(_, symbol)| symbol.shndx == section);
    let Some((index, symbol)) = defined.next() else {
        return layout.path.clone();
    };
    let base = layout.symbol_values()[index].wrapping_sub(symbol.value);
    let mut copy = layout.json.clone();
    for entry in copy["sections"].as_array_mut().unwrap() {
        if entry["index"] == section {
            entry["symbols_at"] = json!(format!("{base:#x}"));
        }
    }
    let path = folder.join("memory.json");
    fs::write(&path, serde_json::to_vec(&copy).unwrap()).unwrap();
    path
}

/// Whether a symbol file lists this module.
pub fn mentions(file: &Path, module: &str) -> bool {
    let text = read(file);
    let owner = format!("[{module}]");
    String::from_utf8_lossy(&text).lines().any(|line| line.ends_with(&owner))
}

/// The symbols of a target module as in /proc/kallsyms, from the recording of its load. After the
/// init function (`live`), those in init sections are missing.
pub fn target_symbols(recording: &Recording, file: &str, live: bool, out: &Path) -> Option<PathBuf> {
    use super::layout::Layout;
    use super::module::Module;

    let layout = Layout::open(&find(&recording.path, file.strip_suffix(".xz").unwrap_or(file))?);
    let name = format!("{}.ko", layout.module);
    let target = Module::open(&find(&recording.path, &name).or_else(|| find(&recording.family, &name))?);
    let values = layout.symbol_values();
    let seen = target.defined().filter(|(_, symbol)| !live || !target.is_init(symbol.shndx));
    let lines = seen
        .map(|(index, symbol)| format!("{:016x} t {}\t[{}]\n", values[index], symbol.name, layout.module));
    fs::write(out, lines.collect::<String>()).unwrap();
    Some(out.to_path_buf())
}
