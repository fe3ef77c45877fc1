//! `relakit explain`: pages of rules, checks, errnos, and lines of the kernel's log.

use super::docs::example;
use super::help::{Folder, code, json, relakit, stderr, stdout};
use super::reader::read;
use relakit_linux::findings::Lint;
use std::fs;
use std::path::Path;
use std::process::Output;

fn explain(rule: &str) -> Output {
    relakit().args(["explain", rule]).output().unwrap()
}

#[test]
fn every_page_of_the_folder_is_in_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let rule = path.file_stem().unwrap().to_str().unwrap();
        if rule == "README" {
            continue;
        }
        let page = explain(rule);
        assert_eq!(code(&page), 0, "{rule}: {page:?}");
        assert_eq!(stdout(&page), fs::read_to_string(&path).unwrap(), "{rule}");
    }
}

#[test]
fn without_a_rule_all_rules_are_listed_with_severity_and_message() {
    let list = relakit().arg("explain").output().unwrap();
    assert_eq!(code(&list), 0);
    let lines: Vec<_> = stdout(&list).lines().collect();
    assert_eq!(lines.len(), Lint::ALL.len() + 3);
    for (line, rule) in lines.iter().zip(Lint::ALL) {
        let words: Vec<_> = line.splitn(2, ' ').collect();
        assert_eq!(words[0], rule.name());
        let rest = words[1].trim_start();
        let rest = rest.strip_prefix(rule.severity().name()).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(rest.trim_start(), rule.message().to_str().unwrap());
    }
    assert!(lines.last().unwrap().starts_with("not-judged "));
}

#[test]
fn headings_are_bold_on_a_terminal_only() {
    let page = relakit().args(["explain", "half-applied"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(stdout(&page).starts_with("\x1b[1m# half-applied\x1b[0m\n"), "{page:?}");
    assert!(!stdout(&explain("half-applied")).contains('\x1b'));
}

#[test]
fn an_unknown_rule_is_a_usage_error_with_a_near_name() {
    let unknown = explain("half-aplied");
    assert_eq!(code(&unknown), 2);
    assert!(stderr(&unknown).contains("a similar value exists: 'half-applied'"), "{unknown:?}");
    assert_eq!(stdout(&unknown), "");
}

/// clap_complete writes no values of arguments without a name for fish.
#[test]
fn completions_list_the_rules() {
    for (shell, explained) in [("bash", true), ("zsh", true), ("fish", false)] {
        let script = relakit().args(["completions", shell]).output().unwrap();
        assert_eq!(stdout(&script).contains("not-judged"), explained, "{shell}");
        assert!(stdout(&script).contains("half-applied"), "{shell}");
    }
}

/// A log with the prefixes of several programs.
const LOG: &str = "\
[   12.000001] livepatch: enabling patch 'fix_nfs'
[   12.000002] usb 1-1: new device
Nov 30 21:14:04 host kernel: livepatch: symbol 'nfs_open' not found in symbol table
<4>[   12.000003] livepatch: failed to initialize patch 'fix_nfs' for module 'nfs' (-22)
<4>[   12.000004] livepatch: patch 'fix_nfs' failed for module 'nfs', refusing to load module 'nfs'
[   13.000004] livepatch: patch 'fix_nfs' failed for module 'nfs', refusing to load module 'nfs'
";

fn log(text: &[u8], arguments: &str) -> Output {
    let folder = Folder::new();
    folder.write("dmesg.txt", text);
    folder.run(&format!("explain --log dmesg.txt{arguments}"))
}

#[test]
fn a_log_is_explained_once_for_each_message_and_ends_with_what_to_run() {
    let output = log(LOG.as_bytes(), "");
    let text = stdout(&output);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(text.starts_with("livepatch: enabling patch 'fix_nfs'\n  Line 1; names fix_nfs.\n"), "{text}");
    assert_eq!(text.matches("refusing to load module").count(), 1, "{text}");
    assert!(text.contains("  2 lines, the first is line 5; names fix_nfs, nfs.\n"), "{text}");
    assert!(!text.contains("usb"), "{text}");
    let (_, end) = text.split_once("\nWhat to run next\n").unwrap();
    let check = "relakit check fix_nfs.ko --symbols /proc/kallsyms";
    let event = format!("{check} --target nfs.ko --event coming:nfs");
    let reload = format!("{event} --event going:nfs --event coming:nfs");
    assert_eq!(end, format!("  {check}\n  {reload}\n  {event}\n\n5 lines explained, 1 not known\n"));
    assert!(
        text.lines()
            .all(|line| line.len() <= 80 || line.starts_with("  relakit ") || line.starts_with("livepatch"))
    );
}

#[test]
fn the_page_has_the_real_output() {
    let short: String = LOG.lines().take(4).map(|line| format!("{line}\n")).collect();
    let output = log(short.as_bytes(), "");
    example("explain.md", &format!("$ relakit explain --log dmesg.txt\n{}", stdout(&output)));
}

#[test]
fn a_log_can_be_compressed_or_standard_input() {
    let mut command = relakit();
    command.args(["explain", "--log", "-"]).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), LOG.as_bytes()).unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), stdout(&log(LOG.as_bytes(), "")));
}

#[test]
fn a_line_is_explained_with_the_names_in_it() {
    for line in [
        "livepatch: failed to find location for function 'do_fork'",
        "[   12.345678] livepatch: failed to find location for function 'do_fork'",
        "failed to find location for function 'do_fork'",
    ] {
        let output = explain(line);
        assert_eq!(code(&output), 0, "{line}: {output:?}");
        let text = stdout(&output);
        assert!(text.contains("Linux refuses the module: EINVAL"), "{text}");
        assert!(text.contains("Read: relakit explain FunctionNotTraced\n"), "{text}");
        assert!(
            text.contains("  Run: relakit check LIVEPATCH.ko --symbols /proc/kallsyms --traceable "),
            "{text}"
        );
    }
}

#[test]
fn what_is_not_known_fails_without_an_error() {
    for output in [explain("usb 1-1: new device"), log(b"usb 1-1: new device\n", ""), log(b"", "")] {
        assert_eq!((code(&output), stderr(&output)), (1, ""), "{output:?}");
        assert!(stdout(&output).contains("livepatch that"), "{output:?}");
    }
}

#[test]
fn an_errno_lists_the_checks_that_return_it() {
    for word in ["EINVAL", "-EINVAL", "22", "-22"] {
        let output = explain(word);
        assert_eq!(code(&output), 0, "{word}: {output:?}");
        let text = stdout(&output);
        assert!(text.starts_with("EINVAL (22)\n"), "{text}");
        for word in ["FunctionNotTraced", "init, coming", "KlpNotFound"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains("VersionMagic"), "ENOEXEC: {text}");
    }
}

#[test]
fn a_check_is_explained_by_its_name() {
    let output = explain("FunctionNotTraced");
    let text = stdout(&output);
    assert!(text.contains("Linux returns EINVAL in the phase init, coming."), "{text}");
    assert!(text.contains("What to do: replace the functions that call it."), "{text}");
    assert!(text.contains("failed to find location for function '{symbol}'"), "{text}");
    assert_eq!(stdout(&explain("functionnottraced")), text);
}

#[test]
fn a_word_that_is_a_file_or_nothing_is_a_usage_error() {
    let folder = Folder::new();
    let output = folder.run("explain symbols.txt");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("write --log symbols.txt"), "{output:?}");
    for word in ["-99999", "EFOO", "--what", ""] {
        assert_eq!(code(&explain(word)), 2, "{word}");
    }
    let both = folder.run("explain EINVAL --log symbols.txt");
    assert_eq!(code(&both), 2, "{both:?}");
    assert_eq!(code(&folder.run("explain --log missing.txt")), 3);
}

#[test]
fn names_and_lines_of_a_hostile_log_are_harmless() {
    let log = log(b"\x1b[31m$(reboot): module is already loaded\n\xff\xfe: module is already loaded\n", "");
    assert_eq!(code(&log), 0, "{log:?}");
    let text = stdout(&log);
    assert!(!text.contains('\x1b') && text.is_ascii(), "{text}");
    assert!(!text.contains("names"), "{text}");
    let long = [b"nfs: ".repeat(1 << 18), b"module is already loaded\n".to_vec()].concat();
    assert_eq!(code(&self::log(&long, "")), 1, "only the first bytes of a line count");
}

/// What Debian's 6.12 printed for modules with an error, and what the load returned.
#[test]
fn the_recorded_logs_are_explained_with_their_errno() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/recordings/verdicts/verdicts.json.xz");
    let recorded: serde_json::Value = serde_json::from_slice(&read(&path)).unwrap();
    let mut refused = 0;
    for case in recorded["cases"].as_array().unwrap() {
        let lines: Vec<_> =
            case["dmesg"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        let name = &case["case"];
        if case["verdict"] != "rejected" || lines.is_empty() {
            continue;
        }
        refused += 1;
        let output = log(lines.join("\n").as_bytes(), " --format json");
        let report = json(&output);
        assert_eq!(report["lines"]["other"], 0, "{name}: {lines:#?}");
        let errnos: Vec<_> =
            report["messages"].as_array().unwrap().iter().filter_map(|row| row["errno"].as_str()).collect();
        let errno = case["errname"].as_str().unwrap();
        assert!(errnos.is_empty() || errnos.contains(&errno), "{name}: {errno}, {errnos:?}");
    }
    assert!(refused > 15, "{refused}");
}
