//! Symbol values (Linux semantics 4).

use super::plan::GOT_SYMBOL;
use super::{Memory, Module};
use crate::elf::{Binding, NAME_MAX, RelaTable, Symbol, SymbolLocation};
use crate::error::{CallbackError, ErrorKind};
use crate::report::{Failed, OnError, Report};

/// Resolves the names that a module does not define.
pub trait Resolver {
    /// Returns the address of the exported symbol `name`; `None` if it is not exported. The early
    /// pass calls it once for each undefined symbol, in symbol order.
    ///
    /// # Errors
    /// Any number. The pass fails with [`ErrorKind::Resolver`].
    fn exported(&mut self, name: &[u8]) -> Result<Option<u64>, CallbackError>;

    /// Returns the address of the `sympos`-th symbol `name` in `object`, counted from 1; `None` if
    /// there are fewer.
    ///
    /// The symbol need not be exported. In "vmlinux" symbols are counted in the order of their
    /// addresses, in a module in the order of its symbol table. Undefined symbols do not count. An
    /// object that is not loaded has no symbols. `sympos` comes from the file and may be any
    /// number.
    ///
    /// With `ALLOW_NONZERO` in [`Profile::flags`](crate::Profile::flags), a pass asks for each symbol a second
    /// time, because it checks all sections before the first write.
    ///
    /// # Errors
    /// Any number. The pass fails with [`ErrorKind::Resolver`].
    fn nth_symbol(&mut self, object: &[u8], name: &[u8], sympos: u64) -> Result<Option<u64>, CallbackError> {
        let _ = (object, name, sympos);
        Ok(None)
    }
}

impl Module<'_> {
    /// Returns as many entries of the caller-provided `values` as there are symbols.
    pub(super) fn checked_values<'v>(
        &self,
        values: &'v mut [u64],
        report: &mut Report,
    ) -> Result<&'v mut [u64], Failed> {
        let (provided, needed) = (values.len() as u64, self.object.symbols().len());
        let values = usize::try_from(needed).ok().and_then(|needed| values.get_mut(..needed));
        values.ok_or_else(|| report.fail(ErrorKind::ValuesTooShort, provided, u64::from(needed)))
    }
}

/// The symbol values of a module that has memory.
pub(crate) struct Symbols<'a, 'f, M: ?Sized> {
    pub(crate) module: &'a Module<'f>,
    pub(crate) memory: &'a M,
}

/// Sentinel for a symbol whose section has no memory, in the values of
/// [`Filled::early`](crate::Filled::early). A real symbol may have the same value, so a match must
/// be verified. As an address it is not canonical.
pub const UNASSIGNED: u64 = 0x5ec7_1000_0000_0000;

/// What the values of a symbol table say about symbols of sections without memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sentinels {
    /// A symbol has the value [`UNASSIGNED`] because its section has no memory. The pass must refuse
    /// relocations that use such a symbol.
    pub(crate) has_unassigned: bool,
    /// A symbol has [`UNASSIGNED`] as its real value, so each symbol with this value must be verified.
    pub(crate) has_real: bool,
}

impl<M: Memory + ?Sized> Symbols<'_, '_, M> {
    /// Stores the value of every symbol in `values`.
    pub(crate) fn resolve(
        &self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        on_error: OnError<'_>,
        report: &mut Report,
    ) -> Result<Sentinels, Failed> {
        let mut sentinels = Sentinels::default();
        for (symbol, slot) in self.module.object().symbols().iter().zip(values) {
            match self.value(&symbol, resolver, report) {
                Ok(value) => {
                    sentinels.has_unassigned |= value.is_none();
                    sentinels.has_real |= value == Some(UNASSIGNED);
                    *slot = value.unwrap_or(UNASSIGNED);
                }
                Err(failed) => on_error(failed, report)?,
            }
        }
        Ok(sentinels)
    }

    /// Returns the value of a symbol, `None` if its section has no memory. Livepatch symbols keep the
    /// value of the file until their section is applied.
    #[inline(always)]
    fn value(
        &self,
        symbol: &Symbol,
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<Option<u64>, Failed> {
        // Linux starts at symbol 1. The first symbol keeps the value of the file.
        if symbol.index() == 0 {
            return Ok(Some(symbol.st_value));
        }
        match self.location(symbol) {
            SymbolLocation::Section(section) => {
                Ok(self.memory.base(section).map(|base| symbol.st_value.wrapping_add(base)))
            }
            location => self.value_outside(symbol, location, resolver, report).map(Some),
        }
    }

    /// Returns the value of a symbol that is in no section.
    fn value_outside(
        &self,
        symbol: &Symbol,
        location: SymbolLocation,
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<u64, Failed> {
        let object = self.module.object();
        let symbols = object.symbols();
        let (kind, value, limit) = match location {
            SymbolLocation::Livepatch if !self.module.profile().livepatch => {
                (ErrorKind::SymbolSection, u64::from(symbol.st_shndx), u64::from(object.section_count()))
            }
            SymbolLocation::Absolute | SymbolLocation::Livepatch => return Ok(symbol.st_value),
            SymbolLocation::Common if symbols.name_or(symbol, report)?.starts_with(b"__gnu_lto") => {
                return Ok(symbol.st_value);
            }
            SymbolLocation::Common => (ErrorKind::CommonSymbol, symbol.st_size, 0),
            SymbolLocation::Invalid(section) | SymbolLocation::Section(section) => {
                (ErrorKind::SymbolSection, u64::from(section), u64::from(object.section_count()))
            }
            SymbolLocation::Undefined => {
                let name = symbols.name_or(symbol, report)?;
                let got = self.module.got().filter(|_| name == GOT_SYMBOL);
                if let Some(address) = got.and_then(|got| self.memory.base(got.section)) {
                    return Ok(address);
                }
                // The resolver does not know a name that was not read to its end.
                let found = if name.len() > NAME_MAX { Ok(None) } else { resolver.exported(name) };
                match found {
                    Ok(Some(value)) => return Ok(value),
                    Ok(None) if symbol.binding() == Binding::WEAK || name == GOT_SYMBOL => {
                        return Ok(symbol.st_value);
                    }
                    Ok(None) => (ErrorKind::UnknownSymbol, 0, 0),
                    Err(error) => (ErrorKind::Resolver, error.number(), 0),
                }
            }
        };
        let failed = report.fail(kind, value, limit);
        Err(symbols.locate(symbol.index(), failed, report))
    }

    /// Refuses a table that uses a symbol of a section without memory.
    pub(crate) fn check_assigned(
        &self,
        table: RelaTable<'_>,
        values: &[u64],
        report: &mut Report,
    ) -> Result<(), Failed> {
        let value = |symbol| usize::try_from(symbol).ok().and_then(|symbol| values.get(symbol));
        let is_bad = |symbol| value(symbol) == Some(&UNASSIGNED) && self.unassigned_section(symbol).is_some();
        match table.numbered().find(|(_, rela)| is_bad(rela.r_sym)) {
            Some((entry, rela)) => {
                let section = self.unassigned_section(rela.r_sym).unwrap_or(0);
                let failed = report.fail(ErrorKind::SymbolUnassigned, u64::from(section), 0);
                Err(rela.locate(entry, failed, report))
            }
            None => Ok(()),
        }
    }

    /// Returns the section of symbol `index` if it has no memory.
    fn unassigned_section(&self, index: u32) -> Option<u32> {
        let symbol = self.module.object().symbols().get(index)?;
        match self.location(&symbol) {
            SymbolLocation::Section(section) if self.memory.base(section).is_none() => Some(section),
            _ => None,
        }
    }

    fn location(&self, symbol: &Symbol) -> SymbolLocation {
        self.module.object().symbols().location(symbol)
    }
}
