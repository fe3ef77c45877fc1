//! The rules of livepatch symbols (Linux semantics 7 and 8).

use super::{Module, Resolver, UNASSIGNED};
use crate::abi;
use crate::elf::{NAME_MAX, RelaTable, SymbolLocation, SymbolTable};
use crate::error::{Error, ErrorKind};
use crate::klp::SymName;
use crate::profile::Profile;
use crate::report::{Failed, OnError, Report, capture};

/// Returns the value of a livepatch symbol. If its sympos is 0, the name must be unique in its
/// object. The value 0 counts as not found.
pub(crate) fn klp_value(
    object: &[u8],
    name: &[u8],
    sympos: u64,
    resolver: &mut dyn Resolver,
    report: &mut Report,
) -> Result<u64, Failed> {
    let mut nth_symbol = |sympos, report: &mut Report| {
        let found = resolver.nth_symbol(object, name, sympos);
        found.map_err(|error| report.fail(ErrorKind::Resolver, error.number(), 0))
    };
    let found = match sympos {
        0 => {
            let first = nth_symbol(1, report)?;
            match nth_symbol(2, report)? {
                // Linux checks the address of the second symbol before their number.
                Some(second) if first.is_some() && second != 0 => {
                    return Err(report.fail(ErrorKind::KlpAmbiguous, sympos, 0));
                }
                Some(_) => None,
                None => first,
            }
        }
        _ => {
            let found = nth_symbol(sympos, report)?;
            if found.is_none() && sympos > 1 && nth_symbol(1, report)?.is_some() {
                return Err(report.fail(ErrorKind::KlpSympos, sympos, 0));
            }
            found
        }
    };
    match found {
        Some(value) if value != 0 => Ok(value),
        _ => Err(report.fail(ErrorKind::KlpNotFound, sympos, 0)),
    }
}

/// The livepatch symbols of a symbol table, as a section for `object` uses them.
#[derive(Clone, Copy)]
pub(crate) struct KlpSymbols<'a, 'f> {
    pub(crate) symbols: &'a SymbolTable<'f>,
    pub(crate) profile: &'a Profile,
    pub(crate) object: &'a [u8],
}

impl<'f> KlpSymbols<'_, 'f> {
    /// Returns the name of symbol `index`, or why a livepatch relocation cannot use it.
    pub(crate) fn name(&self, index: u32, report: &mut Report) -> Result<SymName<'f>, Failed> {
        let symbols = self.symbols;
        let Some(symbol) = symbols.get(index) else {
            return Err(report.fail(ErrorKind::SymbolIndex, 0, u64::from(symbols.len())));
        };
        if symbols.location(&symbol) != SymbolLocation::Livepatch {
            return Err(report.fail(ErrorKind::NotKlpSymbol, u64::from(symbol.st_shndx), 0));
        }
        let text = symbols.name_or(&symbol, report)?;
        let name = SymName::parse(text, self.profile);
        // Of a longer name only the beginning was read, and the sympos may continue after it.
        let is_whole = |name: &SymName<'_>| text.len() <= NAME_MAX || !name.rest.is_empty();
        let Some(name) = name.filter(is_whole) else {
            return Err(report.fail(ErrorKind::BadKlpSymbolName, 0, 0));
        };
        if name.object == abi::VMLINUX && self.object != abi::VMLINUX {
            return Err(report.fail(ErrorKind::VmlinuxFromModule, 0, 0));
        }
        Ok(name)
    }

    /// Resolves the symbols that `table` uses into `values`, in the order of the relocations. A
    /// symbol that the relocation before used as well is not resolved again. Returns whether one of
    /// the values is [`UNASSIGNED`].
    pub(crate) fn resolve(
        &self,
        table: RelaTable<'_>,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        on_error: OnError<'_>,
        report: &mut Report,
    ) -> Result<bool, Failed> {
        let mut has_sentinel = false;
        let mut last = None;
        for (entry, rela) in table.numbered() {
            if last.replace(rela.r_sym) == Some(rela.r_sym) {
                continue;
            }
            let name = self.name(rela.r_sym, report);
            let value =
                name.and_then(|name| klp_value(name.object, name.name, name.sympos, resolver, report));
            match value {
                Ok(value) => {
                    let slot = usize::try_from(rela.r_sym).ok().and_then(|symbol| values.get_mut(symbol));
                    slot.into_iter().for_each(|slot| *slot = value);
                    has_sentinel |= value == UNASSIGNED;
                }
                Err(failed) => on_error(rela.locate(entry, failed, report), report)?,
            }
        }
        Ok(has_sentinel)
    }
}

impl<'f> Module<'f> {
    /// Resolves the livepatch symbols that `table` uses into `values`, by symbol index and in the
    /// order of the relocations, up to the first error. `table` is a livepatch section for
    /// `object`.
    ///
    /// [`Filled::early`](crate::Filled::early) and [`Late::coming`](crate::Late::coming) do this by
    /// themselves. This is for tools that predict what Linux does.
    ///
    /// # Errors
    /// - `SymbolIndex`, `NotKlpSymbol`, `BadSymbolName`, `BadKlpSymbolName`, `VmlinuxFromModule`: a
    ///   relocation cannot use its symbol.
    /// - `KlpNotFound`, `KlpAmbiguous`, `KlpSympos`, `Resolver`: the symbol has no value.
    pub fn resolve_livepatch(
        &self,
        object: &[u8],
        table: RelaTable<'_>,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
    ) -> Result<(), Error> {
        let symbols = self.klp_symbols(object);
        capture(|report| {
            symbols.resolve(table, values, resolver, &mut |failed, _| Err(failed), report).map(drop)
        })
    }

    /// Returns the livepatch symbols as a section for `object` uses them.
    pub(super) fn klp_symbols<'a>(&'a self, object: &'a [u8]) -> KlpSymbols<'a, 'f> {
        KlpSymbols { symbols: self.object.symbols(), profile: &self.profile, object }
    }
}
