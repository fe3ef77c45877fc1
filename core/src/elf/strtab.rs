//! String tables (gABI 4, "String Table").

use crate::read::{index, position};

/// Greatest length of a name that is read as a whole, in bytes without the NUL. It bounds the time
/// that a hostile file can take. The longest name that Linux looks up has 511 bytes.
pub const NAME_MAX: usize = 4096;

/// A string table. It may have any content, because every access is checked.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'f>(&'f [u8]);

impl<'f> Strings<'f> {
    /// Returns the string table in `bytes`.
    pub const fn new(bytes: &'f [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the whole table.
    pub const fn bytes(&self) -> &'f [u8] {
        self.0
    }

    /// Returns whether the text at byte `offset` begins with `prefix`, whether a NUL follows or
    /// not.
    pub fn starts_with(&self, offset: u32, prefix: &[u8]) -> bool {
        let tail = index(u64::from(offset)).and_then(|offset| self.0.get(offset..));
        tail.is_some_and(|tail| tail.starts_with(prefix))
    }

    /// Returns whether the name at byte `offset` is `name`, which contains no NUL.
    pub fn is(&self, offset: u32, name: &[u8]) -> bool {
        let tail = index(u64::from(offset)).and_then(|offset| self.0.get(offset..));
        // The NUL comes first, because few names have the same length.
        tail.is_some_and(|tail| tail.get(name.len()) == Some(&0) && tail.starts_with(name))
    }

    /// Returns the name at byte `offset`, without its NUL; `None` if `offset` is outside the table,
    /// or no NUL follows.
    ///
    /// Of a name longer than [`NAME_MAX`] bytes it returns the first `NAME_MAX + 1`, so that the
    /// caller sees that the name is longer. Only the end of the table shows whether such a name
    /// ends. So a table that does not end with NUL has no such name.
    pub fn name(&self, offset: u32) -> Option<&'f [u8]> {
        self.read(offset, NAME_MAX)
    }

    /// Returns at most `most + 1` bytes of the name that [`name`](Self::name) returns.
    #[cfg(feature = "klp")]
    pub(crate) fn beginning(&self, offset: u32, most: usize) -> Option<&'f [u8]> {
        self.read(offset, most).or_else(|| self.name(offset)?.get(..=most))
    }

    /// Returns the bytes before the NUL, or the first `most + 1` if the NUL comes later and the table
    /// ends with one.
    #[inline]
    fn read(&self, offset: u32, most: usize) -> Option<&'f [u8]> {
        let tail = self.0.get(index(u64::from(offset))?..)?;
        let longest = tail.get(..=most).unwrap_or(tail);
        match position(longest, 0) {
            Some(end) => longest.get(..end),
            None => (longest.len() > most && self.0.last() == Some(&0)).then_some(longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_its_nul_or_is_none() {
        let table = Strings::new(b"\0abc\0de");
        assert_eq!(table.name(0), Some(&b""[..]));
        assert_eq!(table.name(1), Some(&b"abc"[..]));
        assert_eq!(table.name(3), Some(&b"c"[..]));
        assert_eq!(table.name(4), Some(&b""[..]));
        assert_eq!(table.name(5), None, "no NUL");
        assert_eq!(table.name(7), None, "outside");
        assert_eq!(table.name(u32::MAX), None);
        assert_eq!(Strings::new(b"").name(0), None);
    }

    #[test]
    fn a_longer_name_is_cut_behind_its_first_byte_too_many() {
        for length in [NAME_MAX - 1, NAME_MAX, NAME_MAX + 1, NAME_MAX + 2, 3 * NAME_MAX] {
            let mut bytes = vec![b'x'; length];
            bytes.push(0);
            let read = Strings::new(&bytes).name(0).map(<[u8]>::len);
            assert_eq!(read, Some(length.min(NAME_MAX + 1)));
            bytes.push(b'y');
            let read = Strings::new(&bytes).name(0).map(<[u8]>::len);
            assert_eq!(read, (length <= NAME_MAX).then_some(length), "the table does not end with NUL");
        }
    }

    #[cfg(feature = "klp")]
    #[test]
    fn the_beginning_of_a_name_is_one_where_the_name_is_one() {
        for bytes in [&b"\0abcdef\0"[..], b"\0abcdef\0x", b"\0abcdef", b"\0ab\0cdef", b""] {
            let table = Strings::new(bytes);
            for offset in 0..=12 {
                for most in 0..=8 {
                    let expected = table.name(offset).map(|name| name.get(..=most).unwrap_or(name));
                    assert_eq!(table.beginning(offset, most), expected, "{bytes:?} {offset} {most}");
                }
            }
        }
    }
}
