//! The statuses that the header documents for each function, read from the header itself.

use relakit_ffi::{RELAKIT_NOT_FOUND, RELAKIT_OK};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const HEADER: &str = include_str!("../../../include/relakit.h");

/// After these words the name of a function stands for what that one answers.
const REFERS: [&[&str]; 4] = [&["what"], &["see"], &["as", "in"], &["returned", "are", "those", "of"]];

type Statuses = BTreeSet<i32>;

/// Whether the header says that `function` may answer `status`.
pub fn is_documented(function: &str, status: i32) -> bool {
    static ALL: LazyLock<BTreeMap<&str, Statuses>> = LazyLock::new(|| {
        let header = Header::read();
        header.texts.keys().map(|function| (*function, header.statuses(function))).collect()
    });
    [RELAKIT_OK, RELAKIT_NOT_FOUND].contains(&status) || ALL[function].contains(&status)
}

struct Header {
    numbers: BTreeMap<&'static str, i32>,
    /// The text above each function, as words.
    texts: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Header {
    fn read() -> Self {
        let numbers = HEADER.lines().filter_map(|line| {
            let (name, number) = line.strip_prefix("#define RELAKIT_ERR_")?.split_once(' ')?;
            Some((name, number.trim().parse().ok()?))
        });
        let texts = HEADER.split("/**").filter_map(|part| {
            let (text, code) = part.split_once("*/")?;
            let function = code.split_once('(')?.0.split_whitespace().last()?.trim_start_matches('*');
            let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
            let words = text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).collect();
            function.starts_with("relakit_").then_some((function, words))
        });
        Self { numbers: numbers.collect(), texts: texts.collect() }
    }

    fn text(&self, function: &str) -> &[&'static str] {
        self.texts.get(function).expect("the header documents every function")
    }

    fn statuses(&self, function: &str) -> Statuses {
        let mut statuses = self.statuses_in(self.text(function));
        if function.starts_with("relakit_module_") {
            statuses.append(&mut self.of_all_modules());
        }
        statuses
    }

    /// What a text lists: "RELAKIT_ERR_A, _B", "RELAKIT_ERR_A to RELAKIT_ERR_B", "what
    /// relakit_other returns".
    fn statuses_in(&self, words: &[&str]) -> Statuses {
        let number = |word: &str| {
            let name = word.strip_prefix("RELAKIT_ERR_").or_else(|| word.strip_prefix('_'))?;
            self.numbers.get(name).copied()
        };
        let mut statuses = Statuses::new();
        for (at, word) in words.iter().enumerate() {
            let after = &words[at + 1..];
            if let Some(first) = number(word) {
                let last = after.first().filter(|word| **word == "to").and(after.get(1));
                let last = last.and_then(|word| number(word)).unwrap_or(first);
                statuses.extend(last..=first);
            } else if self.texts.contains_key(word) {
                let refers = REFERS.iter().any(|refers| words[..at].ends_with(refers));
                // "What relakit_module_init says of all functions" is not what that one answers.
                if refers && after.first() != Some(&"says") {
                    statuses.append(&mut self.statuses(word));
                }
            }
        }
        statuses
    }

    /// What every function that takes a module answers; the text about it stands with the one that
    /// makes modules.
    fn of_all_modules(&self) -> Statuses {
        let words = self.text("relakit_module_init");
        let at = |pair: [&str; 2]| words.windows(2).position(|words| words == pair).expect("in the header");
        self.statuses_in(&words[at(["and", "answers"])..at(["This", "one"])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relakit_ffi::*;

    #[test]
    fn the_header_is_read_as_people_read_it() {
        for (function, status, is) in [
            ("relakit_apply", RELAKIT_ERR_SYMBOLS, true),
            ("relakit_apply", RELAKIT_ERR_TARGET_MISMATCH, false),
            ("relakit_apply", RELAKIT_ERR_ORDER, false),
            ("relakit_clear", RELAKIT_ERR_TARGET_MISMATCH, true),
            ("relakit_clear", RELAKIT_ERR_PARTIAL_ENTRY, true),
            ("relakit_dry_run", RELAKIT_ERR_FIELDS_NOT_ASCENDING, true),
            ("relakit_clear_relocate_add", RELAKIT_ERR_TARGET_OVERLAPS, true),
            ("relakit_klp_apply", RELAKIT_ERR_NO_SUCH_SECTION, true),
            ("relakit_klp_apply", RELAKIT_ERR_BUSY, false),
            ("relakit_module_init", RELAKIT_ERR_NO_SYMBOL_TABLE, true),
            ("relakit_module_init", RELAKIT_ERR_STATE_TOO_SHORT, true),
            ("relakit_module_assign", RELAKIT_ERR_BUSY, true),
            ("relakit_module_assign", RELAKIT_ERR_STATE_TOO_SHORT, false),
            ("relakit_module_assign", RELAKIT_ERR_TRUNCATED, false),
            ("relakit_module_early", RELAKIT_ERR_REL_SECTION, true),
            ("relakit_module_early", RELAKIT_ERR_TARGET_MISMATCH, true),
            ("relakit_module_early", RELAKIT_ERR_SECTION_MOVED, false),
            ("relakit_module_going", RELAKIT_ERR_NOT_LIVE, true),
            ("relakit_module_going", RELAKIT_ERR_ALREADY_LIVE, false),
            ("relakit_module_section", RELAKIT_ERR_NO_SUCH_SECTION, true),
            ("relakit_module_section", RELAKIT_ERR_ORDER, true),
            ("relakit_module_describe", RELAKIT_ERR_NO_SUCH_SECTION, false),
        ] {
            assert_eq!(is_documented(function, status), is, "{function} {status}");
        }
    }
}
