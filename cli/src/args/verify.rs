//! The command line of `relakit verify`.

use super::values::{Format, object};
use crate::input::place::{Bases, bases};
use crate::input::roles::policy;
use clap::Args;
use relakit_linux::special::Role;
use relakit_linux::verify::Policy;
use std::path::PathBuf;

const VERIFY_EXAMPLES: &str = "\
Exit codes:
  0  Everything that is compared is as it should be
  1  There are differences, or the input is not enough to compare everything
  2  The command line is invalid
  3  A file cannot be read, is too large (see relakit --help), or has invalid content

Files:
--place is the directory /sys/module/NAME/sections, a text file with a line \"section-name 0xaddress\" for each \
section, or a JSON file as relakit apply writes it (DIR/place.json). Reading /sys or /proc/kcore of this machine needs root.

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
