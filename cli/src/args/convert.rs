//! The command line of `relakit convert`.

use super::values::{Format, TargetArg, target};
use clap::Args;
use std::path::PathBuf;

const CONVERT_EXAMPLES: &str = "\
Exit codes:
  0  The livepatch is converted. If it was checked, the kernel accepts it, without findings of severity error
  1  The livepatch cannot be converted, and no file is written; or the check of the output fails
  2  The command line is invalid
  3  A file cannot be read or written, is too large, or has invalid content

Notes:
Positions are looked up and verified in the symbols of --symbols, --target and --modules. A name without a livepatch \
form is a symbol of another object if --map lists it, or if --symbols has it and the kernel does not export it.

Examples:
  relakit convert --header > klp_reloc.h
  relakit convert livepatch.ko -o out/livepatch.ko --symbols /proc/kallsyms --modules /lib/modules/6.12.111";

/// Make the livepatch sections of a compiled livepatch, and check the result
///
/// The livepatch names the symbols that the kernel does not export with the macro KLP_RELOC_SYMBOL, which
/// --header prints. Modules of klp-build and kpatch before their last step are converted, too. All other
/// sections keep their bytes.
#[derive(Args, Debug)]
#[command(after_help = CONVERT_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct ConvertArgs {
    /// The compiled livepatch (.ko, plain or compressed), or - for standard input
    #[arg(required_unless_present = "header")]
    pub(crate) module: Option<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "OUT.ko", required_unless_present = "header")]
    pub(crate) out: Option<PathBuf>,
    /// Symbols: /proc/kallsyms, System.map or Module.symvers (plain or compressed)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The file of a patched module, or of one whose symbols are used
    #[arg(long, value_name = "[NAME=]FILE.ko", value_parser = target)]
    pub(crate) target: Vec<TargetArg>,
    /// A directory with modules, such as /lib/modules/RELEASE. relakit reads the patched modules, those
    /// whose symbols are used, and those that they depend on
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// What plain undefined names mean: lines "OBJECT NAME", "OBJECT NAME SYMPOS" or "OBJECT NAME SYMPOS
    /// PATCHED". PATCHED is the patched object that uses the symbol, if it is not OBJECT
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Use the rules of this Linux version. The default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// Do not check the output
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Print the C header with the macro KLP_RELOC_SYMBOL
    #[arg(long, conflicts_with_all = ["module", "out"])]
    pub(crate) header: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
