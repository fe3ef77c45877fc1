//! The code and the key to which an entry of a special section leads, by its relocations.

use super::Relocations;
use crate::findings::Field;
use crate::special::{Version, by_name};
use relakit::Module;
use relakit::elf::SymbolLocation;

/// The place to which a pointer of an entry leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointee {
    /// Index of the symbol of the relocation.
    pub symbol: u32,
    /// Index of the section that has the symbol. `None` if the module does not define the symbol.
    pub section: Option<u32>,
    /// Offset in that section in bytes, or from the symbol.
    pub offset: u64,
}

/// The code and the key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointees {
    /// The instruction that Linux rewrites.
    pub code: Option<Pointee>,
    /// The static key or the key of the static call.
    pub key: Option<Pointee>,
}

/// Returns the code and the key of an entry of a special section, early or late. Only
/// `__jump_table` and `.static_call_sites` have keys.
///
/// `fields` has the fields of [`findings::fields`](crate::findings::fields) in their natural order.
/// `None` if the section is no table of pointers in kernels of this version.
pub fn pointees(
    module: &Module<'_>,
    fields: &[Field],
    section: u32,
    version: Version,
    entry: u64,
) -> Option<Pointees> {
    let object = module.object();
    let special = by_name(object.section_name(&object.section(section)?))?;
    let begin = entry.checked_mul(u64::from(special.entry_size(version)?))?;
    let key_at = match special.name {
        "__jump_table" => Some(8),
        ".static_call_sites" => Some(4),
        _ => None,
    };
    let relocations = Relocations { module, fields };
    let leads = |at: u64| {
        let rela = relocations.rela_at(section, begin.checked_add(at)?)?.1;
        let symbols = object.symbols();
        let symbol = symbols.get(rela.r_sym)?;
        let of = match symbols.location(&symbol) {
            SymbolLocation::Section(section) => Some(section),
            _ => None,
        };
        let value = of.map_or(0, |_| symbol.st_value);
        Some(Pointee { symbol: rela.r_sym, section: of, offset: value.wrapping_add_signed(rela.r_addend) })
    };
    // The lowest bits of a key are flags.
    let key = |key: Pointee| Pointee { offset: key.offset & !3, ..key };
    Some(Pointees { code: leads(0), key: key_at.and_then(leads).map(key) })
}
