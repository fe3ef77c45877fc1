//! The command line of `relakit diff`.

use super::values::Format;
use clap::Args;
use std::path::PathBuf;

const DIFF_EXAMPLES: &str = "\
Exit codes:
  0  B patches each function that A patches
  1  A function is no longer patched, B is not compatible with the states of A, or something is not judged
  2  The command line is invalid
  3  A file cannot be read or is too large (see relakit --help), or the output cannot be written

Notes:
A function of A is patched by B if B has the same object, name and sympos. The sympos 0 and 1 are the same. The code of \
two replacements is equal if the bytes and the relocations are, apart from where things are.

If the init function makes the list of functions at run time, the functions are not judged.

Examples:
  relakit diff livepatch-7.ko livepatch-8.ko
  relakit diff livepatch-7.ko livepatch-8.ko --format json | jq '.no_longer_patched'";

/// Compare two versions of a livepatch
///
/// The output begins with the functions that A patches and B does not. Then it lists functions, objects,
/// livepatch symbols, relocations, states and .modinfo entries that differ.
#[derive(Args, Debug)]
#[command(after_help = DIFF_EXAMPLES)]
pub(crate) struct DiffArgs {
    /// The older livepatch (.ko, plain or compressed), or - for standard input
    #[arg(value_name = "A.ko")]
    pub(crate) old: PathBuf,
    /// The newer livepatch (.ko, plain or compressed), or - for standard input
    #[arg(value_name = "B.ko")]
    pub(crate) new: PathBuf,
    /// Use the rules of this Linux version for both. The default is the release for which each livepatch is
    /// built
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
