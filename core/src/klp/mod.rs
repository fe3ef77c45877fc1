//! The names of livepatch sections and symbols. The module is grammar only:
//! [`Module::class`](crate::Module::class) classifies sections.

mod name;

pub use name::{RelaName, SymName};
