//! The file of `--map`: which symbols of other objects the plain undefined names mean.

use crate::symbols::{Position, Wanted};
use relakit::abi::OBJECT_NAME_MAX;
use std::collections::HashMap;

/// Symbols of other objects, by name.
#[derive(Clone, Debug, Default)]
pub struct Map {
    by_name: HashMap<Vec<u8>, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) wanted: Wanted,
    /// The object that the relocations wait for, if the line names it.
    pub(crate) patched: Option<Vec<u8>>,
}

impl Map {
    /// Parses lines `OBJECT NAME [SYMPOS [PATCHED]]`.
    ///
    /// OBJECT has the symbol NAME. SYMPOS is a number or `auto`, the default. PATCHED is the patched
    /// object that uses the symbol; the default is OBJECT. Empty lines and lines that begin with `#`
    /// are ignored.
    ///
    /// # Errors
    /// The number of the first line that is malformed or names a symbol again, counted from 1, and
    /// the reason.
    pub fn parse(text: &[u8]) -> Result<Self, (usize, &'static str)> {
        let mut by_name = HashMap::new();
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let words: Vec<&[u8]> =
                line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
            let (object, name, sympos, patched) = match words.as_slice() {
                [] => continue,
                [comment, ..] if comment.starts_with(b"#") => continue,
                [object, name] => (*object, *name, &b"auto"[..], None),
                [object, name, sympos] => (*object, *name, *sympos, None),
                [object, name, sympos, patched] => (*object, *name, *sympos, Some(*patched)),
                _ => return Err((number, "it is not \"OBJECT NAME [SYMPOS [PATCHED]]\"")),
            };
            let is_object = |name: &[u8]| name.len() <= OBJECT_NAME_MAX && !name.contains(&b'.');
            if !is_object(object) || !patched.is_none_or(is_object) {
                return Err((number, "an object name has at most 55 bytes and no dot"));
            }
            let Some(position) = position(sympos) else {
                return Err((number, "the position is neither a number nor auto"));
            };
            let wanted = Wanted { object: object.to_vec(), name: name.to_vec(), position };
            let entry = Entry { wanted, patched: patched.map(<[u8]>::to_vec) };
            if by_name.insert(name.to_vec(), entry).is_some() {
                return Err((number, "a line before it has the same symbol"));
            }
        }
        Ok(Self { by_name })
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Entry> {
        self.by_name.get(name)
    }
}

/// A decimal number, or `auto`.
pub(crate) fn position(text: &[u8]) -> Option<Position> {
    if text == b"auto" {
        return Some(Position::Auto);
    }
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| is_number)?.parse().ok().map(Position::Given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_two_to_four_words() {
        let map = Map::parse(b"# symbols\n\nvmlinux f\r\nm g 2\n jbd2\th 0  ext4 \nm i auto").unwrap();
        let get = |name: &str| {
            let Entry { wanted, patched } = map.get(name.as_bytes()).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!(text(&wanted.name), name);
            (text(&wanted.object), wanted.position, patched.as_deref().map(text))
        };
        assert_eq!(get("f"), ("vmlinux".to_owned(), Position::Auto, None));
        assert_eq!(get("g"), ("m".to_owned(), Position::Given(2), None));
        assert_eq!(get("h"), ("jbd2".to_owned(), Position::Given(0), Some("ext4".to_owned())));
        assert_eq!(get("i"), ("m".to_owned(), Position::Auto, None));
        assert_eq!(map.get(b"j"), None);
    }

    #[test]
    fn a_malformed_line_is_refused_with_its_number() {
        for bad in ["m", "m f -1", "m f x", "m f 18446744073709551616", "m f 1 a b", "a.b f", "m f 0 a.b"] {
            assert_eq!(Map::parse(format!("# one\n{bad}\n").as_bytes()).unwrap_err().0, 2, "{bad}");
        }
        assert_eq!(Map::parse(b"m f\nn f\n").unwrap_err().0, 2);
    }
}
