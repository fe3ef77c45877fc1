//! Gathers what the core finds about a module, and puts names to it.

use super::answer::{section_name, symbol_name, type_name};
use super::report::{FindingRow, Place};
use super::world::World;
use relakit::check::{self, Finding, Rule};
use relakit::elf::RelaTable;
use relakit::klp::Class;
use relakit::reloc::Values;
use relakit::special::{ReadAt, Version};
use relakit::{Error, Loaded, Memory, Module, Resolver};
use std::collections::{BTreeMap, BTreeSet};

/// How many findings of one rule in one section are listed.
const LISTED: usize = 10;

/// What a coming or a going showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late {
    pub(crate) object: String,
    /// What stopped the coming.
    pub(crate) fault: Option<Error>,
    /// Relocations that a failed coming left behind.
    pub(crate) left: u64,
    /// Where a going stopped clearing.
    pub(crate) not_cleared: Vec<Error>,
}

/// The findings of one module.
pub(crate) struct Findings<'m, 'f> {
    module: &'m Module<'f>,
    version: Version,
    found: Vec<(Finding, Vec<String>)>,
}

impl<'m, 'f> Findings<'m, 'f> {
    pub(crate) const fn new(module: &'m Module<'f>, version: Version) -> Self {
        Self { module, version, found: Vec::new() }
    }

    /// What the file alone tells.
    pub(crate) fn file(&mut self) {
        let found = &mut self.found;
        let scratch = &mut vec![0; check::scratch_len(self.module)];
        let done = check::file(self.module, self.version, scratch, &mut |finding| {
            found.push((finding, Vec::new()));
        });
        debug_assert!(done.is_ok(), "the scratch buffer is long enough: {done:?}");
        let mut fields: Vec<_> = check::fields(self.module).collect();
        fields.sort_unstable();
        check::overlaps(&fields, &mut |finding| found.push((finding, Vec::new())));
    }

    /// What the symbols of those who are there tell about positions.
    pub(crate) fn sympos(&mut self, world: &mut World<'_>) {
        let mut found = Vec::new();
        check::sympos(self.module, world, &mut |finding| found.push(finding));
        for finding in found {
            let candidates = self.candidates(finding, world);
            self.found.push((finding, candidates));
        }
    }

    /// The addresses of the symbols that a name can mean.
    fn candidates(&self, finding: Finding, world: &mut World<'_>) -> Vec<String> {
        let name = finding.symbol.and_then(|index| {
            let table = self.module.object().symbols();
            let name = table.name(index, &table.get(index)?).ok()?;
            relakit::klp::SymName::parse(name, self.module.profile())
        });
        let Some(name) = name else { return Vec::new() };
        let nth = |position| world.candidate(name.object, name.name, position).ok().flatten();
        let addresses = (1..=LISTED as u64).map_while({
            let mut nth = nth;
            move |position| Some((position, nth(position)?))
        });
        addresses.map(|(position, address)| format!("position {position} is at {address:#x}")).collect()
    }

    /// What a coming or a going showed.
    pub(crate) fn late(&mut self, late: &Late) {
        let place = |rule, error: &Error| {
            let mut finding = Finding::new(rule);
            (finding.section, finding.entry, finding.symbol) = (error.section, error.entry, error.symbol);
            (finding.offset, finding.value, finding.limit) = (error.offset, error.value, error.limit);
            finding
        };
        if let (Some(error), 1..) = (&late.fault, late.left) {
            let mut finding = place(Rule::HalfApplied, error);
            (finding.value, finding.limit) = (late.left, 0);
            self.found.push((finding, vec![format!("when {} comes", late.object)]));
        }
        for error in &late.not_cleared {
            self.found.push((place(Rule::NotCleared, error), vec![format!("when {} goes", late.object)]));
        }
    }

    /// What the values show: of what is applied early, or when `object` has come.
    pub(crate) fn values<M: Memory + ?Sized>(
        &mut self,
        memory: &mut M,
        values: &[u64],
        object: Option<&str>,
    ) {
        for (index, class) in self.module.classes() {
            let target = match (class.class, object) {
                (Class::Ordinary { target } | Class::KlpEarly { target }, None) => target,
                (Class::KlpLate { object: of, target }, Some(object)) if of == object.as_bytes() => target,
                _ => continue,
            };
            let (Some(section), Some(target)) = (self.module.object().section(index), memory.target(target))
            else {
                continue;
            };
            let table = RelaTable::whole_entries(self.module.object().section_bytes(&section)).0;
            let found = &mut self.found;
            check::truncated(table, Values::Dense(values), target.address(), index, &mut |finding| {
                found.push((finding, Vec::new()));
            });
        }
    }

    /// Late relocations in code that the readers of special sections rewrite.
    pub(crate) fn ordering<M: Memory + ?Sized>(&mut self, loaded: &Loaded<'f>, memory: &mut M) {
        let mut late: Vec<_> = check::late_fields(self.module, memory).collect();
        late.sort_unstable();
        let mut found = Vec::new();
        check::rewritten(loaded, memory, self.version, &late, &mut |finding| found.push(finding));
        for finding in found {
            let special = finding.other_section.and_then(|index| loaded.special(index));
            let read = special.and_then(|special| Some((special, special.first_read(self.version)?)));
            let details =
                read.map(|(special, at)| format!("{} reads {} {}", special.reader, special.name, time(at)));
            self.found.push((finding, details.into_iter().collect()));
        }
    }

    /// All of them, the worst first, then in the order of the file. Many of a kind are counted.
    pub(crate) fn finish(self) -> Vec<FindingRow> {
        let mut groups: BTreeMap<_, Vec<FindingRow>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (finding, details) in &self.found {
            let key = (std::cmp::Reverse(finding.rule.severity()), finding.rule, finding.section);
            let row = self.row(finding, details);
            if seen.insert(format!("{:?}{:?}{:?}", key, row.place, row.details)) {
                groups.entry(key).or_default().push(row);
            }
        }
        groups
            .into_values()
            .flat_map(|mut rows| {
                let more = rows.len().saturating_sub(LISTED);
                rows.truncate(LISTED);
                if let Some(last) = rows.last_mut() {
                    last.more = more as u64;
                }
                rows
            })
            .collect()
    }

    fn row(&self, finding: &Finding, details: &[String]) -> FindingRow {
        let rule = finding.rule;
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let names = rule.number_c_names().map(|name| name.to_str().unwrap_or_default());
        let numbers = [finding.offset, finding.value, finding.limit];
        let named = names.into_iter().zip(numbers).filter(|(name, _)| !name.is_empty() && *name != "offset");
        let other = rule.other_c_name().to_str().ok().filter(|_| finding.other_section.is_some());
        FindingRow {
            rule,
            severity: rule.severity(),
            message: text(rule.message()),
            place: self.place(finding.section, finding.entry, finding.symbol),
            other: other.map(|what| (what, self.place(finding.other_section, finding.other_entry, None))),
            numbers: named.collect(),
            details: details.to_vec(),
            help: text(rule.help()),
            more: 0,
        }
    }

    fn place(&self, section: Option<u32>, entry: Option<u64>, symbol: Option<u32>) -> Place {
        let object = self.module.object();
        let mut place = Place { section, entry, symbol, ..Place::default() };
        place.section_name = section.and_then(|index| section_name(self.module, index));
        let header = section.and_then(|index| object.section(index));
        let is_rela = header.is_some_and(|section| {
            section.kind == relakit::abi::SHT_RELA
                || section.flags.contains(relakit::elf::SectionFlags::RELA_LIVEPATCH)
        });
        if let Some(header) = header.filter(|_| is_rela) {
            place.target = Some(header.info);
            place.target_name = section_name(self.module, header.info);
            let table = relakit::elf::RelaTable::whole_entries(object.section_bytes(&header)).0;
            let rela = entry.and_then(|entry| table.get(usize::try_from(entry).ok()?));
            if let Some(rela) = rela {
                place.offset = Some(rela.offset);
                place.r_type = Some(type_name(rela.r_type));
                place.symbol = Some(rela.symbol);
            }
        }
        place.symbol_name = place.symbol.and_then(|index| symbol_name(self.module, index));
        place
    }
}

/// When a special section is read, in words.
const fn time(read_at: ReadAt) -> &'static str {
    match read_at {
        ReadAt::Load => "before relocation",
        ReadAt::Finalize => "right after relocation",
        ReadAt::Formation => "before the module is announced",
        ReadAt::Coming => "when the module is announced",
        ReadAt::Init => "before or in the module's init function",
        _ => "when something asks",
    }
}
