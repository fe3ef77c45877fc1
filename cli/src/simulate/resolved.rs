//! The results of the simulated passes: addresses, symbol values, and which code is rewritten.

use super::memory::ModuleMemory;
use relakit::Module;
use relakit_linux::special::{self, ReadAt, Role, Version};
use std::collections::BTreeMap;

/// Most ranges that are recorded. The largest module of a distribution has about 100 000.
const RANGES: usize = 1 << 20;

/// The results of the passes. Empty if no pass ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolved {
    /// Run-time address of each section.
    pub(crate) addresses: Vec<Option<u64>>,
    /// Value of each symbol after the early pass.
    pub(crate) values: Vec<u64>,
    /// Value of each symbol after the last load of each target module.
    pub(crate) late: BTreeMap<String, Vec<u64>>,
    /// What the readers of special sections rewrite, and late relocations must not be in.
    pub(crate) ranges: Vec<Range>,
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
    /// Name of the special section that has the entry.
    pub(crate) special: &'static str,
    pub(crate) entry: u64,
    /// The kernel function that rewrites the bytes.
    pub(crate) reader: &'static str,
    /// When it first does so.
    pub(crate) when: ReadAt,
}

impl Range {
    pub(crate) const fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

impl Resolved {
    /// Records the results of the early pass.
    pub(crate) fn early(
        &mut self,
        module: &Module<'_>,
        memory: &ModuleMemory,
        values: &[u64],
        version: Version,
    ) {
        self.addresses = memory.addresses();
        self.values = values.to_vec();
        self.ranges = rewritten(module, memory, version);
    }

    /// Records the symbol values after the load of a target module.
    pub(crate) fn coming(&mut self, object: &str, values: &[u64]) {
        self.late.insert(object.to_owned(), values.to_vec());
    }
}

/// The code in this module that entries of special sections point to.
fn rewritten(module: &Module<'_>, memory: &ModuleMemory, version: Version) -> Vec<Range> {
    let loaded = || module.object().sections().filter(|(index, _)| module.is_allocated(*index));
    let mut by_address: Vec<_> = loaded()
        .filter_map(|(index, section)| Some((memory.address(index)?, section.sh_size, index)))
        .collect();
    by_address.sort_unstable();
    let mut ranges = Vec::new();
    for (index, section) in loaded() {
        let special = special::by_name(module.object().section_name(&section));
        let section = memory.bytes(index).zip(memory.address(index));
        let Some((special, (bytes, address))) = special.zip(section) else { continue };
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
            if offset >= *size || site.role == Role::Replacement || site.role.ignores_late() {
                continue;
            }
            // Relocations do not change opcodes, so the file has them.
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
