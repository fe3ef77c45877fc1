//! The kernel around the checked module: symbols, and the modules that are loaded and unloaded.

use super::layout::Area;
use super::memory::ModuleMemory;
use super::prediction::Errors;
use super::report::{Prediction, Verdict};
use super::special;
use crate::input::symbols::{NAME_MAX, Symbols};
use relakit::elf::{Binding, SymbolLocation};
use relakit::{CallbackError, Module, Profile, Resolver};
use relakit_linux::findings;
use relakit_linux::special::{Harm, Version};
use std::collections::{BTreeMap, BTreeSet};

/// The files of `--target`, by the given names.
pub(crate) type Targets = BTreeMap<String, Target>;

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: Vec<u8>,
    /// The module's name in the kernel.
    pub(crate) name: String,
}

/// Name, address and kind of a symbol.
type Named<'s> = (&'s [u8], u64, u8);

/// The kernel and its modules.
#[derive(Debug)]
pub(crate) struct World<'s> {
    profile: Profile,
    /// The kernel version for special sections, which differ between more versions than profiles.
    version: Version,
    /// The symbols of the symbol files.
    files: &'s Symbols,
    /// Modules in `files` that are not loaded.
    unloaded: BTreeSet<Box<[u8]>>,
    targets: &'s Targets,
    /// The symbols of the loaded targets.
    own: Symbols,
    /// The symbols that remain after the init function of a target (docs/linux-semantics.md, 15).
    settled: BTreeMap<Box<[u8]>, Vec<Named<'s>>>,
    pub(crate) area: Area,
}

impl<'s> World<'s> {
    /// `unloaded` are modules that are not loaded at first, even if the symbol files list them.
    pub(crate) fn new<'a>(
        profile: Profile,
        files: &'s Symbols,
        targets: &'s Targets,
        unloaded: impl Iterator<Item = &'a str>,
    ) -> Self {
        let given = targets.values().map(|target| target.name.as_bytes().into());
        let unloaded = unloaded.map(|name| name.as_bytes().into()).chain(given).collect();
        Self {
            profile,
            version: profile.since,
            files,
            unloaded,
            targets,
            own: Symbols::default(),
            settled: BTreeMap::new(),
            area: Area::default(),
        }
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// The module's name in the kernel.
    pub(crate) fn name_of(&self, given: &str) -> String {
        self.targets.get(given).map_or(given, |target| &target.name).to_owned()
    }

    pub(crate) fn is_loaded(&self, name: &str) -> bool {
        self.own.has(name.as_bytes()) || self.is_in_files(name.as_bytes())
    }

    /// Whether the module's symbols are known.
    pub(crate) fn is_known(&self, given: &str) -> bool {
        self.targets.contains_key(given) || self.files.has(given.as_bytes())
    }

    fn is_in_files(&self, name: &[u8]) -> bool {
        name != b"vmlinux" && self.files.has(name) && !self.unloaded.contains(name)
    }

    /// Loads a module up to the point where livepatches are applied to it. Without a file, the
    /// symbol files have its symbols.
    pub(crate) fn load(&mut self, given: &str) -> Prediction {
        let Some(Target { file, name }) = self.targets.get(given) else {
            self.unloaded.remove(given.as_bytes());
            return Prediction::default();
        };
        let module = match Module::parse(file, self.profile) {
            Ok(module) => module,
            Err(error) => return Prediction::unreadable(name, error, &self.profile),
        };
        let mut errors = Errors::new(&module, name);
        errors.loader();
        let assigned = self.area.assign(&module);
        let mut memory = match assigned.and_then(|sections| ModuleMemory::simulated(&module, &sections)) {
            Ok(memory) => memory,
            Err(reason) => return errors.finish_without(reason),
        };
        let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
        if let Some(loaded) = errors.early(&mut memory, &mut values, self) {
            let mut fields: Vec<_> = findings::fields(&module).collect();
            fields.sort_unstable();
            let defects = special::defects(&loaded, &mut memory, self.version, &fields);
            let crashes = defects.iter().filter(|defect| defect.harm == Harm::Crashes);
            crashes.for_each(|defect| errors.special(defect));
        }
        let prediction = errors.finish();
        if prediction.verdict == Verdict::Accepted {
            let all = symbols(&module, &values);
            self.own.set(name.as_bytes(), all.iter().map(|(symbol, _)| *symbol));
            let core = all.into_iter().filter(|(_, stays)| *stays).map(|(symbol, _)| symbol).collect();
            self.settled.insert(name.as_bytes().into(), core);
        }
        prediction
    }

    /// Ends the init function of a module: symbols in init sections disappear.
    pub(crate) fn settle(&mut self, name: &str) {
        if let Some(core) = self.settled.get(name.as_bytes()) {
            self.own.set(name.as_bytes(), core.iter().copied());
        }
    }

    pub(crate) fn unload(&mut self, name: &str) {
        self.own.set_loaded(name, false);
        self.unloaded.insert(name.as_bytes().into());
    }
}

impl Resolver for World<'_> {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(self.own.export(name).or_else(|| self.files.export(name)))
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let files = (object == b"vmlinux" || self.is_in_files(object)).then_some(self.files);
        let symbols = if self.own.has(object) { Some(&self.own) } else { files };
        Ok(symbols.and_then(|symbols| symbols.nth(object, name, sympos)))
    }
}

/// The symbols of a module in the order of its table, and whether each remains after init.
fn symbols<'f>(module: &Module<'f>, values: &[u64]) -> Vec<(Named<'f>, bool)> {
    let object = module.object();
    let table = object.symbols();
    let symbol = |(index, value): (u32, &u64)| {
        let symbol = table.get(index)?;
        let name = table.name(&symbol).ok().filter(|name| (1..=NAME_MAX).contains(&name.len()))?;
        let (stays, kind) = match table.location(&symbol) {
            SymbolLocation::Undefined => return None,
            SymbolLocation::Section(section) => {
                let init = object
                    .section(section)
                    .is_some_and(|section| object.section_name(&section).starts_with(b".init"));
                let per_cpu = module.per_cpu_section() == Some(section);
                (
                    (module.is_allocated(section) && !init) || per_cpu,
                    if symbol.binding() == Binding::LOCAL { b't' } else { b'T' },
                )
            }
            _ => (false, b'a'),
        };
        Some(((name, *value, kind), stays))
    };
    (0..table.len()).zip(values).skip(1).filter_map(symbol).collect()
}
