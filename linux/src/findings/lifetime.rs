//! Findings about sections that are freed, or that Linux has already read, when late relocations
//! are applied.

use super::{Field, Finding, Lint};
use crate::bytes::index as to_index;
use crate::special::{self, Version};
use relakit::ErrorKind;
use relakit::abi::{RELA_SIZE, SHT_REL};
use relakit::elf::{Section, SectionFlags};
use relakit::reloc::howto;
use relakit::{Class, Module, Reason};

/// Size of an `Elf64_Rel` in bytes (gABI 4.1, "Relocation"). Linux on x86-64 refuses REL sections
/// that it reads.
const REL_SIZE: u64 = 16;

/// Reports findings about section `index` and its target.
pub(super) fn section(
    module: &Module<'_>,
    index: u32,
    section: &Section,
    version: Version,
    report: &mut dyn FnMut(Finding),
) {
    let Some(class) = module.class(index) else { return };
    let mut found = |rule, value: u64, limit: u64, target: bool| {
        let other_section = target.then_some(section.sh_info);
        report(Finding { section: Some(index), other_section, value, limit, ..Finding::new(rule) });
    };
    let is_klp = section.sh_flags.contains(SectionFlags::RELA_LIVEPATCH);
    let flags = section.sh_flags.bits();
    // With the flag, Linux reads every type as RELA.
    let entry = if section.sh_type == SHT_REL && !is_klp { REL_SIZE } else { RELA_SIZE as u64 };
    let left = section.sh_size.checked_rem(entry).unwrap_or(0);
    let is_empty = section.sh_size < entry;
    match class.class {
        Class::NotRelocation => return,
        Class::LegacyArch => return found(Lint::KlpArch, 0, 0, false),
        _ if left != 0 => found(Lint::PartialEntry, section.sh_size, left, false),
        _ => {}
    }
    let count = u64::from(module.object().section_count());
    match class.class {
        Class::Malformed { kind: ErrorKind::LateNotAllocated, .. } => {
            found(Lint::LateNotAllocated, flags, 0, false);
        }
        Class::Malformed { kind: ErrorKind::TargetOutOfRange, .. } => {
            found(Lint::TargetOutOfRange, u64::from(section.sh_info), count, false);
        }
        Class::Malformed { kind: ErrorKind::TargetNotAllocated | ErrorKind::TargetPerCpu, .. } => {
            found(Lint::LateTargetNotAllocated, 0, 0, true);
        }
        Class::Skipped if is_empty => {}
        Class::Skipped if class.reason == Reason::NoTarget => {
            found(Lint::TargetOutOfRange, u64::from(section.sh_info), count, false);
        }
        Class::Skipped if is_klp => found(Lint::EarlySkipped, 0, 0, true),
        Class::Skipped => found(Lint::Skipped, 0, 0, true),
        Class::KlpLate { target, .. } if !is_empty => late(module, index, target, version, report),
        _ => {}
    }
}

fn late(module: &Module<'_>, index: u32, target: u32, version: Version, report: &mut dyn FnMut(Finding)) {
    let object = module.object();
    let Some(header) = object.section(target) else { return };
    let name = object.section_name(&header);
    let into_target =
        |rule| Finding { section: Some(index), other_section: Some(target), ..Finding::new(rule) };
    if name.starts_with(b".init") {
        report(into_target(Lint::LateIntoInit));
    }
    if special::by_name(name).is_some_and(|special| !special.takes_late(version)) {
        report(into_target(Lint::LateIntoSpecial));
    }
    if !module.profile().clears_on_going {
        report(Finding { section: Some(index), ..Finding::new(Lint::NeverCleared) });
    }
    let bytes = object.section_bytes(&header);
    for field in fields_of(module, index, target) {
        let begin = to_index(field.offset);
        let there = begin.and_then(|begin| bytes.get(begin..)?.get(..usize::from(field.size)));
        let existing =
            there.unwrap_or_default().iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        if existing != 0 {
            report(Finding {
                section: Some(index),
                entry: Some(field.entry),
                offset: field.offset,
                value: existing,
                ..Finding::new(Lint::LateNonZero)
            });
        }
    }
}

/// Returns the fields of all relocations that are applied, early or late, in the order of the file.
pub fn fields<'a>(module: &'a Module<'_>) -> impl Iterator<Item = Field> + 'a {
    fields_where(module, Class::target)
}

/// Returns the fields of sections for which `target_of` returns a target. It is called once for
/// each section.
pub(super) fn fields_where<'a, 'f>(
    module: &'a Module<'f>,
    target_of: fn(Class<'f>) -> Option<u32>,
) -> impl Iterator<Item = Field> + use<'a, 'f> {
    module
        .classes()
        .filter_map(move |(index, class)| Some(fields_of(module, index, target_of(class.class)?)))
        .flatten()
}

fn fields_of<'f>(module: &Module<'f>, index: u32, target: u32) -> impl Iterator<Item = Field> + use<'f> {
    let flags = module.profile().reloc_flags();
    module.relocations(index).numbered().filter_map(move |(entry, rela)| {
        let size = howto(rela.r_type, flags)?.size;
        let field = Field { target, offset: rela.r_offset, size, section: index, entry: entry as u64 };
        (size != 0).then_some(field)
    })
}
