//! Relocation for loaders like Linux's: section headers in memory whose `sh_addr` are addresses,
//! and a resolved symbol table (Linux semantics 9 to 12). The bounds that Linux does not check are
//! checked.

use crate::abi::{self, SHDR_SIZE, SYM_SIZE};
use crate::elf::{RelaTable, Section, SectionFlags, Strings, SymbolTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::klp::SymName;
use crate::module::{Class, Headers, KlpSymbols, Resolver, klp_value};
use crate::profile::Profile;
use crate::reloc::{
    Op, Pass, RelocFlags, Sections, SymtabValues, Target, Transaction, ValueError, ValueSource, Values,
};
use crate::report::{Failed, OnError, Report, capture};
use core::cell::Cell;
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
    /// Returns the bytes of relocation section `index`.
    ///
    /// # Errors
    /// - `NotAssigned`: the section is not in memory.
    /// - `AddressWraps`: the section would end after the end of the address space.
    /// - `TableOverlaps`: it overlaps memory that the call writes.
    fn table(&self, index: u32, section: &Section) -> Result<&'m [u8], ErrorKind>;

    /// Returns section `index` as a target.
    ///
    /// # Errors
    /// - `NotAssigned`, `AddressWraps`: as in [`table`](Self::table).
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

    /// Returns the header of the symbol table. The table has `sh_size` / 24 symbols.
    ///
    /// # Errors
    /// - `NoSuchSection`: there is no section [`symbols`](Self::symbols), or it is 0.
    /// - `PartialEntry`: its size is not a multiple of 24.
    pub fn symbol_table(&self) -> Result<Section, Error> {
        const SIZE: u64 = SYM_SIZE as u64;
        let (index, headers) = (self.symbols, self.headers(Strings::new(&[])));
        let Some(table) = headers.section(index).filter(|_| index != 0) else {
            return Err(Error::new(ErrorKind::NoSuchSection, u64::from(index), u64::from(headers.count())));
        };
        match table.sh_size % SIZE {
            0 => Ok(table),
            rest => Err(Error::new(ErrorKind::PartialEntry, table.sh_size, rest).in_section(index)),
        }
    }

    /// Returns the number of headers up to the last one that [`apply`](Self::apply) and
    /// [`clear`](Self::clear) read for section `index`: they read its own header, that of the symbol
    /// table, and that of the target.
    ///
    /// This is for loaders that do not know the number of headers. `headers` must reach to section
    /// `index` and to the symbol table.
    pub fn headers_used(&self, index: u32) -> usize {
        let header = self.headers(Strings::new(&[])).section(index);
        let target =
            header.filter(|header| header.sh_type == abi::SHT_RELA).map_or(0, |header| header.sh_info);
        let last = index.max(self.symbols).max(target);
        usize::try_from(last).map_or(usize::MAX, |last| last.saturating_add(1))
    }

    fn headers(&self, names: Strings<'a>) -> Headers<'a> {
        let headers = Headers { sections: self.headers, names, ..Headers::EMPTY };
        let strings = headers.section(self.symbols).map_or(0, |symbols| symbols.sh_link);
        Headers { symbol_tables: [self.symbols, strings], ..headers }
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
        let (kind, value, limit) = match (header.sh_type, error, bytes, target) {
            (abi::SHT_REL, ..) => (ErrorKind::RelSection, u64::from(header.sh_info), 0),
            (kind, ..) if kind != abi::SHT_RELA => (ErrorKind::NotRelocations, u64::from(kind), 0),
            (_, Some(kind), ..) => return Err(headers.fail(index, &header, kind, report)),
            (_, None, Err(kind), _) => return Err(no_memory(kind, index, &header, report)),
            _ if rest != 0 => (ErrorKind::PartialEntry, header.sh_size, rest as u64),
            (_, None, Ok(_), Some(target)) => return Ok(Self { index, number, table, target }),
            // There is an error for a target that does not exist.
            (_, None, Ok(_), None) => (ErrorKind::TargetOutOfRange, u64::from(header.sh_info), 0),
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
            Err(kind @ (ErrorKind::NotAssigned | ErrorKind::AddressWraps)) => {
                Err(no_memory(kind, number, &self.target, report))
            }
            Err(kind) => {
                let failed = report.fail(kind, u64::from(number), 0);
                Err(report.in_section(failed, self.index))
            }
        }
    }
}

/// Stores why section `index` is not in memory.
#[cold]
fn no_memory(kind: ErrorKind, index: u32, section: &Section, report: &mut Report) -> Failed {
    let failed = match kind {
        ErrorKind::AddressWraps => report.fail(kind, section.sh_addr, section.sh_size),
        _ => report.fail(kind, section.sh_size, 0),
    };
    report.in_section(failed, index)
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
    /// - The resolver's `exported` is not called. Its `nth_symbol` may be asked several times for
    ///   a symbol, because the call has no memory for the values of all symbols: for a check before
    ///   the section is written, for each phase of the pass, and after all sections to store the
    ///   value in `symbols`. It must return the same result each time.
    ///
    /// # Errors
    /// - `BadSectionName`, `BadKlpSectionName`: the name of a livepatch section is malformed. It is
    ///   an error for every object, because Linux reads all names to find the sections of one.
    /// - `TargetNotAllocated`, `LateNotAllocated`: the target or the section is not `SHF_ALLOC`.
    ///   With "vmlinux" such a section is skipped.
    /// - `SymbolIndex`, `NotKlpSymbol`, `BadSymbolName`, `BadKlpSymbolName`, `VmlinuxFromModule`,
    ///   `KlpNotFound`, `KlpAmbiguous`, `KlpSympos`, `Resolver`: a symbol cannot be resolved.
    /// - `UnknownSymbol`: the resolver does not find a symbol that it has found before.
    /// - The errors of [`Sechdrs::apply`], except `NoSuchSection` and `SymbolUnresolved`.
    ///
    /// If the resolver fails while the values are stored, after it has succeeded for the same
    /// symbols, the sections are rolled back, but some symbols have their new values.
    pub fn apply(
        &self,
        symbols: &mut [[u8; SYM_SIZE]],
        strings: Strings<'_>,
        mapping: &mut dyn Mapping<'_>,
        resolver: &mut dyn Resolver,
        profile: &Profile,
    ) -> Result<usize, Error> {
        let mut values = Resolved {
            klp: *self,
            symbols,
            strings,
            profile,
            resolver: Cell::new(Some(resolver)),
            cache: [const { Cell::new(None) }; CACHE],
        };
        self.run(Op::Apply, Source::Resolver(&mut values), mapping, profile)
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
        self.run(Op::Clear, Source::Symtab(symbols), mapping, profile)
    }

    fn run(
        &self,
        op: Op,
        source: Source<'_, '_>,
        mapping: &mut dyn Mapping<'_>,
        profile: &Profile,
    ) -> Result<usize, Error> {
        let rules = profile.reloc_flags();
        let mut sections = KlpSections { klp: self, source, mapping, rules };
        capture(|report| Transaction::new(&mut sections, self.numbers(), op, rules).run(report))
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

/// The source of symbol values.
enum Source<'s, 'p> {
    /// The resolver.
    Resolver(&'s mut Resolved<'p>),
    /// The symbol table, where an earlier pass has stored them.
    Symtab(SymtabValues<'p>),
}

/// Number of values that are cached, so that the resolver is called once for each symbol of a
/// usual section.
const CACHE: usize = 8;

/// Symbol values from the resolver.
struct Resolved<'p> {
    klp: Klp<'p>,
    symbols: &'p mut [[u8; SYM_SIZE]],
    strings: Strings<'p>,
    profile: &'p Profile,
    /// `None` while it is called.
    resolver: Cell<Option<&'p mut dyn Resolver>>,
    /// Symbols with their values. The place of a symbol is its index modulo the size.
    cache: [Cell<Option<(u32, u64)>>; CACHE],
}

impl Resolved<'_> {
    /// Returns the value of symbol `index`.
    fn resolve(&self, index: u32, report: &mut Report) -> Result<u64, Failed> {
        let cached = usize::try_from(index).ok().and_then(|index| self.cache.get(index % CACHE));
        if let Some((_, value)) = cached.and_then(Cell::get).filter(|(cached, _)| *cached == index) {
            return Ok(value);
        }
        let symbols = SymbolTable::in_memory(self.symbols, self.strings, self.klp.headers.symbol_tables[0]);
        let symbols = KlpSymbols { symbols: &symbols, profile: self.profile, object: self.klp.object };
        let SymName { object, name, sympos, .. } = symbols.name(index, report)?;
        let Some(resolver) = self.resolver.take() else {
            return Err(report.fail(ErrorKind::KlpNotFound, sympos, 0));
        };
        let value = klp_value(object, name, sympos, resolver, report);
        self.resolver.set(Some(resolver));
        if let (Ok(value), Some(cached)) = (value, cached) {
            cached.set(Some((index, value)));
        }
        value
    }

    /// Writes the `st_value` of symbol `index`.
    fn store(&mut self, index: u32, value: u64) {
        let symbol = usize::try_from(index).ok().and_then(|index| self.symbols.get_mut(index));
        let field = symbol.and_then(|symbol| symbol.get_mut(8..16)).unwrap_or_default();
        for (to, from) in field.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
    }
}

impl ValueSource for Resolved<'_> {
    fn value(&self, symbol: u32) -> Result<Option<u64>, ValueError> {
        match capture(|report| self.resolve(symbol, report)) {
            Ok(value) => Ok(Some(value)),
            Err(Error { kind: ErrorKind::Resolver, value, .. }) => {
                let number = i32::try_from(value.cast_signed()).unwrap_or(i32::MIN);
                Err(ValueError::Failed(CallbackError(number)))
            }
            Err(_) => Err(ValueError::NotFound),
        }
    }

    fn may_skip(&self) -> bool {
        false
    }
}

/// The livepatch sections of an object.
struct KlpSections<'p, 's, 'a, 'm> {
    klp: &'p Klp<'a>,
    source: Source<'p, 's>,
    mapping: &'p mut dyn Mapping<'m>,
    rules: RelocFlags,
}

impl Sections for KlpSections<'_, '_, '_, '_> {
    /// Resolves all symbols of the section before it is written, as Linux does.
    fn prepare(&mut self, index: u32, on_error: OnError<'_>, report: &mut Report) -> Result<bool, Failed> {
        let Some(section) = self.klp.section(index, self.mapping, report)? else { return Ok(false) };
        if let Source::Resolver(values) = &self.source {
            for (entry, rela) in section.table.numbered() {
                if let Err(failed) = values.resolve(rela.r_sym, report) {
                    let failed = rela.locate(entry, failed, report);
                    on_error(report.in_section(failed, index), report)?;
                }
            }
        }
        Ok(true)
    }

    fn section(&mut self, index: u32, report: &mut Report) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        let Some(section) = self.klp.section(index, self.mapping, report)? else { return Ok(None) };
        let values = match &self.source {
            Source::Resolver(values) => Values::Source { count: values.symbols.len(), source: &**values },
            Source::Symtab(values) => Values::Symtab(*values),
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

    /// Stores the symbol values. This comes last, because the old values cannot be restored.
    fn finish(&mut self, report: &mut Report) -> Result<(), Failed> {
        let Source::Resolver(values) = &mut self.source else { return Ok(()) };
        for index in self.klp.numbers() {
            let Some(section) = self.klp.section(index, self.mapping, report)? else { continue };
            for (entry, rela) in section.table.numbered() {
                match values.resolve(rela.r_sym, report) {
                    Ok(value) => values.store(rela.r_sym, value),
                    Err(failed) => {
                        let failed = rela.locate(entry, failed, report);
                        return Err(report.in_section(failed, index));
                    }
                }
            }
        }
        Ok(())
    }
}
