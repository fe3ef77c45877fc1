//! `relakit`: look into a Linux module or livepatch, and get the memory image a kernel would make of it.
#![deny(unsafe_code)]

mod apply;
mod args;
mod check;
mod demo;
mod faults;
mod image;
mod input;
mod inspect;
mod kernel;
mod place;
mod progress;
mod symbols;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use std::io::Write;
use std::process::ExitCode;

/// How a command ends other than well; each has an exit code of its own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The module cannot be relocated; the faults were reported. Exit code 1.
    Faults,
    /// The command line makes no sense. Exit code 2, as clap's own.
    Usage(String),
    /// A file cannot be read or written, or is not what it should be. Exit code 3.
    File(String),
}

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Apply(args) => apply::run(args, &args::steps(&matches)),
        Command::Check(args) => check::run(args),
        Command::Demo => demo::run(),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "relakit", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { out } => man(out),
    };
    let (code, message) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Faults) => return ExitCode::from(1),
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::File(message)) => (3, message),
    };
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // When standard error is gone there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {message}");
    ExitCode::from(code)
}

/// Prints to standard output; a reader that has gone is no fault of ours.
pub(crate) fn print(text: &str) {
    let _ = anstream::stdout().write_all(text.as_bytes());
}

/// Prints one JSON value to standard output.
pub(crate) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}

/// Says something on standard error that the user should know, and that stops nothing.
pub(crate) fn note(text: &str) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    let _ = writeln!(anstream::stderr(), "{style}note{style:#}: {text}");
}

fn man(out: &std::path::Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), out)
        .map_err(|error| Failure::File(format!("{}: {error}", out.display())))
}
