//! The modules that a livepatch patches, as its section names tell.

use super::class::{Class, FailsAt};
use crate::error::{Error, ErrorKind};
use crate::module::Module;
use heapless::Vec;

/// Most objects that are listed. Raising it costs 16 bytes of stack each.
pub const MAX_OBJECTS: usize = 64;

/// Each object that a module has late relocations for, once, in section order.
#[derive(Clone, Debug)]
pub struct Objects<'f>(Vec<&'f [u8], MAX_OBJECTS>);

impl<'f> Objects<'f> {
    /// Reads the section names of `module`. The time is bounded by sections times [`MAX_OBJECTS`].
    ///
    /// # Errors
    /// [`ErrorKind::TooManyObjects`], with the section that names the first one too many.
    pub fn of(module: &Module<'f>) -> Result<Self, Error> {
        let mut objects = Vec::new();
        for (index, class) in module.classes() {
            let (Class::KlpLate { object, .. } | Class::Malformed { fails: FailsAt::Coming(object), .. }) =
                class.class
            else {
                continue;
            };
            if !objects.contains(&object) {
                let full = Error::new(ErrorKind::TooManyObjects, 0, MAX_OBJECTS as u64);
                objects.push(object).map_err(|_| full.in_section(index))?;
            }
        }
        Ok(Self(objects))
    }

    /// The names.
    pub fn names(&self) -> &[&'f [u8]] {
        &self.0
    }
}
