//! The formats of the results. JSON needs no code here, because the reports are serialized as they
//! are.

pub(crate) mod html;
#[cfg(test)]
mod samples;
pub(crate) mod sarif;
pub(crate) mod text;
