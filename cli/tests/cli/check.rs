//! `relakit check` on livepatches that have one mistake each.

use super::help::{Demo, Folder, code, json, snapshot, stdout};
use serde_json::Value;
use std::process::{Command, Output};

/// The target module is loaded, unloaded, and loaded again.
const EVENTS: &str = "--event coming:demo_disk --event going:demo_disk --event coming:demo_disk";

fn demo() -> Demo {
    Demo::new()
}

fn command(folder: &Folder, livepatch: &Demo, format: &str) -> Command {
    folder.write("livepatch.ko", &livepatch.0);
    let symbols = "--symbols symbols.txt demo_disk-first.txt";
    folder.relakit(&format!("check livepatch.ko {symbols} {EVENTS} --format {format}"))
}

fn check(livepatch: &Demo, format: &str) -> Output {
    command(&Folder::new(), livepatch, format).output().unwrap()
}

/// Malformed livepatches, and the rule of each.
fn broken() -> Vec<(&'static str, &'static str, Demo)> {
    let (text, early) = (26, 27);
    let flags = |section| demo().header(section, 8);
    let target = |section| demo().header(section, 44);
    let entry = |section, entry: usize| demo().content(section) + entry * 24;
    vec![
        ("unknown-symbol", "kernel-rejects", demo().unknown_symbol()),
        ("malformed-symbol", "kernel-rejects", demo().replace(24, b"demo_queue,0", b"demo_queue_0")),
        ("field-outside", "kernel-unsafe", demo().put(entry(text, 1), &0x7fff_0000u64.to_le_bytes())),
        // The last of three relocations. The others are written before.
        ("unknown-type", "half-applied", demo().put(entry(text, 2) + 8, &[99])),
        ("no-flag", "klp-name-without-flag", demo().put(flags(text), &0x42u64.to_le_bytes())),
        ("not-allocated", "late-not-allocated", demo().put(flags(text), &0x10_0040u64.to_le_bytes())),
        (
            // The key of a jump label, whose vmlinux relocation is gone.
            "too-late",
            "late-into-special-section",
            demo()
                .put(target(28), &16u32.to_le_bytes())
                .put(entry(28, 0), &8u64.to_le_bytes())
                .put(entry(29, 0) + 8, &[0]),
        ),
        ("ambiguous", "sympos-missing", demo().replace(24, b"part_in_flight,2", b"part_in_flight,0")),
        ("init", "late-into-init", demo().put(target(28), &7u32.to_le_bytes()).put(entry(28, 0) + 8, &[0])),
        ("skipped", "klp-relocations-skipped", demo().put(target(early), &25u32.to_le_bytes())),
    ]
}

#[test]
fn malformed_livepatches_have_the_recorded_reports() {
    for (name, rule, livepatch) in broken() {
        let output = check(&livepatch, "text");
        let text = stdout(&output);
        assert!(text.contains(&format!("[{rule}]: ")), "{name}: {text}");
        assert_eq!(code(&output), 1, "{name}: {text}");
        snapshot(&format!("check-broken-{name}"), text);
    }
}

#[test]
fn the_report_of_a_correct_livepatch_is_one_line() {
    let output = check(&demo(), "text");
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert_eq!(stdout(&output).lines().count(), 1);
}

#[test]
fn json_and_sarif_have_the_same_diagnostics() {
    for (name, rule, livepatch) in broken() {
        let (report, log) = (json(&check(&livepatch, "json")), json(&check(&livepatch, "sarif")));
        let count = |value: &Value| value.as_array().map_or(0, Vec::len);
        // Later failures of a module are consequences of its first one.
        let failed = report["steps"].as_array().unwrap().iter().find(|step| step["verdict"] != "accepted");
        let errors = failed.map_or(0, |step| count(&step["errors"]));
        let results = log["runs"][0]["results"].as_array().unwrap();
        let expected = count(&report["errors"]) + errors + count(&report["findings"]);
        assert_eq!(results.len(), expected, "{name}: {log:#}");
        assert!(results.iter().any(|result| result["ruleId"] == rule), "{name}: {log:#}");
    }
}

#[test]
fn colours_are_for_terminals_and_on_request() {
    let (_, _, livepatch) = broken().swap_remove(0);
    let folder = Folder::new();
    let mut command = command(&folder, &livepatch, "text");
    assert!(!command.output().unwrap().stdout.contains(&0x1b));
    assert!(command.env("CLICOLOR_FORCE", "1").output().unwrap().stdout.contains(&0x1b));
}
