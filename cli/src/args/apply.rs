//! The command line of `relakit apply`.

use super::values::{Format, PlaceArg, object, place};
use clap::Args;
use std::path::PathBuf;

const APPLY_EXAMPLES: &str = "\
Files:
--place auto uses the addresses that relakit check uses. Other values are the directory \
/sys/module/NAME/sections, a text file with a line \"section-name 0xaddress\" for each section, or MEMORY.json. \
relakit computes the addresses of empty sections, which /sys does not list.

MEMORY.json has the address of each section, by its index or its name. Sections of one name are in the order of the \
file:
  {\"sections\": [{\"name\": \".text\", \"addr\": \"0xffffffffc0201000\"}, {\"index\": 3, ...}, ...]}
An entry can have \"symbols_at\", the base address of the section's symbols, if it differs from the address \
(per-CPU data). If it is missing, the module's own symbols in the symbol files determine it. Other keys are ignored.

With --kernel elf, position-independent code needs a global offset table. It is not in the file, so it needs an \
address of its own, with the name .got or with the number of sections as index:
  {\"name\": \".got\", \"addr\": \"0xffffffffc0203000\"}
relakit inspect --kernel elf shows its size.

Symbol files have the format of /proc/kallsyms: address type name [module]. A symbol NAME is exported if its \
object has a symbol __ksymtab_NAME. With --kernel elf, every symbol is, so the output of nm is enough. A file replaces all symbols of the objects that it lists.

Notes:
The steps run in the given order. After each step, DIR/<number>-<step>/<section index>.bin has the memory of each \
section with an address. DIR/place.json has the addresses, for --place of another run. A step that fails writes \
nothing and ends the run.

relakit first removes the step directories of an earlier run from DIR. If one of them has a file that relakit does \
not write, the run ends before it removes or writes anything. Other files in DIR stay.

Examples:
  relakit apply livepatch.ko --place auto --symbols /proc/kallsyms --coming nfs --going nfs --out image
  relakit apply ext4.ko --place /sys/module/ext4/sections --symbols /proc/kallsyms --out image
  relakit apply livepatch.ko --place image/place.json --symbols kallsyms.xz \\
      --coming nfs=nfs-symbols.txt --going nfs --coming nfs=nfs-elsewhere.txt --out image";

/// Relocate a module as a kernel does, and write its memory after each step
#[derive(Args, Debug)]
#[command(after_help = APPLY_EXAMPLES)]
pub(crate) struct ApplyArgs {
    /// The module (.ko, plain or compressed), or - for standard input
    pub(crate) module: PathBuf,
    /// Addresses of the sections: auto, the directory /sys/module/NAME/sections, or a file (plain or
    /// compressed)
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub(crate) place: PlaceArg,
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
