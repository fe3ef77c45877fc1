//! What the page draws: the view of the module, where its sections are, and what is written when.
//!
//! The lists are bounded. Further items are counted.

mod lanes;
mod phases;
mod ranges;

pub(super) use lanes::{BINS, Lane, LaneKind, Marks, SectionMap};
pub(super) use phases::{Phase, Read};

use crate::simulate::report::Report;
use crate::simulate::resolved::{Range, Resolved};
use crate::view::location::Location;
use crate::view::{ModuleView, SectionClass};
use relakit::{Group, Memories, Module, Placement};
use relakit_linux::special::Version;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(crate) struct Picture<'f> {
    pub(super) module: ModuleView<'f>,
    /// The kinds of memory of the module, in the kernel's order.
    pub(super) regions: Vec<Region>,
    /// A map of each section that is written.
    pub(super) maps: Vec<SectionMap>,
    /// The livepatch relocations, and the other relocations that the report is about.
    pub(super) sites: Vec<Site>,
    /// The number of further livepatch relocations.
    pub(super) unlisted: u64,
    /// The steps of the load, and those after it.
    pub(super) phases: Vec<Phase>,
    /// Known values of symbols, by symbol and object.
    values: BTreeMap<(u32, String), u64>,
    mapped: BTreeMap<u32, MappedSection>,
}

/// One kind of memory.
#[derive(Debug)]
pub(super) struct Region {
    /// `None` for the per-CPU template, which stays in the copy of the file.
    pub(super) group: Option<Group>,
    /// Bytes from the beginning of the first section to the end of the last one.
    pub(super) size: u64,
    pub(super) sections: Vec<MappedSection>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct MappedSection {
    pub(super) section: u32,
    /// Offset in its region.
    pub(super) start: u64,
    pub(super) size: u64,
    /// Run-time address, if known.
    pub(super) address: Option<u64>,
}

/// One relocation.
#[derive(Debug)]
pub(super) struct Site {
    /// The section that has the relocation.
    pub(super) section: u32,
    pub(super) entry: u64,
    pub(super) class: SectionClass,
    /// The relocated section.
    pub(super) target: u32,
    pub(super) offset: u64,
    /// Size of the field in bytes, or 0 if the type is not applied.
    pub(super) size: u8,
    pub(super) r_type: u32,
    pub(super) symbol: u32,
    pub(super) addend: i64,
    pub(super) clash: Option<Clash>,
}

/// Why a late relocation is too late.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clash {
    /// Its field may have been rewritten before.
    Rewritten(Range),
    /// Its section was read before.
    Read(&'static str),
}

impl<'f> Picture<'f> {
    pub(crate) fn new(
        file: &'f Module<'f>,
        module: ModuleView<'f>,
        kernel: Version,
        resolved: &Resolved,
        report: Option<&Report>,
    ) -> Self {
        let regions = regions(file, &resolved.addresses);
        let all = regions.iter().flat_map(|region| &region.sections);
        let mapped: BTreeMap<u32, MappedSection> = all.map(|mapped| (mapped.section, *mapped)).collect();
        let drawn = lanes::draw(file, &module, &mapped, &resolved.ranges, &capture(report));
        Self {
            values: values(&module, resolved),
            phases: phases::phases(file, &module, kernel),
            module,
            regions,
            maps: drawn.maps,
            sites: drawn.sites,
            unlisted: drawn.unlisted,
            mapped,
        }
    }

    /// The value of a symbol in an object, if known.
    pub(super) fn value(&self, symbol: u32, object: &str) -> Option<u64> {
        self.values.get(&(symbol, object.to_owned())).copied()
    }

    /// Where a section is in memory.
    pub(super) fn mapped(&self, index: u32) -> Option<&MappedSection> {
        self.mapped.get(&index)
    }

    /// The late relocations that are too late, in one section or in all.
    pub(super) fn clashes(&self, section: Option<u32>) -> impl Iterator<Item = &Site> {
        self.sites
            .iter()
            .filter(move |site| site.clash.is_some() && section.is_none_or(|section| site.target == section))
    }
}

/// The values of livepatch symbols. Linux handles the value 0 as "not found"
/// (docs/linux-semantics.md, 8).
fn values(module: &ModuleView<'_>, resolved: &Resolved) -> BTreeMap<(u32, String), u64> {
    let mut values = BTreeMap::new();
    for row in &module.klp_symbols {
        let value = |values: &[u64]| {
            let value = usize::try_from(row.index).ok().and_then(|index| values.get(index));
            value.copied().filter(|&value| value != 0)
        };
        let early = value(&resolved.values).map(|value| ("vmlinux", value));
        let late = resolved.late.iter().filter_map(|(object, values)| Some((&**object, value(values)?)));
        for (object, value) in early.into_iter().chain(late) {
            values.insert((row.index, object.to_owned()), value);
        }
    }
    values
}

/// The sections in the kernel's memory layout.
fn regions(module: &Module<'_>, addresses: &[Option<u64>]) -> Vec<Region> {
    // A module that is too large for the kernel has no layout.
    let placed: Result<Vec<_>, _> = module.offsets(Memories::ByGroup).collect();
    let placed = placed.unwrap_or_default().into_iter();
    let placed =
        placed.map(|Placement { section, group, offset, size, .. }| (section, Some(group), offset, size));
    let per_cpu = module.per_cpu_section().and_then(|index| Some((index, module.object().section(index)?)));
    let per_cpu = per_cpu.map(|(index, section)| (index, None, 0, section.sh_size));
    let mut regions: Vec<Region> = Vec::new();
    for (section, group, start, size) in placed.chain(per_cpu) {
        let address = usize::try_from(section).ok().and_then(|index| addresses.get(index));
        let mapped = MappedSection { section, start, size, address: address.copied().flatten() };
        let end = start.saturating_add(size);
        match regions.last_mut().filter(|region| region.group == group) {
            Some(region) => {
                region.size = region.size.max(end);
                region.sections.push(mapped);
            }
            None => regions.push(Region { group, size: end, sections: vec![mapped] }),
        }
    }
    regions.retain(|region| region.size != 0);
    regions
}

/// The relocations that a report is about.
fn capture(report: Option<&Report>) -> BTreeSet<(u32, u64)> {
    let Some(report) = report else { return BTreeSet::new() };
    let findings = report.findings.iter().flat_map(|row| {
        let other = row.other.as_ref().map(|(_, location)| location);
        std::iter::once(&row.location).chain(other)
    });
    let errors = report.predictions().flat_map(|prediction| &prediction.errors);
    let entry = |location: &Location| location.section.zip(location.entry);
    findings.chain(errors.map(|error| &error.location)).filter_map(entry).collect()
}
