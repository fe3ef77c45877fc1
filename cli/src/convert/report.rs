//! The report of `relakit convert`.
//!
//! `--format json` prints these structures: a field's name is its key, and `None` is null. Keys are
//! only ever added.

use crate::diagnostics::Diagnostic;
use crate::output::text;
use crate::simulate::report::Report;
use crate::view::location::Location;
use crate::view::names::plural;
use anstyle::AnsiColor;
use relakit::abi::VMLINUX;
use relakit_convert::{Converted, Refusal};
use relakit_linux::findings::Severity;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Default, Serialize)]
pub(super) struct Conversion {
    /// The input, as given.
    pub(super) file: String,
    /// The output, as given. Null if nothing was written.
    pub(super) out: Option<String>,
    /// The livepatch sections that got relocations.
    sections: Vec<SectionRow>,
    /// The livepatch symbols that were made.
    symbols: Vec<SymbolRow>,
    /// The modules that were removed from `depends=` in .modinfo.
    removed_depends: Vec<String>,
    /// Why the file cannot be converted.
    refusals: Vec<RefusalRow>,
    /// Remarks about this run: assumptions, and missing input.
    pub(super) notes: Vec<String>,
    /// The report of the check of the output. Null if it was not checked.
    pub(super) check: Option<Report>,
}

#[derive(Debug, Serialize)]
struct SectionRow {
    name: String,
    /// The object whose load the relocations wait for. Those of vmlinux do not wait.
    object: String,
    /// The section that is relocated.
    target: String,
    /// The number of added relocations.
    relocations: u64,
}

#[derive(Debug, Serialize)]
struct SymbolRow {
    /// The object that has the symbol.
    object: String,
    name: String,
    sympos: u64,
    /// Whether the symbol was found. If not, the symbols of the object were not given.
    verified: bool,
}

#[derive(Debug, Serialize)]
struct RefusalRow {
    message: String,
    /// The relocated section and the offset in it, if the refusal is about one relocation.
    section: Option<String>,
    offset: Option<u64>,
    details: Vec<String>,
    /// What to change or to give.
    help: Option<String>,
}

fn text_of(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

impl Conversion {
    pub(super) fn done(file: String, out: String, converted: &Converted) -> Self {
        let section = |section: &relakit_convert::KlpSection| SectionRow {
            name: text_of(&section.name),
            object: text_of(&section.patched),
            target: text_of(&section.target),
            relocations: section.relocations,
        };
        let symbol = |symbol: &relakit_convert::KlpSymbol| SymbolRow {
            object: text_of(&symbol.object),
            name: text_of(&symbol.name),
            sympos: symbol.sympos,
            verified: symbol.verified,
        };
        let unverified = converted.symbols.iter().filter(|symbol| !symbol.verified).count() as u64;
        let mut notes = Vec::new();
        if unverified != 0 {
            notes.push(format!(
                "{} not verified; give --symbols for vmlinux and --target for modules",
                plural(unverified, "symbol")
            ));
        }
        Self {
            file,
            out: Some(out),
            sections: converted.sections.iter().map(section).collect(),
            symbols: converted.symbols.iter().map(symbol).collect(),
            removed_depends: converted.removed_depends.iter().map(|name| text_of(name)).collect(),
            notes,
            ..Self::default()
        }
    }

    pub(super) fn refused(file: String, refusals: Vec<Refusal>) -> Self {
        let row = |refusal: Refusal| {
            let (section, offset) = refusal.place.unzip();
            RefusalRow {
                message: refusal.message,
                section,
                offset,
                details: refusal.details,
                help: refusal.help,
            }
        };
        Self { file, refusals: refusals.into_iter().map(row).collect(), ..Self::default() }
    }

    /// Prints why the file cannot be converted.
    pub(super) fn print_refusals(&self, mut out: &mut dyn Write) -> io::Result<()> {
        for row in &self.refusals {
            let location =
                Location { target_name: row.section.clone(), offset: row.offset, ..Location::default() };
            let item = Diagnostic {
                location: row.section.is_some().then_some(location),
                details: row.details.clone(),
                help: row.help.clone(),
                ..Diagnostic::new(Severity::Error, &row.message)
            };
            text::diagnostic(&item, &self.file, &mut out)?;
        }
        Ok(())
    }

    /// Prints what was made, without the report of the check.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if let (Some(to), []) = (&self.out, self.sections.as_slice()) {
            writeln!(out, "nothing to convert: {to} is the same as {}", self.file)?;
        } else if let Some(to) = &self.out {
            let relocations = self.sections.iter().map(|row| row.relocations).fold(0, u64::saturating_add);
            let style = AnsiColor::Green.on_default().bold();
            writeln!(
                out,
                "{style}converted{style:#}: {} to {to}: {} of {} in {}",
                self.file,
                plural(relocations, "relocation"),
                plural(self.symbols.len() as u64, "symbol"),
                plural(self.sections.len() as u64, "section"),
            )?;
        }
        for row in &self.sections {
            let when = match row.object.as_bytes() {
                VMLINUX => "when the livepatch is loaded".to_owned(),
                _ => format!("each time {} is loaded", row.object),
            };
            let count = plural(row.relocations, "relocation");
            writeln!(out, "    {}: {count} of {}, applied {when}", row.name, row.target)?;
        }
        if !self.removed_depends.is_empty() {
            writeln!(out, "    removed from depends in .modinfo: {}", self.removed_depends.join(", "))?;
        }
        let style = AnsiColor::Green.on_default().bold();
        self.notes.iter().try_for_each(|note| writeln!(out, "{style}note{style:#}: {note}"))
    }
}
