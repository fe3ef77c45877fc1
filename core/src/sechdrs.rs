//! Linux-shaped loaders: section headers in memory whose `sh_addr` say where each section is, and a resolved symbol
//! table (Linux semantics 9 to 12, without what Linux does not check).

use crate::abi::{self, SHDR_SIZE, SYM_SIZE, VMLINUX};
use crate::elf::{RelaTable, Section, SectionFlags, Strings, SymbolTable};
use crate::error::{Error, ErrorKind, HookError};
use crate::klp::RelaName;
use crate::profile::Profile;
use crate::read::u64_at;
use crate::reloc::{self, Pass, Rules, SymtabValues, Target, Transaction, Values, all_or_none};
use crate::symbols::{KlpSymbols, Resolver, first_fault};
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

    /// Section `index` as a target.
    ///
    /// # Errors
    /// [`ErrorKind::NotPlaced`] when it is not in memory, [`ErrorKind::TargetOverlaps`] when it is where it cannot be.
    fn target(&mut self, index: u32, section: &Section) -> Result<Target<'_>, ErrorKind>;

    /// Called once at the end of every pass over livepatch sections that wrote.
    ///
    /// # Errors
    /// Any number; the pass is undone and fails with [`ErrorKind::Sync`].
    fn sync(&mut self) -> Result<(), HookError> {
        Ok(())
    }
}

impl<'a> Sechdrs<'a> {
    /// Applies relocation section `index`, or changes nothing. `symbols` is the resolved symbol table.
    ///
    /// # Errors
    /// What is wrong with the section, and what [`reloc::apply`] answers.
    pub fn apply(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: Rules,
    ) -> Result<(), Error> {
        self.one(index, mapping, |table, target| reloc::apply(table, symbols.into(), target, rules))
    }

    /// Sets every field of relocation section `index` back to zero, or changes nothing. `symbols` must have the values
    /// that it was applied with.
    ///
    /// # Errors
    /// What is wrong with the section, and what [`reloc::clear`] answers.
    pub fn clear(
        &self,
        index: u32,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        rules: Rules,
    ) -> Result<(), Error> {
        self.one(index, mapping, |table, target| reloc::clear(table, symbols.into(), target, rules))
    }

    /// The livepatch sections of `object`: "vmlinux", or the name of a module. `names` are the section names.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] when `object` is empty.
    pub const fn klp(self, object: &'a [u8], names: Strings<'a>) -> Result<Klp<'a>, Error> {
        match object {
            [] => Err(ErrorKind::NotAModule.error(0, 0)),
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

    fn one(
        &self,
        index: u32,
        mapping: &mut dyn Mapping<'_>,
        act: impl FnOnce(RelaTable<'_>, &mut Target<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let section = self.relocations(index, mapping)?;
        match section.target(mapping)? {
            Some(mut target) => act(section.table, &mut target).map_err(|error| error.in_section(index)),
            None => Ok(()),
        }
    }

    /// Relocation section `index` with its target.
    fn relocations<'m>(&self, index: u32, mapping: &dyn Mapping<'m>) -> Result<Relocations<'m>, Error> {
        let count = u64::from(self.count());
        let header = self.header(index).ok_or(ErrorKind::NoSuchSection.error(u64::from(index), count))?;
        let at = |error: Error| error.in_section(index);
        match header.kind {
            abi::SHT_RELA => {}
            abi::SHT_REL => return Err(at(ErrorKind::RelSection.error(u64::from(header.info), 0))),
            kind => return Err(at(ErrorKind::NotRelocations.error(u64::from(kind), 0))),
        }
        let number = header.info;
        let target =
            self.header(number).ok_or(at(ErrorKind::TargetOutOfRange.error(u64::from(number), count)))?;
        let strings = self.header(self.symbols).map_or(0, |symbols| symbols.link);
        if number == self.symbols || number == strings {
            return Err(at(ErrorKind::TargetIsSymbolTable.error(u64::from(number), 0)));
        }
        let bytes = mapping.table(index, &header).ok_or(at(ErrorKind::NotPlaced.error(header.size, 0)))?;
        let table = RelaTable::new(bytes).map_err(at)?;
        Ok(Relocations { index, number, target, table })
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
    fn target<'t>(&self, mapping: &'t mut dyn Mapping<'_>) -> Result<Option<Target<'t>>, Error> {
        if self.table.is_empty() {
            return Ok(None);
        }
        match mapping.target(self.number, &self.target) {
            Ok(target) => Ok(Some(target)),
            Err(ErrorKind::NotPlaced) => {
                Err(ErrorKind::NotPlaced.error(self.target.size, 0).in_section(self.number))
            }
            Err(kind) => Err(kind.error(u64::from(self.number), 0).in_section(self.index)),
        }
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
        let short = ErrorKind::ValuesTooShort.error(values.len() as u64, symbols.len() as u64);
        let values = values.get_mut(..symbols.len()).ok_or(short)?;
        for (value, symbol) in values.iter_mut().zip(symbols.iter()) {
            *value = u64_at(symbol, 8).unwrap_or(0);
        }
        let table = SymbolTable::in_memory(symbols, strings, self.sechdrs.symbols);
        let applied = all_or_none(
            &mut Apply {
                klp: *self,
                symbols: KlpSymbols { symbols: table, profile, object: self.object },
                values,
                mapping,
                resolver,
                wrote: false,
            },
            self.sections(),
        )?;
        for index in self.sections() {
            let Some(section) = self.section(index, mapping)? else { continue };
            for rela in section.table.iter() {
                let Ok(symbol) = usize::try_from(rela.symbol) else { continue };
                if let (Some(symbol), Some(value)) = (symbols.get_mut(symbol), values.get(symbol)) {
                    set_value(symbol, *value);
                }
            }
        }
        Ok(applied)
    }

    /// Verifies and sets back to zero every field of all livepatch sections of the object, the last first: all of them,
    /// or nothing is changed. Answers the number of sections. `symbols` must have the values that
    /// [`apply`](Self::apply) has put there.
    ///
    /// # Errors
    /// [`ErrorKind::Mismatch`] when a field does not hold what was applied; what is wrong with a section.
    pub fn clear(
        &self,
        symbols: SymtabValues<'_>,
        mapping: &mut dyn Mapping<'_>,
        profile: Profile,
    ) -> Result<usize, Error> {
        let rules = profile.rules();
        let mut clear = Clear { klp: *self, values: symbols, mapping, rules, wrote: false };
        all_or_none(&mut clear, self.sections().rev())
    }

    fn sections(&self) -> Range<u32> {
        1..self.sechdrs.count()
    }

    /// Section `index`, if it is one of the object's.
    fn section<'m>(&self, index: u32, mapping: &dyn Mapping<'m>) -> Result<Option<Relocations<'m>>, Error> {
        let Some(header) = self.sechdrs.header(index) else { return Ok(None) };
        if !header.flags.contains(SectionFlags::RELA_LIVEPATCH) {
            return Ok(None);
        }
        let at = |error: Error| error.in_section(index);
        let outside =
            ErrorKind::BadSectionName.error(u64::from(header.name), self.names.bytes().len() as u64);
        let name = self.names.name(header.name).ok_or(at(outside))?;
        let name = RelaName::parse(name).ok_or(at(ErrorKind::BadKlpSectionName.error(0, 0)))?;
        if name.object != self.object {
            return Ok(None);
        }
        let target = self.sechdrs.header(header.info);
        let in_memory = |section: &Section| section.flags.contains(SectionFlags::ALLOC);
        if self.object == VMLINUX {
            // Linux passes over what it does not find in memory while it loads.
            return match target.is_some_and(|target| in_memory(&target)) {
                true => self.sechdrs.relocations(index, mapping).map(Some),
                false => Ok(None),
            };
        }
        if let Some(target) = target.filter(|target| !in_memory(target)) {
            let error = ErrorKind::TargetNotAllocated.error(u64::from(header.info), target.flags.bits());
            return Err(at(error));
        }
        if !in_memory(&header) {
            return Err(at(ErrorKind::LateNotAllocated.error(header.flags.bits(), 0)));
        }
        self.sechdrs.relocations(index, mapping).map(Some)
    }
}

/// Writes the `st_value` of a symbol.
fn set_value(symbol: &mut [u8; SYM_SIZE], value: u64) {
    for (to, from) in symbol.get_mut(8..16).unwrap_or_default().iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}

/// The sections of an object are applied: a step is a section.
struct Apply<'p, 'a, 'm> {
    klp: Klp<'a>,
    symbols: KlpSymbols<'p, 'p>,
    values: &'p mut [u64],
    mapping: &'p mut dyn Mapping<'m>,
    resolver: &'p mut dyn Resolver,
    /// Whether a step tried to write.
    wrote: bool,
}

impl Apply<'_, '_, '_> {
    fn section(&mut self, index: u32) -> Result<bool, Error> {
        let Some(section) = self.klp.section(index, self.mapping)? else { return Ok(false) };
        let at = |error: Error| error.in_section(index);
        let (values, resolver) = (&mut *self.values, &mut *self.resolver);
        first_fault(|on_fault| self.symbols.resolve(section.table, values, resolver, on_fault))
            .map_err(at)?;
        if let Some(mut target) = section.target(self.mapping)? {
            self.wrote = true;
            let rules = self.symbols.profile.rules();
            let pass = Pass { table: section.table, values: Values::Dense(self.values), rules };
            pass.apply_fields(&mut target).map_err(at)?;
        }
        Ok(true)
    }
}

impl Transaction for Apply<'_, '_, '_> {
    fn step(&mut self, index: u32) -> Result<bool, Error> {
        self.section(index)
    }

    fn undo(&mut self, index: u32) -> Result<(), Error> {
        let Some(section) = self.klp.section(index, self.mapping)? else { return Ok(()) };
        let Some(mut target) = section.target(self.mapping)? else { return Ok(()) };
        let rules = self.symbols.profile.rules();
        let pass = Pass { table: section.table, values: Values::Dense(self.values), rules };
        pass.undo_fields(&mut target).map_err(|error| error.in_section(index))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.wrote { self.mapping.sync() } else { Ok(()) }
    }
}

/// The sections of an object are cleared: a step is a section.
struct Clear<'p, 'a, 'm> {
    klp: Klp<'a>,
    values: SymtabValues<'p>,
    mapping: &'p mut dyn Mapping<'m>,
    rules: Rules,
    /// Whether a step tried to write.
    wrote: bool,
}

impl Transaction for Clear<'_, '_, '_> {
    fn step(&mut self, index: u32) -> Result<bool, Error> {
        let Some(section) = self.klp.section(index, self.mapping)? else { return Ok(false) };
        let pass = Pass { table: section.table, values: self.values.into(), rules: self.rules };
        if let Some(mut target) = section.target(self.mapping)? {
            self.wrote = true;
            pass.clear_fields(&mut target).map_err(|error| error.in_section(index))?;
        }
        Ok(true)
    }

    fn undo(&mut self, index: u32) -> Result<(), Error> {
        let Some(section) = self.klp.section(index, self.mapping)? else { return Ok(()) };
        let pass = Pass { table: section.table, values: self.values.into(), rules: self.rules };
        let Some(mut target) = section.target(self.mapping)? else { return Ok(()) };
        pass.reapply_fields(&mut target).map_err(|error| error.in_section(index))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.wrote { self.mapping.sync() } else { Ok(()) }
    }
}
