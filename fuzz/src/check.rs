//! What core says of a module before a kernel does: any bytes as a module, every finding about it,
//! and what becomes of it.
//!
//! A finding is about something that is there ([`findings`]); what is refused was announced, and
//! what was announced is refused ([`passes`]); the simulation of Linux does what the passes do
//! where Linux is all right ([`linux`]).

mod findings;
mod linux;
mod passes;

use crate::module::mutated::{self, Hashed};
use relakit::{Error, Module};
use relakit_linux::late;
use relakit_linux::late::Outcome;
use relakit_linux::special::Version;
use relakit_model::world::{Faults, Names};

/// Bytes of an input before the file: profile, kernel version, and which values symbols have.
const HEAD: usize = 3;

const VERSIONS: [Version; 8] =
    [(6, 12), (5, 8), (5, 17), (6, 1), (6, 13), (7, 3), (0, 0), (u16::MAX, u16::MAX)];

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((&[profile, version, seed], file)) = data.split_first_chunk::<HEAD>() else { return };
    let profile = crate::profiles::of(profile);
    let version = VERSIONS[usize::from(version) % VERSIONS.len()];
    let module = match Module::parse(file, profile) {
        Ok(module) => module,
        Err(error) => return told(&error, &profile),
    };
    let errors = Faults::default();
    let answers = Hashed { seed };
    let names = &mut Names { answers, errors: &errors };
    let found = findings::of(&module, version, names);
    let mut world = mutated::world(&module, &errors);
    let Some((loaded, values)) = passes::early(&module, &mut world, names) else { return };
    findings::of_rewritten(&loaded, &mut world, version);
    findings::of_entries(&loaded, &mut world, version);
    let scene = linux::Scene { loaded: &loaded, world: &world, values: &values, found: &found, answers };
    scene.compare();
}

/// A fault has a text, and Linux an answer to it.
fn told(error: &Error, profile: &relakit::Profile) {
    assert!(!error.to_string().is_empty());
    match late::outcome(error.kind, profile) {
        Outcome::Refused(errno) => assert!(errno > 0, "{error}"),
        Outcome::Unsafe => {}
    }
}
