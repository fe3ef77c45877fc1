//! `--root` and `--modules`: finds the modules and the symbols of a kernel.

use super::files::{self, Kind};
use super::kernel::{Kernel, parse, release_of};
use super::modules::Modules;
use super::root::Root;
use super::symbol_lines;
use super::symbols::Symbols;
use super::used::{Used, UsedFile};
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most modules that a report lists. docs/check.md has the same number.
const TARGETS: usize = 100;
/// Most releases that an error lists.
const RELEASES: usize = 8;

/// What a directory has.
#[derive(Debug)]
pub(crate) struct System {
    /// The release of the kernel, with `--root`.
    pub(crate) release: Option<String>,
    pub(crate) modules: Modules,
    /// The symbol files that were found and read.
    pub(crate) symbols: Vec<PathBuf>,
    /// What was found, and what was not.
    pub(crate) notes: Vec<String>,
    /// Where a System.map and a Module.symvers can be.
    maps: Vec<PathBuf>,
    symvers: Vec<PathBuf>,
    /// Where they were searched, for notes.
    searched: String,
}

impl System {
    /// The kernel in a root file system. `file` is the module, which names its release.
    pub(crate) fn in_root(path: &Path, kernel: &Kernel, file: &[u8]) -> Result<Self, Failure> {
        let root = Root::new(path);
        let release = release(kernel, file)?;
        let folders = ["lib/modules", "usr/lib/modules"];
        let folder = folders
            .iter()
            .find_map(|folder| root.find(Path::new(folder).join(&release)).filter(|folder| folder.is_dir()));
        let Some(folder) = folder else {
            let has = releases(&root, &folders);
            return Err(Failure::file(path, format!("has no lib/modules/{release}; {has}")));
        };
        let find = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().filter_map(|name| root.find(name.replace("RELEASE", &release))).collect()
        };
        Ok(Self {
            modules: Modules::in_root(&root, &folder)?,
            symbols: Vec::new(),
            notes: Vec::new(),
            maps: find(&[
                "boot/System.map-RELEASE",
                "lib/modules/RELEASE/System.map",
                "usr/lib/modules/RELEASE/System.map",
                "usr/lib/debug/boot/System.map-RELEASE",
                "lib/modules/RELEASE/build/System.map",
            ]),
            symvers: find(&[
                "lib/modules/RELEASE/build/Module.symvers",
                "usr/lib/modules/RELEASE/build/Module.symvers",
                "usr/src/linux-headers-RELEASE/Module.symvers",
                "lib/modules/RELEASE/symvers.gz",
                "lib/modules/RELEASE/symvers.xz",
                "boot/symvers-RELEASE.gz",
                "boot/symvers-RELEASE.xz",
            ]),
            searched: format!("for {release} in {}", path.display()),
            release: Some(release),
        })
    }

    /// The kernel whose modules are in `path`, such as /lib/modules/RELEASE.
    pub(crate) fn in_folder(path: &Path) -> Result<Self, Failure> {
        let find = |names: &[&str]| -> Vec<PathBuf> {
            names.iter().map(|name| path.join(name)).filter(|path| path.is_file()).collect()
        };
        Ok(Self {
            release: None,
            modules: Modules::new(path)?,
            symbols: Vec::new(),
            notes: Vec::new(),
            maps: find(&["System.map", "build/System.map"]),
            symvers: find(&[
                "build/Module.symvers",
                "Module.symvers",
                "symvers",
                "symvers.gz",
                "symvers.xz",
                "symvers.zst",
            ]),
            searched: format!("in {}", path.display()),
        })
    }

    /// Reads the symbol files that complete those of the command line.
    pub(crate) fn add_symbols(&mut self, symbols: &mut Symbols) -> Result<(), Failure> {
        if !symbols.has_kernel_symbols() {
            self.add_map(symbols)?;
        }
        if !symbols.has_symvers()
            && let Some(path) = self.symvers.first()
        {
            symbols.replace(path)?;
            self.symbols.push(path.clone());
        }
        let found = self.symbols.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        if !found.is_empty() {
            self.notes.push(format!("symbols are read from {}", found.join(" and ")));
        }
        Ok(())
    }

    /// What a report says about the files that were found. `targets` are modules that it uses.
    pub(crate) fn used(&self, targets: &BTreeMap<String, PathBuf>) -> Used {
        let text = |path: &Path| path.display().to_string();
        let listed = targets.iter().take(TARGETS);
        Used {
            release: self.release.clone(),
            modules: text(self.modules.root()),
            symbols: self.symbols.iter().map(|path| text(path)).collect(),
            targets: listed.map(|(name, path)| UsedFile { name: name.clone(), file: text(path) }).collect(),
            more_targets: targets.len().saturating_sub(TARGETS) as u64,
        }
    }

    fn add_map(&mut self, symbols: &mut Symbols) -> Result<(), Failure> {
        let mut package = None;
        for path in &self.maps {
            let text = files::read(path, Kind::Symbols)?;
            match symbol_lines::package_of_stub(&text) {
                Some(name) => {
                    package.get_or_insert((path, name));
                }
                None => {
                    symbols.replace_with(&text).map_err(|why| Failure::file(path, why))?;
                    self.symbols.push(path.clone());
                    return Ok(());
                }
            }
        }
        let why = match package {
            Some((path, package)) => format!(
                "{} is a stub without symbols: install the package {package}, or give --symbols with its System.map \
                 or a copy of /proc/kallsyms that root has read",
                path.display()
            ),
            None => format!(
                "no System.map is found {}: give --symbols with the kernel's System.map, or with a copy of \
                 /proc/kallsyms that root has read",
                self.searched
            ),
        };
        self.notes.push(why);
        Ok(())
    }
}

/// The full release: that of `--kernel`, or else that of the module.
fn release(kernel: &Kernel, file: &[u8]) -> Result<String, Failure> {
    let own = || release_of(file).filter(|own| parse(own) == Some(kernel.version));
    let release = kernel.release.clone().or_else(own);
    // It becomes a part of paths.
    let release = release.filter(|release| !release.contains('/') && release != "..");
    release.ok_or_else(|| {
        Failure::Usage(
            "--root needs the full release of the kernel: give --kernel with what uname -r prints there"
                .to_owned(),
        )
    })
}

/// The releases that a root has.
fn releases(root: &Root, folders: &[&str]) -> String {
    let entries = folders.iter().filter_map(|folder| fs::read_dir(root.find(folder)?).ok()).flatten();
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => "it has no modules; give the directory of a root file system".to_owned(),
        [only] => format!("give --kernel {only}, which it has"),
        several => {
            let listed = several.get(..RELEASES).unwrap_or(several);
            format!("give --kernel with a release that it has: {}", listed.join(", "))
        }
    }
}
