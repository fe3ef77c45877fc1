//! The report for people.

mod klp;
mod relocations;
mod sections;
mod special;

use super::report::{Kind, Level, Name, Report};
use super::table::{Cell, Tone, cell};
use std::io::{self, Write};

/// Most section numbers in one cell.
const LISTED: usize = 12;

/// Most bytes of an object's name where it is part of a class. Real ones have fewer.
const OBJECT: usize = 24;

/// Prints it whole.
pub(super) fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    header(out, report)?;
    sections::sections(out, &report.sections)?;
    sections::reasons(out, &report.sections)?;
    relocations::relocations(out, &report.relocations)?;
    klp::objects(out, &report.objects)?;
    klp::symbols(out, &report.klp_symbols)?;
    special::specials(out, report)
}

fn header(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let module = report.name.map_or_else(|| "no name".to_owned(), name);
    let livepatch = if report.livepatch { "a livepatch" } else { "no livepatch" };
    let rules = match (report.kernel.as_str(), report.rules) {
        (_, "elf") => "by the rules of ELF".to_owned(),
        (asked, row) if asked == row => format!("by the rules of Linux {row}"),
        (asked, row) => format!("by the rules of Linux {asked}, which are those of {row}"),
    };
    writeln!(out, "{bold}{}{bold:#}: {module}, {livepatch}, {rules}", report.file)?;
    let counts = &report.counts;
    write!(
        out,
        "{}, {}, {}",
        plural(counts.sections, "section"),
        plural(counts.symbols, "symbol"),
        plural(counts.relocations, "relocation")
    )?;
    match report.vermagic.and_then(|vermagic| vermagic.0.split(|&byte| byte == b' ').next()) {
        Some(version) => writeln!(out, ", built for Linux {}", name(Name(version)))?,
        None => writeln!(out)?,
    }
    if counts.not_read != 0 {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let not_read = plural(counts.not_read, "relocation");
        writeln!(out, "{red}the relocation tables overlap: {not_read} not looked at{red:#}")?;
    }
    Ok(())
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A name, cut to more than any terminal is wide.
fn name(name: Name<'_>) -> String {
    name.short(250)
}

fn class_tone(class: Kind) -> Tone {
    match class {
        Kind::KlpEarly => Tone::Early,
        Kind::KlpLate => Tone::Late,
        Kind::Skipped | Kind::LegacyArch => Tone::Warning,
        Kind::Malformed => Tone::Error,
        Kind::Ordinary | Kind::NotRelocation | Kind::Other => Tone::Plain,
    }
}

fn level_tone(level: Level) -> Tone {
    match level {
        Level::Info => Tone::Faint,
        Level::Warning => Tone::Warning,
        Level::Error => Tone::Error,
    }
}

fn class_text(class: Kind, object: Option<Name<'_>>) -> String {
    match class {
        Kind::Ordinary => "ordinary".to_owned(),
        Kind::KlpEarly => "KLP early".to_owned(),
        Kind::KlpLate => {
            let object = object.map(|object| format!(" {}", object.short(OBJECT)));
            format!("KLP late{}", object.unwrap_or_default())
        }
        Kind::Skipped => "passed over".to_owned(),
        Kind::Malformed => "malformed".to_owned(),
        Kind::LegacyArch => "KLP before 5.8".to_owned(),
        Kind::NotRelocation => "-".to_owned(),
        Kind::Other => "other".to_owned(),
    }
}

/// A count that is easy to overlook when it is 0.
fn counted(count: u64, tone: Tone) -> Cell {
    match count {
        0 => cell(Tone::Faint, "-"),
        _ => cell(tone, count),
    }
}
