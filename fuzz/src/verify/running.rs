//! The memory of a running module. It holds the verifier to its promises.

use relakit::verify::Reader;
use relakit::{CallbackError, Module};
use relakit_model::world::World;

/// Reads a world, and counts.
pub(crate) struct Running<'r, 'w> {
    world: &'r World<'w>,
    reads: usize,
    /// The read that fails.
    fails: Option<usize>,
}

/// The number with which a read fails.
pub(super) const FAILED: i32 = -14;

impl<'r, 'w> Running<'r, 'w> {
    pub(crate) const fn new(world: &'r World<'w>) -> Self {
        Self { world, reads: 0, fails: None }
    }

    pub(super) const fn failing(world: &'r World<'w>, fails: usize) -> Self {
        Self { world, reads: 0, fails: Some(fails) }
    }

    /// The number of reads grows as the file and the memory do.
    pub(super) fn is_linear(&self, module: &Module<'_>) {
        let memory: usize = self.world.spots.iter().map(|spot| spot.bytes.len()).sum();
        let relocations = module.classes().filter_map(|(index, _)| module.object().section(index));
        let file: u64 = relocations.map(|section| section.sh_size / 8).sum();
        let most = 2 * memory + usize::try_from(file).unwrap_or(usize::MAX) + 8 * self.world.spots.len();
        assert!(self.reads <= most, "{} reads, not {most}", self.reads);
    }
}

impl Reader for Running<'_, '_> {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), CallbackError> {
        self.reads += 1;
        if self.fails == Some(self.reads) {
            return Err(CallbackError(FAILED));
        }
        let size = bytes.len() as u64;
        assert!(size != 0 && size <= 256 && at / 256 == (at + (size - 1)) / 256, "{size} bytes at {at:#x}");
        let inside = self.world.spots.iter().find_map(|spot| {
            let start = usize::try_from(at.checked_sub(spot.address)?).ok()?;
            spot.bytes.get(start..start.checked_add(bytes.len())?).filter(|_| spot.is_placed)
        });
        bytes.copy_from_slice(inside.unwrap_or_else(|| panic!("{size} bytes at {at:#x}: in no section")));
        Ok(())
    }
}
