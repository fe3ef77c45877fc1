//! An error as one line of text, such as "value does not fit its field: section 43 (.rela.text),
//! entry 3, type R_X86_64_PC32, symbol 7 (printk), offset 0x20, value 0x100000000".
//!
//! The text is handed out byte by byte and needs no memory. All bytes are printable ASCII.

use crate::arch;
use crate::error::Error;
use crate::text;
use core::fmt::{self, Write};

/// Knows the names of sections and symbols.
pub trait ErrorNames {
    /// Returns the name of a section. `None` if the section does not exist or its name is unknown.
    fn section_name(&self, section: u32) -> Option<&[u8]>;

    /// Returns the name of a symbol. `None` if the symbol does not exist or its name is unknown.
    fn symbol_name(&self, symbol: u32) -> Option<SymbolName<'_>>;
}

/// The name of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolName<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The object of a livepatch symbol, if `name` does not contain it.
    pub object: Option<&'a [u8]>,
}

/// Knows no names.
struct NoNames;

impl ErrorNames for NoNames {
    fn section_name(&self, _: u32) -> Option<&[u8]> {
        None
    }

    fn symbol_name(&self, _: u32) -> Option<SymbolName<'_>> {
        None
    }
}

/// Everything that the text of an error contains, besides names.
#[derive(Clone, Copy, Debug)]
pub struct ErrorText {
    /// The number of the error. It is only used in a build without texts.
    pub number: i32,
    /// What failed.
    pub message: &'static str,
    /// Section index.
    pub section: Option<u32>,
    /// Index of the relocation in its section.
    pub entry: Option<u64>,
    /// psABI type number.
    pub r_type: Option<u32>,
    /// Index of the symbol.
    pub symbol: Option<u32>,
    /// The meaning of each number in `numbers`; "" if the text does not contain the number.
    pub meanings: [&'static str; 3],
    /// The numbers.
    pub numbers: [u64; 3],
    /// Whether `numbers[1]` is the result of a callback, which is signed.
    pub is_callback: bool,
}

impl From<&Error> for ErrorText {
    fn from(error: &Error) -> Self {
        let Error { kind, section, entry, symbol, r_type, offset, value, limit } = *error;
        Self {
            number: kind as i32,
            message: kind.text(),
            section,
            entry,
            r_type,
            symbol,
            meanings: kind.field_names(),
            numbers: [offset, value, limit],
            is_callback: kind.is_of_callback(),
        }
    }
}

/// Longest part of a name in a text, in bytes before they are escaped.
pub(crate) const NAME_MAX: usize = 128;

impl ErrorText {
    /// Calls `sink` with each byte of the text.
    ///
    /// A name stands in parentheses behind its number. A byte of a name that is not printable ASCII,
    /// a backslash and a parenthesis are written as `\xNN`. A name with more than 128 bytes
    /// is cut there, and "..." follows. Numbers below 10 are decimal, others are hexadecimal; the
    /// indices of sections, entries and symbols and the results of callbacks are decimal.
    ///
    /// In a build without texts the text begins with "error" and the number of the error, and it
    /// contains all three numbers without their meaning.
    pub fn write(&self, names: &impl ErrorNames, sink: &mut impl FnMut(u8)) {
        let mut line = Line { sink, separator: ": " };
        match self.message {
            "" => {
                line.text("error ");
                line.signed(self.number.into());
            }
            message => line.text(message),
        }
        if let Some(section) = self.section {
            line.part("section");
            line.decimal(section.into());
            line.names(names.section_name(section).unwrap_or_default(), None);
        }
        if let Some(entry) = self.entry {
            line.part("entry");
            line.decimal(entry);
        }
        if let Some(r_type) = self.r_type {
            line.part("type");
            match arch::type_name(r_type).unwrap_or_default() {
                "" => line.decimal(r_type.into()),
                name => line.text(name),
            }
        }
        if let Some(symbol) = self.symbol {
            line.part("symbol");
            line.decimal(symbol.into());
            if let Some(SymbolName { name, object }) = names.symbol_name(symbol) {
                line.names(name, object);
            }
        }
        for ((meaning, number), index) in self.meanings.into_iter().zip(self.numbers).zip(0..3) {
            if meaning.is_empty() && text::ENABLED {
                continue;
            }
            line.part(meaning);
            match self.is_callback && index == 1 {
                true => line.signed(number.cast_signed()),
                false => line.number(number),
            }
        }
    }
}

/// The text while it is written.
struct Line<'s, S> {
    sink: &'s mut S,
    separator: &'static str,
}

impl<S: FnMut(u8)> Line<'_, S> {
    #[inline(never)]
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            (self.sink)(byte);
        }
    }

    /// Begins a part with its name.
    #[inline(never)]
    fn part(&mut self, name: &str) {
        self.text(self.separator);
        self.separator = ", ";
        self.text(name);
        if !name.is_empty() {
            self.text(" ");
        }
    }

    fn number(&mut self, number: u64) {
        match number {
            0..10 => self.decimal(number),
            _ => {
                self.text("0x");
                let digits = 16u32.saturating_sub(number.leading_zeros() / 4);
                for digit in (0..digits).rev() {
                    self.hex_digit(number.wrapping_shr(digit.wrapping_mul(4)));
                }
            }
        }
    }

    /// Writes the lowest hexadecimal digit.
    fn hex_digit(&mut self, number: u64) {
        let [low, ..] = (number & 0xf).to_le_bytes();
        (self.sink)(low.wrapping_add(if low < 10 { b'0' } else { b'a'.wrapping_sub(10) }));
    }

    #[inline(never)]
    fn decimal(&mut self, number: u64) {
        let mut power = 1u64;
        while number.checked_div(power).is_some_and(|quotient| quotient >= 10) {
            power = power.wrapping_mul(10);
        }
        while let Some(quotient) = number.checked_div(power) {
            let [digit, ..] = (quotient % 10).to_le_bytes();
            (self.sink)(digit.wrapping_add(b'0'));
            power /= 10;
        }
    }

    fn signed(&mut self, number: i64) {
        if number < 0 {
            self.text("-");
        }
        self.decimal(number.unsigned_abs());
    }

    /// Writes a name in parentheses. An empty name is left out.
    fn names(&mut self, name: &[u8], object: Option<&[u8]>) {
        if name.is_empty() {
            return;
        }
        self.text(" (");
        self.escaped(name);
        if let Some(object) = object {
            self.text(" of ");
            self.escaped(object);
        }
        self.text(")");
    }

    #[inline(never)]
    fn escaped(&mut self, name: &[u8]) {
        for byte in name.iter().copied().take(NAME_MAX) {
            match byte {
                b'\\' | b'(' | b')' | ..b' ' | 0x7f.. => {
                    self.text("\\x");
                    self.hex_digit(u64::from(byte) >> 4);
                    self.hex_digit(byte.into());
                }
                _ => (self.sink)(byte),
            }
        }
        if name.len() > NAME_MAX {
            self.text("...");
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        ErrorText::from(self).write(&NoNames, &mut |byte| {
            if result.is_ok() {
                result = f.write_char(char::from(byte));
            }
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Names for section 43 and symbol 7.
    struct Named<'a> {
        section: &'a [u8],
        symbol: SymbolName<'a>,
    }

    impl ErrorNames for Named<'_> {
        fn section_name(&self, section: u32) -> Option<&[u8]> {
            (section == 43).then_some(self.section)
        }

        fn symbol_name(&self, symbol: u32) -> Option<SymbolName<'_>> {
            (symbol == 7).then_some(self.symbol)
        }
    }

    const OVERFLOW: Error = Error {
        kind: ErrorKind::Overflow,
        section: Some(43),
        entry: Some(3),
        symbol: Some(7),
        r_type: Some(10),
        offset: 0x20,
        value: 0x1_0000_0000,
        limit: 0xffff_ffff,
    };

    fn text(error: &Error, names: &impl ErrorNames) -> String {
        let mut text = Vec::new();
        ErrorText::from(error).write(names, &mut |byte| text.push(byte));
        String::from_utf8(text).unwrap()
    }

    fn named(section: &[u8], name: &[u8], object: Option<&[u8]>) -> String {
        text(&OVERFLOW, &Named { section, symbol: SymbolName { name, object } })
    }

    #[test]
    fn an_error_prints_all_that_it_has_and_nothing_else() {
        let expected = match text::ENABLED {
            true => {
                "value does not fit its field: section 43, entry 3, type R_X86_64_32, symbol 7, offset 0x20, \
                 value 0x100000000, largest 0xffffffff"
            }
            false => "error -39: section 43, entry 3, type 10, symbol 7, 0x20, 0x100000000, 0xffffffff",
        };
        assert_eq!(OVERFLOW.to_string(), expected);
        let expected = if text::ENABLED { "no symbol table" } else { "error -12: 0, 1, 2" };
        assert_eq!(Error::new(ErrorKind::NoSymbolTable, 1, 2).to_string(), expected);
    }

    #[test]
    fn names_are_in_parentheses_and_may_be_missing() {
        let line = named(b".rela.text", b"foo", Some(b"nfs"));
        assert!(
            line.contains("section 43 (.rela.text), entry 3") && line.contains("symbol 7 (foo of nfs), ")
        );
        assert!(named(b"", b"foo", None).contains("section 43, entry 3"));
        assert!(named(b"a", b"foo", None).contains("symbol 7 (foo), "));
        assert_eq!(named(b"", b"", Some(b"nfs")), OVERFLOW.to_string());
        let others = Error { section: Some(42), symbol: Some(8), ..OVERFLOW };
        let names = Named { section: b"a", symbol: SymbolName { name: b"b", object: None } };
        assert_eq!(text(&others, &names), others.to_string());
    }

    #[test]
    fn a_name_cannot_break_the_line_or_leave_its_parentheses() {
        for byte in 0..=u8::MAX {
            let line = named(b"", &[b'<', byte, b'>'], None);
            let is_plain = (b' '..=b'~').contains(&byte) && !br"\()".contains(&byte);
            let middle = if is_plain { char::from(byte).to_string() } else { format!("\\x{byte:02x}") };
            assert!(line.contains(&format!("(<{middle}>)")), "{line}");
        }
    }

    #[test]
    fn a_name_is_cut_behind_its_longest_part() {
        let name = [b'a'; NAME_MAX + 1];
        let longest = String::from_utf8(vec![b'a'; NAME_MAX]).unwrap();
        assert!(named(&name[1..], b"", None).contains(&format!("({longest}), ")));
        assert!(named(&name, b"", None).contains(&format!("({longest}...), ")));
    }

    #[test]
    fn no_text_is_longer_than_the_header_says() {
        let worst = [0u8; NAME_MAX + 1];
        let names = Named { section: &worst, symbol: SymbolName { name: &worst, object: Some(&worst) } };
        for kind in ErrorKind::ALL {
            let error = Error {
                kind: *kind,
                entry: Some(u64::MAX),
                offset: u64::MAX,
                value: u64::MAX / 10 * 9,
                limit: u64::MAX,
                ..OVERFLOW
            };
            let len = text(&error, &names).len();
            assert!((3 * 4 * NAME_MAX..2048).contains(&len), "{kind:?}: {len}");
        }
    }

    #[test]
    fn numbers_are_those_that_the_standard_library_prints() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, u64::MAX >> bit]);
        let powers = (0..20).flat_map(|power| [10u64.pow(power) - 1, 10u64.pow(power)]);
        for number in edges.chain(powers) {
            let error = Error { entry: Some(number), ..Error::new(ErrorKind::Writer, number, number) };
            let line = text(&Error { offset: number, ..error }, &NoNames);
            let offset = if number < 10 { number.to_string() } else { format!("{number:#x}") };
            assert!(line.contains(&format!("entry {number}, ")), "{line}");
            if text::ENABLED {
                let result = number.cast_signed();
                assert!(line.ends_with(&format!(", offset {offset}, callback result {result}")), "{line}");
            }
        }
    }

    #[test]
    fn an_unknown_type_is_a_number() {
        let line = Error { r_type: Some(52), ..OVERFLOW }.to_string();
        assert!(line.contains("type 52, "), "{line}");
        let line = Error { r_type: Some(u32::MAX), ..OVERFLOW }.to_string();
        assert!(line.contains("type 4294967295, "), "{line}");
    }
}
