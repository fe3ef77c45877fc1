//! What the tool adds to an error of the library: its location, the names of its numbers, and help.

use super::location::Location;
use super::names;
use relakit::{Error, ErrorKind, Module, Profile, arch};
use serde_json::{Value, json};

/// What the user can do about an error, unless it is obvious.
pub(crate) fn help(error: &Error) -> Option<&'static str> {
    Some(match error.kind {
        // GOTPCREL, GOTPCRELX, REX_GOTPCRELX and the other types with a global offset table.
        ErrorKind::UnknownType if error.r_type.is_some_and(arch::needs_got) => {
            "the code is compiled as position-independent code; compile with -fno-pic -fno-pie"
        }
        ErrorKind::UnknownType if error.r_type.is_some_and(is_thread_local) => {
            "the code has thread-local variables, which need a TLS block; a module loader has none. Use \
             ordinary variables, or compile with -femulated-tls and provide __emutls_get_address"
        }
        ErrorKind::Overflow => {
            "the symbol is out of the reach of the type; compile for the code model of the kernel \
             (-mcmodel=kernel), or use a 64-bit relocation"
        }
        ErrorKind::UnknownSymbol => {
            "no symbol file exports this symbol; add the file of the module that does"
        }
        ErrorKind::KlpNotFound => {
            "check that the object is loaded at this step, and that its symbol file lists the symbol"
        }
        ErrorKind::KlpAmbiguous => "write the sympos of the intended symbol after the comma, counted from 1",
        ErrorKind::NotAssigned => "add the section to the file of --place",
        ErrorKind::SymbolUnassigned => {
            "add the symbol's section to the file of --place; if the value is irrelevant, use any address"
        }
        ErrorKind::TargetNotZero => {
            "the field was written before: two relocations have the same field, or it was not cleared when \
             the target module was unloaded"
        }
        ErrorKind::TargetMismatch => {
            "the field was changed after the relocation, by another relocation or by the code that reads a \
             special section"
        }
        ErrorKind::VmlinuxFromModule => "move this relocation to a .klp.rela.vmlinux section",
        ErrorKind::CommonSymbol => "compile with -fno-common",
        ErrorKind::AlreadyLive => "unload the module first, with --going",
        ErrorKind::NotLive => "load the module first, with --coming",
        _ => return None,
    })
}

/// Whether the type refers to a thread-local variable (psABI, table 4.10).
fn is_thread_local(r_type: u32) -> bool {
    let name = arch::type_name(r_type).unwrap_or_default();
    ["TLS", "TPOFF", "DTPMOD"].iter().any(|part| name.contains(part))
}

/// What Linux returns for this error. `None` if the profile is that of ELF.
pub(crate) fn errno(error: &Error, profile: &Profile) -> Option<&'static str> {
    names::errno(profile.errno(error.kind))
}

/// An error in the JSON of `inspect` and `apply`. Keys are only ever added.
pub(crate) fn to_json(module: Option<&Module<'_>>, error: &Error, profile: &Profile) -> Value {
    let location = Location::of_error(module, error);
    let numbers: serde_json::Map<_, _> = error
        .numbers()
        .map(|(name, number)| (name.replace(' ', "_"), json!(format!("{number:#x}"))))
        .collect();
    json!({
        "kind": format!("{:?}", error.kind),
        "number": error.kind as i32,
        "message": error.kind.to_string(),
        "section": error.section,
        "section_name": location.section_name,
        "entry": error.entry,
        "target_name": location.target_name,
        "type": error.r_type,
        "type_name": error.r_type.and_then(arch::type_name),
        "symbol": error.symbol,
        "symbol_name": error.symbol.filter(|_| module.is_some()).map(|_| location.symbol_name.unwrap_or_default()),
        "numbers": numbers,
        "errno": errno(error, profile),
        "help": help(error),
    })
}
