//! Whether a function of the kernel can be replaced: it must call the function tracer.

use crate::input::symbols::Symbols;
use relakit::abi::VMLINUX;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Whether `ftrace_location` finds a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traced {
    Yes,
    /// It does not, for this reason.
    No(&'static str),
    /// The symbols do not tell.
    Unknown,
}

/// Ranges of vmlinux that have no calls of the tracer, or that are freed after boot, by the symbols
/// that the linker script puts around them (`arch/x86/kernel/vmlinux.lds.S`,
/// `include/asm-generic/vmlinux.lds.h`).
const RANGES: &[(&[u8], &[u8], &str)] = &[
    (b"__init_begin", b"__init_end", "it is init code, which is freed after boot"),
    (b"_sinittext", b"_einittext", "it is init code, which is freed after boot"),
    (b"__noinstr_text_start", b"__noinstr_text_end", "it is in .noinstr.text"),
    (b"__entry_text_start", b"__entry_text_end", "it is in .entry.text"),
    (b"__static_call_text_start", b"__static_call_text_end", "it is the trampoline of a static call"),
];

/// Functions that neither of two kernels can trace: assembly, `notrace`, and files that are
/// compiled without the tracer, as most of lib/ and kernel/trace/ are. From kallsyms and
/// available_filter_functions of Debian's 6.1.0-57-amd64 and 6.12.111+deb12-amd64.
const NOT_TRACED: &str = include_str!("not-traced.txt");

/// The beginnings of names that macros make, for the same kinds of functions.
const PREFIXES: &[&[u8]] = &[
    b"trace_event_raw_event_",
    b"trace_event_get_offsets_",
    b"trace_raw_output_",
    b"perf_trace_",
    b"__bpf_trace_",
    b"__do_sys_",
    b"__do_compat_sys_",
    b"asm_",
    b"xen_asm_",
    b"__x86_indirect_",
    b"__pfx_",
    b"__cfi_",
];

const NOT_LISTED: &str = "available_filter_functions does not list it";

/// What kallsyms tells about the function `name` of an object at `address`. `listed` says whether
/// the kernel can trace it, if this is known.
pub(super) fn in_kallsyms(
    symbols: &Symbols,
    object: &[u8],
    name: &[u8],
    address: u64,
    kind: u8,
    listed: Option<bool>,
) -> Traced {
    if !is_code(kind) {
        return Traced::No("it is data");
    }
    // The part of a function that runs rarely has no call of its own.
    if name.windows(5).any(|part| part == b".cold") {
        return Traced::No("it is the cold part of a function");
    }
    if object != VMLINUX {
        return if listed == Some(false) { Traced::No(NOT_LISTED) } else { Traced::Yes };
    }
    let at = |name: &[u8]| symbols.nth(VMLINUX, name, 1);
    for (start, end, why) in RANGES {
        if at(start).is_some_and(|start| start <= address) && at(end).is_some_and(|end| address < end) {
            return Traced::No(why);
        }
    }
    match listed {
        Some(true) => return Traced::Yes,
        Some(false) => return Traced::No(NOT_LISTED),
        None => {}
    }
    static NAMES: LazyLock<HashSet<&[u8]>> =
        LazyLock::new(|| NOT_TRACED.lines().map(str::as_bytes).collect());
    let is_listed = || NAMES.contains(name);
    match PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || is_listed() {
        true => Traced::Unknown,
        false => Traced::Yes,
    }
}

/// Whether an address is in the init memory of vmlinux.
pub(crate) fn is_init(symbols: &Symbols, address: u64) -> bool {
    let at = |name: &[u8]| symbols.nth(VMLINUX, name, 1);
    let range = at(b"__init_begin").zip(at(b"__init_end"));
    range.is_some_and(|(start, end)| (start..end).contains(&address))
}

/// Whether kallsyms' letter is that of code: `t`, or `w` if weak.
const fn is_code(kind: u8) -> bool {
    matches!(kind, b't' | b'T' | b'w' | b'W')
}
