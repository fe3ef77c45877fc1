//! What is known of a module besides its file: addresses, values, and what is rewritten.

use crate::check::memory::Simulated;
use relakit::Module;
use relakit_linux::special::{self, ReadAt, Role, Version};
use std::collections::{BTreeMap, HashMap};

/// Most ranges that are drawn; a distribution's largest module has some 100 000.
const RANGES: usize = 1 << 20;

/// What the passes showed. Empty where none were run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Run-time address of each section.
    pub(super) addresses: Vec<Option<u64>>,
    /// Value of each symbol after the early pass.
    pub(super) values: Vec<u64>,
    /// Objects that came, each with the value of each symbol then. The last coming counts.
    pub(super) late: BTreeMap<String, Vec<u64>>,
    /// What the readers of special sections rewrite.
    pub(super) ranges: Vec<Range>,
}

/// Bytes that the reader of a special section may rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Section index of the bytes.
    pub(crate) section: u32,
    /// Offset of the first.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) size: u64,
    /// Name of the special section that says so.
    pub(crate) special: &'static str,
    /// Its entry, counted from 0.
    pub(crate) entry: u64,
    /// Who rewrites.
    pub(crate) reader: &'static str,
    /// When it does so first.
    pub(crate) when: ReadAt,
}

impl Known {
    /// Takes down what the early pass left in memory.
    pub(crate) fn early(
        &mut self,
        module: &Module<'_>,
        memory: &Simulated,
        values: &[u64],
        version: Version,
    ) {
        self.addresses = memory.addresses();
        self.values = values.to_vec();
        self.ranges = rewritten(module, memory, version);
    }

    /// Takes down the values of symbols when an object has come.
    pub(crate) fn coming(&mut self, object: &str, values: &[u64]) {
        self.late.insert(object.to_owned(), values.to_vec());
    }
}

/// What entries of special sections lead to, as far as that is in the module.
fn rewritten(module: &Module<'_>, memory: &Simulated, version: Version) -> Vec<Range> {
    let kept = || module.object().sections().filter(|(index, _)| module.is_allocated(*index));
    let mut by_address: Vec<_> = kept()
        .filter_map(|(index, section)| Some((memory.address(index)?, section.sh_size, index)))
        .collect();
    by_address.sort_unstable();
    let mut ranges = Vec::new();
    for (index, section) in kept() {
        let special = special::by_name(module.object().section_name(&section));
        let place = memory.bytes(index).zip(memory.address(index));
        let Some((special, (bytes, address))) = special.zip(place) else { continue };
        let Some(when) = special.first_read(version) else { continue };
        for site in special::sites(special, version, bytes, address) {
            if ranges.len() == RANGES {
                return ranges;
            }
            let before = by_address.partition_point(|(address, ..)| *address <= site.address);
            let Some((address, size, section)) = before.checked_sub(1).and_then(|at| by_address.get(at))
            else {
                continue;
            };
            let offset = site.address.wrapping_sub(*address);
            if offset >= *size || site.role == Role::Replacement {
                continue;
            }
            // Relocation leaves opcodes as they are in the file.
            let header = module.object().section(*section);
            let content = header.map(|header| module.object().section_bytes(&header));
            let code = content.and_then(|content| content.get(usize::try_from(offset).ok()?..));
            ranges.push(Range {
                section: *section,
                offset,
                size: site.size_in(code.unwrap_or_default()),
                special: special.name,
                entry: site.entry,
                reader: special.reader,
                when,
            });
        }
    }
    ranges
}

/// Rewritten ranges by place.
pub(super) struct Ranges<'a> {
    /// For each section its ranges by offset; with each the one that reaches furthest of it and those before it.
    sections: HashMap<u32, Vec<(&'a Range, &'a Range)>>,
}

impl<'a> Ranges<'a> {
    pub(super) fn new(ranges: &'a [Range]) -> Self {
        let mut sections: HashMap<u32, Vec<_>> = HashMap::new();
        for range in ranges {
            sections.entry(range.section).or_default().push((range, range));
        }
        for ranges in sections.values_mut() {
            ranges.sort_by_key(|(range, _)| range.offset);
            let mut furthest: Option<&Range> = None;
            for (range, reach) in ranges {
                let before = furthest.filter(|furthest| end(furthest) > end(range));
                *reach = before.unwrap_or(range);
                furthest = Some(reach);
            }
        }
        Self { sections }
    }

    /// A range that has a byte of a field.
    pub(super) fn touched(&self, section: u32, offset: u64, size: u64) -> Option<Range> {
        let ranges = self.sections.get(&section)?;
        let before = ranges.partition_point(|(range, _)| range.offset < offset.saturating_add(size));
        let (_, reach) = ranges.get(before.checked_sub(1)?)?;
        (end(reach) > offset).then_some(**reach)
    }
}

const fn end(range: &Range) -> u64 {
    range.offset.saturating_add(range.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(section: u32, offset: u64, size: u64) -> Range {
        let (special, reader) = (".altinstructions", "apply_alternatives");
        Range { section, offset, size, special, entry: offset, reader, when: ReadAt::Finalize }
    }

    #[test]
    fn a_field_is_touched_by_every_range_that_has_one_of_its_bytes_and_no_other() {
        let all = [range(1, 50, 5), range(1, 10, 30), range(1, 12, 2), range(2, 0, 100)];
        let ranges = Ranges::new(&all);
        for (offset, size) in (0..70).flat_map(|offset| [1, 4, 8].map(|size| (offset, size))) {
            let has = |range: &&Range| {
                range.section == 1 && range.offset < offset + size && offset < range.offset + range.size
            };
            let touched = ranges.touched(1, offset, size);
            assert_eq!(touched.is_some(), all.iter().any(|range| has(&range)), "{offset}+{size}");
            assert!(touched.is_none_or(|range| has(&&range)), "{offset}+{size} {touched:?}");
        }
        assert_eq!(ranges.touched(3, 0, 100), None);
        assert_eq!(ranges.touched(1, u64::MAX, 8), None);
    }
}
