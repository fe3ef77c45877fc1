//! What programs and the kernel write before a message in a log.

/// Longest line that is compared with messages, in bytes. The kernel's own limit is 1024.
pub(super) const LONGEST: usize = 4096;

/// The message of a line: without level, time, host and program.
pub(super) fn message(line: &str) -> &str {
    let mut text = line.trim();
    // Each form appears once, in an order that depends on the program.
    for _ in 0..4 {
        let before = text.len();
        text = without_prefix(text).trim_start();
        if text.len() == before {
            break;
        }
    }
    text
}

fn without_prefix(text: &str) -> &str {
    level(text).or_else(|| time(text)).or_else(|| facility(text)).or_else(|| journal(text)).unwrap_or(text)
}

/// `<3>` of /dev/kmsg and dmesg --raw.
fn level(text: &str) -> Option<&str> {
    let (level, rest) = text.strip_prefix('<')?.split_once('>')?;
    (!level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// `[   12.345678]`, `[Mon Nov 30 21:14:04 2026]` of dmesg -T, and `[    T1]` for the task or CPU.
fn time(text: &str) -> Option<&str> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_time = inside.contains(['.', ':']) && inside.bytes().any(|byte| byte.is_ascii_digit());
    let id = inside.trim_start().strip_prefix(['T', 'C']);
    let is_caller = id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
    let is_short = inside.len() <= 40
        && inside.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .:+-,".contains(&byte));
    (is_short && (is_time || is_caller)).then_some(rest)
}

/// `kern  :warn  :` of dmesg --decode.
fn facility(text: &str) -> Option<&str> {
    let (level, rest) = text.strip_prefix("kern")?.trim_start().strip_prefix(':')?.split_once(':')?;
    level.trim().bytes().all(|byte| byte.is_ascii_lowercase()).then_some(rest)
}

/// `Nov 30 21:14:04 host kernel:` of journalctl and syslog. The time has digits.
fn journal(text: &str) -> Option<&str> {
    const LONGEST: usize = 160;
    let (before, rest) = text.split_once("kernel: ")?;
    let has_time = before.bytes().any(|byte| byte.is_ascii_digit());
    (before.ends_with(' ') && has_time && before.len() <= LONGEST).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_a_message_is_removed() {
        for line in [
            "nfs: module is already loaded",
            "<3>nfs: module is already loaded",
            "<3>[   12.345678] nfs: module is already loaded",
            "[   12.345678] nfs: module is already loaded\r",
            "[   12.345678][    T1] nfs: module is already loaded",
            "[   12.345678][  T123] nfs: module is already loaded",
            "[Mon Nov 30 21:14:04 2026] nfs: module is already loaded",
            "kern  :err   : [   12.345678] nfs: module is already loaded",
            "kern  :err   : nfs: module is already loaded",
            "Nov 30 21:14:04 host kernel: nfs: module is already loaded",
            "Nov 30 21:14:04 host kernel: [   12.345678] nfs: module is already loaded",
            "2026-11-30T21:14:04+00:00 host kernel: nfs: module is already loaded",
        ] {
            assert_eq!(message(line), "nfs: module is already loaded", "{line}");
        }
    }

    #[test]
    fn what_belongs_to_a_message_stays() {
        for line in [
            "[7] a at ff is not sorted with b at ee",
            "<p> x",
            "nfs: bad vermagic: kernel tainted.",
            "kernel: nothing before it",
            "[very long text with: a colon and 1 number that is no time] x",
            "",
        ] {
            assert_eq!(message(line), line);
        }
    }
}
