//! The text of an error: the same through C and Rust, and of any struct.

use core::ffi::CStr;
use core::ptr;
use relakit::{Error, ErrorKind};
use relakit_ffi::*;

/// The longest text that the header allows.
const LONGEST: usize = 2047;

/// An error that no function has filled in. Each byte of `choices` decides a part of it.
pub fn any_error(choices: [u8; 4]) -> relakit_error {
    let [status, numbers, has, other] = choices.map(u32::from);
    let wide = |number: u32| u64::from(number).wrapping_mul(0x0101_0101_0101_0101) >> (other % 64);
    relakit_error {
        status: 3_i32.wrapping_sub_unsigned(status),
        linux_errno: 0,
        has: has ^ if other == 255 { u32::MAX } else { 0 },
        section: if other > 128 { u32::MAX - numbers } else { numbers },
        symbol: if other > 64 { u32::MAX - other } else { other },
        r_type: numbers,
        entry: wide(other),
        offset: wide(has),
        value: wide(numbers),
        limit: wide(status),
        reserved: 0,
    }
}

/// Makes the text of an error in buffers of several sizes, with and without names.
pub fn check(error: &relakit_error, module: *mut relakit_module) {
    let plain = text(error, ptr::null_mut());
    // SAFETY: relakit_strerror returns constant text that ends with NUL.
    let message = unsafe { CStr::from_ptr(relakit_strerror(error.status)) }.to_str().unwrap();
    assert!(plain.starts_with(message), "{plain}");
    if let Some(error) = of_c(error) {
        assert_eq!(plain, error.to_string());
    }
    let named = text(error, module);
    assert_eq!(without_names(&named), plain, "{named}");
}

/// The text, after a look at buffers that are too short.
fn text(error: &relakit_error, module: *mut relakit_module) -> String {
    // SAFETY: the error is readable, `module` is NULL or memory of a state's size, and the buffer
    // has the size that is passed.
    let format = |buffer: &mut [u8]| unsafe {
        relakit_error_format(error, module, buffer.as_mut_ptr().cast(), buffer.len())
    };
    let len = format(&mut []);
    assert!(len <= LONGEST);
    let mut whole = vec![0xa5; len + 1];
    assert_eq!(format(&mut whole), len);
    assert_eq!(whole.pop(), Some(0));
    assert!(whole.iter().all(|byte| (b' '..=b'~').contains(byte)));
    for room in [1, len.div_ceil(2), len].into_iter().filter(|room| *room > 0) {
        let mut part = vec![0xa5; room];
        assert_eq!(format(&mut part), len);
        assert_eq!(part.pop(), Some(0));
        assert_eq!(part, whole[..room - 1]);
    }
    String::from_utf8(whole).unwrap()
}

/// The text without what is in parentheses. No name and no message contains one.
fn without_names(text: &str) -> String {
    let mut parts = text.split(" (");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').unwrap().1)
}

/// The same as an error of the core, if it can be one.
fn of_c(error: &relakit_error) -> Option<Error> {
    let has = |flag: u32| error.has & flag != 0;
    let mut core = Error::new(ErrorKind::from_number(error.status)?, error.value, error.limit);
    core.section = has(RELAKIT_ERROR_HAS_SECTION).then_some(error.section);
    core.entry = has(RELAKIT_ERROR_HAS_ENTRY).then_some(error.entry);
    core.symbol = has(RELAKIT_ERROR_HAS_SYMBOL).then_some(error.symbol);
    core.r_type = has(RELAKIT_ERROR_HAS_TYPE).then_some(error.r_type);
    core.offset = error.offset;
    Some(core)
}
