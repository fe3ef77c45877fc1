//! Files as bytes: mapped when they are large, unpacked when they are .xz.

use crate::Failure;
use std::fs::File;
use std::io::Read;
use std::ops::Deref;
use std::path::Path;

/// Files from this size on are mapped.
const MAP_FROM: u64 = 1 << 20;
/// What an .xz file may unpack to; no module or symbol list comes near.
const UNPACKED_MAX: u64 = 4 << 30;
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Input {
    Read(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// Reads a file whole.
pub(crate) fn read(path: &Path) -> Result<Input, Failure> {
    let failed = |error: std::io::Error| Failure::File(format!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Failure::File(format!("{}: is a directory", path.display())));
    }
    let input = match about.is_file() && about.len() >= MAP_FROM {
        true => Input::Mapped(map(&file).map_err(failed)?),
        false => {
            // Not its length: files in /proc say 0.
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            Input::Read(bytes)
        }
    };
    if !input.starts_with(XZ_MAGIC) {
        return Ok(input);
    }
    let mut bytes = Vec::new();
    let mut reader = lzma_rust2::XzReader::new(&*input, true).take(UNPACKED_MAX.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(failed)?;
    match u64::try_from(bytes.len()) {
        Ok(size) if size <= UNPACKED_MAX => Ok(Input::Read(bytes)),
        _ => {
            Err(Failure::File(format!("{}: unpacks to more than {} GiB", path.display(), UNPACKED_MAX >> 30)))
        }
    }
}

#[expect(unsafe_code, reason = "there is no safe way to map a file")]
fn map(file: &File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is private and read-only. Another program that truncates the file while this one runs ends it
    // with SIGBUS; one that writes into it can change what is read, and every read of a module is bounds checked.
    unsafe { memmap2::Mmap::map(file) }
}
