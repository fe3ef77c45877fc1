//! Unpacks .xz, .zst and .gz files. The size and the memory that a file can ask for are bounded.

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, Read};

/// Memory limit of xz, in KiB. Files of `xz -9` need 64 MiB; those of the kernel build 1 MiB.
const XZ_MEMORY: u32 = 80 << 10;
/// Largest window of zstd, in bytes. Files of `zstd -19` need 8 MiB; those of the kernel build 2
/// MiB. The decoder takes up to twice as much memory.
const ZSTD_WINDOW: u64 = 32 << 20;

/// A compression format that is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    Xz,
    Zstd,
    Gzip,
}

impl Packed {
    /// The format of a file, from its first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Packed); 3] =
            [(b"\xfd7zXZ\0", Packed::Xz), (b"\x28\xb5\x2f\xfd", Packed::Zstd), (b"\x1f\x8b", Packed::Gzip)];
        MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, packed)| *packed)
    }

    /// Unpacks a whole file. Returns `None` if it has more than `most` bytes.
    pub(crate) fn unpack(self, bytes: &[u8], most: u64) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Xz => read_most(&mut lzma_rust2::XzReader::new_mem_limit(bytes, true, XZ_MEMORY), 0, most),
            Self::Zstd => zstd(bytes, most),
            Self::Gzip => read_most(&mut MultiGzDecoder::new(bytes), 0, most),
        }
    }
}

/// Reads to the end. Returns `None` if there are more than `most` bytes. `expected` is the likely
/// number of bytes.
pub(crate) fn read_most(reader: &mut impl Read, expected: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // The spare byte lets `read_to_end` find the end without a larger buffer.
    bytes.try_reserve_exact(usize::try_from(expected.saturating_add(1)).unwrap_or(usize::MAX))?;
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// Unpacks all frames of a zstd file (RFC 8878), block by block.
fn zstd(mut rest: &[u8], most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = FrameDecoder::new();
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        match Frame::of(rest).ok_or_else(|| invalid("zstd frame is truncated or not valid"))? {
            Frame::Skipped { size } => {
                rest = rest.get(size..).ok_or_else(|| invalid("zstd frame is truncated"))?
            }
            Frame::Window(window) if window > ZSTD_WINDOW => {
                return Err(invalid(&format!(
                    "zstd needs a window of {window} bytes, the maximum is {ZSTD_WINDOW}; compress it with -19 or less"
                )));
            }
            Frame::Window(_) => {
                decoder.reset(&mut rest).map_err(io::Error::other)?;
                while !decoder.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    decoder.decode_blocks(&mut rest, one).map_err(io::Error::other)?;
                    bytes.try_reserve(decoder.can_collect())?;
                    decoder.collect_to_writer(&mut bytes)?;
                    if bytes.len() as u64 > most {
                        return Ok(None);
                    }
                }
                let (stored, computed) =
                    (decoder.get_checksum_from_data(), decoder.get_calculated_checksum());
                if stored.is_some() && stored != computed {
                    return Err(invalid("zstd checksum is wrong"));
                }
            }
        }
    }
    Ok(Some(bytes))
}

/// The beginning of a zstd frame (RFC 8878, 3.1).
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    /// A frame with data, and the size of its window in bytes.
    Window(u64),
    /// A frame without data, of `size` bytes.
    Skipped { size: usize },
}

impl Frame {
    fn of(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        match u32::from_le_bytes(*magic) {
            0x184d_2a50..=0x184d_2a5f => {
                let length = u32::from_le_bytes(*rest.first_chunk()?);
                return Some(Self::Skipped { size: usize::try_from(length).ok()?.saturating_add(8) });
            }
            0xfd2f_b528 => {}
            _ => return None,
        }
        let (&descriptor, rest) = rest.split_first()?;
        let is_single_segment = descriptor & 0x20 != 0;
        if !is_single_segment {
            let window = *rest.first()?;
            let base = 1024u64 << (window >> 3);
            return Some(Self::Window(base.saturating_add((base / 8).saturating_mul(u64::from(window & 7)))));
        }
        let dictionary = match descriptor & 3 {
            3 => 4,
            size => usize::from(size),
        };
        let size = 1usize << (descriptor >> 6);
        let content = rest.get(dictionary..)?.get(..size)?;
        let value = content.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        Some(Self::Window(if size == 2 { value.saturating_add(256) } else { value }))
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_read_as_the_frame_header_says() {
        let frame = |rest: &[u8]| Frame::of(&[b"\x28\xb5\x2f\xfd", rest].concat());
        assert_eq!(frame(&[0, 0]), Some(Frame::Window(1 << 10)));
        assert_eq!(frame(&[0, 0x0f]), Some(Frame::Window((1 << 11) + 7 * (1 << 8))));
        assert_eq!(frame(&[0, 0xff]), Some(Frame::Window((1 << 41) + 7 * (1 << 38))));
        assert_eq!(frame(&[0x20, 9]), Some(Frame::Window(9)));
        assert_eq!(frame(&[0x60, 1, 1]), Some(Frame::Window(0x101 + 256)));
        assert_eq!(frame(&[0xa1, 77, 1, 0, 0, 1]), Some(Frame::Window(0x0100_0001)));
        assert_eq!(frame(&[0xe0, 0, 0, 0, 0, 0, 0, 0, 1]), Some(Frame::Window(1 << 56)));
        for short in [&[][..], &[0], &[0x20], &[0x60, 1], &[0xa1, 77, 1, 0, 0]] {
            assert_eq!(frame(short), None, "{short:x?}");
        }
        assert_eq!(Frame::of(b"\x50\x2a\x4d\x18\x05\0\0\0"), Some(Frame::Skipped { size: 13 }));
        assert_eq!(Frame::of(b"\x60\x2a\x4d\x18\x05\0\0\0"), None);
    }

    /// A zstd frame with one raw block.
    fn frame(content: &[u8]) -> Vec<u8> {
        let size = u8::try_from(content.len()).unwrap();
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0x20, size, size << 3 | 1, size >> 5, 0];
        [&header, content].concat()
    }

    #[test]
    fn a_zstd_file_is_the_content_of_all_its_frames() {
        let skipped = b"\x5f\x2a\x4d\x18\x03\0\0\0abc";
        let file = [&frame(b"one")[..], skipped, &frame(b"two")].concat();
        let unpack = |file: &[u8], most| Packed::Zstd.unpack(file, most);
        assert_eq!(unpack(&file, 6).unwrap().as_deref(), Some(&b"onetwo"[..]));
        assert_eq!(unpack(&file, 5).unwrap(), None);
        for cut in 1..file.len() {
            let whole = [frame(b"one").len(), frame(b"one").len() + skipped.len()].contains(&cut);
            assert_eq!(unpack(&file[..cut], 6).is_ok(), whole, "{cut}");
        }
    }

    #[test]
    fn a_zstd_frame_with_a_large_window_is_refused() {
        let window = |log: u8| {
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0];
            Packed::Zstd.unpack(&frame, 1).map_err(|error| error.to_string())
        };
        assert_eq!(window(25), Ok(Some(Vec::new())));
        assert!(window(26).unwrap_err().contains("window of 67108864 bytes"));
    }
}
