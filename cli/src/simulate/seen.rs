//! Remembers which errors and findings were counted, in bounded memory.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

/// Most items that are remembered, about 20 MB. Duplicates of further items are counted.
const MOST: usize = 1 << 20;

/// The hashes of the items.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<u64>);

impl Seen {
    /// Whether the item was not seen before.
    pub(crate) fn is_new(&mut self, item: impl Hash) -> bool {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(item);
        match self.0.len() < MOST {
            true => self.0.insert(hash),
            false => !self.0.contains(&hash),
        }
    }
}
