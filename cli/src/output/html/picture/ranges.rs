//! Finds which rewritten range overlaps a field.

use crate::simulate::resolved::Range;
use std::collections::HashMap;

/// Rewritten ranges, by section and offset.
pub(super) struct Ranges<'a> {
    /// The ranges of each section in the order of offsets. The second range of each pair is the one
    /// with the highest end among this range and those before it.
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
                let before = furthest.filter(|furthest| furthest.end() > range.end());
                *reach = before.unwrap_or(range);
                furthest = Some(reach);
            }
        }
        Self { sections }
    }

    /// A range that overlaps a field.
    pub(super) fn touched(&self, section: u32, offset: u64, size: u64) -> Option<Range> {
        let ranges = self.sections.get(&section)?;
        let before = ranges.partition_point(|(range, _)| range.offset < offset.saturating_add(size));
        let (_, reach) = ranges.get(before.checked_sub(1)?)?;
        (reach.end() > offset).then_some(**reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relakit_linux::special::ReadAt;

    fn range(section: u32, offset: u64, size: u64) -> Range {
        let (special, reader) = (".altinstructions", "apply_alternatives");
        Range { section, offset, size, special, entry: offset, reader, when: ReadAt::Finalize }
    }

    #[test]
    fn a_field_is_touched_by_exactly_the_ranges_that_overlap_it() {
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
