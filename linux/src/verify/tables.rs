//! Tables that Linux sorts while it loads a module.

use super::judge::Judge;
use super::{Cause, Seen};
use crate::bytes::{u32_at, u64_at};
use crate::special::{Place, Version, before, by_name, find};
use relakit::sort::{Rows, sort_rows};
use relakit::verify::{Comparison, Difference};
use relakit::{Error, Memory};

/// How a table is sorted.
struct Format {
    name: &'static str,
    /// Section whose entries move with those of the table.
    partner: Option<&'static str>,
    /// Offsets of 32-bit numbers that count from their own address. The first one is the address by
    /// which the table is sorted. If there is none, the entry is a 64-bit address.
    relative: &'static [usize],
    /// Whether the entry has a key, by which the table is sorted first: a 64-bit number at offset 8
    /// that counts from its own address. Its two lowest bits are flags.
    has_key: bool,
}

/// Sources (facts only): 6.1.192 and 6.12.117, the functions in each row.
const FORMATS: [Format; 4] = [
    // sort_extable: instruction and fixup.
    Format { name: "__ex_table", partner: None, relative: &[0, 4], has_key: false },
    // unwind_module_init: both tables at once.
    Format { name: ".orc_unwind_ip", partner: Some(".orc_unwind"), relative: &[0], has_key: false },
    // ftrace_process_locs.
    Format { name: "__mcount_loc", partner: None, relative: &[], has_key: false },
    // jump_label_sort_entries: code, target and key.
    Format { name: "__jump_table", partner: None, relative: &[0, 4], has_key: true },
];

/// Before 5.16 (46d28947d987), the third number of an exception table entry led to its handler.
const OLD_EXCEPTIONS: (&str, Version, &[usize]) = ("__ex_table", (5, 16), &[0, 4, 8]);

/// Offset of the key.
const KEY: usize = 8;
/// Bits of the key that are flags.
const FLAGS: u64 = 3;
/// The flag that the code is init code (`jump_entry_set_init`).
const INIT: u64 = 2;

/// Greatest size of an entry in bytes.
const ENTRY_MAX: usize = 16;
/// Most entries with equal keys that may be in any order. Linux's sort is not stable.
const TIES_MAX: usize = 16;

type Entry = [u8; ENTRY_MAX];

/// A section with entries.
#[derive(Clone, Copy)]
struct Part {
    section: u32,
    address: u64,
    /// Size of an entry in bytes.
    size: usize,
    count: usize,
}

/// A table, and the section that moves with it.
struct Table<'t, 'c, M: ?Sized> {
    comparison: &'t mut Comparison<'c, M>,
    relative: &'static [usize],
    has_key: bool,
    part: Part,
    partner: Option<Part>,
}

impl<M: Memory + ?Sized> Judge<'_, '_, '_, M> {
    /// Sorts the expected tables as Linux does, compares them, and takes what is found as expected.
    pub(super) fn tables(&mut self) -> Result<(), Error> {
        for format in &FORMATS {
            let part = self.part(format.name);
            let partner = format.partner.map(|name| self.part(name));
            let (Some(part), Some(partner)) = (part, partner.map_or(Some(None), |partner| partner.map(Some)))
            else {
                continue;
            };
            let (name, change, old) = OLD_EXCEPTIONS;
            let is_old = name == format.name && before(self.kernel.version, change);
            let relative = if is_old { old } else { format.relative };
            // Only as many entries as both have.
            let count = partner.map_or(part.count, |partner| partner.count.min(part.count));
            let part = Part { count, ..part };
            let has_key = format.has_key;
            let mut table = Table { comparison: &mut self.comparison, relative, has_key, part, partner };
            if has_key {
                table.mark(self.places);
            }
            sort_rows(&mut table, count);
            for entry in 0..count {
                self.compare_entry(part, partner, relative, has_key, entry)?;
            }
            if !self.comparison.compares(part.section) {
                self.verified.judged_apart(count.saturating_mul(part.size) as u64);
            }
        }
        Ok(())
    }

    /// Returns a table that kernels of this version read.
    fn part(&mut self, name: &'static str) -> Option<Part> {
        let special = by_name(name.as_bytes()).filter(|special| special.is_read_by(self.kernel.version))?;
        let size = usize::from(special.entry_size(self.kernel.version)?);
        let module = self.comparison.module();
        let (section, _) = module.object().sections().find(|(index, section)| {
            module.is_allocated(*index) && module.object().section_name(section) == name.as_bytes()
        })?;
        let (address, bytes) = self.comparison.expected(section)?;
        Some(Part { section, address, size, count: bytes.len().checked_div(size)? })
    }

    fn compare_entry(
        &mut self,
        part: Part,
        partner: Option<Part>,
        relative: &'static [usize],
        has_key: bool,
        entry: usize,
    ) -> Result<(), Error> {
        let mut found = [Entry::default(); 2];
        for (part, found) in [Some(part), partner].into_iter().flatten().zip(&mut found) {
            let Some(found) = found.get_mut(..part.size) else { continue };
            self.comparison.found(part.section, part.offset(entry), found)?;
        }
        let comparison = &mut self.comparison;
        let mut table = Table { comparison, relative, has_key, part, partner };
        if table.has(entry, &found) || table.exchange(entry, &found) {
            return Ok(());
        }
        for (part, found) in [Some(part), partner].into_iter().flatten().zip(&found) {
            let expected = part.read(&mut self.comparison, entry);
            let (Some(expected), Some(found)) = (expected.get(..part.size), found.get(..part.size)) else {
                continue;
            };
            if expected == found {
                continue;
            }
            let offset = part.offset(entry);
            let address = part.address.wrapping_add(offset);
            let difference = Difference::new(part.section, offset, address, expected, found);
            let cause = Cause::Table { section: part.section, entry: entry as u64 };
            self.mismatch(difference, cause, Seen::Other);
            self.comparison.settle(part.section, offset, found);
        }
        Ok(())
    }
}

impl Part {
    const fn offset(&self, entry: usize) -> u64 {
        (entry as u64).wrapping_mul(self.size as u64)
    }

    fn range<'m, M: Memory + ?Sized>(
        &self,
        comparison: &'m mut Comparison<'_, M>,
        entry: usize,
    ) -> Option<&'m mut [u8]> {
        let start = entry.checked_mul(self.size)?;
        comparison.expected(self.section)?.1.get_mut(start..start.checked_add(self.size)?)
    }

    fn read<M: Memory + ?Sized>(&self, comparison: &mut Comparison<'_, M>, entry: usize) -> Entry {
        let mut bytes = Entry::default();
        if let Some((to, from)) = bytes.get_mut(..self.size).zip(self.range(comparison, entry)) {
            to.copy_from_slice(from);
        }
        bytes
    }

    fn write<M: Memory + ?Sized>(&self, comparison: &mut Comparison<'_, M>, entry: usize, bytes: &Entry) {
        if let Some((to, from)) = self.range(comparison, entry).zip(bytes.get(..self.size)) {
            to.copy_from_slice(from);
        }
    }
}

impl<M: Memory + ?Sized> Table<'_, '_, M> {
    /// What decides the order of an entry.
    fn key(&mut self, entry: usize) -> (u64, u64) {
        let bytes = self.part.read(self.comparison, entry);
        let here = self.part.address.wrapping_add(self.part.offset(entry));
        let first = match self.relative {
            [] => u64_at(&bytes, 0).unwrap_or(0),
            _ => here.wrapping_add_signed(i64::from(u32_at(&bytes, 0).unwrap_or(0).cast_signed())),
        };
        let key = if self.has_key { u64_at(&bytes, KEY).unwrap_or(0) & !FLAGS } else { return (first, 0) };
        (here.wrapping_add(key), first)
    }

    /// Sets the flag of entries for init code, and clears it in the others.
    fn mark(&mut self, places: &[Place]) {
        for entry in 0..self.part.count {
            let object = self.comparison.module().object();
            let (_, code) = self.key(entry);
            let place = find(places, code).and_then(|(place, _)| object.section(place.section));
            let is_init = place.is_some_and(|section| object.section_name(&section).starts_with(b".init"));
            let mut bytes = self.part.read(self.comparison, entry);
            let key = u64_at(&bytes, KEY).unwrap_or(0) & !INIT;
            let key = key | if is_init { INIT } else { 0 };
            if let Some(place) = bytes.get_mut(KEY..) {
                place.copy_from_slice(&key.to_le_bytes());
            }
            self.part.write(self.comparison, entry, &bytes);
        }
    }

    /// Whether the expected entry is what is found.
    fn has(&mut self, entry: usize, found: &[Entry; 2]) -> bool {
        let parts = [Some(self.part), self.partner].into_iter().flatten().zip(found);
        parts.into_iter().all(|(part, found)| part.read(self.comparison, entry) == *found)
    }

    /// Exchanges the entry with a later one of the same key that is what is found.
    fn exchange(&mut self, entry: usize, found: &[Entry; 2]) -> bool {
        let key = self.key(entry);
        for other in (entry..self.part.count).skip(1).take(TIES_MAX) {
            if self.key(other) != key {
                return false;
            }
            self.swap(entry, other);
            if self.has(entry, found) {
                return true;
            }
            self.swap(entry, other);
        }
        false
    }

    /// The bytes of entry `from` if it is moved to `to`.
    fn moved(&mut self, from: usize, to: usize) -> Entry {
        let mut bytes = self.part.read(self.comparison, from);
        let distance = self.part.offset(from).wrapping_sub(self.part.offset(to));
        for &at in self.relative {
            let value = u32_at(&bytes, at).unwrap_or(0).wrapping_add(crate::bytes::low32(distance));
            if let Some(place) = bytes.get_mut(at..at.saturating_add(4)) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        if self.has_key {
            let value = u64_at(&bytes, KEY).unwrap_or(0).wrapping_add(distance);
            if let Some(place) = bytes.get_mut(KEY..) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }
}

impl<M: Memory + ?Sized> Rows for Table<'_, '_, M> {
    fn is_less(&mut self, one: usize, other: usize) -> bool {
        self.key(one) < self.key(other)
    }

    fn swap(&mut self, one: usize, other: usize) {
        let (first, second) = (self.moved(one, other), self.moved(other, one));
        self.part.write(self.comparison, other, &first);
        self.part.write(self.comparison, one, &second);
        if let Some(partner) = self.partner {
            let (first, second) = (partner.read(self.comparison, one), partner.read(self.comparison, other));
            partner.write(self.comparison, other, &first);
            partner.write(self.comparison, one, &second);
        }
    }
}
