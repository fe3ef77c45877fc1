//! The relocations by class and type.

use super::super::table::{Column, Table, Tone, cell, plain};
use super::{LISTED, class_text, class_tone, counted};
use crate::view::{PassRow, SectionClass, TypeCount};
use relakit::arch;
use relakit::reloc::HOWTOS;
use std::io::{self, Write};

/// One row for each class and object, one column for each type.
pub(super) fn relocations(out: &mut impl Write, passes: &[PassRow<'_>]) -> io::Result<()> {
    let is_applied = |r_type| {
        passes.iter().flat_map(|pass| &pass.types).any(|found| found.applied && found.r_type == r_type)
    };
    let applied: Vec<u32> =
        HOWTOS.iter().map(|howto| howto.r_type).filter(|&r_type| is_applied(r_type)).collect();
    // Types with a global offset table share a column, too: there are twelve.
    let with_got = |pass: &PassRow<'_>| -> u64 {
        let is_other = |found: &&TypeCount| found.applied && !applied.contains(&found.r_type);
        pass.types.iter().filter(is_other).map(|found| found.relocations).sum()
    };
    let has_got = passes.iter().any(|pass| with_got(pass) != 0);
    // Types that cannot be applied share a column: debug sections have many, a hostile file any
    // number.
    let others = |pass: &PassRow<'_>| -> u64 {
        pass.types.iter().filter(|found| !found.applied).map(|found| found.relocations).sum()
    };
    let has_others = passes.iter().any(|pass| others(pass) != 0);
    let columns: Vec<_> = std::iter::once(Column::Name(arch::TYPES_HEADING))
        .chain(applied.iter().filter_map(|&r_type| arch::short_type_name(r_type)).map(Column::Number))
        .chain(has_got.then_some(Column::Number("GOT")))
        .chain(has_others.then_some(Column::Number("others")))
        .chain([Column::Number("all")])
        .collect();
    let number = |pass: &PassRow<'_>, r_type| {
        let found = pass.types.iter().find(|found| found.r_type == r_type);
        found.map_or(0, |found| found.relocations)
    };
    let mut table = Table::new(columns);
    for pass in passes {
        let mut cells = vec![cell(class_tone(pass.class), class_text(pass.class, pass.object))];
        cells.extend(applied.iter().map(|&r_type| counted(number(pass, r_type), Tone::Plain)));
        cells.extend(has_got.then(|| counted(with_got(pass), Tone::Plain)));
        if has_others {
            let tone = if is_wanted(pass) { Tone::Error } else { Tone::Plain };
            cells.push(counted(others(pass), tone));
        }
        cells.push(counted(pass.relocations, Tone::Plain));
        table.row(cells);
    }
    if passes.len() > 1 {
        let sum = |of: &dyn Fn(&PassRow<'_>) -> u64| counted(passes.iter().map(of).sum(), Tone::Plain);
        let mut cells = vec![plain("all")];
        cells.extend(applied.iter().map(|&r_type| sum(&|pass| number(pass, r_type))));
        cells.extend(has_got.then(|| sum(&with_got)));
        cells.extend(has_others.then(|| sum(&others)));
        cells.push(sum(&|pass| pass.relocations));
        table.row(cells);
    }
    table.print(out, "Relocations")?;

    let mut table = Table::new([Column::Name("Class"), Column::Number("Relocations"), Column::Prose("Type")]);
    for pass in passes.iter().filter(|pass| is_wanted(pass)) {
        let others = pass.types.iter().filter(|found| !found.applied);
        for found in others.clone().take(LISTED) {
            let r_type = found.name.map_or_else(|| format!("{} (no name)", found.r_type), str::to_owned);
            table.row(vec![
                cell(class_tone(pass.class), class_text(pass.class, pass.object)),
                cell(Tone::Error, found.relocations),
                plain(r_type),
            ]);
        }
        let more = others.count().saturating_sub(LISTED);
        if more != 0 {
            table.row(vec![plain(""), plain(""), plain(format_args!("and {more} more types"))]);
        }
    }
    table.print(out, "Types that cannot be applied")
}

/// Whether Linux tries to apply them.
const fn is_wanted(pass: &PassRow<'_>) -> bool {
    matches!(pass.class, SectionClass::Ordinary | SectionClass::KlpEarly | SectionClass::KlpLate)
}
