//! Text for people.

pub(crate) mod kernel_set;
pub(crate) mod live;
mod module;
mod report;
pub(crate) mod table;

pub(crate) use module::print as module;
pub(crate) use report::{diagnostic, first_line, print as report};
