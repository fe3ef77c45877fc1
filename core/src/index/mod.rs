//! Which entry of a table has a name: what a [`Resolver`](crate::Resolver) has to know, made fast without an allocator.
//!
//! Loading many modules is looking up many names: exported symbols in a table of some ten thousand, and for livepatches the
//! N-th symbol of a name among all symbols of the kernel, where hundreds may have one name. The table is the embedder's and
//! stays as it is; the answer is a position in it.
//!
//! | | memory | to make it | a lookup, of n names |
//! |---|---|---|---|
//! | [`find_sorted`] | none | the table is in the order of its names | at most log2(n) + 2 comparisons of names |
//! | [`Index`] | 5 or 6 bytes a name | every name is read twice | one comparison, two for the N-th |
//!
//! An index cannot be made slow by names that are chosen to collide: those whose hashes are equal are in the order of
//! their names and searched as `find_sorted` does. So its hash has no key, and a kernel needs no random number to begin
//! with.
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

/// A table of names. A slice of anything that is `AsRef<[u8]>` is one.
///
/// A table must not change while it has an index. One that does is never a wrong answer (an entry is looked at before it is
/// one), but its names may not be found.
pub trait Names {
    /// Number of entries.
    fn count(&self) -> usize;

    /// Bytes that begin with the name of entry `at`, which is below [`count`](Self::count). The name ends before the first
    /// NUL, or where the bytes end: for a name in a string table the whole rest of the table will do.
    fn name(&self, at: usize) -> &[u8];

    /// Whether entry `at` is called `name`. This and the next one are to be written anew where `name` has to look for the NUL, as
    /// for a pointer to a name.
    fn is(&self, at: usize, name: &[u8]) -> bool {
        name_bytes::is(self.name(at), name)
    }

    /// How the name of entry `at` compares to `name`, byte by byte.
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

/// Where the `position`-th entry (from 1) called `name` is in a table that is in ascending order of its names, compared
/// byte by byte. `None` when there are fewer, when `position` is 0, or when the table is not in order.
pub fn find_sorted<N: Names + ?Sized>(names: &N, name: &[u8], position: u64) -> Option<usize> {
    let (mut first, mut end) = (0, names.count());
    while first < end {
        let middle = first.midpoint(end);
        match names.compare(middle, name) {
            Ordering::Less => first = middle.wrapping_add(1),
            Ordering::Greater => end = middle,
            Ordering::Equal => {
                let before = usize::try_from(position.checked_sub(1)?).ok()?;
                let at = first_of(names, name, first..middle).checked_add(before)?;
                let is_one = before == 0 || at < names.count() && names.compare(at, name).is_eq();
                return is_one.then_some(at);
            }
        }
    }
    None
}

/// Where the first entry called `name` is: in `range`, or where it ends, which is one.
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
