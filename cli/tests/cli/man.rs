//! `relakit man` writes pages with the usual sections (man-pages(7)).

use super::help::{code, relakit};
use std::fs;

/// The sections of a page, in order, and its text.
fn page(name: &str) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&relakit().arg("man").arg(folder.path()).output().unwrap()), 0);
    let text = fs::read_to_string(folder.path().join(format!("{name}.1"))).unwrap();
    let titles = text.lines().filter_map(|line| line.strip_prefix(".SH "));
    (titles.map(|title| title.trim_matches('"').to_owned()).collect(), text)
}

#[test]
fn the_sections_have_their_usual_names() {
    fn all(more: &[&'static str]) -> Vec<&'static str> {
        let first = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"];
        [&first, more, &["SEE ALSO"]].concat()
    }
    assert_eq!(page("relakit-check").0, all(&["EXIT STATUS", "FILES", "EVENTS", "NOTES", "EXAMPLES"]));
    assert_eq!(page("relakit-convert").0, all(&["EXIT STATUS", "FILES", "NOTES", "EXAMPLES"]));
    assert_eq!(page("relakit-live").0, all(&["EXIT STATUS", "FILES", "NOTES", "EXAMPLES"]));
    assert_eq!(page("relakit-apply").0, all(&["EXIT STATUS", "FILES", "NOTES", "EXAMPLES"]));
    assert_eq!(page("relakit-verify").0, all(&["EXIT STATUS", "FILES", "NOTES", "EXAMPLES"]));
    for command in ["diff", "explain"] {
        assert_eq!(
            page(&format!("relakit-{command}")).0,
            all(&["EXIT STATUS", "FILES", "NOTES", "EXAMPLES"])
        );
    }
    for command in ["inspect", "completions", "man"] {
        assert_eq!(page(&format!("relakit-{command}")).0, all(&["EXIT STATUS", "FILES", "EXAMPLES"]));
    }
    assert_eq!(page("relakit-demo").0, all(&["EXIT STATUS", "FILES"]));
    assert_eq!(page("relakit").0, all(&["SUBCOMMANDS", "EXIT STATUS", "FILES", "VERSION"]));
}

#[test]
fn exit_codes_are_a_list_and_examples_keep_their_lines() {
    let (_, text) = page("relakit-check");
    let (_, status) = text.split_once(".SH \"EXIT STATUS\"\n").unwrap();
    let codes: Vec<_> = status.lines().take(12).filter(|line| line.starts_with("\\fB")).collect();
    assert_eq!(codes, ["\\fB0\\fR", "\\fB1\\fR", "\\fB2\\fR", "\\fB3\\fR"]);
    let (_, examples) = text.split_once(".SH EXAMPLES\n").unwrap();
    let (examples, _) = examples.split_once("\n.fi\n").unwrap();
    assert!(examples.starts_with(".nf\n"), "{examples}");
    assert!(examples.contains("relakit check livepatch.ko \\-\\-symbols /proc/kallsyms\n"), "{examples}");
}

#[test]
fn a_page_names_the_others() {
    let (_, text) = page("relakit-explain");
    let (_, see) = text.split_once(".SH \"SEE ALSO\"\n").unwrap();
    for other in ["relakit", "relakit\\-check", "relakit\\-man"] {
        assert!(see.contains(&format!("\\fB{other}\\fR(1)")), "{see}");
    }
    assert!(!see.contains("relakit\\-explain"), "{see}");
}

/// The terminal shows the same parts with their titles.
#[test]
fn help_has_the_same_parts() {
    let help = relakit().args(["check", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for title in ["Exit codes:", "Events:", "Notes:", "Examples:"] {
        assert!(help.contains(&format!("\n{title}\n")), "{title}: {help}");
    }
}
