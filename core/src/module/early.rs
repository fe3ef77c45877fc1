//! The early pass, and the sections of a pass that reads the file.

use super::memory::{Filled, Memory};
#[cfg(feature = "klp")]
use super::retained;
use super::symbols::{Resolver, Sentinels, Symbols, UNASSIGNED};
use super::{Class, Classified, Module};
use crate::abi;
use crate::elf::{RelaTable, Section, SectionFlags};
use crate::error::{CallbackError, Error, ErrorKind};
use crate::reloc::{
    Got, Op, Opened, Part, Pass, RelocFlags, Sections, Sentinel, Special, Target, Transaction, Usual, Values,
    list_errors,
};
use crate::report::{Failed, OnError, Report, capture};
use core::ops::Range;

/// A module with every early relocation applied. Only now its special sections may be read.
#[derive(Clone, Debug)]
pub struct Loaded<'f> {
    pub(super) module: Module<'f>,
    #[cfg(feature = "klp")]
    retained_size: usize,
}

impl<'f, M: Memory + ?Sized> Filled<'f, '_, M> {
    /// Resolves all symbols and applies the early relocations, or changes nothing.
    ///
    /// Early relocations are the ordinary ones and the livepatch relocations for vmlinux. They are
    /// applied in section order, as Linux does (Linux semantics 4 to 9). After an error, the memory
    /// can be assigned again.
    ///
    /// `values` is a caller-provided buffer with one entry for each symbol. The call overwrites it.
    ///
    /// # Errors
    /// - `ValuesTooShort`: `values` is.
    /// - `SymbolSection`, `CommonSymbol`, `UnknownSymbol`, `BadSymbolName`, `Resolver`: a symbol
    ///   has no value. As in Linux, this is the error of the last such symbol.
    /// - The error of a [`Malformed`](Class::Malformed) section that fails at load.
    /// - `NotKlpSymbol`, `BadKlpSymbolName`, `KlpNotFound`, `KlpAmbiguous`, `KlpSympos`: a
    ///   livepatch symbol cannot be resolved.
    /// - `SymbolUnassigned`: a relocation uses a symbol of a section without memory.
    /// - The errors of [`reloc::apply`](crate::reloc::apply).
    pub fn early(self, values: &mut [u64], resolver: &mut dyn Resolver) -> Result<Loaded<'f>, Error> {
        let Self { module, memory } = self;
        capture(|report| {
            let values = module.checked_values(values, report)?;
            #[cfg(feature = "klp")]
            let retained_size = retained::size(module, values);
            let mut failed = Ok(());
            let on_error = &mut |error, _: &mut Report| {
                failed = Err(error);
                Ok(())
            };
            let symbols = Symbols { module, memory: &*memory };
            let sentinels = symbols.resolve(values, resolver, on_error, report)?;
            failed?;
            let flags = module.profile.reloc_flags();
            let mut early = ModuleSections::new(module, abi::VMLINUX, memory, values, resolver);
            early.sentinels = sentinels;
            early.lists_errors = false;
            Transaction::new(&mut early, module.early_numbers(), Op::Apply, flags).run(report)?;
            Ok(Loaded {
                module: module.clone(),
                #[cfg(feature = "klp")]
                retained_size,
            })
        })
    }

    /// Reports every error that [`early`](Self::early) can return, and changes nothing in memory.
    ///
    /// Relocations are checked only if all symbols have values, and each by itself.
    ///
    /// # Errors
    /// - `ValuesTooShort`: `values` is.
    pub fn errors(
        &mut self,
        values: &mut [u64],
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) -> Result<(), Error> {
        let module = self.module;
        let values = capture(|failed| module.checked_values(values, failed))?;
        let mut resolved = true;
        let symbols = Symbols { module, memory: &*self.memory };
        let sentinels = capture(|failed| {
            let on_error = &mut |error, failed: &mut Report| {
                resolved = false;
                report(*failed.error(error));
                Ok(())
            };
            symbols.resolve(values, resolver, on_error, failed)
        })?;
        let mut early = ModuleSections::new(module, abi::VMLINUX, self.memory, values, resolver);
        early.sentinels = sentinels;
        match resolved {
            true => list_errors(&mut early, module.early_numbers(), report),
            false => module.numbers().for_each(|index| {
                capture(|failed| early.find(index, failed).map(|_| ()))
                    .err()
                    .into_iter()
                    .for_each(&mut *report);
            }),
        }
        Ok(())
    }
}

impl<'f> Loaded<'f> {
    /// Returns the module.
    pub const fn module(&self) -> &Module<'f> {
        &self.module
    }

    /// Returns the size in bytes of the buffer that [`retain`](Self::retain) needs. It is 0 if the
    /// module has no late sections, and `usize::MAX` if no buffer is large enough, because indices
    /// in the buffer have 32 bits.
    #[cfg(feature = "klp")]
    pub const fn retained_size(&self) -> usize {
        self.retained_size
    }
}

/// Makes a pass refuse relocations that use a symbol without memory.
const GUARD: &dyn Special = &Sentinel(UNASSIGNED);

/// The sections of a pass that reads the file.
pub(super) struct ModuleSections<'a, 'f, M: ?Sized> {
    module: &'a Module<'f>,
    /// The object of the pass; "vmlinux" for the early pass.
    object: &'a [u8],
    /// Whether this is the early pass.
    is_early: bool,
    memory: &'a mut M,
    values: &'a mut [u64],
    sentinels: Sentinels,
    /// Whether every error is wanted, and not the first one only.
    lists_errors: bool,
    #[cfg_attr(not(feature = "klp"), expect(dead_code, reason = "for livepatch symbols"))]
    resolver: &'a mut dyn Resolver,
    pub(super) flags: RelocFlags,
    /// The section that was prepared last, so that it is classified once.
    prepared: Option<Relocations<'f>>,
    /// The number of the first part of the GOT; `u32::MAX` without a GOT.
    first_part: u32,
    /// The GOT at its address, and the part of it that was asked for last.
    got: Option<Got<'f>>,
    part: Part,
}

/// A relocation section that a pass applies.
#[derive(Clone, Copy)]
struct Relocations<'f> {
    index: u32,
    /// Section index of the target.
    target: u32,
    is_livepatch: bool,
    table: RelaTable<'f>,
}

impl<'a, 'f, M: Memory + ?Sized> ModuleSections<'a, 'f, M> {
    pub(super) fn new(
        module: &'a Module<'f>,
        object: &'a [u8],
        memory: &'a mut M,
        values: &'a mut [u64],
        resolver: &'a mut dyn Resolver,
    ) -> Self {
        let is_early = object == abi::VMLINUX;
        let got = module.got.filter(|_| is_early);
        // Not the base of its symbols: fields lead to where the slots are.
        let got = got.and_then(|plan| Some(plan.at(memory.target(module.headers.count())?.address())));
        let first_part = if got.is_some() { module.headers.count() } else { u32::MAX };
        Self {
            module,
            object,
            is_early,
            memory,
            values,
            sentinels: Sentinels::default(),
            lists_errors: true,
            resolver,
            flags: module.profile.reloc_flags(),
            prepared: None,
            first_part,
            got,
            part: Part::default(),
        }
    }

    /// The symbols with their memory.
    const fn symbols(&self) -> Symbols<'_, 'f, M> {
        Symbols { module: self.module, memory: &*self.memory }
    }

    /// Whether the pass itself refuses relocations that use a symbol without memory. Otherwise
    /// `prepare` checks all relocations of the section before the pass, which takes a third of the
    /// time of the pass.
    ///
    /// The pass only compares values. So the check is needed if a symbol has the sentinel as its
    /// value, and if all errors are listed. Symbols of livepatch sections have no memory here.
    const fn is_guarded(&self, is_livepatch: bool) -> bool {
        let Sentinels { has_unassigned, has_real } = self.sentinels;
        has_unassigned && !has_real && !is_livepatch && !self.lists_errors && self.got.is_none()
    }

    /// The pass over a part of the GOT, and the GOT.
    #[cold]
    #[inline(never)]
    fn got_part(&mut self, number: u32, report: &mut Report) -> Result<(Pass<'_>, Target<'_>), Failed> {
        self.part = self.module.got_part(number);
        let target = self.module.target(self.memory, self.first_part, report)?;
        Ok((self.part.pass(Values::Dense(self.values), self.flags), target))
    }

    /// Notes in the GOT whether the section with index `target` is code.
    #[cold]
    #[inline(never)]
    fn enter(&mut self, target: u32) {
        let is_code = |header: Section| header.sh_flags.contains(SectionFlags::EXECINSTR);
        let is_code = self.module.object.section(target).is_some_and(is_code);
        self.got = self.got.map(|got| got.in_code(is_code));
    }

    /// Returns the header of section `index` if the loader may read it as relocations.
    #[inline(always)]
    fn header(&self, index: u32) -> Option<Section> {
        self.module.headers.section(index).filter(|header| self.module.headers.is_relocations(header))
    }

    /// Classifies section `index`. `None` if it does not belong to the pass.
    fn find(&self, index: u32, report: &mut Report) -> Result<Option<Relocations<'f>>, Failed> {
        match self.header(index) {
            Some(header) => self.find_relocations(index, &header, report),
            None => Ok(None),
        }
    }

    /// The same for a section that the loader may read as relocations.
    #[inline(always)]
    fn find_relocations(
        &self,
        index: u32,
        header: &Section,
        report: &mut Report,
    ) -> Result<Option<Relocations<'f>>, Failed> {
        let Module { object, headers, .. } = self.module;
        let (target, is_livepatch) = match headers.usual_target(header) {
            Some(target) if self.is_early => (target, headers.is_livepatch(header)),
            _ if headers.is_for_vmlinux(header) == Some(!self.is_early) => return Ok(None),
            _ => match headers.relocations(index, header).filter(|found| found.class.concerns(self.object)) {
                Some(Classified { class: Class::Malformed { kind, .. }, .. }) => {
                    return Err(headers.fail(index, header, kind, report));
                }
                Some(Classified { class: Class::Ordinary { target }, .. }) => (target, false),
                Some(Classified {
                    class: Class::KlpEarly { target } | Class::KlpLate { target, .. },
                    ..
                }) => (target, true),
                _ => return Ok(None),
            },
        };
        let table = RelaTable::whole_entries(object.section_bytes(header)).0;
        Ok(Some(Relocations { index, target, is_livepatch, table }))
    }

    /// Applies a section of relocations if it is usual, and counts it in `usual`. Returns whether it is
    /// done; a section for a module is.
    #[inline(always)]
    fn apply(&mut self, header: &Section, is_guarded: bool, usual: &mut Usual) -> bool {
        let Module { object, headers, .. } = self.module;
        if headers.is_livepatch(header) {
            return headers.is_for_vmlinux(header) == Some(false);
        }
        let Some(index) = headers.usual_target(header) else { return false };
        let table = RelaTable::whole_entries(object.section_bytes(header)).0;
        if !table.is_empty() {
            let Some(mut target) = self.module.fitting_target(self.memory, index) else { return false };
            let special = is_guarded.then_some(GUARD);
            let pass = Pass { table, values: Values::Dense(self.values), rules: self.flags, special };
            usual.wrote = true;
            if let Some(entries) = pass.start(Op::Apply, &mut target) {
                usual.entries = entries;
                return false;
            }
        }
        usual.sections = usual.sections.saturating_add(1);
        true
    }

    /// See [`Sections::prepare`]. Most sections are no relocations and do not come here.
    #[inline(never)]
    fn prepare_relocations(
        &mut self,
        index: u32,
        header: &Section,
        on_error: OnError<'_>,
        report: &mut Report,
    ) -> Result<bool, Failed> {
        self.prepared = self.find_relocations(index, header, report)?;
        let Some(Relocations { is_livepatch, table, .. }) = self.prepared else { return Ok(false) };
        let on_error = &mut |failed, report: &mut Report| on_error(report.in_section(failed, index), report);
        if is_livepatch {
            #[cfg(feature = "klp")]
            {
                let symbols = self.module.klp_symbols(self.object);
                self.sentinels.has_real |=
                    symbols.resolve(table, self.values, self.resolver, on_error, report)?;
            }
        } else if self.sentinels.has_unassigned && !self.is_guarded(is_livepatch) {
            self.symbols()
                .check_assigned(table, self.values, report)
                .or_else(|failed| on_error(failed, report))?;
        }
        Ok(true)
    }
}

impl<M: Memory + ?Sized> Sections for ModuleSections<'_, '_, M> {
    fn apply_usual(&mut self, numbers: Range<u32>) -> Usual {
        let mut usual = Usual { next: numbers.start, ..Usual::default() };
        let is_guarded = self.is_guarded(false);
        let is_ready = is_guarded || !self.sentinels.has_unassigned;
        if !self.is_early || !is_ready || self.got.is_some() {
            return usual;
        }
        while usual.next < numbers.end {
            let header = self.header(usual.next);
            if header.is_some_and(|header| !self.apply(&header, is_guarded, &mut usual)) {
                break;
            }
            usual.next = usual.next.saturating_add(1);
        }
        usual
    }

    fn prepare(&mut self, index: u32, on_error: OnError<'_>, report: &mut Report) -> Result<bool, Failed> {
        if index >= self.first_part {
            return Ok(!self.module.got_part(index).is_empty());
        }
        match self.header(index) {
            Some(header) => self.prepare_relocations(index, &header, on_error, report),
            None => Ok(false),
        }
    }

    fn section(&mut self, index: u32, report: &mut Report) -> Result<Opened<'_>, Failed> {
        if index >= self.first_part {
            return self.got_part(index, report).map(Some);
        }
        let found = match self.prepared {
            Some(prepared) if prepared.index == index => Some(prepared),
            _ => self.find(index, report)?,
        };
        let Some(Relocations { target, table, is_livepatch, .. }) =
            found.filter(|found| !found.table.is_empty())
        else {
            return Ok(None);
        };
        let is_guarded = self.is_guarded(is_livepatch);
        if self.got.is_some() {
            self.enter(target);
        }
        let target = self.module.target(self.memory, target, report)?;
        let special: Option<&dyn Special> = match &self.got {
            Some(got) => Some(got),
            None if is_guarded => Some(GUARD),
            None => None,
        };
        let pass = Pass { table, values: Values::Dense(self.values), rules: self.flags, special };
        Ok(Some((pass, target)))
    }

    /// In a guarded section, a symbol without memory is an error before all others.
    fn locate(&self, index: u32, failed: Failed, report: &mut Report) -> Failed {
        if index >= self.first_part {
            return report.in_section(failed, self.module.headers.count());
        }
        let was_undone = report.error(failed).kind != ErrorKind::NotUndone;
        let is_guarded =
            |found: &Relocations<'_>| found.index == index && self.is_guarded(found.is_livepatch);
        let guarded = self.prepared.filter(|found| was_undone && is_guarded(found));
        let unassigned =
            guarded.map_or(Ok(()), |found| self.symbols().check_assigned(found.table, self.values, report));
        report.in_section(unassigned.err().unwrap_or(failed), index)
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.memory.sync()
    }
}
