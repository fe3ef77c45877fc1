//! `relakit explain`: the page of a rule, the checks that return an errno, and what lines of the
//! kernel's log mean.

mod checks;
mod errno;
mod line;
mod log;
mod next;
mod pattern;
mod report;
mod table;
mod text;

use crate::args::{ExplainArgs, Format};
use crate::console;
use crate::failure::Failure;
use crate::input::files::{self, Kind};
use crate::input::near::nearest;
use crate::output::json::versioned;
use crate::progress::Progress;
use crate::rules;
use report::{Asked, Explanation};
use std::path::Path;
use table::Table;

/// Runs the command.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let explanation = match (&args.log, args.what.as_deref()) {
        (Some(path), _) => of_log(path)?,
        (None, Some(what)) => of(what)?,
        (None, None) => Explanation::of_rules(),
    };
    console::to_stdout(|out| match args.format {
        Format::Text => text::print(&explanation, out),
        Format::Json => console::json(out, &versioned(&explanation)),
    })?;
    match explanation.is_empty() {
        true => Err(Failure::Module),
        false => Ok(()),
    }
}

fn of_log(path: &Path) -> Result<Explanation, Failure> {
    let progress = Progress::new();
    progress.say("reading the log");
    let bytes = files::read(path, Kind::Log)?;
    progress.say("looking for messages");
    Ok(Explanation::of_log(Asked::Log, &path.display().to_string(), &bytes, &Table::new()))
}

/// Explains one argument. Names come before errnos, because no name is a number. A text with a blank is
/// a message.
fn of(what: &str) -> Result<Explanation, Failure> {
    if let Some(rule) = rules::rules().find(|rule| rule.name == what) {
        return Ok(Explanation::of_rule(rule));
    }
    let table = Table::new();
    if let Some(check) = checks::find(what) {
        return Ok(Explanation::of_check(check, &table));
    }
    if let Some(errno) = errno::parse(what) {
        return Ok(Explanation::of_errno(errno, &table));
    }
    if what.trim().contains(char::is_whitespace) {
        return Ok(Explanation::of_log(Asked::Message, what, what.as_bytes(), &table));
    }
    Err(Failure::Usage(unknown(what)))
}

/// Says what a single word could be.
fn unknown(word: &str) -> String {
    let checks = checks::all();
    let mut known: Vec<&str> = rules::rules().map(|rule| rule.name).chain(errno::names()).collect();
    known.extend(checks.iter().map(|check| check.kind.as_str()));
    let word = word.escape_default();
    if Path::new(&word.to_string()).is_file() {
        return format!("{word} is a file: to explain a log, write --log {word}");
    }
    match nearest(&word.to_string(), known) {
        Some(near) => {
            format!("'{word}' is not a rule, a check or an errno; a similar value exists: '{near}'")
        }
        None => format!(
            "'{word}' is not a rule, a check or an errno that relakit knows; relakit explain lists the rules; \
             quote a line of the log"
        ),
    }
}
