//! The symbols of the kernel that a livepatch means.

use super::super::table::{Column, Table, Tone, cell, plain};
use crate::view::names::{plural, shorten};
use crate::view::resolve::{Kind, ResolvedRow};
use std::io::{self, Write};

/// Most bytes of a name, which is more than terminals have columns.
const NAME: usize = 250;

pub(super) fn resolved(out: &mut impl Write, rows: &[ResolvedRow], more: u64) -> io::Result<()> {
    let mut table = Table::new([
        Column::Name("Object"),
        Column::Name("Name"),
        Column::Number("Sympos"),
        Column::Number("Number"),
        Column::Text("Address"),
        Column::Text("Meant"),
    ]);
    for row in rows {
        let text = |name: &str| shorten(name.to_owned(), NAME);
        let name = match row.kind {
            Kind::Symbol => text(&row.name),
            Kind::Function => format!("{}()", text(&row.name)),
        };
        let first = [plain(text(&row.object)), plain(name), plain(row.sympos)];
        let empty = || [plain(""), plain(""), plain("")];
        let mut first = Some(first);
        let mut add = |tone, number: String, address: String, meant: &str| {
            let mut cells: Vec<_> = first.take().unwrap_or_else(empty).into();
            cells.extend([cell(tone, number), cell(tone, address), cell(tone, meant)]);
            table.row(cells);
        };
        if row.same.is_empty() {
            add(Tone::Warning, "-".to_owned(), "not found".to_owned(), "-");
        }
        for same in &row.same {
            let (tone, meant) = if same.chosen { (Tone::Plain, "yes") } else { (Tone::Faint, "-") };
            let tone = if row.address.is_none() { Tone::Warning } else { tone };
            add(tone, same.sympos.to_string(), same.address.clone(), meant);
        }
        if row.more != 0 {
            add(Tone::Faint, "-".to_owned(), format!("and {} more", row.more), "-");
        }
    }
    table.print(out, "Symbols of the kernel")?;
    match more {
        0 => Ok(()),
        more => writeln!(out, "and {} more", plural(more, "name")),
    }
}
