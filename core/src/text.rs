//! Tables of texts without pointers: one block of text, and the offset of each text in it.
//!
//! A table belongs to the function that uses it. A linker with `--gc-sections` drops it together
//! with this function. Position-independent code needs no relocation for it at load time.

use core::ffi::CStr;

/// Whether the texts are compiled in: the feature `texts`. Without it every text is empty.
pub const ENABLED: bool = cfg!(feature = "texts");

/// A table of texts, made by [`texts!`].
#[derive(Clone, Copy, Debug)]
pub struct Texts {
    /// The texts, each with a NUL behind it.
    block: &'static str,
    /// The offset of each text in `block`.
    starts: &'static [u16],
}

impl Texts {
    /// Returns the table with these parts.
    pub const fn new(block: &'static str, starts: &'static [u16]) -> Self {
        Self { block, starts }
    }

    /// Returns text `index`, counted from 0. It is empty if there is no such text.
    #[inline(never)]
    pub fn get(self, index: usize) -> &'static str {
        let tail = self.tail(index);
        let nul = (0..tail.len()).zip(tail.bytes()).find(|(_, byte)| *byte == 0);
        nul.and_then(|(len, _)| tail.get(..len)).unwrap_or_default()
    }

    /// Returns the same text for C.
    #[inline(never)]
    pub fn c_str(self, index: usize) -> &'static CStr {
        CStr::from_bytes_until_nul(self.tail(index).as_bytes()).unwrap_or_default()
    }

    fn tail(self, index: usize) -> &'static str {
        let start = self.starts.get(index).map(|start| usize::from(*start));
        start.and_then(|start| self.block.get(start..)).unwrap_or_default()
    }
}

/// Returns `block`; "" in a build without texts.
pub const fn block(block: &'static str) -> &'static str {
    if ENABLED { block } else { "" }
}

/// Returns the number of texts in a block.
pub const fn count(block: &str) -> usize {
    let (mut bytes, mut count) = (block.as_bytes(), 0usize);
    while let [byte, rest @ ..] = bytes {
        if *byte == 0 {
            count = count.saturating_add(1);
        }
        bytes = rest;
    }
    count
}

/// Returns the offset of each text in a block.
pub const fn starts<const COUNT: usize>(block: &str) -> [u16; COUNT] {
    let mut starts = [0; COUNT];
    let mut slots: &mut [u16] = &mut starts;
    let mut bytes = block.as_bytes();
    let (mut offset, mut is_start) = (0u16, true);
    while let [byte, rest @ ..] = bytes {
        if is_start && let [slot, others @ ..] = slots {
            *slot = offset;
            slots = others;
        }
        is_start = *byte == 0;
        offset = offset.wrapping_add(1);
        bytes = rest;
    }
    starts
}

/// Makes a table of texts from literals, as [`Texts`].
#[doc(hidden)]
#[macro_export]
macro_rules! texts {
    ($($text:literal),* $(,)?) => {{
        const BLOCK: &str = $crate::text::block(concat!($($text, "\0"),*));
        const _: () = assert!(BLOCK.len() <= u16::MAX as usize, "an offset has 16 bits");
        static STARTS: [u16; $crate::text::count(BLOCK)] = $crate::text::starts(BLOCK);
        $crate::text::Texts::new(BLOCK, &STARTS)
    }};
}

pub use texts;

#[cfg(test)]
mod tests {
    use super::texts;

    #[test]
    fn each_text_is_returned_at_its_index_and_no_other() {
        let texts = texts!("one", "", "three");
        let all: Vec<_> = (0..5).map(|index| texts.get(index)).collect();
        assert_eq!(all, if super::ENABLED { ["one", "", "three", "", ""] } else { [""; 5] });
        for (index, text) in all.into_iter().enumerate() {
            assert_eq!(texts.c_str(index).to_str(), Ok(text), "{index}");
        }
        assert_eq!(texts!().get(0), "");
    }
}
