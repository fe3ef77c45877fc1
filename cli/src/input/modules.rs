//! Folders with modules, and the symbols that the modules export to each other.

use super::files::{self, Kind};
use super::symbols::{NAME_MAX, Symbols};
use crate::failure::Failure;
use rayon::prelude::*;
use relakit::elf::SymbolLocation;
use relakit::{Module, Profile};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Most threads: each has one module in memory.
const THREADS: usize = 8;
/// Most results that are in memory at a time.
const RESULTS: usize = 64;

/// The modules in a folder and the folders below it, sorted by path.
pub(crate) fn in_folder(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut modules = Vec::new();
    // Links to folders are not followed: they can form circles, as `build` does.
    for entry in WalkDir::new(root).follow_root_links(true) {
        let entry = entry.map_err(|error| Failure::file(root, error))?;
        let name = entry.file_name().as_encoded_bytes();
        // A link to a module counts as a module.
        if (name.ends_with(b".ko") || name.ends_with(b".ko.xz")) && entry.path().is_file() {
            modules.push(entry.into_path());
        }
    }
    modules.sort();
    Ok(modules)
}

/// Names that a file exports: those with a `__ksymtab_` symbol. Empty if it is not a module.
pub(crate) fn exports(file: &[u8]) -> Vec<Box<[u8]>> {
    let is_defined = |place| matches!(place, SymbolLocation::Section(_));
    let mut exports = Vec::new();
    names(file, is_defined, &mut |name| {
        exports.extend(name.strip_prefix(b"__ksymtab_").map(Box::from));
        true
    });
    exports
}

/// Whether the file needs a symbol that no known object exports.
fn needs_more(file: &[u8], symbols: &Symbols) -> bool {
    let is_undefined = |place| matches!(place, SymbolLocation::Undefined);
    let mut known = true;
    names(file, is_undefined, &mut |name| {
        known = symbols.export(name).is_some();
        known
    });
    !known
}

/// Calls `take` with the names of the selected symbols until it returns false.
fn names(file: &[u8], select: impl Fn(SymbolLocation) -> bool, take: &mut dyn FnMut(&[u8]) -> bool) {
    let Ok(module) = Module::parse(file, Profile::LINUX_DEFAULT) else { return };
    let table = module.object().symbols();
    let names = (1..table.len()).filter_map(|index| {
        let symbol = table.get(index).filter(|symbol| select(table.location(symbol)))?;
        table.name(&symbol).ok().filter(|name| name.len() <= NAME_MAX)
    });
    for name in names {
        if !take(name) {
            break;
        }
    }
}

/// If `file` needs symbols that are not known, adds the exports of the other modules in its tree.
pub(crate) fn add_neighbours(symbols: &mut Symbols, module: &Path, file: &[u8]) -> Result<(), Failure> {
    if !needs_more(file, symbols) {
        return Ok(());
    }
    let Some(root) = root(module) else { return Ok(()) };
    // depmod writes this file. It lists all exports of the tree.
    if let Ok(list) = files::read(&root.join("modules.symbols"), Kind::Symbols) {
        for line in list.split(|&byte| byte == b'\n') {
            let alias = line.strip_prefix(b"alias symbol:");
            let name = alias.and_then(|rest| rest.split(|&byte| byte == b' ').next());
            name.into_iter().for_each(|name| symbols.add_export(name));
        }
        return Ok(());
    }
    let modules = in_folder(&root)?;
    let exports = |path: &PathBuf| files::read(path, Kind::Module).map_or(Vec::new(), |file| exports(&file));
    in_parallel(&modules, exports).flatten().for_each(|name| symbols.add_export(&name));
    Ok(())
}

/// The installed tree of a module: the nearest folder with `modules.order` or `modules.dep`, or
/// else the module's own folder.
fn root(module: &Path) -> Option<PathBuf> {
    let module = module.canonicalize().ok()?;
    let is_tree =
        |folder: &&Path| ["modules.order", "modules.dep"].iter().any(|name| folder.join(name).exists());
    module.ancestors().skip(1).find(is_tree).or_else(|| module.parent()).map(Path::to_owned)
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
