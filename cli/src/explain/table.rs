//! The table of messages: `messages.txt`, which says what its keys mean.

use super::pattern::{Arguments, Pattern};
use aho_corasick::AhoCorasick;
use serde::Serialize;

const TABLE: &str = include_str!("messages.txt");
/// The source files whose warnings are about modules and livepatches. All others are other messages.
const FILES: [&str; 7] = [
    "kernel/module",
    "kernel/livepatch/",
    "kernel/trace/ftrace.c",
    "kernel/jump_label.c",
    "kernel/static_call",
    "arch/x86/kernel/module.c",
    "arch/x86/kernel/alternative.c",
];

/// What the kernel does when it prints a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    /// The module is not loaded.
    Refuses,
    /// The module that a livepatch patches is not loaded.
    RefusesTarget,
    /// The kernel stops.
    Crashes,
    /// Something is wrong, and the kernel continues.
    Warns,
    /// Nothing is wrong.
    Tells,
}

/// A message of Linux.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) text: &'static str,
    pub(super) pattern: Pattern,
    /// The versions in whose source it was found.
    pub(super) linux: Vec<&'static str>,
    pub(super) effect: Effect,
    pub(super) errno: Option<&'static str>,
    /// Checks of the kernel and rules of relakit, by name.
    pub(super) checks: Vec<&'static str>,
    pub(super) means: &'static str,
    /// What to do. Otherwise, the checks say it.
    pub(super) to_do: Option<&'static str>,
    pub(super) next: &'static str,
}

impl Message {
    fn parse(block: &'static str) -> Option<Self> {
        let value = |key: &str| {
            let values = block.lines().filter_map(|line| line.split_once(' '));
            values.filter(|(found, _)| *found == key).map(|(_, value)| value).next()
        };
        let words = |key: &str| value(key).unwrap_or_default().split_whitespace().collect();
        let text = value("message")?;
        Some(Self {
            text,
            pattern: Pattern::new(text),
            linux: words("linux"),
            effect: match value("effect")? {
                "refuses" => Effect::Refuses,
                "refuses-target" => Effect::RefusesTarget,
                "crashes" => Effect::Crashes,
                "tells" => Effect::Tells,
                _ => Effect::Warns,
            },
            errno: value("errno"),
            checks: words("checks"),
            means: value("means")?,
            to_do: value("do"),
            next: value("next").unwrap_or("none"),
        })
    }
}

/// All messages, and a search for their fixed words.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) messages: Vec<Message>,
    keys: Option<AhoCorasick>,
}

impl Table {
    pub(super) fn new() -> Self {
        let messages: Vec<_> = TABLE.split("\n\n").filter_map(Message::parse).collect();
        let keys = AhoCorasick::new(messages.iter().map(|message| message.pattern.key())).ok();
        Self { messages, keys }
    }

    /// The message of a line: of those that match, the one with the most fixed words. Returns its
    /// number and its arguments.
    pub(super) fn find<'l>(&self, line: &'l str) -> Option<(usize, Arguments<'l>)> {
        let mut best: Option<(usize, usize, Arguments<'l>)> = None;
        for key in self.keys.as_ref()?.find_overlapping_iter(line) {
            let number = key.pattern().as_usize();
            let Some(message) = self.messages.get(number) else { continue };
            let weight = message.pattern.weight();
            if best.as_ref().is_none_or(|(most, ..)| *most < weight)
                && let Some(arguments) = message.pattern.arguments(line).filter(is_about_modules)
            {
                best = Some((weight, number, arguments));
            }
        }
        best.map(|(_, number, arguments)| (number, arguments))
    }
}

/// Whether the source file in a message, if there is one, is about modules. A place is a function, so a
/// colon in it belongs to a source file.
fn is_about_modules(arguments: &Arguments<'_>) -> bool {
    arguments.iter().all(|(name, value)| match *name {
        "file" => FILES.iter().any(|start| value.starts_with(start)),
        "place" => !value.contains(':'),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::checks;
    use std::collections::BTreeSet;

    /// Each line of the list: versions, file, function, macro, format string.
    const LIST: &str = include_str!("../../tests/messages/list.tsv");

    fn list() -> impl Iterator<Item = Vec<&'static str>> {
        LIST.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
    }

    /// The format string with arguments.
    fn printed(format: &str) -> String {
        let mut words = format.split('%');
        let mut line = words.next().unwrap().to_owned();
        for word in words {
            let flags = word.trim_start_matches(|c: char| "-+ #0123456789.*".contains(c));
            let size = flags.trim_start_matches(['h', 'l', 'L', 'z', 't']);
            let rest = match size.strip_prefix('p') {
                Some(kind) => kind.trim_start_matches(char::is_alphanumeric),
                None => size.get(1..).unwrap(),
            };
            line.push_str("x1");
            line.push_str(rest);
        }
        // A source file and a line.
        line.replace("x1:x1", "kernel/livepatch/core.c:x1")
    }

    /// All messages that match, with their weights.
    fn matches(table: &Table, line: &str) -> Vec<(usize, &'static str)> {
        let all = table.messages.iter().filter(|message| message.pattern.arguments(line).is_some());
        let mut all: Vec<_> = all.map(|message| (message.pattern.weight(), message.text)).collect();
        all.sort_unstable();
        all.reverse();
        all
    }

    #[test]
    fn every_message_of_linux_is_recognised_as_exactly_one_row_with_its_versions() {
        let table = Table::new();
        let mut versions = vec![BTreeSet::new(); table.messages.len()];
        for row in list() {
            let line = printed(row[4]);
            let all = matches(&table, &line);
            assert!(!all.is_empty(), "{}: {}: add a row for {line:?}", row[1], row[2]);
            assert!(all.len() == 1 || all[0].0 > all[1].0, "{line:?}: {all:#?}");
            let (number, _) = table.find(&line).unwrap();
            assert_eq!(table.messages[number].text, all[0].1, "{line:?}");
            versions[number].extend(row[0].split(' '));
        }
        for (message, found) in table.messages.iter().zip(versions) {
            assert!(!found.is_empty(), "no version of Linux prints {:?}", message.text);
            assert_eq!(message.linux.iter().copied().collect::<BTreeSet<_>>(), found, "{}", message.text);
        }
    }

    #[test]
    fn a_prefix_of_the_kernel_does_not_change_the_row() {
        let table = Table::new();
        for row in list() {
            let line = printed(row[4]);
            let prefixed = format!("livepatch: {line}");
            assert_eq!(
                table.find(&line).map(|(number, _)| number),
                table.find(&prefixed).map(|(number, _)| number),
                "{prefixed}"
            );
        }
    }

    #[test]
    fn every_row_is_complete_and_names_checks_that_exist() {
        let table = Table::new();
        assert_eq!(table.messages.len(), TABLE.lines().filter(|line| line.starts_with("message ")).count());
        for message in &table.messages {
            let Message { text, means, to_do, checks, .. } = message;
            assert!(means.ends_with('.'), "{text}");
            assert!(to_do.is_none_or(|text| text.ends_with('.')), "{text}");
            assert!(to_do.is_some() || checks::to_do(checks).is_some(), "{text}: what to do?");
            for name in checks {
                assert!(checks::find(name).is_some() || crate::rules::page(name).is_some(), "{text}: {name}");
            }
            if let Some(errno) = message.errno {
                assert!(super::super::errno::named(errno).is_some(), "{text}: {errno}");
            }
            let refuses = matches!(message.effect, Effect::Refuses | Effect::RefusesTarget);
            assert!(refuses || message.errno.is_none(), "{text}: an errno, and the module is loaded");
        }
    }

    #[test]
    fn the_errno_of_a_message_is_that_of_its_checks() {
        for message in Table::new().messages {
            let Some(errno) = message.errno else { continue };
            let known: Vec<_> = message.checks.iter().filter_map(|name| checks::find(name)).collect();
            // /sys/module has the name of a module that is not in the list of modules.
            let is_other = message.text.ends_with("module is already loaded");
            // sysfs refuses the empty name of an object with another errno than that of the check.
            let agrees = known.is_empty() || known.iter().any(|check| check.errno == errno);
            assert!(agrees || is_other, "{}: {errno}, {known:?}", message.text);
        }
    }

    #[test]
    fn other_lines_are_not_recognised() {
        let table = Table::new();
        for line in [
            "",
            "usb 1-1: new high-speed USB device number 2",
            "WARNING: CPU: 0 PID: 1 at net/core/dev.c:12 netif_x+0x1/0x2",
            "nfs: loading",
            "livepatch: x",
            "{module}",
        ] {
            assert!(table.find(line).is_none(), "{line}");
        }
    }
}
