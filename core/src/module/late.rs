//! Objects come and go: the late passes.

use super::Memory;
use super::retained::{Parts, SectionRecord, SymbolRecord};
use super::symbols::{Resolver, klp_value};
use crate::abi::{self, SYM_SIZE};
use crate::elf::{Rela, RelaTable};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::profile::Profile;
use crate::reloc::{Op, Pass, RelocFlags, Sections, SymtabValues, Target, Transaction, Values, list_errors};
use crate::report::{Failed, OnError, Report, capture};
use core::ops::Range;

/// A loaded module's late relocations. It borrows the buffer it was put into and nothing else: the file, the symbol
/// table and the symbol values may go.
#[derive(Debug)]
pub struct Late<'k> {
    kept: Parts<'k>,
    rules: RelocFlags,
    clears_on_going: bool,
}

impl<'k> Late<'k> {
    pub(super) fn new(kept: Parts<'k>, profile: &Profile) -> Self {
        // The values of its symbols come from the resolver, and 0 is no value there.
        let rules = profile.reloc_flags().union(RelocFlags::ALLOW_ZERO_SYMBOLS);
        Self { kept, rules, clears_on_going: profile.clears_on_going }
    }

    /// The object that each kept section belongs to, in section order, and whether it has come. An object with several
    /// sections is named several times.
    pub fn objects(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.kept.sections.iter().map(SectionRecord::read).filter_map(|record| {
            let object = self.object(&record);
            (!object.is_empty()).then_some((object, record.live != 0))
        })
    }

    /// The object number `index` of [`objects`](Self::objects), counted from 0. Takes time logarithmic in the number of kept
    /// sections.
    pub fn object_at(&self, index: u32) -> Option<(&[u8], bool)> {
        let at = self.kept.sections.partition_point(|record| SectionRecord::read(record).named <= index);
        let record = SectionRecord::read(self.kept.sections.get(at)?);
        Some((self.object(&record), record.live != 0))
    }

    /// `object` has come: resolves the symbols of its sections and applies them, in section order as Linux does
    /// (Linux semantics 10). All of them, or nothing is changed. Answers the number of sections: 0 when the module has
    /// none for that object, which is often a misspelt name.
    ///
    /// `memory` is the memory of the early pass. The resolver's `exported` is not called.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::AlreadyLive`]; else the first section, symbol or relocation that stops
    /// it. A livepatch section with a malformed name stops every object.
    pub fn coming<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
    ) -> Result<usize, Error> {
        capture(|report| self.pass(object, memory, Some(resolver), report))
    }

    /// `object` goes: verifies and clears every field that its coming wrote, the last first. All of them, or nothing is
    /// changed. Answers the number of sections. With a profile that does not clear (Linux before 6.3) nothing is
    /// written, and the object cannot come again into the same memory.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::NotLive`]; [`ErrorKind::TargetMismatch`] when somebody else changed a field.
    pub fn going<M: Memory + ?Sized>(&mut self, object: &[u8], memory: &mut M) -> Result<usize, Error> {
        capture(|report| self.pass(object, memory, None, report))
    }

    /// `object` comes, if there is a resolver; or it goes.
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
        let (numbers, mut sections) = (self.numbers(), LateSections { late: self, object, memory, resolver });
        let count = Transaction::new(&mut sections, numbers, op).run(report)?;
        self.set_live(object, comes);
        Ok(count)
    }

    /// Reports every fault that the coming of `object` can have, not only the one that stops it, and changes nothing
    /// in `memory`. Relocations are judged only in sections whose symbols are all known, and each by itself.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::AlreadyLive`].
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

    /// Section `number`, if the coming of `object` looks at it; or what is known to be wrong with it.
    fn check_section(
        &self,
        number: u32,
        object: &[u8],
        report: &mut Report,
    ) -> Result<Option<SectionRecord>, Failed> {
        let Some(record) = self.record(number) else { return Ok(None) };
        let whose = self.object(&record);
        match record.error() {
            _ if whose != object && !whose.is_empty() => Ok(None),
            Some(error) => Err(report.known(&error)),
            None => Ok(Some(record)),
        }
    }

    /// Gives the symbol of a relocation its value, if it is the section's symbol number `next`. Symbols are numbered in the
    /// order of their first use, so that each is asked for where Linux asks first.
    fn resolve(
        &mut self,
        record: &SectionRecord,
        entry: usize,
        next: &mut u32,
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let Some(rela) = self.relas(record).get(entry).filter(|rela| rela.r_sym == *next) else {
            return Ok(());
        };
        *next = next.saturating_add(1);
        let slot =
            record.first_symbol.checked_add(rela.r_sym).and_then(|symbol| usize::try_from(symbol).ok());
        let Some(slot) = slot.and_then(|slot| self.kept.symbols.get_mut(slot)) else { return Ok(()) };
        let mut symbol = SymbolRecord::read(slot);
        match symbol_value(&symbol, self.kept.text, resolver, report) {
            Ok(value) => {
                symbol.value = value;
                symbol.write(slot);
                Ok(())
            }
            Err(failed) => {
                let failed = (Rela { r_sym: symbol.symbol, ..rela }).locate(entry, failed, report);
                Err(report.in_section(failed, record.index))
            }
        }
    }

    fn relas(&self, record: &SectionRecord) -> RelaTable<'_> {
        RelaTable::from_entries(part(self.kept.relas, record.first_rela, record.relas))
    }

    /// The numbers of the kept sections. There are fewer than 2^32: the buffer's positions have 32 bits.
    fn numbers(&self) -> Range<u32> {
        0..u32::try_from(self.kept.sections.len()).unwrap_or(u32::MAX)
    }

    fn record(&self, number: u32) -> Option<SectionRecord> {
        self.kept.sections.get(usize::try_from(number).ok()?).map(SectionRecord::read)
    }

    /// Section `number`, if it is the object's.
    fn section(&self, number: u32, object: &[u8]) -> Option<LateSection<'_>> {
        let record = self.record(number)?;
        if self.object(&record) != object {
            return None;
        }
        let symbols = part(self.kept.symbols, record.first_symbol, record.symbols);
        Some(LateSection {
            table: self.relas(&record),
            record,
            symbols,
            values: SymtabValues::from_entries(symbols).into(),
        })
    }

    fn object(&self, record: &SectionRecord) -> &[u8] {
        part(self.kept.text, record.object, record.object_len)
    }

    fn check_is_live(&self, object: &[u8], wanted: bool, report: &mut Report) -> Result<(), Failed> {
        if object.is_empty() || object == abi::VMLINUX {
            return Err(report.fail(ErrorKind::NotAModule, object.len() as u64, 0));
        }
        let mut of_object = self.objects().filter(|(name, _)| *name == object).map(|(_, live)| live);
        match (of_object.next(), wanted) {
            (Some(true), false) => Err(report.fail(ErrorKind::AlreadyLive, 0, 0)),
            (Some(false), true) => Err(report.fail(ErrorKind::NotLive, 0, 0)),
            _ => Ok(()),
        }
    }

    fn set_live(&mut self, object: &[u8], live: bool) {
        for record in self.kept.sections.iter_mut() {
            let mut section = SectionRecord::read(record);
            if part(self.kept.text, section.object, section.object_len) == object {
                section.live = u32::from(live);
                section.write(record);
            }
        }
    }
}

/// The kept sections of an object that comes, if there is a resolver, or goes.
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
            let mut next = 0;
            for entry in 0..self.late.relas(&record).len() {
                let resolved = self.late.resolve(&record, entry, &mut next, *resolver, report);
                resolved.or_else(|failed| on_error(failed, report))?;
            }
        }
        Ok(self.late.section(number, self.object).is_some())
    }

    fn section(
        &mut self,
        number: u32,
        report: &mut Report,
    ) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        let Some(section) = self.late.section(number, self.object) else { return Ok(None) };
        if self.resolver.is_none() && !self.late.clears_on_going {
            return Ok(None);
        }
        let target = section.target(self.memory, report)?;
        Ok(target.map(|target| (section.pass(self.late.rules), target)))
    }

    fn locate(&self, number: u32, failed: Failed, report: &mut Report) -> Failed {
        match self.late.section(number, self.object) {
            Some(section) => report.known(&section.fault(report.error(failed))),
            None => failed,
        }
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.memory.sync()
    }
}

/// One section of the object in question.
struct LateSection<'a> {
    record: SectionRecord,
    table: RelaTable<'a>,
    symbols: &'a [[u8; SYM_SIZE]],
    values: Values<'a>,
}

impl<'a> LateSection<'a> {
    const fn pass(&self, rules: RelocFlags) -> Pass<'a> {
        Pass { table: self.table, values: self.values, rules }
    }

    /// The target, where it was when the module was loaded; `None` when there is nothing to relocate.
    fn target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        report: &mut Report,
    ) -> Result<Option<Target<'t>>, Failed> {
        let SectionRecord { target: index, address, size, .. } = self.record;
        if self.table.is_empty() {
            return Ok(None);
        }
        let failed = match memory.target(index) {
            None => report.fail(ErrorKind::NotAssigned, size, 0),
            Some(target) if target.address() != address => {
                report.fail(ErrorKind::SectionMoved, target.address(), address)
            }
            Some(target) if target.size() != size => {
                report.fail(ErrorKind::AssignedSize, target.size(), size)
            }
            Some(target) => return Ok(Some(target)),
        };
        Err(report.in_section(failed, index))
    }

    /// A fault in the file's numbers.
    fn fault(&self, error: &Error) -> Error {
        let symbol = error.symbol.and_then(|symbol| self.symbols.get(usize::try_from(symbol).ok()?));
        let symbol = symbol.map(|symbol| SymbolRecord::read(symbol).symbol);
        Error { symbol, ..*error }.in_section(self.record.index)
    }
}

/// Asks for the value of a kept symbol.
fn symbol_value(
    symbol: &SymbolRecord,
    text: &[u8],
    resolver: &mut dyn Resolver,
    report: &mut Report,
) -> Result<u64, Failed> {
    let text = text.get(usize::try_from(symbol.text).unwrap_or(usize::MAX)..).unwrap_or_default();
    let Some((number, names)) = text.split_first_chunk() else { return Ok(0) };
    let number = u64::from_le_bytes(*number);
    if let Some(kind) = ErrorKind::ALL.iter().find(|kind| **kind as i32 == symbol.problem) {
        return Err(report.fail(*kind, symbol.value, number));
    }
    let (object, names) = names.split_at_checked(usize::from(symbol.object_len)).unwrap_or_default();
    let name = names.get(..usize::from(symbol.name_len)).unwrap_or_default();
    klp_value(object, name, number, resolver, report)
}

/// `count` items from number `first` on.
fn part<T>(items: &[T], first: u32, count: u32) -> &[T] {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let end = usize::try_from(count).ok().and_then(|count| first.checked_add(count));
    end.and_then(|end| items.get(first..end)).unwrap_or_default()
}
