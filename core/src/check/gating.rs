//! Findings about what waits for whom: relocations that are applied when another object comes than the one they need, or
//! never.

use super::loader::enables_patch;
use super::{Finding, Rule};
use crate::abi::{KLP_RELA_PREFIX, R_X86_64_64, R_X86_64_NONE, VMLINUX};
use crate::elf::{RelaTable, Section, SymbolPlace};
use crate::klp::{Class, MAX_OBJECTS, SymName};
use crate::module::Module;
use crate::read::index as to_index;

/// The symbols that section `index` uses. `users` has for each symbol the late section that used it first, or 0.
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
                ordinary(module, index, section, target, report);
            }
            return;
        }
        _ => return,
    };
    let mut last = None;
    for (entry, rela) in RelaTable::whole_entries(object.section_bytes(section)).0.numbered() {
        if last.replace(rela.symbol) == Some(rela.symbol) {
            continue;
        }
        let Some(name) = livepatch_name(module, rela.symbol) else { continue };
        let mut found = |rule, other_section| {
            let entry = Some(entry as u64);
            let symbol = Some(rela.symbol);
            let finding =
                Finding { section: Some(index), entry, symbol, other_section, ..Finding::new(rule) };
            report(Finding { offset: rela.offset, ..finding });
        };
        if waits_for == VMLINUX {
            if name.object != VMLINUX {
                found(Rule::ModuleInEarly, None);
            }
            continue;
        }
        if name.object != waits_for && name.object != VMLINUX {
            found(Rule::ThirdModule, None);
        }
        let user = to_index(u64::from(rela.symbol)).and_then(|symbol| users.get_mut(symbol));
        match user {
            Some(user @ 0) => *user = u64::from(index),
            Some(user) if object_of(module, *user) != Some(waits_for) => {
                found(Rule::SharedSymbol, u32::try_from(*user).ok());
            }
            _ => {}
        }
    }
}

/// The object of late section `section`.
fn object_of<'f>(module: &Module<'f>, section: u64) -> Option<&'f [u8]> {
    match module.class(u32::try_from(section).ok()?)?.class {
        Class::KlpLate { object, .. } => Some(object),
        _ => None,
    }
}

fn livepatch_name<'f>(module: &Module<'f>, index: u32) -> Option<SymName<'f>> {
    let table = module.object().symbols();
    let symbol = table.get(index)?;
    let is_livepatch = table.place(index, &symbol) == SymbolPlace::Livepatch;
    let name = table.name(index, &symbol).ok().filter(|_| is_livepatch)?;
    SymName::parse(name, module.profile())
}

/// Ordinary relocations that use livepatch symbols. klp-build leaves its own notes that way, in `__klp_relocs` (Linux
/// semantics 14).
fn ordinary(
    module: &Module<'_>,
    index: u32,
    section: &Section,
    target: u32,
    report: &mut dyn FnMut(Finding),
) {
    let object = module.object();
    let is_note = object
        .section(target)
        .is_some_and(|target| object.section_name(&target).starts_with(b"__klp_relocs"));
    let table = object.symbols();
    if is_note {
        return;
    }
    for (entry, rela) in RelaTable::whole_entries(object.section_bytes(section)).0.numbered() {
        let is_livepatch = table
            .get(rela.symbol)
            .is_some_and(|symbol| table.place(rela.symbol, &symbol) == SymbolPlace::Livepatch);
        if is_livepatch && rela.r_type != R_X86_64_NONE {
            report(Finding {
                section: Some(index),
                entry: Some(entry as u64),
                symbol: Some(rela.symbol),
                offset: rela.offset,
                ..Finding::new(Rule::OrdinaryUsesKlp)
            });
        }
    }
}

/// Sections for objects that the module does not patch, as far as there are no more of them than [`MAX_OBJECTS`].
pub(super) fn objects(module: &Module<'_>, report: &mut dyn FnMut(Finding)) {
    // The first section of each object, and what there is to say of all.
    let mut known = [None::<(u32, Option<Rule>)>; MAX_OBJECTS];
    for (index, class) in module.classes() {
        let Class::KlpLate { object, .. } = class.class else { continue };
        let rule = known.iter_mut().find_map(|slot| match slot {
            Some((first, rule)) => (object_of(module, u64::from(*first)) == Some(object)).then_some(*rule),
            None => Some(slot.insert((index, not_patched(module, object))).1),
        });
        if let Some(Some(rule)) = rule {
            report(Finding { section: Some(index), ..Finding::new(rule) });
        }
    }
}

fn not_patched(module: &Module<'_>, object: &[u8]) -> Option<Rule> {
    let differs_in_case = |text: &[u8]| text != object && text.eq_ignore_ascii_case(object);
    if patches(module, object) {
        None
    } else if points_to(module, object.len(), differs_in_case) {
        Some(Rule::ObjectNameCase)
    } else {
        Some(Rule::ObjectNotPatched)
    }
}

/// Whether the module patches the module `object`, as far as a file tells: it calls `klp_enable_patch`, and a pointer in
/// its data leads to that name, as in `struct klp_object`.
pub fn patches(module: &Module<'_>, object: &[u8]) -> bool {
    enables_patch(module) && points_to(module, object.len(), |text| text == object)
}

/// Whether an ordinary 64-bit relocation leads to a text of `length` bytes, with a NUL behind it, that `is_it`.
fn points_to(module: &Module<'_>, length: usize, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let object = module.object();
    let table = object.symbols();
    let text = |symbol: u32, addend: i64| {
        let found = table.get(symbol)?;
        let SymbolPlace::Section(section) = table.place(symbol, &found) else { return None };
        let bytes = object.section_bytes(&object.section(section)?);
        let text = bytes.get(to_index(found.value.wrapping_add(addend.cast_unsigned()))?..)?;
        let (text, rest) = text.split_at_checked(length)?;
        (rest.first() == Some(&0)).then_some(text)
    };
    module.classes().any(|(index, class)| {
        let Class::Ordinary { .. } = class.class else { return false };
        let Some(section) = object.section(index) else { return false };
        let relas = RelaTable::whole_entries(object.section_bytes(&section)).0;
        let pointers = relas.iter().filter(|rela| rela.r_type == R_X86_64_64);
        pointers.into_iter().any(|rela| text(rela.symbol, rela.addend).is_some_and(&is_it))
    })
}
