//! Tables without borders. Names are shortened if a table is too wide.

use crate::view::names::shorten;
use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, ContentArrangement};
use std::io::{self, Write};

/// Width of tables that are not printed on a terminal, in columns.
const WIDTH: u16 = 120;
/// Minimum width of tables. A narrower terminal wraps the lines.
const NARROWEST: u16 = 80;
/// Blanks between two columns.
const GAP: usize = 2;
/// Minimum width of wrapped prose.
const PROSE: usize = 32;
/// Minimum width of shortened names.
const NAME: usize = 16;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Text(&'static str),
    /// Aligned to the right.
    Number(&'static str),
    /// Loses its middle if the table is too wide.
    Name(&'static str),
    /// As `Name`, but if this is not enough, only the first word remains.
    Spare(&'static str),
    /// Wrapped if the table is too wide.
    Prose(&'static str),
}

/// The meaning of a cell. It determines the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Faint,
    Early,
    Late,
    Special,
    Warning,
    Error,
}

#[derive(Debug)]
pub(crate) struct Cell {
    tone: Tone,
    text: String,
}

pub(crate) fn cell(tone: Tone, text: impl ToString) -> Cell {
    Cell { tone, text: text.to_string() }
}

pub(crate) fn plain(text: impl ToString) -> Cell {
    cell(Tone::Plain, text)
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Number(title) => title,
            Self::Name(title) | Self::Spare(title) | Self::Prose(title) => title,
        }
    }
}

impl Cell {
    fn set(self) -> comfy_table::Cell {
        let cell = comfy_table::Cell::new_owned(self.text);
        match self.tone {
            Tone::Plain => cell,
            Tone::Faint => cell.add_attribute(Attribute::Dim),
            Tone::Early => cell.fg(Color::Cyan),
            Tone::Late => cell.fg(Color::Magenta),
            Tone::Special => cell.fg(Color::Blue),
            Tone::Warning => cell.fg(Color::Yellow),
            Tone::Error => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row; it has a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Prints the table under a heading. A table without rows is not printed.
    pub(crate) fn print(self, out: &mut impl Write, heading: &str) -> io::Result<()> {
        let width = comfy_table::Table::new().width().unwrap_or(WIDTH).max(NARROWEST);
        self.print_within(width, out, heading)
    }

    /// As [`print`](Self::print), with at most 80 columns.
    pub(crate) fn print_narrow(self, out: &mut impl Write, heading: &str) -> io::Result<()> {
        self.print_within(NARROWEST, out, heading)
    }

    fn print_within(mut self, width: u16, out: &mut impl Write, heading: &str) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let bold = anstyle::Style::new().bold();
        writeln!(out, "\n{bold}{heading}{bold:#}")?;
        self.shorten_names(usize::from(width));
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.style_mut().header_separator.fill = Some('-');
        table.style_mut().header_separator.junction = Some('-');
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width).enforce_styling().style_text_only();
        table.set_header(self.columns.iter().map(|column| column.title()));
        for (set, column) in table.column_iter_mut().zip(&self.columns) {
            // The second blank is the junction.
            set.set_padding((0, 1));
            if !matches!(column, Column::Prose(_)) {
                set.set_constraint(ColumnConstraint::ContentWidth);
            }
            if matches!(column, Column::Number(_)) {
                set.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.add_rows(self.rows.into_iter().map(|row| row.into_iter().map(Cell::set)));
        table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
    }

    /// Shortens names until the table fits, from right to left.
    fn shorten_names(&mut self, width: usize) {
        let columns: Vec<_> =
            (0..).zip(&self.columns).map(|(number, &column)| (number, column, self.widest(number))).collect();
        let shown = columns.iter().map(|&(_, column, widest)| match column {
            Column::Prose(_) => widest.min(PROSE),
            _ => widest,
        });
        let whole = shown.map(|column| column.saturating_add(GAP)).fold(0, usize::saturating_add);
        // The last column has only one blank.
        let mut excess = whole.saturating_sub(1).saturating_sub(width);
        for (number, column, widest) in columns.into_iter().rev() {
            let cut = widest.saturating_sub(NAME);
            let most = widest.saturating_sub(cut.min(excess));
            match column {
                Column::Spare(_) if excess > cut => {
                    self.change(number, |text| text.split(' ').next().unwrap_or_default().to_owned());
                }
                Column::Spare(_) | Column::Name(_) => self.change(number, |text| shorten(text, most)),
                Column::Text(_) | Column::Number(_) | Column::Prose(_) => continue,
            }
            excess = excess.saturating_sub(widest.saturating_sub(self.widest(number)));
        }
    }

    /// The width of a column, including its title.
    fn widest(&self, number: usize) -> usize {
        let title = self.columns.get(number).map_or(0, |column| column.title().len());
        let cells = self.rows.iter().filter_map(|row| row.get(number));
        cells.map(|cell| cell.text.len()).fold(title, usize::max)
    }

    fn change(&mut self, number: usize, to: impl Fn(String) -> String) {
        for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(number)) {
            cell.text = to(std::mem::take(&mut cell.text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(table: Table) -> Vec<String> {
        let mut out = Vec::new();
        table.print_within(120, &mut anstream::StripStream::new(&mut out), "Heading").unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn numbers_are_to_the_right_and_the_rest_to_the_left() {
        let mut table = Table::new([Column::Number("Nr"), Column::Name("Name"), Column::Number("Used")]);
        table.row(vec![plain(1), plain("a"), plain(1000)]);
        table.row(vec![plain(100), cell(Tone::Error, "longer"), cell(Tone::Faint, 1)]);
        assert_eq!(
            lines(table),
            [
                "",
                "Heading",
                " Nr  Name    Used",
                "------------------",
                "  1  a       1000",
                "100  longer     1",
            ]
        );
    }

    #[test]
    fn a_table_that_is_too_wide_shortens_names_and_wraps_prose() {
        let mut table = Table::new([Column::Name("Name"), Column::Number("Number"), Column::Prose("Prose")]);
        table.row(vec![plain("n".repeat(300)), plain(12), plain("word ".repeat(60))]);
        let lines = lines(table);
        assert!(lines.iter().all(|line| line.len() <= 120), "{lines:#?}");
        assert!(lines[4].contains("n...n") && lines[4].contains("    12  word word"), "{lines:#?}");
        assert!(lines.len() > 6, "{lines:#?}");
    }

    #[test]
    fn spare_text_is_shortened_before_names() {
        let spare = |name: usize, spare: usize| {
            let mut table = Table::new([Column::Name("Name"), Column::Spare("Into")]);
            table.row(vec![plain("n".repeat(name)), plain(format_args!("12 {}", "s".repeat(spare)))]);
            lines(table)[4].clone()
        };
        let n = |count| "n".repeat(count);
        assert_eq!(spare(80, 34), format!("{}  12 {}", n(80), "s".repeat(34)));
        assert_eq!(spare(80, 35), format!("{}  12 {}...{}", n(80), "s".repeat(14), "s".repeat(17)));
        assert_eq!(spare(104, 34), format!("{}  12", n(104)));
        assert!(spare(130, 34).ends_with("nn  12"));
    }

    #[test]
    fn no_rows_print_nothing() {
        assert_eq!(lines(Table::new([Column::Text("Name")])), [""; 0]);
    }
}
