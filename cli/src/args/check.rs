//! The command line of `relakit check`.

use super::values::{TargetArg, target};
use crate::simulate::Event;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use relakit_linux::findings::{Lint, Severity};
use std::path::PathBuf;

const CHECK_EXAMPLES: &str = "\
Exit codes:
  0  The kernel accepts the module, and no finding has the severity of --deny or higher
  1  The module is rejected, unsafe or not judged, or a finding is denied
  2  The command line is invalid
  3  A file cannot be read, is too large (see relakit --help), or the output cannot be written

Files:
With --root DIR, relakit uses the modules in DIR/lib/modules/RELEASE, and the System.map and Module.symvers of this \
release in DIR/boot, DIR/lib/modules, DIR/usr/lib/debug/boot and DIR/usr/src. RELEASE is that of --kernel, or else the \
one that the module is built for. Links in DIR lead to places in DIR. --root / does not use /proc or /sys. Notes and \
the JSON say what was found. If --symbols has the symbols of the kernel, no System.map is read.

Events:
Events happen in the given order, except that live events come before the load of the livepatch.

With --root or --modules and without --event, relakit checks two orders. First, the patched modules are loaded \
before the livepatch: live, load. Second, the livepatch is loaded before them, and then they are loaded, unloaded and \
loaded again: load-first, coming, going, coming. The modules that they depend on are loaded before them.

Notes:
The output lists up to 10 findings of a rule in one section, and 100 in all. It lists up to 100 errors of each kind. \
The others are counted.

A verdict is \"not judged\" if the input is not enough: the message says what to give. \"relakit explain NAME\" \
explains a rule.

Examples:
  relakit check livepatch.ko --root /
  relakit check livepatch.ko --root image/ --kernel 6.12.111+deb12-amd64
  relakit check livepatch.ko --symbols /proc/kallsyms
  relakit check livepatch.ko --symbols System.map --kernel 6.12 --target nfs.ko.xz \\
      --event coming:nfs --event going:nfs --event coming:nfs
  relakit check livepatch.ko --symbols /proc/kallsyms --modules /lib/modules/6.12.111+deb12-amd64
  relakit check livepatch.ko --kernel-set kernels --any-vermagic
  relakit check livepatch.ko --symbols kallsyms.xz --format sarif > livepatch.sarif";

/// Predict what the kernel returns for a module, and find mistakes that it does not notice
///
/// relakit simulates the load and the events in its own memory, with addresses like the kernel's. The
/// output has a verdict for the load and for each event, all errors, and findings: mistakes that Linux
/// does not report. No code of the module is run.
#[derive(Args, Clone, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// The module (.ko, plain or compressed), - for standard input, or a directory with modules. Several
    /// modules are loaded in this order; a livepatch can replace those before it
    #[arg(required = true)]
    pub(crate) module: Vec<PathBuf>,
    /// Symbols: /proc/kallsyms, System.map or Module.symvers (plain or compressed). With --root or
    /// --modules, relakit searches these files, except /proc/kallsyms
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present_any = ["modules", "root", "kernel_set"])]
    pub(crate) symbols: Vec<PathBuf>,
    /// The Linux version, or a full release. After commas, rules that are switched on or off:
    /// "5.14,clears-on-going". The default is the release that the module is built for
    #[arg(long, value_name = "VERSION")]
    pub(crate) kernel: Option<String>,
    /// The file of a module that events load or unload. Without an event, a patched module is loaded
    /// (coming). NAME must be the module's own name
    #[arg(long, value_name = "[NAME=]FILE.ko", value_parser = target)]
    pub(crate) target: Vec<TargetArg>,
    /// A directory with modules, such as /lib/modules/RELEASE. relakit reads the patched modules, those
    /// that events name, and those that other modules depend on
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// A root file system with the kernel, such as / or an unpacked image. relakit reads its modules and
    /// symbols
    #[arg(long, value_name = "DIR", conflicts_with = "modules")]
    pub(crate) root: Option<PathBuf>,
    /// The functions that the kernel can trace: a copy of available_filter_functions or
    /// available_filter_functions_addrs from /sys/kernel/tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) traceable: Option<PathBuf>,
    /// A directory with a folder for each kernel. Each folder has symbols, and can have modules and
    /// available_filter_functions. The output has a row for each kernel
    #[arg(long, value_name = "DIR", conflicts_with_all = ["symbols", "kernel", "target", "modules", "root", "traceable"])]
    pub(crate) kernel_set: Option<PathBuf>,
    /// With --kernel-set: for kernels that the module is not built for, the module counts as if it were
    /// built for them. The best result is then "fits", not "accepted"
    #[arg(long)]
    pub(crate) any_vermagic: bool,
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

fn severities() -> impl TypedValueParser<Value = Severity> {
    const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];
    let find = |text: String| ALL.into_iter().find(|level| level.name() == text);
    PossibleValuesParser::new(ALL.map(Severity::name))
        .try_map(move |text| find(text).ok_or("unknown severity"))
}
