//! Names of numbers, and versions.

use crate::describe::*;
use core::ffi::{CStr, c_char};
use core::ptr;
use relakit::abi::type_c_name;
use relakit::special::ReadAt;

/// The number of this ABI. A program and an archive with the same number fit together, whichever is newer.
pub const RELAKIT_ABI: u32 = 1;

/// RELAKIT_ABI of the archive, to be held against that of the header.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_abi() -> u32 {
    RELAKIT_ABI
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// The version of the archive, such as "0.1.0": constant text.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The psABI's name of a relocation type, such as "R_X86_64_PC32", also of types that are not applied; NULL for a number
/// that is none. The text is constant.
#[unsafe(no_mangle)]
pub extern "C" fn relakit_type_name(r_type: u32) -> *const c_char {
    type_c_name(r_type).map_or(ptr::null(), CStr::as_ptr)
}

/// The name of a RELAKIT_CLASS_, such as "livepatch, early"; NULL for a number that is none. The text is constant.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_class_name(section_class: u32) -> *const c_char {
    let name = match section_class {
        RELAKIT_CLASS_NOT_RELOCATION => c"no relocations",
        RELAKIT_CLASS_ORDINARY => c"ordinary",
        RELAKIT_CLASS_KLP_EARLY => c"livepatch, early",
        RELAKIT_CLASS_KLP_LATE => c"livepatch, late",
        RELAKIT_CLASS_PASSED_OVER => c"passed over",
        RELAKIT_CLASS_LEGACY_ARCH => c"livepatch before Linux 5.8",
        RELAKIT_CLASS_MALFORMED => c"malformed",
        _ => return ptr::null(),
    };
    name.as_ptr()
}

/// The number of a time.
pub(crate) const fn read_at(read_at: Option<ReadAt>) -> u32 {
    match read_at {
        Some(ReadAt::Load) => RELAKIT_READ_AT_LOAD,
        Some(ReadAt::Finalize) => RELAKIT_READ_AT_FINALIZE,
        Some(ReadAt::Formation) => RELAKIT_READ_AT_FORMATION,
        Some(ReadAt::Coming) => RELAKIT_READ_AT_COMING,
        Some(ReadAt::Init) => RELAKIT_READ_AT_INIT,
        Some(ReadAt::OnDemand) => RELAKIT_READ_ON_DEMAND,
        _ => RELAKIT_READ_NEVER,
    }
}
