//! Late relocations as Linux applies and clears them, which is not all or nothing (Linux semantics
//! 10 and 15). It is for tools that predict what Linux leaves in memory. Loaders use
//! [`Late`](relakit::Late).
//!
//! Each pass reads all section headers, as Linux does. So the time of passes for many objects is
//! the number of passes times the number of sections.

use relakit::arch;
use relakit::elf::{Rela, RelaTable};
use relakit::reloc::{self, RelocFlags, Target, Values};
use relakit::{Class, Error, ErrorKind, Memory, Module, Profile, Resolver};

/// The reaction of a kernel to an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returns this positive `errno`.
    Refused(i32),
    /// It does not check this, and reads or writes invalid memory.
    Unsafe,
}

/// Returns the reaction of the kernel version of the profile to an error of a [`Module`].
pub fn outcome(kind: ErrorKind, profile: &Profile) -> Outcome {
    match (kind, Profile::LINUX_DEFAULT.errno(kind)) {
        // Linux checks these since 6.13 (Linux semantics 3 and 16).
        (ErrorKind::BadSectionName | ErrorKind::BadSymbolName, _) if !profile.checks_strings => {
            Outcome::Unsafe
        }
        (_, 0) => Outcome::Unsafe,
        (_, errno) => Outcome::Refused(errno),
    }
}

/// The late relocations of a loaded module, applied as Linux does.
///
/// Fields are written one after the other. If one fails, the fields before it stay written. Symbol
/// values are those of the symbol table, so the value of a symbol that two objects share becomes
/// stale.
#[derive(Debug)]
pub struct LinuxLate<'a, 'f> {
    module: &'a Module<'f>,
    values: &'a mut [u64],
}

/// The result of [`LinuxLate::coming`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinuxComing {
    /// The error that ended it.
    pub error: Option<Error>,
    /// Number of relocations that are written.
    pub written: u64,
}

impl<'a, 'f> LinuxLate<'a, 'f> {
    /// Takes the symbol `values` of the early pass.
    pub const fn new(module: &'a Module<'f>, values: &'a mut [u64]) -> Self {
        Self { module, values }
    }

    /// Returns the present symbol values.
    pub const fn values(&self) -> &[u64] {
        self.values
    }

    /// Applies the relocations for `object` in section order, up to the first error.
    pub fn coming<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
    ) -> LinuxComing {
        let mut written = 0;
        let done = self.sections(object).try_for_each(|(index, class)| {
            let Class::KlpLate { target, .. } = class else {
                return self.module.malformed(index).map_or(Ok(()), Err);
            };
            let table = self.module.relocations(index);
            let resolved = self.module.resolve_livepatch(object, table, self.values, resolver);
            resolved
                .and_then(|()| each(table, |entry| self.apply(entry, target, memory, &mut written)))
                .map_err(|error| in_section(error, index))
        });
        LinuxComing { error: done.err(), written }
    }

    /// Reports every error that [`coming`](Self::coming) can have, and leaves memory as it is.
    ///
    /// The relocations of a section are checked only if all its symbols have values, and each by
    /// itself. The call overwrites symbol values, so the caller passes a copy to
    /// [`new`](Self::new).
    pub fn errors<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        resolver: &mut dyn Resolver,
        report: &mut dyn FnMut(Error),
    ) {
        self.module.late_errors(object, memory, self.values, resolver, report);
    }

    /// Clears the relocations for `object`. If a field does not hold its value, the later entries
    /// of its section remain applied. The error of each section is passed to `report`.
    pub fn going<M: Memory + ?Sized>(
        &mut self,
        object: &[u8],
        memory: &mut M,
        report: &mut dyn FnMut(Error),
    ) {
        if !self.module.profile().clears_on_going {
            return;
        }
        for (index, class) in self.sections(object) {
            let Class::KlpLate { target, .. } = class else { continue };
            let cleared = each(self.module.relocations(index), |entry| {
                let mut target = memory.target(target).ok_or_else(|| self.not_assigned(target))?;
                reloc::clear(entry, Values::Dense(self.values), &mut target, self.reloc_flags())
            });
            if let Err(error) = cleared {
                report(in_section(error, index));
            }
        }
    }

    /// Applies one entry, and counts it if it is written. Linux before 6.3 also writes a value that
    /// does not fit.
    fn apply<M: Memory + ?Sized>(
        &self,
        entry: RelaTable<'_>,
        target: u32,
        memory: &mut M,
        written: &mut u64,
    ) -> Result<(), Error> {
        let mut target = memory.target(target).ok_or_else(|| self.not_assigned(target))?;
        let applied = reloc::apply(entry, Values::Dense(self.values), &mut target, self.reloc_flags());
        match applied {
            Ok(()) => *written = written.saturating_add(u64::from(self.has_field(entry))),
            Err(error) if self.writes_before_range(&error) => {
                *written = written.saturating_add(1);
                self.truncate(entry, &mut target);
            }
            Err(_) => {}
        }
        applied
    }

    /// The sections that Linux applies, or for which it fails, when `object` is loaded.
    fn sections<'o>(&self, object: &'o [u8]) -> impl Iterator<Item = (u32, Class<'f>)> + use<'a, 'f, 'o> {
        let classes = self.module.classes().map(|(index, found)| (index, found.class));
        classes.filter(move |(_, class)| class.concerns(object))
    }

    fn not_assigned(&self, target: u32) -> Error {
        let size = self.module.object().section(target).map_or(0, |section| section.sh_size);
        Error::new(ErrorKind::NotAssigned, size, 0).in_section(target)
    }

    fn reloc_flags(&self) -> RelocFlags {
        self.module.profile().reloc_flags()
    }

    /// Linux before 6.3 checks the range after it has written (Linux semantics 15).
    fn writes_before_range(&self, error: &Error) -> bool {
        self.reloc_flags().contains(RelocFlags::REPORT_NONZERO_FIRST) && error.kind == ErrorKind::Overflow
    }

    /// Whether an entry has a field.
    fn has_field(&self, entry: RelaTable<'_>) -> bool {
        entry
            .get(0)
            .and_then(|rela| reloc::howto(rela.r_type, self.reloc_flags()))
            .is_some_and(|howto| howto.size != 0)
    }

    /// Writes the low 32 bits of a value that does not fit. The type truncates, so P is added to
    /// the addend.
    fn truncate(&self, entry: RelaTable<'_>, target: &mut Target<'_>) {
        let Some(rela) = entry.get(0) else { return };
        let p = target.address().wrapping_add(rela.r_offset).cast_signed();
        let rela = Rela { r_type: arch::TRUNCATED, r_addend: rela.r_addend.wrapping_add(p), ..rela };
        let entry = [rela.to_bytes()];
        // This cannot fail: the range and the field were checked.
        let _ = reloc::apply(
            RelaTable::from_entries(&entry),
            Values::Dense(self.values),
            target,
            RelocFlags::TRUNCATE_PC32,
        );
    }
}

/// Calls `act` with each entry, as a table of its own, up to the first error.
fn each(table: RelaTable<'_>, mut act: impl FnMut(RelaTable<'_>) -> Result<(), Error>) -> Result<(), Error> {
    (0..table.len()).try_for_each(|index| {
        let entry = table.entries().get(index..).and_then(|rest| rest.get(..1)).unwrap_or_default();
        act(RelaTable::from_entries(entry)).map_err(|error| error.in_entry(index as u64))
    })
}

/// Adds section `index` to an error, unless the error is about the section that has no memory.
fn in_section(error: Error, index: u32) -> Error {
    if error.kind == ErrorKind::NotAssigned { error } else { error.in_section(index) }
}
