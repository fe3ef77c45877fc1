//! The command line.

use crate::simulate::Event;
use clap::{Args, Parser, Subcommand, ValueEnum};
use relakit_linux::findings::{Lint, Severity};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  Success
  1  The module cannot be relocated. Standard error lists the errors
  2  The command line is invalid
  3  A file cannot be read or written, is too large, or has invalid content.
     A broken pipe is not an error

Size limits: 1024 MiB for a module, 256 MiB for a symbol file, 16 MiB for the file of --memory. A module \
from a pipe or from an .xz file has a limit of 256 MiB. Devices cannot be read.";

/// Inspect, check and relocate Linux modules and livepatches
#[derive(Debug, Parser)]
#[command(name = "relakit", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Inspect(InspectArgs),
    Apply(ApplyArgs),
    Check(CheckArgs),
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

const INSPECT_EXAMPLES: &str = "\
Examples:
  relakit inspect livepatch.ko
  relakit inspect --kernel 7.3 /lib/modules/7.3.4/kernel/fs/ext4/ext4.ko.xz
  relakit inspect --format json livepatch.ko | jq '.objects'";

/// Show what a loader sees in a module
///
/// The output lists the sections with their classes and the reasons, the relocations by type, the
/// patched objects and their symbols, and the special sections with their relocations.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The module (.ko or .ko.xz)
    pub(crate) module: PathBuf,
    /// Use the rules of this Linux version, or "elf" for the rules of the gABI and the psABI
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    pub(crate) kernel: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(crate) format: InspectFormat,
}

const APPLY_EXAMPLES: &str = "\
MEMORY.json has the address of each section:
  {\"sections\": [{\"index\": 1, \"addr\": \"0xffffffffc0201000\"}, ...]}
An entry can have \"symbols_at\", the base address of the section's symbols, if it differs from the address \
(per-CPU data). If it is missing, the module's own symbols in the symbol files determine it. Other keys are ignored.

Symbol files have the format of /proc/kallsyms: address type name [module]. A symbol NAME is exported if its \
object has a symbol __ksymtab_NAME. A file replaces all symbols of the objects that it lists.

The steps run in the given order. After each step, DIR/<number>-<step>/<section index>.bin has the memory of each \
section with an address. A step that fails writes nothing and ends the run.

Examples:
  relakit apply ext4.ko --memory memory.json --symbols /proc/kallsyms --out image
  relakit apply livepatch.ko --memory memory.json --symbols kallsyms.xz \\
      --coming nfs=nfs-symbols.txt --going nfs --coming nfs=nfs-elsewhere.txt --out image";

/// Relocate a module as a kernel does, and write its memory after each step
#[derive(Args, Debug)]
#[command(after_help = APPLY_EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// The module (.ko or .ko.xz)
    pub(crate) module: PathBuf,
    /// Addresses of the sections (.json or .json.xz)
    #[arg(long, value_name = "MEMORY.json")]
    pub(crate) memory: PathBuf,
    /// Symbols of the kernel and its modules (plain or .xz)
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// Load the module NAME. FILE has its symbols
    #[arg(long, value_name = "NAME[=FILE]", value_parser = coming)]
    pub(crate) coming: Vec<Step>,
    /// Unload the module NAME
    #[arg(long, value_name = "NAME", value_parser = going)]
    pub(crate) going: Vec<Step>,
    /// Directory for the memory images
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Use the rules of this Linux version, or "elf" for the rules of the gABI and the psABI
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    pub(crate) kernel: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

const CHECK_EXAMPLES: &str = "\
Exit codes:
  0  The kernel accepts the module, and no finding has the severity of --deny or higher
  1  The module is rejected, unsafe or not judged, or a finding is denied
  2  The command line is invalid
  3  A file cannot be read, is too large (see relakit --help), or the output cannot be written

The output lists up to 10 findings of a rule in one section, and 100 in all. It lists up to 100 errors of each kind. \
The others are counted.

Events happen in the given order, but the modules of live events are loaded before the livepatch.

Examples:
  relakit check livepatch.ko --symbols /proc/kallsyms
  relakit check livepatch.ko --symbols System.map --kernel 6.12 --target nfs=nfs.ko.xz \\
      --event coming:nfs --event going:nfs --event coming:nfs
  relakit check livepatch.ko --symbols kallsyms.xz --format sarif > livepatch.sarif";

/// Predict what the kernel returns for a module, and find mistakes that it does not notice
///
/// The module and its target modules get addresses like the kernel's, and the real passes run in
/// memory. The output has a verdict for the load and for each event, all errors, and findings:
/// mistakes that Linux ignores or handles wrongly later.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The module (.ko or .ko.xz), or a directory with modules
    pub(crate) module: PathBuf,
    /// Symbols: /proc/kallsyms, System.map or Module.symvers (plain or .xz)
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The Linux version
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    pub(crate) kernel: String,
    /// The file of a module that is loaded and unloaded
    #[arg(long, value_name = "NAME=FILE.ko", value_parser = target)]
    pub(crate) target: Vec<(String, PathBuf)>,
    /// live:NAME (loaded before), coming:NAME (load it) or going:NAME (unload it)
    #[arg(long, value_name = "EVENT", value_parser = event)]
    pub(crate) event: Vec<Event>,
    /// Ignore all findings of this name
    #[arg(long, value_name = "NAME", value_parser = rule)]
    pub(crate) allow: Vec<Lint>,
    /// Exit with 1 if a finding has this severity or a higher one: info, warning or error
    #[arg(long, value_name = "LEVEL", default_value = "warning", value_parser = severity)]
    pub(crate) deny: Severity,
    /// Output format
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Text,
    /// For scripts
    Json,
    /// SARIF 2.1.0, for code review
    Sarif,
    /// A page for a browser
    Html,
}

fn target(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("expected NAME=FILE.ko".to_owned()),
    }
}

fn event(text: &str) -> Result<Event, String> {
    let expected = || Err("expected live:NAME, coming:NAME or going:NAME".to_owned());
    let Some((event, name)) = text.split_once(':').filter(|(_, name)| !name.is_empty()) else {
        return expected();
    };
    match event {
        "live" => Ok(Event::Live(name.to_owned())),
        "coming" => Ok(Event::Coming(name.to_owned())),
        "going" => Ok(Event::Going(name.to_owned())),
        _ => expected(),
    }
}

fn rule(text: &str) -> Result<Lint, String> {
    let rule = Lint::ALL.iter().find(|rule| rule.name() == text).copied();
    rule.ok_or_else(|| "unknown name; docs/findings has a list".to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Info, Severity::Warning, Severity::Error];
    all.into_iter()
        .find(|level| level.name() == text)
        .ok_or_else(|| "expected info, warning or error".to_owned())
}

/// One step after the early pass.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Coming { object: String, symbols: Option<PathBuf> },
    Going { object: String },
}

fn coming(text: &str) -> Result<Step, String> {
    let (name, file) = match text.split_once('=') {
        Some((name, file)) => (name, Some(PathBuf::from(file))),
        None => (text, None),
    };
    Ok(Step::Coming { object: object(name)?, symbols: file })
}

fn going(text: &str) -> Result<Step, String> {
    Ok(Step::Going { object: object(text)? })
}

/// Checks the name of a module. It becomes a part of the name of a directory.
fn object(name: &str) -> Result<String, String> {
    match name {
        "" => Err("the name of the module is missing".to_owned()),
        "vmlinux" => {
            Err("vmlinux cannot be loaded or unloaded; its relocations are applied early".to_owned())
        }
        _ if name.contains(['/', '\0']) => Err(format!("\"{name}\" is not the name of a module")),
        _ => Ok(name.to_owned()),
    }
}

/// The steps of --coming and --going, in the order of the command line.
pub(crate) fn steps(matches: &clap::ArgMatches) -> Vec<Step> {
    let Some(("apply", matches)) = matches.subcommand() else { return Vec::new() };
    let mut steps: Vec<(usize, Step)> = ["coming", "going"]
        .into_iter()
        .flat_map(|id| {
            let indices = matches.indices_of(id).into_iter().flatten();
            indices.zip(matches.get_many::<Step>(id).into_iter().flatten().cloned())
        })
        .collect();
    steps.sort_by_key(|(index, _)| *index);
    steps.into_iter().map(|(_, step)| step).collect()
}
