//! Where everything of a module is, what is written there and when: what the page draws.
//!
//! `relakit inspect` has already told most of it; this adds places. Nothing here is larger than the page may be: what
//! there is too much of is counted, and not listed.

mod known;
mod lanes;
mod phases;

pub(crate) use known::{Known, Range};
pub(crate) use lanes::{BINS, Lane, LaneKind, Marks, Strip};
pub(crate) use phases::{Phase, Read};

use super::layout::{Area, Group};
use super::report::{Report, SectionMemory};
use crate::inspect::report::{Kind, Report as Told, SectionRow};
use crate::kernel;
use relakit::Module;
use std::collections::{BTreeMap, BTreeSet};

/// What there is to draw.
#[derive(Debug)]
pub(crate) struct Picture<'f> {
    /// What `relakit inspect` tells.
    pub(crate) told: Told<'f>,
    /// The kinds of memory that the module has, in the kernel's order.
    pub(crate) regions: Vec<Region>,
    /// A map of each section that something is written to.
    pub(crate) strips: Vec<Strip>,
    /// Single relocations: those of livepatch sections, and what the report speaks of.
    pub(crate) sites: Vec<Site>,
    /// Livepatch relocations that are not among them.
    pub(crate) unlisted: u64,
    /// The load and what follows, in order.
    pub(crate) phases: Vec<Phase>,
    /// Value of a symbol for an object; only those that are known.
    values: BTreeMap<(u32, String), u64>,
    placed: BTreeMap<u32, Assigned>,
}

/// One kind of memory.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) group: Group,
    /// Bytes from the first section's begin to the last one's end.
    pub(crate) size: u64,
    pub(crate) sections: Vec<Assigned>,
}

/// One section in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assigned {
    pub(crate) section: u32,
    /// Offset in its region.
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// Run-time address, if it is known.
    pub(crate) address: Option<u64>,
}

/// One relocation.
#[derive(Debug)]
pub(crate) struct Site {
    /// Section index of the section that holds it.
    pub(crate) section: u32,
    pub(crate) entry: u64,
    pub(crate) class: Kind,
    /// Section index of what is relocated.
    pub(crate) target: u32,
    pub(crate) offset: u64,
    /// Bytes written; 0 where the type is not applied.
    pub(crate) size: u8,
    pub(crate) r_type: u32,
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
    pub(crate) clash: Option<Clash>,
}

/// Why a late relocation comes too late.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clash {
    /// Its bytes may have been rewritten by then.
    Rewritten(Range),
    /// Its section has been read by then.
    Read(&'static str),
}

impl<'f> Picture<'f> {
    /// `told` is what `relakit inspect` tells of this module.
    pub(crate) fn new(module: &Module<'f>, told: Told<'f>, known: &Known, report: Option<&Report>) -> Self {
        let version = kernel::parse(&told.special_sections_of).unwrap_or_default();
        let values = values(&told, known);
        let regions = regions(module, &known.addresses);
        let all = regions.iter().flat_map(|region| &region.sections);
        let placed: BTreeMap<u32, Assigned> = all.map(|placed| (placed.section, *placed)).collect();
        let drawn = lanes::draw(module, &told, &placed, &known.ranges, &spoken_of(report));
        let phases = phases::phases(module, &told, version);
        Self {
            told,
            regions,
            strips: drawn.strips,
            sites: drawn.sites,
            unlisted: drawn.unlisted,
            phases,
            values,
            placed,
        }
    }

    /// Value of a symbol in the eyes of an object, if it is known.
    pub(crate) fn value(&self, symbol: u32, object: &str) -> Option<u64> {
        self.values.get(&(symbol, object.to_owned())).copied()
    }

    /// The row that `relakit inspect` has for a section.
    pub(crate) fn section(&self, index: u32) -> Option<&SectionRow<'f>> {
        self.told.sections.get(usize::try_from(index).ok()?)
    }

    /// Where a section is in memory.
    pub(crate) fn placed(&self, index: u32) -> Option<&Assigned> {
        self.placed.get(&index)
    }

    /// The late relocations that come too late, in a section or in all.
    pub(crate) fn clashes(&self, section: Option<u32>) -> impl Iterator<Item = &Site> {
        self.sites
            .iter()
            .filter(move |site| site.clash.is_some() && section.is_none_or(|section| site.target == section))
    }
}

/// The livepatch symbols' values. 0 is no value: Linux takes it for a symbol that was not found (Linux semantics 8).
fn values(told: &Told<'_>, known: &Known) -> BTreeMap<(u32, String), u64> {
    let mut values = BTreeMap::new();
    for row in &told.klp_symbols {
        let value = |values: &[u64]| {
            let value = usize::try_from(row.index).ok().and_then(|index| values.get(index));
            value.copied().filter(|&value| value != 0)
        };
        let early = value(&known.values).map(|value| ("vmlinux", value));
        let late = known.late.iter().filter_map(|(object, values)| Some((&**object, value(values)?)));
        for (object, value) in early.into_iter().chain(late) {
            values.insert((row.index, object.to_owned()), value);
        }
    }
    values
}

/// The sections in memory, where the kernel would put them.
fn regions(module: &Module<'_>, addresses: &[Option<u64>]) -> Vec<Region> {
    // A module that is too large for the kernel has no place to be drawn at.
    let places = Area::default().place(module).unwrap_or_default();
    let mut regions: Vec<Region> = Vec::new();
    let groups: Vec<_> = Group::of_all(module).collect();
    for group in Group::ALL {
        let mut sections = Vec::new();
        let mut base = None;
        for &(index, section, _) in groups.iter().filter(|(_, _, of)| *of == group) {
            let shown = group != Group::Copy || module.per_cpu_section() == Some(index);
            let Some(at) = places.get(&index).filter(|_| shown) else { continue };
            let base = *base.get_or_insert(at.address);
            let address = usize::try_from(index).ok().and_then(|index| addresses.get(index));
            sections.push(Assigned {
                section: index,
                start: at.address.saturating_sub(base),
                size: section.sh_size,
                address: address.copied().flatten(),
            });
        }
        let end = |placed: &Assigned| placed.start.saturating_add(placed.size);
        let size = sections.iter().map(end).max().unwrap_or(0);
        if size != 0 {
            regions.push(Region { group, size, sections });
        }
    }
    regions
}

/// The relocations that a report names.
fn spoken_of(report: Option<&Report>) -> BTreeSet<(u32, u64)> {
    let Some(report) = report else { return BTreeSet::new() };
    let findings = report.findings.iter().flat_map(|row| {
        let other = row.other.as_ref().map(|(_, place)| place);
        std::iter::once(&row.place).chain(other)
    });
    let answers = std::iter::once(&report.answer).chain(report.steps.iter().map(|step| &step.answer));
    let errors = answers.flat_map(|answer| &answer.errors).map(|fault| &fault.place);
    let entry = |place: &SectionMemory| place.section.zip(place.entry);
    findings.chain(errors).filter_map(entry).collect()
}
