//! The targets by name.

use relakit_fuzz::{apply, check, classify, differential, ffi, index, module, parse, verify};

/// A name, and the body.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 9] = [
    ("parse", parse::run),
    ("classify", classify::run),
    ("apply", apply::run),
    ("module", module::run),
    ("check", check::run),
    ("ffi", ffi::run),
    ("index", index::run),
    ("differential", differential::run),
    ("verify", verify::run),
];
