//! Symbol values (Linux semantics 4), and the rules on livepatch symbols (7 and 8).

use crate::abi;
use crate::elf::{RelaTable, Symbol, SymbolPlace, SymbolTable};
use crate::error::{ErrorKind, HookError};
use crate::klp::SymName;
use crate::module::{Memory, Module};
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
        let Some(name) = SymName::parse(symbols.name_or(index, &symbol, report)?, self.profile) else {
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
            .map_err(|stopped| report.at_rela(stopped, entry, rela))?;
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

/// Sections with symbols and without a place: a quick answer for nearly all symbols.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unplaced {
    /// One bit for each `st_shndx` below 256; no module is known with a hundred sections.
    low: [u64; 4],
    /// Whether there are others.
    high: bool,
}

impl Unplaced {
    /// Any section may be one.
    pub(crate) const ANY: Self = Self { low: [u64::MAX; 4], high: true };

    /// Whether there is none.
    pub(crate) fn is_empty(self) -> bool {
        self.low == [0; 4] && !self.high
    }

    const fn parts(shndx: u16) -> (usize, u64) {
        ((shndx >> 6) as usize, 1 << (shndx & 63))
    }

    fn add(&mut self, shndx: u16) {
        let (word, bit) = Self::parts(shndx);
        match self.low.get_mut(word) {
            Some(word) => *word |= bit,
            None => self.high = true,
        }
    }

    /// False only if a symbol with this `st_shndx` has a place.
    fn may_have(&self, shndx: u16) -> bool {
        let (word, bit) = Self::parts(shndx);
        self.low.get(word).map_or(self.high, |word| word & bit != 0)
    }
}

impl<M: Memory + ?Sized> Symbols<'_, '_, M> {
    /// Fills `values`, one a symbol, and answers in which sections there are symbols and no place. Their values count
    /// from 0 then; a relocation that uses one must be refused.
    ///
    /// As in Linux all symbols are looked at, and the last fault is the one reported.
    pub(crate) fn resolve(
        &self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<Unplaced, Stopped> {
        let mut sections = 1..self.module.object().section_count();
        let some_unplaced = sections.any(|section| self.memory.base(section).is_none());
        let mut fault = Ok(());
        let mut unplaced = Unplaced { low: [0; 4], high: false };
        for (index, slot) in (0..u32::MAX).zip(values) {
            match self.value(index, resolver, report) {
                Ok(value) => *slot = value,
                Err(stopped) => fault = Err(stopped),
            }
            if some_unplaced && self.is_unplaced(index) {
                unplaced.add(self.shndx(index));
            }
        }
        fault.map(|()| unplaced)
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
                return Ok(symbol.value.wrapping_add(self.memory.base(section).unwrap_or(0)));
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
                match resolver.exported(name) {
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
        unplaced: &Unplaced,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        let is_bad = |symbol: u32| unplaced.may_have(self.shndx(symbol)) && self.is_unplaced(symbol);
        match table.numbered().find(|(_, rela)| is_bad(rela.symbol)) {
            Some((entry, rela)) => {
                let stopped = report.fault(ErrorKind::SymbolUnplaced, u64::from(self.shndx(rela.symbol)), 0);
                Err(report.at_rela(stopped, entry, rela))
            }
            None => Ok(()),
        }
    }

    /// `st_shndx` of symbol `index`; 0 when there is no such symbol.
    fn shndx(&self, index: u32) -> u16 {
        self.module.object().symbols().shndx(index)
    }

    fn is_unplaced(&self, index: u32) -> bool {
        let symbol = self.module.object().symbols().get(index);
        match symbol.map(|symbol| self.place(index, &symbol)) {
            Some(SymbolPlace::Section(section)) => self.memory.base(section).is_none(),
            _ => false,
        }
    }

    fn place(&self, index: u32, symbol: &Symbol) -> SymbolPlace {
        match symbol.shndx {
            abi::SHN_XINDEX if !self.module.profile().extended_numbering => {
                SymbolPlace::Invalid(u32::from(symbol.shndx))
            }
            _ => self.module.object().symbols().place(index, symbol),
        }
    }
}
