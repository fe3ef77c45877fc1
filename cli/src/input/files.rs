//! Reads input files and standard input, and unpacks them. Each kind of input has a size limit.
//!
//! Files are read, not mapped: if another program truncated a mapped file, SIGBUS would end this
//! program.

use super::unpack::{Packed, read_most};
use crate::failure::Failure;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// The kind of an input file. It determines the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A module. The largest one of a distribution has 20 MiB, or 200 MiB with debug information.
    Module,
    /// A list of symbols. /proc/kallsyms has 10 to 30 MiB.
    Symbols,
    /// The kernel's log, for `explain --log`.
    Log,
    /// A file with addresses of sections, for `--place`: about 100 bytes for each section.
    Memory,
}

impl Kind {
    /// Limit for files with a known length, in MiB. The help and docs/check.md list it too.
    const fn limit(self) -> u64 {
        match self {
            Self::Module => 1024,
            Self::Symbols | Self::Log => 256,
            Self::Memory => 16,
        }
    }

    /// Limit for input without a known length, in MiB: pipes, files in /proc, unpacked files.
    const fn limit_without_length(self) -> u64 {
        match self {
            Self::Module | Self::Symbols | Self::Log => 256,
            Self::Memory => 16,
        }
    }
}

/// The name of standard input on the command line.
const STDIN: &str = "-";

/// The module name that belongs to a file name.
pub(crate) fn name_of_file(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.split(".ko").next().unwrap_or_default();
    stem.replace('-', "_")
}

/// Reads a whole file, or standard input if the path is "-".
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::file(path, error);
    let large = |what: &str, limit: u64| Failure::file(path, format!("{what} more than {limit} MiB"));
    let limit = kind.limit_without_length();
    let (bytes, read_limit) = match path == Path::new(STDIN) {
        true => (read_most(&mut io::stdin().lock(), 0, limit << 20).map_err(failed)?, limit),
        false => read_file(path, kind)?,
    };
    let bytes = bytes.ok_or_else(|| large("the file has", read_limit))?;
    let Some(packed) = Packed::of(&bytes) else { return Ok(bytes) };
    packed.unpack(&bytes, limit << 20).map_err(failed)?.ok_or_else(|| large("the file unpacks to", limit))
}

/// Reads a module. A file that is not an ELF file is probably not what the user means, so it is an
/// error. A malformed ELF file is not.
pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path, Kind::Module)?;
    match bytes.starts_with(b"\x7fELF") {
        true => Ok(bytes),
        false => Err(Failure::file(path, format!("not an ELF file; {}", content(&bytes)))),
    }
}

/// Says what a file that is not an ELF file contains.
fn content(bytes: &[u8]) -> String {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"BZh", "bzip2 data"),
        (b"\x04\x22\x4d\x18", "lz4 data"),
        (b"\x89LZO", "lzop data"),
        (b"\x5d\0\0", "lzma data"),
        (b"PK\x03\x04", "a zip archive"),
        (b"!<arch>\n", "an archive of ar"),
        (b"MZ", "a PE file"),
        (b"BC\xc0\xde", "LLVM bitcode"),
    ];
    if bytes.is_empty() {
        return "it is empty".to_owned();
    }
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return format!("it begins with {name}; relakit unpacks xz, zstd and gzip");
    }
    if Packed::of(bytes).is_some() {
        return "it is compressed twice".to_owned();
    }
    let first = bytes.get(..256).unwrap_or(bytes);
    if first.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return "it is text".to_owned();
    }
    let first: Vec<_> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("it begins with the bytes {}", first.join(" "))
}

/// Refuses a command line that reads standard input twice.
pub(crate) fn check_stdin<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<(), Failure> {
    match paths.into_iter().filter(|path| *path == Path::new(STDIN)).nth(1) {
        Some(_) => Err(Failure::Usage("standard input (-) can be given only once".to_owned())),
        None => Ok(()),
    }
}

/// Reads a file. Returns `None` instead of the bytes if it is too large, and the limit in MiB.
fn read_file(path: &Path, kind: Kind) -> Result<(Option<Vec<u8>>, u64), Failure> {
    let failed = |error: io::Error| Failure::file(path, error);
    let mut file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if let Some(what) = unreadable(&metadata) {
        return Err(Failure::file(path, what));
    }
    let limit = if metadata.len() == 0 { kind.limit_without_length() } else { kind.limit() };
    // The length is checked before the file is read, and again because the file may grow.
    let bytes = match metadata.len() <= limit << 20 {
        true => read_most(&mut file, metadata.len(), limit << 20).map_err(failed)?,
        false => None,
    };
    Ok((bytes, limit))
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    /// `O_NONBLOCK` (Linux, include/uapi/asm-generic/fcntl.h).
    const NONBLOCK: i32 = 0o4000;
    let mut options = OpenOptions::new();
    options.read(true);
    // /proc/kmsg is a regular file, but a read waits for the next message. With this flag, the read
    // fails instead. Pipes are opened without the flag, because their writer may need time.
    if std::fs::metadata(path)?.is_file() {
        options.custom_flags(NONBLOCK);
    }
    options.open(path)
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// The reason to refuse something that is neither a file nor a pipe.
fn unreadable(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_dir() {
        return Some("is a directory");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Some("is a device, not a file");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_file_that_is_not_elf_is_named() {
        for (bytes, expected) in [
            (&b""[..], "it is empty"),
            (b"BZh91AY", "it begins with bzip2 data; relakit unpacks xz, zstd and gzip"),
            (b"hello\n", "it is text"),
            (b"\x1f\x8b\x08", "it is compressed twice"),
            (b"\x7fEL", "it begins with the bytes 7f 45 4c"),
            (b"\0\x01\x02\x03\x04", "it begins with the bytes 00 01 02 03"),
        ] {
            assert_eq!(content(bytes), expected);
        }
    }
}
