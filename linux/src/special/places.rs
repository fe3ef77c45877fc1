//! The sections of a module in memory, by address.

use relakit::elf::SectionFlags;
use relakit::{Memory, Module};

/// A section in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
    /// Section index.
    pub section: u32,
    /// Whether it is code.
    pub is_code: bool,
}

/// Returns the sections of `module` that are in `memory` and not empty, in the order of the file.
pub fn places<'a, M: Memory + ?Sized>(
    module: &'a Module<'_>,
    memory: &'a M,
) -> impl Iterator<Item = Place> + 'a {
    module.object().sections().filter_map(|(index, section)| {
        let address = memory.base(index).filter(|_| module.is_allocated(index) && section.sh_size != 0)?;
        let is_code = section.sh_flags.contains(SectionFlags::EXECINSTR);
        Some(Place { address, size: section.sh_size, section: index, is_code })
    })
}

/// Returns the section at an address, and the offset in it. `sorted` has the places in their
/// natural order: address first.
pub(crate) fn find(sorted: &[Place], address: u64) -> Option<(Place, u64)> {
    let after = sorted.partition_point(|place| place.address <= address);
    let place = *sorted.get(after.checked_sub(1)?)?;
    let offset = address.wrapping_sub(place.address);
    (offset < place.size).then_some((place, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_from_the_first_byte_of_a_section_to_the_last() {
        let place = |address, size, section| Place { address, size, section, is_code: true };
        let sorted = [place(0x1000, 0x10, 1), place(0x2000, 1, 2)];
        let found = |address| find(&sorted, address).map(|(place, offset)| (place.section, offset));
        assert_eq!(found(0xfff), None);
        assert_eq!(found(0x1000), Some((1, 0)));
        assert_eq!(found(0x100f), Some((1, 0xf)));
        assert_eq!(found(0x1010), None);
        assert_eq!(found(0x2000), Some((2, 0)));
        assert_eq!(found(0x2001), None);
        assert_eq!(found(u64::MAX), None);
    }
}
