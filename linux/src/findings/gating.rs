//! Findings about relocations that are applied when another object is loaded than the one that they
//! need, or never.

use super::{Finding, Lint};
use crate::bytes::index as to_index;
use crate::bytes::low32;
use relakit::abi::{KLP_RELA_PREFIX, KLP_SYM_PREFIX, VMLINUX};
use relakit::arch::is_none;
use relakit::elf::{Section, SymbolLocation};
use relakit::klp::SymName;
use relakit::{Class, Module};

/// Reports findings about the symbols that section `index` uses.
///
/// `users` has a word for each symbol: in the lower half the late section that used it first, or 0;
/// in the upper half the length of the object in its name, `u32::MAX` if the name has none, or 0 if
/// the name was not read.
pub(super) fn section(
    module: &Module<'_>,
    index: u32,
    section: &Section,
    users: &mut [u64],
    report: &mut dyn FnMut(Finding),
) {
    let object = module.object();
    let Some(class) = module.class(index).map(|class| class.class) else { return };
    let waits_for = match class {
        Class::KlpEarly { .. } => VMLINUX,
        Class::KlpLate { object, .. } => object,
        Class::Ordinary { target } => {
            if !object.section_name(section).starts_with(KLP_RELA_PREFIX) {
                ordinary(module, index, target, report);
            }
            return;
        }
        _ => return,
    };
    let mut last = None;
    for (entry, rela) in module.relocations(index).numbered() {
        if last.replace(rela.r_sym) == Some(rela.r_sym) {
            continue;
        }
        let mut unknown = 0;
        let user = to_index(u64::from(rela.r_sym)).and_then(|symbol| users.get_mut(symbol));
        let user = user.unwrap_or(&mut unknown);
        let Some(needs) = object_needed(module, rela.r_sym, user) else { continue };
        let mut found = |rule, other_section| {
            let entry = Some(entry as u64);
            let symbol = Some(rela.r_sym);
            let finding =
                Finding { section: Some(index), entry, symbol, other_section, ..Finding::new(rule) };
            report(Finding { offset: rela.r_offset, ..finding });
        };
        if waits_for == VMLINUX {
            if needs != VMLINUX {
                found(Lint::ModuleInEarly, None);
            }
            continue;
        }
        if needs != waits_for && needs != VMLINUX {
            found(Lint::ThirdModule, None);
        }
        match low32(*user) {
            0 => *user |= u64::from(index),
            first if first != index && late_object(module, first) != Some(waits_for) => {
                found(Lint::SharedSymbol, Some(first));
            }
            _ => {}
        }
    }
}

fn late_object<'f>(module: &Module<'f>, index: u32) -> Option<&'f [u8]> {
    module.class(index)?.class.object()
}

/// Returns the object in the name of livepatch symbol `index`, and stores in `user` how long it is:
/// the whole name is read once, because it may have 4096 bytes.
fn object_needed<'f>(module: &Module<'f>, index: u32, user: &mut u64) -> Option<&'f [u8]> {
    const NONE: u64 = u32::MAX as u64;
    if *user >> 32 == 0 {
        let length = livepatch_name(module, index).map_or(NONE, |name| name.object.len() as u64);
        *user |= length << 32;
    }
    let length = Some(*user >> 32).filter(|length| *length != NONE)?;
    let table = module.object().symbols();
    let name = table.strings().bytes().get(to_index(u64::from(table.get(index)?.st_name))?..)?;
    name.get(KLP_SYM_PREFIX.len()..)?.get(..to_index(length)?)
}

fn livepatch_name<'f>(module: &Module<'f>, index: u32) -> Option<SymName<'f>> {
    let table = module.object().symbols();
    let symbol = table.get(index)?;
    let is_livepatch = table.location(&symbol) == SymbolLocation::Livepatch;
    let name = table.name(&symbol).ok().filter(|_| is_livepatch)?;
    SymName::parse(name, module.profile())
}

/// Reports ordinary relocations that use livepatch symbols, except in `__klp_relocs`, which
/// klp-build uses for its own notes (Linux semantics 14).
fn ordinary(module: &Module<'_>, index: u32, target: u32, report: &mut dyn FnMut(Finding)) {
    let object = module.object();
    let is_note = object
        .section(target)
        .is_some_and(|target| object.section_name(&target).starts_with(b"__klp_relocs"));
    let table = object.symbols();
    if is_note {
        return;
    }
    for (entry, rela) in module.relocations(index).numbered() {
        let is_livepatch =
            table.get(rela.r_sym).is_some_and(|symbol| table.location(&symbol) == SymbolLocation::Livepatch);
        if is_livepatch && !is_none(rela.r_type) {
            report(Finding {
                section: Some(index),
                entry: Some(entry as u64),
                symbol: Some(rela.r_sym),
                offset: rela.r_offset,
                ..Finding::new(Lint::OrdinaryUsesKlp)
            });
        }
    }
}
