//! Findings about positions (Linux semantics 8), which need to know the symbols of the objects.

use super::{Finding, Rule};
use crate::elf::SymbolPlace;
use crate::klp::SymName;
use crate::module::Module;
use crate::symbols::Resolver;

/// Most symbols of one name that are counted.
const COUNTED: u64 = 1000;

/// Reports positions that are missing, and those that are given for the only symbol of a name. What the resolver does not
/// know, or fails to answer, is passed over.
pub fn sympos(module: &Module<'_>, resolver: &mut dyn Resolver, report: &mut dyn FnMut(Finding)) {
    let table = module.object().symbols();
    for index in 1..table.len() {
        let Some(symbol) = table.get(index) else { break };
        if table.place(index, &symbol) != SymbolPlace::Livepatch {
            continue;
        }
        let name = table.name(index, &symbol).ok().and_then(|name| SymName::parse(name, module.profile()));
        let Some(name) = name else { continue };
        let mut is_there =
            |position| matches!(resolver.candidate(name.object, name.name, position), Ok(Some(_)));
        let found = match name.position {
            0 if is_there(2) => {
                let last = (2..COUNTED).take_while(|position| is_there(position.saturating_add(1))).last();
                Finding {
                    limit: last.map_or(2, |last| last.saturating_add(1)),
                    ..Finding::new(Rule::SymposMissing)
                }
            }
            1.. if is_there(1) && !is_there(2) => {
                Finding { value: name.position, ..Finding::new(Rule::SymposNotNeeded) }
            }
            _ => continue,
        };
        report(Finding { symbol: Some(index), ..found });
    }
}
