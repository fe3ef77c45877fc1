//! The kernel around the checked module: symbols, and the modules that are loaded and unloaded.

use super::advice::{self, Known};
use super::imports;
use super::layout::Area;
use super::memory::ModuleMemory;
use super::prediction::Errors;
use super::report::{Prediction, Verdict};
use super::special;
use super::traced::{self, Traced};
use crate::input::modules::{Modules, depends};
use crate::input::symbols::{NAME_MAX, Symbols};
use crate::input::traceable::Traceable;
use crate::view::names::{IN_SENTENCE, Name};
use relakit::abi::VMLINUX;
use relakit::elf::{Binding, SymbolLocation};
use relakit::klp::SymName;
use relakit::{CallbackError, Module, Profile, Resolver};
use relakit_linux::findings;
use relakit_linux::special::{Harm, Version};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The first address of symbols that are assumed to exist, in the kernel's own range.
const ASSUMED: u64 = 0xffff_ffff_8180_0000;

/// Most names that are compared with all names of an object.
const NEAR: u32 = 20;

/// The files of `--target`, by the given names.
pub(crate) type Targets = BTreeMap<String, Target>;

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: Vec<u8>,
    /// The module's name in the kernel.
    pub(crate) name: String,
}

type ObjectAndName = (Box<[u8]>, Box<[u8]>);

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
    /// The functions that the kernel can trace, if they are given.
    traceable: Option<&'s Traceable>,
    /// The modules of the kernel, if they are given.
    tree: Option<&'s Modules>,
    /// Modules in `files` that are not loaded.
    unloaded: BTreeSet<Box<[u8]>>,
    targets: &'s Targets,
    /// The symbols of the loaded targets.
    own: Symbols,
    /// The symbols that remain after the init function of a target (docs/linux-semantics.md, 15).
    settled: BTreeMap<Box<[u8]>, Vec<Named<'s>>>,
    /// The code of the loaded targets.
    code: BTreeMap<Box<[u8]>, Code>,
    /// Modules that are loaded, but whose symbols are not known.
    assumed: BTreeSet<Box<[u8]>>,
    /// The modules that the loading module depends on and whose symbols are not known.
    missing: Vec<String>,
    /// What was assumed and must be given, with the reason.
    unknown: BTreeSet<(String, String)>,
    /// The checked modules that are loaded: their names, and the modules that they depend on.
    checked: Vec<(String, Vec<String>)>,
    /// Object and name of the livepatch symbols with a sympos of 2 or more.
    further: HashSet<ObjectAndName>,
    /// How many more names are compared with all names of an object, which takes time.
    near_left: Cell<u32>,
    /// The number of assumed addresses.
    placeholders: u64,
    pub(crate) area: Area,
}

/// What tells whether a function of a module can be replaced.
#[derive(Debug)]
struct Code {
    /// The addresses in `__mcount_loc`, sorted.
    traced: Vec<u64>,
    /// The addresses of all symbols, sorted.
    symbols: Vec<u64>,
    /// The first and the last address of each init section.
    init: Vec<(u64, u64)>,
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
            traceable: None,
            tree: None,
            unloaded,
            targets,
            own: Symbols::default(),
            settled: BTreeMap::new(),
            code: BTreeMap::new(),
            assumed: BTreeSet::new(),
            missing: Vec::new(),
            unknown: BTreeSet::new(),
            checked: Vec::new(),
            further: HashSet::new(),
            near_left: Cell::new(NEAR),
            placeholders: 0,
            area: Area::default(),
        }
    }

    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Sets the functions that the kernel can trace, and all modules of the kernel.
    pub(crate) const fn set_kernel(&mut self, traceable: Option<&'s Traceable>, tree: Option<&'s Modules>) {
        (self.traceable, self.tree) = (traceable, tree);
    }

    /// The module's name in the kernel.
    pub(crate) fn name_of(&self, given: &str) -> String {
        self.targets.get(given).map_or(given, |target| &target.name).to_owned()
    }

    pub(crate) fn is_loaded(&self, name: &str) -> bool {
        self.own.has(name.as_bytes()) || self.is_in_files(name.as_bytes())
    }

    /// Whether an object is in the kernel, with known symbols.
    pub(super) fn is_present(&self, object: &[u8]) -> bool {
        self.symbols_of(object).is_some()
    }

    /// Whether the module's symbols are known.
    pub(crate) fn is_known(&self, given: &str) -> bool {
        self.targets.contains_key(given) || self.files.has(given.as_bytes())
    }

    fn is_in_files(&self, name: &[u8]) -> bool {
        name != VMLINUX && self.files.has(name) && !self.unloaded.contains(name)
    }

    /// Loads a module up to the point where livepatches are applied to it. Without a file, the
    /// symbol files have its symbols, or they are assumed.
    pub(crate) fn load(&mut self, given: &str) -> Prediction {
        let Some(Target { file, name }) = self.targets.get(given) else {
            if !self.is_known(given) {
                self.assumed.insert(given.as_bytes().into());
            }
            self.unloaded.remove(given.as_bytes());
            return Prediction::default();
        };
        let module = match Module::parse(file, self.profile) {
            Ok(module) => module,
            Err(error) => return Prediction::unreadable(name, error, &self.profile),
        };
        let mut errors = Errors::new(&module, name);
        errors.loader();
        imports::check(&module, name, self.files, &mut errors);
        self.load_dependencies(&module);
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
        advice::add(&mut errors, self);
        let prediction = self.without_assumptions(errors.finish());
        if matches!(prediction.verdict, Verdict::Accepted | Verdict::NotJudged) {
            let all = symbols(&module, &values);
            self.own.set(name.as_bytes(), all.iter().map(|(symbol, _)| *symbol));
            self.code.insert(name.as_bytes().into(), Code::of(&module, &memory, &all));
            let core = all.into_iter().filter(|(_, stays)| *stays).map(|(symbol, _)| symbol).collect();
            self.settled.insert(name.as_bytes().into(), core);
        }
        prediction
    }

    /// Loads the modules that `module` depends on, as modprobe does. The symbols of those that are
    /// not known are assumed.
    pub(crate) fn load_dependencies(&mut self, module: &Module<'_>) {
        self.missing.clear();
        for name in depends(module) {
            if !self.is_loaded(&name) && !self.is_known(&name) {
                self.assumed.insert(name.as_bytes().into());
                self.missing.push(name);
            }
        }
    }

    /// Turns "accepted" into "not judged" if something was assumed.
    pub(crate) fn without_assumptions(&mut self, prediction: Prediction) -> Prediction {
        let unknown = std::mem::take(&mut self.unknown);
        match (prediction.verdict, unknown.is_empty()) {
            (Verdict::Accepted, false) => {
                let (what, give): (Vec<_>, BTreeSet<_>) = unknown.into_iter().unzip();
                let give: Vec<_> = give.into_iter().collect();
                Prediction::not_judged(format!("{}: give {}", what.join("; "), give.join(" ")))
            }
            _ => prediction,
        }
    }

    /// Notes which livepatch symbols of a module need several symbols of their name.
    pub(super) fn add_positions(&mut self, module: &Module<'_>) {
        let table = module.object().symbols();
        let livepatch = table.iter().filter(|symbol| table.location(symbol) == SymbolLocation::Livepatch);
        let names =
            livepatch.filter_map(|symbol| SymName::parse(table.name(&symbol).ok()?, module.profile()));
        let further = names.filter(|name| name.sympos > 1).map(|name| (name.object.into(), name.name.into()));
        self.further.extend(further);
    }

    /// Whether the symbols of an object are given.
    pub(super) fn has_symbols(&self, object: &[u8]) -> bool {
        match object {
            VMLINUX => self.files.has_kernel_symbols(),
            _ => !self.assumed.contains(object),
        }
    }

    /// As [`has_symbols`](Self::has_symbols). If not, the next verdict is not "accepted".
    pub(super) fn knows_symbols(&mut self, object: &[u8]) -> bool {
        let known = self.has_symbols(object);
        if !known {
            self.assume_symbols_of(object);
        }
        known
    }

    fn assume_symbols_of(&mut self, object: &[u8]) {
        let name = String::from_utf8_lossy(object).into_owned();
        let give = match object {
            VMLINUX => "--symbols with the kallsyms or System.map of the kernel".to_owned(),
            _ => format!("--target {name}=FILE.ko"),
        };
        self.unknown.insert((format!("the symbols of {name} are not known"), give));
    }

    /// Notes that the input does not tell whether a function can be traced.
    pub(super) fn unknown_function(&mut self, object: &str, name: &str) {
        let what = format!("it is not known whether {name} of {object} can be traced");
        self.unknown.insert((what, "--traceable with the kernel's available_filter_functions".to_owned()));
    }

    fn placeholder(&mut self) -> u64 {
        self.placeholders = self.placeholders.saturating_add(1);
        ASSUMED.saturating_add(self.placeholders.saturating_mul(16))
    }

    fn symbols_of(&self, object: &[u8]) -> Option<&Symbols> {
        let files = (object == VMLINUX || self.is_in_files(object)).then_some(self.files);
        if self.own.has(object) { Some(&self.own) } else { files }
    }

    /// Whether an address is in the init memory of an object.
    pub(super) fn is_init(&self, object: &[u8], address: u64) -> bool {
        match self.code.get(object) {
            Some(code) => code.init.iter().any(|(first, last)| (*first..=*last).contains(&address)),
            None => object == VMLINUX && traced::is_init(self.files, address),
        }
    }

    /// Whether the file of module `object` says that it depends on `other`.
    pub(super) fn depends_on(&self, object: &[u8], other: &[u8]) -> bool {
        let mut seen = BTreeSet::new();
        let mut todo = vec![object.to_vec()];
        while let Some(name) = todo.pop() {
            if name == other {
                return true;
            }
            if seen.insert(name.clone())
                && let Some(target) = self.targets.values().find(|target| target.name.as_bytes() == name)
                && let Ok(module) = Module::parse(&target.file, self.profile)
            {
                todo.extend(depends(&module).into_iter().map(String::into_bytes));
            }
        }
        false
    }

    /// The modules whose names are known, but not vmlinux.
    pub(super) fn known_modules(&self) -> BTreeSet<String> {
        let listed = self.files.modules().map(|name| String::from_utf8_lossy(name).into_owned());
        let tree = self.tree.iter().flat_map(|tree| tree.names()).map(str::to_owned);
        listed.chain(tree).chain(self.targets.values().map(|target| target.name.clone())).collect()
    }

    /// Whether the names of all modules of the kernel are known.
    pub(super) const fn has_all_modules(&self) -> bool {
        self.tree.is_some()
    }

    /// The given files of modules.
    pub(super) fn targets(&self) -> &'s Targets {
        self.targets
    }

    pub(super) const fn profile(&self) -> Profile {
        self.profile
    }

    pub(super) fn files(&self) -> &'s Symbols {
        self.files
    }

    /// Notes that a checked module is loaded and uses the modules that it depends on.
    pub(super) fn set_checked(&mut self, name: &str, module: &Module<'_>) {
        self.checked.push((name.to_owned(), depends(module)));
    }

    /// A loaded module that uses module `name`.
    pub(super) fn user_of(&self, name: &str) -> Option<&str> {
        let loaded = self.targets.values().filter(|target| self.own.has(target.name.as_bytes()));
        let depends_on = |target: &&Target| {
            let module = Module::parse(&target.file, self.profile);
            module.is_ok_and(|module| depends(&module).iter().any(|on| on == name))
        };
        let checked = self.checked.iter().find(|(_, on)| on.iter().any(|on| on == name));
        let checked = checked.map(|(checked, _)| checked.as_str());
        checked.or_else(|| Some({ loaded }.find(depends_on)?.name.as_str()))
    }

    /// Whether a function of a loaded object can be replaced.
    pub(super) fn traced(&self, object: &[u8], name: &[u8], address: u64, kind: u8) -> Traced {
        match self.code.get(object).filter(|_| self.own.has(object)) {
            Some(code) => code.traced(address),
            None => {
                let symbols = self.symbols(object, name).len();
                let list = self.traceable.filter(|list| list.has(object));
                let listed = list.and_then(|list| list.lists(object, name, address, symbols));
                traced::in_kallsyms(self.files, object, name, address, kind, listed)
            }
        }
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

impl Known for World<'_> {
    fn symbols(&self, object: &[u8], name: &[u8]) -> Vec<(u64, u8)> {
        self.symbols_of(object).map_or(Vec::new(), |symbols| symbols.defined(object, name).collect())
    }

    fn near(&self, object: &[u8], name: &[u8]) -> Vec<String> {
        let Some(left) = self.near_left.get().checked_sub(1) else { return Vec::new() };
        self.near_left.set(left);
        self.symbols_of(object).map_or(Vec::new(), |symbols| symbols.near(object, name))
    }

    fn why_unknown(&self, name: &[u8]) -> Option<String> {
        let short = Name(name).short(IN_SENTENCE);
        if let [_, ..] = self.symbols(VMLINUX, name).as_slice() {
            return Some(format!(
                "vmlinux has {short}, but does not export it: use a livepatch symbol, .klp.sym.vmlinux.{short},0"
            ));
        }
        let owner = self.files.modules().find(|module| self.files.defined(module, name).next().is_some());
        if let Some(owner) = owner {
            let owner = String::from_utf8_lossy(owner);
            return Some(format!("the module {owner} has {short}, but does not export it"));
        }
        let near = self.near(VMLINUX, name);
        (!near.is_empty()).then(|| format!("vmlinux has {}", near.join(", ")))
    }
}

impl Resolver for World<'_> {
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
        if let Some(address) = self.own.export(name).or_else(|| self.files.export(name)) {
            return Ok(Some(address));
        }
        for module in std::mem::take(&mut self.missing) {
            self.assume_symbols_of(module.as_bytes());
            self.missing.push(module);
        }
        if !self.files.has_exports() {
            let give = "--symbols with the kernel's kallsyms or Module.symvers".to_owned();
            self.unknown.insert(("the kernel's exports are not known".to_owned(), give));
        }
        let assumed = !self.missing.is_empty() || !self.files.has_exports();
        Ok(assumed.then(|| self.placeholder()))
    }

    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        if !self.knows_symbols(object) {
            // A name is unique unless a livepatch uses a further symbol of it.
            let exists = sympos < 2 || self.further.contains(&(object.into(), name.into()));
            return Ok(exists.then(|| self.placeholder()));
        }
        Ok(self.symbols_of(object).and_then(|symbols| symbols.nth(object, name, sympos)))
    }
}

impl Code {
    fn of(module: &Module<'_>, memory: &ModuleMemory, symbols: &[(Named<'_>, bool)]) -> Self {
        let object = module.object();
        let is_table =
            |(_, section): &(u32, relakit::elf::Section)| object.section_name(section) == b"__mcount_loc";
        let tables = object.sections().filter(is_table);
        let bytes = tables.filter_map(|(index, _)| memory.bytes(index));
        let entries = bytes.flat_map(|bytes| bytes.as_chunks().0).map(|entry| u64::from_le_bytes(*entry));
        let mut traced: Vec<u64> = entries.collect();
        let mut symbols: Vec<u64> = symbols.iter().map(|((_, address, _), _)| *address).collect();
        traced.sort_unstable();
        symbols.sort_unstable();
        let is_init = |(index, section): &(u32, relakit::elf::Section)| {
            module.is_allocated(*index) && object.section_name(section).starts_with(b".init")
        };
        let init = object.sections().filter(is_init).filter_map(|(index, section)| {
            let first = memory.address(index)?;
            Some((first, first.checked_add(section.sh_size.checked_sub(1)?)?))
        });
        Self { traced, symbols, init: init.collect() }
    }

    /// `ftrace_location`: a function reaches up to the next symbol.
    fn traced(&self, address: u64) -> Traced {
        let next = self.symbols.partition_point(|symbol| *symbol <= address);
        let end = self.symbols.get(next).copied().unwrap_or(u64::MAX);
        let first = self.traced.partition_point(|traced| *traced < address);
        match self.traced.get(first) {
            Some(traced) if *traced < end => Traced::Yes,
            _ => Traced::No("__mcount_loc lists no call of the tracer in this function"),
        }
    }
}

/// The symbols of a module in the order of its table, and whether each remains after init.
pub(crate) fn symbols<'f>(module: &Module<'f>, values: &[u64]) -> Vec<(Named<'f>, bool)> {
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
