//! Finds the entry of a table that has a given name, as a [`Resolver`](crate::Resolver) needs it.
//! It does not allocate.
//!
//! A loader looks up many names: exported symbols in a table of some ten thousand, and for
//! livepatches the N-th symbol of a name among all symbols of the kernel, where hundreds may have
//! one name. The embedder keeps the table as it is. A lookup returns the index of an entry.
//!
//! | | memory | preparation | a lookup in n names |
//! |---|---|---|---|
//! | [`find_sorted`] | none | the table is sorted by name | at most log2(n) + 2 comparisons of names |
//! | [`Index`] | 5 or 6 bytes for each name | every name is read once | one comparison, two for the N-th |
//!
//! Names that are chosen to collide cannot make an index slow, because entries with equal hashes
//! are sorted by name and searched as `find_sorted` does. So the hash needs no random key.
//!
//! ```
//! use relakit::index::Index;
//! use relakit::{CallbackError, Resolver};
//!
//! struct Export {
//!     name: &'static str,
//!     address: u64,
//! }
//!
//! impl AsRef<[u8]> for Export {
//!     fn as_ref(&self) -> &[u8] {
//!         self.name.as_bytes()
//!     }
//! }
//!
//! struct Kernel<'a> {
//!     exports: &'a [Export],
//!     index: Index<'a, &'a [Export]>,
//! }
//!
//! impl Resolver for Kernel<'_> {
//!     fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError> {
//!         Ok(self.index.find(name).map(|at| self.exports[at].address))
//!     }
//! }
//!
//! let exports = [Export { name: "printk", address: 0x1000 }, Export { name: "kfree", address: 0x2000 }];
//! let mut memory = [0; Index::words(2)];
//! let index = Index::build(&exports[..], &mut memory)?;
//! assert_eq!(Kernel { exports: &exports, index }.exported(b"kfree"), Ok(Some(0x2000)));
//! # Ok::<(), relakit::Error>(())
//! ```

mod hashed;
mod name_bytes;

use core::cmp::Ordering;
use core::ops::Range;
pub use hashed::Index;

/// A table of names. A slice of a type that implements `AsRef<[u8]>` is one.
///
/// A table must not change while it has an index. If it does, names may not be found. An entry that
/// is returned has the name, because a lookup compares it.
pub trait Names {
    /// Returns the number of entries.
    fn count(&self) -> usize;

    /// Returns bytes that begin with the name of entry `at`, which is less than
    /// [`count`](Self::count). The name ends before the first NUL, or at the end of the bytes. For
    /// a name in a string table, the rest of the table is enough.
    fn name(&self, at: usize) -> &[u8];

    /// Returns whether the name of entry `at` is `name`. Types whose `name` must search for the
    /// NUL, such as a pointer to a name, should implement this function and
    /// [`compare`](Self::compare).
    fn is(&self, at: usize, name: &[u8]) -> bool {
        name_bytes::is(self.name(at), name)
    }

    /// Compares the name of entry `at` with `name`, byte by byte.
    fn compare(&self, at: usize, name: &[u8]) -> Ordering {
        let mut bytes = self.name(at).iter();
        for wanted in name {
            match bytes.next() {
                None | Some(0) => return Ordering::Less,
                Some(byte) if byte != wanted => return byte.cmp(wanted),
                Some(_) => {}
            }
        }
        match bytes.next() {
            None | Some(0) => Ordering::Equal,
            Some(_) => Ordering::Greater,
        }
    }
}

impl<T: AsRef<[u8]>> Names for [T] {
    fn count(&self) -> usize {
        self.len()
    }

    fn name(&self, at: usize) -> &[u8] {
        self.get(at).map_or(&[], T::as_ref)
    }
}

impl<N: Names + ?Sized> Names for &N {
    fn count(&self) -> usize {
        N::count(self)
    }

    fn name(&self, at: usize) -> &[u8] {
        N::name(self, at)
    }

    fn is(&self, at: usize, name: &[u8]) -> bool {
        N::is(self, at, name)
    }

    fn compare(&self, at: usize, name: &[u8]) -> Ordering {
        N::compare(self, at, name)
    }
}

/// Returns the index of the `nth` entry with this name, counted from 1, in a table that is sorted
/// by name, byte by byte. Returns `None` if there are fewer, or if `nth` is 0. If the table is not
/// sorted, it may return `None` too.
pub fn find_sorted<N: Names + ?Sized>(names: &N, name: &[u8], nth: u64) -> Option<usize> {
    let (mut first, mut end) = (0, names.count());
    while first < end {
        let middle = first.midpoint(end);
        match names.compare(middle, name) {
            Ordering::Less => first = middle.wrapping_add(1),
            Ordering::Greater => end = middle,
            Ordering::Equal => {
                let before = usize::try_from(nth.checked_sub(1)?).ok()?;
                let at = first_of(names, name, first..middle).checked_add(before)?;
                let is_one = before == 0 || at < names.count() && names.compare(at, name).is_eq();
                return is_one.then_some(at);
            }
        }
    }
    None
}

/// Returns the index of the first entry with this name in `range`, or the end of the range, which
/// has it.
fn first_of<N: Names + ?Sized>(names: &N, name: &[u8], range: Range<usize>) -> usize {
    let Range { start: mut first, mut end } = range;
    while first < end {
        let middle = first.midpoint(end);
        match names.compare(middle, name) {
            Ordering::Equal => end = middle,
            Ordering::Less | Ordering::Greater => first = middle.wrapping_add(1),
        }
    }
    end
}
