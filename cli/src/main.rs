//! `relakit`: look into a Linux module or livepatch, and get the memory image a kernel would make of it.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod check;
mod demo;
mod errors;
mod image;
mod input;
mod inspect;
mod kernel;
mod output;
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
    /// The module cannot be relocated; the errors were reported. Exit code 1.
    Faults,
    /// The command line makes no sense. Exit code 2, as clap's own.
    Usage(String),
    /// A file cannot be read or written, or is not what it should be. Exit code 3.
    File(String),
}

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(answer) => return without_command(&answer),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return without_command(&error),
    };
    let done = match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Apply(args) => apply::run(args, &args::steps(&matches)),
        Command::Check(args) => check::run(args),
        Command::Demo => demo::run(),
        Command::Completions { shell } => completions(*shell),
        Command::Man { out } => man(out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

/// Reports a failure on standard error, and returns its exit code.
fn failed(failure: &Failure) -> ExitCode {
    let (code, message) = match failure {
        Failure::Faults => return ExitCode::from(1),
        Failure::Usage(message) => (2, message),
        Failure::File(message) => (3, message),
    };
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // If this fails too, the exit code still tells.
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {message}");
    ExitCode::from(code)
}

/// Prints what clap has to say instead of running a command: help, the version, or what is wrong with the command line.
fn without_command(answer: &clap::Error) -> ExitCode {
    let printed = answer.print().and_then(|()| std::io::stdout().flush());
    match answer.exit_code() {
        0 => output::stdout(printed).map_or_else(|failure| failed(&failure), |()| ExitCode::SUCCESS),
        _ => ExitCode::from(2),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "relakit", &mut script);
    output::to_stdout(|out| output::stdout(out.write_all(&script)))
}

fn man(out: &std::path::Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), out)
        .map_err(|error| Failure::File(format!("{}: {error}", out.display())))
}
