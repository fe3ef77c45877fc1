//! The result for people.

use super::report::{Report, Row, Verdict};
use crate::diagnostics::{printable, sentence};
use crate::output::text::table::{Column, Table, Tone, cell, plain};
use crate::view::names::{self, plural};
use anstyle::AnsiColor;
use std::io::{self, Write};

/// Most differences that are listed.
const LISTED: usize = 100;
/// Most digits of a content that are shown: 8 bytes.
const DIGITS: usize = 16;

/// Prints the verdict, the differences, what was not judged, and the numbers.
pub(super) fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let rules = names::rules(&report.kernel, report.rules);
    let count = (report.differences.len() as u64).saturating_add(report.more_differences);
    let (colour, answer) = match report.verdict {
        Verdict::Verified => (AnsiColor::Green, "verified".to_owned()),
        Verdict::Differs => (AnsiColor::Red, plural(count, "difference")),
        Verdict::NotJudged => (AnsiColor::Yellow, "not judged".to_owned()),
    };
    let style = colour.on_default().bold();
    writeln!(out, "{style}{answer}{style:#}: {}, {rules}", printable(&report.file))?;
    differences(report, out)?;
    for item in &report.not_judged {
        let [what, why, give] = [&item.what, &item.why, &item.give].map(|text| sentence(text));
        writeln!(out, "not judged: {what}: {why}; give {give}")?;
    }
    let counts = &report.counts;
    let applied = match report.applied.is_empty() {
        true => String::new(),
        false => format!("; applied: {}", sentence(&report.applied.join(", "))),
    };
    writeln!(
        out,
        "{} compared; {} at {} can have several contents, {} rewritten; {} not judged{applied}",
        plural(counts.compared, "byte"),
        counts.flexible,
        plural(counts.sites, "patch site"),
        counts.rewritten,
        counts.not_judged,
    )
}

fn differences(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new([
        Column::Name("Where"),
        Column::Name("Symbol"),
        Column::Text("Expected"),
        Column::Text("Found"),
        Column::Prose("Why"),
    ]);
    for row in report.differences.iter().take(LISTED) {
        let Row { section_name, offset, symbol, expected, found, why, size, .. } = row;
        let bytes = |digits: &str| match digits.get(..DIGITS) {
            Some(first) if *size > DIGITS as u64 / 2 => format!("{first}..."),
            _ => digits.to_owned(),
        };
        table.row(vec![
            plain(format_args!("{section_name}+{offset:#x}")),
            plain(symbol.as_deref().unwrap_or_default()),
            plain(bytes(expected)),
            cell(Tone::Error, bytes(found)),
            plain(sentence(why)),
        ]);
    }
    table.print(out, "Differences")?;
    let listed = (report.differences.len() as u64).saturating_add(report.more_differences);
    let more = listed.saturating_sub(LISTED as u64);
    if more != 0 {
        writeln!(out, "and {more} more")?;
    }
    if !report.differences.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}
