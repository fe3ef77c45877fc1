//! The modules and events of a check: reads the target modules, and compares the names that the
//! user gives with those that are known.

mod life;

use crate::args::{CheckArgs, TargetArg};
use crate::failure::Failure;
use crate::input::files;
use crate::input::files::name_of_file;
use crate::input::modules::{Modules, depends};
use crate::input::near::nearest;
use crate::input::symbols::Symbols;
use crate::simulate::Event;
use crate::simulate::world::{Target, Targets};
use crate::view::names::module_name;
use crate::view::patch::Patch;
use relakit::{Class, Module, Profile};
use relakit_linux::findings::patched_names;
use relakit_linux::loader_check;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What happens around the checked module.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The modules with a file, by name.
    pub(crate) targets: Targets,
    /// The files that were found in the directory of the modules.
    pub(crate) found: BTreeMap<String, PathBuf>,
    /// The events of each simulation. The modules that others depend on are live before them.
    pub(crate) runs: Vec<Vec<Event>>,
    /// What was assumed.
    pub(crate) notes: Vec<String>,
}

impl Scenario {
    /// Reads the targets of the command line. From the directory of the modules, it reads the
    /// modules that events name, and those that a module depends on. Without events, and if
    /// `is_automatic`, it makes events for the patched modules.
    pub(crate) fn new(
        args: &CheckArgs,
        files: &[Vec<u8>],
        profile: Profile,
        symbols: &Symbols,
        modules: Option<&Modules>,
        is_automatic: bool,
    ) -> Result<Self, Failure> {
        let (targets, given_names) = given_targets(&args.target, profile)?;
        let parsed: Vec<_> = files.iter().filter_map(|file| Module::parse(file, profile).ok()).collect();
        if parsed.len() == files.len() {
            check_names(&args.event, &parsed, &targets, symbols, modules)?;
        }
        let found = BTreeMap::new();
        let mut scenario = Self { targets, found, runs: Vec::new(), notes: Vec::new() };
        let patched: BTreeSet<String> = parsed.iter().flat_map(patched_objects).collect();
        let needed = parsed.iter().flat_map(depends).collect::<Vec<_>>();
        match modules {
            Some(modules) if is_automatic && args.event.is_empty() => {
                scenario.set_life(&patched, needed, symbols, modules, profile)?;
            }
            _ => scenario.set_events(args, needed, symbols, modules, profile)?,
        }
        scenario.add_given(given_names, &patched);
        Ok(scenario)
    }

    /// The events of the command line.
    fn set_events(
        &mut self,
        args: &CheckArgs,
        mut needed: Vec<String>,
        symbols: &Symbols,
        modules: Option<&Modules>,
        profile: Profile,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        if let Some(modules) = modules {
            for event in &args.event {
                self.add_file(event.module(), modules, profile)?;
            }
            for Target { file, .. } in self.targets.values() {
                needed.extend(Module::parse(file, profile).iter().flat_map(depends));
            }
            events = self.dependencies(needed, args, symbols, modules, profile)?;
        }
        events.extend_from_slice(&args.event);
        self.runs = vec![events];
        Ok(())
    }

    /// Who gives the file of a patched module wants to know what happens when it is loaded.
    fn add_given(&mut self, given_names: Vec<String>, patched: &BTreeSet<String>) {
        for given in given_names {
            let has_event = self.runs.iter().flatten().any(|event| event.module() == given);
            match (has_event, patched.contains(&given)) {
                (true, _) => {}
                (false, true) => {
                    self.notes.push(format!("--target {given} has no event: coming:{given} is assumed"));
                    self.runs.iter_mut().for_each(|events| events.push(Event::Coming(given.clone())));
                }
                (false, false) => {
                    self.notes.push(format!(
                        "--target {given} has no event and is not patched, so it is not loaded; to load it, give \
                         --event live:{given}"
                    ));
                }
            }
        }
    }

    /// Reads the file of a module from the tree, if the tree has it. Returns whether there is a file.
    fn add_file(&mut self, name: &str, modules: &Modules, profile: Profile) -> Result<bool, Failure> {
        if self.targets.contains_key(name) {
            return Ok(true);
        }
        let Some(path) = modules.path(name) else { return Ok(false) };
        let file = modules.read(path)?;
        let target = Target { name: name_in(&file, path, profile), file };
        self.targets.insert(name.to_owned(), target);
        self.found.insert(name.to_owned(), path.to_owned());
        Ok(true)
    }

    /// The events that make the needed modules live, each after those that it depends on. Modules that the symbol
    /// files list, or that have an event, stay as they are.
    fn dependencies(
        &mut self,
        needed: Vec<String>,
        args: &CheckArgs,
        symbols: &Symbols,
        modules: &Modules,
        profile: Profile,
    ) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        let mut seen: BTreeSet<String> = args.event.iter().map(|event| event.module().to_owned()).collect();
        // The modules to read, and between them those whose dependencies are complete.
        let mut todo: Vec<Result<String, Event>> = needed.into_iter().rev().map(Ok).collect();
        while let Some(next) = todo.pop() {
            let name = match next {
                Ok(name) => name,
                Err(event) => {
                    events.push(event);
                    continue;
                }
            };
            if symbols.has(name.as_bytes()) || !seen.insert(name.clone()) {
                continue;
            }
            if !self.add_file(&name, modules, profile)? {
                continue;
            }
            todo.push(Err(Event::Live(name.clone())));
            let target = self.targets.get(&name).and_then(|target| Module::parse(&target.file, profile).ok());
            todo.extend(target.iter().flat_map(depends).map(Ok));
        }
        Ok(events)
    }
}

/// Reads the modules of `--target`.
pub(crate) fn targets(given: &[TargetArg], profile: Profile) -> Result<Targets, Failure> {
    given_targets(given, profile).map(|(targets, _)| targets)
}

/// The modules of `--target`, and their names in the order of the command line.
fn given_targets(all: &[TargetArg], profile: Profile) -> Result<(Targets, Vec<String>), Failure> {
    let (mut targets, mut names) = (Targets::new(), Vec::new());
    for given in all {
        let (name, target) = read_target(given, profile)?;
        names.push(name.clone());
        if targets.insert(name.clone(), target).is_some() {
            return Err(Failure::Usage(format!("--target {} is given twice", name.escape_default())));
        }
    }
    Ok((targets, names))
}

/// The objects that a livepatch replaces functions of, or has late relocations for.
pub(crate) fn patched_objects(module: &Module<'_>) -> BTreeSet<String> {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let tree = Patch::read(module).ok().into_iter().flat_map(|patch| patch.objects);
    let named = tree.filter_map(|object| Some(text(object.name?.0)));
    let late = module.classes().filter_map(|(_, class)| match class.class {
        Class::KlpLate { object, .. } => Some(text(object)),
        _ => None,
    });
    named.chain(late).collect()
}

/// Reads a target, and compares its own name with the given one.
fn read_target(given: &TargetArg, profile: Profile) -> Result<(String, Target), Failure> {
    let file = files::read_module(&given.file)?;
    let module = Module::parse(&file, profile).ok();
    let own = module.and_then(|module| {
        loader_check::module_name(&module).or_else(|| loader_check::modinfo(&module, b"name"))
    });
    let own = own.map(|name| String::from_utf8_lossy(name).into_owned());
    let name = match (&given.name, own) {
        (Some(given_name), Some(own)) if *given_name != own => {
            let (file, own) = (given.file.display(), own.escape_default());
            return Err(Failure::Usage(format!(
                "--target {given_name}={file}: the file is the module {own}; give --target {file}"
            )));
        }
        (_, Some(own)) => own,
        (Some(given_name), None) => given_name.clone(),
        (None, None) => name_of_file(&given.file),
    };
    Ok((name.clone(), Target { file, name }))
}

fn name_in(file: &[u8], path: &Path, profile: Profile) -> String {
    match Module::parse(file, profile) {
        Ok(module) => module_name(&module, path),
        Err(_) => name_of_file(path),
    }
}

/// Refuses an event of a module that is known nowhere, because its name is probably misspelt.
fn check_names(
    events: &[Event],
    checked: &[Module<'_>],
    targets: &Targets,
    symbols: &Symbols,
    modules: Option<&Modules>,
) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut known: BTreeSet<String> = targets.keys().cloned().collect();
    known.extend(symbols.modules().map(text));
    known.extend(checked.iter().flat_map(patched_objects));
    known.extend(modules.iter().flat_map(|modules| modules.names()).map(str::to_owned));
    // Most of these texts are not names of modules.
    let patched: BTreeSet<&[u8]> = checked.iter().flat_map(patched_names).collect();
    for event in events {
        let name = event.module();
        let is_in_tree = || modules.is_some_and(|modules| modules.path(name).is_some());
        if name == "vmlinux" || known.contains(name) || patched.contains(name.as_bytes()) || is_in_tree() {
            continue;
        }
        let own = if name.contains('-') { "; module names have underscores, not hyphens" } else { "" };
        let near = nearest(name, known.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean {}?", near.escape_default()),
            None => format!("give --target FILE.ko or a symbol file that lists [{name}]"),
        };
        return Err(Failure::Usage(format!("--event {event}: no module {name} is known{own}; {hint}")));
    }
    Ok(())
}
