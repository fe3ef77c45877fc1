//! Linux-shaped loaders: section headers in memory whose `sh_addr` say where each section is, and a resolved symbol
//! table (Linux semantics 9 to 12, without what Linux does not check).

use crate::abi::{self, SHDR_SIZE, SYM_SIZE, VMLINUX};
use crate::elf::{RelaTable, Section, SectionFlags, Strings, SymbolTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::klp::RelaName;
use crate::module::is_relocations;
use crate::module::{KlpSymbols, Resolver};
use crate::profile::Profile;
use crate::read::u64_at;
use crate::reloc::{Op, Pass, RelocFlags, Sections, SymtabValues, Target, Transaction, Values};
use crate::report::{Failed, Report, capture};
use core::ops::Range;

/// The section headers of a module as such a loader holds them. Nothing in them is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Sechdrs<'a> {
    /// The headers, as they stand in memory.
    pub headers: &'a [[u8; SHDR_SIZE]],
    /// Section index of the symbol table.
    pub symbols: u32,
}

/// What the `sh_addr` of a section leads to.
pub trait Mapping<'m> {
    /// The bytes of relocation section `index`; `None` when they are not in memory.
    fn table(&self, index: u32, section: &Section) -> Option<&'m [u8]>;

    /// Section `index` as a target. It must not overlap the section headers, the symbols, the names or a table that
    /// [`table`](Self::table) has returned.
    ///
    /// # Errors
    /// [`ErrorKind::NotAssigned`] when it is not in memory, [`ErrorKind::TargetOverlaps`] when it overlaps one of these.
    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind>;

    /// Called once at the end of every pass over livepatch sections that wrote.
    ///
    /// # Errors
    /// Any number; the pass is undone and fails with [`ErrorKind::Sync`].
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

impl<'a> Sechdrs<'a> {
    /// Applies relocation section `index`, or changes nothing. `symbols` is the resolved symbol table.
    ///
    /// # Errors
    /// What is wrong with the section, and what [`reloc::apply`](crate::reloc::apply) answers.
    pub fn apply(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Apply, index, symbols, mapping, rules, report))
    }

    /// Sets every field of relocation section `index` back to zero, or changes nothing. `symbols` must have the values
    /// that it was applied with.
    ///
    /// # Errors
    /// What is wrong with the section, and what [`reloc::clear`](crate::reloc::clear) answers.
    pub fn clear(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Clear, index, symbols, mapping, rules, report))
    }

    /// The livepatch sections of `object`: "vmlinux", or the name of a module. `names` are the section names.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] when `object` is empty.
    pub const fn klp(self, object: &'a [u8], names: Strings<'a>) -> Result<Klp<'a>, Error> {
        match object {
            [] => Err(Error::new(ErrorKind::NotAModule, 0, 0)),
            _ => Ok(Klp { sechdrs: self, object, names }),
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.headers.len()).unwrap_or(u32::MAX)
    }

    /// The header of section `index`; `None` for section 0, which is none.
    pub fn header(&self, index: u32) -> Option<Section> {
        let header = self.headers.get(usize::try_from(index).ok()?)?;
        Section::read(header).filter(|_| index != 0)
    }

    fn run(
        &self,
        op: Op,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: RelocFlags,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let section = self.relocations(index, mapping, report)?;
        let Some(mut target) = section.target(mapping, report)? else { return Ok(()) };
        let pass = Pass { table: section.table, values: symbols.into(), rules };
        pass.run(op, &mut target, report).map_err(|stopped| report.in_section(stopped, index))
    }

    /// Relocation section `index` with its target.
    fn relocations<'m>(
        &self,
        index: u32,
        mapping: &dyn Mapping<'m>,
        report: &mut Report,
    ) -> Result<Relocations<'m>, Failed> {
        let count = u64::from(self.count());
        let Some(header) = self.header(index) else {
            return Err(report.fail(ErrorKind::NoSuchSection, u64::from(index), count));
        };
        let number = header.sh_info;
        let strings = self.header(self.symbols).map_or(0, |symbols| symbols.sh_link);
        let bytes = mapping.table(index, &header);
        let (table, rest) = RelaTable::whole_entries(bytes.unwrap_or_default());
        let (kind, value, limit) = match (header.sh_type, self.header(number)) {
            (abi::SHT_REL, _) => (ErrorKind::RelSection, u64::from(number), 0),
            (kind, _) if kind != abi::SHT_RELA => (ErrorKind::NotRelocations, u64::from(kind), 0),
            (_, None) => (ErrorKind::TargetOutOfRange, u64::from(number), count),
            (_, Some(_)) if number == self.symbols || number == strings => {
                (ErrorKind::TargetIsSymbolTable, u64::from(number), 0)
            }
            _ if bytes.is_none() => (ErrorKind::NotAssigned, header.sh_size, 0),
            _ if rest != 0 => (ErrorKind::PartialEntry, header.sh_size, rest as u64),
            (_, Some(target)) => return Ok(Relocations { index, number, target, table }),
        };
        let stopped = report.fail(kind, value, limit);
        Err(report.in_section(stopped, index))
    }
}

/// A relocation section, read and bounded.
struct Relocations<'m> {
    index: u32,
    table: RelaTable<'m>,
    /// Section index of the target.
    number: u32,
    target: Section,
}

impl Relocations<'_> {
    /// `None` when there is nothing to relocate.
    fn target<'t>(
        &self,
        mapping: &'t mut dyn Mapping<'_>,
        report: &mut Report,
    ) -> Result<Option<Target<'t>>, Failed> {
        if self.table.is_empty() {
            return Ok(None);
        }
        let found = match is_relocations(&self.target) {
            // The pass reads tables while it writes, and once more when it is undone.
            true => Err(ErrorKind::TargetIsRelocations),
            false => mapping.target(self.number, &self.target),
        };
        let (kind, value, section) = match found {
            Ok(target) => {
                return match target.check_address(report) {
                    Ok(()) => Ok(Some(target)),
                    Err(stopped) => Err(report.in_section(stopped, self.number)),
                };
            }
            Err(ErrorKind::NotAssigned) => (ErrorKind::NotAssigned, self.target.sh_size, self.number),
            Err(kind) => (kind, u64::from(self.number), self.index),
        };
        let stopped = report.fail(kind, value, 0);
        Err(report.in_section(stopped, section))
    }
}

/// The livepatch sections of one object.
#[derive(Clone, Copy, Debug)]
pub struct Klp<'a> {
    sechdrs: Sechdrs<'a>,
    object: &'a [u8],
    names: Strings<'a>,
}

impl Klp<'_> {
    /// Resolves the symbols of all livepatch sections of the object, and applies them in section order: all of them, or
    /// nothing is changed. Answers the number of sections.
    ///
    /// `symbols` is the symbol table, `strings` its names. On success the values of the symbols are in it, for
    /// [`clear`](Self::clear). `values` is memory for one value a symbol; its content is lost. The resolver's
    /// `exported` is not called.
    ///
    /// # Errors
    /// The first section, symbol or relocation that stops it. A livepatch section with a malformed name stops every object.
    pub fn apply(
        &self,
        symbols: &mut [[u8; SYM_SIZE]],
        strings: Strings<'_>,
        values: &mut [u64],
        mapping: &mut dyn Mapping<'_>,
        resolver: &mut dyn Resolver,
        profile: Profile,
    ) -> Result<usize, Error> {
        let short = Error::new(ErrorKind::ValuesTooShort, values.len() as u64, symbols.len() as u64);
        let values = values.get_mut(..symbols.len()).ok_or(short)?;
        for (value, symbol) in values.iter_mut().zip(symbols.iter()) {
            *value = u64_at(symbol, 8).unwrap_or(0);
        }
        capture(|report| {
            let table = SymbolTable::in_memory(symbols, strings, self.sechdrs.symbols);
            let klp_symbols = KlpSymbols { symbols: &table, profile: &profile, object: self.object };
            let source = Source::Resolved { symbols: &klp_symbols, values, resolver };
            let mut sections = KlpSections { klp: *self, source, mapping, rules: profile.reloc_flags() };
            let applied = Transaction::new(&mut sections, self.sections(), Op::Apply).run(report)?;
            for index in self.sections() {
                let Some(section) = self.section(index, mapping, report)? else { continue };
                for rela in section.table.iter() {
                    let Ok(symbol) = usize::try_from(rela.r_sym) else { continue };
                    if let (Some(symbol), Some(value)) = (symbols.get_mut(symbol), values.get(symbol)) {
                        set_value(symbol, *value);
                    }
                }
            }
            Ok(applied)
        })
    }

    /// Verifies and sets back to zero every field of all livepatch sections of the object, the last first: all of them,
    /// or nothing is changed. Answers the number of sections. `symbols` must have the values that
    /// [`apply`](Self::apply) has put there.
    ///
    /// # Errors
    /// [`ErrorKind::TargetMismatch`] when a field does not hold what was applied; what is wrong with a section.
    pub fn clear(
        &self,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        profile: Profile,
    ) -> Result<usize, Error> {
        let source = Source::Applied(symbols);
        let mut sections = KlpSections { klp: *self, source, mapping, rules: profile.reloc_flags() };
        capture(|report| Transaction::new(&mut sections, self.sections(), Op::Clear).run(report))
    }

    fn sections(&self) -> Range<u32> {
        1..self.sechdrs.count()
    }

    /// Section `index`, if it is one of the object's.
    fn section<'m>(
        &self,
        index: u32,
        mapping: &dyn Mapping<'m>,
        report: &mut Report,
    ) -> Result<Option<Relocations<'m>>, Failed> {
        let Some(header) = self.sechdrs.header(index) else { return Ok(None) };
        if !header.sh_flags.contains(SectionFlags::RELA_LIVEPATCH) {
            return Ok(None);
        }
        let name = self.names.name(header.sh_name);
        let target = self.sechdrs.header(header.sh_info);
        let target_flags = target.map_or(SectionFlags::ALLOC, |target| target.sh_flags);
        let (kind, value, limit) = match (name, name.and_then(RelaName::parse)) {
            (None, _) => {
                (ErrorKind::BadSectionName, u64::from(header.sh_name), self.names.bytes().len() as u64)
            }
            (_, None) => (ErrorKind::BadKlpSectionName, 0, 0),
            (_, Some(name)) if name.object != self.object => return Ok(None),
            // Linux passes over what it does not find in memory while it loads.
            _ if self.object == VMLINUX => {
                return match target.is_some() && target_flags.contains(SectionFlags::ALLOC) {
                    true => self.sechdrs.relocations(index, mapping, report).map(Some),
                    false => Ok(None),
                };
            }
            _ if !target_flags.contains(SectionFlags::ALLOC) => {
                (ErrorKind::TargetNotAllocated, u64::from(header.sh_info), target_flags.bits())
            }
            _ if !header.sh_flags.contains(SectionFlags::ALLOC) => {
                (ErrorKind::LateNotAllocated, header.sh_flags.bits(), 0)
            }
            _ => return self.sechdrs.relocations(index, mapping, report).map(Some),
        };
        let stopped = report.fail(kind, value, limit);
        Err(report.in_section(stopped, index))
    }
}

/// Writes the `st_value` of a symbol.
fn set_value(symbol: &mut [u8; SYM_SIZE], value: u64) {
    for (to, from) in symbol.get_mut(8..16).unwrap_or_default().iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}

/// Where the symbols' values are.
enum Source<'p> {
    /// They are asked for on the way.
    Resolved { symbols: &'p KlpSymbols<'p, 'p>, values: &'p mut [u64], resolver: &'p mut dyn Resolver },
    /// An apply has put them into the symbol table.
    Applied(SymtabValues<'p>),
}

/// The livepatch sections of an object.
struct KlpSections<'p, 'a, 'm> {
    klp: Klp<'a>,
    source: Source<'p>,
    mapping: &'p mut dyn Mapping<'m>,
    rules: RelocFlags,
}

impl Sections for KlpSections<'_, '_, '_> {
    fn prepare(&mut self, index: u32, report: &mut Report) -> Result<bool, Failed> {
        let Some(section) = self.klp.section(index, self.mapping, report)? else { return Ok(false) };
        if let Source::Resolved { symbols, values, resolver } = &mut self.source {
            symbols
                .resolve(section.table, values, *resolver, report)
                .map_err(|stopped| report.in_section(stopped, index))?;
        }
        Ok(true)
    }

    fn section(&mut self, index: u32, report: &mut Report) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        let Some(section) = self.klp.section(index, self.mapping, report)? else { return Ok(None) };
        let values = match &self.source {
            Source::Resolved { values, .. } => Values::Dense(values),
            Source::Applied(values) => Values::Symtab(*values),
        };
        let pass = Pass { table: section.table, values, rules: self.rules };
        Ok(section.target(self.mapping, report)?.map(|target| (pass, target)))
    }

    fn locate(&self, index: u32, stopped: Failed, report: &mut Report) -> Failed {
        report.in_section(stopped, index)
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.mapping.sync()
    }
}
