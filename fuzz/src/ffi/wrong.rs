//! What may be wrong with a call, one thing at a time: a number each, which the input chooses.

use super::hooks::{Names, Owner, resolver_for_c};
use super::sections::NOWHERE;
use core::mem::size_of;
use core::ptr;
use relakit_ffi::*;

/// What is lent to one call besides the sections.
pub struct Lent<'s> {
    pub module: *mut relakit_module,
    pub values: &'s mut [u64],
    pub kept: &'s mut [u8],
    pub wrong: u8,
}

impl Lent<'_> {
    /// Memory for values, or something else.
    pub fn values(&mut self) -> (*mut u64, usize) {
        let (start, count) = (self.values.as_mut_ptr(), self.values.len());
        match self.wrong {
            20 => (ptr::null_mut(), count),
            21 => (start, count.saturating_sub(1)),
            22 if count > 1 => (start.wrapping_byte_add(1), count - 1),
            23 => (start, isize::MAX.unsigned_abs() / 8 + 1),
            24 => (self.module.cast(), 1),
            _ => (start, count),
        }
    }

    /// Memory to keep what stays in, or something else.
    pub fn kept(&mut self) -> (*mut u8, usize) {
        let (start, size) = (self.kept.as_mut_ptr(), self.kept.len());
        match self.wrong {
            25 => (ptr::null_mut(), size.max(1)),
            26 => (self.module.cast(), relakit_module_size()),
            27 => (self.values.as_mut_ptr().cast(), self.values.len() * 8),
            28 => (start, usize::MAX),
            _ => (start, size),
        }
    }

    pub fn resolver(&self, names: &mut Names) -> relakit_resolver {
        names.owner = Owner(self.module);
        let mut resolver = resolver_for_c(names);
        match self.wrong {
            30 => resolver.struct_size -= 1,
            31 => resolver.flags = 1,
            32 => (resolver.exported, resolver.nth_symbol) = (None, None),
            _ => {}
        }
        resolver
    }
}

/// Puts something wrong into one place; the status of the call, where that does not depend on more.
pub fn wrong_places(places: &mut [relakit_section_memory], lent: &Lent<'_>, wrong: u8) -> Option<i32> {
    let plain =
        |place: &&mut relakit_section_memory| place.flags == RELAKIT_MEMORY_PRESENT && place.size != 0;
    match wrong {
        8 | 9 | 13 => {
            let place = places.iter_mut().find(plain)?;
            match wrong {
                8 => (place.bytes, place.size) = (lent.module.cast(), relakit_module_size() as u64),
                9 => place.bytes = ptr::null_mut(),
                _ => place.size = u64::MAX,
            }
        }
        10 => places.first_mut()?.flags |= 8,
        11 => places.first_mut()?.reserved = 1,
        12 => {
            let is_hooked = |place: &&mut relakit_section_memory| place.flags & RELAKIT_MEMORY_WRITER != 0;
            places.iter_mut().find(is_hooked)?.bytes = lent.module.cast();
        }
        // The module moves, or shrinks, or loses a section: any answer that is documented.
        14 => places.iter_mut().filter(|place| place.flags != 0).for_each(|place| place.address ^= 0x1000),
        15 => places.iter_mut().filter(plain).for_each(|place| place.size -= 1),
        128.. => *places.get_mut(usize::from(wrong - 128))? = NOWHERE,
        _ => {}
    }
    match wrong {
        8 => Some(RELAKIT_ERR_OVERLAP),
        9 => Some(RELAKIT_ERR_NULL),
        10 => Some(RELAKIT_ERR_FLAGS),
        11 | 12 => Some(RELAKIT_ERR_RESERVED),
        13 => Some(RELAKIT_ERR_LENGTH),
        _ => None,
    }
}

/// The same for the struct that leads to the places.
pub fn wrong_memory(memory: &mut relakit_memory, writer: &mut relakit_writer, wrong: u8) -> Option<i32> {
    let (has_places, has_writer) = (memory.count != 0, !memory.writer.is_null());
    match wrong {
        4 => memory.struct_size -= 1,
        5 => memory.flags = 1,
        6 => memory.sections = ptr::null(),
        7 => memory.count = usize::MAX / size_of::<relakit_section_memory>(),
        17 if has_writer => writer.write = None,
        18 => memory.count = 0,
        19 => memory.writer = ptr::null(),
        _ => {}
    }
    match wrong {
        1 => Some(RELAKIT_ERR_NULL),
        4 => Some(RELAKIT_ERR_STRUCT_SIZE),
        5 => Some(RELAKIT_ERR_FLAGS),
        6 if has_places => Some(RELAKIT_ERR_NULL),
        7 => Some(RELAKIT_ERR_LENGTH),
        17 if has_writer => Some(RELAKIT_ERR_CALLBACK),
        _ => None,
    }
}
