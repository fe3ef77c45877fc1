//! What `relakit check` says of livepatches that are broken in one way each, and the documents that go with it.

#[cfg(test)]
mod ci;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod help;

use help::{Livepatch, check, livepatch};
use serde_json::Value;
use std::path::Path;
use std::{env, fs};

/// The life that every livepatch is asked about: its object comes, goes, and comes elsewhere.
const EVENTS: [&str; 6] =
    ["--event", "coming:demo_disk", "--event", "going:demo_disk", "--event", "coming:demo_disk"];

/// Livepatches with something wrong, and the rule that says so.
#[expect(clippy::arithmetic_side_effects, reason = "what overflows fails the test, as it should")]
fn broken() -> Vec<(&'static str, &'static str, Livepatch)> {
    let (text, early) = (26, 27);
    let flags = |section| livepatch().header(section, 8);
    let target = |section| livepatch().header(section, 44);
    let entry = |section, entry: usize| livepatch().content(section) + entry * 24;
    vec![
        ("unknown-symbol", "kernel-rejects", livepatch().unknown_symbol()),
        ("malformed-symbol", "kernel-rejects", livepatch().replace(24, b"demo_queue,0", b"demo_queue_0")),
        ("field-outside", "kernel-unsafe", livepatch().put(entry(text, 1), &0x7fff_0000u64.to_le_bytes())),
        // The last of three: the others are written by then.
        ("unknown-type", "half-applied", livepatch().put(entry(text, 2) + 8, &[99])),
        ("no-flag", "klp-name-without-flag", livepatch().put(flags(text), &0x42u64.to_le_bytes())),
        ("not-allocated", "late-not-allocated", livepatch().put(flags(text), &0x10_0040u64.to_le_bytes())),
        (
            // The key of a jump label, which is a vmlinux symbol's no more.
            "too-late",
            "late-into-special-section",
            livepatch()
                .put(target(28), &16u32.to_le_bytes())
                .put(entry(28, 0), &8u64.to_le_bytes())
                .put(entry(29, 0) + 8, &[0]),
        ),
        ("ambiguous", "sympos-missing", livepatch().replace(24, b"part_in_flight,2", b"part_in_flight,0")),
        (
            "init",
            "late-into-init",
            livepatch().put(target(28), &7u32.to_le_bytes()).put(entry(28, 0) + 8, &[0]),
        ),
        ("skipped", "klp-relocations-skipped", livepatch().put(target(early), &25u32.to_le_bytes())),
    ]
}

#[test]
fn broken_livepatches_are_told_as_they_were() {
    for (name, rule, livepatch) in broken() {
        let output = check(&livepatch, &EVENTS);
        let text = help::stdout(&output);
        assert!(text.contains(&format!("[{rule}]: ")), "{name}: {text}");
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/check-broken-{name}.txt"));
        if env::var_os("RELAKIT_BLESS").is_some_and(|bless| bless == "1") {
            fs::write(&path, text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: RELAKIT_BLESS=1 accepts what is printed now");
    }
}

#[test]
fn a_livepatch_with_nothing_wrong_is_one_line() {
    let output = check(&livepatch(), &EVENTS);
    assert_eq!(output.status.code(), Some(0), "{}", help::stdout(&output));
    assert_eq!(help::stdout(&output).lines().count(), 1);
}

#[test]
fn text_json_and_sarif_tell_the_same() {
    for (name, rule, livepatch) in broken() {
        let json = |format: &str| -> Value {
            let output = check(&livepatch, &[&EVENTS[..], &["--format", format]].concat());
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}, {format}: {error}"))
        };
        let (report, log) = (json("json"), json("sarif"));
        let count = |value: &Value| value.as_array().map_or(0, Vec::len);
        // What happens to a module after it failed follows from that.
        let failed = report["steps"].as_array().unwrap().iter().find(|step| step["verdict"] != "accepted");
        let errors = failed.map_or(0, |step| count(&step["errors"]));
        let results = log["runs"][0]["results"].as_array().unwrap();
        let expected = count(&report["errors"]) + errors + count(&report["findings"]);
        assert_eq!(results.len(), expected, "{name}: {log:#}");
        assert!(results.iter().any(|result| result["ruleId"] == rule), "{name}: {log:#}");
    }
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let (_, _, livepatch) = broken().swap_remove(0);
    assert!(!check(&livepatch, &EVENTS).stdout.contains(&0x1b));
    assert!(help::coloured(&livepatch, &EVENTS).stdout.contains(&0x1b));
}
