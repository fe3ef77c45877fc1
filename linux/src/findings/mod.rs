//! Findings: mistakes in a module that Linux skips without a message, or that do harm later.
//!
//! A module with findings may load. Each [`Lint`] has a stable name, a severity, a message and a
//! help text. The functions report through a callback and change nothing.
//!
//! The time of a call is linear in the size of the file, times the logarithm of the number of
//! sections where it says so. The time of the callbacks comes on top.

mod beyond;
mod entries;
mod gating;
mod lifetime;
mod lint;
mod names;
mod objects;
mod ordering;
mod sympos;
mod values;

pub use entries::{Defect, Pointee, Pointees, Sorted, entries, pointees, thunk_sites};
pub use lifetime::fields;
pub use lint::{Lint, Severity};
pub use objects::{patched_names, patches};
pub use ordering::{LateField, late_fields, rewritten};
pub use sympos::sympos;
pub use values::{overlaps, truncated};

use crate::special::Version;
use relakit::Module;
use relakit::{Error, ErrorKind};

/// Reports every finding that the file alone can show, for a kernel of this version.
///
/// `scratch` is a caller-provided buffer of at least [`scratch_len`] entries. The call overwrites
/// it.
///
/// With n symbols, sections and relocations, the call takes n log n steps at most.
///
/// # Errors
/// [`ErrorKind::ValuesTooShort`] if `scratch` is too short. Nothing was reported then.
pub fn file(
    module: &Module<'_>,
    version: Version,
    scratch: &mut [u64],
    report: &mut dyn FnMut(Finding),
) -> Result<(), Error> {
    let needed = scratch_len(module);
    if scratch.len() < needed {
        return Err(Error::new(ErrorKind::ValuesTooShort, scratch.len() as u64, needed as u64));
    }
    names::symbols(module, report);
    objects::not_patched(module, scratch, report);
    scratch.fill(0);
    for index in 1..module.object().section_count() {
        one(module, index, version, scratch, report);
    }
    Ok(())
}

/// Returns how many entries the `scratch` buffer of [`file()`] needs: the number of symbols or the
/// number of sections, whichever is greater.
pub fn scratch_len(module: &Module<'_>) -> usize {
    let object = module.object();
    usize::try_from(object.symbols().len().max(object.section_count())).unwrap_or(usize::MAX)
}

/// Reports the findings of [`file()`] that section `index` shows without the other sections.
///
/// Nothing is reported for section 0, which Linux never reads, and for an index that does not
/// exist.
pub fn section(module: &Module<'_>, index: u32, version: Version, report: &mut dyn FnMut(Finding)) {
    if index != 0 {
        one(module, index, version, &mut [], report);
    }
}

fn one(
    module: &Module<'_>,
    index: u32,
    version: Version,
    users: &mut [u64],
    report: &mut dyn FnMut(Finding),
) {
    let Some(section) = module.object().section(index) else { return };
    names::section(module, index, &section, report);
    gating::section(module, index, &section, users, report);
    lifetime::section(module, index, &section, version, report);
    beyond::section(module, index, report);
}

/// One finding: the rule, the section, and the numbers. It is `Copy` and borrows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub lint: Lint,
    /// Section index. For a relocation: the section that holds it, not its target.
    pub section: Option<u32>,
    /// Index of the relocation in its section, counted from 0.
    pub entry: Option<u64>,
    /// Index of the symbol in the symbol table.
    pub symbol: Option<u32>,
    /// Index of another section, see [`Lint::other_c_name`].
    pub other_section: Option<u32>,
    /// Index of a relocation in `other_section`, counted from 0.
    pub other_entry: Option<u64>,
    /// `r_offset`, in bytes; see [`Lint::field_c_names`].
    pub offset: u64,
    /// See [`Lint::field_c_names`].
    pub value: u64,
    /// See [`Lint::field_c_names`].
    pub limit: u64,
}

impl Finding {
    /// Returns a finding of `rule` in which nothing else is set.
    pub const fn new(lint: Lint) -> Self {
        Self {
            lint,
            section: None,
            entry: None,
            symbol: None,
            other_section: None,
            other_entry: None,
            offset: 0,
            value: 0,
            limit: 0,
        }
    }

    /// Returns the members `offset`, `value` and `limit` that a finding of this lint uses, with
    /// their meaning.
    pub fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let numbers = [self.offset, self.value, self.limit];
        self.lint.field_names().into_iter().zip(numbers).filter(|(name, _)| !name.is_empty())
    }
}

/// The bytes that one relocation writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// Index of the section that is relocated.
    pub target: u32,
    /// Offset of the first byte in that section.
    pub offset: u64,
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Index of the section that holds the relocation.
    pub section: u32,
    /// Index of the relocation in it.
    pub entry: u64,
}
