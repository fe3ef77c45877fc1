//! Runs the tool in a folder of its own.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo");

/// A folder with what the commands need: the livepatch of the demo, symbols, a placement, a file that is no module.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for file in ["livepatch.ko", "symbols.txt"] {
            fs::copy(Path::new(DEMO).join(file), folder.path(file)).unwrap();
        }
        let place = |index: u64| serde_json::json!({"index": index, "addr": 0xffff_ffff_c090_0000u64 + index * 0x1000});
        let places: Vec<_> = (1..26).map(place).collect();
        folder.write("place.json", serde_json::json!({"sections": places}).to_string().as_bytes());
        folder.write("broken.ko", b"this is no module");
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// `relakit` in this folder; the arguments are words of one text.
    pub fn relakit(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relakit"));
        command.current_dir(self.0.path()).args(arguments.split(' '));
        command
    }

    /// The same with limits, as the shell sets them.
    pub fn limited(&self, limits: &str, arguments: &str) -> Command {
        let mut command = Command::new("sh");
        command.current_dir(self.0.path()).args(["-c", &format!("{limits}; exec \"$@\"",), "sh"]);
        // Every thread would reserve address space for a heap of its own.
        command.env("MALLOC_ARENA_MAX", "1");
        command.arg(env!("CARGO_BIN_EXE_relakit")).args(arguments.split(' '));
        command
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

pub fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
