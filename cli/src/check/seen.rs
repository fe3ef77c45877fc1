//! Which errors and findings were counted already, in bounded memory.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// Most items that are remembered: some 20 MB. One beyond that counts as often as it is found.
const MOST: usize = 1 << 20;

/// The items by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u64>);

impl Seen {
    /// Whether this is new, as far as it is known.
    pub(crate) fn is_new(&mut self, item: impl Hash) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(item);
        match self.0.len() < MOST {
            true => self.0.insert(hash),
            false => !self.0.contains(&hash),
        }
    }
}
