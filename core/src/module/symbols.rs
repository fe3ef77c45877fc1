//! Symbol values (Linux semantics 4).

use super::plan::GOT_SYMBOL;
use super::{Memory, Module};
use crate::abi::{SHN_UNDEF, SYM_SIZE};
use crate::elf::{Binding, NAME_MAX, RelaTable, Symbol, SymbolLocation};
use crate::error::{CallbackError, ErrorKind};
use crate::read::{u16_at, u32_at, u64_at};
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

impl Sentinels {
    /// Notes a symbol for which [`UNASSIGNED`] is stored.
    #[cold]
    fn note(&mut self, value: Option<u64>) {
        match value {
            Some(_) => self.has_real = true,
            None => self.has_unassigned = true,
        }
    }
}

impl<M: Memory + ?Sized> Symbols<'_, '_, M> {
    /// Stores the value of every symbol in `values`.
    #[inline(never)]
    pub(crate) fn resolve(
        &self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        on_error: OnError<'_>,
        report: &mut Report,
    ) -> Result<Sentinels, Failed> {
        let mut sentinels = Sentinels::default();
        let symbols = self.module.object().symbols();
        let sections = symbols.usual_sections();
        let mut entries = symbols.entries().zip(values);
        // Linux starts at symbol 1. The first symbol keeps the value of the file.
        if let Some(((_, entry), slot)) = entries.next() {
            *slot = u64_at(entry, 8).unwrap_or(0);
            sentinels.has_real = *slot == UNASSIGNED;
        }
        for ((index, entry), slot) in entries {
            let section = u16_at(entry, 6).map_or(0, u32::from);
            let value = if sections.contains(&section) {
                let base = self.memory.base(section);
                Ok(base.zip(u64_at(entry, 8)).map(|(base, offset)| offset.wrapping_add(base)))
            } else if section == u32::from(SHN_UNDEF) {
                self.undefined(index, entry, resolver, report).map(Some)
            } else {
                self.rare(index, report)
            };
            match value {
                Ok(value) => {
                    *slot = value.unwrap_or(UNASSIGNED);
                    if *slot == UNASSIGNED {
                        sentinels.note(value);
                    }
                }
                Err(failed) => on_error(failed, report)?,
            }
        }
        Ok(sentinels)
    }

    /// Returns the value of an undefined symbol.
    #[inline(always)]
    fn undefined(
        &self,
        index: u32,
        entry: &[u8; SYM_SIZE],
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<u64, Failed> {
        let symbols = self.module.object().symbols();
        let name = u32_at(entry, 0).and_then(|name| symbols.strings().name(name));
        let is_usual = |name: &&[u8]| name.len() <= NAME_MAX && self.module.got().is_none();
        let found = name.filter(is_usual).map(|name| resolver.exported(name));
        match found {
            Some(Ok(Some(value))) => Ok(value),
            _ => self.rare_undefined(index, found, resolver, report),
        }
    }

    /// The same with a name that is no usual one, or that the resolver does not know. `found` is the
    /// answer of the resolver, if it was asked.
    #[cold]
    #[inline(never)]
    fn rare_undefined(
        &self,
        index: u32,
        found: Option<Result<Option<u64>, CallbackError>>,
        resolver: &mut dyn Resolver,
        report: &mut Report,
    ) -> Result<u64, Failed> {
        let symbols = self.module.object().symbols();
        let Some(symbol) = symbols.get(index) else { return Ok(0) };
        let name = symbols.name_or(&symbol, report)?;
        let got = self.module.got().filter(|_| name == GOT_SYMBOL);
        if let Some(address) = got.and_then(|got| self.memory.base(got.section)) {
            return Ok(address);
        }
        let found = match found {
            Some(found) => found,
            // The resolver does not know a name that was not read to its end.
            None if name.len() > NAME_MAX => Ok(None),
            None => resolver.exported(name),
        };
        let failed = match found {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if symbol.binding() == Binding::WEAK || name == GOT_SYMBOL => {
                return Ok(symbol.st_value);
            }
            Ok(None) => report.fail(ErrorKind::UnknownSymbol, 0, 0),
            Err(error) => report.fail(ErrorKind::Resolver, error.number(), 0),
        };
        Err(symbols.locate(index, failed, report))
    }

    /// Returns the value of a symbol that is neither undefined nor in a section that its `st_shndx` itself
    /// names. `None` if its section has no memory. Livepatch symbols keep the value of the file until
    /// their section is applied.
    #[inline(never)]
    fn rare(&self, index: u32, report: &mut Report) -> Result<Option<u64>, Failed> {
        let object = self.module.object();
        let symbols = object.symbols();
        let Some(symbol) = symbols.get(index) else { return Ok(None) };
        let (kind, value, limit) = match symbols.location(&symbol) {
            SymbolLocation::Section(section) => {
                return Ok(self.memory.base(section).map(|base| symbol.st_value.wrapping_add(base)));
            }
            SymbolLocation::Livepatch if !self.module.profile().livepatch => {
                (ErrorKind::SymbolSection, u64::from(symbol.st_shndx), u64::from(object.section_count()))
            }
            SymbolLocation::Absolute | SymbolLocation::Livepatch | SymbolLocation::Undefined => {
                return Ok(Some(symbol.st_value));
            }
            SymbolLocation::Common if symbols.name_or(&symbol, report)?.starts_with(b"__gnu_lto") => {
                return Ok(Some(symbol.st_value));
            }
            SymbolLocation::Common => (ErrorKind::CommonSymbol, symbol.st_size, 0),
            SymbolLocation::Invalid(section) => {
                (ErrorKind::SymbolSection, u64::from(section), u64::from(object.section_count()))
            }
        };
        let failed = report.fail(kind, value, limit);
        Err(symbols.locate(index, failed, report))
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
