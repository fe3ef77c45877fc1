//! The formats of the results.

pub(crate) mod html;
pub(crate) mod json;
#[cfg(test)]
mod samples;
pub(crate) mod sarif;
pub(crate) mod text;
