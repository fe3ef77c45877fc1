//! Whole modules through their whole life: early, coming, going, coming again, in any order and
//! with errors.
//!
//! The input is read as a plan of a module, which is right but for what the plan makes wrong, and
//! of what happens to it. A model of its own keeps what must be in memory at each moment
//! ([`life`]). Or it gets a global offset table ([`planned`]). Or the module's file is changed byte by byte ([`mutated`]); then nobody knows what
//! it means, but a pass is all or nothing still, and writes nothing but its fields.

mod bytes;
mod layout;
mod life;
pub(crate) mod mutated;
mod plan;
mod planned;

pub(crate) use bytes::Bytes;
use plan::Plan;

/// Runs one input: a plan, and what happens to the module.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let choice = bytes.byte();
    let plan = Plan::read(&mut bytes);
    match choice {
        0xf8.. if !plan.has_many => mutated::run(&plan, &mut bytes),
        0xe0..0xf8 if !plan.has_many => planned::run(plan, &mut bytes),
        _ => life::run(&plan, &mut bytes),
    }
}

/// The file of a plan.
pub(crate) fn file(bytes: &mut Bytes<'_>) -> Vec<u8> {
    Plan::read(bytes).file()
}
