//! Text for people.

mod module;
mod report;
pub(crate) mod table;

pub(crate) use module::print as module;
pub(crate) use report::{diagnostic, first_line, print as report};
