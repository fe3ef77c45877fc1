//! Where Linux puts each section, relative to the memories that it allocates for a module.

use super::Module;
use super::layout::{Group, Placement, Rules};
use crate::elf::Section;
use crate::error::{Error, ErrorKind};
use core::slice;

/// The memories that Linux allocates for a module. `struct module` shows which ones a kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Memories {
    /// One memory for each [`Group`]: `struct module` has the array `mem`, and
    /// `mem[type].base` is the base of the group.
    ByGroup = 0,
    /// Two memories: `struct module` has `core_layout` and `init_layout`. `core_layout.base` is the
    /// base of the groups from `Text` to `Data`, `init_layout.base` that of the init groups. Each
    /// group begins at a page (`CONFIG_STRICT_MODULE_RWX`, which x86-64 always sets).
    CoreAndInit = 1,
}

/// Linux computes offsets and sizes in 32 bits.
const MOST: u64 = u32::MAX as u64;

/// Size of a page of x86-64 in bytes.
const PAGE: u64 = 4096;

/// The sections of a module with their offsets: the result of [`Module::offsets`].
#[derive(Clone, Debug)]
pub struct Offsets<'a, 'f> {
    rules: Rules<'a, 'f>,
    module: &'a Module<'f>,
    memories: Memories,
    /// The group of the next section. `None` at the end.
    group: Option<Group>,
    rest: slice::Iter<'static, Group>,
    next: u32,
    /// End of the sections before, as an offset in their memory.
    end: u64,
}

/// The order of the groups in Linux's memories.
const ORDER: [Group; Group::ALL.len()] = [
    Group::Text,
    Group::Rodata,
    Group::RoAfterInit,
    Group::Data,
    Group::InitText,
    Group::InitRodata,
    Group::InitData,
];

impl<'f> Module<'f> {
    /// Computes the offset of each section in its memory as Linux does (`layout_sections`,
    /// `module_get_offset_and_type`, `get_offset`). The run-time address of a section is the base
    /// of its memory plus this offset.
    ///
    /// So a program that has read the bases from `struct module` needs no address of a section. For
    /// the group of a section, see [`layout`](Self::layout). The iterator contains the sections of
    /// a group in the order of the file, and no section without memory. It does not contain the
    /// per-CPU section, which Linux places elsewhere.
    ///
    /// Linux does not check that an `sh_addralign` is a power of two, and neither does this function. The
    /// time is linear in the number of sections.
    ///
    /// # Errors
    /// `LayoutTooLarge`: an offset, or the end of a section, is more than 2^32 - 1, the largest number
    /// that Linux can store. The iterator ends after the error.
    pub fn offsets(&self, memories: Memories) -> Offsets<'_, 'f> {
        let mut rest = ORDER.iter();
        let group = rest.next().copied();
        Offsets { rules: Rules::of(self), module: self, memories, group, rest, next: 0, end: 0 }
    }
}

impl Offsets<'_, '_> {
    /// Places the next section of the group.
    fn place(&mut self, section: &Section) -> Result<u64, Error> {
        let offset = up(self.end, section.sh_addralign.max(1));
        let end = offset.and_then(|offset| offset.checked_add(section.sh_size)).unwrap_or(u64::MAX);
        match offset {
            Some(offset) if end <= MOST => {
                self.end = end;
                Ok(offset)
            }
            _ => Err(Error::new(ErrorKind::LayoutTooLarge, end, MOST)),
        }
    }

    /// Ends a group.
    fn next_group(&mut self) {
        self.group = self.rest.next().copied();
        self.next = 0;
        self.end = match (self.memories, self.group) {
            (Memories::ByGroup, _) | (_, Some(Group::InitText)) => 0,
            // At most 33 bits, so that the next section that does not fit is found.
            (Memories::CoreAndInit, _) => up(self.end, PAGE).unwrap_or(u64::MAX),
        };
    }
}

impl Iterator for Offsets<'_, '_> {
    type Item = Result<Placement, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.module.object.section_count();
        while let Some(group) = self.group {
            while self.next < count {
                let index = self.next;
                self.next = index.saturating_add(1);
                let Some(section) = self.module.object.section(index) else { continue };
                if self.module.headers.per_cpu == index || self.rules.group(index, &section) != Some(group) {
                    continue;
                }
                return Some(match self.place(&section) {
                    Ok(offset) => Ok(Placement { section: index, group, offset, size: section.sh_size }),
                    Err(error) => {
                        self.group = None;
                        Err(Error { section: Some(index), ..error })
                    }
                });
            }
            self.next_group();
        }
        None
    }
}

/// Linux's `ALIGN`, also if `align` is not a power of two. If the result fits 32 bits, Linux computes
/// the same in 32 bits.
fn up(value: u64, align: u64) -> Option<u64> {
    let mask = align.wrapping_sub(1);
    Some(value.checked_add(mask)? & !mask)
}
