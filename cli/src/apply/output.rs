//! The directory that `relakit apply` writes: a folder for each step, and the addresses.

use crate::failure::Failure;
use crate::input::memory::{self, Assigned};
use crate::simulate::memory::ModuleMemory;
use relakit::Module;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file with the addresses.
const PLACE: &str = "place.json";

#[derive(Debug)]
pub(super) struct Output<'a> {
    out: &'a Path,
    /// The file with the addresses, when it is written.
    place: Option<PathBuf>,
}

impl<'a> Output<'a> {
    pub(super) const fn new(out: &'a Path) -> Self {
        Self { out, place: None }
    }

    /// The file with the addresses, if it is written.
    pub(super) fn place(&self) -> Option<String> {
        self.place.as_ref().map(|path| path.display().to_string())
    }

    /// Removes the folders that an earlier run wrote. A folder that looks like one of them, but has
    /// other files, is refused before any is removed.
    pub(super) fn remove_old(&self) -> Result<(), Failure> {
        let entries = match fs::read_dir(self.out) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| Failure::file(self.out, error))?,
        };
        let mut old = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Failure::file(self.out, error))?;
            let path = entry.path();
            // A link counts as neither, so nothing behind it is removed.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder || !is_step(&entry.file_name()) {
                continue;
            }
            for file in fs::read_dir(&path).map_err(|error| Failure::file(&path, error))? {
                let file = file.map_err(|error| Failure::file(&path, error))?;
                let is_file = file.file_type().is_ok_and(|kind| kind.is_file());
                if !is_file || !is_section(&file.file_name()) {
                    let why = "relakit does not write this file, so it does not remove the directory; \
                               give another --out";
                    return Err(Failure::file(&file.path(), why));
                }
            }
            old.push(path);
        }
        old.iter().try_for_each(|path| fs::remove_dir_all(path).map_err(|error| Failure::file(path, error)))
    }

    /// Writes the sections to the folder of a step. The folder gets its name when it is complete.
    pub(super) fn write_step(&self, step: &str, memory: &ModuleMemory) -> Result<usize, Failure> {
        let (done, partial) = (self.out.join(step), self.out.join(format!(".{step}.partial")));
        fs::create_dir_all(&partial).map_err(|error| Failure::file(&partial, error))?;
        let mut written = 0usize;
        for (index, bytes) in memory.contents() {
            let path = partial.join(format!("{index}.bin"));
            fs::write(&path, bytes).map_err(|error| Failure::file(&path, error))?;
            written = written.saturating_add(1);
        }
        fs::rename(&partial, &done).map_err(|error| Failure::file(&done, error))?;
        Ok(written)
    }

    /// Writes the addresses, in a format of `--place`.
    pub(super) fn write_place(
        &mut self,
        module: &Module<'_>,
        sections: &BTreeMap<u32, Assigned>,
    ) -> Result<(), Failure> {
        let path = self.out.join(PLACE);
        let text =
            memory::write(module, sections).map_err(|error| Failure::file(&path, error.to_string()))?;
        fs::write(&path, text).map_err(|error| Failure::file(&path, error))?;
        self.place = Some(path);
        Ok(())
    }
}

/// Whether a folder has the name of a step: "0-early", "1-coming-nfs", or ".1-coming-nfs.partial" of
/// a run that was interrupted.
fn is_step(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let partial = name.strip_prefix('.').and_then(|name| name.strip_suffix(".partial"));
    let Some((number, step)) = partial.unwrap_or(name).split_once('-') else { return false };
    match number {
        "0" => step == "early",
        _ => is_number(number) && ["coming-", "going-"].iter().any(|event| step.starts_with(event)),
    }
}

/// Whether a file has the name of a section's memory: "1.bin".
fn is_section(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_suffix(".bin")).is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_steps_are_folders_of_an_earlier_run() {
        for name in ["0-early", "1-coming-nfs", "12-going-a-b", ".0-early.partial", ".1-coming-nfs.partial"] {
            assert!(is_step(OsStr::new(name)), "{name}");
        }
        for name in ["early", "1-early", "0-coming-nfs", "1-coming", "x-going-nfs", "-early", "src", "1", ""]
        {
            assert!(!is_step(OsStr::new(name)), "{name}");
        }
        for (name, expected) in [("1.bin", true), ("12.bin", true), (".bin", false), ("1.txt", false)] {
            assert_eq!(is_section(OsStr::new(name)), expected, "{name}");
        }
    }
}
