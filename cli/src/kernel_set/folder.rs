//! The folders of a kernel set: each is a kernel, with the files that describe it.

use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::{is_release, release_of};
use crate::input::modules::Modules;
use std::path::{Path, PathBuf};

/// Most kernels of a set.
const KERNELS: usize = 4096;
/// Most files of a folder that are looked at: an installed kernel has some ten.
const FILES: usize = 4096;
/// What follows the beginning of a file's name, besides a hyphen and the release.
const SUFFIXES: [&str; 5] = ["", ".xz", ".zst", ".gz", ".txt"];

/// A kernel of the set.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// The name of the folder.
    pub(super) name: String,
}

/// What a folder has.
#[derive(Debug)]
pub(super) struct Content {
    /// The files for `--symbols`.
    pub(super) symbols: Vec<PathBuf>,
    /// A copy of available_filter_functions.
    pub(super) traceable: Option<PathBuf>,
    /// The modules, if there are some. None of them is read yet.
    pub(super) modules: Option<Modules>,
}

/// The folders in a directory, sorted by name.
pub(super) fn in_set(root: &Path) -> Result<Vec<Folder>, Failure> {
    let mut folders = Vec::new();
    for entry in root.read_dir().map_err(|error| Failure::file(root, error))? {
        let path = entry.map_err(|error| Failure::file(root, error))?.path();
        // A link to a folder counts as a folder.
        if !path.is_dir() {
            continue;
        }
        if folders.len() == KERNELS {
            return Err(Failure::file(root, format!("the directory has more than {KERNELS} folders")));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        folders.push(Folder { path, name });
    }
    if folders.is_empty() {
        return Err(Failure::file(root, "the directory has no folders; make a folder for each kernel"));
    }
    folders.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(folders)
}

impl Folder {
    /// Finds the files by their names. They are in the folder itself or in its folder `boot`.
    pub(super) fn content(&self) -> Result<Content, Failure> {
        let names = self.names()?;
        let one = |beginning: &str| one_of(&names, beginning);
        // kallsyms has the symbols of System.map and those of the loaded modules.
        let kernel = match one("kallsyms")? {
            Some(kallsyms) => Some(kallsyms),
            None => one("System.map")?,
        };
        let symvers = match one("Module.symvers")? {
            Some(symvers) => Some(symvers),
            None => one("symvers")?,
        };
        if kernel.is_none() && symvers.is_none() {
            let why = "the folder has no symbols; put kallsyms, System.map or Module.symvers into it";
            return Err(Failure::file(&self.path, why));
        }
        let traceable = match one("available_filter_functions")? {
            Some(functions) => Some(functions),
            None => one("available_filter_functions_addrs")?,
        };
        let symbols = kernel.into_iter().chain(symvers).collect();
        Ok(Content { symbols, traceable, modules: Modules::in_folder(&self.path)? })
    }

    fn names(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let mut names = Vec::new();
        for folder in [self.path.clone(), self.path.join("boot")] {
            // Not every kernel has the folder `boot`.
            let Ok(entries) = folder.read_dir() else { continue };
            for entry in entries.take(FILES) {
                let entry = entry.map_err(|error| Failure::file(&folder, error))?;
                names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
            }
        }
        names.sort();
        Ok(names)
    }

    /// The release of the kernel: the name of the folder, or else the release that a module of the
    /// folder is built for.
    pub(super) fn release(&self, content: &Content) -> Result<String, Failure> {
        if is_release(&self.name) {
            return Ok(self.name.clone());
        }
        let module = content.any_module().map(files::read_module).transpose()?;
        module.as_deref().and_then(release_of).ok_or_else(|| {
            let why = "the release is not known; name the folder as uname -r prints it";
            Failure::file(&self.path, why)
        })
    }
}

impl Content {
    /// The file of the first module.
    pub(super) fn any_module(&self) -> Option<&Path> {
        let modules = self.modules.as_ref()?;
        modules.names().next().and_then(|name| modules.path(name))
    }
}

/// The file whose name begins like this.
fn one_of(names: &[(String, PathBuf)], beginning: &str) -> Result<Option<PathBuf>, Failure> {
    let is_meant = |name: &str| {
        let rest = name.strip_prefix(beginning);
        rest.is_some_and(|rest| SUFFIXES.contains(&rest) || rest.starts_with('-'))
    };
    let mut found = names.iter().filter(|(name, path)| is_meant(name) && path.is_file());
    match (found.next(), found.next()) {
        (Some((first, _)), Some((second, path))) => {
            let why = format!("the folder has {first} and {second}; leave one of them");
            Err(Failure::file(path, why))
        }
        (first, _) => Ok(first.map(|(_, path)| path.clone())),
    }
}
