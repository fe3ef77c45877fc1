//! Reads a log: which lines are known messages.

use super::line;
use super::next::Names;
use super::report::{Lines, Seen};
use super::table::Table;
use crate::view::names::{IN_SENTENCE, shorten};
use std::collections::{BTreeSet, HashMap};

/// Most modules that are listed for a message.
const MODULES: usize = 20;
/// Most characters of a line that is printed.
const LINE: usize = 300;

/// A message in the log.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) seen: Seen,
    /// The names in its first line.
    pub(super) names: Names,
}

#[derive(Debug)]
pub(super) struct Read {
    /// The messages by their number in the table, in the order of their first lines.
    pub(super) found: Vec<(usize, Found)>,
    pub(super) lines: Lines,
    /// Names that are clear from the whole log, because there is only one of the kind.
    pub(super) others: Names,
}

/// Reads the lines of a log. Of a longer line, only the first bytes count.
pub(super) fn read(bytes: &[u8], table: &Table) -> Read {
    let mut found: Vec<(usize, Found)> = Vec::new();
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut all_modules: HashMap<usize, BTreeSet<String>> = HashMap::new();
    let mut clear = Clear::default();
    let mut lines = Lines { known: 0, other: 0 };
    for (number, bytes) in (1u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = String::from_utf8_lossy(bytes.get(..line::LONGEST).unwrap_or(bytes));
        let message = line::message(&text);
        if message.is_empty() {
            continue;
        }
        let Some((row, arguments)) = table.find(message) else {
            lines.other = lines.other.saturating_add(1);
            continue;
        };
        lines.known = lines.known.saturating_add(1);
        let names = Names::of(&arguments);
        clear.add(&names);
        let place = *places.entry(row).or_insert_with(|| {
            let seen =
                Seen { count: 0, line: number, first: shown(message), modules: Vec::new(), more_modules: 0 };
            found.push((row, Found { seen, names: names.clone() }));
            found.len().saturating_sub(1)
        });
        let Some((_, Found { seen, .. })) = found.get_mut(place) else { continue };
        seen.count = seen.count.saturating_add(1);
        let known = all_modules.entry(row).or_default();
        for name in [names.patch, names.module, names.object].into_iter().flatten() {
            // A hostile log can have a new name in each line.
            if known.len() >= MODULES {
                let is_new = u64::from(!known.contains(&name));
                seen.more_modules = seen.more_modules.saturating_add(is_new);
            } else if known.insert(name.clone()) {
                seen.modules.push(name);
            }
        }
    }
    Read { found, lines, others: clear.names() }
}

/// A text from a log, without control characters, and not too long.
pub(super) fn shown(text: &str) -> String {
    let plain: String = text.chars().take(LINE.saturating_mul(2)).flat_map(printable).collect();
    shorten(plain, LINE)
}

/// Escapes what a terminal would interpret, and everything that is not ASCII.
fn printable(letter: char) -> impl Iterator<Item = char> {
    let is_plain = letter == ' ' || letter.is_ascii_graphic();
    let plain = is_plain.then_some(letter);
    let escaped = (!is_plain).then(|| letter.escape_default());
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// The names of each kind in the log, as long as there is only one.
#[derive(Debug, Default)]
struct Clear {
    module: One,
    patch: One,
    object: One,
}

#[derive(Debug, Default)]
enum One {
    #[default]
    None,
    Name(String),
    Several,
}

impl One {
    fn add(&mut self, name: Option<&String>) {
        let Some(name) = name else { return };
        match self {
            Self::None => *self = Self::Name(name.clone()),
            Self::Name(known) if known != name => *self = Self::Several,
            Self::Name(_) | Self::Several => {}
        }
    }

    fn name(self) -> Option<String> {
        match self {
            Self::Name(name) if name.len() <= IN_SENTENCE => Some(name),
            _ => None,
        }
    }
}

impl Clear {
    fn add(&mut self, names: &Names) {
        self.module.add(names.module.as_ref());
        self.patch.add(names.patch.as_ref());
        self.object.add(names.object.as_ref());
    }

    fn names(self) -> Names {
        Names { module: self.module.name(), patch: self.patch.name(), object: self.object.name() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_once_with_all_its_modules() {
        let log = "nfs: module is already loaded\n\nother\nfs: module is already loaded\nnfs: module is already loaded";
        let read = read(log.as_bytes(), &Table::new());
        let [(_, Found { seen, names })] = read.found.as_slice() else { panic!("{read:?}") };
        assert_eq!((seen.count, seen.line), (3, 1));
        assert_eq!(seen.modules, ["nfs", "fs"]);
        assert_eq!(names.module.as_deref(), Some("nfs"));
        assert_eq!(read.lines, Lines { known: 3, other: 1 });
        assert_eq!(read.others, Names::default(), "two modules");
    }

    #[test]
    fn only_some_modules_are_listed() {
        let lines: String = (0..MODULES + 5).map(|n| format!("m{n}: module is already loaded\n")).collect();
        let read = read(lines.as_bytes(), &Table::new());
        let seen = &read.found[0].1.seen;
        assert_eq!((seen.modules.len(), seen.more_modules), (MODULES, 5));
    }

    #[test]
    fn a_line_is_printed_without_control_characters() {
        assert_eq!(shown("a \u{1b}[31mred\u{7} \u{e9}"), "a \\u{1b}[31mred\\u{7} \\u{e9}");
        assert_eq!(shown(&"x".repeat(5000)).len(), LINE);
    }
}
