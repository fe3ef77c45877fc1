//! What a livepatch replaces.

use super::super::table::{Column, Table, Tone, cell, plain};
use super::name;
use crate::view::ModuleView;
use crate::view::patch::Patch;
use std::io::{self, Write};

/// A sentence about the livepatch, and a row for each function.
pub(super) fn functions(out: &mut impl Write, module: &ModuleView<'_>) -> io::Result<()> {
    if module.patch_made_at_run_time {
        return writeln!(out, "the init function makes the list of functions, so the file does not show it");
    }
    let Some(patch) = &module.patch else { return Ok(()) };
    summary(out, patch)?;
    let mut table = Table::new(vec![
        Column::Name("Object"),
        Column::Name("Function"),
        Column::Number("Sympos"),
        Column::Name("Replacement"),
    ]);
    for object in &patch.objects {
        for func in &object.functions {
            let text = |known: Option<_>, is_set| match (known, is_set) {
                (Some(known), _) => plain(name(known)),
                (None, true) => cell(Tone::Faint, "?"),
                (None, false) => cell(Tone::Error, "NULL"),
            };
            table.row(vec![
                plain(object.name()),
                text(func.name, func.is_named),
                plain(func.sympos.to_string()),
                text(func.replacement, func.is_replaced),
            ]);
        }
    }
    table.print(out, "Replaced functions")
}

fn summary(out: &mut impl Write, patch: &Patch<'_>) -> io::Result<()> {
    let replace = match patch.replace {
        Some(true) => "replaces all other livepatches",
        Some(false) => "adds to other livepatches",
        None => "its init function decides whether it replaces other livepatches",
    };
    writeln!(out, "{replace}")?;
    for state in &patch.states {
        writeln!(out, "changes state {:#x}, version {}", state.id, state.version)?;
    }
    for object in patch.objects.iter().filter(|object| !object.callbacks.is_empty()) {
        writeln!(out, "callbacks of {}: {}", object.name(), object.callbacks.join(", "))?;
    }
    Ok(())
}
