//! Text for people.

mod module;
mod report;
mod table;

pub(crate) use module::print as module;
pub(crate) use report::{diagnostic, first_line, print as report};
