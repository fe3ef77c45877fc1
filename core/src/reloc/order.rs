//! Whether fields can be judged one by one.

use super::Rules;
use super::howto::howto;
use super::one::at_entry;
use crate::elf::Rela;
use crate::error::{Error, ErrorKind};

/// Whether the fields of a table ascend and do not overlap, as they do in every table that a linker writes.
#[derive(Default)]
pub(super) struct Order {
    end: u64,
    /// The first entry that does not come after the one before it.
    pub(super) broken: Option<Error>,
}

impl Order {
    #[inline(always)]
    pub(super) fn next(&mut self, offset: u64, size: u64, index: usize) {
        if offset < self.end && self.broken.is_none() {
            self.broken = Some(at_entry(ErrorKind::Unordered.error(0, 0).at_offset(offset), index));
        }
        self.end = offset.saturating_add(size);
    }

    pub(super) fn next_rela(&mut self, rela: Rela, index: usize, rules: Rules) {
        match howto(rela.r_type, rules) {
            Some(howto) if howto.size != 0 => self.next(rela.offset, u64::from(howto.size), index),
            _ => {}
        }
    }
}
