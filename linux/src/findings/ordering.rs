//! Findings about late relocations in code that the reader of a special section rewrites.

use super::lifetime::fields_where;
use super::{Field, Finding, Lint};
use crate::bytes::index;
use crate::special::{self, Site, Version, sites};
use relakit::{Class, Loaded, Memory, Module};

/// The field of a late relocation, and its run-time address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LateField {
    /// Address of the first byte.
    pub address: u64,
    /// The field.
    pub field: Field,
}

/// Greatest size of a field in bytes.
const FIELD_MAX: u64 = 8;
/// Greatest size of an instruction in bytes. A site may be longer than usual.
const INSTRUCTION_MAX: u64 = 15;
/// Greatest number of fields that are checked for one site, which has up to 255 bytes. More fields
/// would overlap each other.
const FIELDS_PER_SITE: usize = 255 + 8;

/// Returns the fields of late relocations whose targets are in `memory`, in the order of the file.
pub fn late_fields<'a, M: Memory + ?Sized>(
    module: &'a Module<'_>,
    memory: &'a mut M,
) -> impl Iterator<Item = LateField> + 'a {
    let late = fields_where(module, |class| match class {
        Class::KlpLate { target, .. } => Some(target),
        _ => None,
    });
    late.filter_map(|field| {
        let target = memory.target(field.target)?;
        Some(LateField { address: target.address().wrapping_add(field.offset), field })
    })
}

/// Reports the late fields that are in code which kernels of this version may rewrite.
///
/// `sorted` has the fields of [`late_fields`] in their natural order: address first. `memory` is
/// that of the early pass, with its content after the pass. Special sections behind a writer are
/// not read.
pub fn rewritten<M: Memory + ?Sized>(
    loaded: &Loaded<'_>,
    memory: &mut M,
    version: Version,
    sorted: &[LateField],
    report: &mut dyn FnMut(Finding),
) {
    if sorted.is_empty() {
        return;
    }
    let module = loaded.module();
    for index in 1..module.object().section_count() {
        let Some(special) = special::of_section(loaded, index) else { continue };
        let Some(section) = memory.target(index) else { continue };
        let Some(bytes) = section.bytes() else { continue };
        let all = sites(special, version, bytes, section.address());
        let all = all.filter(|site| !site.role.ignores_late());
        for site in all {
            for late in overlapping(sorted, &site) {
                let size = site.size_in(code(module, late, &site));
                if size == 0 || late.address >= site.address.saturating_add(size) {
                    continue;
                }
                report(Finding {
                    section: Some(late.field.section),
                    entry: Some(late.field.entry),
                    other_section: Some(index),
                    other_entry: Some(site.entry),
                    offset: late.field.offset,
                    value: site.address,
                    limit: size,
                    ..Finding::new(Lint::LateIntoRewritten)
                });
            }
        }
    }
}

/// Returns the fields that may share a byte with a site, which may be shorter or longer than usual.
fn overlapping<'a>(sorted: &'a [LateField], site: &Site) -> impl Iterator<Item = &'a LateField> + use<'a> {
    let begin = site.address;
    let end = begin.saturating_add(site.size.max(INSTRUCTION_MAX));
    let first = sorted.partition_point(|late| late.address.saturating_add(FIELD_MAX) <= begin);
    let from = sorted.get(first..).unwrap_or_default();
    let near = from.iter().take_while(move |late| late.address < end).take(FIELDS_PER_SITE);
    near.filter(move |late| late.address.saturating_add(u64::from(late.field.size)) > begin)
}

/// Returns the bytes of the file at the address of a site in the target of `late`. Relocation does
/// not change opcodes.
fn code<'f>(module: &Module<'f>, late: &LateField, site: &Site) -> &'f [u8] {
    let offset = late.field.offset.wrapping_sub(late.address.wrapping_sub(site.address));
    let section = module.object().section(late.field.target);
    let bytes = section.map_or(&[][..], |section| module.object().section_bytes(&section));
    index(offset).and_then(|offset| bytes.get(offset..)).unwrap_or_default()
}
