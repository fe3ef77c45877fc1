//! A reader of `sscanf` formats, one byte at a time.

/// A part of a format.
#[derive(Clone, Copy)]
pub enum Item {
    /// These bytes.
    Text(&'static [u8]),
    /// `%<most>[^<stop>]`: 1 to `most` bytes, none of them `stop`.
    Until(u8, usize),
    /// `%lu`: white space, and digits.
    Number,
}

/// What was read: the text of each item, as far as it went, and what is left.
pub struct Scanned<'t> {
    read: [Option<&'t [u8]>; 6],
    pub rest: &'t [u8],
}

impl<'t> Scanned<'t> {
    /// The texts of some items, if all were read.
    pub fn all<const N: usize>(&self, items: [usize; N]) -> Option<[&'t [u8]; N]> {
        let mut texts = [&[][..]; N];
        for (text, item) in texts.iter_mut().zip(items) {
            *text = self.read[item]?;
        }
        Some(texts)
    }
}

fn is_space(byte: u8) -> bool {
    [b' ', b'\t', b'\n', 0x0b, 0x0c, b'\r', 0xa0].contains(&byte)
}

/// Reads `text`, which has no NUL.
pub fn scan<'t>(format: &[Item], text: &'t [u8]) -> Scanned<'t> {
    let mut scanned = Scanned { read: [None; 6], rest: text };
    let mut at = 0;
    for (number, item) in format.iter().enumerate() {
        let begin = at;
        let there = |at: usize| text.get(at).copied();
        let is_read = match *item {
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
        if !is_read {
            break;
        }
        scanned.read[number] = Some(&text[begin..at]);
        scanned.rest = &text[at..];
    }
    scanned
}

/// The number in a text of white space and digits: what is beyond 64 bits wraps, or becomes the largest number.
pub fn number(text: &[u8], saturates: bool) -> u64 {
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
