//! Types have the names that another library has for them.

use object::elf::{NAMES_R_X86_64, RelocationType};
use relakit::arch::{type_c_name, type_name};

#[test]
fn every_type_of_the_psabi_has_its_name_and_no_other_number_has_one() {
    // Withdrawn, or for an extension that is no more.
    const NAMELESS: [u32; 3] = [30, 39, 40];
    const APX: [&str; 9] = [
        "R_X86_64_CODE_4_GOTPCRELX",
        "R_X86_64_CODE_4_GOTTPOFF",
        "R_X86_64_CODE_4_GOTPC32_TLSDESC",
        "R_X86_64_CODE_5_GOTPCRELX",
        "R_X86_64_CODE_5_GOTTPOFF",
        "R_X86_64_CODE_5_GOTPC32_TLSDESC",
        "R_X86_64_CODE_6_GOTPCRELX",
        "R_X86_64_CODE_6_GOTTPOFF",
        "R_X86_64_CODE_6_GOTPC32_TLSDESC",
    ];
    for number in (0..43).filter(|number| !NAMELESS.contains(number)) {
        assert_eq!(type_name(number), NAMES_R_X86_64.name(RelocationType(number)), "{number}");
        assert_eq!(type_name(number), type_c_name(number).map(|name| name.to_str().unwrap()), "{number}");
    }
    // The library does not know those of APX.
    for (number, name) in (43..52).zip(APX) {
        assert_eq!(type_name(number), Some(name), "{number}");
    }
    for number in NAMELESS.into_iter().chain([52, u32::MAX, 1 << 31 | 1]) {
        assert_eq!((type_name(number), type_c_name(number)), (None, None), "{number}");
    }
}
