//! Names of numbers.

use crate::describe::*;
use core::ffi::{CStr, c_char};
use core::ptr;
use relakit::arch::type_c_name;
use relakit::text::texts;

/// Returns the psABI name of a relocation type, such as "R_X86_64_PC32", or NULL if the number is
/// unknown. It also knows types that relakit does not apply. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_type_name(r_type: u32) -> *const c_char {
    type_c_name(r_type).map_or(ptr::null(), CStr::as_ptr)
}

/// Returns the name of a RELAKIT_CLASS_ number, such as "livepatch, early", or NULL if the number
/// is unknown. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_class_name(section_class: u32) -> *const c_char {
    let index = match section_class {
        RELAKIT_CLASS_NOT_RELOCATION => 0,
        RELAKIT_CLASS_ORDINARY => 1,
        RELAKIT_CLASS_KLP_EARLY => 2,
        RELAKIT_CLASS_KLP_LATE => 3,
        RELAKIT_CLASS_SKIPPED => 4,
        RELAKIT_CLASS_LEGACY_ARCH => 5,
        RELAKIT_CLASS_MALFORMED => 6,
        _ => return ptr::null(),
    };
    let names = texts!(
        "no relocations",
        "ordinary",
        "livepatch, early",
        "livepatch, late",
        "skipped",
        "livepatch, older design",
        "malformed",
    );
    names.c_str(index).as_ptr()
}
