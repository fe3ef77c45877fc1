//! The tables that Linux sorts while it loads a module.

use super::{Place, Version, before, by_name, find};
use crate::bytes::{copy, low32, u32_at, u64_at};
use relakit::sort::{Rows, sort_rows};
use relakit::{Memory, Module};

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

/// Sources (facts only): 6.1.192 and 6.12.117 of Debian, the function in each row.
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

/// The bytes of an entry. Those after its size are 0.
pub(crate) type Entry = [u8; ENTRY_MAX];

/// The sections of a module, with their run-time addresses.
pub(crate) trait Sections {
    /// Returns the run-time address of a section, and its bytes in plain memory.
    fn section(&mut self, index: u32) -> Option<(u64, &mut [u8])>;
}

struct InMemory<'m, M: ?Sized>(&'m mut M);

impl<M: Memory + ?Sized> Sections for InMemory<'_, M> {
    fn section(&mut self, index: u32) -> Option<(u64, &mut [u8])> {
        let target = self.0.target(index)?;
        Some((target.address(), target.into_bytes()?))
    }
}

/// Sorts the tables of a module as kernels of this version do while they load it: the exception
/// table, the ORC tables, the calls to the tracer and the jump labels. Jump labels in init code get
/// their flag.
///
/// `memory` is that of the early pass. Tables behind a writer are not sorted. `places` are those of
/// [`places`](super::places()) in their natural order: address first. The time is n log n steps for n
/// entries.
pub fn sort_tables<M: Memory + ?Sized>(
    module: &Module<'_>,
    memory: &mut M,
    version: Version,
    places: &[Place],
) {
    let sections = &mut InMemory(memory);
    for number in 0..FORMATS.len() {
        if let Some(table) = Table::new(number, module, sections, version) {
            table.sort(module, sections, places);
        }
    }
}

/// A section with entries.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) section: u32,
    pub(crate) address: u64,
    /// Size of an entry in bytes.
    pub(crate) size: usize,
    count: usize,
}

/// A table, and the section that moves with it.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) part: Part,
    partner: Option<Part>,
    /// Number of entries.
    pub(crate) count: usize,
    relative: &'static [usize],
    has_key: bool,
}

impl Part {
    fn named(
        name: &str,
        module: &Module<'_>,
        sections: &mut impl Sections,
        version: Version,
    ) -> Option<Self> {
        let special = by_name(name.as_bytes()).filter(|special| special.is_read_by(version))?;
        let size = usize::from(special.entry_size(version)?).min(ENTRY_MAX);
        let (index, _) = module.object().sections().find(|(index, section)| {
            module.is_allocated(*index) && module.object().section_name(section) == name.as_bytes()
        })?;
        let (address, bytes) = sections.section(index)?;
        Some(Self { section: index, address, size, count: bytes.len().checked_div(size)? })
    }

    /// Returns the offset of an entry in bytes.
    pub(crate) const fn offset(&self, entry: usize) -> u64 {
        (entry as u64).wrapping_mul(self.size as u64)
    }

    fn range<'m>(&self, sections: &'m mut impl Sections, entry: usize) -> Option<&'m mut [u8]> {
        let start = entry.checked_mul(self.size)?;
        sections.section(self.section)?.1.get_mut(start..start.checked_add(self.size)?)
    }

    pub(crate) fn read(&self, sections: &mut impl Sections, entry: usize) -> Entry {
        let mut bytes = Entry::default();
        if let Some((to, from)) = bytes.get_mut(..self.size).zip(self.range(sections, entry)) {
            copy(to, from);
        }
        bytes
    }

    fn write(&self, sections: &mut impl Sections, entry: usize, bytes: &Entry) {
        if let Some((to, from)) = self.range(sections, entry).zip(bytes.get(..self.size)) {
            copy(to, from);
        }
    }
}

impl Table {
    /// Every table that kernels of this version sort.
    pub(crate) fn all(
        module: &Module<'_>,
        sections: &mut impl Sections,
        version: Version,
    ) -> [Option<Self>; FORMATS.len()] {
        let mut tables = [None; FORMATS.len()];
        for (number, table) in tables.iter_mut().enumerate() {
            *table = Self::new(number, module, sections, version);
        }
        tables
    }

    fn new(
        number: usize,
        module: &Module<'_>,
        sections: &mut impl Sections,
        version: Version,
    ) -> Option<Self> {
        let format = FORMATS.get(number)?;
        let part = Part::named(format.name, module, sections, version)?;
        let partner = match format.partner {
            Some(name) => Some(Part::named(name, module, sections, version)?),
            None => None,
        };
        let (name, change, old) = OLD_EXCEPTIONS;
        let is_old = name == format.name && before(version, change);
        Some(Self {
            part,
            partner,
            // Only as many entries as both have.
            count: partner.map_or(part.count, |partner| partner.count.min(part.count)),
            relative: if is_old { old } else { format.relative },
            has_key: format.has_key,
        })
    }

    /// Returns the sections whose entries move together.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        [Some(self.part), self.partner].into_iter().flatten()
    }

    /// Sorts the table as Linux does.
    pub(crate) fn sort(&self, module: &Module<'_>, sections: &mut impl Sections, places: &[Place]) {
        if self.has_key {
            self.mark(module, sections, places);
        }
        sort_rows(&mut TableRows { table: *self, sections }, self.count);
    }

    /// Sets the flag of entries for init code, and clears it in the others.
    fn mark(&self, module: &Module<'_>, sections: &mut impl Sections, places: &[Place]) {
        let object = module.object();
        for entry in 0..self.count {
            let (_, code) = self.key(sections, entry);
            let place = find(places, code).and_then(|(place, _)| object.section(place.section));
            let is_init = place.is_some_and(|section| object.section_name(&section).starts_with(b".init"));
            let mut bytes = self.part.read(sections, entry);
            let key = u64_at(&bytes, KEY).unwrap_or(0) & !INIT;
            let key = key | if is_init { INIT } else { 0 };
            if let Some(place) = bytes.get_mut(KEY..) {
                copy(place, &key.to_le_bytes());
            }
            self.part.write(sections, entry, &bytes);
        }
    }

    /// What decides the order of an entry.
    fn key(&self, sections: &mut impl Sections, entry: usize) -> (u64, u64) {
        let bytes = self.part.read(sections, entry);
        let here = self.part.address.wrapping_add(self.part.offset(entry));
        let first = match self.relative {
            [] => u64_at(&bytes, 0).unwrap_or(0),
            _ => here.wrapping_add_signed(i64::from(u32_at(&bytes, 0).unwrap_or(0).cast_signed())),
        };
        if !self.has_key {
            return (first, 0);
        }
        // The flags do not count.
        let key = u64_at(&bytes, KEY).unwrap_or(0) & !FLAGS;
        (here.wrapping_add(key), first)
    }

    /// Returns whether the entry is `found`.
    pub(crate) fn has(&self, sections: &mut impl Sections, entry: usize, found: &[Entry; 2]) -> bool {
        self.parts().zip(found).all(|(part, found)| part.read(sections, entry) == *found)
    }

    /// Exchanges the entry with a later one of the same key that is `found` then. Returns whether
    /// there is one.
    pub(crate) fn exchange(&self, sections: &mut impl Sections, entry: usize, found: &[Entry; 2]) -> bool {
        let key = self.key(sections, entry);
        for other in (entry..self.count).skip(1).take(TIES_MAX) {
            if self.key(sections, other) != key {
                return false;
            }
            self.swap(sections, entry, other);
            if self.has(sections, entry, found) {
                return true;
            }
            self.swap(sections, entry, other);
        }
        false
    }

    fn swap(&self, sections: &mut impl Sections, one: usize, other: usize) {
        let first = self.moved(sections, one, other);
        let second = self.moved(sections, other, one);
        self.part.write(sections, other, &first);
        self.part.write(sections, one, &second);
        if let Some(partner) = self.partner {
            let (first, second) = (partner.read(sections, one), partner.read(sections, other));
            partner.write(sections, other, &first);
            partner.write(sections, one, &second);
        }
    }

    /// The bytes of entry `from` if it is moved to `to`.
    fn moved(&self, sections: &mut impl Sections, from: usize, to: usize) -> Entry {
        let mut bytes = self.part.read(sections, from);
        let distance = self.part.offset(from).wrapping_sub(self.part.offset(to));
        for &at in self.relative {
            let value = u32_at(&bytes, at).unwrap_or(0).wrapping_add(low32(distance));
            if let Some(place) = bytes.get_mut(at..at.saturating_add(4)) {
                copy(place, &value.to_le_bytes());
            }
        }
        if self.has_key {
            let value = u64_at(&bytes, KEY).unwrap_or(0).wrapping_add(distance);
            if let Some(place) = bytes.get_mut(KEY..) {
                copy(place, &value.to_le_bytes());
            }
        }
        bytes
    }
}

/// The rows of a table.
struct TableRows<'s, S> {
    table: Table,
    sections: &'s mut S,
}

impl<S: Sections> Rows for TableRows<'_, S> {
    fn is_less(&mut self, one: usize, other: usize) -> bool {
        self.table.key(self.sections, one) < self.table.key(self.sections, other)
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.table.swap(self.sections, one, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One section, which is a table.
    struct One(Vec<u8>);

    impl Sections for One {
        fn section(&mut self, index: u32) -> Option<(u64, &mut [u8])> {
            (index == 1).then_some((0x1000, &mut self.0[..]))
        }
    }

    /// The entries of a table with this format, sorted.
    fn sorted(number: usize, size: usize, entries: &[u8]) -> Vec<u8> {
        let Format { relative, has_key, .. } = FORMATS[number];
        let count = entries.chunks(size).len();
        let part = Part { section: 1, address: 0x1000, size, count };
        let table = Table { part, partner: None, count, relative, has_key };
        let mut sections = One(entries.to_vec());
        sort_rows(&mut TableRows { table, sections: &mut sections }, count);
        sections.0
    }

    fn words(values: &[i32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn offsets_lead_to_the_same_addresses_after_sorting() {
        // Entries at 0x1000 and 0x1004 that lead to 0x1050 and 0x1020.
        assert_eq!(sorted(1, 4, &words(&[0x50, 0x1c])), words(&[0x20, 0x4c]));
        assert_eq!(sorted(1, 4, &words(&[0x20, 0x4c])), words(&[0x20, 0x4c]));
    }

    #[test]
    fn a_late_field_stays_zero_only_where_its_own_address_is_the_greatest() {
        let is_zero_at = |bytes: &[u8], at: usize| bytes[4 * at..][..4] == [0; 4];
        assert!(!is_zero_at(&sorted(1, 4, &words(&[-0x800, 0, -0x700])), 1));
        assert!(is_zero_at(&sorted(1, 4, &words(&[-0x800, -0x700, 0])), 2));
    }

    #[test]
    fn addresses_are_sorted_as_they_are() {
        let bytes =
            |values: [u64; 3]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(sorted(2, 8, &bytes([3, 0, 2])), bytes([0, 2, 3]));
    }
}
