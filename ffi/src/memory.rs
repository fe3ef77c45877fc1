//! The section memory of a module, from struct relakit_memory.

use crate::callbacks::CWriter;
use crate::error::{Failed, Report};
use crate::pointers::{Piece, Span, bytes_mut, versioned};
use crate::status::*;
use crate::types::*;
use relakit::{CallbackError, Memory, Target};

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
        // SAFETY: NULL, or the caller promises a readable struct and callable callbacks.
        let writer = unsafe { CWriter::new(memory.writer, number, report) }?;
        let array = Piece::new(memory.sections, memory.count, number, report)?;
        // SAFETY: `Piece::new` checked it; the caller promises `count` readable elements.
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
        // SAFETY: `check` kept it apart from buffers in use; `new`'s caller promised the memory.
        let bytes = unsafe { bytes_mut(bytes.cast(), usize::try_from(size).ok()?) }?;
        Some(Target::new(bytes, address))
    }

    fn sync(&mut self) -> Result<(), CallbackError> {
        self.writer.as_mut().map_or(Ok(()), CWriter::sync)
    }
}
