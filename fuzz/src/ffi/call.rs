//! A call through the C ABI, held against what the header says of all of them.

use super::documented::is_documented;
use super::text;
use core::ffi::CStr;
use core::mem::{MaybeUninit, size_of};
use relakit::Error;
use relakit_ffi::*;

/// A fault as both sides can tell it: kind, where, numbers.
pub type Told = (i32, [Option<u64>; 4], [u64; 3]);

pub fn of_core(error: Error) -> Told {
    let places =
        [error.section.map(u64::from), error.entry, error.symbol.map(u64::from), error.r_type.map(u64::from)];
    (error.kind as i32, places, [error.offset, error.value, error.limit])
}

/// What a result holds before a call, so that it shows what was written.
pub const POISON: u8 = 0xa5;

/// A result that nobody has written.
pub fn poisoned<T: Copy>() -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: `value` has the size of a `T`, and each `T` here has numbers and pointers, for which
    // all bytes are valid.
    unsafe {
        value.as_mut_ptr().write_bytes(POISON, 1);
        value.assume_init()
    }
}

/// Whether nobody has written `value`.
pub fn is_poisoned<T>(value: &T) -> bool {
    // SAFETY: `value` has the size of a `T`, and each `T` here is a struct without padding.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) };
    bytes.iter().all(|byte| *byte == POISON)
}

/// Makes a call of `function` and compares its result with the header: a documented status, and an
/// error in full when it fails, and only then.
pub fn call(function: &str, call: impl FnOnce(*mut relakit_error) -> i32) -> Result<i32, Told> {
    call_trusted(function, true, call)
}

/// Makes a call of a function with these arguments and an error.
macro_rules! c {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: each argument is valid, or wrong in a way for which the header names an error.
        $crate::ffi::call::call(stringify!($function), |error| unsafe { $function($($argument),*, error) })
    };
}
pub(super) use c;

/// The same. If memory that relakit retains can have changed, a call can return any status.
pub fn call_trusted(
    function: &str,
    is_trusted: bool,
    call: impl FnOnce(*mut relakit_error) -> i32,
) -> Result<i32, Told> {
    let mut error: relakit_error = poisoned();
    let status = call(&raw mut error);
    if status >= RELAKIT_OK {
        assert!(is_poisoned(&error), "status {status}, and wrote {error:?}");
        return Ok(status);
    }
    // SAFETY: relakit_strerror returns constant text that ends with NUL.
    let text = unsafe { CStr::from_ptr(relakit_strerror(status)) };
    assert!(
        !is_trusted || is_documented(function, status),
        "{function} answers {status}, which is not documented: {text:?}"
    );
    text::check(&error, core::ptr::null_mut());
    assert_eq!(error.status, status);
    assert_eq!(error.linux_errno, relakit_linux_errno(status));
    assert_eq!((error.has >> 4, error.reserved), (0, 0), "{error:?}");
    let place = |flag, value: u64| {
        assert!(error.has & flag != 0 || value == 0, "{error:?}");
        (error.has & flag != 0).then_some(value)
    };
    let places = [
        place(RELAKIT_ERROR_HAS_SECTION, u64::from(error.section)),
        place(RELAKIT_ERROR_HAS_ENTRY, error.entry),
        place(RELAKIT_ERROR_HAS_SYMBOL, u64::from(error.symbol)),
        place(RELAKIT_ERROR_HAS_TYPE, u64::from(error.r_type)),
    ];
    Err((status, places, [error.offset, error.value, error.limit]))
}

/// Options as C has them, and the same as Rust has them.
pub const fn options(flags: u32, profile: u32) -> relakit_options {
    relakit_options { struct_size: size_of::<relakit_options>() as u32, flags, profile, reserved: 0 }
}
