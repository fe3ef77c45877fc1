//! What a module needs besides the memory of its sections: a global offset table, GOT.

use super::layout::Group;
use super::{Memory, Module};
use crate::arch;
use crate::elf::{RelaTable, SectionFlags, SymbolLocation};
use crate::error::{Error, ErrorKind};
use crate::read::index;
use crate::reloc::{GotFlags, GotMarks, GotPlan, Part, RelocTypes, Target};
use crate::report::{Failed, Report};
use core::ops::Range;

/// The GOT of a module: one more section, which is not in the file. It needs memory as the other
/// sections do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GotSection {
    /// Its section index: the number of sections in the file.
    pub section: u32,
    /// Its size in bytes.
    pub size: u64,
    /// The alignment of its address in bytes: a power of two.
    pub align: u64,
    /// Its group: constants, or code if it has stubs.
    pub group: Group,
}

/// Name of the symbol that is the address of the GOT (psABI 4.4).
pub(super) const GOT_SYMBOL: &[u8] = b"_GLOBAL_OFFSET_TABLE_";

impl<'f> Module<'f> {
    /// Returns how many words of memory [`plan`](Self::plan) needs: one for 32 symbols.
    pub fn plan_words(&self) -> u32 {
        GotMarks::words(self.object.symbols().len())
    }

    /// Returns the module with a GOT, so that objects which were compiled with default flags can be
    /// loaded: the early pass then applies the types of [`RelocTypes::GOT`].
    ///
    /// [`got`](Self::got) says how much memory the GOT needs. `words` is a buffer that the embedder
    /// keeps as long as the module. The call overwrites it. The time is linear in the number of
    /// relocations and symbols.
    ///
    /// If no early relocation needs a GOT, or if the profile does not know these types (no row of
    /// Linux does), the result is the same module. Late relocations cannot use the GOT.
    ///
    /// Flag [`GotFlags::STUBS`] is for exports that are more than 2 GiB away from the module. Undefined
    /// symbols that the module calls then have a stub. Calls are relocations of the type PLT32, and of
    /// the type PC32 after the opcode of a branch in an executable section.
    ///
    /// # Errors
    /// - `GotPlanTooShort`: `words` has less than [`plan_words`](Self::plan_words) elements.
    /// - `TooManySections`: the file has so many sections and symbols that 32 bits cannot number the
    ///   parts of the GOT.
    pub fn plan<'p>(&self, words: &'p mut [u64], flags: GotFlags) -> Result<Module<'p>, Error>
    where
        'f: 'p,
    {
        let symbols = self.object.symbols();
        let mut marks = GotMarks::new(words, symbols.len(), flags)?;
        if self.profile.types.contains(RelocTypes::GOT) {
            for (index, header) in self.object.sections().skip(1) {
                let Some(target) = self.headers.early_target(index, &header) else { continue };
                let code = self
                    .object
                    .section(target)
                    .filter(|target| target.sh_flags.contains(SectionFlags::EXECINSTR) && target.has_bytes());
                let code = code.map_or(&[][..], |target| self.object.section_bytes(&target));
                let table = RelaTable::whole_entries(self.object.section_bytes(&header)).0;
                marks.add_with(table, &mut |rela| {
                    let is_branch = arch::is_branch(rela.r_type)
                        || arch::may_be_branch(rela.r_type) && is_after_branch(code, rela.r_offset);
                    is_branch
                        && symbols.get(rela.r_sym).is_some_and(|symbol| {
                            matches!(
                                symbols.location(&symbol),
                                SymbolLocation::Undefined | SymbolLocation::Livepatch
                            )
                        })
                });
            }
        }
        let plan = marks.plan();
        let parts = self.headers.count().checked_add(symbols.len().saturating_mul(Part::COUNT));
        if parts.is_none() || symbols.len().checked_mul(Part::COUNT).is_none() {
            let sections = u64::from(self.headers.count());
            return Err(Error::new(ErrorKind::TooManySections, sections, u64::from(u32::MAX)));
        }
        Ok(Module { got: Some(plan).filter(|plan| plan.slots() != 0), ..self.clone() })
    }

    /// Returns the GOT of a module that [`plan`](Self::plan) has returned. `None` if it needs none.
    pub fn got(&self) -> Option<GotSection> {
        let plan = self.got?;
        let group = if plan.has_stubs() { Group::Text } else { Group::Rodata };
        Some(GotSection { section: self.headers.count(), size: plan.size(), align: plan.align(), group })
    }

    /// Returns the words that hold the plan. Empty without a GOT.
    pub const fn planned_words(&self) -> &'f [u64] {
        match &self.got {
            Some(plan) => plan.words(),
            None => &[],
        }
    }

    /// Returns the plan if `section` is the GOT.
    pub(super) fn got_plan(&self, section: u32) -> Option<GotPlan<'f>> {
        self.got.filter(|_| section == self.headers.count())
    }

    /// The memory of a section that is not in the file: the GOT.
    #[cold]
    #[inline(never)]
    pub(super) fn got_target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        section: u32,
        report: &mut Report,
    ) -> Result<Target<'t>, Failed> {
        let failed = match (memory.target(section), self.got_plan(section)) {
            (Some(target), Some(plan)) => match plan.check_target(&target, report) {
                Ok(()) => return Ok(target),
                Err(failed) => failed,
            },
            _ => report.fail(ErrorKind::NotAssigned, self.memory_size(section), 0),
        };
        Err(report.in_section(failed, section))
    }

    /// Returns the size of a section's memory in bytes.
    #[inline(never)]
    pub(crate) fn memory_size(&self, section: u32) -> u64 {
        match self.object.section(section) {
            Some(section) => section.sh_size,
            None => self.got_plan(section).map_or(0, |plan| plan.size()),
        }
    }

    /// The numbers of a pass: the indices of the sections that Linux reads, and after them the parts of
    /// the GOT.
    pub(super) fn early_numbers(&self) -> Range<u32> {
        let parts = match self.got {
            Some(_) => self.object.symbols().len().saturating_mul(Part::COUNT),
            None => 0,
        };
        1..self.headers.count().saturating_add(parts)
    }

    /// Returns the part of the GOT with a number of [`early_numbers`](Self::early_numbers). It is empty
    /// for the number of a section.
    #[cold]
    #[inline(never)]
    pub(super) fn got_part(&self, number: u32) -> Part {
        let number = number.checked_sub(self.headers.count());
        self.got.zip(number).map_or_else(Part::default, |(plan, number)| Part::new(&plan, number))
    }
}

/// Whether the field at `offset` follows the opcode of a branch.
fn is_after_branch(code: &[u8], offset: u64) -> bool {
    let before = index(offset).and_then(|end| code.get(end.checked_sub(2)?..end)?.first_chunk());
    before.is_some_and(|before| arch::is_branch_opcode(*before))
}
