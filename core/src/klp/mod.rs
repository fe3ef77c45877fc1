//! The grammar of Linux livepatch names.

mod name;

pub use name::{RelaName, SymName};
