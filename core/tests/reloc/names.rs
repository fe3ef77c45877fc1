//! Types have the names that another library has for them.

use object::elf::{NAMES_R_X86_64, RelocationType};
use relakit::arch::{type_c_name, type_name};

#[test]
fn every_type_of_the_psabi_has_its_name_and_no_other_number_has_one() {
    // Withdrawn, or for an extension that is no more.
    const NAMELESS: [u32; 3] = [30, 39, 40];
    for number in (0..43).filter(|number| !NAMELESS.contains(number)) {
        assert_eq!(type_name(number), NAMES_R_X86_64.name(RelocationType(number)), "{number}");
        assert_eq!(type_name(number), type_c_name(number).map(|name| name.to_str().unwrap()), "{number}");
    }
    for number in NAMELESS.into_iter().chain([43, u32::MAX, 1 << 31 | 1]) {
        assert_eq!((type_name(number), type_c_name(number)), (None, None), "{number}");
    }
}
