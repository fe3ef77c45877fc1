//! The command line.

use crate::explain;
use crate::input::place::{Bases, bases};
use crate::input::roles::policy;
use crate::simulate::Event;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use relakit_linux::findings::{Lint, Severity};
use relakit_linux::special::Role;
use relakit_linux::verify::Policy;
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

Size limits: 1024 MiB for a module, 256 MiB for a symbol file, 16 MiB for a file with the addresses of sections. A \
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
    Convert(ConvertArgs),
    /// Explain a rule of the check, or list all rules
    ///
    /// The page says what a finding means, why Linux does not notice it, what it looks like, and what
    /// to do. Without a rule, the output lists all rules with their severities and messages.
    #[command(after_help = "Example:\n  relakit explain half-applied")]
    Explain {
        /// The name of the rule, as in error[half-applied]
        #[arg(value_parser = explained(), hide_possible_values = true)]
        rule: Option<String>,
    },
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
/// The output lists the functions that a livepatch replaces, the sections with their classes and the
/// reasons, the relocations by type, the patched objects and their symbols, and the special sections
/// with their relocations.
#[derive(Args, Debug)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// The module (.ko, plain or compressed), or - for standard input
    pub(crate) module: PathBuf,
    /// Use the rules of this Linux version, or "elf" for the rules of the gABI and the psABI. The
    /// default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub(crate) format: InspectFormat,
}

const APPLY_EXAMPLES: &str = "\
Files:
MEMORY.json has the address of each section:
  {\"sections\": [{\"index\": 1, \"addr\": \"0xffffffffc0201000\"}, ...]}
An entry can have \"symbols_at\", the base address of the section's symbols, if it differs from the address \
(per-CPU data). If it is missing, the module's own symbols in the symbol files determine it. Other keys are ignored.

Symbol files have the format of /proc/kallsyms: address type name [module]. A symbol NAME is exported if its \
object has a symbol __ksymtab_NAME. With --kernel elf, every symbol is, so the output of nm is enough. A file replaces all symbols of the objects that it lists.

Notes:
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
    /// The module (.ko, plain or compressed), or - for standard input
    pub(crate) module: PathBuf,
    /// Addresses of the sections (.json, plain or compressed)
    #[arg(long, value_name = "MEMORY.json")]
    pub(crate) memory: PathBuf,
    /// Symbols of the kernel and its modules (plain or compressed)
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
    /// Use the rules of this Linux version, or "elf" for the rules of the gABI and the psABI. The
    /// default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
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

Events:
Events happen in the given order, except that live events come before the load of the livepatch.

Notes:
The output lists up to 10 findings of a rule in one section, and 100 in all. It lists up to 100 errors of each kind. \
The others are counted.

A verdict is \"not judged\" if the input is not enough: the message says what to give. \"relakit explain NAME\" \
explains a rule.

Examples:
  relakit check livepatch.ko --symbols /proc/kallsyms
  relakit check livepatch.ko --symbols System.map --kernel 6.12 --target nfs.ko.xz \\
      --event coming:nfs --event going:nfs --event coming:nfs
  relakit check livepatch.ko --symbols System.map --modules /lib/modules/6.12.111 --event coming:nfs
  relakit check livepatch.ko --symbols kallsyms.xz --format sarif > livepatch.sarif";

/// Predict what the kernel returns for a module, and find mistakes that it does not notice
///
/// relakit simulates the load and the events in its own memory, with addresses like the kernel's. The
/// output has a verdict for the load and for each event, all errors, and findings: mistakes that Linux
/// does not report. No code of the module is run.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The module (.ko, plain or compressed), - for standard input, or a directory with modules. Several
    /// modules are loaded in this order; a livepatch can replace those before it
    #[arg(required = true)]
    pub(crate) module: Vec<PathBuf>,
    /// Symbols: /proc/kallsyms, System.map or Module.symvers (plain or compressed)
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The Linux version, or a full release. After commas, rules that are switched on or off:
    /// "5.14,clears-on-going". The default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// The file of a module that events load or unload. Without an event, a patched module is loaded
    /// (coming). NAME must be the module's own name
    #[arg(long, value_name = "[NAME=]FILE.ko", value_parser = target)]
    pub(crate) target: Vec<TargetArg>,
    /// A directory with modules, such as /lib/modules/RELEASE. relakit reads the modules that events
    /// name, and those that other modules depend on
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// The functions that the kernel can trace: a copy of available_filter_functions or
    /// available_filter_functions_addrs from /sys/kernel/tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) traceable: Option<PathBuf>,
    /// live:NAME (loaded before the livepatch), coming:NAME (load it) or going:NAME (unload it)
    #[arg(long, value_name = "EVENT", value_parser = event)]
    pub(crate) event: Vec<Event>,
    /// Ignore all findings of this rule
    #[arg(long, value_name = "NAME", value_parser = rules(), hide_possible_values = true)]
    pub(crate) allow: Vec<Lint>,
    /// Exit with 1 if a finding has this severity or a higher one
    #[arg(long, value_name = "LEVEL", default_value = "warning", value_parser = severities())]
    pub(crate) deny: Severity,
    /// Output format
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
}

const VERIFY_EXAMPLES: &str = "\
Exit codes:
  0  Everything that is compared is as it should be
  1  There are differences, or the input is not enough to compare everything
  2  The command line is invalid
  3  A file cannot be read, is too large (see relakit --help), or has invalid content

Files:
--place is the directory /sys/module/NAME/sections, a text file with a line \"section-name 0xaddress\" for each \
section, or MEMORY.json of relakit apply. Reading /sys or /proc/kcore of this machine needs root.

--memory is an ELF core file with virtual addresses, such as /proc/kcore or what QEMU's dump-guest-memory -p \
writes, or a directory that relakit apply has written (DIR/0-early). Each section is read once.

Symbol files have the format of /proc/kallsyms. They list the symbols of the running kernel.

Notes:
relakit loads the module into its own memory, with the addresses of the running one, and compares the code, the \
constants and the jump table. Data, and sections that the kernel frees after init, are not compared.

The kernel rewrites some code after it has relocated it. Each kind of such code is a ROLE: alternative, \
replacement, retpoline, return, call, endbr, cfi-preamble, lock, paravirt, jump-label, static-call, trampoline, \
trace. By default, the forms that this kernel writes are accepted.

Names in --bases: text, rodata, ro_after_init, data, init_text, init_data, init_rodata, each a type of mem[] in \
struct module. In older kernels: core, init, for core_layout and init_layout.

Examples:
  relakit verify ext4.ko.xz --place /sys/module/ext4/sections --memory /proc/kcore --symbols /proc/kallsyms
  relakit verify vfat.ko --place sections.txt --memory guest.core --symbols kallsyms --format json
  relakit verify livepatch.ko --bases text=0xffffffffc0201000,rodata=0xffffffffc0206000 \\
      --memory guest.core --symbols kallsyms --applied nfs --policy trace=untouched";

/// Compare the memory of a running module with what it should hold
///
/// The output lists each difference with its cause: the content of the file, a relocation, code that the
/// kernel rewrites, or a table that it sorts. No code of the module is run.
#[derive(Args, Debug)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The module (.ko, plain or compressed), or - for standard input
    pub(crate) module: PathBuf,
    /// The addresses of the sections
    #[arg(long, value_name = "PLACE", required_unless_present = "bases")]
    pub(crate) place: Option<PathBuf>,
    /// The addresses of the module's memories, in place of those of its sections
    #[arg(long, value_name = "NAME=ADDRESS,...", conflicts_with = "place", value_parser = bases)]
    pub(crate) bases: Option<Bases>,
    /// The memory: an ELF core file, or a directory of relakit apply
    #[arg(long, value_name = "MEMORY")]
    pub(crate) memory: PathBuf,
    /// Symbols of the kernel and its modules (plain or compressed)
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub(crate) symbols: Vec<PathBuf>,
    /// The Linux version, or a full release. After commas, rules that are switched on or off. The default
    /// is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// The late relocations for this module are applied, and those for modules without this option are
    /// not. Without any, the memory shows which are applied
    #[arg(long, value_name = "NAME", value_parser = object)]
    pub(crate) applied: Vec<String>,
    /// What may be at places of this kind: untouched (what was loaded), known (also what this kernel
    /// writes there) or anything
    #[arg(long, value_name = "ROLE=POLICY", value_parser = policy)]
    pub(crate) policy: Vec<(Role, Policy)>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

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

/// A value of --target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetArg {
    pub(crate) name: Option<String>,
    pub(crate) file: PathBuf,
}

/// A text before "=" is a name if it has no slash, so a path with "=" can begin with "./".
fn target(text: &str) -> Result<TargetArg, String> {
    let (name, file) = match text.split_once('=').filter(|(name, _)| !name.contains('/')) {
        Some((name, file)) => (Some(name.to_owned()), file),
        None => (None, text),
    };
    match file.is_empty() || name.as_ref().is_some_and(String::is_empty) {
        true => Err("expected FILE.ko or NAME=FILE.ko".to_owned()),
        false => Ok(TargetArg { name, file: file.into() }),
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

/// Lists the rules with their messages, for shell completions and errors.
fn rules() -> impl TypedValueParser<Value = Lint> {
    let value =
        |rule: &Lint| PossibleValue::new(rule.name()).help(rule.message().to_str().unwrap_or_default());
    let find = |text: String| Lint::ALL.iter().find(|rule| rule.name() == text).copied();
    PossibleValuesParser::new(Lint::ALL.iter().map(value))
        .try_map(move |text| find(text).ok_or("unknown rule"))
}

/// All rules, also those for errors of the kernel, which --allow refuses.
fn explained() -> PossibleValuesParser {
    PossibleValuesParser::new(explain::rules().map(|rule| PossibleValue::new(rule.name).help(rule.message)))
}

fn severities() -> impl TypedValueParser<Value = Severity> {
    const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];
    let find = |text: String| ALL.into_iter().find(|level| level.name() == text);
    PossibleValuesParser::new(ALL.map(Severity::name))
        .try_map(move |text| find(text).ok_or("unknown severity"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_a_name_if_no_slash_is_before_the_equals_sign() {
        let of = |text| target(text).map(|target| (target.name, target.file.display().to_string()));
        let named = |name: &str, file: &str| Ok((Some(name.to_owned()), file.to_owned()));
        let unnamed = |file: &str| Ok((None, file.to_owned()));
        assert_eq!(of("nfs=nfs.ko"), named("nfs", "nfs.ko"));
        assert_eq!(of("nfs=/a=b/nfs.ko"), named("nfs", "/a=b/nfs.ko"));
        assert_eq!(of("nfs.ko"), unnamed("nfs.ko"));
        assert_eq!(of("./a=b.ko"), unnamed("./a=b.ko"));
        assert_eq!(of("/x/a=b/nfs.ko"), unnamed("/x/a=b/nfs.ko"));
        for bad in ["", "nfs=", "=nfs.ko", "="] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
