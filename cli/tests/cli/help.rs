//! Runs the tool in its own folder, on the demo's livepatch or a changed copy.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");
/// The symbols of the demo's kernel.
pub const SYMBOLS: &str = include_str!("../../demo/symbols.txt");
pub const FIRST: &str = include_str!("../../demo/demo_disk-first.txt");

/// A copy of the demo's livepatch.
#[derive(Clone)]
pub struct Demo(pub Vec<u8>);

impl Demo {
    pub fn new() -> Self {
        Self(fs::read(Path::new(DEMO).join("livepatch.ko")).unwrap())
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

    /// Uses a vmlinux symbol that does not exist.
    pub fn unknown_symbol(self) -> Self {
        self.replace(24, b"diskstats_key", b"diskstats_kez")
    }
}

pub fn relakit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
    for variable in ["CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// A folder with input for all commands: the demo's livepatch, symbols, addresses, a text file.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for file in ["livepatch.ko", "symbols.txt", "demo_disk-first.txt", "demo_disk-second.txt"] {
            fs::copy(Path::new(DEMO).join(file), folder.path(file)).unwrap();
        }
        let section = |index: u64| serde_json::json!({"index": index, "addr": format!("{:#x}", 0xffff_ffff_c090_0000u64 + index * 0x1000)});
        let sections: Vec<_> = (1..26).map(section).collect();
        folder.write("memory.json", serde_json::json!({"sections": sections}).to_string());
        folder.write("broken.ko", b"\x7fELF, but not a module");
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// `relakit` in this folder, with the words of a text as arguments. The kernel is 6.12 if the
    /// arguments name none, because the demo's livepatch does not say for which kernel it is built.
    pub fn relakit(&self, arguments: &str) -> Command {
        let mut command = relakit();
        command.current_dir(self.0.path()).args(arguments.split(' ')).args(kernel(arguments));
        command
    }

    pub fn run(&self, arguments: &str) -> Output {
        self.relakit(arguments).output().unwrap()
    }

    /// `relakit` with limits that the shell sets.
    pub fn limited(&self, limits: &str, arguments: &str) -> Command {
        let mut command = Command::new("sh");
        command.current_dir(self.0.path()).args(["-c", &format!("{limits}; exec \"$@\"",), "sh"]);
        // Otherwise each thread reserves address space for its own heap.
        command.env("MALLOC_ARENA_MAX", "1");
        command.arg(env!("CARGO_BIN_EXE_relakit")).args(arguments.split(' '));
        command.args(kernel(arguments));
        command
    }
}

fn kernel(arguments: &str) -> Vec<&'static str> {
    let has_kernel = ["check ", "inspect ", "apply ", "verify ", "convert ", "diff "]
        .iter()
        .any(|command| arguments.starts_with(command));
    if has_kernel && !arguments.contains("--kernel") { vec!["--kernel", "6.12"] } else { Vec::new() }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

pub fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

pub fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Compares a text with a file in tests/snapshots. RELAKIT_BLESS=1 writes the file.
pub fn snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    if bless() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}: RELAKIT_BLESS=1 accepts the new text");
}

pub fn bless() -> bool {
    std::env::var_os("RELAKIT_BLESS").is_some_and(|bless| bless == "1")
}
