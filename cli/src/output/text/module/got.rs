//! The global offset table that a loader makes.

use super::super::table::{Column, Table, plain};
use super::name;
use crate::view::got::Got;
use crate::view::names::plural;
use std::io::{self, Write};

/// Most symbols that are listed. JSON has all of them.
const SYMBOLS: usize = 40;

pub(super) fn table(out: &mut impl Write, got: Option<&Got<'_>>) -> io::Result<()> {
    let Some(got) = got else { return Ok(()) };
    let mut table = Table::new([Column::Number("Nr"), Column::Name("Symbol")]);
    for symbol in got.symbols.iter().take(SYMBOLS) {
        let text = match symbol.index {
            0 => "- (only the address of the table)".to_owned(),
            _ => symbol.name.map(name).filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned()),
        };
        table.row(vec![plain(symbol.index), plain(text)]);
    }
    let more = got.symbols.len().saturating_sub(SYMBOLS);
    if more != 0 {
        table.row(vec![plain(""), plain(format_args!("and {more} more symbols"))]);
    }
    let (slots, size) = (plural(got.slots, "slot"), plural(got.size, "byte"));
    table.print(out, &format!("Global offset table (section {}): {slots}, {size}", got.section))
}
