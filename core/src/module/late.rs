//! The late passes: the target modules of a livepatch are loaded and unloaded.

use super::early::Loaded;
use super::retained::{self, Parts, SectionRecord, SymbolRecord};
use super::{Memory, Resolver, check_object, klp_value};
use crate::abi::SYM_SIZE;
use crate::elf::{Rela, RelaTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::error_text::{ErrorNames, SymbolName};
use crate::profile::Profile;
use crate::reloc::{Op, Pass, RelocFlags, Sections, SymtabValues, Target, Transaction, list_errors};
use crate::report::{Failed, OnError, Report, capture};
use core::ops::Range;

/// The late relocations of a loaded module. It borrows the buffer of the retained state and nothing
/// else.
#[derive(Debug)]
pub struct Late<'k> {
    retained: Parts<'k>,
    flags: RelocFlags,
    clears_on_going: bool,
}

impl Loaded<'_> {
    /// Stores the retained state in `buffer`: everything that the late passes need. After that, the
    /// file and the symbol values may go. `memory` is the memory of the early pass.
    ///
    /// - `scratch` is a caller-provided buffer with one entry for each symbol. The call overwrites
    ///   it.
    /// - `buffer` is a caller-provided buffer of [`retained_size`](Self::retained_size) bytes. The
    ///   result borrows it.
    ///
    /// # Errors
    /// - `RetainedTooShort`, `ValuesTooShort`: `buffer` or `scratch` is too short.
    pub fn retain<'k, M: Memory + ?Sized>(
        &self,
        memory: &mut M,
        scratch: &mut [u64],
        buffer: &'k mut [u8],
    ) -> Result<Late<'k>, Error> {
        capture(|report| {
            let parts = retained::store(&self.module, memory, scratch, buffer, report)?;
            Ok(Late::new(parts, self.module.profile()))
        })
    }
}

impl<'k> Late<'k> {
    pub(super) fn new(retained: Parts<'k>, profile: &Profile) -> Self {
        // The resolver has returned all values, and refuses 0.
        let flags = profile.reloc_flags().union(RelocFlags::ALLOW_ZERO_SYMBOLS);
        Self { retained, flags, clears_on_going: profile.clears_on_going }
    }

    /// Returns the object of each late section, in section order, and whether its relocations are
    /// applied. An object with several sections is returned several times.
    pub fn objects(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.retained.sections.iter().map(SectionRecord::read).filter_map(|record| {
            let object = self.object(&record);
            (!object.is_empty()).then_some((object, record.live != 0))
        })
    }

    /// Returns item `index` of [`objects`](Self::objects), counted from 0. The time is logarithmic
    /// in the number of late sections.
    pub fn object_at(&self, index: u32) -> Option<(&[u8], bool)> {
        let sections = &self.retained.sections;
        let at = sections.partition_point(|record| SectionRecord::read(record).named <= index);
        let record = SectionRecord::read(sections.get(at)?);
        Some((self.object(&record), record.live != 0))
    }

    /// Returns the names of object and symbol for a symbol index of the file. The time is linear in
    /// the number of retained symbols.
    pub(super) fn retained_name(&self, symbol: u32) -> Option<(&[u8], &[u8])> {
        let mut records = self.retained.symbols.iter().map(SymbolRecord::read);
        let record = records.find(|record| record.symbol == symbol && record.name_len != 0)?;
        record.parts(self.retained.text).map(|(_, object, name)| (object, name))
    }

    /// Applies the relocations for `object` when it is loaded, or changes nothing. Returns the
    /// number of its sections. 0 often means that the name is misspelt.
    ///
    /// The symbols of each section are resolved, then its relocations are applied, in section order
    /// as Linux does (Linux semantics 10). `memory` is the memory of the early pass. The resolver's
    /// `exported` is not called.
    ///
    /// # Errors
    /// - `NotAModule`: `object` is empty or "vmlinux".
    /// - `AlreadyLive`: the relocations are already applied.
    /// - The error of a [`Malformed`](crate::Class::Malformed) section. A section with a malformed
    ///   name is an error for every object.
    /// - The errors of [`Module::resolve_livepatch`](crate::Module::resolve_livepatch).
    /// - `NotAssigned`, `SectionMoved`, `AssignedSize`: the memory is not that of the early pass.
    /// - The errors of [`reloc::apply`](crate::reloc::apply).
    pub fn coming<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
    ) -> Result<usize, Error> {
        capture(|report| self.pass(object, memory, Some(resolver), report))
    }

    /// Clears every field that [`coming`](Self::coming) wrote for `object` when it is unloaded, the
    /// last field first, or changes nothing. Returns the number of its sections.
    ///
    /// With a profile that does not clear (Linux before 6.3), nothing is written. Then the object
    /// cannot be loaded again into the same memory.
    ///
    /// # Errors
    /// - `NotAModule`: `object` is empty or "vmlinux".
    /// - `NotLive`: the relocations are not applied.
    /// - `NotAssigned`, `SectionMoved`, `AssignedSize`: the memory is not that of the early pass.
    /// - The errors of [`reloc::clear`](crate::reloc::clear).
    pub fn going<M: Memory + ?Sized>(&mut self, object: &[u8], memory: &mut M) -> Result<usize, Error> {
        capture(|report| self.pass(object, memory, None, report))
    }

    /// Applies the relocations for `object` if there is a resolver, or clears them.
    fn pass<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: Option<&mut dyn Resolver>,
        report: &mut Report,
    ) -> Result<usize, Failed> {
        let comes = resolver.is_some();
        self.check_is_live(object, !comes, report)?;
        let op = if comes { Op::Apply } else { Op::Clear };
        let (numbers, rules) = (self.numbers(), self.flags);
        let mut sections = LateSections { late: self, object, memory, resolver };
        let count = Transaction::new(&mut sections, numbers, op, rules).run(report)?;
        self.set_live(object, comes);
        Ok(count)
    }

    /// Reports every error that [`coming`](Self::coming) can return, and changes nothing in
    /// `memory`.
    ///
    /// The relocations of a section are checked only if all its symbols have values, and each by
    /// itself.
    ///
    /// # Errors
    /// - `NotAModule`, `AlreadyLive`: as `coming`.
    pub fn errors<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) -> Result<(), Error> {
        capture(|report| self.check_is_live(object, false, report))?;
        let numbers = self.numbers();
        let mut sections = LateSections { late: self, object, memory, resolver: Some(resolver) };
        list_errors(&mut sections, numbers, report);
        Ok(())
    }

    /// Returns section `number` if the object needs it. `None` for other objects' sections.
    fn check_section(
        &self,
        number: u32,
        object: &[u8],
        report: &mut Report,
    ) -> Result<Option<SectionRecord>, Failed> {
        let Some(record) = self.record(number) else { return Ok(None) };
        let of = self.object(&record);
        match record.error() {
            _ if of != object && !of.is_empty() => Ok(None),
            Some(error) => Err(report.known(&error)),
            None => Ok(Some(record)),
        }
    }

    /// Resolves the symbols of a section. They are numbered in the order of their first use, so
    /// that each is resolved at the relocation at which Linux resolves it first.
    fn resolve(
        &mut self,
        record: &SectionRecord,
        resolver: &mut dyn Resolver,
        on_error: OnError<'_>,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let Parts { symbols, relas, text, .. } = &mut self.retained;
        let relas = RelaTable::from_entries(part(relas, record.first_rela, record.relas));
        let first = usize::try_from(record.first_symbol).unwrap_or(usize::MAX);
        let mut symbols = symbols.get_mut(first..).unwrap_or_default().iter_mut();
        let mut next = 0u32;
        for (entry, rela) in relas.numbered() {
            if rela.r_sym != next {
                continue;
            }
            next = next.wrapping_add(1);
            let Some(slot) = symbols.next() else { break };
            let mut symbol = SymbolRecord::read(slot);
            match symbol_value(&symbol, text, resolver, report) {
                Ok(value) => {
                    symbol.value = value;
                    symbol.write(slot);
                }
                Err(failed) => {
                    let failed = (Rela { r_sym: symbol.symbol, ..rela }).locate(entry, failed, report);
                    on_error(report.in_section(failed, record.index), report)?;
                }
            }
        }
        Ok(())
    }

    /// The numbers of the late sections. They have 32 bits, as all indices in the buffer.
    fn numbers(&self) -> Range<u32> {
        0..u32::try_from(self.retained.sections.len()).unwrap_or(u32::MAX)
    }

    fn record(&self, number: u32) -> Option<SectionRecord> {
        self.retained.sections.get(usize::try_from(number).ok()?).map(SectionRecord::read)
    }

    /// Returns section `number` if it is one of the object's.
    fn section(&self, number: u32, object: &[u8]) -> Option<LateSection<'_>> {
        let record = self.record(number)?;
        let Parts { symbols, relas, .. } = &self.retained;
        (self.object(&record) == object).then(|| LateSection {
            table: RelaTable::from_entries(part(relas, record.first_rela, record.relas)),
            symbols: part(symbols, record.first_symbol, record.symbols),
            record,
        })
    }

    fn object(&self, record: &SectionRecord) -> &[u8] {
        part(self.retained.text, record.object, record.object_len)
    }

    fn check_is_live(&self, object: &[u8], wanted: bool, report: &mut Report) -> Result<(), Failed> {
        check_object(object, report)?;
        let mut of_object = self.objects().filter(|(name, _)| *name == object).map(|(_, live)| live);
        match (of_object.next(), wanted) {
            (Some(true), false) => Err(report.fail(ErrorKind::AlreadyLive, 0, 0)),
            (Some(false), true) => Err(report.fail(ErrorKind::NotLive, 0, 0)),
            _ => Ok(()),
        }
    }

    fn set_live(&mut self, object: &[u8], live: bool) {
        for record in self.retained.sections.iter_mut() {
            let mut section = SectionRecord::read(record);
            if part(self.retained.text, section.object, section.object_len) == object {
                section.live = u32::from(live);
                section.write(record);
            }
        }
    }
}

impl ErrorNames for Late<'_> {
    /// Section names are not retained.
    fn section_name(&self, _: u32) -> Option<&[u8]> {
        None
    }

    fn symbol_name(&self, symbol: u32) -> Option<SymbolName<'_>> {
        let (object, name) = self.retained_name(symbol)?;
        Some(SymbolName { name, object: Some(object) })
    }
}

/// The sections of a late pass. It applies if there is a resolver, and clears otherwise.
struct LateSections<'a, 'k, 'r, M: ?Sized> {
    late: &'a mut Late<'k>,
    object: &'a [u8],
    memory: &'a mut M,
    resolver: Option<&'r mut dyn Resolver>,
}

impl<M: Memory + ?Sized> Sections for LateSections<'_, '_, '_, M> {
    fn prepare(&mut self, number: u32, on_error: OnError<'_>, report: &mut Report) -> Result<bool, Failed> {
        if let Some(resolver) = &mut self.resolver
            && let Some(record) = self.late.check_section(number, self.object, report)?
        {
            self.late.resolve(&record, *resolver, on_error, report)?;
        }
        Ok(self.late.section(number, self.object).is_some())
    }

    fn section(
        &mut self,
        number: u32,
        report: &mut Report,
    ) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        let Some(section) = self.late.section(number, self.object) else { return Ok(None) };
        if self.resolver.is_none() && !self.late.clears_on_going || section.table.is_empty() {
            return Ok(None);
        }
        let target = section.target(self.memory, report)?;
        let values = SymtabValues::from_entries(section.symbols).into();
        Ok(Some((Pass::new(section.table, values, self.late.flags), target)))
    }

    /// Replaces the number of the symbol in its section by its index in the file.
    fn locate(&self, number: u32, failed: Failed, report: &mut Report) -> Failed {
        let Some(section) = self.late.section(number, self.object) else { return failed };
        let error = *report.error(failed);
        let symbol = error.symbol.and_then(|symbol| section.symbols.get(usize::try_from(symbol).ok()?));
        let symbol = symbol.map(|symbol| SymbolRecord::read(symbol).symbol);
        report.known(&Error { symbol, ..error }.in_section(section.record.index))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.memory.sync()
    }
}

/// One late section of the object.
struct LateSection<'a> {
    record: SectionRecord,
    table: RelaTable<'a>,
    symbols: &'a [[u8; SYM_SIZE]],
}

impl LateSection<'_> {
    /// Returns the target if it is where it was in the early pass.
    fn target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        report: &mut Report,
    ) -> Result<Target<'t>, Failed> {
        let SectionRecord { target: index, address, size, .. } = self.record;
        let failed = match memory.target(index) {
            None => report.fail(ErrorKind::NotAssigned, size, 0),
            Some(target) if target.address() != address => {
                report.fail(ErrorKind::SectionMoved, target.address(), address)
            }
            Some(target) if target.size() != size => {
                report.fail(ErrorKind::AssignedSize, target.size(), size)
            }
            Some(target) => return Ok(target),
        };
        Err(report.in_section(failed, index))
    }
}

/// Resolves a retained symbol, or returns the error that was retained instead.
fn symbol_value(
    symbol: &SymbolRecord,
    text: &[u8],
    resolver: &mut dyn Resolver,
    report: &mut Report,
) -> Result<u64, Failed> {
    let Some((number, object, name)) = symbol.parts(text) else { return Ok(0) };
    if let Some(kind) = ErrorKind::from_number(symbol.error) {
        return Err(report.fail(kind, symbol.value, number));
    }
    klp_value(object, name, number, resolver, report)
}

/// Returns `count` items from number `first` on.
fn part<T>(items: &[T], first: u32, count: u32) -> &[T] {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let end = usize::try_from(count).ok().and_then(|count| first.checked_add(count));
    end.and_then(|end| items.get(first..end)).unwrap_or_default()
}
