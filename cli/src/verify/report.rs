//! The result, as JSON has it.

use super::found::Found;
use super::names::Names;
use crate::apply::Errors;
use crate::args::VerifyArgs;
use crate::input::kernel::Kernel;
use crate::input::place::Place;
use crate::input::roles;
use crate::view::names::{self, module_name};
use relakit::elf::{RelaTable, SymbolLocation};
use relakit::verify::{Difference, WrongField};
use relakit::{Class, Module};
use relakit_linux::verify::{Cause, Mismatch, Seen, Verified};
use serde::Serialize;
use std::collections::BTreeSet;

/// Most differences that are listed.
const LISTED: usize = 1000;

/// The result of `relakit verify`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The path, as given.
    pub(super) file: String,
    /// The module's name.
    pub(super) module: String,
    pub(super) kernel: String,
    pub(super) rules: &'static str,
    pub(super) verdict: Verdict,
    pub(super) differences: Vec<Row>,
    /// Number of differences that are not listed.
    pub(super) more_differences: u64,
    pub(super) not_judged: Vec<NotJudged>,
    /// The objects whose late relocations are applied.
    pub(super) applied: Vec<String>,
    pub(super) counts: Counts,
    /// Why the module cannot be relocated.
    pub(super) errors: Vec<serde_json::Value>,
    /// Number of errors that are not listed.
    pub(super) more_errors: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// Everything that can be compared is as it should be.
    Verified,
    Differs,
    NotJudged,
}

/// Numbers of bytes and of patch sites.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) compared: u64,
    pub(super) not_judged: u64,
    /// Compared bytes for which more than one content is accepted.
    pub(super) flexible: u64,
    pub(super) sites: u64,
    pub(super) rewritten: u64,
}

/// Something that could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct NotJudged {
    pub(super) what: String,
    pub(super) why: String,
    /// What to add to the command line.
    pub(super) give: String,
}

/// A difference.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) section: u32,
    pub(super) section_name: String,
    pub(super) offset: u64,
    pub(super) address: String,
    pub(super) size: u64,
    /// The symbol of the module that contains the first byte, and the offset in it.
    pub(super) symbol: Option<String>,
    /// The first bytes, in hexadecimal digits.
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) cause: &'static str,
    /// A sentence.
    pub(super) why: String,
    pub(super) relocation: Option<Relocation>,
    pub(super) site: Option<Site>,
}

/// A relocation whose field differs.
#[derive(Debug, Serialize)]
pub(super) struct Relocation {
    pub(super) section: u32,
    pub(super) entry: u64,
    pub(super) r_type: String,
    pub(super) symbol_name: Option<String>,
    pub(super) expected: String,
    pub(super) expected_name: String,
    pub(super) leads_to: String,
    pub(super) leads_to_name: String,
}

/// A patch site, or an entry of a sorted table.
#[derive(Debug, Serialize)]
pub(super) struct Site {
    /// Null for a table.
    pub(super) role: Option<&'static str>,
    pub(super) section: u32,
    pub(super) section_name: String,
    pub(super) entry: u64,
}

/// What must not be reported as a difference, because the input does not tell what is expected.
#[derive(Debug)]
pub(super) struct Unknown {
    /// Sections that the memory does not contain.
    missing: BTreeSet<u32>,
    missing_bytes: u64,
    /// Sections with an example address.
    assumed: BTreeSet<u32>,
    /// Sections with a relocation against one of them.
    touched: BTreeSet<u32>,
    /// Late relocation sections.
    late: BTreeSet<u32>,
}

impl Unknown {
    pub(super) fn new(module: &Module<'_>, found: &Found, place: &Place, late: BTreeSet<u32>) -> Self {
        let mut unknown = Self {
            missing: found.missing_sections(),
            missing_bytes: found.missing_bytes(),
            assumed: place.assumed.clone(),
            touched: BTreeSet::new(),
            late,
        };
        if !unknown.assumed.is_empty() {
            for (index, class) in module.classes() {
                let Class::Ordinary { target } = class.class else { continue };
                let table = module
                    .object()
                    .section(index)
                    .map_or(&[][..], |section| module.object().section_bytes(&section));
                let table = RelaTable::whole_entries(table).0;
                if table.iter().any(|rela| unknown.is_assumed(module, rela.r_sym)) {
                    unknown.touched.insert(target);
                    // Linux sorts the two together. Only the first one has relocations.
                    if names::section(module, target) == Some(b".orc_unwind_ip") {
                        let other =
                            |(_, section): &(u32, _)| module.object().section_name(section) == b".orc_unwind";
                        unknown
                            .touched
                            .extend(module.object().sections().find(other).map(|(index, _)| index));
                    }
                }
            }
        }
        unknown
    }

    /// Whether a symbol is in a section whose address is not known.
    fn is_assumed(&self, module: &Module<'_>, symbol: u32) -> bool {
        let table = module.object().symbols();
        let location = table.get(symbol).map(|symbol| table.location(&symbol));
        matches!(location, Some(SymbolLocation::Section(section)) if self.assumed.contains(&section))
    }

    fn covers(&self, module: &Module<'_>, mismatch: &Mismatch) -> bool {
        let Difference { section, relocation, .. } = mismatch.difference;
        let of_field = relocation.is_some_and(|WrongField { section, rela, .. }| {
            self.late.contains(&section) || self.is_assumed(module, rela.r_sym)
        });
        let of_table = match mismatch.cause {
            Cause::Table { section, .. } => self.touched.contains(&section),
            _ => false,
        };
        self.missing.contains(&section) || of_field || of_table
    }
}

/// The differences, while they are found.
#[derive(Debug)]
pub(super) struct Rows<'u> {
    unknown: &'u Unknown,
    listed: Vec<Mismatch>,
    more: u64,
    /// Bytes of differences that mean nothing.
    not_judged: u64,
    /// Whether an address is missing without which they cannot be compared.
    lacks_address: bool,
}

impl<'u> Rows<'u> {
    pub(super) const fn new(unknown: &'u Unknown) -> Self {
        Self { unknown, listed: Vec::new(), more: 0, not_judged: 0, lacks_address: false }
    }

    pub(super) fn add(&mut self, module: &Module<'_>, mismatch: &Mismatch) {
        if self.unknown.covers(module, mismatch) {
            if !self.unknown.missing.contains(&mismatch.difference.section) {
                self.not_judged = self.not_judged.saturating_add(mismatch.difference.size);
                let late = mismatch
                    .difference
                    .relocation
                    .is_some_and(|field| self.unknown.late.contains(&field.section));
                self.lacks_address |= !late;
            }
        } else if self.listed.len() < LISTED {
            self.listed.push(*mismatch);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "it only puts the results together")]
    pub(super) fn new(
        args: &VerifyArgs,
        kernel: &Kernel,
        module: &Module<'_>,
        names: &Names<'_>,
        rows: Rows<'_>,
        verified: Verified,
        mut not_judged: Vec<NotJudged>,
        applied: Vec<String>,
    ) -> Self {
        let unknown = rows.unknown;
        if rows.lacks_address {
            not_judged.push(NotJudged {
                what: format!(
                    "{} that refer to sections without an address",
                    names::plural(rows.not_judged, "byte")
                ),
                why: format!("no address is given for {}", sections(module, &unknown.assumed)),
                give: "--place, or their --bases".to_owned(),
            });
        }
        let unjudged = unknown.missing_bytes.saturating_add(rows.not_judged);
        let verdict = match (rows.listed.is_empty(), not_judged.is_empty()) {
            (false, _) => Verdict::Differs,
            (true, false) => Verdict::NotJudged,
            (true, true) => Verdict::Verified,
        };
        let symbols = Symbols::new(module);
        let row = |mismatch| Row::new(module, names, &symbols, mismatch);
        let differences = rows.listed.iter().map(row).collect();
        Self {
            verdict,
            differences,
            more_differences: rows.more,
            not_judged,
            applied,
            counts: Counts {
                compared: verified.bytes.saturating_sub(unjudged),
                not_judged: verified.not_judged.saturating_add(unjudged),
                flexible: verified.flexible,
                sites: verified.sites,
                rewritten: verified.rewritten,
            },
            ..Self::empty(args, kernel, Some(module))
        }
    }

    /// A module that cannot be relocated.
    pub(super) fn failed(
        args: &VerifyArgs,
        kernel: &Kernel,
        module: Option<&Module<'_>>,
        errors: &Errors,
    ) -> Self {
        Self {
            errors: errors.to_json(module, &kernel.profile),
            more_errors: errors.more(),
            ..Self::empty(args, kernel, module)
        }
    }

    fn empty(args: &VerifyArgs, kernel: &Kernel, module: Option<&Module<'_>>) -> Self {
        Self {
            file: args.module.display().to_string(),
            module: module.map(|module| module_name(module, &args.module)).unwrap_or_default(),
            kernel: kernel.asked.clone(),
            rules: kernel.profile.name,
            verdict: Verdict::NotJudged,
            differences: Vec::new(),
            more_differences: 0,
            not_judged: Vec::new(),
            applied: Vec::new(),
            counts: Counts::default(),
            errors: Vec::new(),
            more_errors: 0,
        }
    }

    /// Whether the note with the build ID differs.
    pub(super) fn is_other_build(&self) -> bool {
        self.differences.iter().any(|row| row.section_name == ".note.gnu.build-id")
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verdict == Verdict::Verified
    }
}

/// Names of sections in a sentence.
fn sections(module: &Module<'_>, indices: &BTreeSet<u32>) -> String {
    const MOST: usize = 6;
    let name = |index: &u32| names::section(module, *index).map(names::escaped).unwrap_or_default();
    let mut names: Vec<_> = indices.iter().take(MOST).map(name).collect();
    names.extend((indices.len() > MOST).then(|| "others".to_owned()));
    names.join(", ")
}

impl Row {
    fn new(module: &Module<'_>, names: &Names<'_>, symbols: &Symbols, mismatch: &Mismatch) -> Self {
        let Difference { section, offset, address, size, expected, found, .. } = mismatch.difference;
        let section_name = |index| names::section(module, index).map(names::escaped).unwrap_or_default();
        let site = |role, section, entry| Site { role, section, section_name: section_name(section), entry };
        let (cause, site) = match mismatch.cause {
            Cause::Content => ("content", None),
            Cause::Relocation => ("relocation", None),
            Cause::PatchSite { role, section, entry } => {
                ("patch-site", Some(site(Some(roles::names(role).0), section, entry)))
            }
            Cause::Table { section, entry } => ("table", Some(site(None, section, entry))),
            _ => ("other", None),
        };
        let relocation = mismatch.difference.relocation.map(|field| Relocation::new(module, names, &field));
        Self {
            section,
            section_name: section_name(section),
            offset,
            address: format!("{address:#x}"),
            size,
            symbol: symbols.at(module, section, offset),
            expected: hex(expected.as_slice()),
            found: hex(found.as_slice()),
            cause,
            why: why(module, names, mismatch, relocation.as_ref()),
            relocation,
            site,
        }
    }
}

impl Relocation {
    fn new(module: &Module<'_>, names: &Names<'_>, field: &WrongField) -> Self {
        Self {
            section: field.section,
            entry: field.entry,
            r_type: names::type_name(field.rela.r_type),
            symbol_name: names::symbol(module, field.rela.r_sym).map(names::escaped),
            expected: format!("{:#x}", field.expected),
            expected_name: names.of(field.expected),
            leads_to: format!("{:#x}", field.leads_to),
            leads_to_name: names.of(field.leads_to),
        }
    }
}

/// What the difference means, as a sentence without a full stop.
fn why(
    module: &Module<'_>,
    names: &Names<'_>,
    mismatch: &Mismatch,
    relocation: Option<&Relocation>,
) -> String {
    let seen = match mismatch.seen {
        Seen::Breakpoint => ": a breakpoint, as of a kprobe or of code that is being rewritten".to_owned(),
        Seen::Branch { to } => format!(": leads to {}", names.of(to)),
        _ => String::new(),
    };
    match (mismatch.cause, relocation) {
        (Cause::PatchSite { role, section, entry }, _) => {
            let table = names::section(module, section).map(names::escaped).unwrap_or_default();
            let role = roles::names(role).1;
            format!("{role}, entry {entry} of {table}: in no known form{seen}")
        }
        (Cause::Table { section, entry }, _) => {
            let table = names::section(module, section).map(names::escaped).unwrap_or_default();
            format!("entry {entry} of the sorted table {table}")
        }
        (_, Some(Relocation { expected_name, leads_to_name, .. })) => {
            let verb = verb(module, &mismatch.difference);
            format!("{verb} {leads_to_name} instead of {expected_name}{seen}")
        }
        _ => format!("not the content of the file{seen}"),
    }
}

/// "calls" or "jumps to" if the field belongs to such an instruction.
fn verb(module: &Module<'_>, difference: &Difference) -> &'static str {
    let Some(section) = module.object().section(difference.section) else { return "refers to" };
    let opcode = difference.offset.checked_sub(1).and_then(|at| usize::try_from(at).ok());
    let opcode = opcode.and_then(|at| module.object().section_bytes(&section).get(at));
    match opcode.filter(|_| section.sh_flags.contains(relakit::elf::SectionFlags::EXECINSTR)) {
        Some(0xe8) => "calls",
        Some(0xe9) => "jumps to",
        _ => "refers to",
    }
}

/// Most symbols that begin before an offset and are searched for the one that contains it.
const SEARCHED: usize = 64;

/// The module's symbols that have a size, sorted by section, value and index.
#[derive(Debug)]
struct Symbols(Vec<(u32, u64, u32)>);

impl Symbols {
    fn new(module: &Module<'_>) -> Self {
        let table = module.object().symbols();
        let of_section = |(index, symbol)| match table.location(&symbol) {
            SymbolLocation::Section(section) if symbol.st_size != 0 => {
                Some((section, symbol.st_value, index))
            }
            _ => None,
        };
        let mut sorted: Vec<_> = (0..).zip(table.iter()).filter_map(of_section).collect();
        sorted.sort_unstable();
        Self(sorted)
    }

    /// The symbol that contains an offset of a section.
    fn at(&self, module: &Module<'_>, section: u32, offset: u64) -> Option<String> {
        let table = module.object().symbols();
        let after = self.0.partition_point(|(of, value, _)| (*of, *value) <= (section, offset));
        let before = self.0.get(..after).unwrap_or_default().iter().rev().take(SEARCHED);
        let of_section = before.take_while(|(of, ..)| *of == section);
        let symbol = of_section
            .filter_map(|(.., index)| table.get(*index))
            .find(|symbol| offset.wrapping_sub(symbol.st_value) < symbol.st_size)?;
        let name = table.name(&symbol).ok().filter(|name| !name.is_empty())?;
        let inside = offset.wrapping_sub(symbol.st_value);
        let name = names::Name(name).short(names::IN_SENTENCE);
        Some(if inside == 0 { name } else { format!("{name}+{inside:#x}") })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
