//! Late relocations in code that a special section's reader rewrites.

use super::lifetime::fields_where;
use super::{Field, Finding, Lint};
use crate::bytes::index;
use crate::special::{self, Role, Site, Version, sites};
use relakit::{Class, Loaded, Memory, Module};

/// A late relocation's field, and where it is when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LateField {
    /// Address of the first byte.
    pub address: u64,
    /// The field.
    pub field: Field,
}

/// Most bytes of a field.
const FIELD_MAX: u64 = 8;
/// Most bytes of an instruction: a site may turn out to be longer than usual.
const INSTRUCTION_MAX: u64 = 15;
/// Most fields that are looked at for one site, which has up to 255 bytes: where there are more, they overlap one another.
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

/// Reports the late fields that lie in code which kernels of this version may rewrite. `sorted` are those of
/// [`late_fields`], sorted by their natural order: address first. `memory` is that of the early pass, and as it was left
/// there; special sections behind a writer are not looked at.
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
        // The reader of calls leaves one that does not lead to a function with room before it; without its value a late one
        // leads to the instruction after it.
        let all = sites(special, version, bytes, section.address()).filter(|site| site.role != Role::Call);
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

/// The fields that may share a byte with a site, which may turn out to be shorter or longer.
fn overlapping<'a>(sorted: &'a [LateField], site: &Site) -> impl Iterator<Item = &'a LateField> + use<'a> {
    let begin = site.address;
    let end = begin.saturating_add(site.size.max(INSTRUCTION_MAX));
    let first = sorted.partition_point(|late| late.address.saturating_add(FIELD_MAX) <= begin);
    let from = sorted.get(first..).unwrap_or_default();
    let near = from.iter().take_while(move |late| late.address < end).take(FIELDS_PER_SITE);
    near.filter(move |late| late.address.saturating_add(u64::from(late.field.size)) > begin)
}

/// What the file has at the address of a site in the target of `late`: relocation leaves opcodes as they are.
fn code<'f>(module: &Module<'f>, late: &LateField, site: &Site) -> &'f [u8] {
    let offset = late.field.offset.wrapping_sub(late.address.wrapping_sub(site.address));
    let section = module.object().section(late.field.target);
    let bytes = section.map_or(&[][..], |section| module.object().section_bytes(&section));
    index(offset).and_then(|offset| bytes.get(offset..)).unwrap_or_default()
}
