//! Findings about relocations that lead beyond the section of their symbol.

use super::{Finding, Lint};
use relakit::elf::SymbolLocation;
use relakit::{Class, Module};

/// Bytes before and after a section to which a relocation may lead.
const NEAR: i64 = 0;

/// Reports the early relocations in section `index` whose value is far outside of the section in
/// which their symbol is defined.
pub(super) fn section(module: &Module<'_>, index: u32, report: &mut dyn FnMut(Finding)) {
    let Some(class) = module.class(index) else { return };
    if !matches!(class.class, Class::Ordinary { .. } | Class::KlpEarly { .. }) {
        return;
    }
    let object = module.object();
    let symbols = object.symbols();
    for (entry, rela) in module.relocations(index).numbered() {
        let Some(symbol) = symbols.get(rela.r_sym) else { continue };
        let SymbolLocation::Section(of) = symbols.location(&symbol) else { continue };
        // The base of per-CPU symbols is not their section.
        let has_own_base = module.per_cpu_section() == Some(of);
        let Some(section) = object.section(of).filter(|_| module.is_allocated(of) && !has_own_base) else {
            continue;
        };
        let offset = symbol.st_value.wrapping_add(rela.r_addend.cast_unsigned()).cast_signed();
        let end = i64::try_from(section.sh_size).unwrap_or(i64::MAX);
        if offset < NEAR.saturating_neg() || offset > end.saturating_add(NEAR) {
            report(Finding {
                section: Some(index),
                entry: Some(entry as u64),
                symbol: Some(rela.r_sym),
                other_section: Some(of),
                offset: rela.r_offset,
                value: offset.cast_unsigned(),
                limit: section.sh_size,
                ..Finding::new(Lint::BeyondSection)
            });
        }
    }
}
