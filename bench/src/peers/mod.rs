//! Other loaders, called as their users call them. Each loads whole modules; how its loop is told apart is said in its
//! file.

pub mod elf_loader;
pub mod kmod_loader;

use crate::engines::relakit::apply;
use crate::modules::Work;

/// What a loader took for one module, in nanoseconds.
#[derive(Clone, Copy)]
pub struct Took {
    pub load: f64,
    /// Something with its relocation loop in it.
    pub with_loop: f64,
    /// The same without the loop.
    pub without_loop: f64,
}

pub struct Peer {
    pub name: &'static str,
    /// How its loop is told apart from the rest, and what else is to be said.
    pub how: &'static str,
    /// Loads a module, or says why it cannot.
    pub load: fn(&Work) -> Result<Took, String>,
    /// Loads it once more, and holds the bytes against relakit's.
    pub compare: fn(&Work) -> Result<(), String>,
}

pub const PEERS: [Peer; 2] = [kmod_loader::PEER, elf_loader::PEER];

/// Holds what a loader has in memory, by address and size, against what relakit makes of the same module in the same place.
fn compare<'m>(expected: &Work, memory: impl Fn(usize, usize) -> &'m [u8]) -> Result<(), String> {
    let mut image = expected.pristine.clone();
    if !apply(expected, &mut image) {
        return Err("relakit does not apply it".to_owned());
    }
    for (index, place) in expected.places.iter().enumerate() {
        if let Some((range, address)) = place
            && memory(*address as usize, range.len()) != &image[range.clone()]
        {
            return Err(format!("section {index} has other bytes than by relakit"));
        }
    }
    Ok(())
}
