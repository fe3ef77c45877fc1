//! Objects come and go: the late passes.

use super::Memory;
use super::kept::{Parts, SectionRecord, SymbolRecord};
use crate::abi::{self, SYM_SIZE};
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind, HookError};
use crate::profile::Profile;
use crate::reloc::{self, Pass, SymtabValues, Target, Transaction, Values, all_or_none};
use crate::symbols::{OnFault, Resolver, at_rela, every_fault, first_fault, klp_value};
use core::ops::{ControlFlow, Range};

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
        let sections = self.numbers();
        let applied =
            all_or_none(&mut Coming { late: self, object, memory, resolver, wrote: false }, sections)?;
        self.set_live(object, true);
        Ok(applied)
    }

    /// `object` goes: verifies and clears every field that its coming wrote, the last first. All of them, or nothing is
    /// changed. Answers the number of sections. With a profile that does not clear (Linux before 6.3) nothing is
    /// written, and the object cannot come again into the same memory.
    ///
    /// # Errors
    /// [`ErrorKind::NotAModule`] and [`ErrorKind::NotLive`]; [`ErrorKind::Mismatch`] when somebody else changed a field.
    pub fn going<M: Memory + ?Sized>(&mut self, object: &[u8], memory: &mut M) -> Result<usize, Error> {
        self.check_is_live(object, true)?;
        let sections = self.numbers().rev();
        let cleared = all_or_none(&mut Going { late: self, object, memory, wrote: false }, sections)?;
        self.set_live(object, false);
        Ok(cleared)
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
        for number in self.numbers() {
            if !every_fault(report, |on_fault| self.prepare(number, object, resolver, on_fault)) {
                continue;
            }
            let Some(section) = self.section(number, object) else { continue };
            match section.target(memory) {
                Ok(Some(mut target)) => reloc::faults(section.table, section.values, &mut target, rules)
                    .for_each(|error| report(section.fault(error))),
                Ok(None) => {}
                Err(error) => report(error),
            }
        }
        Ok(())
    }

    /// Looks for what stops a section, and gives its symbols their values.
    fn prepare(
        &mut self,
        number: u32,
        object: &[u8],
        resolver: &mut dyn Resolver,
        on_fault: OnFault<'_>,
    ) -> ControlFlow<()> {
        let done = ControlFlow::Continue(());
        let Some(record) = self.record(number) else { return done };
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
        let table = RelaTable::from_entries(part(self.kept.relas, record.first_rela, record.relas));
        Some(LateSection { record, table, symbols, values: SymtabValues::from_entries(symbols).into() })
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

/// An object's coming: a step is a kept section.
struct Coming<'a, 'k, M: ?Sized> {
    late: &'a mut Late<'k>,
    object: &'a [u8],
    memory: &'a mut M,
    resolver: &'a mut dyn Resolver,
    /// Whether a step tried to write.
    wrote: bool,
}

impl<M: Memory + ?Sized> Transaction for Coming<'_, '_, M> {
    fn step(&mut self, number: u32) -> Result<bool, Error> {
        let Self { late, object, memory, resolver, wrote } = self;
        first_fault(|on_fault| late.prepare(number, object, *resolver, on_fault))?;
        let Some(section) = late.section(number, object) else { return Ok(false) };
        if let Some(mut target) = section.target(*memory)? {
            *wrote = true;
            section.pass(&late.profile).apply_fields(&mut target).map_err(|error| section.fault(error))?;
        }
        Ok(true)
    }

    fn undo(&mut self, number: u32) -> Result<(), Error> {
        let Some(section) = self.late.section(number, self.object) else { return Ok(()) };
        let Some(mut target) = section.target(self.memory)? else { return Ok(()) };
        section.pass(&self.late.profile).undo_fields(&mut target).map_err(|error| section.fault(error))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.wrote { self.memory.sync() } else { Ok(()) }
    }
}

/// An object's going: a step is a kept section.
struct Going<'a, 'k, M: ?Sized> {
    late: &'a Late<'k>,
    object: &'a [u8],
    memory: &'a mut M,
    /// Whether a step tried to write.
    wrote: bool,
}

impl<M: Memory + ?Sized> Transaction for Going<'_, '_, M> {
    fn step(&mut self, number: u32) -> Result<bool, Error> {
        let Some(section) = self.late.section(number, self.object) else { return Ok(false) };
        if self.late.profile.clears_on_going
            && let Some(mut target) = section.target(self.memory)?
        {
            self.wrote = true;
            section
                .pass(&self.late.profile)
                .clear_fields(&mut target)
                .map_err(|error| section.fault(error))?;
        }
        Ok(true)
    }

    fn undo(&mut self, number: u32) -> Result<(), Error> {
        let Some(section) = self.late.section(number, self.object) else { return Ok(()) };
        if !self.late.profile.clears_on_going {
            return Ok(());
        }
        let Some(mut target) = section.target(self.memory)? else { return Ok(()) };
        section.pass(&self.late.profile).reapply_fields(&mut target).map_err(|error| section.fault(error))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.wrote { self.memory.sync() } else { Ok(()) }
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
    fn pass(&self, profile: &Profile) -> Pass<'a> {
        Pass { table: self.table, values: self.values, rules: profile.rules() }
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
