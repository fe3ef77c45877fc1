//! Names of numbers.

use crate::describe::*;
use core::ffi::{CStr, c_char};
use core::ptr;
use relakit::arch::type_c_name;

/// Returns the psABI name of a relocation type, such as "R_X86_64_PC32", or NULL if the number is
/// unknown. It also knows types that relakit does not apply. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_type_name(r_type: u32) -> *const c_char {
    type_c_name(r_type).map_or(ptr::null(), CStr::as_ptr)
}

/// Returns the name of a RELAKIT_CLASS_ number, such as "livepatch, early", or NULL if the number
/// is unknown. The text is constant.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_class_name(section_class: u32) -> *const c_char {
    let name = match section_class {
        RELAKIT_CLASS_NOT_RELOCATION => c"no relocations",
        RELAKIT_CLASS_ORDINARY => c"ordinary",
        RELAKIT_CLASS_KLP_EARLY => c"livepatch, early",
        RELAKIT_CLASS_KLP_LATE => c"livepatch, late",
        RELAKIT_CLASS_SKIPPED => c"skipped",
        RELAKIT_CLASS_LEGACY_ARCH => c"livepatch, older design",
        RELAKIT_CLASS_MALFORMED => c"malformed",
        _ => return ptr::null(),
    };
    name.as_ptr()
}
