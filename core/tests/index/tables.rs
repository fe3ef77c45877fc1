//! Tables of names of several shapes.

use relakit::index::Names;
use std::cell::Cell;
use std::cmp::Ordering;

/// Names one after the other, each with its NUL but the last; an entry is an offset.
pub struct Blob {
    bytes: Vec<u8>,
    offsets: Vec<usize>,
}

impl Blob {
    pub fn new<T: AsRef<[u8]>>(names: &[T]) -> Self {
        let mut blob = Self { bytes: Vec::new(), offsets: Vec::new() };
        for name in names {
            blob.offsets.push(blob.bytes.len());
            blob.bytes.extend_from_slice(name.as_ref());
            blob.bytes.push(0);
        }
        blob.bytes.pop();
        blob
    }
}

impl Names for Blob {
    fn count(&self) -> usize {
        self.offsets.len()
    }

    fn name(&self, at: usize) -> &[u8] {
        &self.bytes[self.offsets[at]..]
    }
}

/// A table that becomes another one.
pub struct Changing<'a> {
    now: &'a [Vec<u8>],
    then: &'a [Vec<u8>],
    has_changed: Cell<bool>,
}

impl<'a> Changing<'a> {
    pub fn new(now: &'a [Vec<u8>], then: &'a [Vec<u8>]) -> Self {
        Self { now, then, has_changed: Cell::new(false) }
    }

    pub fn change(&self) {
        self.has_changed.set(true);
    }
}

impl Names for Changing<'_> {
    fn count(&self) -> usize {
        self.now.len()
    }

    /// What is there no more has no name that is looked up.
    fn name(&self, at: usize) -> &[u8] {
        match self.has_changed.get() {
            true => self.then.get(at).map_or(b"-", |name| name),
            false => &self.now[at],
        }
    }
}

/// A table that counts how often an entry is looked at.
pub struct Counted<'a> {
    names: &'a [Vec<u8>],
    looks: Cell<usize>,
}

impl<'a> Counted<'a> {
    pub fn new(names: &'a [Vec<u8>]) -> Self {
        Self { names, looks: Cell::new(0) }
    }

    /// Since it was asked last.
    pub fn looks(&self) -> usize {
        self.looks.take()
    }
}

impl Names for Counted<'_> {
    fn count(&self) -> usize {
        self.names.len()
    }

    fn name(&self, at: usize) -> &[u8] {
        self.looks.set(self.looks.get() + 1);
        &self.names[at]
    }

    fn is(&self, at: usize, name: &[u8]) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.names.is(at, name)
    }

    fn compare(&self, at: usize, name: &[u8]) -> Ordering {
        self.looks.set(self.looks.get() + 1);
        self.names.compare(at, name)
    }
}

/// Address and name of a line of /proc/kallsyms.
pub fn symbol(line: &str) -> (u64, &str) {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next().unwrap(), 16).unwrap();
    (address, words.nth(1).unwrap())
}
