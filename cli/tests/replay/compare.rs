//! Compares memory images, completely or at selected spots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The bytes of each section, by section index.
pub type Image = BTreeMap<u32, Vec<u8>>;

/// A stretch of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    pub section: u32,
    pub offset: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A difference between the recorded image and the one that relakit made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The section has another size, or is missing.
    Size { section: u32, recorded: usize, made: Option<usize> },
    /// Bytes of one spot differ. `offset` is that of the first one.
    Bytes { section: u32, offset: usize, count: usize, recorded: Vec<u8>, made: Vec<u8> },
}

impl Spot {
    /// `size` bytes at `offset`.
    pub fn new(section: u32, offset: usize, size: usize) -> Self {
        Self { section, offset, end: offset.saturating_add(size) }
    }

    pub fn size(&self) -> usize {
        self.end.saturating_sub(self.offset)
    }

    fn of<'a>(&self, image: &'a Image) -> &'a [u8] {
        &image[&self.section][self.offset..self.end]
    }
}

/// A spot for each whole section.
pub fn whole(image: &Image) -> Vec<Spot> {
    image.iter().map(|(&section, bytes)| Spot::new(section, 0, bytes.len())).collect()
}

/// The spots that are in bounds of the image.
pub fn within(spots: Vec<Spot>, image: &Image) -> Vec<Spot> {
    let inside = |spot: &Spot| image.get(&spot.section).is_some_and(|bytes| spot.end <= bytes.len());
    spots.into_iter().filter(inside).collect()
}

/// All differences at the spots. Each spot must be in a recorded section.
pub fn differences(recorded: &Image, made: &Image, spots: &[Spot]) -> Vec<Difference> {
    let mut found = Vec::new();
    let sections: BTreeSet<u32> = spots.iter().map(|spot| spot.section).collect();
    let mut comparable = BTreeSet::new();
    for section in sections {
        let (recorded, made) = (recorded[&section].len(), made.get(&section).map(Vec::len));
        if made == Some(recorded) {
            comparable.insert(section);
        } else {
            found.push(Difference::Size { section, recorded, made });
        }
    }
    for spot in spots.iter().filter(|spot| comparable.contains(&spot.section)) {
        let (recorded, made) = (spot.of(recorded), spot.of(made));
        let differ = || (spot.offset..).zip(recorded.iter().zip(made)).filter(|(_, (a, b))| a != b);
        if let Some((offset, _)) = differ().next() {
            let from = offset.saturating_sub(spot.offset);
            let excerpt = |bytes: &[u8]| bytes[from..].iter().copied().take(8).collect();
            let (recorded, made) = (excerpt(recorded), excerpt(made));
            found.push(Difference::Bytes {
                section: spot.section,
                offset,
                count: differ().count(),
                recorded,
                made,
            });
        }
    }
    found
}

/// The spots whose bytes differ between the images.
pub fn changed(before: &Image, after: &Image, spots: &[Spot]) -> BTreeSet<Spot> {
    let in_both = |spot: &&Spot| before.contains_key(&spot.section) && after.contains_key(&spot.section);
    spots.iter().filter(in_both).filter(|spot| spot.of(before) != spot.of(after)).copied().collect()
}

/// The first difference outside the spots.
pub fn stray(before: &Image, after: &Image, spots: &[Spot]) -> Option<Difference> {
    let without = |image: &Image| {
        let mut image = image.clone();
        for spot in spots {
            let bytes = image.get_mut(&spot.section).and_then(|bytes| bytes.get_mut(spot.offset..spot.end));
            bytes.into_iter().for_each(|field| field.fill(0));
        }
        image
    };
    let before = without(before);
    differences(&before, &without(after), &whole(&before)).into_iter().next()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { section, recorded, made: None } => {
                write!(f, "section {section}: not written, expected {recorded} bytes")
            }
            Self::Size { section, recorded, made: Some(made) } => {
                write!(f, "section {section}: {made} bytes written, expected {recorded}")
            }
            Self::Bytes { section, offset, count, recorded, made } => {
                write!(
                    f,
                    "section {section} offset {offset:#x}: expected {recorded:02x?}, made {made:02x?}"
                )?;
                write!(f, ", {count} bytes of this spot differ")
            }
        }
    }
}
