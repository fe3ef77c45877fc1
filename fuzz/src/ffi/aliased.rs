//! Memory that is two things at once: a target that is also a relocation table, the symbols, their
//! values, the headers or the file. A hostile file can bring it about, and so can a careless
//! loader.
//!
//! Everything that a call is given lies in one [`arena`]. The calls must keep the promises of all
//! calls: no access outside of a section, no change by a call that fails, and clearing is the
//! inverse of applying.

mod arena;
mod life;
mod refusal;
mod shaped;
mod single;

use crate::module::Bytes;

/// Runs one input of the level that `what` names.
pub fn run(what: u8, data: &[u8]) -> Option<()> {
    let bytes = &mut Bytes::new(data);
    match what % 4 {
        1 => single::run(bytes),
        2 => life::run(bytes)?,
        _ => shaped::run(bytes),
    }
    Some(())
}
