//! From placed sections to a loaded module: content, and the early pass.

use super::late::Late;
use super::{Memory, Module};
use crate::abi;
use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind, HookError};
use crate::klp::{Class, FailsAt};
use crate::reloc::{self, Pass, Target, Transaction, Values, all_or_none};
use crate::special::{self, Special};
use crate::symbols::{KlpSymbols, OnFault, Resolver, Symbols, every_fault, first_fault};

/// A module that has memory for every section that is relocated early.
#[derive(Debug)]
pub struct Placed<'f, 'm, M: ?Sized> {
    module: Module<'f>,
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
    /// [`ErrorKind::NotPlaced`], [`ErrorKind::PlacedSize`]: a section that is relocated has no memory, or not as much
    /// as its size.
    pub fn place<'m, M: Memory + ?Sized>(&self, memory: &'m mut M) -> Result<Placed<'f, 'm, M>, Error> {
        let fault = self.place_faults(memory).next();
        match fault {
            Some(error) => Err(error),
            None => Ok(Placed { module: self.clone(), memory }),
        }
    }

    /// Every fault that [`place`](Self::place) can answer, in the order of the relocation sections.
    pub fn place_faults<M: Memory + ?Sized>(&self, memory: &mut M) -> impl Iterator<Item = Error> {
        self.early_sections()
            .filter(|(_, _, _, table)| !table.is_empty())
            .filter_map(|(_, _, target, _)| self.target(memory, target).err())
    }

    /// The sections of the early pass in its order: index, class, target, relocations.
    fn early_sections(&self) -> impl DoubleEndedIterator<Item = (u32, Class<'f>, u32, RelaTable<'f>)> {
        (1..self.object.section_count()).filter_map(|index| {
            let class = self.class(index)?.class;
            let (Class::Ordinary { target } | Class::KlpEarly { target }) = class else { return None };
            Some((index, class, target, self.relocations(index)))
        })
    }

    /// The whole entries of relocation section `index`.
    pub(super) fn relocations(&self, index: u32) -> RelaTable<'f> {
        let bytes = self.object.section(index).map_or(&[][..], |section| self.object.section_bytes(&section));
        RelaTable::whole_entries(bytes).0
    }

    /// The memory of section `index`, which must be of the section's size.
    pub(super) fn target<'t, M: Memory + ?Sized>(
        &self,
        memory: &'t mut M,
        index: u32,
    ) -> Result<Target<'t>, Error> {
        let size = self.object.section(index).map_or(0, |section| section.size);
        let target = memory.target(index).ok_or(ErrorKind::NotPlaced.error(size, 0).in_section(index))?;
        match target.size() == size {
            true => Ok(target),
            false => Err(ErrorKind::PlacedSize.error(target.size(), size).in_section(index)),
        }
    }
}

impl<'f, 'm, M: Memory + ?Sized> Placed<'f, 'm, M> {
    /// Copies the content of every placed section from the file, and zeros where it has none (`SHT_NOBITS`). Sections
    /// behind a [`Writer`](crate::Writer) are left to the embedder.
    ///
    /// # Errors
    /// [`ErrorKind::PlacedSize`] when the memory for a section is not of its size. Sections before it are filled.
    pub fn fill(&mut self) -> Result<(), Error> {
        let object = self.module.object;
        for (index, section) in object.sections() {
            if index == 0 || section.kind == abi::SHT_NULL || self.memory.target(index).is_none() {
                continue;
            }
            self.module.target(self.memory, index)?.fill(object.section_bytes(&section));
        }
        Ok(())
    }

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
        let values = module.lent_values(values)?;
        let unplaced = Symbols { module: &module, memory: &*memory }.resolve(values, resolver)?;
        let sections = 1..module.object.section_count();
        all_or_none(
            &mut Early { module: &module, memory, values, unplaced, resolver, wrote: false },
            sections,
        )?;
        Ok(Loaded { module })
    }

    /// Reports every fault that the early pass can have, not only the one that stops it, and changes nothing.
    ///
    /// Relocations are judged only when all symbols are known, and each by itself.
    ///
    /// # Errors
    /// [`ErrorKind::ValuesTooShort`].
    pub fn faults(
        &mut self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) -> Result<(), Error> {
        let module = &self.module;
        let values = module.lent_values(values)?;
        let mut known = true;
        for (index, slot) in (0..u32::MAX).zip(values.iter_mut()) {
            match (Symbols { module, memory: &*self.memory }).value(index, resolver) {
                Ok(value) => *slot = value,
                Err(error) => {
                    known = false;
                    report(error);
                }
            }
        }
        for (index, class) in module.classes() {
            let target = match class.class {
                Class::Malformed { error, fails: FailsAt::Load } => {
                    report(error);
                    continue;
                }
                Class::Ordinary { target } | Class::KlpEarly { target } if known => target,
                _ => continue,
            };
            let mut report = |error: Error| report(error.in_section(index));
            let table = module.relocations(index);
            if let Class::KlpEarly { .. } = class.class {
                let klp = module.klp_symbols(abi::VMLINUX);
                let resolve = |on_fault: OnFault<'_>| klp.resolve(table, values, resolver, on_fault);
                if !every_fault(&mut report, resolve) {
                    continue;
                }
            }
            if let Err(error) = (Symbols { module, memory: &*self.memory }).check_placed(table) {
                report(error);
            }
            if !table.is_empty() {
                match module.target(self.memory, target) {
                    Ok(mut target) => {
                        reloc::faults(table, Values::Dense(values), &mut target, module.profile.rules())
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
    /// Bytes that [`Loaded::keep`] needs. `scratch` is memory for one value a symbol; its content is lost.
    ///
    /// # Errors
    /// [`ErrorKind::ValuesTooShort`].
    pub fn late_size(&self, scratch: &mut [u64]) -> Result<usize, Error> {
        Ok(super::kept::size(self, self.lent_values(scratch)?))
    }

    /// The livepatch symbols as a section of `object` sees them.
    pub(super) fn klp_symbols<'a>(&self, object: &'a [u8]) -> KlpSymbols<'a, 'f> {
        KlpSymbols { symbols: *self.object.symbols(), profile: self.profile, object }
    }

    /// As many of the lent values as there are symbols.
    fn lent_values<'v>(&self, values: &'v mut [u64]) -> Result<&'v mut [u64], Error> {
        let needed = self.object.symbols().len();
        let lent = values.len();
        usize::try_from(needed)
            .ok()
            .and_then(|needed| values.get_mut(..needed))
            .ok_or(ErrorKind::ValuesTooShort.error(lent as u64, u64::from(needed)))
    }
}

/// The early pass: a step is a section.
struct Early<'a, 'f, M: ?Sized> {
    module: &'a Module<'f>,
    memory: &'a mut M,
    values: &'a mut [u64],
    /// Whether a symbol lies in a section without a place.
    unplaced: bool,
    resolver: &'a mut dyn Resolver,
    /// Whether a step tried to write.
    wrote: bool,
}

impl<M: Memory + ?Sized> Early<'_, '_, M> {
    fn section(&mut self, index: u32) -> Result<bool, Error> {
        let Self { module, memory, values, resolver, .. } = self;
        let Some(class) = module.class(index) else { return Ok(false) };
        let target = match class.class {
            Class::Malformed { error, fails: FailsAt::Load } => return Err(error),
            Class::Ordinary { target } | Class::KlpEarly { target } => target,
            _ => return Ok(false),
        };
        let table = module.relocations(index);
        if table.is_empty() {
            return Ok(true);
        }
        if let Class::KlpEarly { .. } = class.class {
            let klp = module.klp_symbols(abi::VMLINUX);
            first_fault(|on_fault| klp.resolve(table, values, *resolver, on_fault))?;
        }
        if self.unplaced {
            Symbols { module, memory: &**memory }.check_placed(table)?;
        }
        let mut target = module.target(*memory, target)?;
        self.wrote = true;
        Pass { table, values: Values::Dense(values), rules: module.profile.rules() }
            .apply_fields(&mut target)
            .map(|()| true)
    }
}

impl<M: Memory + ?Sized> Transaction for Early<'_, '_, M> {
    fn step(&mut self, index: u32) -> Result<bool, Error> {
        self.section(index).map_err(|error| error.in_section(index))
    }

    fn undo(&mut self, index: u32) -> Result<(), Error> {
        let Self { module, memory, values, .. } = self;
        let Some(Class::Ordinary { target } | Class::KlpEarly { target }) =
            module.class(index).map(|class| class.class)
        else {
            return Ok(());
        };
        let table = module.relocations(index);
        if table.is_empty() {
            return Ok(());
        }
        let mut target = module.target(*memory, target)?;
        Pass { table, values: Values::Dense(values), rules: module.profile.rules() }
            .undo_fields(&mut target)
            .map_err(|error| error.in_section(index))
    }

    fn sync(&mut self) -> Result<(), HookError> {
        if self.wrote { self.memory.sync() } else { Ok(()) }
    }
}

impl<'f> Loaded<'f> {
    /// The module.
    pub const fn module(&self) -> &Module<'f> {
        &self.module
    }

    /// The special sections that are in memory, with their section indices: ready to be read.
    pub fn specials(&self) -> impl Iterator<Item = (u32, &'static Special)> {
        let sections = self.module.object.sections();
        sections.filter_map(move |(index, _)| Some((index, self.special(index)?)))
    }

    /// What section `index` is to Linux, if it is a special section and in memory.
    pub fn special(&self, index: u32) -> Option<&'static Special> {
        let section = self.module.object.section(index).filter(|_| self.module.is_allocated(index))?;
        special::by_name(self.module.object.section_name(&section))
    }

    /// Puts what the late passes need into `buffer`, after which the file may go; see [`Late`]. `memory` is the memory
    /// of the early pass.
    ///
    /// `buffer` must have [`Module::late_size`] bytes; `scratch` is memory for one value a symbol, as in
    /// [`Placed::early`], and its content is lost.
    ///
    /// # Errors
    /// [`ErrorKind::KeptTooShort`], [`ErrorKind::ValuesTooShort`].
    pub fn keep<'k, M: Memory + ?Sized>(
        &self,
        memory: &mut M,
        scratch: &mut [u64],
        buffer: &'k mut [u8],
    ) -> Result<Late<'k>, Error> {
        let scratch = self.module.lent_values(scratch)?;
        super::kept::build(&self.module, memory, scratch, buffer)
    }
}
