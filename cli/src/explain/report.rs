//! What `relakit explain` prints, as JSON has it.

use super::checks::{self, Check};
use super::errno::Errno;
use super::log::{self, Read};
use super::table::{Effect, Message, Table};
use crate::rules::{self, Rule};
use serde::Serialize;

/// What the user asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Asked {
    Rules,
    Rule,
    Check,
    Errno,
    Message,
    Log,
}

#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    pub(super) asked: Asked,
    /// The argument. Null for the list of rules.
    pub(super) of: Option<String>,
    pub(super) rules: Vec<RuleRow>,
    pub(super) errno: Option<Errno>,
    pub(super) checks: Vec<Check>,
    pub(super) messages: Vec<MessageRow>,
    /// The lines that were read.
    pub(super) lines: Option<Lines>,
    /// The commands that find out more, in the order of the messages.
    pub(super) next: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RuleRow {
    pub(super) name: &'static str,
    pub(super) severity: &'static str,
    pub(super) message: &'static str,
    /// The page in Markdown. The list of rules has none.
    pub(super) page: Option<&'static str>,
}

/// A message of Linux, and where it is in the log.
#[derive(Debug, Serialize)]
pub(super) struct MessageRow {
    /// The message. An argument is a word in braces.
    pub(super) message: &'static str,
    /// The versions of Linux in whose source relakit knows it.
    pub(super) linux: Vec<&'static str>,
    pub(super) effect: Effect,
    /// What the load returns, if it is always the same.
    pub(super) errno: Option<&'static str>,
    /// Names of checks and rules, which relakit explain explains.
    pub(super) checks: Vec<&'static str>,
    pub(super) means: &'static str,
    #[serde(rename = "do")]
    pub(super) to_do: String,
    pub(super) next: Option<String>,
    /// Where it is in the log.
    pub(super) seen: Option<Seen>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    /// How many lines have this message.
    pub(super) count: u64,
    /// The number of the first line, from 1.
    pub(super) line: u64,
    /// The first line, without time and host.
    pub(super) first: String,
    /// The modules and livepatches that the lines name, and the number of those that are not listed.
    pub(super) modules: Vec<String>,
    pub(super) more_modules: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Lines {
    pub(super) known: u64,
    /// Lines of other messages.
    pub(super) other: u64,
}

impl Explanation {
    fn new(asked: Asked, of: Option<&str>) -> Self {
        Self {
            asked,
            of: of.map(log::shown),
            rules: Vec::new(),
            errno: None,
            checks: Vec::new(),
            messages: Vec::new(),
            lines: None,
            next: Vec::new(),
        }
    }

    pub(super) fn of_rules() -> Self {
        let rules = rules::rules().map(|rule| RuleRow::new(rule, None)).collect();
        Self { rules, ..Self::new(Asked::Rules, None) }
    }

    pub(super) fn of_rule(rule: Rule) -> Self {
        let rules = vec![RuleRow::new(rule, rules::page(rule.name))];
        Self { rules, ..Self::new(Asked::Rule, Some(rule.name)) }
    }

    /// A check, and the messages that Linux prints for it.
    pub(super) fn of_check(check: Check, table: &Table) -> Self {
        let kind = check.kind.clone();
        let is_of = |message: &&Message| message.checks.iter().any(|name| *name == kind);
        let messages = table.messages.iter().filter(is_of).map(MessageRow::new).collect();
        Self { checks: vec![check], messages, ..Self::new(Asked::Check, Some(&kind)) }
    }

    /// The checks that return an errno, and the messages that come with it.
    pub(super) fn of_errno(errno: Errno, table: &Table) -> Self {
        let checks = checks::all().into_iter().filter(|check| check.errno == errno.name).collect();
        let is_of = |message: &&Message| message.errno == Some(errno.name);
        let messages = table.messages.iter().filter(is_of).map(MessageRow::new).collect();
        Self { errno: Some(errno), checks, messages, ..Self::new(Asked::Errno, Some(errno.name)) }
    }

    /// The known lines of a log, each message once, in the order of their first lines.
    pub(super) fn of_log(asked: Asked, of: &str, bytes: &[u8], table: &Table) -> Self {
        let Read { found, lines, others } = log::read(bytes, table);
        let mut next: Vec<String> = Vec::new();
        let mut messages = Vec::new();
        for (number, found) in found {
            let Some(message) = table.messages.get(number) else { continue };
            let command = super::next::command(message.next, &found.names, &others);
            if let Some(command) = command.as_ref().filter(|command| !next.contains(command)) {
                next.push(command.clone());
            }
            messages.push(MessageRow { next: command, seen: Some(found.seen), ..MessageRow::new(message) });
        }
        Self { messages, lines: Some(lines), next, ..Self::new(asked, Some(of)) }
    }

    /// Whether nothing in a log is known.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_some_and(|lines| lines.known == 0)
    }
}

impl RuleRow {
    const fn new(rule: Rule, page: Option<&'static str>) -> Self {
        Self { name: rule.name, severity: rule.severity.name(), message: rule.message, page }
    }
}

impl MessageRow {
    fn new(message: &Message) -> Self {
        let names = super::next::Names::default();
        Self {
            message: message.text,
            linux: message.linux.clone(),
            effect: message.effect,
            errno: message.errno,
            checks: message.checks.clone(),
            means: message.means,
            to_do: match message.to_do {
                Some(text) => text.to_owned(),
                None => checks::to_do(&message.checks).unwrap_or_default(),
            },
            next: super::next::command(message.next, &names, &names),
            seen: None,
        }
    }
}
