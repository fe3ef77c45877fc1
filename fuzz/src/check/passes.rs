//! What the early pass refuses was announced, and what was announced it refuses.

use super::told;
use crate::module::mutated::Hashed;
use relakit::ErrorKind::{AssignedSize, NotAssigned, TargetNotZero};
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{RelocFlags, Values, howto};
use relakit::{Class, Error, Loaded, Memory, Module};
use relakit_linux::findings;
use relakit_linux::findings::{Field, Finding, Lint};
use relakit_model::table::{Fit, fits, row, value};
use relakit_model::world::{Names, World};

/// The early pass, with what its dry run lists and which fields overlap. Answers what is loaded,
/// and the symbols' values.
pub(super) fn early<'f>(
    module: &Module<'f>,
    world: &mut World<'_>,
    names: &mut Names<'_, Hashed>,
) -> Option<(Loaded<'f>, Vec<u64>)> {
    let overlaps = overlaps(module);
    let mut values = vec![0; usize::try_from(module.object().symbols().len()).unwrap()];
    let missing: Vec<Error> = module.assign_errors(world).collect();
    match module.assign(world) {
        Ok(placed) => drop(placed.fill().unwrap()),
        Err(error) => {
            assert!(matches!(error.kind, NotAssigned | AssignedSize), "{error}");
            assert_eq!(missing.first(), Some(&error));
            return None;
        }
    }
    assert_eq!(missing, []);
    let (mut listed, filled) = (Vec::new(), world.image());
    let mut placed = module.assign(world).unwrap().assume_filled();
    placed.errors(&mut values, names, &mut |error| listed.push(error)).unwrap();
    assert!(world.is(&filled), "a dry run writes nothing");
    listed.iter().for_each(|error| told(error, module.profile()));
    match module.assign(world).unwrap().assume_filled().early(&mut values, names) {
        Ok(loaded) => {
            assert_eq!(listed, [], "listed, and applied");
            truncation(module, world, &values);
            Some((loaded, values))
        }
        Err(error) => {
            told(&error, module.profile());
            let by_overlap = error.kind == TargetNotZero && !overlaps.is_empty();
            assert!(by_overlap || listed.contains(&error), "refused, and not listed: {error}");
            assert!(by_overlap || error.kind != TargetNotZero || error.limit != 0, "{error}");
            None
        }
    }
}

/// Fields that overlap, as found and as two loops find them.
fn overlaps(module: &Module<'_>) -> Vec<Finding> {
    let mut fields: Vec<Field> = findings::fields(module).collect();
    for field in &fields {
        let section = module.object().section(field.section).unwrap();
        let rela = RelaTable::whole_entries(module.object().section_bytes(&section))
            .0
            .get(usize::try_from(field.entry).unwrap());
        let rela = rela.unwrap_or_else(|| panic!("{field:?}"));
        let size = howto(rela.r_type, module.profile().reloc_flags()).map(|howto| howto.size);
        assert_eq!((section.sh_info, rela.r_offset, size), (field.target, field.offset, Some(field.size)));
    }
    fields.sort_unstable();
    let mut found = Vec::new();
    findings::overlaps(&fields, &mut |finding| found.push(finding));
    let share = |a: &Field, b: &Field| {
        let (at, other) = (i128::from(a.offset), i128::from(b.offset));
        a.target == b.target && at < other + i128::from(b.size) && other < at + i128::from(a.size)
    };
    // Bounded: a file may hold thousands.
    let few = fields.len() <= 256 && fields.iter().all(|field| field.offset < 1 << 63);
    if few {
        let does =
            |(number, field): (usize, &Field)| fields[..number].iter().any(|other| share(field, other));
        assert_eq!(found.len(), fields.iter().enumerate().filter(|pair| does(*pair)).count(), "overlaps");
    }
    for finding in &found {
        super::findings::is_there(module, finding);
        let of = |section: Option<u32>, entry: Option<u64>| {
            fields.iter().find(|field| (Some(field.section), Some(field.entry)) == (section, entry)).unwrap()
        };
        let (one, other) =
            (of(finding.section, finding.entry), of(finding.other_section, finding.other_entry));
        assert!(share(one, other) || !few, "{finding:?}");
        let same = (one.offset, one.size) == (other.offset, other.size);
        assert_eq!(finding.lint == Lint::RepeatedField, same, "{finding:?}");
    }
    found
}

/// PC32 and PLT32 that do not fit, by arithmetic that does not wrap. None is found where the
/// profile checks them.
fn truncation(module: &Module<'_>, world: &mut World<'_>, values: &[u64]) {
    for (index, class) in module.classes() {
        let (Class::Ordinary { target } | Class::KlpEarly { target }) = class.class else { continue };
        let section = module.object().section(index).unwrap();
        let table = RelaTable::whole_entries(module.object().section_bytes(&section)).0;
        let Some(address) = world.target(target).map(|target| target.address()) else { continue };
        let mut found = Vec::new();
        findings::truncated(table, Values::Dense(values), address, index, &mut |finding| found.push(finding));
        found.iter().for_each(|finding| super::findings::is_there(module, finding));
        let is_truncated = |rela: &Rela| {
            let row = row(rela.r_type, RelocFlags::empty()).filter(|row| row.3 == Fit::SextOrCut);
            let (s, p) = (values[usize::try_from(rela.r_sym).unwrap()], address.wrapping_add(rela.r_offset));
            row.is_some_and(|row| !fits(row, value(row, s, rela.r_addend, p), RelocFlags::empty()))
        };
        let expected = (0..).zip(table.iter()).filter(|(_, rela)| is_truncated(rela));
        assert!(
            found.iter().map(|finding| finding.entry).eq(expected.map(|(entry, _)| Some(entry))),
            "section {index}"
        );
        assert!(
            found.is_empty() || module.profile().flags.contains(relakit::reloc::RelocFlags::TRUNCATE_PC32),
            "truncated, and not refused: section {index}"
        );
    }
}
