//! The command line of `relakit live`.

use super::values::{Format, object};
use clap::Args;
use std::path::PathBuf;

const LIVE_EXAMPLES: &str = "\
Exit codes:
  0  Every load and unload is accepted, without findings of severity warning or higher; or nothing was asked
  1  A load or an unload is rejected, unsafe or not judged, or there is a finding
  2  The command line is invalid
  3  A file cannot be read, or the kernel hides its addresses

Files:
relakit reads /proc/modules, /proc/sys/kernel/osrelease and /sys/kernel/livepatch. For a question, it also reads \
/proc/kallsyms, and for --loaded the directory /sys/module/NAME/sections. Without root, the kernel hides the addresses \
in these files. relakit changes nothing and loads nothing.

Notes:
LP.ko is loaded first, then come all --unload, then all --load. --unload and --load of the same module is a reload.

The kernel does not tell which relocations a loaded livepatch has. For a module that a loaded livepatch patches, give \
the file of this livepatch with --loaded. Otherwise the result is \"not judged\".

Examples:
  relakit live
  relakit live livepatch.ko --traceable /sys/kernel/tracing/available_filter_functions
  relakit live --loaded livepatch.ko --unload nfs --load /lib/modules/6.12.111/kernel/fs/nfs/nfs.ko.xz";

/// Show the livepatches of this machine, and predict loads and unloads
///
/// Without a question, the output lists the loaded livepatches, and the objects and functions that they
/// patch. With LP.ko, --load or --unload, it says what the kernel would return now.
#[derive(Args, Debug)]
#[command(after_help = LIVE_EXAMPLES)]
pub(crate) struct LiveArgs {
    /// A livepatch: would the kernel load it now?
    #[arg(value_name = "LP.ko")]
    pub(crate) livepatch: Option<PathBuf>,
    /// Is it safe to unload this module now?
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) unload: Vec<String>,
    /// Is it safe to load this module now?
    #[arg(long, value_name = "FILE.ko")]
    pub(crate) load: Vec<PathBuf>,
    /// The file of a livepatch that is loaded
    #[arg(long, value_name = "FILE.ko")]
    pub(crate) loaded: Vec<PathBuf>,
    /// More symbols, such as the Module.symvers of the running kernel
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The functions that the kernel can trace: available_filter_functions or
    /// available_filter_functions_addrs in /sys/kernel/tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) traceable: Option<PathBuf>,
    /// The rules of this version, and switches for rules. The default is the release of the running
    /// kernel
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// The directory that has proc and sys
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}
