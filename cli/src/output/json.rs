//! The version of the JSON of `inspect`, `check` and `apply`. Otherwise, the reports are serialized as
//! they are.

use serde::Serialize;

/// The version of docs/schema. New keys do not change it.
const SCHEMA: u32 = 1;

/// A report with the key `schema`.
#[derive(Debug, Serialize)]
pub(crate) struct Versioned<T> {
    schema: u32,
    #[serde(flatten)]
    report: T,
}

pub(crate) const fn versioned<T: Serialize>(report: T) -> Versioned<T> {
    Versioned { schema: SCHEMA, report }
}
