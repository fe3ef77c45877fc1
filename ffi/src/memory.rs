//! Level 3: the section memory of a module.

use crate::callbacks::CWriter;
use crate::error::{Failed, Report};
use crate::pointers::{Piece, Span, bytes_mut, versioned};
use crate::status::*;
use crate::types::*;
use core::ffi::c_void;
use relakit::{CallbackError, Memory, Target};

/// relakit_section_memory.flags: RELAKIT_MEMORY_ flags.
pub type relakit_memory_flags = u32;
/// The section has memory. Without this flag all members must be 0.
pub const RELAKIT_MEMORY_PRESENT: relakit_memory_flags = 0x1000;
/// relakit reads and writes the section with relakit_memory.writer. `bytes` must be NULL.
pub const RELAKIT_MEMORY_WRITER: relakit_memory_flags = 0x2000;
/// The value of a symbol in this section is `symbols_at` + st_value, instead of `address` +
/// st_value. This is for per-CPU data, whose symbol values are offsets.
pub const RELAKIT_MEMORY_SYMBOLS_AT: relakit_memory_flags = 0x4000;

/// The memory of one section. All members are 0 if the section has none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_section_memory {
    /// RELAKIT_MEMORY_PRESENT and other flags, or 0.
    pub flags: relakit_memory_flags,
    /// Must be 0.
    pub reserved: u32,
    /// The memory. It must be NULL with RELAKIT_MEMORY_WRITER, and may be NULL if `size` is 0.
    pub bytes: *mut c_void,
    /// Size in bytes. It must be the size of the section.
    pub size: u64,
    /// Run-time address of the first byte.
    pub address: u64,
    /// See RELAKIT_MEMORY_SYMBOLS_AT. Without this flag it must be 0.
    pub symbols_at: u64,
}

/// The memory of a module's sections. The caller must fill sections that use a writer.
///
/// The caller must pass the same addresses and sizes in every call for a module.
/// relakit_module_coming and relakit_module_going check this for the targets of their relocations;
/// the other functions check only the sizes. A section may be plain memory in one call and use a
/// writer in a later call, for example after its memory was made read-only.
///
/// If the memory of a section overlaps the file, the state, the retained state, the plan of a GOT,
/// the array or another buffer of the call, the function returns RELAKIT_ERR_OVERLAP. The memory of
/// two sections must not overlap. relakit does not check this, because a check needs quadratic
/// time, or memory to sort the sections. relakit_module_layout avoids overlaps.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct relakit_memory {
    /// sizeof(struct relakit_memory).
    pub struct_size: u32,
    /// Must be 0.
    pub flags: u32,
    /// An array with one element for each section, by section index.
    pub sections: *const relakit_section_memory,
    /// Number of elements. Sections after the last element have no memory.
    pub count: usize,
    /// Writer of the sections with RELAKIT_MEMORY_WRITER. May be NULL if there are none.
    pub writer: *const relakit_writer,
}

/// The section memory of a module, after the checks.
pub(crate) struct CMemory<'a> {
    sections: &'a [relakit_section_memory],
    writer: Option<CWriter>,
}

impl CMemory<'_> {
    /// Reads argument `number`. Section memory must not overlap one of `others`.
    ///
    /// # Safety
    /// If not NULL, the struct, its array, its writer and the section memory are valid while the
    /// returned value lives.
    pub(crate) unsafe fn new(
        memory: *const relakit_memory,
        number: u64,
        others: &[Span],
        report: &mut Report,
    ) -> Result<Self, Failed> {
        // SAFETY: the caller promises that `memory` is NULL or readable for its struct_size.
        let memory = unsafe { versioned(memory, number, report) }?;
        if memory.flags != 0 {
            return Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(memory.flags)));
        }
        // SAFETY: the caller promises that the writer is NULL or a readable struct, whose callbacks
        // accept its `ctx`.
        let writer = unsafe { CWriter::new(memory.writer, number, report) }?;
        let array = Piece::new(memory.sections, memory.count, number, report)?;
        // SAFETY: `Piece::new` checked the pointer; the caller promises `count` readable elements.
        let sections = unsafe { array.read() };
        for (index, memory) in (0..u32::MAX).zip(sections) {
            check(memory, writer.as_ref(), &[&[array.span], others], number, report)
                .map_err(|failed| report.in_section(failed, index))?;
        }
        Ok(Self { sections, writer })
    }

    fn get(&self, section: u32) -> Option<&relakit_section_memory> {
        let memory = self.sections.get(usize::try_from(section).ok()?)?;
        (memory.flags & RELAKIT_MEMORY_PRESENT != 0).then_some(memory)
    }
}

fn check(
    memory: &relakit_section_memory,
    writer: Option<&CWriter>,
    others: &[&[Span]],
    number: u64,
    report: &mut Report,
) -> Result<(), Failed> {
    let relakit_section_memory { flags, reserved, bytes, size, address, symbols_at } = *memory;
    if flags & !(RELAKIT_MEMORY_PRESENT | RELAKIT_MEMORY_WRITER | RELAKIT_MEMORY_SYMBOLS_AT) != 0 {
        return Err(report.refuse(RELAKIT_ERR_FLAGS, number, u64::from(flags)));
    }
    let is_present = flags & RELAKIT_MEMORY_PRESENT != 0;
    let is_behind_writer = flags & RELAKIT_MEMORY_WRITER != 0;
    let must_be_zero = [
        u64::from(reserved),
        if is_present { 0 } else { u64::from(flags) | size | address },
        if is_present && !is_behind_writer { 0 } else { bytes.addr() as u64 },
        if flags & RELAKIT_MEMORY_SYMBOLS_AT != 0 { 0 } else { symbols_at },
    ];
    if must_be_zero.iter().any(|value| *value != 0) {
        return Err(report.refuse(RELAKIT_ERR_RESERVED, number, 0));
    }
    if is_behind_writer {
        return match writer {
            None => Err(report.refuse(RELAKIT_ERR_CALLBACK, number, 0)),
            Some(writer) if writer.overlaps(address, size, others.iter().copied().flatten().copied()) => {
                Err(report.refuse(RELAKIT_ERR_OVERLAP, number, 0))
            }
            Some(_) => Ok(()),
        };
    }
    let Ok(size) = usize::try_from(size) else {
        return Err(report.refuse(RELAKIT_ERR_LENGTH, number, size));
    };
    let span = Span::items(bytes.cast::<u8>(), size, number, report)?;
    others.iter().try_for_each(|others| span.apart_from(others, number, report))
}

impl Memory for CMemory<'_> {
    fn base(&self, section: u32) -> Option<u64> {
        let memory = self.get(section)?;
        Some(if memory.flags & RELAKIT_MEMORY_SYMBOLS_AT == 0 { memory.address } else { memory.symbols_at })
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let relakit_section_memory { flags, bytes, size, address, .. } = *self.get(section)?;
        if flags & RELAKIT_MEMORY_WRITER != 0 {
            return Some(self.writer.as_mut()?.target(size, address));
        }
        // SAFETY: `check` found that the section overlaps none of the buffers that the call
        // borrows. `new`'s caller promised `size` bytes, which only the call uses.
        let bytes = unsafe { bytes_mut(bytes.cast(), usize::try_from(size).ok()?) }?;
        Some(Target::new(bytes, address))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.writer.as_mut().map_or(Ok(()), CWriter::sync)
    }
}
