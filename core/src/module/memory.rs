//! Where the sections of a module live: the embedder says.

use crate::error::CallbackError;
use crate::reloc::Target;

/// The placement of a module's sections, by section index.
pub trait Memory {
    /// The address that a symbol at offset 0 of the section has; `None` when the section has no place. It is the
    /// section's own address but for per-CPU sections, whose symbols count from a base of their own.
    fn base(&self, section: u32) -> Option<u64>;

    /// The section's bytes and address; `None` when it has no place.
    fn target(&mut self, section: u32) -> Option<Target<'_>>;

    /// Called once at the end of every pass that wrote, so that sections behind writers become visible.
    ///
    /// # Errors
    /// Any number; the pass is undone and fails with [`Sync`](crate::ErrorKind::Sync).
    fn sync(&mut self) -> Result<(), CallbackError> {
        Ok(())
    }
}

/// Plain memory for one section.
#[derive(Debug)]
pub struct SectionMemory<'m> {
    /// Address of the first byte when it runs.
    pub address: u64,
    /// What the section's symbols count from, where that is not `address`: the base of per-CPU data.
    pub symbols_at: Option<u64>,
    /// The section's bytes; as many as its `sh_size`.
    pub bytes: &'m mut [u8],
}

/// A place for each section, by section index; `None`, or past the end, is a section without a place.
impl Memory for [Option<SectionMemory<'_>>] {
    fn base(&self, section: u32) -> Option<u64> {
        let place = self.get(usize::try_from(section).ok()?)?.as_ref()?;
        Some(place.symbols_at.unwrap_or(place.address))
    }

    fn target(&mut self, section: u32) -> Option<Target<'_>> {
        let place = self.get_mut(usize::try_from(section).ok()?)?.as_mut()?;
        Some(Target::new(place.bytes, place.address))
    }
}
