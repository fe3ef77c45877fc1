//! Late passes that read the file and need no retained state, for verifiers and tools.

use super::early::{Loaded, ModuleSections};
use super::{Memory, Module, Resolver, check_object};
use crate::error::Error;
use crate::reloc::{Op, RelocFlags, Transaction, list_errors};
use crate::report::capture;

impl Loaded<'_> {
    /// Applies the late relocations for `object`, or changes nothing. Returns the number of its
    /// sections.
    ///
    /// It reads the file and needs no retained state. It is for a verifier, which makes the expected
    /// content of a module whose target module is loaded; see [`verify`](Self::verify). A loader uses
    /// [`Late::coming`](super::Late::coming).
    ///
    /// `memory` and `values` are those of the early pass. The call overwrites the values of the
    /// livepatch symbols for `object`.
    ///
    /// # Errors
    /// - `NotAModule`: `object` is empty or "vmlinux".
    /// - `ValuesTooShort`: `values` is.
    /// - The other errors of [`Late::coming`](super::Late::coming), except `AlreadyLive` and
    ///   `SectionMoved`. If the relocations are already applied, it is `TargetNotZero`.
    pub fn apply_late<M: Memory + ?Sized>(
        &self,
        object: &[u8],
        memory: &mut M,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
    ) -> Result<usize, Error> {
        let module = &self.module;
        capture(|report| {
            check_object(object, report)?;
            let values = module.checked_values(values, report)?;
            let mut late = ModuleSections::new(module, object, memory, values, resolver);
            // As in a late pass: the resolver has returned all values, and refuses 0.
            let flags = module.profile.reloc_flags().union(RelocFlags::ALLOW_ZERO_SYMBOLS);
            late.flags = flags;
            Transaction::new(&mut late, module.numbers(), Op::Apply, flags).run(report)
        })
    }
}

impl Module<'_> {
    /// Reports every error that the livepatch relocations for `object` have when it is loaded, and
    /// changes nothing in memory. This is for tools that predict what Linux does.
    /// [`Late::errors`](super::Late::errors) is for loaders.
    ///
    /// A section's relocations are checked only if all its symbols have values, and each by itself.
    /// `values` are those of the early pass. The call overwrites those of livepatch symbols.
    pub fn late_errors<M: Memory + ?Sized>(
        &self,
        object: &[u8],
        memory: &mut M,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) {
        let mut late = ModuleSections::new(self, object, memory, values, resolver);
        list_errors(&mut late, self.numbers(), report);
    }
}
