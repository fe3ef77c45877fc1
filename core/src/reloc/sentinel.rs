//! Symbols without a value: a pass that refuses entries that use one.

use super::Howto;
use super::pass::{Run, Special};
use crate::abi::RELA_SIZE;
use crate::arch::{self, Lookup};
use crate::elf::Rela;
use crate::error::ErrorKind;
use crate::report::Failed;

/// The value of symbols that have none. A pass with it applies, with values in an array.
pub(crate) struct Sentinel(pub(crate) u64);

impl Special for Sentinel {
    fn find(&self, run: &mut Run<'_, '_>, rela: Rela, s: u64) -> Result<(Howto, u64), Failed> {
        match s == self.0 {
            true => Err(run.report.fail(ErrorKind::SymbolUnassigned, 0, 0)),
            false => run.find(rela, s),
        }
    }

    fn apply_run(
        &self,
        entries: &[[u8; RELA_SIZE]],
        values: &[u64],
        bytes: &mut [u8],
        address: u64,
    ) -> usize {
        arch::apply_run(entries, Guarded { values, sentinel: self.0 }, bytes, address)
    }

    fn check_run(
        &self,
        entries: &[[u8; RELA_SIZE]],
        values: &[u64],
        bytes: &[u8],
        address: u64,
        end: u64,
    ) -> (usize, u64) {
        arch::check_run(entries, Guarded { values, sentinel: self.0 }, bytes, address, end)
    }
}

/// An array in which one number, the sentinel, means that the symbol has no value.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    values: &'a [u64],
    sentinel: u64,
}

/// The loops return at the sentinel, so that the pass refuses the entry.
impl Lookup for Guarded<'_> {
    #[inline(always)]
    fn value(self, index: u32) -> Option<u64> {
        self.values.value(index).filter(|value| *value != self.sentinel)
    }
}
