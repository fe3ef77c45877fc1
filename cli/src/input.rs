//! Input files as bytes, unpacked if they are .xz. Every kind of input has a largest size.
//!
//! Files are read and not mapped: another program that truncates a mapped file would end this one with SIGBUS.

use crate::Failure;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// What a file is read as. It decides how large the file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A module. The largest of a distribution has 20 MiB; debug information makes ten times as much of it.
    Module,
    /// A list of symbols. /proc/kallsyms has 10 to 30 MiB.
    Symbols,
    /// A placement: some 100 bytes a section.
    SectionMemory,
}

impl Kind {
    /// Largest size of a file that tells its length, in MiB. The help and docs/check.md have the same numbers.
    const fn limit(self) -> u64 {
        match self {
            Self::Module => 1024,
            Self::Symbols => 256,
            Self::SectionMemory => 16,
        }
    }

    /// Largest size in MiB of what has no length before it is read: pipes, files in /proc, the content of an .xz file.
    const fn limit_without_length(self) -> u64 {
        match self {
            Self::Module | Self::Symbols => 256,
            Self::SectionMemory => 16,
        }
    }
}

const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
/// Memory for unpacking, in KiB. `xz -9` makes files that need 64 MiB; the kernel's own unpacker takes up to 1 MiB.
const XZ_MEMORY: u32 = 80 << 10;

/// Reads a whole file.
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::File(format!("{}: {why}", path.display()));
    let io_failed = |error: io::Error| failed(error.to_string());
    let large = |what: &str, limit: u64| failed(format!("{what} more than {limit} MiB"));
    let mut file = open(path).map_err(io_failed)?;
    let about = file.metadata().map_err(io_failed)?;
    if let Some(what) = unreadable(&about) {
        return Err(failed(what.to_owned()));
    }
    let limit = if about.len() == 0 { kind.limit_without_length() } else { kind.limit() };
    // Checked before anything is read, and again in case the file grows.
    let bytes = match about.len() <= limit << 20 {
        true => read_most(&mut file, about.len(), limit).map_err(io_failed)?,
        false => None,
    };
    let bytes = bytes.ok_or_else(|| large("it has", limit))?;
    if !bytes.starts_with(XZ_MAGIC) {
        return Ok(bytes);
    }
    let mut reader = lzma_rust2::XzReader::new_mem_limit(&*bytes, true, XZ_MEMORY);
    let limit = kind.limit_without_length();
    read_most(&mut reader, 0, limit).map_err(io_failed)?.ok_or_else(|| large("it unpacks to", limit))
}

/// Reads to the end; `None` if there are more than `limit` MiB.
fn read_most(reader: &mut impl Read, expected: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let most = limit << 20;
    let mut bytes = Vec::new();
    // With room for one byte more, the end is noticed without a larger buffer.
    bytes.try_reserve_exact(usize::try_from(expected.saturating_add(1)).unwrap_or(usize::MAX))?;
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
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
    // /proc/kmsg says that it is a regular file, and a read of it waits for the next message. With this flag the read
    // fails instead. Pipes are opened without it, because their writer may need time.
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

/// Why this cannot be read: what is neither a file nor a pipe.
fn unreadable(about: &Metadata) -> Option<&'static str> {
    if about.is_dir() {
        return Some("is a directory");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = about.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Some("is a device, and not a file");
        }
    }
    None
}
