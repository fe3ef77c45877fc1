//! Where calls through pointers lead: traits of the core that the C library implements, and passes that are handed on as
//! function pointers. Callbacks of the C caller are not followed.
//!
//! Functions are named by the beginnings of their names, without an opening `<`.

const SECTIONS: &[&str] = &[
    "relakit::module::placed::Early<",
    "relakit::module::late::LateSections<",
    "relakit::sechdrs::KlpSections as ",
];
const RESOLVER: &[&str] = &["relakit_ffi::callbacks::CResolver as "];
const WRITER: &[&str] = &["relakit_ffi::callbacks::CWriter as "];
const MAPPING: &[&str] = &["relakit_ffi::addresses::Addresses as "];

/// A caller, and whom it can call. A caller may have several rows, since the compiler inlines as it likes.
const CALLS: &[(&str, &[&str])] = &[
    // A call on the state of a module.
    (
        "relakit_ffi::state::on",
        &["relakit_ffi::whole::relakit_module_", "relakit_ffi::describe::relakit_module_"],
    ),
    // Passes.
    ("relakit_ffi::relocate::run", &["relakit::reloc::apply::apply", "relakit::reloc::apply::c"]),
    (
        "relakit_ffi::sechdrs::one_section",
        &["relakit::sechdrs::Sechdrs>::apply", "relakit::sechdrs::Sechdrs>::clear"],
    ),
    ("relakit::reloc::transaction::Transaction>", SECTIONS),
    ("relakit::module::kept::lay_out", &["relakit::module::kept::build", "relakit::module::kept::counts"]),
    // What stands for callbacks.
    ("relakit::symbols::", RESOLVER),
    ("relakit::module::placed::", RESOLVER),
    ("relakit::module::late::", RESOLVER),
    ("relakit::sechdrs::KlpSections as ", RESOLVER),
    ("relakit_ffi::whole::relakit_module_early", RESOLVER),
    ("relakit::reloc::", WRITER),
    ("relakit::sechdrs::", MAPPING),
    ("relakit_klp_", MAPPING),
    // The C caller's.
    ("relakit_ffi::callbacks::", &[]),
    ("relakit_ffi::addresses::Addresses as ", &[]),
];

/// Whom `caller` can call through a pointer; `None` when it should not.
pub fn callees(caller: &str) -> Option<Vec<&'static str>> {
    let rows: Vec<_> = CALLS.iter().filter(|(name, _)| is(caller, name)).collect();
    (!rows.is_empty()).then(|| rows.into_iter().flat_map(|(_, callees)| callees.iter().copied()).collect())
}

/// Whether somebody can call `name` through a pointer.
pub fn is_callee(name: &str) -> bool {
    CALLS.iter().any(|(_, callees)| callees.iter().any(|callee| is(name, callee)))
}

/// Whether a function is meant by the beginning of its name.
pub fn is(name: &str, beginning: &str) -> bool {
    name.trim_start_matches('<').starts_with(beginning)
}
