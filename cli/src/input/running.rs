//! The memory of a running module, from `verify --memory`: an ELF core file such as /proc/kcore or a
//! dump of QEMU, or a folder that `relakit apply` has written.

use crate::failure::Failure;
use object::LittleEndian;
use object::elf::{ET_CORE, FileHeader64, PT_LOAD};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Most program headers of a core file. A dump of QEMU has at most one for each page of memory that
/// is mapped; a gibibyte has 262144.
const SEGMENTS: u32 = 1 << 22;

/// Where the memory is read from.
#[derive(Debug)]
pub(crate) enum Running {
    /// A folder with `<section index>.bin`.
    Folder(PathBuf),
    Core(Core),
}

/// An ELF core file. Only the ranges that are asked for are read.
#[derive(Debug)]
pub(crate) struct Core {
    path: PathBuf,
    file: File,
    /// Sorted by address.
    segments: Vec<Segment>,
}

/// A part of a core file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Segment {
    /// Address of the first byte.
    address: u64,
    /// Number of bytes in the file.
    size: u64,
    /// Offset in the file.
    offset: u64,
}

impl Running {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_path_buf()));
        }
        let failed = |error: io::Error| Failure::file(path, error);
        // A pipe cannot be read at an address, and opening it may wait for its writer.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Failure::file(path, "is neither a file nor a directory"));
        }
        let mut file = File::open(path).map_err(failed)?;
        let segments = segments(&mut file).map_err(|why| Failure::file(path, why))?;
        Ok(Self::Core(Core { path: path.to_path_buf(), file, segments }))
    }

    /// Reads a whole section. `None` if the memory does not contain all of it.
    pub(crate) fn section(
        &mut self,
        index: u32,
        address: u64,
        size: u64,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let size = usize::try_from(size).map_err(|error| Failure::File(error.to_string()))?;
        match self {
            Self::Folder(folder) => {
                let path = folder.join(format!("{index}.bin"));
                let length = match fs::metadata(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    metadata => metadata.map_err(|error| Failure::file(&path, error))?.len(),
                };
                if length != size as u64 {
                    return Err(Failure::file(
                        &path,
                        format!("has {length} bytes; section {index} has {size}"),
                    ));
                }
                fs::read(&path).map(Some).map_err(|error| Failure::file(&path, error))
            }
            Self::Core(core) => {
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(size).map_err(|error| Failure::File(error.to_string()))?;
                bytes.resize(size, 0);
                Ok(core.read(address, &mut bytes)?.then_some(bytes))
            }
        }
    }

    /// Reads the bytes at an address. Returns whether the memory contains them.
    pub(crate) fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<bool, Failure> {
        match self {
            Self::Folder(_) => Ok(false),
            Self::Core(core) => core.read(address, bytes),
        }
    }
}

impl Core {
    fn read(&mut self, mut address: u64, bytes: &mut [u8]) -> Result<bool, Failure> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((offset, most)) = self.find(address) else { return Ok(false) };
            let size = usize::try_from(most).unwrap_or(usize::MAX).min(rest.len());
            let Some((part, tail)) = rest.split_at_mut_checked(size) else { return Ok(false) };
            let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(part));
            read.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Failure::file(&self.path, format!("is cut: it ends before the memory at {address:#x}"))
                }
                _ => Failure::file(&self.path, format!("at address {address:#x}: {error}")),
            })?;
            (rest, address) = (tail, address.wrapping_add(size as u64));
        }
        Ok(true)
    }

    /// The offset of an address in the file, and the number of bytes from there on.
    fn find(&self, address: u64) -> Option<(u64, u64)> {
        let after = self.segments.partition_point(|segment| segment.address <= address);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        let inside = address.checked_sub(segment.address)?;
        let most = segment.size.checked_sub(inside).filter(|most| *most != 0)?;
        Some((segment.offset.checked_add(inside)?, most))
    }
}

/// The parts of a core file, sorted by address.
fn segments(file: &mut File) -> Result<Vec<Segment>, String> {
    let data = &ReadCache::new(file);
    let not_core = "neither an ELF core file, such as /proc/kcore, nor a folder of relakit apply";
    let header = FileHeader64::<LittleEndian>::parse(data).map_err(|_| not_core)?;
    let endian = header.endian().map_err(|_| not_core)?;
    if header.e_type(endian) != ET_CORE {
        return Err(not_core.to_owned());
    }
    let text = |error: object::Error| error.to_string();
    let count = header.phnum(endian, data).map_err(text)?;
    if count > SEGMENTS {
        return Err(format!("has {count} program headers; the limit is {SEGMENTS}"));
    }
    let headers = header.program_headers(endian, data).map_err(text)?;
    let mut segments: Vec<_> = headers
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD && header.p_filesz(endian) != 0)
        .map(|header| Segment {
            address: header.p_vaddr(endian),
            size: header.p_filesz(endian),
            offset: header.p_offset(endian),
        })
        .collect();
    segments.sort_unstable();
    match segments.iter().any(|segment| segment.address != 0) {
        true => Ok(segments),
        false => Err("has no virtual addresses; for QEMU, use dump-guest-memory -p".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A core file with these parts: address, content.
    fn core(parts: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file[16] = 4;
        file[18] = 62;
        file[20] = 1;
        file[32] = 64;
        file[52] = 64;
        file[54] = 56;
        file[56] = u8::try_from(parts.len()).unwrap();
        let mut offset = (parts.len() as u64).wrapping_mul(56).wrapping_add(64);
        for (address, bytes) in parts {
            let size = bytes.len() as u64;
            file.extend(1u32.to_le_bytes());
            file.extend(7u32.to_le_bytes());
            for word in [offset, *address, 0, size, size, 0x1000] {
                file.extend(word.to_le_bytes());
            }
            offset = offset.wrapping_add(size);
        }
        parts.iter().for_each(|(_, bytes)| file.extend_from_slice(bytes));
        file
    }

    fn open(bytes: &[u8]) -> Result<Running, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        Running::open(file.path()).map_err(|failure| match failure {
            Failure::File(why) => why,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_range_may_cross_parts_that_touch_but_no_hole() {
        let file = core(&[(0x3000, b"ef"), (0x1000, b"ab"), (0x1002, b"cd"), (0x3004, b"gh")]);
        let mut running = open(&file).unwrap();
        let mut read = |address, size| running.section(1, address, size).unwrap();
        for (address, size, expected) in [
            (0x1000, 4, Some(&b"abcd"[..])),
            (0x1001, 2, Some(b"bc")),
            (0x1003, 1, Some(b"d")),
            (0x1003, 2, None),
            (0xfff, 1, None),
            (0x2fff, 1, None),
            (0x3000, 2, Some(b"ef")),
            (0x3000, 5, None),
            (0x3005, 1, Some(b"h")),
            (u64::MAX, 1, None),
            (0x5000, 0, Some(b"")),
        ] {
            assert_eq!(read(address, size).as_deref(), expected, "{address:#x} {size}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        assert!(open(b"hello").unwrap_err().contains("neither an ELF core file"));
        let mut relocatable = core(&[(0x1000, b"a")]);
        relocatable[16] = 1;
        assert!(open(&relocatable).unwrap_err().contains("neither an ELF core file"));
        assert!(open(&core(&[(0, b"a")])).unwrap_err().contains("dump-guest-memory -p"));
        let mut cut = core(&[(0x1000, b"abc")]);
        cut.truncate(cut.len() - 1);
        let mut running = open(&cut).unwrap();
        assert_eq!(running.section(1, 0x1000, 2).unwrap().as_deref(), Some(&b"ab"[..]));
        let error = format!("{:?}", running.section(1, 0x1000, 3).unwrap_err());
        assert!(error.contains("is cut: it ends before the memory at 0x1000"), "{error}");
        cut.truncate(70);
        assert!(open(&cut).is_err(), "the table of the parts is cut");
    }
}
