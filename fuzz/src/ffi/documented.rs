//! The statuses that the header documents for each function, read from the header itself.

use relakit_ffi::{RELAKIT_NOT_FOUND, RELAKIT_OK};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

const HEADER: &str = include_str!("../../../include/relakit.h");

/// After these words the name of a function stands for the errors of that function.
const REFERS: [&str; 2] = ["as", "in"];

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
    /// The functions that take struct relakit_options.
    has_options: BTreeSet<&'static str>,
}

impl Header {
    fn read() -> Self {
        let numbers = HEADER.lines().filter_map(|line| {
            let (name, number) = line.strip_prefix("#define RELAKIT_ERR_")?.split_once(' ')?;
            Some((name, number.trim_matches(['(', ')']).parse().ok()?))
        });
        let texts = HEADER.split("/**").filter_map(|part| {
            let (text, code) = part.split_once("*/")?;
            let function = code.split_once('(')?.0.split_whitespace().last()?.trim_start_matches('*');
            let options = code.split_once(");")?.0.contains("struct relakit_options");
            function.starts_with("relakit_").then_some((function, words(text), options))
        });
        let texts: Vec<_> = texts.collect();
        let has_options = texts.iter().filter(|(_, _, options)| *options).map(|(name, ..)| *name).collect();
        let texts = texts.into_iter().map(|(function, words, _)| (function, words)).collect();
        Self { numbers: numbers.collect(), texts, has_options }
    }

    fn text(&self, function: &str) -> &[&'static str] {
        self.texts.get(function).expect("the header documents every function")
    }

    /// What the text of a function lists, and the groups of errors that apply to it.
    fn statuses(&self, function: &str) -> Statuses {
        let words = self.text(function);
        let names = |group: [&str; 2]| words.windows(2).any(|words| words == group);
        let mut statuses = self.statuses_in(words);
        for (group, applies) in [
            ("Argument errors.", true),
            ("Option errors.", self.has_options.contains(function)),
            ("Module errors.", function.starts_with("relakit_module_")),
            ("Pass errors.", names(["pass", "error"])),
            ("Livepatch symbol errors.", names(["symbol", "error"])),
        ] {
            if applies {
                statuses.append(&mut self.statuses_in(&group_words(group)));
            }
        }
        statuses
    }

    /// What a text lists: "RELAKIT_ERR_A", "an error as in relakit_other".
    fn statuses_in(&self, words: &[&str]) -> Statuses {
        let number = |word: &str| self.numbers.get(word.strip_prefix("RELAKIT_ERR_")?).copied();
        let mut statuses = Statuses::new();
        for (at, word) in words.iter().enumerate() {
            if let Some(number) = number(word) {
                statuses.insert(number);
            } else if self.texts.contains_key(word) && words[..at].ends_with(&REFERS) {
                statuses.append(&mut self.statuses(word));
            }
        }
        statuses
    }
}

/// The words of an item of the list "Groups of errors that several functions return" in the header.
fn group_words(title: &str) -> Vec<&'static str> {
    let (_, text) = HEADER.split_once(&format!(" * - {title}")).expect("in the header");
    let end = ["\n * - ", "*/"].iter().filter_map(|end| text.find(end)).min().expect("it ends");
    words(&text[..end])
}

fn words(text: &'static str) -> Vec<&'static str> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).collect()
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
            ("relakit_apply", RELAKIT_ERR_PROFILE, true),
            ("relakit_apply", RELAKIT_ERR_OVERFLOW, true),
            ("relakit_apply", RELAKIT_ERR_RESOLVER, true),
            ("relakit_module_assign", RELAKIT_ERR_PROFILE, false),
            ("relakit_module_assign", RELAKIT_ERR_OVERFLOW, false),
            ("relakit_module_fill", RELAKIT_ERR_ASSIGNED_SIZE, true),
            ("relakit_klp_clear", RELAKIT_ERR_NOT_RELOCATIONS, true),
            ("relakit_module_going", RELAKIT_ERR_RESOLVER, false),
            ("relakit_module_coming", RELAKIT_ERR_RESOLVER, true),
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
            ("relakit_module_early", RELAKIT_ERR_TARGET_MISMATCH, false),
            ("relakit_module_early", RELAKIT_ERR_SECTION_MOVED, false),
            ("relakit_module_going", RELAKIT_ERR_NOT_LIVE, true),
            ("relakit_module_going", RELAKIT_ERR_ALREADY_LIVE, false),
            ("relakit_module_section", RELAKIT_ERR_NO_SUCH_SECTION, true),
            ("relakit_module_section", RELAKIT_ERR_ORDER, true),
            ("relakit_module_describe", RELAKIT_ERR_NO_SUCH_SECTION, false),
            ("relakit_module_layout", RELAKIT_ERR_ADDRESS_MISALIGNED, true),
            ("relakit_module_layout", RELAKIT_ERR_ADDRESS_WRAPS, false),
            ("relakit_verify", RELAKIT_ERR_PARTIAL_ENTRY, true),
            ("relakit_verify", RELAKIT_ERR_READER, true),
            ("relakit_module_apply_late", RELAKIT_ERR_KLP_NOT_FOUND, true),
            ("relakit_module_apply_late", RELAKIT_ERR_READER, false),
            ("relakit_module_is_applied", RELAKIT_ERR_NOT_PLAIN, true),
            ("relakit_module_verify", RELAKIT_ERR_NOT_ASSIGNED, false),
            ("relakit_module_patch_sites", RELAKIT_ERR_READER, false),
            ("relakit_module_allowed_patch", RELAKIT_ERR_NOT_ASSIGNED, true),
            ("relakit_module_addresses", RELAKIT_ERR_LAYOUT_TOO_LARGE, true),
        ] {
            assert_eq!(is_documented(function, status), is, "{function} {status}");
        }
    }
}
