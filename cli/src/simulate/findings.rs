//! Collects the findings of the library about a module, and adds names.

use super::prediction::Errors;
use super::report::FindingRow;
use super::seen::Seen;
use super::special;
use super::world::World;
use crate::view::location::Location;
use crate::view::names::read_at;
use relakit::elf::RelaTable;
use relakit::reloc::Values;
use relakit::{Class, Error, Loaded, Memory, Module, Resolver};
use relakit_linux::findings;
use relakit_linux::findings::{Field, Finding, Lint, Severity};
use relakit_linux::special::{Harm, Version};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most findings of one rule that are listed in one section. docs/check.md has the same numbers.
const LISTED: usize = 10;
/// Most findings of one rule that are listed in all sections.
const LISTED_OF_RULE: usize = 100;

/// The result of a late pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Late {
    pub(super) object: String,
    /// The error that ended the load of the object.
    pub(super) error: Option<Error>,
    /// Relocations that remain written after a failed load.
    pub(super) left: u64,
    /// The first section that has them, if the error is not one of relocation.
    pub(super) section: Option<u32>,
    /// The errors that ended the clearing of sections.
    pub(super) not_cleared: Vec<Error>,
}

/// The findings of one module: some of each rule, and the number of the others.
pub(super) struct Findings<'m, 'f> {
    module: &'m Module<'f>,
    version: Version,
    /// The fields of all relocations, sorted.
    fields: Vec<Field>,
    listed: Listed,
}

#[derive(Default)]
struct Listed {
    groups: BTreeMap<Group, Found>,
    /// The number of listed findings of each rule.
    of_rule: BTreeMap<Lint, usize>,
    /// The number of findings of each rule in sections without a group.
    elsewhere: BTreeMap<Lint, u64>,
    /// Findings that were counted but are not listed.
    seen: Seen,
}

/// Severity, rule and section: the worst first, then in the order of the file.
type Group = (Reverse<Severity>, Lint, Option<u32>);

/// The findings of one rule in one section.
#[derive(Default)]
struct Found {
    /// Findings with their details.
    listed: Vec<(Finding, Vec<String>)>,
    /// The number of findings that are not listed.
    more: u64,
}

impl Listed {
    /// Adds a finding if it is new. `details` is called only if the finding is listed.
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
    pub(super) fn new(module: &'m Module<'f>, version: Version) -> Self {
        let mut fields: Vec<_> = findings::fields(module).collect();
        fields.sort_unstable();
        Self { module, version, fields, listed: Listed::default() }
    }

    /// Adds the findings that need only the file. A section may use symbols of a third module if
    /// the patched module depends on it.
    pub(super) fn file(&mut self, world: &World<'_>) {
        let listed = &mut self.listed;
        let (module, version, fields) = (self.module, self.version, &self.fields);
        let mut depends = HashMap::new();
        let mut add = |finding: Finding| {
            if finding.lint == Lint::ThirdModule
                && let Some((object, other)) = objects(module, &finding)
                && *depends.entry((object, other)).or_insert_with(|| world.depends_on(object, other))
            {
                return;
            }
            listed.add(finding, || match finding.lint {
                Lint::LateIntoSpecial => special::late_entries(module, fields, version, &finding, LISTED),
                _ => Vec::new(),
            });
        };
        let scratch = &mut vec![0; findings::scratch_len(self.module)];
        let done = findings::file(module, version, scratch, &mut add);
        debug_assert!(done.is_ok(), "the scratch buffer is long enough: {done:?}");
        findings::overlaps(fields, &mut add);
    }

    /// Adds a finding that the library does not make.
    pub(super) fn add(&mut self, finding: Finding, detail: Option<String>) {
        self.listed.add(finding, || detail.into_iter().collect());
    }

    /// Adds the findings about sympos, with the symbols that are loaded now.
    pub(super) fn sympos(&mut self, world: &mut World<'_>) {
        let mut found = Vec::new();
        findings::sympos(self.module, world, &mut |finding| found.push(finding));
        let module = self.module;
        for finding in found {
            let name = finding.symbol.and_then(|index| livepatch_name(module, index));
            if name.is_some_and(|name| !world.has_symbols(name.object)) {
                continue;
            }
            self.listed.add(finding, || candidates(module, finding, world));
        }
    }

    /// Adds the findings of a late pass.
    pub(super) fn late(&mut self, late: &Late) {
        let finding = |rule, error: &Error| {
            let mut finding = Finding::new(rule);
            (finding.section, finding.entry, finding.symbol) = (error.section, error.entry, error.symbol);
            (finding.offset, finding.value, finding.limit) = (error.offset, error.value, error.limit);
            finding
        };
        if late.left != 0 {
            let half = late.error.as_ref().map(|error| finding(Lint::HalfApplied, error));
            let mut half = half.unwrap_or_else(|| Finding::new(Lint::HalfApplied));
            half.section = half.section.or(late.section);
            (half.value, half.limit) = (late.left, 0);
            self.listed.add(half, || vec![format!("when {} is loaded", late.object)]);
        }
        for error in &late.not_cleared {
            let details = || vec![format!("when {} is unloaded", late.object)];
            self.listed.add(finding(Lint::NotCleared, error), details);
        }
    }

    /// Adds the findings about computed values, after the early pass or after the load of `object`.
    pub(super) fn values<M: Memory + ?Sized>(
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

    /// Adds the mistakes in special sections. Those with which Linux crashes are added to `errors`.
    pub(super) fn special<M: Memory + ?Sized>(
        &mut self,
        loaded: &Loaded<'f>,
        memory: &mut M,
        errors: &mut Errors<'_, '_>,
    ) {
        for defect in special::defects(loaded, memory, self.version, &self.fields) {
            match defect.harm {
                Harm::Crashes => errors.special(&defect),
                _ => self.listed.add(defect.finding, || vec![special::consequence(&defect)]),
            }
        }
    }

    /// Adds the livepatch symbols that are in init memory, after the early pass or after the load of
    /// `object`.
    pub(super) fn init_symbols(&mut self, values: &[u64], object: Option<&str>, world: &World<'_>) {
        let mut seen = HashSet::new();
        for (index, class) in self.module.classes() {
            match (class.class, object) {
                (Class::KlpEarly { .. }, None) => {}
                (Class::KlpLate { object: of, .. }, Some(object)) if of == object.as_bytes() => {}
                _ => continue,
            }
            for (entry, rela) in self.module.relocations(index).numbered() {
                let value = usize::try_from(rela.r_sym).ok().and_then(|symbol| values.get(symbol).copied());
                let Some(value) = value.filter(|_| seen.insert(rela.r_sym)) else { continue };
                let Some(name) = livepatch_name(self.module, rela.r_sym) else { continue };
                if world.is_init(name.object, value) {
                    let mut finding = Finding::new(Lint::InitSymbol);
                    (finding.section, finding.entry) = (Some(index), Some(entry as u64));
                    (finding.symbol, finding.value) = (Some(rela.r_sym), value);
                    self.listed.add(finding, Vec::new);
                }
            }
        }
    }

    /// Adds the late relocations in code that the readers of special sections rewrite.
    pub(super) fn ordering<M: Memory + ?Sized>(&mut self, loaded: &Loaded<'f>, memory: &mut M) {
        let mut late: Vec<_> = findings::late_fields(self.module, memory).collect();
        late.sort_unstable();
        let version = self.version;
        findings::rewritten(loaded, memory, version, &late, &mut |finding| {
            self.listed.add(finding, || {
                let special =
                    finding.other_section.and_then(|index| relakit_linux::special::of_section(loaded, index));
                let read = special.and_then(|special| Some((special, special.first_read(version)?)));
                let details = read.map(|(special, at)| {
                    format!("{} reads {} {}", special.reader, special.name, read_at(at))
                });
                details.into_iter().collect()
            });
        });
    }

    /// All findings, the worst first, then in the order of the file.
    pub(super) fn finish(mut self) -> Vec<FindingRow> {
        let mut rows: Vec<FindingRow> = Vec::new();
        for Found { listed, more } in self.listed.groups.values() {
            let first = rows.len();
            rows.extend(listed.iter().map(|(finding, details)| self.row(finding, details)));
            if let Some(last) = rows.get_mut(first..).and_then(<[_]>::last_mut) {
                last.more = *more;
            }
        }
        // The last row of a rule also counts the sections that are not listed.
        for row in rows.iter_mut().rev() {
            row.more = row.more.saturating_add(self.listed.elsewhere.remove(&row.rule).unwrap_or(0));
        }
        rows
    }

    fn row(&self, finding: &Finding, details: &[String]) -> FindingRow {
        let rule = finding.lint;
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let named = finding.numbers().filter(|(name, _)| *name != "offset");
        let mut location = Location::new(self.module, finding.section, finding.entry, finding.symbol);
        // A place in data, if the finding is not about a relocation.
        let is_place = finding.section.is_some() && finding.entry.is_none() && finding.offset != 0;
        location.offset = location.offset.or(is_place.then_some(finding.offset));
        let other = rule.other_c_name().to_str().ok().filter(|_| finding.other_section.is_some());
        FindingRow {
            rule,
            severity: rule.severity(),
            message: text(rule.message()),
            location,
            other: other.map(|what| {
                (what, Location::new(self.module, finding.other_section, finding.other_entry, None))
            }),
            numbers: named.collect(),
            details: details.to_vec(),
            help: text(rule.help()),
            more: 0,
        }
    }
}

/// The object of the section and that of the symbol of a finding.
fn objects<'f>(module: &Module<'f>, finding: &Finding) -> Option<(&'f [u8], &'f [u8])> {
    let Class::KlpLate { object, .. } = module.class(finding.section?)?.class else { return None };
    Some((object, livepatch_name(module, finding.symbol?)?.object))
}

fn livepatch_name<'f>(module: &Module<'f>, index: u32) -> Option<relakit::klp::SymName<'f>> {
    let table = module.object().symbols();
    let name = table.name(&table.get(index)?).ok()?;
    relakit::klp::SymName::parse(name, module.profile())
}

/// The addresses of the symbols with the name that the finding is about.
fn candidates(module: &Module<'_>, finding: Finding, world: &mut World<'_>) -> Vec<String> {
    let name = finding.symbol.and_then(|index| livepatch_name(module, index));
    let Some(name) = name else { return Vec::new() };
    let mut nth = |sympos| world.nth_symbol(name.object, name.name, sympos).ok().flatten();
    let addresses = (1..=LISTED as u64).map_while(|sympos| Some((sympos, nth(sympos)?)));
    addresses.map(|(sympos, address)| format!("sympos {sympos} is at {address:#x}")).collect()
}
