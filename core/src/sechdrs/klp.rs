//! The livepatch sections of one object: their symbols are resolved, and the sections are applied or
//! cleared together (Linux semantics 6, 7 and 10).

use super::{Mapping, Relocations};
use crate::abi::SYM_SIZE;
use crate::elf::{Section, SectionFlags, Strings, SymbolTable};
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

/// The livepatch sections of one object.
#[derive(Clone, Copy, Debug)]
pub struct Klp<'a> {
    pub(super) object: &'a [u8],
    pub(super) headers: Headers<'a>,
}

impl Klp<'_> {
    /// Resolves the symbols of all livepatch sections of the object and applies these sections, in
    /// the order of their indices, or changes nothing. Returns the number of sections.
    ///
    /// - `symbols` is the symbol table, and `strings` its string table. On success the call stores
    ///   the symbol values in `symbols`, where [`clear`](Self::clear) needs them.
    /// - The resolver's `exported` is not called. The call has no memory for all values, so it can
    ///   look up the symbol of a relocation several times: before the section is written, in each
    ///   phase of the pass, and after all sections to store the value in `symbols`. The resolver must
    ///   return the same result each time.
    ///
    /// # Errors
    /// - `BadSectionName`, `BadKlpSectionName`: the name of a livepatch section is malformed. It is
    ///   an error for every object, because Linux reads all names to find the sections of one.
    /// - `TargetNotAllocated`, `LateNotAllocated`: the target or the section is not `SHF_ALLOC`.
    ///   With "vmlinux" such a section is skipped.
    /// - `SymbolIndex`, `NotKlpSymbol`, `BadSymbolName`, `BadKlpSymbolName`, `VmlinuxFromModule`,
    ///   `KlpNotFound`, `KlpAmbiguous`, `KlpSympos`, `Resolver`: a symbol cannot be resolved.
    /// - `UnknownSymbol`: the resolver does not find a symbol that it has found before.
    /// - The errors of [`Sechdrs::apply`](super::Sechdrs::apply), except `NoSuchSection` and `SymbolUnresolved`.
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
        let pass = Pass::new(section.table, values, self.rules);
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
