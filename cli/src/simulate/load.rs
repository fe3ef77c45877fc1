//! The load of a checked module, and what remains of it for the events.

use super::Given;
use super::advice;
use super::evidence;
use super::findings::Findings;
use super::imports;
use super::livepatch::Livepatch;
use super::memory::ModuleMemory;
use super::prediction::{Check, Errors};
use super::report::{Phase, Prediction, Report, Verdict};
use super::resolved::Resolved;
use super::world::World;
use crate::input::files::name_of_file;
use crate::input::kernel::Kernel;
use crate::view::names::{IN_SENTENCE, Name, module_name};
use relakit::elf::{Binding, Section, SectionFlags, SymbolLocation};
use relakit::{Error, ErrorKind, Module, Profile, abi};
use relakit_linux::findings::{Finding, Lint};
use relakit_linux::loader_check::LoaderCheck;
use relakit_linux::special;
use std::collections::BTreeSet;

/// A module to load.
pub(super) struct File<'a> {
    given: Given<'a>,
    name: String,
    module: Result<Module<'a>, Error>,
}

impl<'a> File<'a> {
    pub(super) fn new(given: Given<'a>) -> Self {
        let module = Module::parse(given.file, given.kernel.profile);
        let name = module
            .as_ref()
            .map_or_else(|_| name_of_file(given.path), |module| module_name(module, given.path));
        Self { given, name, module }
    }

    fn report(&self) -> Report {
        let Given { path, kernel, .. } = self.given;
        Report {
            file: path.display().to_string(),
            name: self.name.clone(),
            kernel: kernel.asked.clone(),
            rules: kernel.profile.name,
            result: Verdict::default(),
            load: Prediction::default(),
            steps: Vec::new(),
            not_judged: Vec::new(),
            findings: Vec::new(),
            notes: Vec::new(),
            resolved: Vec::new(),
            more_resolved: 0,
            used: None,
        }
    }
}

/// What a loaded module occupies.
#[derive(Default)]
pub(super) struct Room {
    memory: Option<ModuleMemory>,
    values: Vec<u64>,
}

/// A checked module after its load.
pub(super) struct Loaded<'a, 'f> {
    pub(super) report: Report,
    /// The livepatch and its findings, if the module could be simulated.
    pub(super) life: Option<(Livepatch<'a, 'f>, Findings<'a, 'f>)>,
}

impl Loaded<'_, '_> {
    pub(super) fn name(&self) -> &str {
        &self.report.name
    }

    /// Whether it is a livepatch that replaces those before it.
    pub(super) fn replaces(&self) -> bool {
        self.life.as_ref().is_some_and(|(patch, _)| patch.enabled && patch.replaces())
    }

    /// Notes that a later livepatch replaces this one, so that it is no longer applied to modules.
    pub(super) fn replaced_by(&mut self, name: &str) {
        if let Some((patch, _)) = self.life.as_mut().filter(|(patch, _)| patch.enabled) {
            patch.enabled = false;
            self.report.notes.push(format!(
                "{name} replaces this livepatch, so Linux does not apply it to modules that are loaded later"
            ));
        }
    }

    /// The prediction for an event after a load with which the kernel may have crashed. What it
    /// left is applied to the objects of the livepatch.
    pub(super) fn after_crash(&self, object: &str) -> Option<Prediction> {
        if self.report.load.verdict != Verdict::Unsafe {
            return None;
        }
        let message = format!("the load of {} is unsafe, so the kernel may have crashed before", self.name());
        let concerns = self.life.as_ref().is_some_and(|(patch, _)| patch.patches(object.as_bytes()));
        Some(match concerns {
            true => Prediction { verdict: Verdict::Unsafe, message: Some(message), ..Prediction::default() },
            false => Prediction::not_judged(message),
        })
    }

    /// `known` has the names of known modules.
    pub(super) fn finish(mut self, known: &BTreeSet<String>) -> Report {
        if let Some((patch, findings)) = self.life {
            self.report.not_judged.extend(patch.not_judged(known));
            (self.report.resolved, self.report.more_resolved) = patch.into_resolution().finish();
            self.report.findings.extend(findings.finish());
        }
        self.report.result = self.report.worst();
        self.report
    }
}

/// Loads a module after `before`.
pub(super) fn load<'a, 'f>(
    file: &'a File<'f>,
    room: &'a mut Room,
    before: &[Loaded<'_, '_>],
    world: &mut World<'_>,
    mut resolved: Option<&'a mut Resolved>,
) -> Loaded<'a, 'f> {
    let mut report = file.report();
    let (name, kernel) = (&*file.name, file.given.kernel);
    world.set_version(kernel.version);
    let module = match &file.module {
        Ok(module) => module,
        Err(error) => {
            report.load = Prediction::unreadable(name, *error, &kernel.profile);
            return Loaded { report, life: None };
        }
    };
    let mut findings = Findings::new(module, kernel.version);
    if let Some(unconverted) = Unconverted::of(module) {
        report.load = unconverted.prediction(name);
        findings.add(Finding::new(Lint::NotConverted), Some(unconverted.step.to_owned()));
        report.findings = findings.finish();
        return Loaded { report, life: None };
    }
    let mut errors = Errors::new(module, name);
    errors.set_as_if_built(kernel.as_if_built);
    if before.iter().any(|before| before.name() == name) {
        let message = format!("{name}: is loaded already");
        errors.check(Phase::Validity, Check::new(LoaderCheck::LoadedAlready, message, None));
    }
    compare(module, name, kernel, world, &mut errors, &mut findings);
    world.add_positions(module);
    findings.file(world);
    findings.sympos(world);
    world.load_dependencies(module);
    let assigned = world.area.assign(module);
    let memory = match assigned.and_then(|sections| ModuleMemory::simulated(module, &sections)) {
        Ok(memory) => room.memory.insert(memory),
        Err(reason) => {
            report.load = errors.finish_without(reason);
            report.findings = findings.finish();
            return Loaded { report, life: None };
        }
    };
    room.values = vec![0; usize::try_from(module.object().symbols().len()).unwrap_or(usize::MAX)];
    let values = &mut room.values;
    let loaded = errors.early(memory, values, world);
    if let Some(loaded) = &loaded {
        if let Some(resolved) = &mut resolved {
            resolved.early(module, memory, values, kernel.version);
        }
        findings.values(memory, values, None);
        findings.init_symbols(values, None, world);
        findings.ordering(loaded, memory);
        findings.special(loaded, memory, &mut errors);
        let mut places: Vec<_> = special::places(module, memory).collect();
        places.sort_unstable();
        special::sort_tables(module, memory, kernel.version, &places);
    }
    let mut patch = Livepatch::new(module, name, values, memory, loaded.is_some(), resolved);
    patch.resolve(world, |object| world.is_present(object));
    for (earlier, _) in before.iter().filter_map(|before| before.life.as_ref()) {
        patch.check_states(earlier, &mut errors);
    }
    let applied = patch.enable(world, &mut errors, &mut findings);
    advice::add(&mut errors, world);
    report.load = world.without_assumptions(errors.finish());
    report.load.applied = applied.filter(|_| report.load.verdict == Verdict::Accepted);
    report.notes.extend(patch.notes());
    if report.load.is_done() {
        world.set_checked(name, module);
    } else {
        patch.enabled = false;
    }
    Loaded { report, life: Some((patch, findings)) }
}

/// A livepatch before the last step of the tool that makes its livepatch sections.
struct Unconverted {
    /// The step that is missing.
    step: &'static str,
    /// A symbol that the kernel does not find.
    symbol: Option<String>,
}

/// The step for the names of `KLP_RELOC_SYMBOL`.
const NAMED: &str = "relakit convert makes these sections from the .klp.sym. symbols";

impl Unconverted {
    fn of(module: &Module<'_>) -> Option<Self> {
        let object = module.object();
        let table = object.symbols();
        let is_klp = |section: &Section| section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
        if object.sections().any(|(_, section)| is_klp(&section)) {
            return None;
        }
        let undefined =
            table.iter().skip(1).filter(|symbol| table.location(symbol) == SymbolLocation::Undefined);
        let named = undefined.filter_map(|symbol| Some((table.name(&symbol).ok()?, symbol.binding())));
        let mut named = named.filter(|(name, _)| name.starts_with(abi::KLP_SYM_PREFIX)).peekable();
        let is_named = named.peek().is_some();
        // Linux accepts a weak symbol that it does not find.
        if let Some((name, _)) = named.find(|(_, binding)| *binding != Binding::WEAK) {
            let symbol = Some(Name(name).short(IN_SENTENCE));
            return Some(Self { step: NAMED, symbol });
        }
        let has = |prefix: &[u8]| {
            object.sections().any(|(_, section)| object.section_name(&section).starts_with(prefix))
        };
        let step = match () {
            () if has(b".kpatch.relocations") => {
                "relakit convert or create-klp-module makes these sections from .kpatch.relocations"
            }
            () if has(b"__klp_relocs") => {
                "relakit convert or objtool klp post-link makes these sections from __klp_relocs"
            }
            () if is_named => NAMED,
            () => return None,
        };
        Some(Self { step, symbol: None })
    }

    fn prediction(&self, name: &str) -> Prediction {
        match &self.symbol {
            Some(symbol) => {
                let message = format!("{name}: unknown symbol {symbol} (-ENOENT)");
                Prediction::refused(
                    Phase::Symbols,
                    Profile::LINUX_DEFAULT.errno(ErrorKind::UnknownSymbol),
                    message,
                )
            }
            None => {
                Prediction::not_judged(format!("{name}: the livepatch is not converted yet: {}", self.step))
            }
        }
    }
}

/// What the loader compares with the kernel.
fn compare(
    module: &Module<'_>,
    name: &str,
    kernel: &Kernel,
    world: &World<'_>,
    errors: &mut Errors<'_, '_>,
    findings: &mut Findings<'_, '_>,
) {
    errors.loader();
    evidence::vermagic(module, name, kernel, errors, findings);
    imports::check(module, name, world.files(), errors);
    for target in world.targets().values() {
        if let Ok(other) = Module::parse(&target.file, kernel.profile) {
            evidence::compare(module, name, (&other, &target.name), errors, findings);
        }
    }
}

impl Prediction {
    /// Whether the module is loaded, as far as it is known.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.verdict, Verdict::Accepted | Verdict::NotJudged)
    }
}
