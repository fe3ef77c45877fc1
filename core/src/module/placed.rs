//! From placed sections to a loaded module: content, and the early pass.

use super::late::Late;
use super::symbols::{KlpSymbols, Resolver, Symbols};
use super::{Memory, Module};
use crate::abi;
use crate::elf::RelaTable;
use crate::error::{CallbackError, Error, ErrorKind};
use crate::module::{Class, FailsAt};
use crate::reloc::{self, Op, Pass, Sections, Target, Transaction, Values, View};
use crate::report::{Failed, Report, capture};

/// A module that has memory for every section that is relocated early.
#[derive(Debug)]
pub struct Assigned<'f, 'm, M: ?Sized> {
    module: &'m Module<'f>,
    memory: &'m mut M,
}

/// A module whose sections have their content.
#[derive(Debug)]
pub struct Filled<'f, 'm, M: ?Sized> {
    module: &'m Module<'f>,
    memory: &'m mut M,
}

/// A module with every early relocation in place. Only now may anything read its special sections.
#[derive(Clone, Debug)]
pub struct Loaded<'f> {
    module: Module<'f>,
}

impl<'f> Module<'f> {
    /// Takes the embedder's word on where the sections live. What is not relocated early needs no place; a section
    /// without one cannot be the target of a late relocation either, and its symbols cannot be used.
    ///
    /// # Errors
    /// [`ErrorKind::NotAssigned`], [`ErrorKind::AssignedSize`], [`ErrorKind::AddressWraps`]: a section that is relocated has no memory,
    /// not as much as its size, or an address from which it would wrap past 2^64.
    pub fn assign<'m, M: Memory + ?Sized>(&'m self, memory: &'m mut M) -> Result<Assigned<'f, 'm, M>, Error> {
        capture(|report| {
            self.early_targets().try_for_each(|target| self.target(memory, target, report).map(|_| ()))
        })?;
        Ok(Assigned { module: self, memory })
    }

    /// Every fault that [`place`](Self::assign) can answer, in the order of the relocation sections.
    pub fn assign_errors<M: Memory + ?Sized>(&self, memory: &mut M) -> impl Iterator<Item = Error> {
        self.early_targets()
            .filter_map(|target| capture(|report| self.target(memory, target, report).map(|_| ())).err())
    }

    /// The targets of the early pass, in the order of their relocation sections.
    fn early_targets(&self) -> impl Iterator<Item = u32> {
        (1..self.object.section_count()).filter_map(|index| {
            let (Class::Ordinary { target } | Class::KlpEarly { target }) = self.class(index)?.class else {
                return None;
            };
            (!self.relocations(index).is_empty()).then_some(target)
        })
    }

    /// The whole entries of relocation section `index`.
    pub fn relocations(&self, index: u32) -> RelaTable<'f> {
        let bytes = self.object.section(index).map_or(&[][..], |section| self.object.section_bytes(&section));
        RelaTable::whole_entries(bytes).0
    }

    /// The memory of section `index`, which must be of the section's size.
    pub(super) fn target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        index: u32,
        report: &mut Report,
    ) -> Result<Target<'t>, Failed> {
        let size = self.object.section(index).map_or(0, |section| section.sh_size);
        let stopped = match memory.target(index) {
            Some(target) if target.size() == size => match target.check_address(report) {
                Ok(()) => return Ok(target),
                Err(stopped) => stopped,
            },
            Some(target) => report.fail(ErrorKind::AssignedSize, target.size(), size),
            None => report.fail(ErrorKind::NotAssigned, size, 0),
        };
        Err(report.in_section(stopped, index))
    }
}

impl<'f, 'm, M: Memory + ?Sized> Assigned<'f, 'm, M> {
    /// Copies the content of every section with memory from the file, and zeros where the file has no content for it
    /// (`SHT_NOBITS`, `SHT_NULL`). The embedder fills sections behind a [`Writer`](crate::Writer), before the early pass.
    ///
    /// # Errors
    /// [`ErrorKind::AssignedSize`], [`ErrorKind::AddressWraps`]: the memory for a section is not of its size, or its addresses
    /// wrap. Sections before it are filled.
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
            Ok(())
        })?;
        Ok(Filled { module, memory })
    }

    /// Takes the embedder's word that it has filled every section itself: with the file's bytes, or zeros where there are none.
    pub fn assume_filled(self) -> Filled<'f, 'm, M> {
        Filled { module: self.module, memory: self.memory }
    }
}

impl<'f, M: Memory + ?Sized> Filled<'f, '_, M> {
    /// Resolves all symbols and applies the early relocations, ordinary and vmlinux-specific, in section order as
    /// Linux does (Linux semantics 4 to 9). All of them, or nothing is changed.
    ///
    /// `values` is memory for one value a symbol; its content is lost. When this fails the sections are as they were,
    /// and can be placed again.
    ///
    /// # Errors
    /// A symbol's fault, where there are several the last, as in Linux; or else the first relocation or section that
    /// cannot be applied.
    pub fn early(self, values: &mut [u64], resolver: &mut dyn Resolver) -> Result<Loaded<'f>, Error> {
        let Self { module, memory } = self;
        capture(|report| {
            let values = module.lent_values(values, report)?;
            let some_unplaced = Symbols { module, memory: &*memory }.resolve(values, resolver, report)?;
            let mut early = Early { module, memory, values, some_unplaced, resolver };
            let sections = 1..module.object.section_count();
            Transaction::new(&mut early, sections, Op::Apply).run(report)
        })?;
        Ok(Loaded { module: module.clone() })
    }

    /// Reports every fault that the early pass can have, not only the one that stops it, and changes nothing.
    ///
    /// Relocations are judged only when all symbols are known, and each by itself.
    ///
    /// # Errors
    /// [`ErrorKind::ValuesTooShort`].
    pub fn errors(
        &mut self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) -> Result<(), Error> {
        let module = self.module;
        let values = capture(|report| module.lent_values(values, report))?;
        let mut known = true;
        for (index, slot) in (0..u32::MAX).zip(values.iter_mut()) {
            let symbols = Symbols { module, memory: &*self.memory };
            match capture(|report| symbols.value(index, resolver, report)) {
                Ok(value) => *slot = value,
                Err(error) => {
                    known = false;
                    report(error);
                }
            }
        }
        for (index, class) in module.classes() {
            let target = match class.class {
                Class::Malformed { fails: FailsAt::Load, .. } => {
                    module.malformed(index).into_iter().for_each(&mut *report);
                    continue;
                }
                Class::Ordinary { target } | Class::KlpEarly { target } if known => target,
                _ => continue,
            };
            let mut report = |error: Error| report(error.in_section(index));
            let table = module.relocations(index);
            if let Class::KlpEarly { .. } = class.class {
                let mut resolved = true;
                for error in module.resolve_livepatch(abi::VMLINUX, table, values, resolver) {
                    resolved = false;
                    report(error);
                }
                if !resolved {
                    continue;
                }
            }
            let symbols = Symbols { module, memory: &*self.memory };
            if let Err(error) = capture(|report| symbols.check_placed(table, values, report)) {
                report(error);
            }
            if !table.is_empty() {
                match capture(|report| module.target(self.memory, target, report)) {
                    Ok(mut target) => {
                        reloc::errors(
                            table,
                            Values::Dense(values),
                            &mut View::from(&mut target),
                            module.profile.reloc_flags(),
                        )
                        .for_each(report);
                    }
                    Err(error) => report(error),
                }
            }
        }
        Ok(())
    }
}

impl<'f> Module<'f> {
    /// Bytes that [`Loaded::retain`] needs. `scratch` is memory for one value a symbol; its content is lost.
    ///
    /// # Errors
    /// [`ErrorKind::ValuesTooShort`].
    pub fn retained_size(&self, scratch: &mut [u64]) -> Result<usize, Error> {
        capture(|report| Ok(super::retained::size(self, self.lent_values(scratch, report)?)))
    }

    /// The livepatch symbols as a section of `object` sees them.
    pub(super) fn klp_symbols<'a>(&'a self, object: &'a [u8]) -> KlpSymbols<'a, 'f> {
        KlpSymbols { symbols: self.object.symbols(), profile: &self.profile, object }
    }

    /// As many of the lent values as there are symbols.
    fn lent_values<'v>(&self, values: &'v mut [u64], report: &mut Report) -> Result<&'v mut [u64], Failed> {
        let needed = self.object.symbols().len();
        let lent = values.len() as u64;
        usize::try_from(needed)
            .ok()
            .and_then(|needed| values.get_mut(..needed))
            .ok_or_else(|| report.fail(ErrorKind::ValuesTooShort, lent, u64::from(needed)))
    }
}

/// The sections of the early pass.
struct Early<'a, 'f, M: ?Sized> {
    module: &'a Module<'f>,
    memory: &'a mut M,
    values: &'a mut [u64],
    /// Whether a symbol may lie in a section without a place.
    some_unplaced: bool,
    resolver: &'a mut dyn Resolver,
}

impl<M: Memory + ?Sized> Early<'_, '_, M> {
    fn prepare_klp(&mut self, table: RelaTable<'_>, report: &mut Report) -> Result<(), Failed> {
        self.module.klp_symbols(abi::VMLINUX).resolve(table, self.values, self.resolver, report)
    }
}

impl<M: Memory + ?Sized> Sections for Early<'_, '_, M> {
    fn prepare(&mut self, index: u32, report: &mut Report) -> Result<bool, Failed> {
        let Some(class) = self.module.class(index) else { return Ok(false) };
        let table = self.module.relocations(index);
        let prepared = match class.class {
            Class::Malformed { fails: FailsAt::Load, .. } => {
                return match self.module.malformed(index) {
                    Some(error) => Err(report.known(&error)),
                    None => Ok(false),
                };
            }
            Class::Ordinary { .. } => Ok(()),
            Class::KlpEarly { .. } => self.prepare_klp(table, report),
            _ => return Ok(false),
        };
        prepared
            .and_then(|()| match self.some_unplaced {
                true => {
                    let symbols = Symbols { module: self.module, memory: &*self.memory };
                    symbols.check_placed(table, self.values, report)
                }
                false => Ok(()),
            })
            .map_err(|stopped| self.locate(index, stopped, report))?;
        Ok(true)
    }

    fn section(&mut self, index: u32, report: &mut Report) -> Result<Option<(Pass<'_>, Target<'_>)>, Failed> {
        let class = self.module.class(index).map(|class| class.class);
        let (Some(Class::Ordinary { target } | Class::KlpEarly { target }), table) =
            (class, self.module.relocations(index))
        else {
            return Ok(None);
        };
        if table.is_empty() {
            return Ok(None);
        }
        match self.module.target(self.memory, target, report) {
            Ok(target) => {
                let values = Values::Dense(self.values);
                Ok(Some((Pass { table, values, rules: self.module.profile.reloc_flags() }, target)))
            }
            Err(stopped) => Err(report.in_section(stopped, index)),
        }
    }

    fn locate(&self, index: u32, stopped: Failed, report: &mut Report) -> Failed {
        report.in_section(stopped, index)
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.memory.sync()
    }
}

impl<'f> Loaded<'f> {
    /// The module.
    pub const fn module(&self) -> &Module<'f> {
        &self.module
    }

    /// Puts what the late passes need into `buffer`, after which the file may go; see [`Late`]. `memory` is the memory
    /// of the early pass.
    ///
    /// `buffer` must have [`Module::retained_size`] bytes; `scratch` is memory for one value a symbol, as in
    /// [`Filled::early`], and its content is lost.
    ///
    /// # Errors
    /// [`ErrorKind::RetainedTooShort`], [`ErrorKind::ValuesTooShort`].
    pub fn retain<'k, M: Memory + ?Sized>(
        &self,
        memory: &mut M,
        scratch: &mut [u64],
        buffer: &'k mut [u8],
    ) -> Result<Late<'k>, Error> {
        capture(|report| {
            let scratch = self.module.lent_values(scratch, report)?;
            super::retained::build(&self.module, memory, scratch, buffer, report)
        })
    }
}
