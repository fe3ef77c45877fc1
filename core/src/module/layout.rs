//! The layout of a module in one arena: the offset of each section, in groups that need the same
//! page protection.

use super::memory::SectionMemory;
use super::plan::GotSection;
use super::{Headers, Module};
use crate::elf::{Section, SectionFlags};
use crate::error::{Error, ErrorKind};
use crate::report::{Failed, Report, capture};

/// A group of sections that need the same page protection, in the order of the arena. Each one is
/// a memory type of Linux (`enum mod_mem_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Group {
    /// Code (`MOD_TEXT`).
    Text = 0,
    /// Constants (`MOD_RODATA`).
    Rodata = 1,
    /// Data that is constant after the module's init function has returned (`MOD_RO_AFTER_INIT`).
    RoAfterInit = 2,
    /// Writable data (`MOD_DATA`).
    Data = 3,
    /// Code that is freed after the init function (`MOD_INIT_TEXT`).
    InitText = 4,
    /// Writable data that is freed after the init function (`MOD_INIT_DATA`), and the per-CPU
    /// template.
    InitData = 5,
    /// Constants that are freed after the init function (`MOD_INIT_RODATA`).
    InitRodata = 6,
}

impl Group {
    /// Every group, in the order of the arena.
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Rodata,
        Self::RoAfterInit,
        Self::Data,
        Self::InitText,
        Self::InitData,
        Self::InitRodata,
    ];
}

/// A range of bytes in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
}

/// The part of the arena, or of one of Linux's memories, that belongs to a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placement {
    /// Section index.
    pub section: u32,
    /// The group of the section.
    pub group: Group,
    /// Offset of the section in the arena or in the memory, in bytes.
    pub offset: u64,
    /// `sh_size`, in bytes.
    pub size: u64,
}

/// The largest size of a layout in bytes, because no memory is larger.
const SIZE_MAX: u64 = i64::MAX.cast_unsigned();

/// The layout of a module: the result of [`Module::layout`].
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a, 'f> {
    rules: Rules<'a, 'f>,
    groups: [Extent; Group::ALL.len()],
    size: u64,
    align: u64,
}

impl<'f> Module<'f> {
    /// Computes where each section is if all sections are in one arena.
    ///
    /// The layout contains each section that is in memory while the module runs, see
    /// [`is_allocated`](Self::is_allocated), the [`got`](Self::got) as the last one of its group, and the
    /// per-CPU section if the profile relocates its template. If the profile skips the per-CPU section, the section has no part of the arena.
    ///
    /// The group of a section follows from its flags and name, as in Linux (`layout_sections`,
    /// `module_init_section`):
    /// - A name that begins with `.init` selects an init group.
    /// - An executable section belongs to the text, even if it is writable.
    /// - Of the others, a section that is not writable belongs to the constants.
    /// - A writable section is constant after init if its name is `.data..ro_after_init` or
    ///   `__jump_table`, or if it has `SHF_RO_AFTER_INIT`. An init section is then ordinary init
    ///   data.
    /// - The per-CPU template belongs to the init data, because it is freed after it was copied.
    ///
    /// Groups are in the order of [`Group::ALL`], sections of a group in the order of the file. A
    /// group begins at a multiple of `page_size` and of the alignment of each of its sections. Its
    /// size is a multiple of `page_size`. `page_size` 0 means 1: groups are not aligned to pages.
    ///
    /// The time is linear in the number of sections.
    ///
    /// # Errors
    /// - `BadAlignment`: the `sh_addralign` of a section is neither 0 nor a power of two; without
    ///   a section in the error, `page_size` is not.
    /// - `LayoutTooLarge`: the layout would have more than 2^63 - 1 bytes.
    pub fn layout(&self, page_size: u64) -> Result<Layout<'_, 'f>, Error> {
        capture(|report| Layout::new(self, page_size, report))
    }
}

impl<'a, 'f> Layout<'a, 'f> {
    fn new(module: &'a Module<'f>, page_size: u64, report: &mut Report) -> Result<Self, Failed> {
        let Some(page) = alignment(page_size) else {
            return Err(report.fail(ErrorKind::BadAlignment, page_size, 0));
        };
        let mut layout = Self {
            rules: Rules::of(module),
            groups: [Extent::default(); Group::ALL.len()],
            size: 0,
            align: page,
        };
        let mut aligns = [page; Group::ALL.len()];
        for Part { section: index, group, size, align } in layout.rules.parts() {
            let number = group as usize;
            let (Some(extent), Some(most)) = (layout.groups.get_mut(number), aligns.get_mut(number)) else {
                continue;
            };
            let Some(align) = alignment(align) else {
                let failed = report.fail(ErrorKind::BadAlignment, align, 0);
                return Err(report.in_section(failed, index));
            };
            let size = place(extent.size, align, size).map(|place| place.1);
            extent.size = checked(size, report).map_err(|failed| report.in_section(failed, index))?;
            *most = align.max(*most);
        }
        for (extent, align) in layout.groups.iter_mut().zip(aligns) {
            let size = checked(align_up(extent.size, page), report)?;
            let placed = place(layout.size, align, size);
            layout.size = checked(placed.map(|place| place.1), report)?;
            *extent = Extent { offset: placed.map_or(0, |place| place.0), size };
            layout.align = align.max(layout.align);
        }
        Ok(layout)
    }

    /// Returns the size of the arena in bytes, a multiple of the size of a page.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the alignment of the arena's run-time address: a power of two, at least the size of
    /// a page.
    pub const fn align(&self) -> u64 {
        self.align
    }

    /// Returns the range of a group. Its size is 0 if the module has no byte in this group.
    pub fn group(&self, group: Group) -> Extent {
        self.groups.get(group as usize).copied().unwrap_or_default()
    }

    /// Returns the part of each section in ascending order of the offsets, so that one walk can
    /// split the arena. The parts do not overlap.
    pub fn sections(&self) -> impl Iterator<Item = Placement> {
        let rules = self.rules;
        Group::ALL.into_iter().zip(self.groups).flat_map(move |(group, Extent { offset, .. })| {
            let mut end = offset;
            rules.parts().filter(move |part| part.group == group).map(move |part| {
                let Part { section, group, size, align } = part;
                // `new` has computed the same without an overflow.
                let place = alignment(align).and_then(|align| place(end, align, size));
                let (offset, next) = place.unwrap_or((end, end));
                end = next;
                Placement { section, group, offset, size }
            })
        })
    }

    /// Checks that the arena can be at `address` when the module runs.
    ///
    /// # Errors
    /// - `AddressMisaligned`: `address` is not a multiple of [`align`](Self::align).
    /// - `LayoutTooLarge`: the last byte of the arena would have an address past 2^64 - 1.
    pub fn check_address(&self, address: u64) -> Result<(), Error> {
        capture(|report| {
            // The alignment is a power of two.
            if address & self.align.wrapping_sub(1) != 0 {
                return Err(report.fail(ErrorKind::AddressMisaligned, address, self.align));
            }
            let last = u64::MAX.wrapping_sub(address);
            match self.size.saturating_sub(1) <= last {
                true => Ok(()),
                false => Err(report.fail(ErrorKind::LayoutTooLarge, self.size, last.wrapping_add(1))),
            }
        })
    }

    /// Gives each section of the layout its part of `arena`, which is at `address` when the module
    /// runs. The other sections get `None`: they need no memory, except for the per-CPU section.
    ///
    /// If symbols are defined in the per-CPU section, set its element before
    /// [`Module::assign`]: `symbols_at` is the base of the module's per-CPU data.
    ///
    /// # Errors
    /// - `AddressMisaligned`, `LayoutTooLarge`: as [`check_address`](Self::check_address).
    ///   `LayoutTooLarge` also if `arena` has less than [`size`](Self::size) bytes.
    /// - `NoSuchSection`: `sections` has not one element for each section, and one for the
    ///   [`got`](Module::got).
    pub fn split<'m>(
        &self,
        arena: &'m mut [u8],
        address: u64,
        sections: &mut [Option<SectionMemory<'m>>],
    ) -> Result<(), Error> {
        self.check_address(address)?;
        let provided = arena.len() as u64;
        let too_large = Error::new(ErrorKind::LayoutTooLarge, self.size, provided);
        if provided < self.size {
            return Err(too_large);
        }
        let module = self.rules.module;
        let count = sections.len() as u64;
        let last = module.got().map_or(module.object().section_count().saturating_sub(1), |got| got.section);
        if count <= u64::from(last) {
            return Err(Error::new(ErrorKind::NoSuchSection, u64::from(last), count));
        }
        sections.fill_with(|| None);
        let (mut rest, mut end) = (arena, 0);
        for Placement { section, offset, size, .. } in self.sections() {
            let part = take(&mut rest, offset.wrapping_sub(end)).and_then(|_| take(&mut rest, size));
            let bytes = part.ok_or(too_large)?;
            end = offset.wrapping_add(size);
            if let Some(slot) = usize::try_from(section).ok().and_then(|section| sections.get_mut(section)) {
                *slot =
                    Some(SectionMemory { address: address.wrapping_add(offset), symbols_at: None, bytes });
            }
        }
        Ok(())
    }
}

/// What the group of a section depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a, 'f> {
    module: &'a Module<'f>,
    /// Section indices of the sections that are constant after init because of their names; 0 for
    /// none.
    ro_after_init: [u32; RO_AFTER_INIT.len()],
}

/// What has a part of the layout.
#[derive(Clone, Copy)]
struct Part {
    section: u32,
    group: Group,
    size: u64,
    align: u64,
}

/// Names of sections that Linux marks with `SHF_RO_AFTER_INIT` (`layout_and_allocate`).
const RO_AFTER_INIT: [&[u8]; 2] = [b".data..ro_after_init", b"__jump_table"];

impl<'a, 'f> Rules<'a, 'f> {
    pub(crate) fn of(module: &'a Module<'f>) -> Self {
        Self { module, ro_after_init: module.object.allocated(RO_AFTER_INIT.into_iter()) }
    }

    /// Returns the parts of the layout in the order of their section indices.
    fn parts(self) -> impl Iterator<Item = Part> {
        let sections = self.module.object().sections().filter_map(move |(index, section)| {
            let group = self.group(index, &section)?;
            Some(Part { section: index, group, size: section.sh_size, align: section.sh_addralign })
        });
        let got = self.module.got();
        sections.chain(got.map(|GotSection { section, group, size, align }| Part {
            section,
            group,
            size,
            align,
        }))
    }

    /// Returns the group of a section. `None` if the section is not in the layout.
    pub(crate) fn group(&self, index: u32, section: &Section) -> Option<Group> {
        let headers: &Headers<'f> = &self.module.headers;
        if index != 0 && index == headers.per_cpu {
            return (!headers.skips_per_cpu).then_some(Group::InitData);
        }
        if !headers.is_allocated(index) {
            return None;
        }
        let is_init = headers.names.starts_with(section.sh_name, b".init");
        let flags = section.sh_flags;
        let is_late = flags.contains(SectionFlags::RO_AFTER_INIT) || self.ro_after_init.contains(&index);
        Some(match is_init {
            true if flags.contains(SectionFlags::EXECINSTR) => Group::InitText,
            true if flags.contains(SectionFlags::WRITE) => Group::InitData,
            true => Group::InitRodata,
            false if flags.contains(SectionFlags::EXECINSTR) => Group::Text,
            false if !flags.contains(SectionFlags::WRITE) => Group::Rodata,
            false if is_late => Group::RoAfterInit,
            false => Group::Data,
        })
    }
}

/// Returns an alignment in bytes, at least 1. `None` if it is neither 0 nor a power of two.
const fn alignment(align: u64) -> Option<u64> {
    match align {
        0 => Some(1),
        _ if align.is_power_of_two() => Some(align),
        _ => None,
    }
}

/// Rounds up to a multiple of `align`, which is a power of two.
fn align_up(value: u64, align: u64) -> Option<u64> {
    let mask = align.wrapping_sub(1);
    Some(value.checked_add(mask)? & !mask)
}

/// Returns begin and end of the next `size` bytes after `end`.
fn place(end: u64, align: u64, size: u64) -> Option<(u64, u64)> {
    let start = align_up(end, align)?;
    Some((start, start.checked_add(size)?))
}

/// Returns a size if memory can have it.
fn checked(size: Option<u64>, report: &mut Report) -> Result<u64, Failed> {
    match size {
        Some(size) if size <= SIZE_MAX => Ok(size),
        _ => Err(report.fail(ErrorKind::LayoutTooLarge, size.unwrap_or(u64::MAX), SIZE_MAX)),
    }
}

/// Takes `size` bytes from the beginning of `rest`.
fn take<'m>(rest: &mut &'m mut [u8], size: u64) -> Option<&'m mut [u8]> {
    let (part, tail) = core::mem::take(rest).split_at_mut_checked(usize::try_from(size).ok()?)?;
    *rest = tail;
    Some(part)
}
