//! Findings about relocations that lead beyond the section of their symbol.

use super::{Finding, Lint};
use relakit::elf::{SectionFlags, SymbolLocation};
use relakit::{Class, Module};

/// Bytes outside of the section to which a relocation of data may lead. None of 4023 modules of
/// Debian 6.1 has more than 0.
const NEAR_OF_DATA: i64 = 16;
/// Bytes after the end of the section to which a relocation of code may lead. Compilers add an
/// index to the address of an array: up to 3671 bytes in those modules. They subtract any number
/// of bytes, so there is no limit before the section.
const NEAR_OF_CODE: i64 = 8192;

/// Reports the early relocations in section `index` whose value is far outside of the section in
/// which their symbol is defined.
pub(super) fn section(module: &Module<'_>, index: u32, report: &mut dyn FnMut(Finding)) {
    let Some(class) = module.class(index) else { return };
    let (Class::Ordinary { target } | Class::KlpEarly { target }) = class.class else { return };
    let object = module.object();
    let is_code =
        object.section(target).is_some_and(|target| target.sh_flags.contains(SectionFlags::EXECINSTR));
    let (before, after) = if is_code { (i64::MAX, NEAR_OF_CODE) } else { (NEAR_OF_DATA, NEAR_OF_DATA) };
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
        if offset < before.saturating_neg() || offset > end.saturating_add(after) {
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
