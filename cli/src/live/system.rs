//! What the running kernel says about itself in /proc and /sys.

use crate::failure::Failure;
use crate::input::files::{self, Kind};
use crate::input::symbols::Symbols;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most entries of a directory in /sys.
const ENTRIES: usize = 1 << 16;

/// The state of the running kernel.
#[derive(Debug)]
pub(super) struct System {
    root: PathBuf,
    /// As `uname -r` prints it.
    pub(super) release: String,
    /// The loaded modules, in the order of /proc/modules: the last one that was loaded is first.
    pub(super) modules: Vec<LoadedModule>,
    /// The livepatches, in the order in which they were loaded.
    pub(super) livepatches: Vec<LoadedPatch>,
}

/// A line of /proc/modules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadedModule {
    pub(super) name: String,
    /// `None` if the kernel cannot unload modules.
    pub(super) references: Option<u64>,
    /// The modules that use it.
    pub(super) users: Vec<String>,
    /// Whether it has an init function but no exit function.
    pub(super) is_permanent: bool,
    /// "Live", "Loading" or "Unloading".
    pub(super) state: String,
}

/// A directory in /sys/kernel/livepatch.
#[derive(Clone, Debug)]
pub(super) struct LoadedPatch {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) transition: bool,
    /// Only some kernels tell it.
    pub(super) replace: Option<bool>,
    pub(super) objects: Vec<LoadedObject>,
}

/// A patched object of a livepatch.
#[derive(Clone, Debug)]
pub(super) struct LoadedObject {
    pub(super) name: String,
    /// Whether the object is loaded and patched.
    pub(super) patched: bool,
    /// The functions, each with its sympos after a comma.
    pub(super) functions: Vec<String>,
}

impl System {
    /// Reads everything except symbols and addresses.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let release = text(&root.join("proc/sys/kernel/osrelease"))?.trim().to_owned();
        let path = root.join("proc/modules");
        let modules = parse_modules(&text(&path)?).map_err(|why| Failure::file(&path, why))?;
        let mut livepatches = livepatches(&root.join("sys/kernel/livepatch"))?;
        let position = |patch: &LoadedPatch| modules.iter().position(|module| module.name == patch.name);
        // The last one is first in /proc/modules.
        livepatches.sort_by_cached_key(|patch| std::cmp::Reverse(position(patch)));
        Ok(Self { root: root.to_owned(), release, modules, livepatches })
    }

    pub(super) fn module(&self, name: &str) -> Option<&LoadedModule> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// The livepatches that patch this object, also those that wait for it.
    pub(super) fn patches_of(&self, object: &str) -> impl Iterator<Item = &LoadedPatch> {
        self.livepatches.iter().filter(move |patch| patch.objects.iter().any(|known| known.name == object))
    }

    /// A livepatch whose transition is not finished.
    pub(super) fn transition(&self) -> Option<&LoadedPatch> {
        self.livepatches.iter().find(|patch| patch.transition)
    }

    /// The symbols of the kernel and its modules, and those of other files.
    pub(super) fn symbols(&self, more: &[PathBuf]) -> Result<Symbols, Failure> {
        let path = self.root.join("proc/kallsyms");
        let hidden = |why: &str| {
            Failure::file(
                &path,
                format!(
                    "{why}; run relakit as root, and if this is not enough, let the kernel show addresses to root: \
                     sysctl kernel.kptr_restrict=1"
                ),
            )
        };
        if !path.exists() {
            let why = "the file is missing: proc is not mounted, or the kernel has no CONFIG_KALLSYMS";
            return Err(Failure::file(&path, why));
        }
        let text = files::read(&path, Kind::Symbols)?;
        if !has_addresses(&text) {
            return Err(hidden("the kernel hides all addresses"));
        }
        let mut symbols = Symbols::read([])?;
        symbols.replace_with(&text).map_err(|why| Failure::file(&path, why))?;
        more.iter().try_for_each(|path| symbols.replace(path))?;
        Ok(symbols)
    }

    /// The addresses of the sections of a loaded module, by name.
    pub(super) fn sections(&self, module: &str) -> Result<BTreeMap<String, u64>, Failure> {
        let folder = self.root.join("sys/module").join(module).join("sections");
        let mut sections = BTreeMap::new();
        for name in names(&folder)? {
            let path = folder.join(&name);
            let text = text(&path)?;
            let digits = text.trim().trim_start_matches("0x");
            let address = u64::from_str_radix(digits, 16).map_err(|why| Failure::file(&path, why))?;
            sections.insert(name, address);
        }
        Ok(sections)
    }
}

/// Whether a line of kallsyms has an address that is not 0.
fn has_addresses(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        let address = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        address.iter().any(|digit| *digit != b'0')
    })
}

fn parse_modules(text: &str) -> Result<Vec<LoadedModule>, String> {
    let line = |(number, line): (usize, &str)| {
        parse_module(line)
            .ok_or_else(|| format!("line {number} is not \"name size references users state address\""))
    };
    (1..).zip(text.lines()).map(line).collect()
}

/// A line of /proc/modules: `name size references users state address`.
fn parse_module(line: &str) -> Option<LoadedModule> {
    let mut words = line.split_ascii_whitespace();
    let (name, _size) = (words.next()?, words.next()?);
    let (references, users, state) = (words.next()?, words.next()?, words.next()?);
    let all = users.split(',').filter(|user| !user.is_empty() && *user != "-");
    let (marks, users): (Vec<_>, Vec<_>) = all.partition(|user| user.starts_with('['));
    Some(LoadedModule {
        name: name.to_owned(),
        references: match references {
            "-" => None,
            number => Some(number.parse().ok()?),
        },
        users: users.into_iter().map(str::to_owned).collect(),
        is_permanent: marks.contains(&"[permanent]"),
        state: state.to_owned(),
    })
}

fn livepatches(folder: &Path) -> Result<Vec<LoadedPatch>, Failure> {
    // A kernel without livepatches has no such directory.
    if !folder.exists() {
        return Ok(Vec::new());
    }
    names(folder)?.into_iter().map(|name| livepatch(&folder.join(&name), name)).collect()
}

fn livepatch(folder: &Path, name: String) -> Result<LoadedPatch, Failure> {
    let mut objects = Vec::new();
    for object in names(folder)? {
        let path = folder.join(&object);
        if path.is_dir() {
            let functions = names(&path)?.into_iter().filter(|name| path.join(name).is_dir()).collect();
            // Kernels before 6.1 do not tell it.
            let patched = path.join("patched");
            let patched = patched.exists().then(|| flag(&patched)).transpose()?.unwrap_or(true);
            objects.push(LoadedObject { name: object, patched, functions });
        }
    }
    let replace = folder.join("replace");
    Ok(LoadedPatch {
        name,
        enabled: flag(&folder.join("enabled"))?,
        transition: flag(&folder.join("transition"))?,
        replace: replace.exists().then(|| flag(&replace)).transpose()?,
        objects,
    })
}

/// The names in a directory, sorted.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error| Failure::file(folder, error);
    let entries = folder.read_dir().map_err(failed)?.take(ENTRIES);
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut names = entries.map(name).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    names.sort();
    Ok(names)
}

/// A file with 0 or 1.
fn flag(path: &Path) -> Result<bool, Failure> {
    match text(path)?.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Failure::file(path, "the content is not 0 or 1")),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&files::read(path, Kind::Memory)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_modules_tells_who_uses_the_module() {
        let module = |line: &str| parse_module(line).unwrap();
        let used = module("jbd2 163840 2 ext4,nfs, Live 0xffffffffc0300000");
        assert_eq!((used.references, used.users.len(), used.is_permanent), (Some(2), 2, false));
        let alone = module("loop 40960 0 - Live 0xffffffffc0300000 (OE)");
        assert_eq!((alone.references, alone.users.len()), (Some(0), 0));
        let permanent = module("stays 16384 0 [permanent], Live 0x0");
        assert_eq!((permanent.is_permanent, permanent.users.len()), (true, 0));
        assert_eq!(module("old 16384 - - Live 0x0").references, None);
        for bad in ["", "name", "name 1 x - Live 0x0", "name 1 0 -"] {
            assert_eq!(parse_module(bad), None, "{bad}");
        }
    }

    #[test]
    fn kallsyms_of_an_unprivileged_reader_has_no_addresses() {
        assert!(!has_addresses(b"0000000000000000 T a\n0000000000000000 t b\t[m]\n"));
        assert!(!has_addresses(b""));
        assert!(has_addresses(b"0000000000000000 A a\nffffffff81000000 T b\n"));
    }
}
