//! Modules as they lie in a directory tree, and what they export to one another.

use super::world::NAME_MAX;
use crate::Failure;
use crate::input::{self, Kind};
use crate::symbols::Symbols;
use relakit::elf::SymbolLocation;
use relakit::{Module, Profile};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// The modules under a directory, sorted by path.
pub(crate) fn modules(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut modules = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| Failure::File(format!("{}: {error}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed)?;
            // Links to directories may lead in circles, as `build` does.
            if kind.is_dir() {
                folders.push(path);
            } else if is_module(&path) && path.is_file() {
                modules.push(path);
            }
        }
    }
    modules.sort();
    Ok(modules)
}

fn is_module(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.ends_with(b".ko") || name.ends_with(b".ko.xz")
}

/// What `file` exports, if it can be read as a module: the names that have a `__ksymtab_` symbol.
pub(crate) fn exports(file: &[u8]) -> Vec<Box<[u8]>> {
    let is_defined = |place| matches!(place, SymbolLocation::Section(_));
    let mut exports = Vec::new();
    names(file, is_defined, &mut |name| {
        exports.extend(name.strip_prefix(b"__ksymtab_").map(Box::from));
        true
    });
    exports
}

/// Whether `file` wants a name from others that is not exported by any that are known.
fn wants_more(file: &[u8], symbols: &Symbols) -> bool {
    let is_wanted = |place| matches!(place, SymbolLocation::Undefined);
    let mut known = true;
    names(file, is_wanted, &mut |name| {
        known = symbols.export(name).is_some();
        known
    });
    !known
}

/// Gives the names of symbols to `take`, as long as it returns true. Longer ones than [`NAME_MAX`] are none of the
/// kernel's.
fn names(file: &[u8], is_it: impl Fn(SymbolLocation) -> bool, take: &mut dyn FnMut(&[u8]) -> bool) {
    let Ok(module) = Module::parse(file, Profile::LINUX_6_12) else { return };
    let table = module.object().symbols();
    let names = (1..table.len()).filter_map(|index| {
        let symbol = table.get(index).filter(|symbol| is_it(table.location(symbol)))?;
        table.name(&symbol).ok().filter(|name| name.len() <= NAME_MAX)
    });
    for name in names {
        if !take(name) {
            break;
        }
    }
}

/// Adds what the other modules of `module`'s tree export, if something is wanted that is not known yet.
pub(crate) fn add_neighbours(symbols: &mut Symbols, module: &Path, file: &[u8]) -> Result<(), Failure> {
    if !wants_more(file, symbols) {
        return Ok(());
    }
    let Some(root) = root(module) else { return Ok(()) };
    // depmod has been here: it names all exports of the tree.
    if let Ok(list) = input::read(&root.join("modules.symbols"), Kind::Symbols) {
        for line in list.split(|&byte| byte == b'\n') {
            let name =
                line.strip_prefix(b"alias symbol:").and_then(|rest| rest.split(|&byte| byte == b' ').next());
            name.into_iter().for_each(|name| symbols.add_export(name));
        }
        return Ok(());
    }
    let others = modules(&root)?;
    let exports = |path: &PathBuf| input::read(path, Kind::Module).map_or(Vec::new(), |file| exports(&file));
    in_parallel(&others, exports, &|_| {}, |all| {
        all.flatten().for_each(|name| symbols.add_export(&name));
    });
    Ok(())
}

/// The tree that a module was installed into: what has `modules.order` or `modules.dep`; or else its own directory.
fn root(module: &Path) -> Option<PathBuf> {
    let module = module.canonicalize().ok()?;
    let has = |folder: &Path, name: &str| folder.join(name).exists();
    let tree =
        module.ancestors().skip(1).find(|folder| has(folder, "modules.order") || has(folder, "modules.dep"));
    tree.or_else(|| module.parent()).map(Path::to_owned)
}

/// Most threads: each has a module in memory.
const THREADS: usize = 8;
/// Most results of a thread that wait for those before them.
const WAITING: usize = 16;

/// Gives what `work` makes of each item to `take`, in the items' order; on all processors. `done` hears how many are done.
/// Few results are in memory at a time.
pub(crate) fn in_parallel<T: Sync, R: Send, D>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    done: &dyn Fn(usize),
    take: impl FnOnce(&mut dyn Iterator<Item = R>) -> D,
) -> D {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    std::thread::scope(|scope| {
        // The first of N threads does the first item and every N-th from there, and so on.
        let start = |first| {
            let (sender, receiver) = mpsc::sync_channel(WAITING);
            let (work, own) = (&work, items.iter().skip(first).step_by(threads));
            scope.spawn(move || {
                // When `take` has had enough, the others are not done.
                let _ = own.into_iter().try_for_each(|item| sender.send(work(item)));
            });
            receiver
        };
        let receivers: Vec<_> = (0..threads).map(start).collect();
        let mut results = (1..=items.len()).zip(receivers.iter().cycle()).map_while(|(number, receiver)| {
            let result = receiver.recv().ok()?;
            done(number);
            Some(result)
        });
        let taken = take(&mut results);
        drop(results);
        drop(receivers);
        taken
    })
}
