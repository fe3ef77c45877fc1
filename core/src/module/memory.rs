//! The memory of sections, which the embedder provides, and their content.

use super::Module;
use crate::elf::RelaTable;
use crate::error::{CallbackError, Error, ErrorKind};
use crate::reloc::Target;
use crate::report::{Failed, Report, capture};

/// The memory of a module's sections, by section index.
///
/// A slice or an array of `Option<SectionMemory>` implements it. A type that owns such a slice
/// forwards to it:
///
/// ```
/// use relakit::{Memory, SectionMemory, Target};
///
/// struct Sections<'m>(Vec<Option<SectionMemory<'m>>>);
///
/// impl Memory for Sections<'_> {
///     fn base(&self, section: u32) -> Option<u64> {
///         self.0[..].base(section)
///     }
///     fn target(&mut self, section: u32) -> Option<Target<'_>> {
///         self.0[..].target(section)
///     }
/// }
/// ```
pub trait Memory {
    /// Returns the address to which the offsets of the section's symbols are added; `None` if the
    /// section has no memory. It is the address of the section, except for per-CPU data, whose
    /// symbols have a base of their own.
    fn base(&self, section: u32) -> Option<u64>;

    /// Returns the bytes and the address of the section; `None` if it has no memory.
    ///
    /// A pass and its rollback call this several times for a section. Each call must return the same
    /// memory; otherwise the pass may leave fields changed after an error.
    fn target(&mut self, section: u32) -> Option<Target<'_>>;

    /// Makes writes visible if sections are behind writers. It is called once at the end of each
    /// pass that wrote, and once more after a rollback.
    ///
    /// # Errors
    /// Any number. The pass is rolled back and fails with [`Sync`](crate::ErrorKind::Sync).
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// Plain memory for one section.
#[derive(Debug)]
pub struct SectionMemory<'m> {
    /// Address of the first byte when the module runs.
    pub address: u64,
    /// Base address of the section's symbols if it is not `address`, as for per-CPU data.
    pub symbols_at: Option<u64>,
    /// The bytes of the section. Their number is its `sh_size`.
    pub bytes: &'m mut [u8],
}

/// `None`, or an index after the end, is a section without memory.
impl Memory for [Option<SectionMemory<'_>>] {
    fn base(&self, section: u32) -> Option<u64> {
        let memory = self.get(usize::try_from(section).ok()?)?.as_ref()?;
        Some(memory.symbols_at.unwrap_or(memory.address))
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let memory = self.get_mut(usize::try_from(section).ok()?)?.as_mut()?;
        Some(Target::new(memory.bytes, memory.address))
    }
}

impl<const N: usize> Memory for [Option<SectionMemory<'_>>; N] {
    fn base(&self, section: u32) -> Option<u64> {
        self[..].base(section)
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        self[..].target(section)
    }
}

/// A module that has memory for every section that is relocated early.
#[derive(Debug)]
pub struct Assigned<'f, 'm, M: ?Sized> {
    module: &'m Module<'f>,
    memory: &'m mut M,
}

/// A module whose sections have their content.
#[derive(Debug)]
pub struct Filled<'f, 'm, M: ?Sized> {
    pub(super) module: &'m Module<'f>,
    pub(super) memory: &'m mut M,
}

impl<'f> Module<'f> {
    /// Assigns memory to the sections.
    ///
    /// Sections that are not relocated early need no memory. Then they cannot be the target of a
    /// late relocation, and their symbols cannot be used.
    ///
    /// # Errors
    /// The first error of [`assign_errors`](Self::assign_errors).
    pub fn assign<'m, M: Memory + ?Sized>(&'m self, memory: &'m mut M) -> Result<Assigned<'f, 'm, M>, Error> {
        self.assign_errors(memory).next().map_or(Ok(()), Err)?;
        Ok(Assigned { module: self, memory })
    }

    /// Returns the errors of the memory of the sections that are relocated early, in the order of
    /// their relocation sections.
    ///
    /// - `NotAssigned`: a section has no memory.
    /// - `AssignedSize`: its memory is not of its size.
    /// - `AddressWraps`: its last byte would have an address past 2^64 - 1.
    /// - `AddressMisaligned`: the address of the [`got`](Self::got) has not its alignment.
    pub fn assign_errors<M: Memory + ?Sized>(&self, memory: &mut M) -> impl Iterator<Item = Error> {
        // Section 0 is no section.
        let relocated = self.object.sections().skip(1).filter_map(|(index, header)| {
            let target = self.headers.early_target(index, &header)?;
            let table = RelaTable::whole_entries(self.object.section_bytes(&header)).0;
            (!table.is_empty()).then_some(target)
        });
        let all = relocated.chain(self.got().map(|got| got.section));
        all.filter_map(|target| match self.fitting_target(memory, target).is_some() {
            true => None,
            false => capture(|report| self.target(memory, target, report).map(|_| ())).err(),
        })
    }

    /// Returns the whole entries of relocation section `index`.
    pub fn relocations(&self, index: u32) -> RelaTable<'f> {
        let bytes = self.object.section(index).map_or(&[][..], |section| self.object.section_bytes(&section));
        RelaTable::whole_entries(bytes).0
    }

    /// The memory of section `index` if it is of the section's size and does not wrap.
    #[inline(always)]
    pub(super) fn fitting_target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        index: u32,
    ) -> Option<Target<'t>> {
        let size = self.object.section(index)?.sh_size;
        memory.target(index).filter(|target| target.size() == size && !target.wraps())
    }

    /// The same, or the error.
    pub(super) fn target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        index: u32,
        report: &mut Report,
    ) -> Result<Target<'t>, Failed> {
        let Some(section) = self.object.section(index) else {
            return self.got_target(memory, index, report);
        };
        let size = section.sh_size;
        let failed = match memory.target(index) {
            Some(target) if target.size() == size => match target.check_address(report) {
                Ok(()) => return Ok(target),
                Err(failed) => failed,
            },
            Some(target) => report.fail(ErrorKind::AssignedSize, target.size(), size),
            None => report.fail(ErrorKind::NotAssigned, size, 0),
        };
        Err(report.in_section(failed, index))
    }
}

impl<'f, 'm, M: Memory + ?Sized> Assigned<'f, 'm, M> {
    /// Copies the content of every section that has memory from the file. Where the file has no
    /// content (`SHT_NOBITS`, `SHT_NULL`) and into the GOT, it writes zeros. Sections behind a
    /// [`Writer`](crate::Writer) are left out: the embedder fills them before the early pass.
    ///
    /// # Errors
    /// After an error, the sections before that one are filled.
    /// - `AssignedSize`: the memory of a section is not of its size.
    /// - `AddressWraps`: its last byte would have an address past 2^64 - 1.
    /// - `AddressMisaligned`: the address of the [`got`](Module::got) has not its alignment.
    pub fn fill(self) -> Result<Filled<'f, 'm, M>, Error> {
        let Self { module, memory } = self;
        let object = module.object;
        capture(|report| {
            // Section 0 is no section.
            for (index, section) in object.sections().filter(|(index, _)| *index != 0) {
                if memory.target(index).is_some() {
                    module.target(memory, index, report)?.fill(object.section_bytes(&section));
                }
            }
            if let Some(got) = module.got() {
                module.target(memory, got.section, report)?.fill(&[]);
            }
            Ok(())
        })?;
        Ok(Filled { module, memory })
    }

    /// Takes the sections as filled. The embedder has written the content of the file into every
    /// section that has memory, or zeros where the file has no content.
    pub fn assume_filled(self) -> Filled<'f, 'm, M> {
        Filled { module: self.module, memory: self.memory }
    }
}
