//! `relakit explain` prints the pages of docs/findings.

use super::help::{code, relakit, stderr, stdout};
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
