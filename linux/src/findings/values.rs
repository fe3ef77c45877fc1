//! Findings about values and fields (Linux semantics 9).

use super::{Field, Finding, Lint};
use relakit::elf::RelaTable;
use relakit::reloc::{RelocFlags, Values, howto};

/// Reports the PC32 and PLT32 relocations of `table` whose values do not fit, so that Linux
/// truncates them.
///
/// The target is at `address`, and symbols have these `values`. `section` is the index of the
/// section that holds the relocations.
pub fn truncated(
    table: RelaTable<'_>,
    values: Values<'_>,
    address: u64,
    section: u32,
    report: &mut dyn FnMut(Finding),
) {
    for (entry, rela) in table.numbered() {
        let Some(value) = values.value(rela.r_sym) else { continue };
        let p = address.wrapping_add(rela.r_offset);
        let Some(howto) = howto(rela.r_type, RelocFlags::empty()) else { continue };
        let value = howto.value(value, rela.r_addend, p);
        if howto.fits(value, RelocFlags::TRUNCATE_PC32) && !howto.fits(value, RelocFlags::empty()) {
            report(Finding {
                section: Some(section),
                entry: Some(entry as u64),
                symbol: Some(rela.r_sym),
                offset: rela.r_offset,
                value,
                ..Finding::new(Lint::Pc32Truncated)
            });
        }
    }
}

/// Reports fields that overlap. `sorted` has the fields of [`fields`](super::fields), or those of
/// some sections, in their natural order: target, offset, size.
pub fn overlaps(sorted: &[Field], report: &mut dyn FnMut(Finding)) {
    let mut furthest: Option<Field> = None;
    for field in sorted {
        if let Some(other) =
            furthest.filter(|other| other.target == field.target && end(other) > field.offset)
        {
            let is_same = (other.offset, other.size) == (field.offset, field.size);
            let rule = if is_same { Lint::RepeatedField } else { Lint::OverlappingFields };
            report(Finding {
                section: Some(field.section),
                entry: Some(field.entry),
                other_section: Some(other.section),
                other_entry: Some(other.entry),
                offset: field.offset,
                ..Finding::new(rule)
            });
        }
        if furthest.is_none_or(|other| other.target != field.target || end(&other) <= end(field)) {
            furthest = Some(*field);
        }
    }
}

const fn end(field: &Field) -> u64 {
    // A cast between integers of known width; `u64::from` is not const.
    field.offset.saturating_add(field.size as u64)
}
