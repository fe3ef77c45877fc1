//! The command line of `relakit explain`.

use super::values::Format;
use crate::rules;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Args, error};
use std::ffi::OsStr;
use std::path::PathBuf;

const EXPLAIN_EXAMPLES: &str = "\
Exit codes:
  0  Success
  1  The message is not known, or no line of the log is
  2  The command line is invalid
  3  The log cannot be read or is too large (see relakit --help), or the output cannot be written

Notes:
A check is a name in the tables of relakit explain kernel-rejects. A message is a line with a blank. Times, levels and \
the names of host and program before it are ignored. docs/explain.md lists the versions \
whose messages relakit knows.

Examples:
  relakit explain half-applied
  relakit explain FunctionNotTraced
  relakit explain EINVAL
  relakit explain -22
  relakit explain \"livepatch: failed to find location for function 'do_fork'\"
  dmesg | relakit explain --log -";

/// Explain a rule, an errno, or what the kernel's log says
///
/// A rule has a page: what a finding means, why Linux does not notice it, and what to do. For an errno,
/// the output lists the checks of the load that return it. For a message, it says what has happened, and
/// what to run next. Without an argument, it lists all rules.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The name of a rule, as in error[half-applied], or of a check; an errno; or a line of the log
    #[arg(value_name = "RULE|ERRNO|LINE", value_parser = Explained, hide_possible_values = true, allow_hyphen_values = true)]
    pub(crate) what: Option<String>,
    /// Explain each known line of the kernel's log (the output of dmesg or journalctl -k, plain or
    /// compressed), or - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub(crate) log: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Accepts any text. Completions get the names of the rules.
#[derive(Clone, Copy, Debug)]
struct Explained;

impl TypedValueParser for Explained {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let invalid = || clap::Error::new(error::ErrorKind::InvalidUtf8).with_cmd(command);
        value.to_str().map(str::to_owned).ok_or_else(invalid)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(rules::rules().map(|rule| PossibleValue::new(rule.name).help(rule.message))))
    }
}
