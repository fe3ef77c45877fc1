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
    #[inline(always)]
    pub(super) fn next(&mut self, index: usize, offset: u64, size: u64) {
        if offset < self.end && self.broken_at.is_none() {
            self.broken_at = Some(index);
        }
        self.end = offset.saturating_add(size);
    }

    /// The same for an entry of any type. The size is looked up before `self` is touched, so that a loop can keep it in
    /// registers.
    #[inline(always)]
    pub(super) fn next_rela(&mut self, index: usize, rela: Rela, rules: Rules) {
        let size = field_size(rela, rules);
        if size != 0 {
            self.next(index, rela.offset, size);
        }
    }
}

#[cold]
#[inline(never)]
fn field_size(rela: Rela, rules: Rules) -> u64 {
    howto(rela.r_type, rules).map_or(0, |howto| u64::from(howto.size))
}
