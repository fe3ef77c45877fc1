//! What is written to each section, with a lane for each kind of writer. A lane has exact marks, or
//! counts if there are many.

use super::ranges::Ranges;
use super::{Clash, MappedSection, Range, Site};
use crate::view::names::Name;
use crate::view::walk::OVERLAP_MAX;
use crate::view::{ModuleView, SectionClass, SectionRow};
use relakit::elf::{Rela, RelaTable};
use relakit::{Module, abi, reloc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The number of parts of a section whose marks are counted, if there are too many.
pub(in crate::output::html) const BINS: u64 = 500;
/// Most exact marks of a lane.
const MARKS: usize = 200;
/// Most livepatch relocations that are listed, and most further ones that are too late.
const SITES: usize = 1500;
const CLASHES: usize = 200;

#[derive(Debug)]
pub(in crate::output::html) struct SectionMap {
    pub(in crate::output::html) section: u32,
    pub(in crate::output::html) size: u64,
    /// Sorted by kind.
    pub(in crate::output::html) lanes: Vec<Lane>,
    /// Reader, special section and number of ranges of those that rewrite it.
    pub(in crate::output::html) rewriters: Vec<(&'static str, &'static str, u64)>,
}

impl SectionMap {
    /// Whether the section has livepatch relocations.
    pub(in crate::output::html) fn is_livepatch(&self) -> bool {
        self.lanes.iter().any(|lane| matches!(lane.kind, LaneKind::Early | LaneKind::Late(_)))
    }
}

#[derive(Debug)]
pub(in crate::output::html) struct Lane {
    pub(in crate::output::html) kind: LaneKind,
    pub(in crate::output::html) count: u64,
    pub(in crate::output::html) marks: Marks,
}

/// The kind of writer.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::output::html) enum LaneKind {
    /// Readers of special sections.
    Rewritten,
    Ordinary,
    Early,
    /// The index in [`ModuleView::objects`].
    Late(usize),
}

#[derive(Debug)]
pub(in crate::output::html) enum Marks {
    /// Offset and size of each mark, in bytes.
    Each(Vec<(u64, u64)>),
    /// The number of marks in each of [`BINS`] parts.
    Bins(Vec<u32>),
}

pub(super) struct Drawn {
    pub(super) maps: Vec<SectionMap>,
    pub(super) sites: Vec<Site>,
    pub(super) unlisted: u64,
}

/// Reads all relocations that are applied.
pub(super) fn draw(
    module: &Module<'_>,
    view: &ModuleView<'_>,
    mapped: &BTreeMap<u32, MappedSection>,
    ranges: &[Range],
    capture: &BTreeSet<(u32, u64)>,
) -> Drawn {
    let objects: HashMap<Name<'_>, usize> =
        view.objects.iter().enumerate().map(|(number, object)| (object.name, number)).collect();
    let applied: Vec<_> = view
        .sections
        .iter()
        .filter_map(|row| {
            let kind = match row.class {
                SectionClass::Ordinary => LaneKind::Ordinary,
                SectionClass::KlpEarly => LaneKind::Early,
                SectionClass::KlpLate => LaneKind::Late(*objects.get(&row.object?)?),
                _ => return None,
            };
            Some((row, row.target?, kind))
        })
        .collect();
    let mut lanes = Lanes { mapped, lanes: BTreeMap::new() };
    for range in ranges {
        lanes.add(range.section, LaneKind::Rewritten, range.offset, range.size);
    }

    let too_late: BTreeMap<u32, &'static str> = view
        .special_sections
        .iter()
        .filter(|special| special.too_late)
        .map(|special| (special.section, special.name))
        .collect();
    let mut walk =
        Walk { lanes, ranges: Ranges::new(ranges), too_late, capture, sites: Vec::new(), unlisted: 0 };
    // Overlapping tables have the same limit as in the view.
    let mut left = (module.object().bytes().len() as u64).saturating_mul(OVERLAP_MAX);
    for (row, target, kind) in applied {
        let bytes = row.entries.unwrap_or(0).saturating_mul(abi::RELA_SIZE as u64);
        let Some(rest) = left.checked_sub(bytes) else { continue };
        left = rest;
        walk.table(module, row, target, kind);
    }
    Drawn { maps: walk.lanes.finish(ranges), sites: walk.sites, unlisted: walk.unlisted }
}

struct Walk<'a> {
    lanes: Lanes<'a>,
    ranges: Ranges<'a>,
    /// Sections that were read before late relocations.
    too_late: BTreeMap<u32, &'static str>,
    capture: &'a BTreeSet<(u32, u64)>,
    sites: Vec<Site>,
    unlisted: u64,
}

impl Walk<'_> {
    fn table(&mut self, module: &Module<'_>, row: &SectionRow<'_>, target: u32, kind: LaneKind) {
        let Some(section) = module.object().section(row.index) else { return };
        let (table, _) = RelaTable::whole_entries(module.object().section_bytes(&section));
        let rules = module.profile().reloc_flags();
        // Equal types are often neighbours.
        let mut last = (0, 0);
        for (entry, rela) in (0..).zip(table.iter()) {
            if rela.r_type != last.0 {
                last = (rela.r_type, reloc::howto(rela.r_type, rules).map_or(0, |howto| howto.size));
            }
            self.lanes.add(target, kind, rela.r_offset, last.1.into());
            let capture = !self.capture.is_empty() && self.capture.contains(&(row.index, entry));
            if kind != LaneKind::Ordinary || capture {
                let clash =
                    matches!(kind, LaneKind::Late(_)).then(|| self.clash(target, &rela, last.1)).flatten();
                self.site(
                    Site {
                        section: row.index,
                        entry,
                        class: row.class,
                        target,
                        offset: rela.r_offset,
                        size: last.1,
                        r_type: rela.r_type,
                        symbol: rela.r_sym,
                        addend: rela.r_addend,
                        clash,
                    },
                    capture,
                );
            }
        }
    }

    fn clash(&self, target: u32, rela: &Rela, size: u8) -> Option<Clash> {
        let read = || self.too_late.get(&target).map(|name| Clash::Read(name));
        self.ranges.touched(target, rela.r_offset, size.into()).map(Clash::Rewritten).or_else(read)
    }

    fn site(&mut self, site: Site, capture: bool) {
        let most = if site.clash.is_some() { SITES.saturating_add(CLASHES) } else { SITES };
        if capture || self.sites.len() < most {
            self.sites.push(site);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}

struct Lanes<'a> {
    mapped: &'a BTreeMap<u32, MappedSection>,
    lanes: BTreeMap<(u32, LaneKind), Lane>,
}

impl Lanes<'_> {
    fn add(&mut self, section: u32, kind: LaneKind, offset: u64, size: u64) {
        let mapped = self.mapped.get(&section).map_or(0, |mapped| mapped.size);
        if mapped == 0 {
            return;
        }
        let new = || Lane { kind, count: 0, marks: Marks::Each(Vec::new()) };
        let lane = self.lanes.entry((section, kind)).or_insert_with(new);
        lane.count = lane.count.saturating_add(1);
        // A field outside its section is an error, which the page shows elsewhere.
        if offset < mapped {
            lane.marks.add(offset, size.min(mapped.saturating_sub(offset)), mapped);
        }
    }

    /// The maps, in the order of the sections.
    fn finish(self, ranges: &[Range]) -> Vec<SectionMap> {
        let mut maps: BTreeMap<u32, SectionMap> = BTreeMap::new();
        for ((section, _), lane) in self.lanes {
            let size = self.mapped.get(&section).map_or(0, |mapped| mapped.size);
            let new = || SectionMap { section, size, lanes: Vec::new(), rewriters: Vec::new() };
            maps.entry(section).or_insert_with(new).lanes.push(lane);
        }
        let mut rewriters: BTreeMap<(u32, &str, &str), u64> = BTreeMap::new();
        for range in ranges {
            let count = rewriters.entry((range.section, range.reader, range.special)).or_default();
            *count = count.saturating_add(1);
        }
        for ((section, reader, special), count) in rewriters {
            if let Some(map) = maps.get_mut(&section) {
                map.rewriters.push((reader, special, count));
            }
        }
        maps.into_values().collect()
    }
}

impl Marks {
    /// Adds a mark. After [`MARKS`] marks, all marks are counted.
    fn add(&mut self, offset: u64, size: u64, section_size: u64) {
        if let Self::Each(marks) = self {
            if marks.len() < MARKS {
                return marks.push((offset, size));
            }
            let marks = std::mem::take(marks);
            *self = Self::Bins(vec![0; usize::try_from(BINS).unwrap_or(0)]);
            marks.into_iter().for_each(|(offset, size)| self.add(offset, size, section_size));
        }
        if let Self::Bins(bins) = self {
            let bin = u128::from(offset).saturating_mul(BINS.into()).checked_div(section_size.into());
            let bin = bin.and_then(|bin| usize::try_from(bin).ok()).and_then(|bin| bins.get_mut(bin));
            if let Some(count) = bin {
                *count = count.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_marks_are_exact_and_many_are_counted() {
        let size = 10_000;
        let mapped = BTreeMap::from([(1, MappedSection { section: 1, start: 0, size, address: None })]);
        let most = MARKS as u64;
        for count in [1, most, most + 1, 5 * most] {
            let mut lanes = Lanes { mapped: &mapped, lanes: BTreeMap::new() };
            for number in 0..count {
                lanes.add(1, LaneKind::Early, number * size / count, 4);
            }
            let map = lanes.finish(&[]).remove(0);
            assert_eq!(map.lanes[0].count, count);
            match &map.lanes[0].marks {
                Marks::Each(marks) => assert!(count <= most && marks.len() as u64 == count),
                Marks::Bins(bins) => {
                    assert_eq!((bins.len() as u64, bins.iter().map(|&n| u64::from(n)).sum()), (BINS, count));
                    let first = size / count * BINS / size;
                    assert!(bins[0] != 0 && bins[usize::try_from(first).unwrap()] != 0);
                }
            }
        }
    }

    #[test]
    fn a_field_outside_its_section_is_not_drawn() {
        let mapped = BTreeMap::from([(1, MappedSection { section: 1, start: 0, size: 16, address: None })]);
        let mut lanes = Lanes { mapped: &mapped, lanes: BTreeMap::new() };
        for (section, offset) in [(1, 12), (1, 16), (1, u64::MAX), (7, 0)] {
            lanes.add(section, LaneKind::Ordinary, offset, 8);
        }
        let maps = lanes.finish(&[]);
        assert_eq!(maps.len(), 1);
        assert!(matches!(&maps[0].lanes[0].marks, Marks::Each(marks) if *marks == [(12, 4)]));
    }
}
