//! Linux's livepatch core: what `klp_enable_patch`, `klp_module_coming` and `klp_module_going` do
//! (Linux semantics 10, 15 and 17).

use super::advice::Known;
use super::findings::{Findings, Late};
use super::functions;
use super::init_calls;
use super::memory::{ModuleMemory, State};
use super::prediction::{Check, Errors};
use super::report::{Applied, NotJudged, Phase};
use super::resolved::Resolved;
use super::world::World;
use crate::input::near::nearest;
use crate::view::location::Location;
use crate::view::names::{Name, plural};
use crate::view::patch::{PRE_PATCH, Patch, PatchObject, Where};
use crate::view::resolve::Resolution;
use relakit::{Class, Module, abi};
use relakit_linux::findings::{Finding, Lint, patched_names};
use relakit_linux::late::LinuxLate;
use relakit_linux::loader_check::{self, LoaderCheck};
use relakit_linux::patch::NoTree;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Most objects that are listed as not judged.
const LISTED: usize = 100;

/// The livepatch in memory.
pub(super) struct Livepatch<'a, 'f> {
    module: &'a Module<'f>,
    name: &'a str,
    late: LinuxLate<'a, 'f>,
    memory: &'a mut ModuleMemory,
    resolved: Option<&'a mut Resolved>,
    tree: Result<Patch<'f>, NoTree>,
    /// The objects that it patches, if the tree cannot be read.
    named: HashSet<&'f [u8]>,
    /// The positions of an object in the tree.
    by_name: HashMap<&'f [u8], Vec<usize>>,
    /// The late sections for an object.
    late_sections: HashMap<&'f [u8], Vec<u32>>,
    /// Whether its init function has enabled it.
    pub(super) enabled: bool,
    /// The modules whose load was simulated.
    judged: BTreeSet<String>,
    resolution: Resolution<'f>,
}

impl<'a, 'f> Livepatch<'a, 'f> {
    /// `values` are the symbol values after the early pass. `loaded` says whether it succeeded.
    pub(super) fn new(
        module: &'a Module<'f>,
        name: &'a str,
        values: &'a mut [u64],
        memory: &'a mut ModuleMemory,
        loaded: bool,
        resolved: Option<&'a mut Resolved>,
    ) -> Self {
        let tree = Patch::read(module);
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for (number, object) in tree.iter().flat_map(|tree| &tree.objects).enumerate() {
            if let Some(Name(name)) = object.name {
                by_name.entry(name).or_default().push(number);
            }
        }
        let mut late_sections: HashMap<_, Vec<_>> = HashMap::new();
        for (index, class) in module.classes() {
            if let Class::KlpLate { object, .. } = class.class {
                late_sections.entry(object).or_default().push(index);
            }
        }
        Self {
            module,
            name,
            late: LinuxLate::new(module, values),
            memory,
            resolved,
            enabled: loaded && tree.as_ref().err() != Some(&NoTree::NotCalled),
            named: patched_names(module).collect(),
            by_name,
            late_sections,
            tree,
            judged: BTreeSet::new(),
            resolution: Resolution::new(module),
        }
    }

    /// `klp_enable_patch`, called by the init function. Returns what it applies.
    pub(super) fn enable(
        &mut self,
        world: &mut World<'_>,
        errors: &mut Errors<'_, '_>,
        findings: &mut Findings<'_, '_>,
    ) -> Option<Applied> {
        if !self.enabled {
            if is_livepatch(self.module) && self.tree.as_ref().err() == Some(&NoTree::NotCalled) {
                let detail = "the module does not call klp_enable_patch".to_owned();
                findings.add(Finding::new(Lint::PatchesNothing), Some(detail));
            }
            return None;
        }
        self.memory.set_state(State::Coming);
        self.check_tree(errors);
        self.check_content(findings);
        self.check_names(world, findings);
        let is_loaded = |object: &[u8]| object == abi::VMLINUX || world.is_loaded(&text(object));
        for finding in init_calls::find(self.module, &is_loaded) {
            findings.add(finding, None);
        }
        let loaded: Vec<_> = self.objects().into_iter().filter(|object| is_loaded(object)).collect();
        let early = self.module.classes().filter(|(_, class)| matches!(class.class, Class::KlpEarly { .. }));
        let early = early.map(|(index, _)| self.module.relocations(index).len() as u64).sum();
        let mut applied = Applied { relocations: early, functions: 0 };
        for object in loaded {
            self.judged.insert(text(&object));
            applied.add(self.initialize(&object, Phase::Init, world, errors, findings));
        }
        self.memory.set_state(State::Live);
        Some(applied)
    }

    /// `klp_module_coming` for a loaded module. Returns what is applied, or `None` if the livepatch
    /// is not for it.
    pub(super) fn coming(
        &mut self,
        name: &str,
        world: &mut World<'_>,
        errors: &mut Errors<'_, '_>,
        findings: &mut Findings<'_, '_>,
    ) -> Option<Applied> {
        if !self.enabled || !self.patches(name.as_bytes()) {
            return None;
        }
        self.judged.insert(name.to_owned());
        self.resolve(world, |object| object == name.as_bytes());
        let applied = self.initialize(name.as_bytes(), Phase::Coming, world, errors, findings);
        findings.sympos(world);
        Some(applied)
    }

    /// Looks up the names of these objects.
    pub(super) fn resolve(&mut self, world: &World<'_>, is_loaded: impl Fn(&[u8]) -> bool) {
        self.resolution.resolve(is_loaded, |object, name| world.symbols(object, name));
    }

    pub(super) fn into_resolution(self) -> Resolution<'f> {
        self.resolution
    }

    /// What the verdicts assume: callbacks are not run, and return no error.
    pub(super) fn notes(&self) -> Vec<String> {
        let objects = self.tree.iter().flat_map(|tree| &tree.objects);
        let with = objects.filter(|object| object.callbacks.contains(&PRE_PATCH));
        let note = |object: &PatchObject<'_>| {
            let name = object.name();
            format!(
                "relakit does not run the callback {PRE_PATCH} of {name}; if it returns an error, Linux refuses the load"
            )
        };
        with.map(note).collect()
    }

    /// Whether it replaces the livepatches before it.
    pub(super) fn replaces(&self) -> bool {
        self.tree.as_ref().is_ok_and(|tree| tree.replace == Some(true))
    }

    /// `klp_is_patch_compatible`: an earlier livepatch is loaded.
    pub(super) fn check_states(&self, earlier: &Self, errors: &mut Errors<'_, '_>) {
        let (Ok(tree), Ok(before)) = (&self.tree, &earlier.tree) else { return };
        for state in before.states.iter().filter(|_| earlier.enabled) {
            let own = tree.states.iter().find(|own| own.id == state.id);
            let is_compatible = own.map_or(tree.replace != Some(true), |own| own.version >= state.version);
            if !is_compatible {
                let message = format!("livepatch: {} is not compatible with {}", self.name, earlier.name);
                let check = Check::new(LoaderCheck::StateIncompatible, message, None);
                let (id, version) = (state.id, state.version);
                errors.check(Phase::Init, check.detail(format!("state {id:#x} has version {version} there")));
            }
        }
    }

    /// A list for the errors of an event.
    pub(super) fn errors(&self) -> Errors<'a, 'f> {
        Errors::new(self.module, self.name)
    }

    /// `klp_module_going`.
    pub(super) fn going(&mut self, name: &str, findings: &mut Findings<'_, '_>) {
        let mut late = Late { object: name.to_owned(), ..Late::default() };
        if self.enabled && self.patches(name.as_bytes()) {
            self.late.going(name.as_bytes(), self.memory, &mut |error| late.not_cleared.push(error));
        }
        findings.late(&late);
    }

    /// What could not be judged, because no event loads the module.
    pub(super) fn not_judged(&self, known: &BTreeSet<String>) -> Vec<NotJudged> {
        let mut objects = self.objects();
        objects.retain(|object| {
            object.as_slice() != abi::VMLINUX && self.enabled && !self.judged.contains(&text(object))
        });
        let listed = objects.iter().take(LISTED);
        let mut missing: Vec<_> = listed.filter_map(|object| self.not_judged_object(object, known)).collect();
        if let more @ 1.. = objects.len().saturating_sub(LISTED) {
            missing.push(NotJudged {
                what: plural(more as u64, "more object"),
                give: "give --target FILE.ko for each, or --modules".to_owned(),
                is_object: true,
            });
        }
        if self.enabled
            && let unreadable @ 1.. = self.unreadable_names()
        {
            missing.push(NotJudged {
                what: plural(unreadable, "name")
                    + " in the tree of klp_enable_patch, which the file does not have",
                give: "write the names of objects and functions into the data of the module".to_owned(),
                is_object: false,
            });
        }
        if self.enabled && self.tree.is_err() {
            missing.push(NotJudged {
                what: "the replaced functions: the init function makes the list of them".to_owned(),
                give: "read the source of the init function".to_owned(),
                is_object: false,
            });
        }
        missing
    }

    /// The number of names of objects and functions whose text is not in the file.
    fn unreadable_names(&self) -> u64 {
        let objects = || self.tree.iter().flat_map(|tree| &tree.objects);
        let funcs = objects().flat_map(|object| &object.functions);
        let funcs = funcs.filter(|func| func.is_named && func.name.is_none()).count();
        objects().filter(|object| object.name.is_none()).count().saturating_add(funcs) as u64
    }

    fn not_judged_object(&self, object: &[u8], known: &BTreeSet<String>) -> Option<NotJudged> {
        let sections = self.late_sections(object).iter();
        let relocations = sections.map(|index| self.module.relocations(*index).len() as u64).sum();
        let functions = self.tree_objects(object).map(|object| object.functions.len() as u64).sum();
        let mut parts = Vec::new();
        parts.extend((relocations != 0).then(|| plural(relocations, "relocation")));
        parts.extend((functions != 0).then(|| plural(functions, "function")));
        let name = Name(object).short(abi::OBJECT_NAME_MAX);
        (!parts.is_empty()).then(|| NotJudged {
            what: format!("{name} ({})", parts.join(", ")),
            give: match nearest(&name, known.iter().map(String::as_str)) {
                Some(near) => format!("give --target {name}=FILE.ko; or did you mean {near}?"),
                None => format!("give --target {name}=FILE.ko"),
            },
            is_object: true,
        })
    }

    /// The late sections for an object.
    fn late_sections(&self, object: &[u8]) -> &[u32] {
        self.late_sections.get(object).map_or(&[], Vec::as_slice)
    }

    /// The names of the patched objects, each once, in order.
    fn objects(&self) -> Vec<Vec<u8>> {
        let mut seen = HashSet::new();
        let names: Vec<&[u8]> = match &self.tree {
            Ok(tree) => tree.objects.iter().filter_map(|object| Some(object.name?.0)).collect(),
            Err(_) => {
                let late = self.module.classes().filter_map(|(_, class)| match class.class {
                    Class::KlpLate { object, .. } => {
                        Some(object).filter(|object| self.named.contains(object))
                    }
                    _ => None,
                });
                late.collect()
            }
        };
        names.into_iter().filter(|name| seen.insert(*name)).map(<[u8]>::to_vec).collect()
    }

    fn tree_objects(&self, name: &[u8]) -> impl Iterator<Item = &PatchObject<'f>> {
        let objects = self.tree.as_ref().map_or(&[][..], |tree| &tree.objects);
        let numbers = self.by_name.get(name).into_iter().flatten();
        numbers.filter_map(|number| objects.get(*number))
    }

    pub(super) fn patches(&self, object: &[u8]) -> bool {
        match &self.tree {
            Ok(_) => object != abi::VMLINUX && self.tree_objects(object).next().is_some(),
            Err(_) => self.named.contains(object),
        }
    }

    /// The checks of `klp_enable_patch`, `klp_init_object` and `klp_init_func`.
    fn check_tree(&self, errors: &mut Errors<'_, '_>) {
        let Ok(tree) = &self.tree else { return };
        let mut found = |check, message: String, at: Option<Where>| {
            let location = at.map(|at| Location::in_section(self.module, at.section, at.offset));
            errors.check(Phase::Init, Check::new(check, format!("livepatch: {message}"), location));
        };
        if !tree.is_complete {
            found(LoaderCheck::PatchIncomplete, "the livepatch has no module or no objects".into(), None);
        }
        for object in tree.objects.iter().filter(|object| !object.has_funcs) {
            let message = format!("the object {} has no functions", object.name());
            found(LoaderCheck::ObjectWithoutFunctions, message, Some(object.place));
        }
        let mut names = BTreeSet::new();
        for object in &tree.objects {
            let name = object.name();
            let length = object.name.map_or(0, |name| name.0.len());
            if object.name == Some(Name(b"")) {
                let message = "an object has an empty name".to_owned();
                found(LoaderCheck::ObjectNameEmpty, message, Some(object.place));
            } else if length > abi::OBJECT_NAME_MAX {
                let message = format!("the name of an object has {length} bytes");
                found(LoaderCheck::ObjectNameLength, message, Some(object.place));
            } else if object.name.is_some_and(|Name(name)| !names.insert(name)) {
                let message = format!("the object {name} is listed twice");
                found(LoaderCheck::ObjectTwice, message, Some(object.place));
            }
            let mut functions = BTreeSet::new();
            for func in &object.functions {
                let Some(check) =
                    functions::malformed(func, self.module.profile().symbol_name_max, &mut functions)
                else {
                    continue;
                };
                found(
                    check,
                    format!("function {} of {name}: {}", functions::of(func), sentence(check)),
                    Some(func.place),
                );
            }
        }
    }

    /// Reports what the kernel does not notice in the tree: nothing to replace, and replacements that
    /// are no code.
    fn check_content(&self, findings: &mut Findings<'_, '_>) {
        let Ok(tree) = &self.tree else { return };
        let mut found = |lint, at: Option<Where>, detail| {
            let mut finding = Finding::new(lint);
            if let Some(at) = at {
                (finding.section, finding.offset) = (Some(at.section), at.offset);
            }
            findings.add(finding, Some(detail));
        };
        if tree.objects.is_empty() {
            found(Lint::PatchesNothing, None, "struct klp_patch has no objects".to_owned());
        }
        for object in &tree.objects {
            if object.functions.is_empty() && object.has_funcs && object.callbacks.is_empty() {
                let detail = format!("the object {} has no functions", object.name());
                found(Lint::PatchesNothing, Some(object.place), detail);
            }
            for func in object.functions.iter().filter(|func| func.is_data) {
                let detail = format!("the function is {} of {}", functions::of(func), object.name());
                found(Lint::NewFuncNotCode, Some(func.place), detail);
            }
        }
    }

    /// Reports the objects whose names no module has: names that differ from that of a module only
    /// in how it is written, and names that a given tree of modules does not have.
    fn check_names(&mut self, world: &World<'_>, findings: &mut Findings<'_, '_>) {
        let known = world.known_modules();
        let lower: BTreeMap<String, &String> =
            known.iter().map(|known| (known.to_ascii_lowercase(), known)).collect();
        let mut compared = 0usize;
        for object in self.tree.iter().flat_map(|tree| &tree.objects) {
            let Some(Name(name)) = object.name else { continue };
            let name = text(name);
            if object.is_vmlinux || known.contains(&name) {
                continue;
            }
            let plain = name.split(".ko").next().unwrap_or_default().replace('-', "_");
            let same = lower.get(&plain.to_ascii_lowercase());
            let mut near = || {
                compared = compared.saturating_add(1);
                (compared <= LISTED).then(|| nearest(&name, known.iter().map(String::as_str))).flatten()
            };
            let detail = match same {
                Some(same) => format!("the object is {name}, and there is a module {same}"),
                None if name.as_bytes() == abi::VMLINUX => {
                    "the object is \"vmlinux\", but the name of the kernel is NULL".to_owned()
                }
                None if name.contains('-') => {
                    format!("the object is {name}, but module names have no hyphens")
                }
                None if world.has_all_modules() => match near() {
                    Some(near) => format!("the object is {name}; did you mean {near}?"),
                    None => {
                        format!(
                            "the object is {name}, and the directory of the kernel's modules has no such module"
                        )
                    }
                },
                None => continue,
            };
            self.judged.insert(name);
            let mut finding = Finding::new(Lint::ObjectUnknown);
            (finding.section, finding.offset) = (Some(object.place.section), object.place.offset);
            findings.add(finding, Some(detail));
        }
    }

    /// `klp_init_object_loaded` and `klp_patch_object`: applies the relocations for an object, and
    /// finds its functions.
    fn initialize(
        &mut self,
        name: &[u8],
        phase: Phase,
        world: &mut World<'_>,
        errors: &mut Errors<'_, '_>,
        findings: &mut Findings<'_, '_>,
    ) -> Applied {
        let mut late = Late { object: text(name), ..Late::default() };
        let mut applied = Applied::default();
        if name != abi::VMLINUX {
            applied.relocations = self.relocate(name, phase, world, errors, &mut late);
        }
        let of_object = self.tree_objects(name).flat_map(|object| &object.functions);
        match functions::check(self.module, name, of_object.collect(), phase, world, errors, findings) {
            Ok(functions) => applied.functions = functions,
            Err(()) if late.error.is_none() && phase == Phase::Coming => {
                late.left = applied.relocations;
                late.section = self.late_sections(name).first().copied();
            }
            Err(()) => {}
        }
        findings.late(&late);
        if name != abi::VMLINUX {
            let object = text(name);
            findings.values(self.memory, self.late.values(), Some(&object));
            findings.init_symbols(self.late.values(), Some(&object), world);
        }
        applied
    }

    /// Applies the late relocations for an object. Returns how many are written.
    fn relocate(
        &mut self,
        name: &[u8],
        phase: Phase,
        world: &mut World<'_>,
        errors: &mut Errors<'_, '_>,
        late: &mut Late,
    ) -> u64 {
        if phase == Phase::Coming {
            self.check_freed(name, errors);
        }
        let mut all = Errors::new(self.module, self.name);
        let mut values = self.late.values().to_vec();
        let mut copy = LinuxLate::new(self.module, &mut values);
        copy.errors(name, self.memory, world, &mut |error| all.add(phase, &error));
        let done = self.late.coming(name, self.memory, world);
        if let Some(error) = done.error {
            errors.add(phase, &error);
            errors.append(all);
            late.left = done.written;
        }
        if let (Some(resolved), None) = (&mut self.resolved, done.error) {
            resolved.coming(&text(name), self.late.values());
        }
        late.error = done.error;
        done.written
    }

    /// Adds the late sections whose target was freed after the init function.
    fn check_freed(&self, name: &[u8], errors: &mut Errors<'_, '_>) {
        for &index in self.late_sections(name) {
            let target = self.module.class(index).map(|class| class.class);
            let Some(Class::KlpLate { target, .. }) = target else { continue };
            let section = self.module.object().section(target);
            let name = section.map(|section| self.module.object().section_name(&section));
            if name.is_some_and(|name| name.starts_with(b".init")) && self.module.is_allocated(target) {
                let location = Location::of_section(self.module, Some(index));
                let of = location.section_name.clone().unwrap_or_default();
                let message = format!("a write to freed memory: the target of {of} is init memory");
                errors.crash(Phase::Coming, Lint::LateIntoInit, message, location);
            }
        }
    }
}

/// Whether .modinfo says that the module is a livepatch.
fn is_livepatch(module: &Module<'_>) -> bool {
    loader_check::modinfo(module, b"livepatch").is_some()
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn sentence(check: LoaderCheck) -> String {
    check.message().to_string_lossy().into_owned()
}

impl Applied {
    const fn add(&mut self, more: Self) {
        self.relocations = self.relocations.saturating_add(more.relocations);
        self.functions = self.functions.saturating_add(more.functions);
    }
}
