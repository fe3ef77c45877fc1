//! The machine whose relocations this crate applies: its types as a table ([`HOWTOS`]), the loops
//! for the most frequent types, the names of its psABI. Other modules name no relocation type, no
//! field width and no machine.

mod x86_64;

pub use x86_64::*;

/// Symbol values by symbol index, as the loops read them.
pub(crate) trait Lookup: Copy {
    /// The value of symbol `index`. `None` if there is no such symbol, or if the loop must leave the
    /// entry to the function that checks everything.
    fn value(self, index: u32) -> Option<u64>;
}
