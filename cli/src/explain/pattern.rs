//! Recognises a message of Linux by the fixed words of its format string.

/// A format string: `{name}` is an argument, everything else is fixed.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fixed(&'static str),
    Argument(&'static str),
}

/// The arguments of a message, by name.
pub(super) type Arguments<'l> = Vec<(&'static str, &'l str)>;

impl Pattern {
    pub(super) fn new(text: &'static str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((fixed, name, after)) = split(rest) {
            parts.extend([Part::Fixed(fixed), Part::Argument(name)]);
            rest = after;
        }
        parts.push(Part::Fixed(rest));
        parts.retain(|part| *part != Part::Fixed(""));
        Self { parts }
    }

    /// The fixed texts.
    fn fixed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Fixed(text) => Some(*text),
            Part::Argument(_) => None,
        })
    }

    /// The longest fixed text. A line without it is another message.
    pub(super) fn key(&self) -> &'static str {
        self.fixed().max_by_key(|text| text.len()).unwrap_or_default()
    }

    /// How many bytes are fixed. If a line matches several patterns, the one with the most is meant.
    pub(super) fn weight(&self) -> usize {
        self.fixed().map(str::len).fold(0, usize::saturating_add)
    }

    /// The arguments of the message at the end of a line, or `None` if the line is another one. The
    /// message begins at the start of a word, because the kernel writes prefixes before it.
    pub(super) fn arguments<'l>(&self, line: &'l str) -> Option<Arguments<'l>> {
        let (first, before, rest) = match self.parts.as_slice() {
            [Part::Fixed(first), rest @ ..] => (*first, None, rest),
            [Part::Argument(name), Part::Fixed(first), rest @ ..] => (*first, Some(*name), rest),
            _ => return None,
        };
        line.match_indices(first).find_map(|(at, _)| {
            let (head, tail) = (line.get(..at)?, line.get(at.checked_add(first.len())?..)?);
            let word = head.rsplit(char::is_whitespace).next().unwrap_or(head);
            let mut found = Vec::new();
            match before {
                Some(_) if word.is_empty() => return None,
                Some(name) => found.push((name, word)),
                None if !word.is_empty() => return None,
                None => {}
            }
            rest_of(rest, tail, &mut found).then_some(found)
        })
    }
}

/// Matches the parts after the first fixed text with the rest of a line.
fn rest_of<'l>(parts: &[Part], line: &'l str, found: &mut Arguments<'l>) -> bool {
    match parts {
        [] => line.is_empty(),
        [Part::Argument(name)] => {
            found.push((name, line));
            true
        }
        [Part::Argument(name), Part::Fixed(last)] => {
            let argument = line.strip_suffix(last);
            found.extend(argument.map(|argument| (*name, argument)));
            argument.is_some()
        }
        [Part::Argument(name), Part::Fixed(next), rest @ ..] => match line.split_once(next) {
            Some((argument, after)) => {
                found.push((name, argument));
                rest_of(rest, after, found)
            }
            None => false,
        },
        _ => false,
    }
}

/// The fixed text before the first argument, the argument's name, and the rest.
fn split(text: &'static str) -> Option<(&'static str, &'static str, &'static str)> {
    let (fixed, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((fixed, name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments<'l>(pattern: &'static str, line: &'l str) -> Option<Arguments<'l>> {
        Pattern::new(pattern).arguments(line)
    }

    #[test]
    fn arguments_are_between_the_fixed_words() {
        let pattern = "{module}: Unknown symbol {symbol} (err {errno})";
        let found = vec![("module", "nfs"), ("symbol", "foo"), ("errno", "-2")];
        assert_eq!(arguments(pattern, "nfs: Unknown symbol foo (err -2)"), Some(found.clone()));
        assert_eq!(arguments(pattern, "module: nfs: Unknown symbol foo (err -2)"), Some(found));
        assert_eq!(arguments(pattern, ": Unknown symbol foo (err -2)"), None, "no module");
        assert_eq!(arguments(pattern, "nfs: Unknown symbol foo (err -2"), None, "cut");
        assert_eq!(arguments(pattern, "nfs: Unknown symbol foo"), None);
    }

    #[test]
    fn a_message_begins_with_a_word_and_ends_the_line() {
        let pattern = "decompression failed with status {status}";
        assert_eq!(arguments(pattern, "decompression failed with status 3"), Some(vec![("status", "3")]));
        assert!(arguments(pattern, "module: decompression failed with status 3").is_some());
        assert_eq!(arguments(pattern, "ZSTD-decompression failed with status 3"), None);
        assert_eq!(arguments("signaling remaining tasks", "signaling remaining tasks now"), None);
        assert!(
            arguments("size lookup failed for '{name}'", "size lookup failed for 'a' replacement").is_none()
        );
    }

    #[test]
    fn the_first_place_that_fits_is_taken() {
        assert_eq!(arguments("a {x} b", "a a b b"), Some(vec![("x", "a b")]));
        assert_eq!(arguments("is {x}.", "is no, is one."), Some(vec![("x", "no, is one")]));
        assert_eq!(arguments("{x}", "anything"), None, "no fixed text");
        assert_eq!(arguments("", ""), None);
    }
}
