//! The check of one kernel of the set.

use super::folder::{Content, Folder};
use super::row::{Answer, Found, ObjectRow, Outcome, Row, rules};
use crate::args::CheckArgs;
use crate::check::not_loaded_at_first;
use crate::failure::Failure;
use crate::input::files;
use crate::input::kernel::{Kernel, is_release, release_of};
use crate::input::modules::{Modules, depends};
use crate::input::symbols::Symbols;
use crate::input::traceable::Traceable;
use crate::scenario::{Scenario, patched_objects};
use crate::simulate::report::Report;
use crate::simulate::world::{Target, Targets, World};
use crate::simulate::{self, Event, Given};
use crate::view::names::{IN_SENTENCE, Name};
use relakit::{Module, Profile, abi};
use relakit_linux::findings::{Lint, Severity};
use relakit_linux::loader_check::{modinfo, section_named};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The findings that depend on the kernel and not on the build.
const OF_KERNEL: [Lint; 3] = [Lint::ObjectUnknown, Lint::InitSymbol, Lint::SymposMissing];

/// What is checked with each kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) args: &'a CheckArgs,
    /// The contents of the modules.
    pub(super) files: &'a [Vec<u8>],
}

/// A kernel with everything that was read.
struct KernelFiles {
    kernel: Kernel,
    symbols: Symbols,
    traceable: Option<Traceable>,
    targets: Targets,
    events: Vec<Event>,
}

impl Question<'_> {
    /// Checks one kernel.
    ///
    /// # Errors
    /// A file of the kernel cannot be used, or an event names a module that this kernel does not have.
    pub(super) fn judge(self, folder: &Folder) -> Result<Row, Failure> {
        let content = folder.content()?;
        let release = folder.release(&content)?;
        let known = self.read(&content, &release)?;
        let objects = self.objects(&known);
        let is_own = |file: &Vec<u8>| release_of(file).map(|own| own == release);
        let built_for: Option<Vec<bool>> = self.files.iter().map(is_own).collect();
        let built_for = built_for.map(|all| all.into_iter().all(|is_own| is_own));
        let reports = self.reports(&known, &content, false);
        let mut row = Row {
            folder: folder.name.clone(),
            release: Some(release.clone()),
            rules: Some(known.kernel.profile.name),
            built_for,
            result: Outcome::NotJudged,
            file: Answer::of(&reports),
            rebuilt: None,
            objects,
            findings: rules(&reports, |rule| !self.args.allow.contains(&rule)),
            denied: false,
            group: 0,
            is_rebuilt: false,
        };
        let mixed = mixed(&known, &release);
        let doubt = match (&mixed, row.file.outcome) {
            (_, outcome) if outcome != Outcome::Accepted => None,
            (Some(why), _) => Some(why.clone()),
            (None, _) => self.doubt(&known, &content, built_for)?,
        };
        if let Some(why) = doubt {
            row.file = Answer::not_judged(why);
        }
        if built_for != Some(true) {
            let is_shown = |rule| OF_KERNEL.contains(&rule) && !self.args.allow.contains(&rule);
            let reports = self.reports(&known, &content, true);
            let mut rebuilt = Answer::of(&reports);
            match mixed {
                Some(why) if rebuilt.outcome == Outcome::Accepted => rebuilt = Answer::not_judged(why),
                None if rebuilt.outcome == Outcome::Accepted => rebuilt.outcome = Outcome::Fits,
                _ => {}
            }
            row.is_rebuilt = self.args.any_vermagic && row.file.outcome != Outcome::Accepted;
            if row.is_rebuilt {
                row.findings = rules(&reports, is_shown);
            }
            row.rebuilt = Some(rebuilt);
        }
        row.result = row.answer().outcome;
        let is_denied = |severity: Severity| row.findings.iter().any(|row| row.severity == severity.name());
        let denying = [Severity::Info, Severity::Warning, Severity::Error];
        row.denied = row.result > Outcome::Fits
            || denying.into_iter().any(|severity| severity >= self.args.deny && is_denied(severity));
        Ok(row)
    }

    /// Reads the symbols, and the modules that the livepatches patch or that these depend on.
    fn read(self, content: &Content, release: &str) -> Result<KernelFiles, Failure> {
        let kernel = Kernel::new(release)?;
        let symbols = Symbols::read(content.symbols.iter().map(PathBuf::as_path))?;
        let traceable =
            content.traceable.as_deref().map(|path| Traceable::read(path, &symbols)).transpose()?;
        let mut args = self.args.clone();
        if let Some(modules) = content.modules.as_ref().filter(|_| args.event.is_empty()) {
            args.event = self.events(modules, kernel.profile)?;
        }
        let modules = content.modules.as_ref();
        let scenario = Scenario::new(&args, self.files, kernel.profile, &symbols, modules, false)?;
        let Scenario { targets, runs, .. } = scenario;
        let events = runs.into_iter().flatten().collect();
        Ok(KernelFiles { kernel, symbols, traceable, targets, events })
    }

    /// The patched modules are loaded after the livepatch, unless another one depends on them.
    fn events(self, modules: &Modules, profile: Profile) -> Result<Vec<Event>, Failure> {
        let patched = self.patched(profile);
        let of_files = self.files.iter().filter_map(|file| Module::parse(file, profile).ok());
        let mut todo: Vec<String> = of_files.flat_map(|module| depends(&module)).collect();
        let mut seen = BTreeSet::new();
        let mut needed: BTreeSet<String> = todo.iter().cloned().collect();
        todo.extend(patched.iter().cloned());
        while let Some(name) = todo.pop() {
            let Some(path) = modules.path(&name).filter(|_| seen.insert(name.clone())) else { continue };
            let file = files::read_module(path)?;
            let on = Module::parse(&file, profile).map(|module| depends(&module)).unwrap_or_default();
            modules.retain(path, file);
            needed.extend(on.iter().cloned());
            todo.extend(on);
        }
        let loaded =
            patched.into_iter().filter(|name| modules.path(name).is_some() && !needed.contains(name));
        Ok(loaded.map(Event::Coming).collect())
    }

    /// The modules that the livepatches patch.
    fn patched(self, profile: Profile) -> BTreeSet<String> {
        let parsed = self.files.iter().filter_map(|file| Module::parse(file, profile).ok());
        let mut patched: BTreeSet<String> = parsed.flat_map(|module| patched_objects(&module)).collect();
        patched.retain(|name| name.as_bytes() != abi::VMLINUX);
        patched
    }

    fn objects(self, known: &KernelFiles) -> Vec<ObjectRow> {
        let found = |name: &String| match () {
            () if known.targets.contains_key(name) => Found::File,
            () if known.symbols.has(name.as_bytes()) => Found::Symbols,
            () => Found::Missing,
        };
        let patched = self.patched(known.kernel.profile);
        let object =
            |name: String| ObjectRow { found: found(&name), name: Name(name.as_bytes()).short(IN_SENTENCE) };
        patched.into_iter().map(object).collect()
    }

    fn reports(self, known: &KernelFiles, content: &Content, as_if_built: bool) -> Vec<Report> {
        let KernelFiles { kernel, symbols, traceable, targets, events } = known;
        let kernel = &Kernel { as_if_built, ..kernel.clone() };
        let given = self.args.module.iter().zip(self.files);
        let given: Vec<_> = given.map(|(path, file)| Given { path, file, kernel }).collect();
        let mut world = World::new(kernel.profile, symbols, targets, not_loaded_at_first(events));
        world.set_kernel(traceable.as_ref(), content.modules.as_ref());
        simulate::check(&given, world, events, None)
    }

    /// The reason why "accepted" is not certain for the file as it is.
    fn doubt(
        self,
        known: &KernelFiles,
        content: &Content,
        built_for: Option<bool>,
    ) -> Result<Option<String>, Failure> {
        match built_for {
            Some(true) => return Ok(None),
            // If a module has no vermagic, Linux compares nothing.
            None => return Ok(Some("the module does not say for which kernel it is built".to_owned())),
            Some(false) => {}
        }
        // The release is not that of the module, so its CRCs decide.
        if known.symbols.symver(b"module_layout").is_none() {
            return Ok(Some("CRCs decide for this kernel; put Module.symvers into the folder".to_owned()));
        }
        let Some(path) = content.any_module() else {
            return Ok(Some("vermagic is compared; put a module of this kernel into the folder".to_owned()));
        };
        let other = files::read_module(path)?;
        let magic = magic(&other);
        let is_same = |file: &Vec<u8>| !has_crcs(file) || self::magic(file) == magic;
        let differs = !self.files.iter().all(is_same);
        Ok(differs.then(|| "the flags in vermagic are not those of this kernel's modules".to_owned()))
    }
}

/// The reason why nothing is certain: a module of the folder is for another kernel.
fn mixed(known: &KernelFiles, release: &str) -> Option<String> {
    let other = |(name, target): (&String, &Target)| {
        let other = release_of(&target.file).filter(|other| other != release)?;
        Some(format!("{name}.ko of the folder is built for {other}"))
    };
    known.targets.iter().find_map(other)
}

fn has_crcs(file: &[u8]) -> bool {
    let module = Module::parse(file, Profile::LINUX_DEFAULT);
    module.is_ok_and(|module| section_named(&module, b"__versions").is_some())
}

/// The text of vermagic after the release, which Linux compares also if the module has CRCs.
fn magic(file: &[u8]) -> Option<Vec<u8>> {
    let module = Module::parse(file, Profile::LINUX_DEFAULT).ok()?;
    let magic = modinfo(&module, b"vermagic")?;
    let space = magic.iter().position(|byte| *byte == b' ').unwrap_or(magic.len());
    magic.get(space..).map(<[u8]>::to_vec)
}

/// The row of a kernel whose files cannot be used.
pub(super) fn not_judged(folder: &Folder, why: String) -> Row {
    Row {
        folder: folder.name.clone(),
        release: is_release(&folder.name).then(|| folder.name.clone()),
        rules: None,
        built_for: None,
        result: Outcome::NotJudged,
        file: Answer::not_judged(why),
        rebuilt: None,
        objects: Vec::new(),
        findings: Vec::new(),
        denied: true,
        group: 0,
        is_rebuilt: false,
    }
}
