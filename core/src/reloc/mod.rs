//! The engine: one relocation table against one target.

mod dry_run;
mod entry;
mod got;
mod got_plan;
mod in_place;
mod one;
mod op;
mod pass;
mod sentinel;
mod small;
mod target;
#[cfg(feature = "writer")]
mod through_writer;
mod transaction;
mod values;
#[cfg(feature = "writer")]
mod writer;

pub use crate::arch::{Formula, HOWTOS, Howto, Overflow, RelocTypes, howto};
pub use crate::flags::RelocFlags;
pub(crate) use dry_run::list_errors;
pub use dry_run::{dry_run, errors};
pub use got::Got;
pub(crate) use got::Part;
pub use got_plan::{GotFlags, GotMarks, GotPlan};
pub use one::relocate;
pub(crate) use op::Op;
pub(crate) use pass::{Pass, Special};
pub use pass::{apply, clear};
pub(crate) use sentinel::Sentinel;
pub use small::apply_small;
pub use target::{Target, View};
pub(crate) use transaction::{Opened, Sections, Transaction, Usual};
pub use values::{SymtabValues, ValueCallback, ValueError, ValueSource, Values};
#[cfg(feature = "writer")]
pub use writer::{Writer, WriterCallbacks};
