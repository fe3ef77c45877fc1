//! Level 3: all sections of a module in one arena.

use crate::error::{OrReport, Report};
use crate::memory::*;
use crate::module::retained_spans;
use crate::pointers::{Piece, Span, VersionedOut};
use crate::state::{self, Stage, relakit_module};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use core::ptr;
use relakit::{Extent, Group, Layout, Memories, Placement};

/// Code: executable sections.
pub const RELAKIT_GROUP_TEXT: u32 = 0;
/// Constants: sections that are neither executable nor writable.
pub const RELAKIT_GROUP_RODATA: u32 = 1;
/// Data that can be made read-only after the module's init function: .data..ro_after_init,
/// __jump_table, and writable sections with SHF_RO_AFTER_INIT.
pub const RELAKIT_GROUP_RO_AFTER_INIT: u32 = 2;
/// Other writable sections.
pub const RELAKIT_GROUP_DATA: u32 = 3;
/// Code that can be freed after the init function: executable sections named ".init...".
pub const RELAKIT_GROUP_INIT_TEXT: u32 = 4;
/// Writable data that can be freed after the init function: writable sections named ".init...", and
/// the template of the per-CPU data.
pub const RELAKIT_GROUP_INIT_DATA: u32 = 5;
/// Constants that can be freed after the init function: other sections named ".init...".
pub const RELAKIT_GROUP_INIT_RODATA: u32 = 6;
/// Number of groups.
pub const RELAKIT_GROUP_COUNT: usize = 7;
const _: () = assert!(RELAKIT_GROUP_COUNT == Group::ALL.len());
const _: () = assert!(RELAKIT_GROUP_TEXT == Group::Text as u32);
const _: () = assert!(RELAKIT_GROUP_RODATA == Group::Rodata as u32);
const _: () = assert!(RELAKIT_GROUP_RO_AFTER_INIT == Group::RoAfterInit as u32);
const _: () = assert!(RELAKIT_GROUP_DATA == Group::Data as u32);
const _: () = assert!(RELAKIT_GROUP_INIT_TEXT == Group::InitText as u32);
const _: () = assert!(RELAKIT_GROUP_INIT_DATA == Group::InitData as u32);
const _: () = assert!(RELAKIT_GROUP_INIT_RODATA == Group::InitRodata as u32);

/// A group of sections: a range of the arena that needs the same page protection.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_group {
    /// Offset of the first byte in the arena, a multiple of the page size.
    pub offset: u64,
    /// Size in bytes, a multiple of the page size. 0 if the module has no byte in this group.
    pub size: u64,
}

/// The layout of a module in one arena.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_layout {
    /// sizeof(struct relakit_layout), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Size of the arena in bytes, a multiple of the page size. At most 2^63 - 1.
    pub size: u64,
    /// Alignment of the arena's run-time address: a power of two, at least the page size.
    pub align: u64,
    /// The groups, by RELAKIT_GROUP_ number. Their offsets ascend.
    pub groups: [relakit_group; RELAKIT_GROUP_COUNT],
}

/// Computes where each section is if all sections are in one arena, and fills `sections` for struct
/// relakit_memory.
///
/// - First call: `sections` is NULL and `count` is 0. The function fills only *layout, and does not
///   use `arena` and `address`. The caller then allocates layout->size bytes.
/// - Second call: `arena` has layout->size bytes, and `address` is its run-time address, a multiple
///   of layout->align. `sections` is an array of `count` elements, at least one for each section,
///   and one more if relakit_module_plan has found a GOT.
///   The function writes all elements. If `arena` is NULL and layout->size is not 0, all sections
///   are behind the writer of struct relakit_memory (RELAKIT_MEMORY_WRITER).
///
/// `page_size` is a power of two. Each group begins at a multiple of it. 0 means that groups are
/// not aligned to pages. Within a group, sections are in the order of the file, and each is aligned
/// to its sh_addralign.
///
/// The groups are those of RELAKIT_LINUX(6, 4) and later (layout_sections, module_init_section). An
/// executable section is code even if it is also writable. Sections that are not in memory while
/// the module runs have no part of the arena; their elements are 0.
///
/// Per-CPU data: the element of section relakit_module_info.per_cpu_section is the caller's matter,
/// because the values of its symbols are offsets. After the second call, set
/// RELAKIT_MEMORY_SYMBOLS_AT and `symbols_at`. With profiles that relocate the template (from
/// RELAKIT_LINUX(6, 16) on), the template is in RELAKIT_GROUP_INIT_DATA. With older profiles of
/// Linux it has no part of the arena: also set RELAKIT_MEMORY_PRESENT, `bytes`, `size` and
/// `address`.
///
/// The function writes nothing to the arena and does not change the stage. The time is linear in
/// the number of sections. Stages: every stage before RELAKIT_STAGE_LATE.
///
/// Returns RELAKIT_OK, or RELAKIT_ERR_BAD_ALIGNMENT, RELAKIT_ERR_LAYOUT_TOO_LARGE,
/// RELAKIT_ERR_ADDRESS_MISALIGNED (`address`), RELAKIT_ERR_LENGTH (`count` is less than
/// error->limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_layout(
    module: *mut relakit_module,
    arena: *mut c_void,
    address: u64,
    page_size: u64,
    sections: *mut relakit_section_memory,
    count: usize,
    layout: *mut relakit_layout,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        // SAFETY: the caller promises that the struct is NULL or writable for its struct_size.
        let out = unsafe { VersionedOut::new(layout, 7, report) }?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let array = Piece::new(sections, count, 5, report)?;
        let laid_out = module.layout(page_size).or_report(report)?;
        if !sections.is_null() {
            laid_out.check_address(address).or_report(report)?;
            let sections = module.object().section_count();
            let needed = module.got().map_or(sections, |got| got.section.saturating_add(1));
            if usize::try_from(needed).map_or(true, |needed| count < needed) {
                return Err(report.refuse(RELAKIT_ERR_LENGTH, 6, u64::from(needed)));
            }
            let [file, plan] = retained_spans(module, report)?;
            array.span.apart_from(&[file, plan, own], 5, report)?;
            if !arena.is_null() {
                let Ok(size) = usize::try_from(laid_out.size()) else {
                    return Err(report.refuse(RELAKIT_ERR_LENGTH, 2, laid_out.size()));
                };
                let arena = Span::items(arena.cast::<u8>(), size, 2, report)?;
                arena.apart_from(&[file, plan, own, array.span], 2, report)?;
            }
            // SAFETY: `apart_from` found that the array overlaps neither file, plan nor state. The
            // caller promises that no other code uses it.
            fill(unsafe { array.write() }, &laid_out, arena, address);
        }
        out.set(&describe(&laid_out));
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

/// One memory for each group: struct module has the array mem.
pub const RELAKIT_MEMORIES_BY_GROUP: u32 = 0;
/// Two memories: struct module has core_layout and init_layout.
pub const RELAKIT_MEMORIES_CORE_AND_INIT: u32 = 1;
const _: () = assert!(RELAKIT_MEMORIES_BY_GROUP == Memories::ByGroup as u32);
const _: () = assert!(RELAKIT_MEMORIES_CORE_AND_INIT == Memories::CoreAndInit as u32);

/// Sets the address of each section as Linux has placed it, from the memories that Linux has
/// allocated for the module. So a program that reads `struct module` of a running module needs no
/// address of a section.
///
/// `memories` is RELAKIT_MEMORIES_BY_GROUP (RELAKIT_LINUX(6, 4) and later) or
/// RELAKIT_MEMORIES_CORE_AND_INIT. `bases` has RELAKIT_GROUP_COUNT addresses, by RELAKIT_GROUP_
/// number. With RELAKIT_MEMORIES_BY_GROUP, they are the bases of the groups. Otherwise, that of
/// RELAKIT_GROUP_TEXT is core_layout.base, that of RELAKIT_GROUP_INIT_TEXT is init_layout.base, and
/// the others are ignored.
///
/// `sections` is an array of `count` elements, at least one for each section. The function writes
/// only `address`, and only for sections in a memory whose base is not 0. The per-CPU section is in
/// none of them. If the function fails, it writes nothing.
///
/// The time is linear in the number of sections. Stages: every stage before RELAKIT_STAGE_LATE.
///
/// Returns RELAKIT_OK, or RELAKIT_ERR_LAYOUT_TOO_LARGE (a section ends past 2^32 - 1, the largest
/// offset in Linux), RELAKIT_ERR_LENGTH (`count` is less than the number of sections, which is
/// error->limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_module_addresses(
    module: *mut relakit_module,
    memories: u32,
    bases: *const u64,
    sections: *mut relakit_section_memory,
    count: usize,
    error: *mut relakit_error,
) -> relakit_status {
    let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
        let memories = match memories {
            RELAKIT_MEMORIES_BY_GROUP => Memories::ByGroup,
            RELAKIT_MEMORIES_CORE_AND_INIT => Memories::CoreAndInit,
            _ => return Err(report.refuse(RELAKIT_ERR_FLAGS, 2, u64::from(memories))),
        };
        let given = Piece::new(bases, RELAKIT_GROUP_COUNT, 3, report)?;
        let array = Piece::new(sections, count, 4, report)?;
        let module = stage.module().ok_or_else(|| stage.out_of_order(report))?;
        let needed = module.object().section_count();
        if usize::try_from(needed).map_or(true, |needed| count < needed) {
            return Err(report.refuse(RELAKIT_ERR_LENGTH, 5, u64::from(needed)));
        }
        let [file, plan] = retained_spans(module, report)?;
        array.span.apart_from(&[file, plan, own, given.span], 4, report)?;
        for placed in module.offsets(memories) {
            placed.or_report(report)?;
        }
        // SAFETY: `Piece::new` checked the pointer, and the array does not overlap the bases. The
        // caller promises readable bases.
        let bases = unsafe { given.read() };
        // SAFETY: `apart_from` found that the array overlaps neither file, plan, state nor
        // `memories`. The caller promises that no other code uses it.
        let sections = unsafe { array.write() };
        for Placement { section, group, offset, .. } in module.offsets(memories).flatten() {
            let base = match (memories, group) {
                (Memories::ByGroup, group) => group,
                (_, Group::InitText | Group::InitData | Group::InitRodata) => Group::InitText,
                _ => Group::Text,
            };
            let base = bases.get(base as usize).copied().filter(|base| *base != 0);
            let index = usize::try_from(section).ok();
            if let Some((memory, base)) = index.and_then(|index| sections.get_mut(index)).zip(base) {
                memory.address = base.wrapping_add(offset);
            }
        }
        Ok(RELAKIT_OK)
    };
    // SAFETY: the caller promises that both are NULL or memory of the size of their type.
    unsafe { state::on(module, error, call) }
}

fn describe(layout: &Layout<'_, '_>) -> relakit_layout {
    relakit_layout {
        struct_size: 0,
        reserved: 0,
        size: layout.size(),
        align: layout.align(),
        groups: Group::ALL.map(|group| {
            let Extent { offset, size } = layout.group(group);
            relakit_group { offset, size }
        }),
    }
}

const NO_MEMORY: relakit_section_memory = relakit_section_memory {
    flags: 0,
    reserved: 0,
    bytes: ptr::null_mut(),
    size: 0,
    address: 0,
    symbols_at: 0,
};

fn fill(sections: &mut [relakit_section_memory], layout: &Layout<'_, '_>, arena: *mut c_void, address: u64) {
    sections.fill(NO_MEMORY);
    let is_behind_writer = arena.is_null() && layout.size() != 0;
    for Placement { section, offset, size, .. } in layout.sections() {
        let index = usize::try_from(section).ok();
        let Some(memory) = index.and_then(|index| sections.get_mut(index)) else { continue };
        let address = address.wrapping_add(offset);
        *memory = relakit_section_memory { flags: RELAKIT_MEMORY_PRESENT, size, address, ..NO_MEMORY };
        match usize::try_from(offset) {
            Ok(offset) if !is_behind_writer => memory.bytes = arena.wrapping_byte_add(offset),
            _ => memory.flags |= RELAKIT_MEMORY_WRITER,
        }
    }
}
