//! Late relocations that cannot work, and what to write instead.
//!
//! A late relocation is applied when the patched module is loaded. That is too late for a section that
//! Linux reads while it loads the livepatch, and for init code, which Linux has freed.

use crate::refusal::{Refusal, text};
use crate::session::Session;
use object::build::elf::{Builder, Relocation, SectionId};
use relakit::abi::VMLINUX;
use relakit_linux::special;

pub(crate) fn check(
    builder: &Builder<'_>,
    session: &mut Session<'_>,
    patched: &[u8],
    target: SectionId,
    relocation: &Relocation,
) {
    if patched == VMLINUX {
        return;
    }
    let section = &builder.sections.get(target).name;
    let version = session.request.version;
    let is_init = section.starts_with(b".init");
    let special = special::by_name(section).filter(|special| !special.takes_late(version));
    if !is_init && special.is_none() {
        return;
    }
    let symbol =
        relocation.symbol.map(|symbol| builder.symbols.get(symbol).name.as_slice()).unwrap_or_default();
    let name = symbol_name(symbol);
    let (what, help) = match () {
        () if is_init => (
            "init code, which Linux frees before the module is loaded",
            "use the symbol in a function that is not __init",
        ),
        () if is_tracepoint(name) => {
            ("a tracepoint of the module", "leave the tracepoint out, or call trace_printk")
        }
        () if section.as_slice() == b"__jump_table" => (
            "a jump label with a key of the module",
            "test the key: static_key_enabled(&key) instead of static_branch_likely(&key) or static_branch_unlikely(&key)",
        ),
        () if section.as_slice() == b".static_call_sites" || is_static_call(name) => (
            "a static call of the module",
            "call the function through its pointer: static_call_query(name)(...) instead of static_call(name)(...)",
        ),
        () => (
            "a section that Linux reads while it loads the livepatch",
            "do not use the symbol in a special section: write the code without the macro that makes the entry",
        ),
    };
    let message = format!("{} of {} is used in {}: {what}", text(name), text(patched), text(section));
    session.refuse(Refusal::new(message).at(section, relocation.r_offset).help(help));
}

/// The name in the kernel of a livepatch symbol.
fn symbol_name(symbol: &[u8]) -> &[u8] {
    let rest = symbol.strip_prefix(relakit::abi::KLP_SYM_PREFIX);
    let name = rest.and_then(|rest| rest.splitn(2, |byte| *byte == b'.').nth(1));
    name.and_then(|name| name.split(|byte| *byte == b',').next()).unwrap_or(symbol)
}

/// Linux's names of tracepoints (`include/linux/tracepoint.h`).
fn is_tracepoint(name: &[u8]) -> bool {
    let prefixes: [&[u8]; 4] = [b"__tracepoint_", b"__traceiter_", b"__SCK__tp_func_", b"__SCT__tp_func_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Linux's names of static calls (`include/linux/static_call_types.h`).
fn is_static_call(name: &[u8]) -> bool {
    name.starts_with(b"__SCK__") || name.starts_with(b"__SCT__")
}
