//! Where calls through pointers lead: traits of the core that the C library implements, and passes that are handed on as
//! function pointers. Callbacks of the C caller are not followed.
//!
//! Functions are named by the beginnings of their names, without an opening `<`; after a `*` comes the end.

/// A call through a pointer. A caller may have several rows, since the compiler inlines as it likes.
struct Row {
    callers: &'static [&'static str],
    /// The exported function on whose behalf, or the beginning of its name.
    function: &'static str,
    callees: &'static [&'static str],
}

const fn row(
    callers: &'static [&'static str],
    function: &'static str,
    callees: &'static [&'static str],
) -> Row {
    Row { callers, function, callees }
}

const EARLY: &str = "relakit::module::early::ModuleSections<";
const LATE: &str = "relakit::module::late::LateSections<";
const KLP: &str = "relakit::sechdrs::klp::KlpSections as ";
/// What a transaction asks of its sections before one is relocated and when all are, and then.
const ASK: &[&str] = &[
    "relakit::reloc::transaction::Transaction>::run",
    "relakit::reloc::transaction::Transaction>::step",
    "relakit::reloc::transaction::Transaction>::sync",
];
const RELOCATE: &[&str] = &["relakit::reloc::transaction::Transaction>::relocate"];
const ON_ERROR: &str = "relakit::reloc::transaction::Transaction>::step::{closure#0}";
const RESOLVER: &[&str] = &["relakit_ffi::callbacks::CResolver as "];
/// The functions of a writer and of a source of values.
const WRITER: &[&str] = &[
    "relakit_ffi::callbacks::read",
    "relakit_ffi::callbacks::write",
    "relakit_ffi::callbacks::sync",
    "relakit_ffi::callbacks::value",
];
/// What asks a special pass: for a type, for the value of an entry, for a loop.
const HOWTO: &[&str] = &["relakit::reloc::pass::Pass>::howto"];
const ENTRY: &[&str] = &["relakit::reloc::pass::Run>::entry"];
const LOOPS: &[&str] = &[
    "relakit::reloc::pass::Run>::frequent_types",
    "relakit::reloc::pass::Run>::in_place",
    "relakit::reloc::pass::Run>::run",
    "relakit::reloc::pass::Run>::check",
    "relakit::reloc::pass::apply",
    "relakit::reloc::transaction::Transaction>::relocate",
    "relakit::reloc::got::Got>::",
    "relakit_ffi::",
];
const MAPPING: &[&str] = &["relakit_ffi::sechdrs_memory::Addresses as "];

const CALLS: &[Row] = &[
    // A call on the state of a module: that of the function itself.
    row(
        &["relakit_ffi::state::on"],
        "relakit_module_",
        &[
            "relakit_ffi::module::relakit_module_",
            "relakit_ffi::plan::relakit_module_",
            "relakit_ffi::arena::relakit_module_",
            "relakit_ffi::late::relakit_module_",
            "relakit_ffi::describe::relakit_module_",
            "relakit_ffi::findings::relakit_module_",
            "relakit_ffi::verify::relakit_module_",
            "relakit_ffi::patch_sites::relakit_module_",
        ],
    ),
    row(
        &["relakit_ffi::state::on"],
        "relakit_error_format",
        &["relakit_ffi::error_format::relakit_error_format"],
    ),
    // Passes.
    row(&["relakit_ffi::relocate::run"], "relakit_apply", &["relakit_ffi::relocate::apply"]),
    row(&["relakit_ffi::relocate::run"], "relakit_clear", &["relakit_ffi::relocate::clear"]),
    row(
        &["relakit_ffi::relocate::run"],
        "relakit_got_apply",
        &["relakit_ffi::got::relakit_got_apply::{closure"],
    ),
    row(
        &["relakit_ffi::relocate::run"],
        "relakit_got_clear",
        &["relakit_ffi::got::relakit_got_clear::{closure"],
    ),
    row(&["relakit_ffi::relocate::run"], "relakit_dry_run", &["relakit_ffi::relocate::dry_run"]),
    row(
        &["relakit_ffi::sechdrs::one_section"],
        "relakit_apply_relocate_add",
        &["relakit::sechdrs::Sechdrs>::apply"],
    ),
    row(
        &["relakit_ffi::sechdrs::one_section"],
        "relakit_clear_relocate_add",
        &["relakit::sechdrs::Sechdrs>::clear"],
    ),
    row(
        RELOCATE,
        "relakit_module_early",
        &[
            "relakit::module::early::ModuleSections<*::section",
            "relakit::module::early::ModuleSections<*::locate",
        ],
    ),
    row(
        RELOCATE,
        "relakit_module_apply_late",
        &[
            "relakit::module::early::ModuleSections<*::section",
            "relakit::module::early::ModuleSections<*::locate",
        ],
    ),
    row(
        RELOCATE,
        "relakit_module_coming",
        &["relakit::module::late::LateSections<*::section", "relakit::module::late::LateSections<*::locate"],
    ),
    row(
        RELOCATE,
        "relakit_module_going",
        &["relakit::module::late::LateSections<*::section", "relakit::module::late::LateSections<*::locate"],
    ),
    row(
        RELOCATE,
        "relakit_klp_",
        &[
            "relakit::sechdrs::klp::KlpSections as *::section",
            "relakit::sechdrs::klp::KlpSections as *::locate",
        ],
    ),
    row(
        ASK,
        "relakit_module_early",
        &[
            "relakit::module::early::ModuleSections<*::prepare",
            "relakit::module::early::ModuleSections<*::apply_usual",
            "relakit::module::early::ModuleSections<*::sync",
            "relakit::module::early::ModuleSections<*::finish",
        ],
    ),
    row(
        ASK,
        "relakit_module_apply_late",
        &[
            "relakit::module::early::ModuleSections<*::prepare",
            "relakit::module::early::ModuleSections<*::apply_usual",
            "relakit::module::early::ModuleSections<*::sync",
            "relakit::module::early::ModuleSections<*::finish",
        ],
    ),
    row(
        ASK,
        "relakit_module_coming",
        &[
            "relakit::module::late::LateSections<*::prepare",
            "relakit::module::late::LateSections<*::apply_usual",
            "relakit::module::late::LateSections<*::sync",
            "relakit::module::late::LateSections<*::finish",
        ],
    ),
    row(
        ASK,
        "relakit_module_going",
        &[
            "relakit::module::late::LateSections<*::prepare",
            "relakit::module::late::LateSections<*::apply_usual",
            "relakit::module::late::LateSections<*::sync",
            "relakit::module::late::LateSections<*::finish",
        ],
    ),
    row(
        ASK,
        "relakit_klp_",
        &[
            "relakit::sechdrs::klp::KlpSections as *::prepare",
            "relakit::sechdrs::klp::KlpSections as *::apply_usual",
            "relakit::sechdrs::klp::KlpSections as *::sync",
            "relakit::sechdrs::klp::KlpSections as *::finish",
        ],
    ),
    row(
        RELOCATE,
        "relakit_got_fill",
        &["relakit::reloc::got::Slots as *::section", "relakit::reloc::got::Slots as *::locate"],
    ),
    row(
        ASK,
        "relakit_got_fill",
        &["relakit::reloc::got::Slots as *::prepare", "relakit::reloc::got::Slots as *::sync"],
    ),
    // A pass with a GOT or with a guard: which types it knows, the value of an entry, its loops.
    row(HOWTO, "relakit_got_", &["relakit::reloc::got::Got as *::howto"]),
    row(ENTRY, "relakit_got_", &["relakit::reloc::got::Got as *::find"]),
    row(LOOPS, "relakit_got_", &["relakit::reloc::got::Got as *_run"]),
    row(
        HOWTO,
        "relakit_module_early",
        &["relakit::reloc::got::Got as *::howto", "relakit::reloc::sentinel::Sentinel as *::howto"],
    ),
    row(
        ENTRY,
        "relakit_module_early",
        &["relakit::reloc::got::Got as *::find", "relakit::reloc::sentinel::Sentinel as *::find"],
    ),
    row(
        LOOPS,
        "relakit_module_early",
        &["relakit::reloc::got::Got as *_run", "relakit::reloc::sentinel::Sentinel as *_run"],
    ),
    // Planning: whether an entry is a call.
    row(
        &["relakit::reloc::got_plan::GotMarks>::add_with"],
        "relakit_",
        &["relakit::reloc::got_plan::GotMarks>::add::{closure", "relakit::module::Module>::plan::{closure"],
    ),
    // Symbol values from a source.
    row(&["relakit::reloc::"], "relakit_klp_", &["relakit::sechdrs::klp::Resolved as "]),
    row(
        &["relakit::module::retained::"],
        "relakit_module_retain",
        &["relakit::module::retained::store", "relakit::module::retained::counts"],
    ),
    row(&["relakit::module::retained::"], "relakit_module_early", &["relakit::module::retained::counts"]),
    // An error of a symbol: what a section's pass adds to it, then what the transaction does with it.
    row(
        &["relakit::module::symbols::", "relakit::module::klp_symbols::"],
        "",
        &[
            ON_ERROR,
            "relakit::module::early::ModuleSections<*::prepare::{closure#0}",
            "relakit::sechdrs::klp::KlpSections as *::prepare::{closure#0}",
            "relakit::module::early::Filled<*::{closure#0}",
        ],
    ),
    row(&["relakit::module::early::", "relakit::module::late::", "relakit::sechdrs::"], "", &[ON_ERROR]),
    // A difference: what counts it, what adds the cause that Linux explains, what hands it to C.
    row(
        &["relakit::verify::region::", "relakit_verify"],
        "relakit_verify",
        &["relakit::verify::section::{closure#0}::{closure#0}"],
    ),
    row(
        &["relakit::verify::section::", "relakit_verify"],
        "relakit_verify",
        &["relakit_ffi::verify::relakit_verify::{closure#0}::{closure#0}"],
    ),
    row(
        &[
            "relakit::verify::Comparison<*::fields",
            "relakit::verify::region::",
            "relakit::module::early::Loaded>::is_applied",
        ],
        "relakit_module_is_applied",
        &["relakit::module::early::Loaded>::is_applied*}"],
    ),
    row(
        &[
            "relakit::verify::Comparison<*::run",
            "relakit::verify::Comparison<*::fields",
            "relakit::verify::region::",
        ],
        "relakit_module_verify",
        &["relakit::verify::Comparison<*}"],
    ),
    row(
        &["relakit::verify::Comparison<"],
        "relakit_module_verify",
        &[
            "relakit_linux::verify::judge::Judge<*}",
            "relakit_ffi::verify::relakit_module_verify::{closure#0}::",
        ],
    ),
    row(
        &["relakit_linux::verify::"],
        "relakit_module_verify",
        &["relakit_ffi::verify::relakit_module_verify::{closure#0}::"],
    ),
    row(
        &["relakit_linux::verify::"],
        "relakit_module_patch_sites",
        &[
            "relakit_ffi::patch_sites::relakit_module_patch_sites::{closure#0}::",
            "relakit_linux::verify::patch::patch_sites*}",
        ],
    ),
    row(
        &["relakit_linux::verify::"],
        "relakit_module_allowed_patch",
        &["relakit_linux::verify::patch::allowed_patch*}"],
    ),
    // The memory that is verified, and what is known about the kernel.
    row(&["relakit::verify::"], "relakit_", &["relakit_ffi::callbacks::CReader as "]),
    row(&["relakit_linux::verify::"], "relakit_module_", &["relakit_ffi::callbacks::CKnown as "]),
    row(
        &["relakit::verify::", "relakit_linux::verify::"],
        "relakit_module_patch_sites",
        &["relakit_linux::verify::patch::Nothing as "],
    ),
    row(&["relakit_ffi::verify::", "relakit_ffi::patch_sites::"], "", &[]),
    // What stands for callbacks.
    row(&["relakit::module::symbols::", "relakit::module::klp_symbols::"], "", RESOLVER),
    row(&[EARLY], "", RESOLVER),
    row(&[LATE], "", RESOLVER),
    row(&[KLP], "", RESOLVER),
    row(&["relakit::sechdrs::klp::Resolved"], "", RESOLVER),
    row(&["relakit::module::early::Filled<"], "", RESOLVER),
    row(&["relakit_ffi::module::relakit_module_early"], "", RESOLVER),
    row(&["relakit::reloc::"], "", WRITER),
    row(&["relakit::sechdrs::"], "", MAPPING),
    row(&["relakit_klp_"], "", MAPPING),
    // The C caller's.
    row(&["relakit_ffi::callbacks::"], "", &[]),
    row(&["relakit_ffi::sechdrs_memory::Addresses as "], "", &[]),
    row(&["relakit_ffi::findings::"], "", &[]),
    // What reports a finding, which calls it.
    row(&["relakit_linux::"], "", &["relakit_ffi::findings::*::{closure#0}::{closure#1}"]),
];

/// Whether `caller` should call anybody through a pointer.
pub fn is_caller(caller: &str) -> bool {
    CALLS.iter().any(|row| row.callers.iter().any(|pattern| is(caller, pattern)))
}

/// Whether `caller` can call `callee` through a pointer when `function` was called.
pub fn calls(caller: &str, callee: &str, function: &str) -> bool {
    let other_function = callee.contains("::relakit_module_") && !callee.contains(&format!("::{function}::"));
    let mut rows = CALLS.iter().filter(|row| {
        row.callers.iter().any(|pattern| is(caller, pattern)) && function.starts_with(row.function)
    });
    !other_function && rows.any(|row| row.callees.iter().any(|beginning| is(callee, beginning)))
}

/// Whether somebody can call `name` through a pointer.
pub fn is_callee(name: &str) -> bool {
    CALLS.iter().any(|row| row.callees.iter().any(|callee| is(name, callee)))
}

/// Whether a function is meant by a pattern.
fn is(name: &str, pattern: &str) -> bool {
    let (beginning, end) = pattern.split_once('*').unwrap_or((pattern, ""));
    name.trim_start_matches('<').starts_with(beginning) && name.ends_with(end)
}
