//! Relocation for loaders like Linux's: section headers in memory whose `sh_addr` are addresses,
//! and a resolved symbol table (Linux semantics 9 to 12). The bounds that Linux does not check are
//! checked.

use crate::abi::{self, SHDR_SIZE, SYM_SIZE};
use crate::elf::{RelaTable, Section, SectionFlags, Strings, SymbolTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::module::{Class, Headers, KlpSymbols, Resolver};
use crate::profile::Profile;
use crate::read::u64_at;
use crate::reloc::{Op, Pass, RelocFlags, Sections, SymtabValues, Target, Transaction, Values};
use crate::report::{Failed, OnError, Report, capture};
use core::ops::Range;

/// The section headers of a module in memory. Everything in them is checked before it is used.
#[derive(Clone, Copy, Debug)]
pub struct Sechdrs<'a> {
    /// The headers, section 0 included.
    pub headers: &'a [[u8; SHDR_SIZE]],
    /// Section index of the symbol table.
    pub symbols: u32,
}

/// The memory at the `sh_addr` of each section.
pub trait Mapping<'m> {
    /// Returns the bytes of relocation section `index`; `None` if they are not in memory.
    fn table(&self, index: u32, section: &Section) -> Option<&'m [u8]>;

    /// Returns section `index` as a target.
    ///
    /// # Errors
    /// - `NotAssigned`: the section is not in memory.
    /// - `TargetOverlaps`: it overlaps the section headers, the symbols, the names or a table that
    ///   [`table`](Self::table) has returned.
    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind>;

    /// Makes writes visible if sections are behind writers. A pass over livepatch sections calls it
    /// once at the end, and once more after a rollback.
    ///
    /// # Errors
    /// Any number. The pass is rolled back and fails with [`ErrorKind::Sync`].
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

impl<'a> Sechdrs<'a> {
    /// Applies relocation section `index`, or changes nothing.
    ///
    /// `symbols` is the resolved symbol table.
    ///
    /// # Errors
    /// - `NoSuchSection`: there is no section `index`, or it is 0.
    /// - `RelSection`, `NotRelocations`: the section is not of type RELA.
    /// - `TargetOutOfRange`, `TargetIsSymbolTable`, `TargetIsRelocations`: its target cannot be
    ///   relocated.
    /// - `PartialEntry`: its size is not a multiple of 24.
    /// - `NotAssigned`, `TargetOverlaps`, `AddressWraps`: memory is missing, or is not valid for
    ///   this.
    /// - The errors of [`reloc::apply`](crate::reloc::apply).
    pub fn apply(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        flags: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Apply, index, symbols, mapping, flags, report))
    }

    /// Sets every field of relocation section `index` back to zero, or changes nothing.
    ///
    /// `symbols` must have the values of [`apply`](Self::apply).
    ///
    /// # Errors
    /// - The errors of [`apply`](Self::apply) about the section and its memory.
    /// - The errors of [`reloc::clear`](crate::reloc::clear).
    pub fn clear(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        flags: RelocFlags,
    ) -> Result<(), Error> {
        capture(|report| self.run(Op::Clear, index, symbols, mapping, flags, report))
    }

    /// Returns the livepatch sections for `object`: "vmlinux", or the name of a module.
    ///
    /// `names` is the section name table.
    ///
    /// # Errors
    /// - `NotAModule`: `object` is empty.
    pub fn klp(self, object: &'a [u8], names: Strings<'a>) -> Result<Klp<'a>, Error> {
        match object {
            [] => Err(Error::new(ErrorKind::NotAModule, 0, 0)),
            _ => Ok(Klp { object, headers: self.headers(names) }),
        }
    }

    /// Returns the header of section `index`. `None` for section 0, which is unused.
    pub fn header(&self, index: u32) -> Option<Section> {
        let header = self.headers.get(usize::try_from(index).ok()?)?;
        Section::read(header).filter(|_| index != 0)
    }

    fn headers(&self, names: Strings<'a>) -> Headers<'a> {
        let strings = self.header(self.symbols).map_or(0, |symbols| symbols.sh_link);
        let symbol_tables = [self.symbols, strings];
        Headers { sections: self.headers, names, symbol_tables, ..Headers::EMPTY }
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
        let section = Relocations::read(&self.headers(Strings::new(&[])), index, mapping, report)?;
        let Some(mut target) = section.target(mapping, report)? else { return Ok(()) };
        let pass = Pass { table: section.table, values: symbols.into(), rules };
        pass.run(op, &mut target, report).map_err(|failed| report.in_section(failed, index))
    }
}

/// A relocation section whose entries are in memory.
struct Relocations<'m> {
    index: u32,
    table: RelaTable<'m>,
    /// Section index of the target.
    number: u32,
    target: Section,
}

impl<'m> Relocations<'m> {
    fn read(
        headers: &Headers<'_>,
        index: u32,
        mapping: &dyn Mapping<'m>,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let Some(header) = headers.section(index).filter(|_| index != 0) else {
            return Err(report.fail(ErrorKind::NoSuchSection, u64::from(index), u64::from(headers.count())));
        };
        let number = header.sh_info;
        let target = headers.section(number);
        let bytes = mapping.table(index, &header);
        let (table, rest) = RelaTable::whole_entries(bytes.unwrap_or_default());
        // Without relocations nothing is written while tables are read.
        let matters = |error: &ErrorKind| !table.is_empty() || *error != ErrorKind::TargetIsRelocations;
        let error = headers.target(number).error.filter(matters);
        let (kind, value, limit) = match (header.sh_type, error, target) {
            (abi::SHT_REL, ..) => (ErrorKind::RelSection, u64::from(header.sh_info), 0),
            (kind, ..) if kind != abi::SHT_RELA => (ErrorKind::NotRelocations, u64::from(kind), 0),
            (_, Some(kind), _) => return Err(headers.fail(index, &header, kind, report)),
            _ if bytes.is_none() => (ErrorKind::NotAssigned, header.sh_size, 0),
            _ if rest != 0 => (ErrorKind::PartialEntry, header.sh_size, rest as u64),
            (_, None, Some(target)) => return Ok(Self { index, number, table, target }),
            // There is an error for a target that does not exist.
            (_, None, None) => (ErrorKind::TargetOutOfRange, u64::from(header.sh_info), 0),
        };
        let failed = report.fail(kind, value, limit);
        Err(report.in_section(failed, index))
    }

    /// Returns the target; `None` if there is no relocation.
    fn target<'t>(
        &self,
        mapping: &'t mut dyn Mapping<'_>,
        report: &mut Report,
    ) -> Result<Option<Target<'t>>, Failed> {
        if self.table.is_empty() {
            return Ok(None);
        }
        let number = self.number;
        match mapping.target(number, &self.target) {
            Ok(target) => match target.check_address(report) {
                Ok(()) => Ok(Some(target)),
                Err(failed) => Err(report.in_section(failed, number)),
            },
            Err(ErrorKind::NotAssigned) => {
                let failed = report.fail(ErrorKind::NotAssigned, self.target.sh_size, 0);
                Err(report.in_section(failed, number))
            }
            Err(kind) => {
                let failed = report.fail(kind, u64::from(number), 0);
                Err(report.in_section(failed, self.index))
            }
        }
    }
}

/// The livepatch sections of one object.
#[derive(Clone, Copy, Debug)]
pub struct Klp<'a> {
    object: &'a [u8],
    headers: Headers<'a>,
}

impl Klp<'_> {
    /// Resolves the symbols of all livepatch sections of the object and applies these sections, in
    /// the order of their indices, or changes nothing. Returns the number of sections.
    ///
    /// - `symbols` is the symbol table, and `strings` its string table. On success the call stores
    ///   the symbol values in `symbols`, where [`clear`](Self::clear) needs them.
    /// - `values` is a caller-provided buffer with one entry for each symbol. The call overwrites
    ///   it.
    /// - The resolver's `exported` is not called.
    ///
    /// # Errors
    /// - `ValuesTooShort`: `values` is.
    /// - `BadSectionName`, `BadKlpSectionName`: the name of a livepatch section is malformed. It is
    ///   an error for every object, because Linux reads all names to find the sections of one.
    /// - `TargetNotAllocated`, `LateNotAllocated`: the target or the section is not `SHF_ALLOC`.
    ///   With "vmlinux" such a section is skipped.
    /// - `SymbolIndex`, `NotKlpSymbol`, `BadSymbolName`, `BadKlpSymbolName`, `VmlinuxFromModule`,
    ///   `KlpNotFound`, `KlpAmbiguous`, `KlpSympos`, `Resolver`: a symbol cannot be resolved.
    /// - The errors of [`Sechdrs::apply`], except `NoSuchSection` and `SymbolUnresolved`.
    pub fn apply(
        &self,
        symbols: &mut [[u8; SYM_SIZE]],
        strings: Strings<'_>,
        values: &mut [u64],
        mapping: &mut dyn Mapping<'_>,
        resolver: &mut dyn Resolver,
        profile: &Profile,
    ) -> Result<usize, Error> {
        let short = Error::new(ErrorKind::ValuesTooShort, values.len() as u64, symbols.len() as u64);
        let values = values.get_mut(..symbols.len()).ok_or(short)?;
        for (value, symbol) in values.iter_mut().zip(symbols.iter()) {
            *value = u64_at(symbol, 8).unwrap_or(0);
        }
        capture(|report| {
            let table = SymbolTable::in_memory(symbols, strings, self.headers.symbol_tables[0]);
            let klp_symbols = KlpSymbols { symbols: &table, profile, object: self.object };
            let source = Source::Resolved { symbols: &klp_symbols, values, resolver };
            let rules = profile.reloc_flags();
            let mut sections = KlpSections { klp: self, source, mapping, rules };
            let applied = Transaction::new(&mut sections, self.numbers(), Op::Apply, rules).run(report)?;
            for index in self.numbers() {
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

    /// Sets every field of all livepatch sections of the object back to zero, the last section
    /// first, or changes nothing. Returns the number of sections.
    ///
    /// `symbols` must have the values that [`apply`](Self::apply) has stored there.
    ///
    /// # Errors
    /// - `TargetMismatch`: a field does not hold the value that was applied.
    /// - The errors of [`apply`](Self::apply) about sections and memory.
    pub fn clear(
        &self,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        profile: &Profile,
    ) -> Result<usize, Error> {
        let source = Source::Applied(symbols);
        let rules = profile.reloc_flags();
        let mut sections = KlpSections { klp: self, source, mapping, rules };
        capture(|report| Transaction::new(&mut sections, self.numbers(), Op::Clear, rules).run(report))
    }

    fn numbers(&self) -> Range<u32> {
        1..self.headers.count()
    }

    /// Returns section `index` if it belongs to the object.
    fn section<'m>(
        &self,
        index: u32,
        mapping: &dyn Mapping<'m>,
        report: &mut Report,
    ) -> Result<Option<Relocations<'m>>, Failed> {
        let header = self.headers.section(index);
        let is_livepatch = |header: &Section| header.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
        let Some(header) = header.filter(is_livepatch) else { return Ok(None) };
        let class = self.headers.relocations(index, &header).map(|found| found.class);
        let Some(class) = class.filter(|class| class.concerns(self.object)) else { return Ok(None) };
        let malformed = match class {
            Class::Malformed { kind, .. } => Some(kind),
            _ => None,
        };
        match malformed {
            Some(ErrorKind::KlpNameOutside) => {
                let size = self.headers.names.bytes().len() as u64;
                let failed = report.fail(ErrorKind::BadSectionName, u64::from(header.sh_name), size);
                Err(report.in_section(failed, index))
            }
            Some(kind @ ErrorKind::BadKlpSectionName) => Err(self.headers.fail(index, &header, kind, report)),
            _ => {
                let relocations = Relocations::read(&self.headers, index, mapping, report)?;
                match malformed {
                    Some(kind) => Err(self.headers.fail(index, &header, kind, report)),
                    None => Ok(Some(relocations)),
                }
            }
        }
    }
}

/// Writes the `st_value` of a symbol.
fn set_value(symbol: &mut [u8; SYM_SIZE], value: u64) {
    for (to, from) in symbol.get_mut(8..16).unwrap_or_default().iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}

/// The source of symbol values.
enum Source<'p> {
    /// The pass resolves them.
    Resolved { symbols: &'p KlpSymbols<'p, 'p>, values: &'p mut [u64], resolver: &'p mut dyn Resolver },
    /// They are in the symbol table.
    Applied(SymtabValues<'p>),
}

/// The livepatch sections of an object.
struct KlpSections<'p, 'a, 'm> {
    klp: &'p Klp<'a>,
    source: Source<'p>,
    mapping: &'p mut dyn Mapping<'m>,
    rules: RelocFlags,
}

impl Sections for KlpSections<'_, '_, '_> {
    fn prepare(&mut self, index: u32, on_error: OnError<'_>, report: &mut Report) -> Result<bool, Failed> {
        let Some(section) = self.klp.section(index, self.mapping, report)? else { return Ok(false) };
        if let Source::Resolved { symbols, values, resolver } = &mut self.source {
            let on_error =
                &mut |failed, report: &mut Report| on_error(report.in_section(failed, index), report);
            symbols.resolve(section.table, values, *resolver, on_error, report)?;
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

    fn locate(&self, index: u32, failed: Failed, report: &mut Report) -> Failed {
        report.in_section(failed, index)
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.mapping.sync()
    }
}
