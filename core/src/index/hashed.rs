//! The index: two arrays that say which entries have the names of each hash.

use super::Names;
use super::name_bytes::{HASH_BITS, hash, key};
use crate::elf::NAME_MAX;
use crate::error::{Error, ErrorKind};
use crate::sort::sort;

/// Greatest number of names: an entry has 31 bits, and at least one of them is for the hash.
const MOST: usize = 1 << 30;
/// A bit that neither a hash nor an entry has. During `build` it marks a hash where an entry will
/// be.
const UNPLACED: u32 = 1 << HASH_BITS;
/// The average bucket holds two to four entries. Smaller buckets cost more memory than they save
/// time.
const NAMES_A_BUCKET: usize = 4;

/// An index of a table of names, in a caller-provided buffer. It finds names of up to [`NAME_MAX`]
/// bytes.
// The buffer has two parts. `starts` says where the entries of each bucket begin, and where the
// last bucket ends. The upper bits of a hash are its bucket. `entries` has the lower bits of the
// hash, above the position in the table. The entries of a bucket are sorted by these bits, then by
// name, then by position. So the entries of one name are neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Index<'m, N> {
    names: N,
    starts: &'m [u32],
    entries: &'m [u32],
    layout: Layout,
}

impl Index<'_, ()> {
    /// Returns the size in words of an index of `count` names: between 1.25 and 1.5 words for each
    /// name, and 2. It is `usize::MAX` for more than 2^30 names.
    pub const fn words(count: usize) -> usize {
        match Layout::of(count) {
            Some(layout) => layout.buckets.saturating_add(1).saturating_add(count),
            None => usize::MAX,
        }
    }
}

impl<'m, N: Names> Index<'m, N> {
    /// Makes an index of `names` in `memory`. It uses the first [`words`](Index::words) words.
    ///
    /// Each name is read once, and names with equal hashes are compared. The time is linear in the
    /// number of names n. If all hashes are equal, it grows with n log n.
    ///
    /// # Errors
    /// - `IndexTooShort`: `memory` is too short. It is unchanged.
    pub fn build(names: N, memory: &'m mut [u32]) -> Result<Self, Error> {
        let count = names.count();
        let needed = Index::words(count);
        let bytes = |words: usize| (words as u64).saturating_mul(4);
        let short = Error::new(ErrorKind::IndexTooShort, bytes(memory.len()), bytes(needed));
        let layout = Layout::of(count).ok_or(short)?;
        let memory = memory.get_mut(..needed).ok_or(short)?;
        let (starts, entries) = memory.split_at_mut_checked(layout.buckets.saturating_add(1)).ok_or(short)?;

        // First, `starts` gets the size of each bucket, one place further. Then it gets the
        // bucket's begin, and then, with each entry, its end.
        starts.fill(0);
        for (at, entry) in (0..count).zip(&mut *entries) {
            let hash = hash(key(&names, at));
            *entry = UNPLACED | hash;
            if let Some(size) = starts.get_mut(layout.bucket(hash).wrapping_add(1)) {
                *size = size.wrapping_add(1);
            }
        }
        let mut before = 0u32;
        for start in &mut *starts {
            (before, *start) = (before.wrapping_add(*start), before);
        }
        for at in 0..count {
            layout.place(at, starts, entries);
        }
        let mut rest = &mut *entries;
        let mut start = 0;
        for end in &*starts {
            let size = end.wrapping_sub(start) as usize;
            let Some((bucket, others)) = rest.split_at_mut_checked(size) else { break };
            layout.sort(&names, bucket);
            (rest, start) = (others, *end);
        }
        Ok(Self { names, starts, entries, layout })
    }

    /// Returns the index of the first entry with this name.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let first = self.run(name)?.first()?;
        Some(self.layout.position(*first))
    }

    /// Returns the index of the `nth` entry with this name, counted from 1 in the order of the
    /// table, as [`Resolver::nth_symbol`](crate::Resolver::nth_symbol) needs it. `None` if there
    /// are fewer, or if `nth` is 0.
    pub fn nth(&self, name: &[u8], nth: u64) -> Option<usize> {
        let before = usize::try_from(nth.checked_sub(1)?).ok()?;
        let entry = self.run(name)?.get(before)?;
        (before == 0 || self.is(*entry, name)).then(|| self.layout.position(*entry))
    }

    /// Returns the entries of a bucket from the first one with this name on.
    fn run(&self, name: &[u8]) -> Option<&'m [u32]> {
        if name.len() > NAME_MAX {
            return None;
        }
        let hash = hash(name);
        let bucket = self.layout.bucket(hash);
        let (start, end) = (*self.starts.get(bucket)?, *self.starts.get(bucket.wrapping_add(1))?);
        let entries = self.entries.get(start as usize..end as usize)?;
        let tag = self.layout.entry(hash, 0);
        // The entry is near the beginning, unless hundreds of entries of another name are before
        // it.
        let mut near = NAMES_A_BUCKET;
        while entries.get(near).is_some_and(|entry| *entry < tag) {
            near = near.saturating_mul(2);
        }
        let near = entries.get(..near).unwrap_or(entries);
        let entries = entries.get(near.partition_point(|entry| *entry < tag)..)?;
        let is_tagged = |entry: &u32| self.layout.is_tagged(*entry, tag);
        let first = entries.first().filter(|entry| is_tagged(entry))?;
        if self.is(*first, name) {
            return Some(entries);
        }
        // The first entry has another name with the same hash.
        let is_before =
            |entry: &u32| is_tagged(entry) && self.names.compare(self.layout.position(*entry), name).is_lt();
        let entries = entries.get(entries.partition_point(is_before)..)?;
        let first = entries.first().filter(|entry| is_tagged(entry))?;
        self.is(*first, name).then_some(entries)
    }

    /// Whether an entry has this name.
    fn is(&self, entry: u32, name: &[u8]) -> bool {
        self.names.is(self.layout.position(entry), name)
    }
}

/// The bits of hashes and positions, for a number of names.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// A power of two.
    buckets: usize,
    /// Number of the lower bits of a hash, which do not select its bucket.
    bucket_shift: u32,
    /// Number of bits of a position.
    position_bits: u32,
}

impl Layout {
    const fn of(count: usize) -> Option<Self> {
        if count > MOST {
            return None;
        }
        let Some(buckets) = count.div_ceil(NAMES_A_BUCKET).checked_next_power_of_two() else { return None };
        let bucket_bits = buckets.trailing_zeros();
        let position_bits = usize::BITS.wrapping_sub(count.saturating_sub(1).leading_zeros());
        Some(Self { buckets, bucket_shift: HASH_BITS.wrapping_sub(bucket_bits), position_bits })
    }

    /// Places the entry of the hash at `at`, then that of the hash in whose place it is now, and so on,
    /// until one comes to `at`. Does nothing if the entry at `at` has its place.
    fn place(self, at: usize, starts: &mut [u32], entries: &mut [u32]) {
        let (mut from, mut content) = (at, entries.get(at).copied().unwrap_or(0));
        while content & UNPLACED != 0 {
            let hash = content ^ UNPLACED;
            let Some(end) = starts.get_mut(self.bucket(hash).wrapping_add(1)) else { return };
            let to = *end as usize;
            *end = end.wrapping_add(1);
            let Some(slot) = entries.get_mut(to) else { return };
            content = if to == at { 0 } else { *slot };
            *slot = self.entry(hash, from);
            from = to;
        }
    }

    fn bucket(self, hash: u32) -> usize {
        hash.checked_shr(self.bucket_shift).unwrap_or(0) as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "a position is below `MOST`")]
    const fn entry(self, hash: u32, position: usize) -> u32 {
        (hash.wrapping_shl(self.position_bits) | position as u32) & !UNPLACED
    }

    const fn position(self, entry: u32) -> usize {
        (entry & !u32::MAX.wrapping_shl(self.position_bits)) as usize
    }

    /// Whether an entry has the bits of the hash that `tag` has.
    const fn is_tagged(self, entry: u32, tag: u32) -> bool {
        (entry ^ tag).wrapping_shr(self.position_bits) == 0
    }

    /// Sorts a bucket. Most names have different hashes. Entries with equal hashes mostly have one
    /// name, so they are sorted already.
    fn sort<N: Names>(self, names: &N, bucket: &mut [u32]) {
        match bucket.len() {
            0..=SMALL => insertion_sort(bucket),
            _ => sort(bucket, &|one, other| one.cmp(&other)),
        }
        if bucket.is_sorted_by(|one, other| !self.is_tagged(*one, *other)) {
            return;
        }
        let mut rest = bucket;
        while let Some(tag) = rest.first().copied() {
            let is_other = |at: &usize| rest.get(*at).is_none_or(|entry| !self.is_tagged(*entry, tag));
            let count = (0..rest.len()).find(is_other).unwrap_or(rest.len());
            let Some((run, others)) = rest.split_at_mut_checked(count) else { break };
            let name = |entry: u32| key(names, self.position(entry));
            sort(run, &|one, other| name(one).cmp(name(other)).then(one.cmp(&other)));
            rest = others;
        }
    }
}

/// Most entries of a bucket for which an insertion sort is faster.
const SMALL: usize = 16;

fn insertion_sort(bucket: &mut [u32]) {
    for end in 1..bucket.len() {
        for at in (0..end).rev() {
            match bucket.get_mut(at..).and_then(<[u32]>::first_chunk_mut) {
                Some([one, other]) if *one > *other => core::mem::swap(one, other),
                _ => break,
            }
        }
    }
}
