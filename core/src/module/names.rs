//! The names that a module knows, for the text of an error.

use super::Module;
use crate::elf::SymbolLocation;
use crate::error_text::{ErrorNames, SymbolName};

impl ErrorNames for Module<'_> {
    fn section_name(&self, section: u32) -> Option<&[u8]> {
        Some(self.object.section_name(&self.object.section(section)?))
    }

    /// The symbol of a section has the name of the section, as in other tools.
    fn symbol_name(&self, symbol: u32) -> Option<SymbolName<'_>> {
        let symbols = self.object.symbols();
        let symbol = symbols.get(symbol)?;
        let name = match (symbols.name(&symbol), symbols.location(&symbol)) {
            (Ok([]) | Err(_), SymbolLocation::Section(section)) => self.section_name(section)?,
            (name, _) => name.ok()?,
        };
        Some(SymbolName { name, object: None })
    }
}
