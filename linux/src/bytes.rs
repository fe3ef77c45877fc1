//! Little-endian integers in a section's bytes, bounds checked.

/// Returns the `SIZE` bytes at `at`, if all of them exist.
fn array<const SIZE: usize>(bytes: &[u8], at: usize) -> Option<[u8; SIZE]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// Converts a file offset or size to an index. `None` if it does not fit `usize`.
pub(crate) fn index(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

/// Returns the low half of `value`.
#[expect(clippy::cast_possible_truncation, reason = "keeps the low 32 bits")]
pub(crate) const fn low32(value: u64) -> u32 {
    value as u32
}

/// Copies `from` to `to`, which has the same size. If it has not, nothing is copied.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if to.len() == from.len() {
        // Not `copy_from_slice`, which can panic if it is not inlined.
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}
