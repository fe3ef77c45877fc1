//! An error as one line of text.

use crate::error::Report;
use crate::module::retained_spans;
use crate::pointers::Span;
use crate::state::{self, Stage, relakit_module};
use crate::status::{RELAKIT_OK, texts_of};
use crate::types::*;
use core::ffi::c_char;
use core::ptr;
use relakit::{ErrorKind, ErrorNames, ErrorText, SymbolName};

/// Writes an error as one line of English text, for a log. For example:
///
/// value does not fit its field: section 43 (.rela.text), entry 3, type R_X86_64_PC32, symbol 7
/// (printk), offset 0x20, value 0xffffffff00000000, largest 0x7fffffff
///
/// - `error` is the struct that a function of this header has filled in. Its status may be any
///   number. If `error` is NULL, the text is empty.
/// - `module` is the module whose function returned the error, or NULL. The text has the names of
///   sections and symbols that it knows: until relakit_module_retain those of the file, and
///   afterwards those of the symbols that the late passes use. Without a module, during a callback
///   of a function that uses the module, or if `module` is not the state of a module, the text has
///   only numbers.
/// - `buffer` has `size` bytes. The text is cut if it does not fit, and always ends with NUL if
///   `size` is not 0. If `buffer` is NULL, nothing is written. If it overlaps the module's state,
///   its file or its retained state, the text has only numbers.
///
/// All bytes of the text are printable ASCII. In a name, other bytes, a backslash and a parenthesis
/// are written as \xNN. The first 128 bytes of a name are written, and "..." if it is longer. The
/// numbers of sections, entries and symbols and the results of callbacks are decimal. Other numbers
/// from 10 on are hexadecimal with 0x. linux_errno is not written. The text may change in later
/// versions.
///
/// The time is linear in the number of symbols of the module that late passes use, and at most 2048
/// bytes are written. The function may be called in a callback.
///
/// Returns the length of the whole text in bytes without the NUL, also if it is cut: at most 2047.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn relakit_error_format(
    error: *const relakit_error,
    module: *mut relakit_module,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    let size = if buffer.is_null() { 0 } else { size };
    let mut buffer = Buffer { start: buffer, size, len: 0 };
    if !error.is_null() {
        // SAFETY: `error` is not NULL; the caller promises a readable struct. It may overlap the
        // buffer, so this copies it.
        let text = text(&unsafe { error.read_unaligned() });
        let call = &mut |stage: &mut Stage, own: Span, report: &mut Report| {
            let (names, [file, plan]) = match &*stage {
                Stage::Late(late, retained) => (Names::Late(late), [*retained; 2]),
                stage => match stage.module() {
                    Some(module) => (Names::File(module), retained_spans(module, report)?),
                    None => (Names::None, [own; 2]),
                },
            };
            let written = Span::items(buffer.start, buffer.size, 3, report)?;
            written.apart_from(&[own, file, plan], 3, report)?;
            buffer.write(&text, &names);
            Ok(RELAKIT_OK)
        };
        // SAFETY: the caller promises that `module` is NULL or memory of a state's size.
        if unsafe { state::on(module, ptr::null_mut(), call) } != RELAKIT_OK {
            buffer.write(&text, &Names::None);
        }
    }
    buffer.end();
    buffer.len
}

/// Returns the parts of a text.
fn text(error: &relakit_error) -> ErrorText {
    let (message, meanings) = texts_of(error.status);
    let has = |flag: u32| error.has & flag != 0;
    ErrorText {
        number: error.status,
        message,
        section: has(RELAKIT_ERROR_HAS_SECTION).then_some(error.section),
        entry: has(RELAKIT_ERROR_HAS_ENTRY).then_some(error.entry),
        r_type: has(RELAKIT_ERROR_HAS_TYPE).then_some(error.r_type),
        symbol: has(RELAKIT_ERROR_HAS_SYMBOL).then_some(error.symbol),
        meanings,
        numbers: [error.offset, error.value, error.limit],
        is_callback: ErrorKind::from_number(error.status).is_some_and(ErrorKind::is_of_callback),
    }
}

/// The names that a module knows in its stage.
enum Names<'a> {
    None,
    File(&'a relakit::Module<'static>),
    Late(&'a relakit::Late<'static>),
}

impl ErrorNames for Names<'_> {
    fn section_name(&self, section: u32) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::File(module) => module.section_name(section),
            Self::Late(late) => late.section_name(section),
        }
    }

    fn symbol_name(&self, symbol: u32) -> Option<SymbolName<'_>> {
        match self {
            Self::None => None,
            Self::File(module) => module.symbol_name(symbol),
            Self::Late(late) => late.symbol_name(symbol),
        }
    }
}

/// The caller's buffer.
struct Buffer {
    start: *mut c_char,
    size: usize,
    /// Length of the text, of which only a part may be in the buffer.
    len: usize,
}

impl Buffer {
    #[inline(never)]
    fn write(&mut self, text: &ErrorText, names: &Names<'_>) {
        text.write(names, &mut |byte| {
            if self.len < self.size {
                // SAFETY: the byte is one of the first `size`, and the caller promises `size`
                // writable bytes.
                unsafe { self.start.wrapping_add(self.len).cast::<u8>().write(byte) };
            }
            self.len = self.len.saturating_add(1);
        });
    }

    /// Writes the NUL behind the text, or over its last byte that fits.
    fn end(&self) {
        if let Some(last) = self.size.checked_sub(1) {
            // SAFETY: the offset is less than `size`, and the caller promises `size` writable
            // bytes.
            unsafe { self.start.wrapping_add(self.len.min(last)).write(0) };
        }
    }
}
