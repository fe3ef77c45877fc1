//! Branches to thunks that the tables of sites do not list.

use super::{Defect, Sorted};
use crate::bytes::{index as to_index, u8_at};
use crate::findings::{Finding, Lint};
use crate::special::{Harm, Role, Version, by_name, of_section, sites};
use relakit::elf::SectionFlags;
use relakit::{Class, Loaded, Memory, Module};

/// Section of the sites, their role, and the name or the beginning of the name of their thunks.
const THUNKS: [(&str, Role, &[u8]); 2] = [
    (".return_sites", Role::Return, b"__x86_return_thunk"),
    (".retpoline_sites", Role::Retpoline, b"__x86_indirect_thunk_"),
];

/// Returns role and address of the sites in `.return_sites` and `.retpoline_sites`.
pub fn thunk_sites<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    memory: &mut M,
    version: Version,
    site: &mut dyn FnMut((Role, u64)),
) {
    for index in 1..loaded.module().object().section_count() {
        let Some(special) = of_section(loaded, index) else { continue };
        if !THUNKS.iter().any(|(name, ..)| *name == special.name) {
            continue;
        }
        let Some(target) = memory.target(index) else { continue };
        let bytes = target.bytes().unwrap_or_default();
        sites(special, version, bytes, target.address()).for_each(|found| site((found.role, found.address)));
    }
}

/// Reports the sections with branches to thunks that no entry lists, if kernels of this version
/// rewrite such branches.
pub(super) fn check<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    memory: &M,
    version: Version,
    sorted: Sorted<'_>,
    report: &mut dyn FnMut(Defect),
) {
    let module = loaded.module();
    for (index, class) in module.classes() {
        let (Class::Ordinary { target } | Class::KlpEarly { target }) = class.class else { continue };
        let Some(address) = memory.base(target).filter(|_| is_code(module, target)) else { continue };
        for (name, role, thunk) in THUNKS {
            let Some(special) = by_name(name.as_bytes()).filter(|special| special.is_read_by(version)) else {
                continue;
            };
            let mut first = None;
            let mut branches = 0u64;
            for (entry, rela) in module.relocations(index).numbered() {
                let Some(opcodes) = branch_to(module, target, rela.r_offset, rela.r_sym, thunk) else {
                    continue;
                };
                // The site begins with the opcode, or with the prefix before it.
                let field = address.wrapping_add(rela.r_offset);
                let is_listed = |before: u64| {
                    let site = (role, field.wrapping_sub(opcodes.saturating_add(before)));
                    sorted.thunk_sites.binary_search(&site).is_ok()
                };
                if !is_listed(0) && !is_listed(1) {
                    first.get_or_insert((entry, rela));
                    branches = branches.saturating_add(1);
                }
            }
            if let Some((entry, rela)) = first {
                let finding = Finding {
                    section: Some(index),
                    entry: Some(entry as u64),
                    symbol: Some(rela.r_sym),
                    offset: rela.r_offset,
                    value: branches,
                    ..Finding::new(Lint::ThunkNotListed)
                };
                report(Defect {
                    finding,
                    harm: Harm::Silent,
                    then: "leaves the branches as they are",
                    special,
                });
            }
        }
    }
}

/// Whether a section is code that runs where it is. Linux copies replacements to other places.
fn is_code(module: &Module<'_>, index: u32) -> bool {
    let object = module.object();
    object.section(index).is_some_and(|section| {
        module.is_allocated(index)
            && section.sh_flags.contains(SectionFlags::EXECINSTR)
            && !object.section_is_named(&section, b".altinstr_replacement")
    })
}

/// Returns the number of bytes of the opcode before a field, if it is that of a branch to a thunk
/// with this name.
fn branch_to(module: &Module<'_>, target: u32, offset: u64, symbol: u32, thunk: &[u8]) -> Option<u64> {
    let symbols = module.object().symbols();
    let symbol = symbols.get(symbol)?;
    let strings = symbols.strings();
    let is_thunk = match thunk.last() {
        Some(b'_') => strings.starts_with(symbol.st_name, thunk),
        _ => strings.is(symbol.st_name, thunk),
    };
    if !is_thunk {
        return None;
    }
    let object = module.object();
    let bytes = object.section(target).map_or(&[][..], |section| object.section_bytes(&section));
    let before = |distance: usize| u8_at(bytes, to_index(offset)?.checked_sub(distance)?);
    match (before(2), before(1)) {
        (_, Some(0xe8 | 0xe9)) => Some(1),
        (Some(0x0f), Some(0x80..=0x8f)) => Some(2),
        _ => None,
    }
}
