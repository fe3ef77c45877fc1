//! Symbol values (Linux semantics 4), and the rules on livepatch symbols (7 and 8).

use super::{Memory, Module};
use crate::abi;
use crate::elf::{NAME_MAX, RelaTable, Symbol, SymbolPlace, SymbolTable};
use crate::error::{ErrorKind, HookError};
use crate::klp::SymName;
use crate::profile::Profile;
use crate::report::{Report, Stopped};

/// Answers for the names that a module does not define.
pub trait Resolver {
    /// The address of the exported symbol `name`; `None` when nobody exports it. Asked once for each undefined symbol
    /// of the table, in symbol order.
    ///
    /// # Errors
    /// Any number; the pass then fails with [`ErrorKind::Resolver`].
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, HookError>;

    /// The address of the `position`-th symbol (from 1) called `name` in `object`, exported or not; `None` when there
    /// are fewer. The order is that of addresses in "vmlinux" and of the symbol table in a module; undefined symbols do
    /// not count, and an object that is not there has none. `position` comes from the file and may be any number.
    ///
    /// # Errors
    /// Any number; the pass then fails with [`ErrorKind::Resolver`].
    fn candidate(&mut self, object: &[u8], name: &[u8], position: u64) -> Result<Option<u64>, HookError> {
        let _ = (object, name, position);
        Ok(None)
    }
}

/// The value of a symbol by the rules of sympos: 0 is the only one, N the N-th. A value of 0 counts as not found.
pub(crate) fn klp_value(
    object: &[u8],
    name: &[u8],
    position: u64,
    resolver: &mut dyn Resolver,
    report: &mut Report,
) -> Result<u64, Stopped> {
    let mut candidate = |position, report: &mut Report| {
        let found = resolver.candidate(object, name, position);
        found.map_err(|error| report.fault(ErrorKind::Resolver, error.number(), 0))
    };
    let found = match position {
        0 => {
            let first = candidate(1, report)?;
            match candidate(2, report)? {
                // Linux looks at the last address it saw before it counts.
                Some(second) if first.is_some() && second != 0 => {
                    return Err(report.fault(ErrorKind::KlpAmbiguous, position, 0));
                }
                Some(_) => None,
                None => first,
            }
        }
        _ => {
            let found = candidate(position, report)?;
            if found.is_none() && position > 1 && candidate(1, report)?.is_some() {
                return Err(report.fault(ErrorKind::KlpPosition, position, 0));
            }
            found
        }
    };
    match found {
        Some(value) if value != 0 => Ok(value),
        _ => Err(report.fault(ErrorKind::KlpNotFound, position, 0)),
    }
}

/// The livepatch symbols of a symbol table, as a section of `object` sees them.
#[derive(Clone, Copy)]
pub(crate) struct KlpSymbols<'a, 'f> {
    pub(crate) symbols: &'a SymbolTable<'f>,
    pub(crate) profile: &'a Profile,
    pub(crate) object: &'a [u8],
}

impl<'f> KlpSymbols<'_, 'f> {
    /// The name of symbol `index`, or why a livepatch relocation cannot use it. Nobody is asked for its value yet.
    pub(crate) fn name(&self, index: u32, report: &mut Report) -> Result<SymName<'f>, Stopped> {
        let symbols = self.symbols;
        let Some(symbol) = symbols.get(index) else {
            return Err(report.fault(ErrorKind::SymbolIndex, 0, u64::from(symbols.len())));
        };
        if symbols.place(index, &symbol) != SymbolPlace::Livepatch {
            return Err(report.fault(ErrorKind::NotKlpSymbol, u64::from(symbol.shndx), 0));
        }
        let text = symbols.name_or(index, &symbol, report)?;
        let name = SymName::parse(text, self.profile);
        if text.len() > NAME_MAX && name.is_none_or(|name| name.rest.is_empty()) {
            // Only a part of it was read, and the position may go on behind that.
            let stopped = report.fault(ErrorKind::BadSymbolName, u64::from(symbol.name), NAME_MAX as u64);
            return Err(symbols.locate(index, stopped, report));
        }
        let Some(name) = name else {
            return Err(report.fault(ErrorKind::BadKlpSymbolName, 0, 0));
        };
        if name.object == abi::VMLINUX && self.object != abi::VMLINUX {
            return Err(report.fault(ErrorKind::VmlinuxFromModule, 0, 0));
        }
        Ok(name)
    }

    /// Resolves the symbols of a section into `values`, in the order of its relocations.
    pub(crate) fn resolve(
        &self,
        table: RelaTable<'_>,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let mut last = None;
        (0..table.len())
            .try_for_each(|entry| self.resolve_entry(table, entry, &mut last, values, resolver, report))
    }

    /// Resolves the symbol of one relocation, if it is another than the one before it.
    pub(crate) fn resolve_entry(
        &self,
        table: RelaTable<'_>,
        entry: usize,
        last: &mut Option<u32>,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let Some(rela) = table.get(entry) else { return Ok(()) };
        if last.replace(rela.symbol) == Some(rela.symbol) {
            return Ok(());
        }
        let value = self
            .name(rela.symbol, report)
            .and_then(|name| klp_value(name.object, name.name, name.position, resolver, report))
            .map_err(|stopped| rela.locate(entry, stopped, report))?;
        if let Some(slot) = usize::try_from(rela.symbol).ok().and_then(|symbol| values.get_mut(symbol)) {
            *slot = value;
        }
        Ok(())
    }
}

/// Values of the symbols of a placed module.
pub(crate) struct Symbols<'a, 'f, M: ?Sized> {
    pub(crate) module: &'a Module<'f>,
    pub(crate) memory: &'a M,
}

/// Sentinel in the values of [`Filled::early`](crate::Filled::early) for a symbol whose section has no memory. A real symbol may
/// have the same value, so a match must be verified; as an address it is not canonical.
pub const UNPLACED: u64 = 0x5ec7_1000_0000_0000;

impl<M: Memory + ?Sized> Symbols<'_, '_, M> {
    /// Fills `values`, one a symbol, and answers whether a symbol may lie in a section without a place; a relocation that uses
    /// such a one must be refused.
    ///
    /// As in Linux all symbols are looked at, and the last fault is the one reported.
    pub(crate) fn resolve(
        &self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<bool, Stopped> {
        let mut fault = Ok(());
        let mut some_unplaced = false;
        for (index, slot) in (0..u32::MAX).zip(values) {
            match self.value(index, resolver, report) {
                Ok(value) => {
                    *slot = value;
                    some_unplaced |= value == UNPLACED;
                }
                Err(stopped) => fault = Err(stopped),
            }
        }
        fault.map(|()| some_unplaced)
    }

    /// The value of symbol `index`; livepatch symbols have the file's until their section is applied.
    pub(crate) fn value(
        &self,
        index: u32,
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<u64, Stopped> {
        let object = self.module.object();
        let symbols = object.symbols();
        let Some(symbol) = symbols.get(index) else { return Ok(0) };
        // Linux starts at symbol 1: the first one keeps what the file says.
        if index == 0 {
            return Ok(symbol.value);
        }
        let (kind, value, limit) = match self.place(index, &symbol) {
            SymbolPlace::Absolute | SymbolPlace::Livepatch => return Ok(symbol.value),
            SymbolPlace::Section(section) => {
                let base = self.memory.base(section);
                return Ok(base.map_or(UNPLACED, |base| symbol.value.wrapping_add(base)));
            }
            SymbolPlace::Common if symbols.name_or(index, &symbol, report)?.starts_with(b"__gnu_lto") => {
                return Ok(symbol.value);
            }
            SymbolPlace::Common => (ErrorKind::CommonSymbol, symbol.size, 0),
            SymbolPlace::Invalid(section) => {
                (ErrorKind::SymbolSection, u64::from(section), u64::from(object.section_count()))
            }
            SymbolPlace::Undefined => {
                let name = symbols.name_or(index, &symbol, report)?;
                // Nobody exports a name that was not read to its end.
                let found = if name.len() > NAME_MAX { Ok(None) } else { resolver.exported(name) };
                match found {
                    Ok(Some(value)) => return Ok(value),
                    Ok(None) if symbol.binding() == abi::STB_WEAK || name == b"_GLOBAL_OFFSET_TABLE_" => {
                        return Ok(symbol.value);
                    }
                    Ok(None) => (ErrorKind::UnknownSymbol, 0, 0),
                    Err(error) => (ErrorKind::Resolver, error.number(), 0),
                }
            }
        };
        let stopped = report.fault(kind, value, limit);
        Err(symbols.locate(index, stopped, report))
    }

    /// Refuses a table that uses a symbol of a section without a place.
    pub(crate) fn check_placed(
        &self,
        table: RelaTable<'_>,
        values: &[u64],
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let value = |symbol| usize::try_from(symbol).ok().and_then(|symbol| values.get(symbol));
        let is_bad = |symbol| value(symbol) == Some(&UNPLACED) && self.unplaced(symbol).is_some();
        match table.numbered().find(|(_, rela)| is_bad(rela.symbol)) {
            Some((entry, rela)) => {
                let section = self.unplaced(rela.symbol).unwrap_or(0);
                let stopped = report.fault(ErrorKind::SymbolUnplaced, u64::from(section), 0);
                Err(rela.locate(entry, stopped, report))
            }
            None => Ok(()),
        }
    }

    /// The section of symbol `index`, if it has no place.
    fn unplaced(&self, index: u32) -> Option<u32> {
        let symbol = self.module.object().symbols().get(index)?;
        match self.place(index, &symbol) {
            SymbolPlace::Section(section) if self.memory.base(section).is_none() => Some(section),
            _ => None,
        }
    }

    fn place(&self, index: u32, symbol: &Symbol) -> SymbolPlace {
        self.module.object().symbols().place(index, symbol)
    }
}
