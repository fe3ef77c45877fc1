//! Symbol values (Linux semantics 4), and the rules on livepatch symbols (7 and 8).

use crate::abi;
use crate::elf::{Rela, RelaTable, Symbol, SymbolPlace, SymbolTable};
use crate::error::{Error, ErrorKind, HookError};
use crate::klp::SymName;
use crate::module::{Memory, Module};
use crate::profile::Profile;
use core::ops::ControlFlow;

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
) -> Result<u64, Error> {
    let failed = |error: HookError| ErrorKind::Resolver.error(error.number(), 0);
    let mut candidate = |position| resolver.candidate(object, name, position).map_err(failed);
    let found = match position {
        0 => {
            let first = candidate(1)?;
            match candidate(2)? {
                // Linux looks at the last address it saw before it counts.
                Some(second) if first.is_some() && second != 0 => {
                    return Err(ErrorKind::KlpAmbiguous.error(position, 0));
                }
                Some(_) => None,
                None => first,
            }
        }
        _ => {
            let found = candidate(position)?;
            if found.is_none() && position > 1 && candidate(1)?.is_some() {
                return Err(ErrorKind::KlpPosition.error(position, 0));
            }
            found
        }
    };
    found.filter(|&value| value != 0).ok_or(ErrorKind::KlpNotFound.error(position, 0))
}

/// Adds the relocation that a fault was found in.
pub(crate) fn at_rela(error: Error, rela: Rela, entry: usize) -> Error {
    Error {
        entry: Some(entry as u64),
        symbol: Some(rela.symbol),
        r_type: Some(rela.r_type),
        offset: rela.offset,
        ..error
    }
}

/// Told each fault as it is found; says whether to go on.
pub(crate) type OnFault<'a> = &'a mut dyn FnMut(Error) -> ControlFlow<()>;

/// Runs what reports faults until the first one.
pub(crate) fn first_fault(run: impl FnOnce(OnFault<'_>) -> ControlFlow<()>) -> Result<(), Error> {
    let mut first = None;
    let _ = run(&mut |error| {
        first = Some(error);
        ControlFlow::Break(())
    });
    first.map_or(Ok(()), Err)
}

/// Runs what reports faults to its end; answers whether there was none.
pub(crate) fn every_fault(
    report: &mut dyn FnMut(Error),
    run: impl FnOnce(OnFault<'_>) -> ControlFlow<()>,
) -> bool {
    let mut none = true;
    let _ = run(&mut |error| {
        none = false;
        report(error);
        ControlFlow::Continue(())
    });
    none
}

/// The livepatch symbols of a symbol table, as a section of `object` sees them.
#[derive(Clone, Copy)]
pub(crate) struct KlpSymbols<'a, 'f> {
    pub(crate) symbols: SymbolTable<'f>,
    pub(crate) profile: Profile,
    pub(crate) object: &'a [u8],
}

impl<'f> KlpSymbols<'_, 'f> {
    /// The name of symbol `index`, or why a livepatch relocation cannot use it. Nobody is asked for its value yet.
    pub(crate) fn name(&self, index: u32) -> Result<SymName<'f>, Error> {
        let symbols = &self.symbols;
        let symbol = symbols.get(index).ok_or(ErrorKind::SymbolIndex.error(0, u64::from(symbols.len())))?;
        if symbols.place(index, &symbol) != SymbolPlace::Livepatch {
            return Err(ErrorKind::NotKlpSymbol.error(u64::from(symbol.shndx), 0));
        }
        let name = symbols.name(index, &symbol)?;
        let name = SymName::parse(name, &self.profile).ok_or(ErrorKind::BadKlpSymbolName.error(0, 0))?;
        if name.object == abi::VMLINUX && self.object != abi::VMLINUX {
            return Err(ErrorKind::VmlinuxFromModule.error(0, 0));
        }
        Ok(name)
    }

    /// Resolves the symbols of a section into `values`, in the order of its relocations.
    pub(crate) fn resolve(
        &self,
        table: RelaTable<'_>,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        on_fault: OnFault<'_>,
    ) -> ControlFlow<()> {
        let mut last = None;
        for (entry, rela) in table.numbered() {
            if last.replace(rela.symbol) == Some(rela.symbol) {
                continue;
            }
            let value = self
                .name(rela.symbol)
                .and_then(|name| klp_value(name.object, name.name, name.position, resolver));
            match value {
                Ok(value) => {
                    let slot = usize::try_from(rela.symbol).ok().and_then(|symbol| values.get_mut(symbol));
                    slot.into_iter().for_each(|slot| *slot = value);
                }
                Err(error) => on_fault(at_rela(error, rela, entry))?,
            }
        }
        ControlFlow::Continue(())
    }
}

/// Values of the symbols of a placed module.
pub(crate) struct Symbols<'a, 'f, M: ?Sized> {
    pub(crate) module: &'a Module<'f>,
    pub(crate) memory: &'a M,
}

impl<M: Memory + ?Sized> Symbols<'_, '_, M> {
    /// Fills `values`, one a symbol, and answers whether a symbol lies in a section without a place. Its value counts
    /// from 0 then; a relocation that uses it must be refused.
    ///
    /// As in Linux all symbols are looked at, and the last fault is the one reported.
    pub(crate) fn resolve(&self, values: &mut [u64], resolver: &mut dyn Resolver) -> Result<bool, Error> {
        let mut sections = 1..self.module.object().section_count();
        let some_unplaced = sections.any(|section| self.memory.base(section).is_none());
        let mut fault = None;
        let mut unplaced = false;
        for (index, slot) in (0..u32::MAX).zip(values) {
            match self.value(index, resolver) {
                Ok(value) => *slot = value,
                Err(error) => fault = Some(error),
            }
            unplaced |= some_unplaced && self.is_unplaced(index);
        }
        match fault {
            Some(error) => Err(error),
            None => Ok(unplaced),
        }
    }

    /// The value of symbol `index`; livepatch symbols have the file's until their section is applied.
    pub(crate) fn value(&self, index: u32, resolver: &mut dyn Resolver) -> Result<u64, Error> {
        let object = self.module.object();
        let symbols = object.symbols();
        let Some(symbol) = symbols.get(index) else { return Ok(0) };
        // Linux starts at symbol 1: the first one keeps what the file says.
        if index == 0 {
            return Ok(symbol.value);
        }
        let at = |error: Error| error.in_section(symbols.section()).of_symbol(index);
        match self.place(index, &symbol) {
            SymbolPlace::Absolute | SymbolPlace::Livepatch => Ok(symbol.value),
            SymbolPlace::Section(section) => {
                Ok(symbol.value.wrapping_add(self.memory.base(section).unwrap_or(0)))
            }
            SymbolPlace::Common if symbols.name(index, &symbol)?.starts_with(b"__gnu_lto") => {
                Ok(symbol.value)
            }
            SymbolPlace::Common => Err(at(ErrorKind::CommonSymbol.error(symbol.size, 0))),
            SymbolPlace::Invalid(section) => {
                Err(at(ErrorKind::SymbolSection.error(u64::from(section), u64::from(object.section_count()))))
            }
            SymbolPlace::Undefined => {
                let name = symbols.name(index, &symbol)?;
                let exported = resolver.exported(name);
                match exported.map_err(|error| at(ErrorKind::Resolver.error(error.number(), 0)))? {
                    Some(value) => Ok(value),
                    None if symbol.binding() == abi::STB_WEAK || name == b"_GLOBAL_OFFSET_TABLE_" => {
                        Ok(symbol.value)
                    }
                    None => Err(at(ErrorKind::UnknownSymbol.error(0, 0))),
                }
            }
        }
    }

    /// Refuses a table that uses a symbol of a section without a place.
    pub(crate) fn check_placed(&self, table: RelaTable<'_>) -> Result<(), Error> {
        match table.numbered().find(|(_, rela)| self.is_unplaced(rela.symbol)) {
            Some((entry, rela)) => {
                let symbol = self.module.object().symbols().get(rela.symbol);
                let section = symbol.map_or(0, |symbol| u64::from(symbol.shndx));
                Err(at_rela(ErrorKind::SymbolUnplaced.error(section, 0), rela, entry))
            }
            None => Ok(()),
        }
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
