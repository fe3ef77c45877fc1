//! The command line of `relakit inspect`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

const INSPECT_EXAMPLES: &str = "\
Examples:
  relakit inspect livepatch.ko
  relakit inspect livepatch.ko --symbols System.map
  relakit inspect --kernel 7.3 /lib/modules/7.3.4/kernel/fs/ext4/ext4.ko.xz
  relakit inspect --format json livepatch.ko | jq '.objects'";

/// Show what a loader sees in a module
///
/// The output lists the functions that a livepatch replaces, the sections with their classes and the
/// reasons, the relocations by type, the patched objects and their symbols, and the special sections
/// with their relocations. With --symbols, it also lists the address that each name and sympos of a
/// livepatch stands for, and the other symbols of that name. With --kernel elf, it also has the global
/// offset table that position-independent code needs.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The module (.ko, plain or compressed), or - for standard input
    pub(crate) module: PathBuf,
    /// Show which symbols of the kernel the livepatch means: /proc/kallsyms or System.map (plain or
    /// compressed)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) symbols: Vec<PathBuf>,
    /// Use the rules of this Linux version, or "elf" for the rules of the gABI and the psABI. The
    /// default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(crate) format: InspectFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people
    Text,
    /// For scripts
    Json,
    /// A page for a browser
    Html,
}
