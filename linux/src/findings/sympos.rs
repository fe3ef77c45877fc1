//! Findings about sympos (Linux semantics 8). They need the symbols of the objects.

use super::{Finding, Lint};
use relakit::Module;
use relakit::Resolver;
use relakit::elf::{Symbol, SymbolLocation};
use relakit::klp::SymName;

/// Limit of the number of symbols of one name that is reported.
const COUNTED: u64 = 1000;

/// Reports symbols that need a sympos and have none, and symbols that have one without need.
///
/// The resolver is called at most 12 times for each symbol. Its errors count as unknown symbols. If
/// it knows the N-th symbol of a name, it must know those before it.
pub fn sympos(module: &Module<'_>, resolver: &mut dyn Resolver, report: &mut dyn FnMut(Finding)) {
    let table = module.object().symbols();
    let is_livepatch =
        |symbol: &Symbol| symbol.index() != 0 && table.location(symbol) == SymbolLocation::Livepatch;
    for symbol in table.iter().filter(is_livepatch) {
        let name = table.name(&symbol).ok().and_then(|name| SymName::parse(name, module.profile()));
        let Some(name) = name else { continue };
        let mut is_there =
            |position| matches!(resolver.nth_symbol(name.object, name.name, position), Ok(Some(_)));
        let found = match name.sympos {
            0 if is_there(2) => Finding { limit: last(&mut is_there), ..Finding::new(Lint::SymposMissing) },
            1.. if is_there(1) && !is_there(2) => {
                Finding { value: name.sympos, ..Finding::new(Lint::SymposNotNeeded) }
            }
            _ => continue,
        };
        report(Finding { symbol: Some(symbol.index()), ..found });
    }
}

/// Returns the last sympos that exists, from 2 to [`COUNTED`]. The search halves the range, because
/// a file can have many symbols of a common name.
fn last(exists: &mut dyn FnMut(u64) -> bool) -> u64 {
    let (mut last, mut end) = (2, COUNTED.saturating_add(1));
    while end.saturating_sub(last) > 1 {
        let middle = last.midpoint(end);
        if exists(middle) {
            last = middle;
        } else {
            end = middle;
        }
    }
    last
}
