//! Reads input files, and unpacks .xz files. Each kind of input has a size limit.
//!
//! Files are read, not mapped: if another program truncated a mapped file, SIGBUS would end this
//! program.

use crate::failure::Failure;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// The kind of an input file. It determines the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A module. The largest one of a distribution has 20 MiB, or 200 MiB with debug information.
    Module,
    /// A list of symbols. /proc/kallsyms has 10 to 30 MiB.
    Symbols,
    /// The file of `apply --memory`: about 100 bytes for each section.
    Memory,
}

impl Kind {
    /// Limit for files with a known length, in MiB. The help and docs/check.md list it too.
    const fn limit(self) -> u64 {
        match self {
            Self::Module => 1024,
            Self::Symbols => 256,
            Self::Memory => 16,
        }
    }

    /// Limit for input without a known length, in MiB: pipes, files in /proc, unpacked .xz files.
    const fn limit_without_length(self) -> u64 {
        match self {
            Self::Module | Self::Symbols => 256,
            Self::Memory => 16,
        }
    }
}

const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
/// Memory limit for unpacking, in KiB. Files of `xz -9` need 64 MiB; those of the kernel build 1
/// MiB.
const XZ_MEMORY: u32 = 80 << 10;

/// Reads a whole file.
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::file(path, error);
    let large = |what: &str, limit: u64| Failure::file(path, format!("{what} more than {limit} MiB"));
    let mut file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if let Some(what) = unreadable(&metadata) {
        return Err(Failure::file(path, what));
    }
    let limit = if metadata.len() == 0 { kind.limit_without_length() } else { kind.limit() };
    // The length is checked before the file is read, and again because the file may grow.
    let bytes = match metadata.len() <= limit << 20 {
        true => read_most(&mut file, metadata.len(), limit).map_err(failed)?,
        false => None,
    };
    let bytes = bytes.ok_or_else(|| large("the file has", limit))?;
    if !bytes.starts_with(XZ_MAGIC) {
        return Ok(bytes);
    }
    let mut reader = lzma_rust2::XzReader::new_mem_limit(&*bytes, true, XZ_MEMORY);
    let limit = kind.limit_without_length();
    read_most(&mut reader, 0, limit).map_err(failed)?.ok_or_else(|| large("the file unpacks to", limit))
}

/// Reads to the end. Returns `None` if there are more than `limit` MiB.
fn read_most(reader: &mut impl Read, expected: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let most = limit << 20;
    let mut bytes = Vec::new();
    // The spare byte lets `read_to_end` find the end without a larger buffer.
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
