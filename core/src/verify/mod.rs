//! Is what runs what was loaded? Compares the memory of a running module with what it should hold.
//!
//! The module is loaded a second time, into memory of the verifier, with the run-time addresses of
//! the first. This memory is the *expected* content: everything that relocation changes is in it.
//! A [`Reader`] reads the *found* content. relakit reads it in small windows and reports each
//! [`Difference`], with the relocation that explains it.
//!
//! What a kernel rewrites after relocation, for example because of a jump label, is no difference.
//! The crate relakit-linux knows these places.

mod difference;
mod region;
mod source;

pub use difference::{Difference, Excerpt, WrongField};
pub use source::Reader;

use crate::elf::RelaTable;
use crate::error::{Error, ErrorKind};
use crate::flags::RelocFlags;
use crate::module::{Class, Classified, Group, Loaded, Memory, Module, Rules};
use crate::read::copy;
use crate::reloc::{Op, Pass, Target, Values};
use crate::report::{Failed, Report, capture};
use core::fmt;
use region::{Fields, Region};
use source::Source;

/// The groups that are constant while the module runs, so that every byte of them can be compared.
pub const CONSTANT: &[Group] = &[Group::Text, Group::Rodata];

/// What a comparison has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Number of bytes that were compared.
    pub bytes: u64,
    /// Number of bytes in memory that were not compared: other groups, and sections for which there
    /// is no expected content.
    pub not_judged: u64,
    /// Number of differences that were reported.
    pub differences: u64,
}

impl Loaded<'_> {
    /// Compares the memory of the running module with `expected`, in the groups [`CONSTANT`], and
    /// reports each difference. Returns what was compared.
    ///
    /// `expected` is the memory of the early pass, which has the run-time addresses of the running
    /// module. If late relocations are applied to the running module, apply them to `expected` first
    /// with [`Late::coming`](crate::Late::coming). After the call, `expected` holds what was found
    /// where a relocation is wrong.
    ///
    /// The time is linear in the sizes of the file and of the memory. `reader` must return the same
    /// bytes for the same address during the call; if it does not, there may be differences that are
    /// none, but no difference is missed that is there at each read.
    ///
    /// # Errors
    /// - `Reader`: the reader failed. Then not everything was compared.
    /// - `NotPlain`, `AssignedSize`: the expected content of a section is behind a writer, or not of
    ///   the size of the section.
    /// - `AddressWraps`: a section ends past the end of the address space.
    pub fn verify<M: Memory + ?Sized>(
        &self,
        expected: &mut M,
        reader: &mut dyn Reader,
        report: &mut dyn FnMut(&Difference),
    ) -> Result<Verified, Error> {
        Comparison::new(self, expected, reader, CONSTANT).run(report)
    }

    /// Returns whether the late relocations for `object` are applied to the running module: whether
    /// one of their fields is not as in `expected`, to which they are not applied. It is false if
    /// the module has none for `object`.
    ///
    /// With a profile that does not clear (Linux before 6.3), the fields stay applied when the
    /// object goes.
    ///
    /// # Errors
    /// See [`verify`](Self::verify).
    #[cfg(feature = "klp")]
    pub fn is_applied<M: Memory + ?Sized>(
        &self,
        object: &[u8],
        expected: &mut M,
        reader: &mut dyn Reader,
    ) -> Result<bool, Error> {
        let mut any = false;
        let on = &mut |_: &Difference| any = true;
        let mut comparison = Comparison::new(self, expected, reader, &Group::ALL);
        let is_late = |class: Class<'_>| matches!(class, Class::KlpLate { object: of, .. } if of == object);
        capture(|report| comparison.fields(&is_late, false, on, report))?;
        Ok(any)
    }
}

/// Applies `table` to `expected`, and compares the section with what `reader` finds at its run-time
/// address.
///
/// `expected` is plain memory with the content of the section before relocation. After the call, it
/// holds the relocated content, or what was found where a relocation is wrong. The section index of
/// each difference is 0.
///
/// # Errors
/// - The errors of [`reloc::apply`](crate::reloc::apply). Then nothing was compared, and `expected`
///   is as before.
/// - `Reader`: the reader failed. Then not everything was compared.
/// - `NotPlain`: `expected` is behind a writer.
pub fn section(
    table: RelaTable<'_>,
    values: Values<'_>,
    mut expected: Target<'_>,
    flags: RelocFlags,
    reader: &mut dyn Reader,
    on: &mut dyn FnMut(&Difference),
) -> Result<Verified, Error> {
    capture(|report| {
        if expected.bytes().is_none() {
            return Err(report.fail(ErrorKind::NotPlain, 0, 0));
        }
        Pass::new(table, values, flags).run(Op::Apply, &mut expected, report)?;
        let address = expected.address();
        let mut region = Region { section: 0, address, bytes: expected.into_bytes().unwrap_or_default() };
        let mut verified = Verified { bytes: region.bytes.len() as u64, ..Verified::default() };
        let mut counted = |difference: &Difference| {
            verified.differences = verified.differences.saturating_add(1);
            on(difference);
        };
        let source = &mut Source::new(reader);
        if region.differs(source, report)? {
            let fields = Fields { section: 0, entries: table, rules: flags, settles: true };
            region.fields(source, fields, &mut counted, report)?;
            region.content(source, &mut counted, report)?;
        }
        Ok(verified)
    })
}

/// A comparison of expected and found content, for a caller that knows which differences a loader
/// makes. It [settles](Self::settle) them, and then [runs](Self::run).
pub struct Comparison<'a, M: ?Sized> {
    module: &'a Module<'a>,
    rules: Rules<'a, 'a>,
    groups: &'a [Group],
    expected: &'a mut M,
    source: Source<'a>,
}

impl<M: ?Sized> fmt::Debug for Comparison<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Comparison({:?})", self.groups)
    }
}

impl<'a, M: Memory + ?Sized> Comparison<'a, M> {
    /// Returns a comparison of the sections in `groups`. For the others, see [`Loaded::verify`].
    pub fn new(
        loaded: &'a Loaded<'a>,
        expected: &'a mut M,
        reader: &'a mut dyn Reader,
        groups: &'a [Group],
    ) -> Self {
        let module = loaded.module();
        Self { module, rules: Rules::of(module), groups, expected, source: Source::new(reader) }
    }

    /// Returns the module.
    pub const fn module(&self) -> &'a Module<'a> {
        self.module
    }

    /// Returns whether section `index` is compared: it belongs to one of the groups, and has bytes
    /// and expected content.
    pub fn compares(&self, index: u32) -> bool {
        let is_wanted = self.group(index).is_some_and(|group| self.groups.contains(&group));
        is_wanted && self.module.memory_size(index) != 0 && self.expected.base(index).is_some()
    }

    /// Returns the run-time address of section `index` and its expected content. `None` without
    /// expected content in plain memory. The section need not be one that is compared.
    pub fn expected(&mut self, index: u32) -> Option<(u64, &mut [u8])> {
        let target = self.expected.target(index)?;
        Some((target.address(), target.into_bytes()?))
    }

    /// Reads what is found at `offset` of section `index` into `bytes`. Offset and size are in
    /// bytes.
    ///
    /// # Errors
    /// - `Reader`: the reader failed.
    /// - `OffsetOutside`: the section does not contain the bytes.
    /// - `NotAssigned`, `NotPlain`, `AssignedSize`, `AddressWraps`: as [`Loaded::verify`].
    pub fn found(&mut self, index: u32, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        capture(|report| {
            let Self { module, expected, source, .. } = self;
            let region = region(module, *expected, index, report)?;
            let (size, section) = (bytes.len() as u64, region.bytes.len() as u64);
            if offset.checked_add(size).is_none_or(|end| end > section) {
                let failed = report.fail(ErrorKind::OffsetOutside, size, section);
                let failed = report.at_offset(failed, offset);
                return Err(report.in_section(failed, index));
            }
            source.read(&region, offset, bytes, report)
        })
    }

    /// Takes `bytes`, which were found at `offset` of section `index`, as what is expected there.
    /// Does nothing if the section does not contain them.
    pub fn settle(&mut self, index: u32, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(bytes.len())?));
        if let Some((_, expected)) = self.expected(index)
            && let Some(place) = range.and_then(|range| expected.get_mut(range))
            && place.len() == bytes.len()
        {
            copy(place, bytes);
        }
    }

    /// Compares, and reports each difference: first the fields of relocations, in the order of their
    /// sections, then the other bytes, in the order of the sections. Returns what was compared.
    ///
    /// # Errors
    /// See [`Loaded::verify`].
    pub fn run(&mut self, on: &mut dyn FnMut(&Difference)) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        let mut counted = |difference: &Difference| {
            verified.differences = verified.differences.saturating_add(1);
            on(difference);
        };
        capture(|report| {
            if self.any(report)? {
                self.fields(&|_| true, true, &mut counted, report)?;
                self.content(&mut counted, report)?;
            }
            Ok(())
        })?;
        for index in self.sections() {
            let size = self.module.memory_size(index);
            match self.group(index) {
                Some(_) if self.compares(index) => verified.bytes = verified.bytes.saturating_add(size),
                Some(_) => verified.not_judged = verified.not_judged.saturating_add(size),
                None => {}
            }
        }
        Ok(verified)
    }

    /// Returns the indices of the sections of the file, and of the GOT if there is one.
    fn sections(&self) -> impl Iterator<Item = u32> + use<'a, M> {
        let sections = self.module.object().sections().map(|(index, _)| index);
        sections.chain(self.module.got().map(|got| got.section))
    }

    /// Returns the group of a section in memory.
    fn group(&self, index: u32) -> Option<Group> {
        match self.module.object().section(index) {
            Some(section) => self.rules.group(index, &section),
            None => self.module.got().filter(|got| got.section == index).map(|got| got.group),
        }
    }

    /// Whether there is any difference. Most often there is none, and nothing needs an explanation.
    fn any(&mut self, report: &mut Report) -> Result<bool, Failed> {
        let mut any = false;
        for index in self.sections() {
            if self.compares(index) {
                let Self { module, expected, source, .. } = self;
                let region = region(module, *expected, index, report)?;
                any |= region.differs(source, report)?;
            }
        }
        Ok(any)
    }

    /// Reports the fields that are not as expected, of the relocation sections that `wanted` picks.
    /// If `settles`, what is found is taken as expected.
    fn fields(
        &mut self,
        wanted: &dyn Fn(Class<'_>) -> bool,
        settles: bool,
        on: &mut dyn FnMut(&Difference),
        report: &mut Report,
    ) -> Result<(), Failed> {
        for (table, Classified { class, .. }) in self.module.classes().filter(|of| wanted(of.1.class)) {
            let Some(target) = class.target().filter(|target| self.compares(*target)) else { continue };
            let Some(header) = self.module.object().section(table) else { continue };
            let entries = RelaTable::whole_entries(self.module.object().section_bytes(&header)).0;
            let rules = self.module.profile().reloc_flags();
            let Self { module, expected, source, .. } = self;
            let mut region = region(module, *expected, target, report)?;
            region.fields(source, Fields { section: table, entries, rules, settles }, on, report)?;
        }
        Ok(())
    }

    fn content(&mut self, on: &mut dyn FnMut(&Difference), report: &mut Report) -> Result<(), Failed> {
        for index in self.sections() {
            if self.compares(index) {
                let Self { module, expected, source, .. } = self;
                region(module, *expected, index, report)?.content(source, on, report)?;
            }
        }
        Ok(())
    }
}

/// The expected content of section `index`.
fn region<'m, M: Memory + ?Sized>(
    module: &Module<'_>,
    expected: &'m mut M,
    index: u32,
    report: &mut Report,
) -> Result<Region<'m>, Failed> {
    let size = module.memory_size(index);
    let Some(target) = expected.target(index) else {
        let failed = report.fail(ErrorKind::NotAssigned, size, 0);
        return Err(report.in_section(failed, index));
    };
    let (address, provided) = (target.address(), target.size());
    let checked = target.check_address(report).and_then(|()| match target.into_bytes() {
        None => Err(report.fail(ErrorKind::NotPlain, 0, 0)),
        Some(_) if provided != size => Err(report.fail(ErrorKind::AssignedSize, provided, size)),
        Some(bytes) => Ok(Region { section: index, address, bytes }),
    });
    checked.map_err(|failed| report.in_section(failed, index))
}
