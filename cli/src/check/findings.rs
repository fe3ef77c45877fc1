//! Gathers what the core finds about a module, and puts names to it.

use super::answer::{section_name, symbol_name, type_name};
use super::report::{FindingRow, SectionMemory};
use super::seen::Seen;
use super::world::World;
use relakit::elf::RelaTable;
use relakit::reloc::Values;
use relakit::{Class, Error, Loaded, Memory, Module, Resolver};
use relakit_linux::findings;
use relakit_linux::findings::{Finding, Lint, Severity};
use relakit_linux::special::{ReadAt, Version};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most findings of one rule in one section that are listed. docs/check.md has the same numbers.
const LISTED: usize = 10;
/// Most findings of one rule that are listed.
const LISTED_OF_RULE: usize = 100;

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

/// The findings of one module: some of each rule, and how many more there are.
pub(crate) struct Findings<'m, 'f> {
    module: &'m Module<'f>,
    version: Version,
    listed: Listed,
}

/// By severity, rule and section: the worst first, then in the order of the file.
#[derive(Default)]
struct Listed {
    groups: BTreeMap<Group, Found>,
    /// How many of each rule are listed.
    of_rule: BTreeMap<Lint, usize>,
    /// How many of each rule are in sections that have no group.
    elsewhere: BTreeMap<Lint, u64>,
    /// Findings that were counted, and are not listed.
    seen: Seen,
}

type Group = (Reverse<Severity>, Lint, Option<u32>);

/// The findings of one rule in one section.
#[derive(Default)]
struct Found {
    /// Each with what there is to say of it beyond its numbers.
    listed: Vec<(Finding, Vec<String>)>,
    /// How many more there are.
    more: u64,
}

impl Listed {
    /// One more finding, if it is new. `details` is asked for only if it is to be listed.
    fn add(&mut self, finding: Finding, details: impl FnOnce() -> Vec<String>) {
        let rule = finding.lint;
        let same = |other: &Finding| (other.entry, other.symbol) == (finding.entry, finding.symbol);
        let group = (Reverse(rule.severity()), rule, finding.section);
        let of_rule = self.of_rule.entry(rule).or_default();
        let has_room = *of_rule < LISTED_OF_RULE;
        let found = match has_room {
            true => Some(self.groups.entry(group).or_default()),
            false => self.groups.get_mut(&group),
        };
        let mut known = found.iter().flat_map(|found| &found.listed).filter(|(other, _)| same(other));
        match found.as_ref() {
            Some(found) if has_room && found.listed.len() < LISTED => {
                let details = details();
                if known.any(|(_, other)| *other == details) {
                    return;
                }
                *of_rule = of_rule.saturating_add(1);
                self.groups.entry(group).or_default().listed.push((finding, details));
            }
            _ if known.next().is_some() => {}
            found => {
                let has_group = found.is_some();
                if self.seen.is_new((rule as i32, finding.section, finding.entry, finding.symbol)) {
                    let more = match has_group {
                        true => &mut self.groups.entry(group).or_default().more,
                        false => self.elsewhere.entry(rule).or_default(),
                    };
                    *more = more.saturating_add(1);
                }
            }
        }
    }
}

impl<'m, 'f> Findings<'m, 'f> {
    pub(crate) fn new(module: &'m Module<'f>, version: Version) -> Self {
        Self { module, version, listed: Listed::default() }
    }

    /// What the file alone tells.
    pub(crate) fn file(&mut self) {
        let listed = &mut self.listed;
        let mut add = |finding| listed.add(finding, Vec::new);
        let scratch = &mut vec![0; findings::scratch_len(self.module)];
        let done = findings::file(self.module, self.version, scratch, &mut add);
        debug_assert!(done.is_ok(), "the scratch buffer is long enough: {done:?}");
        let mut fields: Vec<_> = findings::fields(self.module).collect();
        fields.sort_unstable();
        findings::overlaps(&fields, &mut add);
    }

    /// What the symbols of those who are there tell about positions.
    pub(crate) fn sympos(&mut self, world: &mut World<'_>) {
        let mut found = Vec::new();
        findings::sympos(self.module, world, &mut |finding| found.push(finding));
        for finding in found {
            let module = self.module;
            self.listed.add(finding, || candidates(module, finding, world));
        }
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
            let mut finding = place(Lint::HalfApplied, error);
            (finding.value, finding.limit) = (late.left, 0);
            self.listed.add(finding, || vec![format!("when {} comes", late.object)]);
        }
        for error in &late.not_cleared {
            let details = || vec![format!("when {} goes", late.object)];
            self.listed.add(place(Lint::NotCleared, error), details);
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
            let mut add = |finding| self.listed.add(finding, Vec::new);
            findings::truncated(table, Values::Dense(values), target.address(), index, &mut add);
        }
    }

    /// Late relocations in code that the readers of special sections rewrite.
    pub(crate) fn ordering<M: Memory + ?Sized>(&mut self, loaded: &Loaded<'f>, memory: &mut M) {
        let mut late: Vec<_> = findings::late_fields(self.module, memory).collect();
        late.sort_unstable();
        let version = self.version;
        findings::rewritten(loaded, memory, version, &late, &mut |finding| {
            self.listed.add(finding, || {
                let special =
                    finding.other_section.and_then(|index| relakit_linux::special::of_section(loaded, index));
                let read = special.and_then(|special| Some((special, special.first_read(version)?)));
                let details = read
                    .map(|(special, at)| format!("{} reads {} {}", special.reader, special.name, time(at)));
                details.into_iter().collect()
            });
        });
    }

    /// All of them, the worst first, then in the order of the file. Many of a kind are counted.
    pub(crate) fn finish(mut self) -> Vec<FindingRow> {
        let mut rows: Vec<FindingRow> = Vec::new();
        for Found { listed, more } in self.listed.groups.values() {
            let first = rows.len();
            rows.extend(listed.iter().map(|(finding, details)| self.row(finding, details)));
            if let Some(last) = rows.get_mut(first..).and_then(<[_]>::last_mut) {
                last.more = *more;
            }
        }
        // The last one of a rule has those of the sections that are not listed too.
        for row in rows.iter_mut().rev() {
            row.more = row.more.saturating_add(self.listed.elsewhere.remove(&row.rule).unwrap_or(0));
        }
        rows
    }

    fn row(&self, finding: &Finding, details: &[String]) -> FindingRow {
        let rule = finding.lint;
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let names = rule.field_c_names().map(|name| name.to_str().unwrap_or_default());
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

    fn place(&self, section: Option<u32>, entry: Option<u64>, symbol: Option<u32>) -> SectionMemory {
        let object = self.module.object();
        let mut place = SectionMemory { section, entry, symbol, ..SectionMemory::default() };
        place.section_name = section.and_then(|index| section_name(self.module, index));
        let header = section.and_then(|index| object.section(index));
        let is_rela = header.is_some_and(|section| {
            section.sh_type == relakit::abi::SHT_RELA
                || section.sh_flags.contains(relakit::elf::SectionFlags::RELA_LIVEPATCH)
        });
        if let Some(header) = header.filter(|_| is_rela) {
            place.target = Some(header.sh_info);
            place.target_name = section_name(self.module, header.sh_info);
            let table = relakit::elf::RelaTable::whole_entries(object.section_bytes(&header)).0;
            let rela = entry.and_then(|entry| table.get(usize::try_from(entry).ok()?));
            if let Some(rela) = rela {
                place.offset = Some(rela.r_offset);
                place.r_type = Some(type_name(rela.r_type));
                place.symbol = Some(rela.r_sym);
            }
        }
        place.symbol_name = place.symbol.and_then(|index| symbol_name(self.module, index));
        place
    }
}

/// The addresses of the symbols that a name can mean.
fn candidates(module: &Module<'_>, finding: Finding, world: &mut World<'_>) -> Vec<String> {
    let name = finding.symbol.and_then(|index| {
        let table = module.object().symbols();
        let name = table.name(&table.get(index)?).ok()?;
        relakit::klp::SymName::parse(name, module.profile())
    });
    let Some(name) = name else { return Vec::new() };
    let mut nth = |position| world.nth_symbol(name.object, name.name, position).ok().flatten();
    let addresses = (1..=LISTED as u64).map_while(|position| Some((position, nth(position)?)));
    addresses.map(|(position, address)| format!("position {position} is at {address:#x}")).collect()
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
