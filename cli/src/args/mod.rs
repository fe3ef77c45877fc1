//! The command line. Each command has a file.

mod apply;
mod check;
mod convert;
mod diff;
mod explain;
mod inspect;
mod live;
mod values;
mod verify;

pub(crate) use apply::{ApplyArgs, Step, steps};
pub(crate) use check::{CheckArgs, CheckFormat};
pub(crate) use convert::ConvertArgs;
pub(crate) use diff::DiffArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use inspect::{InspectArgs, InspectFormat};
pub(crate) use live::LiveArgs;
pub(crate) use values::{Format, PlaceArg, TargetArg};
pub(crate) use verify::VerifyArgs;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  Success
  1  The module has errors. Standard error lists them. For check, see relakit check --help
  2  The command line is invalid
  3  A file cannot be read or written, is too large, or has invalid content.
     A broken pipe is not an error

Files:
Input files can be plain or compressed: xz, zstd or gzip. The file name - means standard input.

Size limits: 1024 MiB for a module, 256 MiB for a symbol file, 16 MiB for a file with the addresses of sections, 256 MiB for a log. A \
module from a pipe or from a compressed file has a limit of 256 MiB. A core file has no limit, because only the \
sections of the module are read. Devices cannot be read.";

/// Inspect, check and relocate Linux modules and livepatches
#[derive(Debug, Parser)]
#[command(name = "relakit", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print only results: no notes and no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Apply(ApplyArgs),
    Check(CheckArgs),
    Verify(VerifyArgs),
    Live(LiveArgs),
    Convert(ConvertArgs),
    Diff(DiffArgs),
    Explain(ExplainArgs),
    /// Show the life of a built-in livepatch
    ///
    /// The demo classifies the relocations, applies the early ones, and lists the special sections.
    /// Then it loads, unloads and reloads the module that the livepatch patches. It needs no files.
    Demo,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  relakit completions bash > /etc/bash_completion.d/relakit")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages to a directory
    #[command(after_help = "Example:\n  relakit man /usr/local/share/man/man1")]
    Man {
        /// The directory
        out: PathBuf,
    },
}
