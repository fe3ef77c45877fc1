//! Whether fields can be judged one by one.

use super::Rules;
use super::howto::howto;
use crate::elf::Rela;

/// Whether the fields of a table ascend and do not overlap, as they do in every table that a linker writes.
#[derive(Default)]
pub(super) struct Order {
    end: u64,
    /// The first entry that does not come after the one before it.
    pub(super) broken_at: Option<usize>,
}

impl Order {
    pub(super) fn next_rela(&mut self, index: usize, rela: Rela, rules: Rules) {
        let size = field_size(rela, rules);
        if size != 0 {
            if rela.offset < self.end && self.broken_at.is_none() {
                self.broken_at = Some(index);
            }
            self.end = rela.offset.saturating_add(size);
        }
    }
}

/// Bytes of the entry's field; 0 for types that have none or are not known.
#[cold]
#[inline(never)]
pub(super) fn field_size(rela: Rela, rules: Rules) -> u64 {
    howto(rela.r_type, rules).map_or(0, |howto| u64::from(howto.size))
}
