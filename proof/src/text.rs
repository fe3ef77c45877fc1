//! Errors as text.

use crate::Embedder;
use core::fmt::{self, Write};
use core::hint::black_box;
use relakit::{CallbackError, Error, Writer};

/// Text that goes to the embedder.
pub struct Text;

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Embedder.write(text.len() as u64, 0, text.as_bytes()).map_err(|_| fmt::Error)
    }
}

#[unsafe(no_mangle)]
extern "C" fn proof_text(error: &Error) {
    let callback = CallbackError(error.kind as i32);
    black_box(write!(Text, "{error} {} {callback}", error.kind)).ok();
}
