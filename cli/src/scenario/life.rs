//! The events of a check without `--event`: the life of each patched module.
//!
//! A module cannot be loaded before the livepatch and after it. So there are two simulations: in the
//! first, the patched modules are loaded, and then the livepatch. In the second, the livepatch is
//! loaded first. Then the patched modules are loaded, unloaded, and loaded again.

use super::Scenario;
use crate::failure::Failure;
use crate::input::modules::{Modules, depends};
use crate::input::symbols::Symbols;
use crate::simulate::Event;
use crate::simulate::cannot_go;
use relakit::{Module, Profile};
use std::collections::{BTreeMap, BTreeSet};

/// Most patched modules that are loaded. Their files are in memory. docs/check.md has the same number.
const OBJECTS: usize = 100;
/// Most names in a note.
const LISTED: usize = 8;

/// The modules around the checked ones.
#[derive(Debug, Default)]
struct Graph {
    /// Each module after those that it depends on.
    order: Vec<String>,
    depends: BTreeMap<String, Vec<String>>,
}

impl Scenario {
    /// Sets the events. `patched` are the objects, `needed` the modules that the checked ones
    /// depend on.
    pub(super) fn set_life(
        &mut self,
        patched: &BTreeSet<String>,
        needed: Vec<String>,
        symbols: &Symbols,
        modules: &Modules,
        profile: Profile,
    ) -> Result<(), Failure> {
        let mut objects = BTreeSet::new();
        for name in patched.iter().filter(|name| *name != "vmlinux") {
            if objects.len() == OBJECTS {
                self.notes.push(format!(
                    "without --event, relakit loads {OBJECTS} patched modules; to check others, give --event"
                ));
                break;
            }
            if self.add_file(name, modules, profile)? || symbols.has(name.as_bytes()) {
                objects.insert(name.clone());
            }
        }
        let mut roots = needed.clone();
        roots.extend(objects.iter().cloned());
        let graph = self.graph(roots, &objects, symbols, modules, profile)?;
        // What the livepatch depends on is loaded before it, and in use as long as it is loaded.
        let pinned = graph.reach(needed);
        let mut moving = BTreeSet::new();
        for name in &graph.order {
            let on_moving = graph.of(name).iter().any(|on| moving.contains(on));
            if !pinned.contains(name) && (objects.contains(name) || on_moving) {
                moving.insert(name.clone());
            }
        }
        let stay: Vec<String> = moving.iter().filter(|name| self.cannot_go(name, profile)).cloned().collect();
        let staying = graph.reach(stay);
        self.note_life(&objects, &pinned, &staying);
        let all = || graph.order.iter().cloned();
        let live = all().map(Event::Live).collect();
        if moving.is_empty() {
            self.runs = vec![live];
            return Ok(());
        }
        let moves = || all().filter(|name| moving.contains(name));
        let goes = || moves().filter(|name| !staying.contains(name));
        let mut life: Vec<_> = all().filter(|name| !moving.contains(name)).map(Event::Live).collect();
        life.extend(moves().map(Event::Coming));
        life.extend(goes().collect::<Vec<_>>().into_iter().rev().map(Event::Going));
        life.extend(goes().map(Event::Coming));
        self.runs = vec![live, life];
        Ok(())
    }

    /// Reads the files of the modules that `roots` depend on. Modules that the symbol files list are
    /// loaded already, unless they are objects.
    fn graph(
        &mut self,
        roots: Vec<String>,
        objects: &BTreeSet<String>,
        symbols: &Symbols,
        modules: &Modules,
        profile: Profile,
    ) -> Result<Graph, Failure> {
        let mut graph = Graph::default();
        let mut seen = BTreeSet::new();
        // The modules to read, and between them those whose dependencies are complete.
        let mut todo: Vec<(String, bool)> = roots.into_iter().rev().map(|name| (name, false)).collect();
        while let Some((name, is_complete)) = todo.pop() {
            if is_complete {
                graph.order.push(name);
                continue;
            }
            let is_loaded = !objects.contains(&name) && symbols.has(name.as_bytes());
            if is_loaded || !seen.insert(name.clone()) {
                continue;
            }
            if !self.add_file(&name, modules, profile)? && !objects.contains(&name) {
                continue;
            }
            let on = self.depends_of(&name, profile);
            todo.push((name.clone(), true));
            todo.extend(on.iter().rev().map(|on| (on.clone(), false)));
            graph.depends.insert(name, on);
        }
        Ok(graph)
    }

    fn depends_of(&self, name: &str, profile: Profile) -> Vec<String> {
        let target = self.targets.get(name).and_then(|target| Module::parse(&target.file, profile).ok());
        target.iter().flat_map(depends).collect()
    }

    fn cannot_go(&self, name: &str, profile: Profile) -> bool {
        let target = self.targets.get(name).and_then(|target| Module::parse(&target.file, profile).ok());
        target.is_some_and(|module| cannot_go(&module))
    }

    /// Says which events happen.
    fn note_life(
        &mut self,
        objects: &BTreeSet<String>,
        pinned: &BTreeSet<String>,
        staying: &BTreeSet<String>,
    ) {
        let moving: Vec<_> = objects.difference(pinned).collect();
        if !moving.is_empty() {
            self.notes.push(format!(
                "without --event, relakit checks two orders: {0} loaded before the livepatch (live, load), and the \
                 livepatch first (load-first), then {0} loaded, unloaded and loaded again (coming, going, coming)",
                list(&moving)
            ));
        }
        let pinned: Vec<_> = objects.intersection(pinned).collect();
        if !pinned.is_empty() {
            let names = list(&pinned);
            self.notes
                .push(format!("the livepatch depends on {names}, so it is only loaded before it (live)"));
        }
        let staying: Vec<_> = objects.intersection(staying).collect();
        if !staying.is_empty() {
            let names = list(&staying);
            self.notes.push(format!("{names} cannot be unloaded, so it is only loaded (coming)"));
        }
    }
}

impl Graph {
    fn of(&self, name: &str) -> &[String] {
        self.depends.get(name).map_or(&[], Vec::as_slice)
    }

    /// These modules, and all that they depend on.
    fn reach(&self, mut todo: Vec<String>) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        while let Some(name) = todo.pop() {
            if reached.insert(name.clone()) {
                todo.extend_from_slice(self.of(&name));
            }
        }
        reached
    }
}

/// "nfs, sunrpc", or the first names and the number of the others.
fn list(names: &[&String]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED).map(|name| name.escape_default().to_string()).collect();
    match names.len().saturating_sub(LISTED) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}
