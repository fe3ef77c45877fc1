//! Which symbol of the kernel a name and a sympos stand for, and the other symbols of that name.

use super::names::{escaped, shorten};
use super::patch::Patch;
use relakit::Module;
use relakit::elf::SymbolLocation;
use relakit::klp::SymName;
use serde::Serialize;

/// Most symbols and functions that are listed. docs/check.md has the same numbers.
const LISTED: usize = 1000;
/// Most symbols of one name that are listed, besides the one that is meant.
const SAME: usize = 10;
/// Most bytes of a name.
const NAME: usize = 1024;

/// The names that a livepatch uses, and what they stand for.
#[derive(Debug, Default)]
pub(crate) struct Resolution<'f> {
    wanted: Vec<(&'f [u8], &'f [u8])>,
    rows: Vec<ResolvedRow>,
    more: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A livepatch symbol.
    Symbol,
    /// A function that the livepatch replaces.
    Function,
}

/// A name and a sympos.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ResolvedRow {
    pub(crate) kind: Kind,
    /// The index of the livepatch symbol in the module.
    pub(crate) symbol: Option<u32>,
    pub(crate) object: String,
    pub(crate) name: String,
    pub(crate) sympos: u64,
    /// The address. Null if the object is not loaded or known, or if Linux refuses the name.
    pub(crate) address: Option<String>,
    /// The symbols of this name in the object, in the order of sympos.
    pub(crate) same: Vec<Same>,
    /// How many more symbols have this name.
    pub(crate) more: u64,
}

/// A symbol of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Same {
    /// Its number, counted from 1.
    pub(crate) sympos: u64,
    pub(crate) address: String,
    /// Whether the livepatch means it.
    pub(crate) chosen: bool,
}

impl<'f> Resolution<'f> {
    /// The livepatch symbols of a module, and the functions that it replaces. None is resolved.
    pub(crate) fn new(module: &Module<'f>) -> Self {
        let mut all = Self::default();
        let table = module.object().symbols();
        for index in 1..table.len() {
            let Some(symbol) = table.get(index) else { break };
            if table.location(&symbol) != SymbolLocation::Livepatch {
                continue;
            }
            let name = table.name(&symbol).ok();
            if let Some(name) = name.and_then(|name| SymName::parse(name, module.profile())) {
                all.add(Kind::Symbol, Some(index), (name.object, name.name), name.sympos);
            }
        }
        for object in Patch::read(module).iter().flat_map(|patch| &patch.objects) {
            let Some(of) = object.name else { continue };
            for function in &object.functions {
                if let Some(name) = function.name {
                    all.add(Kind::Function, None, (of.0, name.0), function.sympos);
                }
            }
        }
        all
    }

    fn add(&mut self, kind: Kind, symbol: Option<u32>, wanted: (&'f [u8], &'f [u8]), sympos: u64) {
        if self.rows.len() == LISTED {
            self.more = self.more.saturating_add(1);
            return;
        }
        let text = |name| shorten(escaped(name), NAME);
        self.wanted.push(wanted);
        self.rows.push(ResolvedRow {
            kind,
            symbol,
            object: text(wanted.0),
            name: text(wanted.1),
            sympos,
            address: None,
            same: Vec::new(),
            more: 0,
        });
    }

    /// Looks up the names of the objects that are loaded. `symbols` returns the symbols of an object
    /// and a name, in the order of sympos: address and type.
    pub(crate) fn resolve(
        &mut self,
        is_loaded: impl Fn(&[u8]) -> bool,
        symbols: impl Fn(&[u8], &[u8]) -> Vec<(u64, u8)>,
    ) {
        for (row, (object, name)) in self.rows.iter_mut().zip(&self.wanted) {
            if is_loaded(object) {
                row.resolve(&symbols(object, name));
            }
        }
    }

    /// The rows, and the number of those that are not listed.
    pub(crate) fn finish(self) -> (Vec<ResolvedRow>, u64) {
        (self.rows, self.more)
    }
}

impl ResolvedRow {
    fn resolve(&mut self, symbols: &[(u64, u8)]) {
        // Sympos 0 means the only symbol of the name.
        let chosen = match self.sympos {
            0 => (symbols.len() == 1).then_some(1),
            sympos => Some(sympos),
        };
        let hexadecimal = |address: u64| format!("{address:#x}");
        self.address = None;
        self.same.clear();
        for (sympos, (address, _)) in (1u64..).zip(symbols) {
            let is_chosen = chosen == Some(sympos);
            if is_chosen {
                self.address = Some(hexadecimal(*address));
            }
            if is_chosen || self.same.len() < SAME {
                self.same.push(Same { sympos, address: hexadecimal(*address), chosen: is_chosen });
            }
        }
        self.more = symbols.len().saturating_sub(self.same.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(sympos: u64, count: u64) -> ResolvedRow {
        let mut resolution = Resolution::default();
        resolution.add(Kind::Symbol, None, (b"vmlinux", b"f"), sympos);
        let symbols: Vec<_> = (1..=count).map(|number| (number.wrapping_mul(0x10), b't')).collect();
        resolution.resolve(|_| true, |_, _| symbols.clone());
        resolution.finish().0.remove(0)
    }

    #[test]
    fn sympos_0_means_the_only_symbol_and_others_are_numbers() {
        for (sympos, count, address) in [
            (0, 0, None),
            (0, 1, Some("0x10")),
            (0, 2, None),
            (1, 2, Some("0x10")),
            (2, 2, Some("0x20")),
            (3, 2, None),
        ] {
            let row = resolved(sympos, count);
            assert_eq!(row.address.as_deref(), address, "{sympos} {count}");
            assert_eq!(row.same.len() as u64, count);
            assert_eq!(row.same.iter().filter(|same| same.chosen).count(), usize::from(address.is_some()));
        }
    }

    #[test]
    fn the_list_of_one_name_is_short_and_has_the_chosen_symbol() {
        let row = resolved(50, 100);
        let numbers: Vec<_> = row.same.iter().map(|same| same.sympos).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 50]);
        assert_eq!((row.address.as_deref(), row.more), (Some("0x320"), 89));
    }

    #[test]
    fn the_list_of_names_is_bounded_and_the_others_are_counted() {
        let mut resolution = Resolution::default();
        for _ in 0..LISTED + 3 {
            resolution.add(Kind::Function, None, (b"vmlinux", b"f"), 0);
        }
        let (rows, more) = resolution.finish();
        assert_eq!((rows.len(), more), (LISTED, 3));
    }
}
