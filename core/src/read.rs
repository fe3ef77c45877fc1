//! Little-endian integers in the bytes of a file, bounds checked.

use scroll::LE;
use scroll::ctx::TryFromCtx;

/// Reads the integer at offset `at`. `None` if one of its bytes is outside.
///
/// It calls `TryFromCtx` because `Pread` slices once more. That slice can panic if it is not
/// inlined.
fn int<'b, T: TryFromCtx<'b, scroll::Endian>>(bytes: &'b [u8], at: usize) -> Option<T> {
    T::try_from_ctx(bytes.get(at..)?, LE).ok().map(|(value, _)| value)
}

/// The byte at `at`.
pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The `Elf64_Half` at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    int(bytes, at)
}

/// The `Elf64_Word` at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    int(bytes, at)
}

/// The `Elf64_Xword`, `Elf64_Addr` or `Elf64_Off` at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    int(bytes, at)
}

/// Returns the low half.
#[expect(clippy::cast_possible_truncation, reason = "keeps the low 32 bits")]
pub(crate) const fn low32(value: u64) -> u32 {
    value as u32
}

/// Returns the high half.
pub(crate) const fn high32(value: u64) -> u32 {
    low32(value >> 32)
}

/// Converts a file offset or size to an index. `None` if it does not fit `usize`.
pub(crate) fn index(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// Returns the `size` bytes at `offset`. `None` if one of them is outside.
pub(crate) fn range(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = index(offset)?;
    let end = start.checked_add(index(size)?)?;
    bytes.get(start..end)
}

/// Returns the index of the first byte that is `byte`, eight bytes at a time.
#[inline]
pub(crate) fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let wanted = u64::from(byte).wrapping_mul(ONES);
    let (words, last) = bytes.as_chunks();
    let mut before = 0usize;
    for word in words {
        // If 1 is subtracted from each byte, a byte that is 0 borrows, and has had its upper bit
        // clear. The lowest bit that is left belongs to the first such byte.
        let differs = u64::from_le_bytes(*word) ^ wanted;
        let zeros = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if zeros != 0 {
            return before.checked_add(usize::try_from(zeros.trailing_zeros() / 8).ok()?);
        }
        before = before.wrapping_add(8);
    }
    before.checked_add(last.iter().position(|other| *other == byte)?)
}

/// Copies bytes one by one, as many as both have, without a call of `memcpy` and without a panic.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_first_byte_is_the_one_that_the_standard_library_finds(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(b'.'), Just(b'/'), Just(0x80), any::<u8>()], 0..40),
            byte in prop_oneof![Just(0u8), Just(b'.'), any::<u8>()],
        ) {
            prop_assert_eq!(position(&bytes, byte), bytes.iter().position(|other| *other == byte));
        }
    }

    #[test]
    fn an_integer_is_read_only_when_all_its_bytes_are_there() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(u64_at(&bytes, 1), Some(0x0908_0706_0504_0302));
        assert_eq!(u64_at(&bytes, 2), None);
        assert_eq!(u32_at(&bytes, 5), Some(0x0908_0706));
        assert_eq!(u32_at(&bytes, 6), None);
        assert_eq!(u16_at(&bytes, 7), Some(0x0908));
        assert_eq!(u16_at(&bytes, 8), None);
        assert_eq!(u8_at(&bytes, 8), Some(9));
        assert_eq!(u8_at(&bytes, usize::MAX), None);
        assert_eq!(u64_at(&bytes, usize::MAX), None);
    }

    #[test]
    fn a_range_that_wraps_or_ends_outside_is_none() {
        let bytes = [0u8; 4];
        assert_eq!(range(&bytes, 4, 0), Some(&[][..]));
        assert_eq!(range(&bytes, 0, 4).map(<[u8]>::len), Some(4));
        assert_eq!(range(&bytes, 0, 5), None);
        assert_eq!(range(&bytes, 5, 0), None);
        assert_eq!(range(&bytes, u64::MAX, 2), None);
        assert_eq!(range(&bytes, 2, u64::MAX), None);
    }
}
