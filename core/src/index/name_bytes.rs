//! Hashes and compares names, eight bytes at a time.

use super::Names;
use crate::elf::NAME_MAX;
use crate::read::{high32, position};

/// Returns the name of an entry, or the first `NAME_MAX` + 1 bytes of a longer name, which no
/// lookup can have.
// If it were inlined, it would be half of the code of an index.
#[inline(never)]
pub(super) fn key<N: Names>(names: &N, at: usize) -> &[u8] {
    let bytes = names.name(at);
    let bytes = bytes.get(..=NAME_MAX).unwrap_or(bytes);
    position(bytes, 0).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Whether `bytes` begin with this name and its end. The last eight bytes may overlap those before.
pub(super) fn is(bytes: &[u8], name: &[u8]) -> bool {
    let Some(begin) = bytes.get(..name.len()) else { return false };
    let is_word = |(one, other): (&[u8; 8], &[u8; 8])| one == other && !has_nul(one);
    let is_same = match begin.last_chunk().zip(name.last_chunk()) {
        Some(last) => is_word(last) && begin.as_chunks().0.iter().zip(name.as_chunks().0).all(is_word),
        None => short_word(begin) == short_word(name) && !name.contains(&0),
    };
    is_same && bytes.get(name.len()).is_none_or(|end| *end == 0)
}

/// Whether one of the bytes is 0. If 1 is subtracted from each byte, only a byte that is 0 borrows
/// and has had its upper bit clear.
const fn has_nul(word: &[u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*word);
    word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
}

/// Number of bits of a hash.
pub(super) const HASH_BITS: u32 = 31;

/// Returns the hash of a name. The last eight bytes may overlap those before.
pub(super) fn hash(name: &[u8]) -> u32 {
    /// An odd number without a pattern: 2^64 divided by the golden ratio.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut hash = name.len() as u64;
    match name.last_chunk() {
        Some(last) => {
            for word in name.as_chunks().0 {
                hash = mix(hash, u64::from_le_bytes(*word));
            }
            hash = mix(hash, u64::from_le_bytes(*last));
        }
        None => hash = mix(hash, short_word(name)),
    }
    // The upper bits are mixed better.
    high32(hash.wrapping_mul(FACTOR)) >> 1
}

/// Returns up to seven bytes as a number: two halves that may overlap, or up to three bytes.
fn short_word(name: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    let byte = |at: usize| name.get(at).map_or(0, |byte| u64::from(*byte));
    byte(0) | byte(1) << 8 | byte(2) << 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_name_is_all_bytes_before_the_nul(
            mut bytes in proptest::collection::vec(prop_oneof![Just(0u8), 1u8..4, 0x7f..0x83u8, Just(255)], 0..40),
            len in 0usize..40,
            (other, at) in (any::<u8>(), 0usize..40),
        ) {
            let mut name = bytes.get(..len).unwrap_or(&bytes).to_vec();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            prop_assert_eq!(is(&bytes, &name), bytes[..end] == name);
            let table = &[&bytes[..]][..];
            prop_assert_eq!(key(&table, 0), &bytes[..end]);
            if let Some(byte) = name.get_mut(at) {
                *byte = other;
                prop_assert_eq!(is(&bytes, &name), bytes[..end] == name);
            }
            bytes.truncate(end);
            prop_assert!(is(&bytes, &bytes.clone()));
        }
    }
}
