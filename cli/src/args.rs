//! The command line.

use crate::check::Event;
use clap::{Args, Parser, Subcommand, ValueEnum};
use relakit_linux::findings::{Lint, Severity};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  the module cannot be relocated; standard error has every fault, up to 1000 one by one
  2  the command line makes no sense
  3  a file cannot be read, is larger than its limit, or is not what it should be;
     or standard output, standard error or a file cannot be written. A broken pipe is no error.

Limits: a module has up to 1024 MiB, a symbol file 256 MiB, PLACE.json 16 MiB. A module from a pipe or an .xz file has up to
256 MiB. Devices are not read.";

/// Look into a Linux module or livepatch, and get the memory image a kernel would make of it.
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
    /// Show the whole life of a livepatch on one that is built in
    ///
    /// Classify, early pass, special sections ready, coming, going, coming again. Needs no files.
    Demo,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  relakit completions bash > /etc/bash_completion.d/relakit")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
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
/// Sections with class and reason, relocations by type, the objects of a livepatch and its symbols, and the special
/// sections with the relocations that reach into them.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The module, plain or .xz
    pub(crate) module: PathBuf,
    #[command(flatten)]
    pub(crate) rules: RelocFlags,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(crate) format: InspectFormat,
}

const APPLY_EXAMPLES: &str = "\
PLACE.json says where each section will live:
  {\"sections\": [{\"index\": 1, \"addr\": \"0xffffffffc0201000\"}, ...]}
An entry may have \"symbols_at\", the base that the section's symbols count from where that is not the section's address \
(per-CPU data). Without it the base is taken from the module's own lines in the symbol files, if they are there. Other \
keys are ignored.

Symbol files have the format of /proc/kallsyms: address type name [module]. What has a __ksymtab_NAME in the same object \
is exported. A file replaces what was known of every object that it mentions.

Comings and goings are done in the order given. After each step the bytes of every placed section are in \
DIR/<number>-<step>/<section index>.bin; a step that fails writes nothing, and ends the run.

Examples:
  relakit apply ext4.ko --place place.json --symbols /proc/kallsyms --out image
  relakit apply livepatch.ko --place place.json --symbols kallsyms.xz \\
      --coming nfs=nfs-symbols.txt --going nfs --coming nfs=nfs-elsewhere.txt --out image";

/// Relocate a module as a kernel would, and write what its memory holds after each step
#[derive(Args, Debug)]
#[command(after_help = APPLY_EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// The module, plain or .xz
    pub(crate) module: PathBuf,
    /// Where the sections live, JSON, plain or .xz
    #[arg(long, value_name = "PLACE.json")]
    pub(crate) place: PathBuf,
    /// Symbols of the kernel and its modules, plain or .xz
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The module NAME comes; FILE has its symbols as of then
    #[arg(long, value_name = "NAME[=FILE]", value_parser = coming)]
    pub(crate) coming: Vec<Step>,
    /// The module NAME goes
    #[arg(long, value_name = "NAME", value_parser = going)]
    pub(crate) going: Vec<Step>,
    /// Where the bytes are written
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) rules: RelocFlags,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

const CHECK_EXAMPLES: &str = "\
Exit codes:
  0  accepted, and no finding at or above --deny
  1  rejected, unsafe, not judged, or a finding at or above --deny
  2  the command line makes no sense
  3  a file cannot be read or is larger than its limit (see relakit --help), or the result cannot be written

Of each rule 10 findings in a section and 100 in all are listed, of each kind of fault 100. The rest is counted.

Events happen in the order given, but for live: those modules were loaded before the livepatch.

Examples:
  relakit check livepatch.ko --symbols /proc/kallsyms
  relakit check livepatch.ko --symbols System.map --kernel 6.12 --target nfs=nfs.ko.xz \\
      --event coming:nfs --event going:nfs --event coming:nfs
  relakit check livepatch.ko --symbols kallsyms.xz --format sarif > livepatch.sarif";

/// Say what the kernel would answer to a module, and what it would not notice
///
/// The module and those that it patches get places like the kernel's, and the passes are run for real in memory. The
/// answer has a verdict for the load and for each event, every fault, and findings: what Linux passes over in silence or
/// gets wrong later.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The module, plain or .xz; or a directory, for all modules under it
    pub(crate) module: PathBuf,
    /// Symbols: /proc/kallsyms, System.map or Module.symvers, plain or .xz
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The Linux version that is asked
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    pub(crate) kernel: String,
    /// A module that comes and goes, with its file
    #[arg(long, value_name = "NAME=FILE.ko", value_parser = target)]
    pub(crate) target: Vec<(String, PathBuf)>,
    /// What happens: live:NAME, coming:NAME or going:NAME
    #[arg(long, value_name = "EVENT", value_parser = event)]
    pub(crate) event: Vec<Event>,
    /// Findings that are all right here, by their names
    #[arg(long, value_name = "NAME", value_parser = rule)]
    pub(crate) allow: Vec<Lint>,
    /// Findings from this severity on are denied: exit code 1
    #[arg(long, value_name = "LEVEL", default_value = "warning", value_parser = severity)]
    pub(crate) deny: Severity,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
}

/// How the result of a check is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Text,
    /// For scripts
    Json,
    /// For code review: SARIF 2.1.0
    Sarif,
    /// One page to look at
    Html,
}

fn target(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("not NAME=FILE.ko".to_owned()),
    }
}

fn event(text: &str) -> Result<Event, String> {
    match text.split_once(':') {
        Some((_, "")) | None => Err("not live:NAME, coming:NAME or going:NAME".to_owned()),
        Some(("live", name)) => Ok(Event::Live(name.to_owned())),
        Some(("coming", name)) => Ok(Event::Coming(name.to_owned())),
        Some(("going", name)) => Ok(Event::Going(name.to_owned())),
        Some((other, _)) => Err(format!("\"{other}\" is no event: live, coming or going")),
    }
}

fn rule(text: &str) -> Result<Lint, String> {
    let rule = Lint::ALL.iter().find(|rule| rule.name() == text).copied();
    rule.ok_or_else(|| "no finding has this name; docs/findings lists them".to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Info, Severity::Warning, Severity::Error];
    all.into_iter().find(|level| level.name() == text).ok_or_else(|| "info, warning or error".to_owned())
}

/// By whose rules.
#[derive(Args, Debug)]
pub(crate) struct RelocFlags {
    /// The Linux version whose rules apply, or "elf" for the gABI's and psABI's own
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    pub(crate) kernel: String,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// How what is in a module is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people
    Text,
    /// For scripts
    Json,
    /// One page to look at
    Html,
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

/// The name goes into the name of a directory.
fn object(name: &str) -> Result<String, String> {
    match name {
        "" => Err("the name of a module is missing".to_owned()),
        "vmlinux" => Err("vmlinux neither comes nor goes: its relocations are applied early".to_owned()),
        _ if name.contains(['/', '\0']) => Err(format!("\"{name}\" is not the name of a module")),
        _ => Ok(name.to_owned()),
    }
}

/// The comings and goings in the order in which they were given.
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
