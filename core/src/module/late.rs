//! Objects come and go: the late passes.

use super::Memory;
use super::kept::{Parts, SectionRecord, SymbolRecord};
use crate::abi::{self, SYM_SIZE};
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind};
use crate::profile::Profile;
use crate::reloc::{self, Pass, SymtabValues, Target};
use crate::symbols::{OnFault, Resolver, at_rela, every_fault, first_fault, klp_value};
use core::ops::ControlFlow;

/// A loaded module's late relocations. It borrows the buffer it was put into and nothing else: the file, the symbol
/// table and the symbol values may go.
#[derive(Debug)]
pub struct Late<'k> {
    kept: Parts<'k>,
    profile: Profile,
}

impl<'k> Late<'k> {
    pub(super) const fn new(kept: Parts<'k>, profile: Profile) -> Self {
        Self { kept, profile }
    }

    /// The object that each kept section belongs to, in section order, and whether it has come. An object with several
    /// sections is named several times.
    pub fn objects(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.kept.sections.iter().map(SectionRecord::read).filter_map(|record| {
            let object = self.object(&record);
            (!object.is_empty()).then_some((object, record.live != 0))
        })
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
        self.check_is_live(object, false)?;
        let mut applied = 0usize;
        let mut wrote = false;
        let mut failed = None;
        for number in 0..self.kept.sections.len() {
            match self.section_coming(number, object, memory, resolver, &mut wrote) {
                Ok(sections) => applied = applied.saturating_add(sections),
                Err(error) => {
                    failed = Some((number, error));
                    break;
                }
            }
        }
        let (end, error) = match failed {
            Some(failed) => failed,
            None if applied == 0 => return Ok(0),
            None => match memory.sync() {
                Ok(()) => {
                    self.set_live(object, true);
                    return Ok(applied);
                }
                Err(error) => (self.kept.sections.len(), ErrorKind::Sync.error(error.number(), 0)),
            },
        };
        for number in (0..end).rev() {
            let Some(section) = self.section(number, object) else { continue };
            if let Some(mut target) = section.target(memory)? {
                section.pass(&self.profile).undo_fields(&mut target).map_err(|error| section.fault(error))?;
            }
        }
        if wrote {
            // Whatever this answers, the fault is the first one.
            let _ = memory.sync();
        }
        Err(error)
    }

    /// `object` goes: verifies and clears every field that its coming wrote, the last first. All of them, or nothing is
    /// changed. Answers the number of sections. With a profile that does not clear (Linux before 6.3) nothing is
    /// written, and the object cannot come again into the same memory.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::NotLive`]; [`ErrorKind::Mismatch`] when somebody else changed a field.
    pub fn going<M: Memory + ?Sized>(&mut self, object: &[u8], memory: &mut M) -> Result<usize, Error> {
        self.check_is_live(object, true)?;
        let mut cleared = 0usize;
        let mut wrote = false;
        let mut failed = None;
        for number in (0..self.kept.sections.len()).rev() {
            match self.section_going(number, object, memory, &mut wrote) {
                Ok(sections) => cleared = cleared.saturating_add(sections),
                Err(error) => {
                    failed = Some((number.saturating_add(1), error));
                    break;
                }
            }
        }
        let (from, error) = match failed {
            Some(failed) => failed,
            None => match wrote.then(|| memory.sync()) {
                None | Some(Ok(())) => {
                    self.set_live(object, false);
                    return Ok(cleared);
                }
                Some(Err(error)) => (0, ErrorKind::Sync.error(error.number(), 0)),
            },
        };
        for number in from..self.kept.sections.len() {
            let Some(section) = self.section(number, object) else { continue };
            if let Some(mut target) = section.target(memory)? {
                section
                    .pass(&self.profile)
                    .reapply_fields(&mut target)
                    .map_err(|error| section.fault(error))?;
            }
        }
        if wrote {
            let _ = memory.sync();
        }
        Err(error)
    }

    /// Reports every fault that the coming of `object` can have, not only the one that stops it, and changes nothing
    /// in `memory`. Relocations are judged only in sections whose symbols are all known, and each by itself.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::AlreadyLive`].
    pub fn faults<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) -> Result<(), Error> {
        self.check_is_live(object, false)?;
        let rules = self.profile.rules();
        for number in 0..self.kept.sections.len() {
            if !every_fault(report, |on_fault| self.prepare(number, object, resolver, on_fault)) {
                continue;
            }
            let Some(section) = self.section(number, object) else { continue };
            match section.target(memory) {
                Ok(Some(mut target)) => reloc::faults(section.table, &section.values, &mut target, rules)
                    .for_each(|error| report(section.fault(error))),
                Ok(None) => {}
                Err(error) => report(error),
            }
        }
        Ok(())
    }

    /// Applies one section, if it is the object's; answers how many that were. `wrote` tells of an attempt to write.
    fn section_coming<M: Memory + ?Sized>(
        &mut self,
        number: usize,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
        wrote: &mut bool,
    ) -> Result<usize, Error> {
        first_fault(|on_fault| self.prepare(number, object, resolver, on_fault))?;
        let Some(section) = self.section(number, object) else { return Ok(0) };
        if let Some(mut target) = section.target(memory)? {
            *wrote = true;
            section.pass(&self.profile).apply_fields(&mut target).map_err(|error| section.fault(error))?;
        }
        Ok(1)
    }

    fn section_going<M: Memory + ?Sized>(
        &mut self,
        number: usize,
        object: &[u8],
        memory: &mut M,
        wrote: &mut bool,
    ) -> Result<usize, Error> {
        let Some(section) = self.section(number, object) else { return Ok(0) };
        if self.profile.clears_on_going
            && let Some(mut target) = section.target(memory)?
        {
            *wrote = true;
            section.pass(&self.profile).clear_fields(&mut target).map_err(|error| section.fault(error))?;
        }
        Ok(1)
    }

    /// Looks for what stops a section, and gives its symbols their values.
    fn prepare(
        &mut self,
        number: usize,
        object: &[u8],
        resolver: &mut dyn Resolver,
        on_fault: OnFault<'_>,
    ) -> ControlFlow<()> {
        let done = ControlFlow::Continue(());
        let Some(record) = self.kept.sections.get(number).map(SectionRecord::read) else { return done };
        let whose = self.object(&record);
        if whose != object && !whose.is_empty() {
            return done;
        }
        if let Some(error) = record.error() {
            return on_fault(error);
        }
        // Symbols are numbered in the order of their first use, so that each is asked for where Linux asks first.
        let mut next = 0u32;
        let relas = part(self.kept.relas, record.first_rela, record.relas);
        for (entry, rela) in RelaTable::from_entries(relas).numbered() {
            if rela.symbol != next {
                continue;
            }
            next = next.saturating_add(1);
            let slot =
                record.first_symbol.checked_add(rela.symbol).and_then(|symbol| usize::try_from(symbol).ok());
            let Some(slot) = slot.and_then(|slot| self.kept.symbols.get_mut(slot)) else { continue };
            let mut symbol = SymbolRecord::read(slot);
            match symbol_value(&symbol, self.kept.text, resolver) {
                Ok(value) => {
                    symbol.value = value;
                    symbol.write(slot);
                }
                Err(error) => {
                    let error = Error { symbol: Some(symbol.symbol), ..at_rela(error, rela, entry) };
                    on_fault(error.in_section(record.index))?;
                }
            }
        }
        done
    }

    /// Section `number`, if it is the object's.
    fn section(&self, number: usize, object: &[u8]) -> Option<LateSection<'_>> {
        let record = self.kept.sections.get(number).map(SectionRecord::read)?;
        if self.object(&record) != object {
            return None;
        }
        let symbols = part(self.kept.symbols, record.first_symbol, record.symbols);
        let table = RelaTable::from_entries(part(self.kept.relas, record.first_rela, record.relas));
        Some(LateSection { record, table, symbols, values: SymtabValues::from_entries(symbols) })
    }

    fn object(&self, record: &SectionRecord) -> &[u8] {
        part(self.kept.text, record.object, record.object_len)
    }

    fn check_is_live(&self, object: &[u8], wanted: bool) -> Result<(), Error> {
        if object.is_empty() || object == abi::VMLINUX {
            return Err(ErrorKind::NotAModule.error(object.len() as u64, 0));
        }
        let mut of_object = self.objects().filter(|(name, _)| *name == object).map(|(_, live)| live);
        match (of_object.next(), wanted) {
            (Some(true), false) => Err(ErrorKind::AlreadyLive.error(0, 0)),
            (Some(false), true) => Err(ErrorKind::NotLive.error(0, 0)),
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

/// One section of the object in question.
struct LateSection<'a> {
    record: SectionRecord,
    table: RelaTable<'a>,
    symbols: &'a [[u8; SYM_SIZE]],
    values: SymtabValues<'a>,
}

impl<'a> LateSection<'a> {
    fn pass(&self, profile: &Profile) -> Pass<'_, SymtabValues<'a>> {
        Pass { table: self.table, values: &self.values, rules: profile.rules() }
    }

    /// The target, where it was when the module was loaded; `None` when there is nothing to relocate.
    fn target<'t, M: Memory + ?Sized>(&self, memory: &'t mut M) -> Result<Option<Target<'t>>, Error> {
        let SectionRecord { target: index, address, size, .. } = self.record;
        if self.table.is_empty() {
            return Ok(None);
        }
        let target = memory.target(index).ok_or(ErrorKind::NotPlaced.error(size, 0).in_section(index))?;
        match (target.address() == address, target.size() == size) {
            (true, true) => Ok(Some(target)),
            (false, _) => Err(ErrorKind::Moved.error(target.address(), address).in_section(index)),
            (_, false) => Err(ErrorKind::PlacedSize.error(target.size(), size).in_section(index)),
        }
    }

    /// A fault in the file's numbers.
    fn fault(&self, error: Error) -> Error {
        let symbol = error.symbol.and_then(|symbol| self.symbols.get(usize::try_from(symbol).ok()?));
        let symbol = symbol.map(|symbol| SymbolRecord::read(symbol).symbol);
        Error { symbol, ..error }.in_section(self.record.index)
    }
}

/// Asks for the value of a kept symbol.
fn symbol_value(symbol: &SymbolRecord, text: &[u8], resolver: &mut dyn Resolver) -> Result<u64, Error> {
    let text = text.get(usize::try_from(symbol.text).unwrap_or(usize::MAX)..).unwrap_or_default();
    let Some((number, names)) = text.split_first_chunk() else { return Ok(0) };
    let number = u64::from_le_bytes(*number);
    if let Some(kind) = ErrorKind::ALL.iter().find(|kind| **kind as i32 == symbol.problem) {
        return Err(kind.error(symbol.value, number));
    }
    let (object, names) = names.split_at_checked(usize::from(symbol.object_len)).unwrap_or_default();
    let name = names.get(..usize::from(symbol.name_len)).unwrap_or_default();
    klp_value(object, name, number, resolver)
}

/// `count` items from number `first` on.
fn part<T>(items: &[T], first: u32, count: u32) -> &[T] {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let end = usize::try_from(count).ok().and_then(|count| first.checked_add(count));
    end.and_then(|end| items.get(first..end)).unwrap_or_default()
}
