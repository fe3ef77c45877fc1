//! The explanation as text.

use super::checks::Check;
use super::errno::Errno;
use super::report::{Asked, Explanation, MessageRow, RuleRow, Seen};
use super::table::Effect;
use crate::console;
use crate::output::text::table::{Column, Table, plain};
use crate::view::names::plural;
use std::io::{self, Write};

/// Width of a line, in columns.
const WIDTH: usize = 80;

pub(super) fn print(explanation: &Explanation, mut out: &mut dyn Write) -> io::Result<()> {
    match (explanation.asked, explanation.rules.as_slice()) {
        (Asked::Rules, rules) => list(rules, out),
        (Asked::Rule, rules) => rules.iter().try_for_each(|rule| page(rule.page.unwrap_or_default(), out)),
        (Asked::Check, _) => {
            explanation.checks.iter().try_for_each(|check| one_check(check, out))?;
            patterns("Messages in the log", &explanation.messages, out)
        }
        (Asked::Errno, _) => {
            explanation.errno.iter().try_for_each(|errno| introduction(*errno, out))?;
            checks(&explanation.checks, &mut out)?;
            patterns("Messages in the log that come with it", &explanation.messages, out)
        }
        (Asked::Message | Asked::Log, _) => log(explanation, out),
    }
}

fn list(rules: &[RuleRow], out: &mut dyn Write) -> io::Result<()> {
    let width = rules.iter().map(|rule| rule.name.len()).max().unwrap_or_default();
    rules.iter().try_for_each(|RuleRow { name, severity, message, .. }| {
        writeln!(out, "{name:width$}  {severity:7}  {message}")
    })
}

/// Prints Markdown as it is, with headings in bold.
fn page(page: &str, out: &mut dyn Write) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    let mut in_example = false;
    page.lines().try_for_each(|line| {
        in_example ^= line.starts_with("```");
        match line.starts_with('#') && !in_example {
            true => writeln!(out, "{bold}{line}{bold:#}"),
            false => writeln!(out, "{line}"),
        }
    })
}

fn heading(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let bold = anstyle::Style::new().bold();
    writeln!(out, "{bold}{text}{bold:#}")
}

/// Prints a sentence with an indent, in lines of at most [`WIDTH`] columns. A longer word has a line of
/// its own.
fn prose(indent: usize, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = indent.saturating_add(line.len()).saturating_add(word.len());
        if !line.is_empty() && length >= WIDTH {
            writeln!(out, "{:indent$}{line}", "")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "{:indent$}{line}", "") }
}

fn one_check(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    heading(&check.kind, out)?;
    prose(2, &format!("{}.", check.message), out)?;
    writeln!(out, "  Linux returns {} in the phase {}.", check.errno, check.phase)?;
    if let Some(since) = &check.since {
        writeln!(out, "  Linux {since} and later make this check.")?;
    }
    if let Some(to_do) = check.to_do {
        prose(2, &format!("What to do: {to_do}."), out)?;
    }
    writeln!(out, "  Page: relakit explain kernel-rejects")
}

fn introduction(errno: Errno, out: &mut dyn Write) -> io::Result<()> {
    heading(&format!("{} ({})", errno.name, errno.number), out)?;
    prose(2, &format!("insmod and modprobe print: {}", errno.programs), out)
}

fn checks(checks: &[Check], mut out: &mut &mut dyn Write) -> io::Result<()> {
    if checks.is_empty() {
        return prose(2, "None of the checks that relakit knows returns it.", out);
    }
    let mut table = Table::new([Column::Text("Check"), Column::Text("Phase"), Column::Prose("Message")]);
    for check in checks {
        table.row(vec![plain(&check.kind), plain(check.phase), plain(&check.message)]);
    }
    table.print(&mut out, "Checks that return it")?;
    writeln!(out, "\nrelakit explain CHECK says what to do.")
}

fn patterns(title: &str, messages: &[MessageRow], out: &mut dyn Write) -> io::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    heading(title, out)?;
    messages.iter().try_for_each(|row| prose(2, row.message, out))
}

fn log(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let is_log = explanation.asked == Asked::Log;
    if explanation.is_empty() {
        let what = if is_log { "no line of the log is" } else { "the line is not" };
        return prose(
            0,
            &format!("{what} a message of module loading, relocation or livepatch that relakit knows"),
            out,
        );
    }
    for row in &explanation.messages {
        message(row, is_log, out)?;
        writeln!(out)?;
    }
    if is_log && !explanation.next.is_empty() {
        heading("What to run next", out)?;
        explanation.next.iter().try_for_each(|command| writeln!(out, "  {command}"))?;
        writeln!(out)?;
    }
    match explanation.lines {
        Some(lines) if is_log && !console::is_quiet() => {
            writeln!(out, "{} explained, {} not known", plural(lines.known, "line"), lines.other)
        }
        _ => Ok(()),
    }
}

fn message(row: &MessageRow, is_log: bool, out: &mut dyn Write) -> io::Result<()> {
    let tone = match row.effect {
        Effect::Refuses | Effect::RefusesTarget | Effect::Crashes => Some(anstyle::AnsiColor::Red),
        Effect::Warns => Some(anstyle::AnsiColor::Yellow),
        Effect::Tells => None,
    };
    let style = tone.map_or_else(anstyle::Style::new, |tone| tone.on_default()).bold();
    let first = row.seen.as_ref().map_or(row.message, |seen| seen.first.as_str());
    writeln!(out, "{style}{first}{style:#}")?;
    if let Some(seen) = row.seen.as_ref().filter(|_| is_log) {
        prose(2, &place(seen), out)?;
    }
    prose(2, &effect(row), out)?;
    prose(2, row.means, out)?;
    if row.effect != Effect::Tells {
        prose(2, &format!("What to do: {}", row.to_do), out)?;
    }
    if !row.checks.is_empty() {
        let pages: Vec<_> = row.checks.iter().map(|name| format!("relakit explain {name}")).collect();
        prose(2, &format!("Read: {}", pages.join(", ")), out)?;
    }
    match &row.next {
        Some(next) if !is_log => writeln!(out, "  Run: {next}"),
        _ => Ok(()),
    }
}

/// Where a message is in the log.
fn place(seen: &Seen) -> String {
    let mut text = match seen.count {
        1 => format!("Line {}", seen.line),
        count => format!("{count} lines, the first is line {}", seen.line),
    };
    if !seen.modules.is_empty() {
        text.push_str(&format!("; names {}", seen.modules.join(", ")));
    }
    if seen.more_modules > 0 {
        text.push_str(" and more");
    }
    text.push('.');
    text
}

fn effect(row: &MessageRow) -> String {
    let effect = match (row.effect, row.errno) {
        (Effect::Refuses, Some(errno)) => format!("Linux refuses the module: {errno}"),
        (Effect::Refuses, None) => "Linux refuses the module".to_owned(),
        (Effect::RefusesTarget, _) => "Linux refuses the module that the livepatch patches".to_owned(),
        (Effect::Crashes, _) => "The kernel crashes".to_owned(),
        (Effect::Warns, _) => "The kernel warns and continues".to_owned(),
        (Effect::Tells, _) => "Nothing is wrong".to_owned(),
    };
    format!("{effect} (known in Linux {}).", row.linux.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(indent: usize, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        prose(indent, text, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn prose_has_lines_of_at_most_80_columns() {
        let text = "word ".repeat(40);
        let all = lines(2, &text);
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|line| line.len() <= WIDTH && line.starts_with("  word")), "{all:#?}");
        assert_eq!(lines(2, &format!("{} b", "a".repeat(76))), [format!("  {} b", "a".repeat(76))]);
        assert_eq!(lines(2, &format!("{} b", "a".repeat(77))).len(), 2);
        assert_eq!(lines(2, ""), [""; 0]);
        assert_eq!(lines(0, &"a".repeat(100)).len(), 1, "a long word is not cut");
    }
}
