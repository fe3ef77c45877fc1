//! Modules as they lie in a directory tree, and what they export to one another.

use crate::symbols::Symbols;
use crate::{Failure, input};
use relakit::elf::SymbolPlace;
use relakit::{Module, Profile};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
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
    let Ok(module) = Module::parse(file, Profile::LINUX_6_12) else { return Vec::new() };
    let table = module.object().symbols();
    let export = |index: u32| {
        let symbol = table.get(index)?;
        let is_defined = matches!(table.place(index, &symbol), SymbolPlace::Section(_));
        let name = table.name(index, &symbol).ok().filter(|_| is_defined)?;
        name.strip_prefix(b"__ksymtab_").map(Box::from)
    };
    (1..table.len()).filter_map(export).collect()
}

/// The names that `file` wants from others.
fn wants(file: &[u8]) -> Vec<Box<[u8]>> {
    let Ok(module) = Module::parse(file, Profile::LINUX_6_12) else { return Vec::new() };
    let table = module.object().symbols();
    let want = |index: u32| {
        let symbol = table.get(index)?;
        let is_wanted = matches!(table.place(index, &symbol), SymbolPlace::Undefined);
        table.name(index, &symbol).ok().filter(|_| is_wanted).map(Box::from)
    };
    (1..table.len()).filter_map(want).collect()
}

/// Adds what the other modules of `module`'s tree export, if something is wanted that is not known yet.
pub(crate) fn add_neighbours(symbols: &mut Symbols, module: &Path, file: &[u8]) -> Result<(), Failure> {
    if wants(file).iter().all(|name| symbols.export(name).is_some()) {
        return Ok(());
    }
    let Some(root) = root(module) else { return Ok(()) };
    // depmod has been here: it names all exports of the tree.
    if let Ok(list) = fs::read(root.join("modules.symbols")) {
        for line in list.split(|&byte| byte == b'\n') {
            let name =
                line.strip_prefix(b"alias symbol:").and_then(|rest| rest.split(|&byte| byte == b' ').next());
            name.into_iter().for_each(|name| symbols.add_export(name));
        }
        return Ok(());
    }
    let others = modules(&root)?;
    for names in
        in_parallel(&others, |path| input::read(path).map_or(Vec::new(), |file| exports(&file)), &|_| {})
    {
        names.iter().for_each(|name| symbols.add_export(name));
    }
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

/// What `work` makes of each item, in the items' order; on all processors. `done` hears how many are done.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    done: &dyn Fn(usize),
) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(usize, R)> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { break };
                    if sender.send((number, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for result in receiver {
            results.push(result);
            done(results.len());
        }
    });
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
