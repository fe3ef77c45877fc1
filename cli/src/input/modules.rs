//! Folders with modules, and the symbols that the modules export to each other.

use super::files::{self, Kind, name_of_file};
use super::root::Root;
use super::symbols::{NAME_MAX, Symbols};
use crate::failure::Failure;
use rayon::prelude::*;
use relakit::elf::SymbolLocation;
use relakit::{Module, Profile};
use relakit_linux::loader_check;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use walkdir::WalkDir;

/// Most threads: each has one module in memory.
const THREADS: usize = 8;
/// How the names of module files end.
const SUFFIXES: [&[u8]; 4] = [b".ko", b".ko.xz", b".ko.zst", b".ko.gz"];
/// Most results that are in memory at a time.
const RESULTS: usize = 64;

/// The modules in a folder and the folders below it, sorted by path.
pub(crate) fn in_folder(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    Ok(files_in(root, |path| Some(path.to_owned()))?.into_values().collect())
}

/// The modules in a folder and the folders below it. `follow` returns the file of a path.
fn files_in(
    root: &Path,
    follow: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<BTreeMap<PathBuf, PathBuf>, Failure> {
    let mut modules = BTreeMap::new();
    // Links to folders are not followed: they can form circles, as `build` does.
    for entry in WalkDir::new(root).follow_root_links(true) {
        let entry = entry.map_err(|error| Failure::file(root, error))?;
        let name = entry.file_name().as_encoded_bytes();
        // A link to a module counts as a module.
        let file = || follow(entry.path()).filter(|file| file.is_file());
        if SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
            && let Some(file) = file()
        {
            modules.insert(entry.into_path(), file);
        }
    }
    Ok(modules)
}

/// Names that a file exports: those with a `__ksymtab_` symbol. Empty if it is not a module.
pub(crate) fn exports(file: &[u8]) -> Vec<Box<[u8]>> {
    let Ok(module) = Module::parse(file, Profile::LINUX_DEFAULT) else { return Vec::new() };
    let table = module.object().symbols();
    let export = |index| {
        let symbol = table.get(index)?;
        let SymbolLocation::Section(_) = table.location(&symbol) else { return None };
        let name = table.name(&symbol).ok().filter(|name| name.len() <= NAME_MAX)?;
        name.strip_prefix(b"__ksymtab_").map(Box::from)
    };
    (1..table.len()).filter_map(export).collect()
}

/// The modules of a tree like /lib/modules/RELEASE, by their names in the kernel. Files are read
/// only when a module is asked for.
#[derive(Debug)]
pub(crate) struct Modules {
    root: PathBuf,
    paths: BTreeMap<String, PathBuf>,
    /// The list of depmod, if it exists.
    exports: Option<PathBuf>,
    /// Files that were read and will be read again.
    retained: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Modules {
    /// Lists the files. A folder without modules is an error.
    pub(crate) fn new(root: &Path) -> Result<Self, Failure> {
        Self::in_folder(root)?.ok_or_else(|| no_modules(root))
    }

    /// Lists the files. Returns `None` if the folder has no modules.
    pub(crate) fn in_folder(root: &Path) -> Result<Option<Self>, Failure> {
        Self::with(root, |path| Some(path.to_owned()))
    }

    /// Lists the files of a folder in a root file system. A folder without modules is an error.
    pub(crate) fn in_root(root: &Root, folder: &Path) -> Result<Self, Failure> {
        Self::with(folder, |path| root.follow(path))?.ok_or_else(|| no_modules(folder))
    }

    /// Lists the files. If two modules have the same name, the one in updates/ counts, as in depmod.
    fn with(root: &Path, follow: impl Fn(&Path) -> Option<PathBuf>) -> Result<Option<Self>, Failure> {
        let updates = root.join("updates");
        let (first, second): (Vec<_>, Vec<_>) =
            files_in(root, &follow)?.into_iter().partition(|(path, _)| path.starts_with(&updates));
        let mut paths = BTreeMap::new();
        for (path, file) in first.into_iter().chain(second) {
            paths.entry(name_of_file(&path)).or_insert(file);
        }
        // depmod writes this file. It lists all exports of the tree.
        let exports = follow(&root.join("modules.symbols")).filter(|list| list.exists());
        let retained = Mutex::default();
        Ok((!paths.is_empty()).then(|| Self { root: root.to_owned(), paths, exports, retained }))
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of a module. In `name`, a hyphen is an underscore.
    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.paths.get(&name.replace('-', "_")).map(PathBuf::as_path)
    }

    /// Reads the file of a module, which is not read again if it was retained.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        let retained = self.retained.lock().ok().and_then(|mut files| files.remove(path));
        retained.map_or_else(|| files::read_module(path), Ok)
    }

    /// Retains a file for the next [`read`](Self::read).
    pub(crate) fn retain(&self, path: &Path, file: Vec<u8>) {
        if let Ok(mut files) = self.retained.lock() {
            files.insert(path.to_owned(), file);
        }
    }

    /// The names of all modules, with underscores.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    /// Adds the exports of all modules.
    pub(crate) fn add_exports(&self, symbols: &mut Symbols) -> Result<(), Failure> {
        if let Some(list) = &self.exports {
            for line in files::read(list, Kind::Symbols)?.split(|&byte| byte == b'\n') {
                let alias = line.strip_prefix(b"alias symbol:");
                let name = alias.and_then(|rest| rest.split(|&byte| byte == b' ').next());
                name.into_iter().for_each(|name| symbols.add_export(name));
            }
            return Ok(());
        }
        let paths: Vec<_> = self.paths.values().collect();
        let read = |path: &&PathBuf| files::read_module(path).map(|file| exports(&file));
        for names in in_parallel(&paths, read) {
            names?.iter().for_each(|name| symbols.add_export(name));
        }
        Ok(())
    }
}

/// The error for a folder without modules.
pub(crate) fn no_modules(root: &Path) -> Failure {
    Failure::file(root, "the directory has no modules (*.ko, *.ko.xz, *.ko.zst, *.ko.gz)")
}

/// The names of the modules that must be loaded before this one: `depends` in .modinfo. There,
/// names are those of files, and may have hyphens.
pub(crate) fn depends(module: &Module<'_>) -> Vec<String> {
    let names = loader_check::modinfo(module, b"depends").unwrap_or_default();
    let names = names.split(|&byte| byte == b',').filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).replace('-', "_")).collect()
}

/// Processes the items on several threads, and returns the results in the order of the items.
pub(crate) fn in_parallel<'a, T: Sync, R: Send + 'a>(
    items: &'a [T],
    work: impl Fn(&T) -> R + Sync + 'a,
) -> impl Iterator<Item = R> + 'a {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    // This fails after the first call, when the pool exists.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    items.chunks(RESULTS).flat_map(move |chunk| chunk.par_iter().map(&work).collect::<Vec<_>>())
}
