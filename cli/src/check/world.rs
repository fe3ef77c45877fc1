//! The kernel around the module that is checked: symbols, and the modules that come and go.

use super::answer::{self, Answers};
use super::layout::Area;
use super::memory::Simulated;
use super::report::{Answer, Verdict};
use crate::symbols::Symbols;
use relakit::elf::SymbolLocation;
use relakit::{CallbackError, Module, Profile, Resolver};
use std::collections::{BTreeMap, BTreeSet};

/// The files of modules that come and go, by the names they were given under.
pub(crate) type Targets = BTreeMap<String, Target>;

/// The file of a module, and the name that it has in the kernel.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: Vec<u8>,
    pub(crate) name: String,
}

/// Most bytes of a symbol's name that is looked up: a livepatch symbol names one of up to 511 bytes, and an export has
/// `__ksymtab_` before it.
pub(crate) const NAME_MAX: usize = 521;

/// Name, address and kind of a symbol.
type Named<'s> = (&'s [u8], u64, u8);

/// The kernel and its modules, as the module that is checked sees them.
#[derive(Debug)]
pub(crate) struct World<'s> {
    profile: Profile,
    /// What the symbol files say.
    files: &'s Symbols,
    /// Modules in `files` that are not loaded.
    away: BTreeSet<Box<[u8]>>,
    /// The files of modules that come and go.
    targets: &'s Targets,
    /// The symbols of those that are loaded.
    own: Symbols,
    /// What stays of them when their init is done (Linux semantics 15).
    settled: BTreeMap<Box<[u8]>, Vec<Named<'s>>>,
    pub(crate) area: Area,
}

impl<'s> World<'s> {
    /// `away` are the modules that are not loaded at first, whatever the symbol files say.
    pub(crate) fn new<'a>(
        profile: Profile,
        files: &'s Symbols,
        targets: &'s Targets,
        away: impl Iterator<Item = &'a str>,
    ) -> Self {
        let given = targets.values().map(|target| target.name.as_bytes().into());
        let away = away.map(|name| name.as_bytes().into()).chain(given).collect();
        Self {
            profile,
            files,
            away,
            targets,
            own: Symbols::default(),
            settled: BTreeMap::new(),
            area: Area::default(),
        }
    }

    /// The name that the module has in the kernel.
    pub(crate) fn name_of(&self, given: &str) -> String {
        self.targets.get(given).map_or(given, |target| &target.name).to_owned()
    }

    /// Whether the module is loaded.
    pub(crate) fn is_loaded(&self, name: &str) -> bool {
        self.own.has(name.as_bytes()) || self.is_in_files(name.as_bytes())
    }

    /// Whether anything is known of its symbols.
    pub(crate) fn is_known(&self, given: &str) -> bool {
        self.targets.contains_key(given) || self.files.has(given.as_bytes())
    }

    fn is_in_files(&self, name: &[u8]) -> bool {
        name != b"vmlinux" && self.files.has(name) && !self.away.contains(name)
    }

    /// Loads a module up to where livepatches are applied to it; with its file if that was given, or else the symbol
    /// files know it.
    pub(crate) fn load(&mut self, given: &str) -> Answer {
        let Some(Target { file, name }) = self.targets.get(given) else {
            self.away.remove(given.as_bytes());
            return Answer::default();
        };
        let module = match Module::parse(file, self.profile) {
            Ok(module) => module,
            Err(error) => return answer::unreadable(name, error, &self.profile),
        };
        let mut answers = Answers::new(&module, name);
        answers.loader();
        let placed = self.area.place(&module).and_then(|places| Simulated::new(&module, &places));
        let mut memory = match placed {
            Ok(memory) => memory,
            Err(reason) => return answers.finish_without(reason),
        };
        let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
        answers.early(&mut memory, &mut values, self);
        let answer = answers.finish();
        if answer.verdict == Verdict::Accepted {
            let all = symbols(&module, &values);
            self.own.set(name.as_bytes(), all.iter().map(|(symbol, _)| *symbol));
            let core = all.into_iter().filter(|(_, stays)| *stays).map(|(symbol, _)| symbol).collect();
            self.settled.insert(name.as_bytes().into(), core);
        }
        answer
    }

    /// Its init is done: what was in init sections is gone.
    pub(crate) fn settle(&mut self, name: &str) {
        if let Some(core) = self.settled.get(name.as_bytes()) {
            self.own.set(name.as_bytes(), core.iter().copied());
        }
    }

    /// The module is not loaded any more.
    pub(crate) fn unload(&mut self, name: &str) {
        self.own.going(name);
        self.away.insert(name.as_bytes().into());
    }
}

impl Resolver for World<'_> {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        Ok(self.own.export(name).or_else(|| self.files.export(name)))
    }

    fn nth_symbol(
        &mut self,
        object: &[u8],
        name: &[u8],
        position: u64,
    ) -> Result<Option<u64>, CallbackError> {
        let files = (object == b"vmlinux" || self.is_in_files(object)).then_some(self.files);
        let symbols = if self.own.has(object) { Some(&self.own) } else { files };
        Ok(symbols.and_then(|symbols| symbols.nth(object, name, position)))
    }
}

/// The symbols of a module as livepatches find them, in the order of its table, and whether each stays when its init
/// is done.
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
                    if symbol.binding() == 0 { b't' } else { b'T' },
                )
            }
            _ => (false, b'a'),
        };
        Some(((name, *value, kind), stays))
    };
    (0..table.len()).zip(values).skip(1).filter_map(symbol).collect()
}
