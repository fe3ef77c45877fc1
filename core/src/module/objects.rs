//! The patched modules, as the section names of a livepatch say.

use super::Module;
use crate::error::{Error, ErrorKind};
use heapless::Vec;

/// Largest number of objects in an [`Objects`]. Each one takes 16 bytes.
pub const MAX_OBJECTS: usize = 64;

/// The objects for which a module has late relocations, each of them once, in section order.
///
/// [`Module::classes`] has no limit, and returns an object once for each of its sections.
#[derive(Clone, Debug)]
pub struct Objects<'f>(Vec<&'f [u8], MAX_OBJECTS>);

impl<'f> Objects<'f> {
    /// Reads the section names of `module`. The time is linear in the number of sections.
    ///
    /// # Errors
    /// - `TooManyObjects`: there are more than [`MAX_OBJECTS`]. The error has the section of the
    ///   first one that has no room.
    pub fn of(module: &Module<'f>) -> Result<Self, Error> {
        let mut objects = Vec::new();
        for (index, class) in module.classes() {
            let Some(object) = class.class.object() else { continue };
            if !objects.contains(&object) {
                let full = Error::new(ErrorKind::TooManyObjects, 0, MAX_OBJECTS as u64);
                objects.push(object).map_err(|_| full.in_section(index))?;
            }
        }
        Ok(Self(objects))
    }

    /// Returns the names.
    pub fn names(&self) -> &[&'f [u8]] {
        &self.0
    }
}
