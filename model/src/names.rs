//! The names of livepatch sections and symbols, by a reader of `sscanf` formats that goes one byte
//! at a time (Linux semantics 6, 7).

use crate::Kernel;

/// A part of a format.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// These bytes.
    Text(&'static [u8]),
    /// `%<most>[^<stop>]`: 1 to `most` bytes, none of them `stop`.
    Until(u8, usize),
    /// `%lu`: white space, and digits.
    Number,
}

fn is_space(byte: u8) -> bool {
    [b' ', b'\t', b'\n', 0x0b, 0x0c, b'\r', 0xa0].contains(&byte)
}

/// The bytes of `text` that each item of `format` reads, and what is left; `None` when an item
/// reads nothing.
fn scan<const N: usize>(format: [Item; N], text: &[u8]) -> Option<([&[u8]; N], &[u8])> {
    let mut at = 0;
    let mut read = [&[][..]; N];
    for (part, item) in read.iter_mut().zip(format) {
        let begin = at;
        let there = |at: usize| text.get(at).copied();
        let is_read = match item {
            Item::Text(wanted) => {
                while at - begin < wanted.len() && there(at) == Some(wanted[at - begin]) {
                    at += 1;
                }
                at - begin == wanted.len()
            }
            Item::Until(stop, most) => {
                while at - begin < most && there(at).is_some_and(|byte| byte != stop) {
                    at += 1;
                }
                at != begin
            }
            Item::Number => {
                while there(at).is_some_and(is_space) {
                    at += 1;
                }
                let digits = at;
                while there(at).is_some_and(|byte| byte.is_ascii_digit()) {
                    at += 1;
                }
                at != digits
            }
        };
        *part = is_read.then_some(&text[begin..at])?;
    }
    Some((read, &text[at..]))
}

/// The number in a text of white space and digits: what is beyond 64 bits wraps, or becomes the
/// largest number.
fn number(text: &[u8], saturates: bool) -> u64 {
    const TOO_LARGE: u128 = 1 << 64;
    let (mut wrapped, mut capped) = (0u128, 0u128);
    for digit in text.iter().filter(|byte| !is_space(**byte)) {
        let digit = u128::from(digit - b'0');
        wrapped = (wrapped * 10 + digit) % TOO_LARGE;
        capped = (capped * 10 + digit).min(TOO_LARGE);
    }
    match saturates && capped == TOO_LARGE {
        true => u64::MAX,
        false => wrapped as u64,
    }
}

/// The object in the name of a livepatch section, and what follows it. The name has no NUL.
pub fn section(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([_, object], rest) = scan([Item::Text(b".klp.rela."), Item::Until(b'.', 55)], name)?;
    Some((object, rest))
}

/// The name of a livepatch symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'n> {
    /// The object that has the symbol.
    pub object: &'n [u8],
    /// The symbol's name in it.
    pub name: &'n [u8],
    /// Which of the symbols of that name.
    pub sympos: u64,
    /// What follows the number.
    pub rest: &'n [u8],
}

/// Reads the name of a livepatch symbol, which has no NUL.
pub fn symbol(name: &[u8], kernel: Kernel) -> Option<Symbol<'_>> {
    let width = if kernel.is_before((6, 1)) { 127 } else { 511 };
    let format = [
        Item::Text(b".klp.sym."),
        Item::Until(b'.', 55),
        Item::Text(b"."),
        Item::Until(b',', width),
        Item::Text(b","),
        Item::Number,
    ];
    let ([_, object, _, name, _, digits], rest) = scan(format, name)?;
    Some(Symbol { object, name, sympos: number(digits, !kernel.is_before((7, 2))), rest })
}
