//! What the functions that return texts do with and without the feature `texts`: without it, a text
//! is "", a number is unknown as before, and the numbers of an error stay.
//!
//!     cargo test -p relakit-ffi --no-default-features --test texts
#![expect(unsafe_code, clippy::unwrap_used, reason = "test code")]

use relakit_ffi::*;
use std::ffi::{CStr, c_char};
use std::ptr;

const TEXTS: bool = cfg!(feature = "texts");

/// The text at a pointer; `None` for NULL.
fn text(pointer: *const c_char) -> Option<&'static str> {
    // SAFETY: the pointer is not NULL, and relakit's texts are constant and end with NUL.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_str().unwrap())
}

/// A text that exists only with the feature.
fn is_text(pointer: *const c_char) -> bool {
    text(pointer).is_some_and(|text| text.is_empty() != TEXTS)
}

#[test]
fn every_text_is_empty_in_a_build_without_texts() {
    for status in [RELAKIT_OK, RELAKIT_ERR_OVERFLOW, RELAKIT_ERR_NULL, -1000] {
        assert!(is_text(relakit_strerror(status)), "{status}");
    }
    assert!(is_text(relakit_error_field_name(RELAKIT_ERR_OVERFLOW, 1)));
    assert!(is_text(relakit_error_field_name(RELAKIT_ERR_NULL, 1)));
    assert!(is_text(relakit_type_name(2)));
    assert!(is_text(relakit_class_name(RELAKIT_CLASS_ORDINARY)));
    assert!(is_text(relakit_lint_name(1)));
    assert!(is_text(relakit_lint_message(1)));
    assert!(is_text(relakit_lint_help(1)));
    assert!(is_text(relakit_lint_field_name(1, 1)));
}

#[test]
fn an_unknown_number_is_null_in_both_builds() {
    let unknown = [
        relakit_error_field_name(RELAKIT_ERR_NULL, 3),
        relakit_type_name(30),
        relakit_type_name(52),
        relakit_class_name(u32::MAX),
        relakit_lint_name(0),
        relakit_lint_message(i32::MIN),
        relakit_lint_help(i32::MAX),
        relakit_lint_field_name(1, 4),
    ];
    assert!(unknown.into_iter().all(<*const c_char>::is_null));
}

#[test]
fn the_numbers_of_an_error_stay() {
    let error = relakit_error {
        status: RELAKIT_ERR_OVERFLOW,
        linux_errno: 8,
        has: RELAKIT_ERROR_HAS_ENTRY | RELAKIT_ERROR_HAS_TYPE,
        section: 0,
        symbol: 0,
        r_type: 2,
        entry: 3,
        offset: 5,
        value: 1 << 32,
        limit: 0x7fff_ffff,
        reserved: 0,
    };
    let mut buffer: [c_char; 256] = [0; 256];
    // SAFETY: `error` is readable, the module may be NULL, and `buffer` has the size that is
    // passed.
    let len =
        unsafe { relakit_error_format(&raw const error, ptr::null_mut(), buffer.as_mut_ptr(), buffer.len()) };
    // SAFETY: relakit_error_format has written a text that ends with NUL.
    let line = unsafe { CStr::from_ptr(buffer.as_ptr()) }.to_str().unwrap();
    assert_eq!(line.len(), len);
    assert_eq!(
        line,
        match TEXTS {
            true => {
                "value does not fit its field: entry 3, type R_X86_64_PC32, offset 5, value 0x100000000, \
                 largest 0x7fffffff"
            }
            false => "error -39: entry 3, type 2, 5, 0x100000000, 0x7fffffff",
        }
    );
    assert_eq!(relakit_linux_errno(RELAKIT_ERR_OVERFLOW), 8);
    // SAFETY: relakit_version returns constant text that ends with NUL.
    let version = unsafe { CStr::from_ptr(relakit_version()) };
    assert_eq!(version.to_str(), Ok(env!("CARGO_PKG_VERSION")));
}
