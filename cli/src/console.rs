//! Standard output and standard error.
//!
//! A write error ends the program with exit code 3, also if only a flush notices it. A broken pipe
//! is not an error, because the reader has seen what it wanted.

use crate::failure::Failure;
use serde::{Serialize, Serializer};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether `--quiet` is given.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Turns notes and the progress indicator off.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes to standard output through a buffer, and flushes it.
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    stdout(write(&mut out).and_then(|()| out.flush()))
}

pub(crate) fn print(text: &str) -> Result<(), Failure> {
    to_stdout(|out| out.write_all(text.as_bytes()))
}

pub(crate) fn print_json(value: &(impl Serialize + ?Sized)) -> Result<(), Failure> {
    to_stdout(|out| json(out, value))
}

/// Writes one JSON value and a line break.
pub(crate) fn json(out: &mut dyn Write, value: &(impl Serialize + ?Sized)) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Writes a JSON array and a line break. Each value is written before the next one is made.
pub(crate) fn json_list<T: Serialize>(
    out: &mut dyn Write,
    values: &mut dyn Iterator<Item = T>,
) -> io::Result<()> {
    serde_json::Serializer::pretty(&mut *out).collect_seq(values)?;
    writeln!(out)
}

pub(crate) fn to_stderr(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = anstream::stderr().lock();
    checked("standard error", write(&mut out).and_then(|()| out.flush()))
}

/// Prints a note on standard error. The program continues.
pub(crate) fn note(text: &str) -> Result<(), Failure> {
    if is_quiet() {
        return Ok(());
    }
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    to_stderr(|out| writeln!(out, "{style}note{style:#}: {text}"))
}

/// Converts the result of a write to standard output.
pub(crate) fn stdout(written: io::Result<()>) -> Result<(), Failure> {
    checked("standard output", written)
}

fn checked(stream: &str, written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::File(format!("{stream}: {error}")))
        }
        _ => Ok(()),
    }
}
