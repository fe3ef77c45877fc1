//! The view of a module, as tables.

mod got;
mod klp;
mod patch;
mod relocations;
mod resolved;
mod sections;
mod special;

use super::table::{Cell, Tone, cell};
use crate::view::names::{Name, plural, rules};
use crate::view::{Level, ModuleView, SectionClass};
use std::io::{self, Write};

/// Most section numbers in one cell.
const LISTED: usize = 12;

/// Most bytes of an object's name after a class.
const OBJECT: usize = 24;

pub(crate) fn print(out: &mut impl Write, module: &ModuleView<'_>) -> io::Result<()> {
    header(out, module)?;
    patch::functions(out, module)?;
    sections::sections(out, &module.sections)?;
    sections::reasons(out, &module.sections)?;
    relocations::relocations(out, &module.relocations)?;
    got::table(out, module.got.as_ref())?;
    klp::objects(out, &module.objects)?;
    klp::symbols(out, &module.klp_symbols)?;
    if let Some(rows) = &module.resolved {
        resolved::resolved(out, rows, module.more_resolved)?;
    }
    special::specials(out, module)
}

fn header(out: &mut impl Write, module: &ModuleView<'_>) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let module_name = module.name.map_or_else(|| "no name".to_owned(), name);
    let is_linux = module.special_sections_of.is_some();
    let kind = match (module.livepatch, is_linux) {
        (true, _) => "a livepatch, ",
        (false, true) => "not a livepatch, ",
        (false, false) => "",
    };
    let rules = rules(&module.kernel, module.rules);
    writeln!(out, "{bold}{}{bold:#}: {module_name}, {kind}{rules}", module.file)?;
    let counts = &module.counts;
    write!(
        out,
        "{}, {}, {}",
        plural(counts.sections, "section"),
        plural(counts.symbols, "symbol"),
        plural(counts.relocations, "relocation")
    )?;
    match module.vermagic.and_then(|vermagic| vermagic.0.split(|&byte| byte == b' ').next()) {
        Some(version) if is_linux => writeln!(out, ", built for Linux {}", name(Name(version)))?,
        _ => writeln!(out)?,
    }
    if counts.not_read != 0 {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let not_read = plural(counts.not_read, "relocation");
        writeln!(out, "{red}the relocation tables overlap: {not_read} not read{red:#}")?;
    }
    Ok(())
}

/// A name, shortened to more columns than terminals have.
fn name(name: Name<'_>) -> String {
    name.short(250)
}

fn class_tone(class: SectionClass) -> Tone {
    match class {
        SectionClass::KlpEarly => Tone::Early,
        SectionClass::KlpLate => Tone::Late,
        SectionClass::Skipped | SectionClass::LegacyArch => Tone::Warning,
        SectionClass::Malformed => Tone::Error,
        SectionClass::Ordinary | SectionClass::NotRelocation | SectionClass::Other => Tone::Plain,
    }
}

fn level_tone(level: Level) -> Tone {
    match level {
        Level::Info => Tone::Faint,
        Level::Warning => Tone::Warning,
        Level::Error => Tone::Error,
    }
}

fn class_text(class: SectionClass, object: Option<Name<'_>>) -> String {
    match class {
        SectionClass::Ordinary => "ordinary".to_owned(),
        SectionClass::KlpEarly => "KLP early".to_owned(),
        SectionClass::KlpLate => {
            let object = object.map(|object| format!(" {}", object.short(OBJECT)));
            format!("KLP late{}", object.unwrap_or_default())
        }
        SectionClass::Skipped => "skipped".to_owned(),
        SectionClass::Malformed => "malformed".to_owned(),
        SectionClass::LegacyArch => "KLP before 5.8".to_owned(),
        SectionClass::NotRelocation => "-".to_owned(),
        SectionClass::Other => "other".to_owned(),
    }
}

/// A count. If it is 0, the cell is a faint dash.
fn counted(count: u64, tone: Tone) -> Cell {
    match count {
        0 => cell(Tone::Faint, "-"),
        _ => cell(tone, count),
    }
}
