//! `relakit man`: the manual pages. The help after the options has parts with titles, which become
//! sections with the usual names.

use crate::failure::Failure;
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::fs;
use std::io;
use std::path::Path;

/// Titles of parts of the help, and names of sections (man-pages(7)), in the order of the page.
const SECTIONS: [(&str, &str); 6] = [
    ("Exit codes:", "EXIT STATUS"),
    ("Files:", "FILES"),
    ("Events:", "EVENTS"),
    ("Notes:", "NOTES"),
    ("Examples:", "EXAMPLES"),
    ("Example:", "EXAMPLES"),
];

/// Writes the page of the tool and the pages of its commands.
pub(crate) fn write(mut tool: Command, out: &Path) -> Result<(), Failure> {
    tool = tool.disable_help_subcommand(true);
    tool.build();
    let names: Vec<String> = tool.get_subcommands().map(page_name).collect();
    let shared = help(&tool);
    for command in std::iter::once(&tool).chain(tool.get_subcommands()) {
        let name = page_name(command);
        let see = std::iter::once(&*name).filter(|name| *name != "relakit").map(|_| "relakit");
        let others = names.iter().map(String::as_str).filter(|other| *other != name);
        let page = page(command, &shared, &see.chain(others).collect::<Vec<_>>());
        let path = out.join(format!("{name}.1"));
        page.and_then(|text| fs::write(&path, text)).map_err(|error| Failure::file(&path, error))?;
    }
    Ok(())
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn help(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The page of a command. Parts that its help does not have come from that of the tool, but not its
/// examples.
fn page(command: &Command, shared: &str, see: &[&str]) -> io::Result<Vec<u8>> {
    let (man, mut page) = (Man::new(command.clone()), Vec::new());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let own = help(command);
    let mut roff = Roff::new();
    for (title, name) in SECTIONS {
        let is_shared = matches!(name, "EXIT STATUS" | "FILES");
        let part = part(&own, title).or_else(|| part(shared, title).filter(|_| is_shared));
        if let Some(part) = part {
            section(&mut roff, name, &part);
        }
    }
    roff.to_writer(&mut page)?;
    if command.has_subcommands() {
        man.render_version_section(&mut page)?;
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let pages: Vec<_> = see.iter().flat_map(|name| [bold(*name), roman("(1), ")]).collect();
    roff.text([pages, vec![roman(env!("CARGO_PKG_REPOSITORY"))]].concat());
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// The lines after a title, up to the next title.
fn part<'h>(help: &'h str, title: &str) -> Option<Vec<&'h str>> {
    let is_title = |line: &str| SECTIONS.iter().any(|(title, _)| *title == line);
    let mut lines = help.lines().skip_while(|line| *line != title);
    lines.next()?;
    Some(lines.take_while(|line| !is_title(line)).collect())
}

/// Exit codes become a list, other lines with an indent are printed as they are, and lines without
/// one are paragraphs.
fn section(roff: &mut Roff, name: &str, lines: &[&str]) {
    roff.control("SH", [name]);
    let mut is_literal = false;
    for line in lines {
        let code = line.trim_start().split_once("  ").filter(|_| name == "EXIT STATUS");
        let indented = line.starts_with(' ');
        if is_literal != (indented && name != "EXIT STATUS") {
            is_literal = !is_literal;
            roff.control(if is_literal { "nf" } else { "fi" }, []);
        }
        match code {
            Some((code, text)) if !code.is_empty() => {
                roff.control("TP", []).text([bold(code)]).text([roman(text)]);
            }
            _ if line.is_empty() => {
                roff.control("PP", []);
            }
            _ => {
                roff.text([roman(if is_literal { *line } else { line.trim_start() })]);
            }
        }
    }
    if is_literal {
        roff.control("fi", []);
    }
}
