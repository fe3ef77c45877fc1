//! Standard output and standard error. An error in writing ends the program with exit code 3, as does one that only a
//! flush notices. A broken pipe is no error: the reader has seen what it wanted.

use crate::Failure;
use serde::Serializer;
use std::io::{self, BufWriter, ErrorKind, Write};

/// Writes to standard output through a buffer, and flushes it.
pub(crate) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut out = BufWriter::new(anstream::stdout().lock());
    write(&mut out).and_then(|()| stdout(out.flush()))
}

/// Writes a text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    to_stdout(|out| stdout(out.write_all(text.as_bytes())))
}

/// Writes one JSON value to standard output, with a line break.
pub(crate) fn print_json(value: &(impl serde::Serialize + ?Sized)) -> Result<(), Failure> {
    to_stdout(|out| stdout(json(out, value)))
}

/// Writes one JSON value, with a line break.
pub(crate) fn json(out: &mut dyn Write, value: &(impl serde::Serialize + ?Sized)) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// Writes a JSON array of what there is to come, with a line break.
pub(crate) fn json_list<T: serde::Serialize>(
    out: &mut dyn Write,
    values: &mut dyn Iterator<Item = T>,
) -> io::Result<()> {
    serde_json::Serializer::pretty(&mut *out).collect_seq(values)?;
    writeln!(out)
}

/// Writes to standard error.
pub(crate) fn to_stderr(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = anstream::stderr().lock();
    checked("standard error", write(&mut out).and_then(|()| out.flush()))
}

/// Tells the user something on standard error that does not stop the program.
pub(crate) fn note(text: &str) -> Result<(), Failure> {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    to_stderr(|out| writeln!(out, "{style}note{style:#}: {text}"))
}

/// The failure that an error in writing to standard output is.
pub(crate) fn stdout(written: io::Result<()>) -> Result<(), Failure> {
    checked("standard output", written)
}

fn checked(what: &str, written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::File(format!("{what}: {error}"))),
        _ => Ok(()),
    }
}
