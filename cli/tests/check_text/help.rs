//! The demo's livepatch, to be broken, and the tool.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

/// The kernel that the demo's livepatch is for.
pub const SYMBOLS: &str = include_str!("../../demo/symbols.txt");
/// The module that it patches.
const DEMO_DISK: &str = "demo/demo_disk-first.txt";

/// A livepatch in memory.
pub struct Livepatch(pub Vec<u8>);

/// The demo's.
pub fn livepatch() -> Livepatch {
    Livepatch(fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/livepatch.ko")).unwrap())
}

#[expect(clippy::arithmetic_side_effects, reason = "what overflows fails the test, as it should")]
impl Livepatch {
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

    /// Uses a vmlinux symbol that there is none of.
    pub fn unknown_symbol(self) -> Self {
        self.replace(24, b"diskstats_key", b"diskstats_kez")
    }
}

fn command(livepatch: &Livepatch, arguments: &[&str]) -> (tempfile::TempDir, Command) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("livepatch.ko"), &livepatch.0).unwrap();
    let demo_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join(DEMO_DISK);
    fs::write(folder.path().join("kallsyms"), SYMBOLS).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
    command
        .current_dir(folder.path())
        .args(["check", "livepatch.ko", "--symbols", "kallsyms"])
        .arg(demo_disk);
    command.args(arguments);
    for variable in ["CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR", "NO_COLOR"] {
        command.env_remove(variable);
    }
    (folder, command)
}

/// Checks a livepatch, as livepatch.ko in the folder it is run in.
pub fn check(livepatch: &Livepatch, arguments: &[&str]) -> Output {
    let (_folder, mut command) = command(livepatch, arguments);
    command.output().unwrap()
}

/// The same with colours.
pub fn coloured(livepatch: &Livepatch, arguments: &[&str]) -> Output {
    let (_folder, mut command) = command(livepatch, arguments);
    command.env("CLICOLOR_FORCE", "1").output().unwrap()
}

pub fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}
