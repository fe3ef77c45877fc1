//! Simulates the kernel: loads a module, then loads and unloads target modules. The real passes run
//! on memory that is like the kernel's.

mod advice;
mod events;
mod evidence;
mod findings;
mod functions;
mod imports;
mod init_calls;
pub(crate) mod joined;
mod kernel_log;
pub(crate) mod layout;
mod livepatch;
mod load;
pub(crate) mod memory;
mod prediction;
#[cfg(test)]
mod recorded;
pub(crate) mod report;
pub(crate) mod resolved;
mod seen;
mod special;
pub(crate) mod traced;
pub(crate) mod world;

pub(crate) use evidence::cannot_go;

use crate::input::kernel::Kernel;
use load::{File, Loaded, Room};
use report::{Report, Step};
use resolved::Resolved;
use std::fmt;
use std::path::Path;
use world::World;

/// What happens to a module that the livepatch may patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is loaded before the livepatch.
    Live(String),
    /// It is loaded now.
    Coming(String),
    /// It is unloaded now.
    Going(String),
}

impl Event {
    pub(crate) fn module(&self) -> &str {
        match self {
            Self::Live(name) | Self::Coming(name) | Self::Going(name) => name,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match self {
            Self::Live(_) => "live",
            Self::Coming(_) => "coming",
            Self::Going(_) => "going",
        };
        write!(f, "{event}:{}", self.module())
    }
}

/// A module to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) path: &'a Path,
    pub(crate) file: &'a [u8],
    pub(crate) kernel: &'a Kernel,
}

/// Runs the events in a kernel without livepatches.
pub(crate) fn without_livepatches(world: &mut World<'_>, events: &[Event]) -> Vec<Step> {
    let mut steps = events::load_live(world, events);
    steps.extend(events::run_alone(world, events));
    steps
}

/// Loads the modules in order, runs the events, and reports for each module what the kernel returns
/// and what it does not notice. `resolved` receives the results of the passes of the first module.
pub(crate) fn check(
    given: &[Given<'_>],
    mut world: World<'_>,
    events: &[Event],
    mut resolved: Option<&mut Resolved>,
) -> Vec<Report> {
    let files: Vec<File<'_>> = given.iter().map(|given| File::new(*given)).collect();
    let mut rooms: Vec<Room> = files.iter().map(|_| Room::default()).collect();
    let live = events::load_live(&mut world, events);
    let mut loaded: Vec<Loaded<'_, '_>> = Vec::new();
    for (file, room) in files.iter().zip(&mut rooms) {
        let next = load::load(file, room, &loaded, &mut world, resolved.take());
        if next.replaces() {
            loaded.iter_mut().for_each(|before| before.replaced_by(next.name()));
        }
        loaded.push(next);
    }
    for step in live {
        loaded.iter_mut().for_each(|module| module.report.steps.push(step.clone()));
    }
    events::run(&mut loaded, &mut world, events);
    let known = world.known_modules();
    loaded.into_iter().map(|module| module.finish(&known)).collect()
}
