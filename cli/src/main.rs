//! `relakit`: inspects, checks and relocates Linux modules and livepatches.
//!
//! The modules are layers in the order of the data flow: `input` reads what the user gives, `view` says
//! what is in a module, `simulate` predicts what a kernel does with it, `diagnostics` makes one list of
//! errors and findings, `output` prints. The commands (`inspect`, `apply`, `check` with
//! `kernel_set`, `convert`, `verify`, `live`, `diff`, `explain`, `demo`) connect them.
#![forbid(unsafe_code)]

mod apply;
mod args;
mod check;
mod console;
mod convert;
mod demo;
mod diagnostics;
mod diff;
mod explain;
mod failure;
mod input;
mod inspect;
mod kernel_set;
mod live;
mod man;
mod output;
mod progress;
mod rules;
mod scenario;
mod simulate;
mod verify;
mod view;

use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use failure::Failure;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(message) => return without_command(&message),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(message) => return without_command(&message),
    };
    if cli.quiet {
        console::be_quiet();
    }
    let done = match &cli.command {
        Command::Inspect(args) => inspect::run(args),
        Command::Apply(args) => apply::run(args, &args::steps(&matches)),
        Command::Check(args) => match &args.kernel_set {
            Some(root) => kernel_set::run(args, root),
            None => check::run(args),
        },
        Command::Verify(args) => verify::run(args),
        Command::Live(args) => live::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Demo => demo::run(),
        Command::Completions { shell } => completions(*shell),
        Command::Man { out } => man::write(Cli::command(), out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(&failure),
    }
}

/// Prints a failure on standard error, and returns its exit code.
fn failed(failure: &Failure) -> ExitCode {
    let (code, message) = match failure {
        Failure::Module => return ExitCode::from(1),
        Failure::Usage(message) => (2, message),
        Failure::File(message) => (3, message),
    };
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // If this write fails too, the exit code still reports the failure.
    let _ = writeln!(anstream::stderr(), "{style}error{style:#}: {message}");
    ExitCode::from(code)
}

/// Prints clap's message: help, the version, or an error in the command line.
fn without_command(message: &clap::Error) -> ExitCode {
    let printed = message.print().and_then(|()| std::io::stdout().flush());
    match message.exit_code() {
        0 => console::stdout(printed).map_or_else(|failure| failed(&failure), |()| ExitCode::SUCCESS),
        _ => ExitCode::from(2),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "relakit", &mut script);
    console::to_stdout(|out| out.write_all(&script))
}
