//! The engine: one relocation table against one target.
//!
//! Notation follows the x86-64 psABI, table 4.10: S symbol value, A addend, P address of the field at run time.

mod apply;
mod howto;
mod one;
mod plain;
mod target;
mod transaction;
mod values;

pub(crate) use apply::Direction;
pub use apply::{apply, clear, dry_run, errors};
pub use howto::{Formula, HOWTOS, Howto, Range, howto};
pub use target::{Target, View, Writer};
pub(crate) use transaction::{Sections, Transaction};
pub use values::{SymtabValues, Values};

use crate::elf::RelaTable;
use bitflags::bitflags;

bitflags! {
    /// How relocations are judged. Empty is Linux 6.3 and later (Linux semantics 9). Bits not named here are
    /// reserved and must be 0.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RelocFlags: u32 {
        /// PC32 and PLT32 must fit, as the psABI demands; Linux writes the low 32 bits of what does not.
        const CHECK_PC32 = 1 << 0;
        /// The field may hold anything before its relocation, for loaders that reuse memory. Linux wants zeros.
        const ALLOW_NONZERO = 1 << 1;
        /// The field is looked at before the range: the order of errors of Linux before 6.3.
        const REPORT_NONZERO_FIRST = 1 << 2;
        /// Also the types 8, 16, PC8 and PC16, which Linux does not know.
        const EXTRA_TYPES = 1 << 3;
        /// Values in a symbol table may be 0 where the symbol is undefined or a livepatch symbol. Without this flag an entry that
        /// uses such a symbol is refused: a file's own symbol table, which nobody has resolved, looks like that. Linux needs the
        /// flag, because `fixed_percpu_data` is 0 when it is resolved.
        const ALLOW_ZERO_SYMBOLS = 1 << 4;
    }
}

/// A table with what it takes to judge it. The targets are the methods' arguments.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) table: RelaTable<'a>,
    pub(crate) values: Values<'a>,
    pub(crate) rules: RelocFlags,
}
