//! Versions of the header and of the library.

use core::ffi::{CStr, c_char};

/// ABI version. A program and a library of the same number work together, even if one is newer.
pub const RELAKIT_ABI: u32 = 1;
/// Version of this header: major << 16 | minor << 8 | patch.
pub const RELAKIT_VERSION_NUM: u32 = 0x000100;

const _: () = {
    const fn is(number: u8, text: &str) -> bool {
        matches!(u8::from_str_radix(text, 10), Ok(value) if value == number)
    }
    let [_, major, minor, patch] = RELAKIT_VERSION_NUM.to_be_bytes();
    assert!(is(major, env!("CARGO_PKG_VERSION_MAJOR")));
    assert!(is(minor, env!("CARGO_PKG_VERSION_MINOR")));
    assert!(is(patch, env!("CARGO_PKG_VERSION_PATCH")));
};

/// Returns the RELAKIT_ABI of the library. Compare it with the RELAKIT_ABI of this header.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_abi() -> u32 {
    RELAKIT_ABI
}

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Returns the version of the library, such as "0.1.0". The text is constant.
#[unsafe(no_mangle)]
pub const extern "C" fn relakit_version() -> *const c_char {
    VERSION.as_ptr()
}
