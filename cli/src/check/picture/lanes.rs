//! What is written to each section, one lane for each who writes: sites exactly where they are few, binned where they
//! are many.

use super::known::Ranges;
use super::{Assigned, Clash, Range, Site};
use crate::inspect::collect::OVERLAP_MAX;
use crate::inspect::report::{Kind, Name, Report as Told, SectionRow};
use relakit::elf::{Rela, RelaTable};
use relakit::{Module, abi, reloc};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Parts of a section that are counted together, where single marks would be too many.
pub(crate) const BINS: u64 = 500;
/// Most marks in a lane that are drawn one by one.
const MARKS: u64 = 200;
/// Most livepatch relocations that are listed one by one, and of those beyond that come too late.
const SITES: usize = 1500;
const CLASHES: usize = 200;

/// The map of one section.
#[derive(Debug)]
pub(crate) struct Strip {
    pub(crate) section: u32,
    pub(crate) size: u64,
    /// In the order of [`LaneKind`].
    pub(crate) lanes: Vec<Lane>,
    /// Who rewrites it: reader, special section, number of ranges.
    pub(crate) rewriters: Vec<(&'static str, &'static str, u64)>,
}

impl Strip {
    /// Whether livepatch relocations are written to it.
    pub(crate) fn is_livepatch(&self) -> bool {
        self.lanes.iter().any(|lane| matches!(lane.kind, LaneKind::Early | LaneKind::Late(_)))
    }
}

/// One row of a map.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) kind: LaneKind,
    /// How many there are.
    pub(crate) count: u64,
    pub(crate) marks: Marks,
}

/// Who writes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LaneKind {
    /// Readers of special sections.
    Rewritten,
    Ordinary,
    Early,
    /// Number of the object in [`Told::objects`].
    Late(usize),
}

/// Where.
#[derive(Debug)]
pub(crate) enum Marks {
    /// Offset and size of each, in bytes.
    Each(Vec<(u64, u64)>),
    /// How many in each of [`BINS`] parts.
    Bins(Vec<u32>),
}

/// What [`draw`] makes.
pub(super) struct Drawn {
    pub(super) strips: Vec<Strip>,
    pub(super) sites: Vec<Site>,
    pub(super) unlisted: u64,
}

/// Goes over all relocations that are applied, once.
pub(super) fn draw(
    module: &Module<'_>,
    told: &Told<'_>,
    placed: &BTreeMap<u32, Assigned>,
    ranges: &[Range],
    spoken_of: &BTreeSet<(u32, u64)>,
) -> Drawn {
    let objects: HashMap<Name<'_>, usize> =
        told.objects.iter().enumerate().map(|(number, object)| (object.name, number)).collect();
    let applied: Vec<_> = told
        .sections
        .iter()
        .filter_map(|row| {
            let kind = match row.class {
                Kind::Ordinary => LaneKind::Ordinary,
                Kind::KlpEarly => LaneKind::Early,
                Kind::KlpLate => LaneKind::Late(*objects.get(&row.object?)?),
                _ => return None,
            };
            Some((row, row.target?, kind))
        })
        .collect();
    let mut lanes = Lanes::new(placed);
    for (row, target, kind) in &applied {
        lanes.expect(*target, *kind, row.entries.unwrap_or(0));
    }
    for range in ranges {
        lanes.expect(range.section, LaneKind::Rewritten, 1);
    }
    for range in ranges {
        lanes.add(range.section, LaneKind::Rewritten, range.offset, range.size);
    }

    let too_late: BTreeMap<u32, &'static str> = told
        .special_sections
        .iter()
        .filter(|special| special.too_late)
        .map(|special| (special.section, special.name))
        .collect();
    let mut walk =
        Walk { lanes, ranges: Ranges::new(ranges), too_late, spoken_of, sites: Vec::new(), unlisted: 0 };
    // A table that overlaps others is read as often as `relakit inspect` does it, and no more.
    let mut left = (module.object().bytes().len() as u64).saturating_mul(OVERLAP_MAX);
    for (row, target, kind) in applied {
        let bytes = row.entries.unwrap_or(0).saturating_mul(abi::RELA_SIZE as u64);
        let Some(rest) = left.checked_sub(bytes) else { continue };
        left = rest;
        walk.table(module, row, target, kind);
    }
    Drawn { strips: walk.lanes.finish(ranges), sites: walk.sites, unlisted: walk.unlisted }
}

struct Walk<'a> {
    lanes: Lanes<'a>,
    ranges: Ranges<'a>,
    /// Sections that take no late relocations, because they have been read.
    too_late: BTreeMap<u32, &'static str>,
    spoken_of: &'a BTreeSet<(u32, u64)>,
    sites: Vec<Site>,
    unlisted: u64,
}

impl Walk<'_> {
    fn table(&mut self, module: &Module<'_>, row: &SectionRow<'_>, target: u32, kind: LaneKind) {
        let Some(section) = module.object().section(row.index) else { return };
        let (table, _) = RelaTable::whole_entries(module.object().section_bytes(&section));
        let rules = module.profile().reloc_flags();
        // Types come in runs.
        let mut last = (0, 0);
        for (entry, rela) in (0..).zip(table.iter()) {
            if rela.r_type != last.0 {
                last = (rela.r_type, reloc::howto(rela.r_type, rules).map_or(0, |howto| howto.size));
            }
            self.lanes.add(target, kind, rela.r_offset, last.1.into());
            let spoken_of = !self.spoken_of.is_empty() && self.spoken_of.contains(&(row.index, entry));
            if kind != LaneKind::Ordinary || spoken_of {
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
                    spoken_of,
                );
            }
        }
    }

    fn clash(&self, target: u32, rela: &Rela, size: u8) -> Option<Clash> {
        let read = || self.too_late.get(&target).map(|name| Clash::Read(name));
        self.ranges.touched(target, rela.r_offset, size.into()).map(Clash::Rewritten).or_else(read)
    }

    fn site(&mut self, site: Site, spoken_of: bool) {
        let most = if site.clash.is_some() { SITES.saturating_add(CLASHES) } else { SITES };
        if spoken_of || self.sites.len() < most {
            self.sites.push(site);
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}

/// The lanes while they fill.
struct Lanes<'a> {
    placed: &'a BTreeMap<u32, Assigned>,
    numbers: HashMap<(u32, LaneKind), usize>,
    lanes: Vec<((u32, LaneKind), u64, Lane)>,
    /// The lane that was used last.
    last: Option<((u32, LaneKind), usize)>,
}

impl<'a> Lanes<'a> {
    fn new(placed: &'a BTreeMap<u32, Assigned>) -> Self {
        Self { placed, numbers: HashMap::new(), lanes: Vec::new(), last: None }
    }

    /// Says that `count` more marks will come.
    fn expect(&mut self, section: u32, kind: LaneKind, count: u64) {
        let Some(placed) = self.placed.get(&section).filter(|placed| placed.size != 0 && count != 0) else {
            return;
        };
        let number = *self.numbers.entry((section, kind)).or_insert_with(|| {
            let lane = Lane { kind, count: 0, marks: Marks::Each(Vec::new()) };
            self.lanes.push(((section, kind), placed.size, lane));
            self.lanes.len().saturating_sub(1)
        });
        let Some((_, _, lane)) = self.lanes.get_mut(number) else { return };
        lane.count = lane.count.saturating_add(count);
        if lane.count > MARKS && matches!(lane.marks, Marks::Each(_)) {
            lane.marks = Marks::Bins(vec![0; usize::try_from(BINS).unwrap_or(0)]);
        }
    }

    fn add(&mut self, section: u32, kind: LaneKind, offset: u64, size: u64) {
        let key = (section, kind);
        let number = match self.last {
            Some((last, number)) if last == key => number,
            _ => match self.numbers.get(&key) {
                Some(&number) => number,
                None => return,
            },
        };
        self.last = Some((key, number));
        let Some((_, section_size, lane)) = self.lanes.get_mut(number) else { return };
        match &mut lane.marks {
            // What is outside has no place in the map; it is a fault, and said elsewhere.
            _ if offset >= *section_size => {}
            Marks::Each(marks) => marks.push((offset, size.min(section_size.saturating_sub(offset)))),
            Marks::Bins(bins) => {
                let bin = u128::from(offset).saturating_mul(BINS.into()).checked_div((*section_size).into());
                let bin = bin.and_then(|bin| usize::try_from(bin).ok()).and_then(|bin| bins.get_mut(bin));
                if let Some(count) = bin {
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    /// The strips, in the order of the sections.
    fn finish(self, ranges: &[Range]) -> Vec<Strip> {
        let mut strips: BTreeMap<u32, Strip> = BTreeMap::new();
        for ((section, _), size, lane) in self.lanes {
            let new = || Strip { section, size, lanes: Vec::new(), rewriters: Vec::new() };
            strips.entry(section).or_insert_with(new).lanes.push(lane);
        }
        let mut rewriters: BTreeMap<(u32, &str, &str), u64> = BTreeMap::new();
        for range in ranges {
            let count = rewriters.entry((range.section, range.reader, range.special)).or_default();
            *count = count.saturating_add(1);
        }
        for ((section, reader, special), count) in rewriters {
            if let Some(strip) = strips.get_mut(&section) {
                strip.rewriters.push((reader, special, count));
            }
        }
        let mut strips: Vec<_> = strips.into_values().collect();
        for strip in &mut strips {
            strip.lanes.sort_by_key(|lane| lane.kind);
        }
        strips
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_exact_while_few_and_counted_where_they_are_many() {
        let size = 10_000;
        let placed = BTreeMap::from([(1, Assigned { section: 1, start: 0, size, address: None })]);
        for count in [1, MARKS, MARKS + 1, 5 * MARKS] {
            let mut lanes = Lanes::new(&placed);
            lanes.expect(1, LaneKind::Early, count);
            for number in 0..count {
                lanes.add(1, LaneKind::Early, number * size / count, 4);
            }
            let strip = lanes.finish(&[]).remove(0);
            assert_eq!(strip.lanes[0].count, count);
            match &strip.lanes[0].marks {
                Marks::Each(marks) => assert!(count <= MARKS && marks.len() as u64 == count),
                Marks::Bins(bins) => {
                    assert_eq!((bins.len() as u64, bins.iter().map(|&n| u64::from(n)).sum()), (BINS, count));
                    let first = size / count * BINS / size;
                    assert!(bins[0] != 0 && bins[usize::try_from(first).unwrap()] != 0);
                }
            }
        }
    }

    #[test]
    fn what_lies_outside_of_its_section_is_not_drawn() {
        let placed = BTreeMap::from([(1, Assigned { section: 1, start: 0, size: 16, address: None })]);
        let mut lanes = Lanes::new(&placed);
        lanes.expect(1, LaneKind::Ordinary, 3);
        lanes.expect(7, LaneKind::Ordinary, 1);
        for (section, offset) in [(1, 12), (1, 16), (1, u64::MAX), (7, 0)] {
            lanes.add(section, LaneKind::Ordinary, offset, 8);
        }
        let strips = lanes.finish(&[]);
        assert_eq!(strips.len(), 1);
        assert!(matches!(&strips[0].lanes[0].marks, Marks::Each(marks) if *marks == [(12, 4)]));
    }
}
