//! Linux livepatch: names, and what each section is to a loader.

mod class;
mod name;
mod objects;

pub use class::{Class, Classified, FailsAt, Reason};
pub(crate) use class::{classify, malformed_error};
pub use name::{RelaName, SymName};
pub use objects::{MAX_OBJECTS, Objects};
