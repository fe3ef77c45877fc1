use crate::diagnostics;
use crate::output::samples;
use crate::simulate::report::Report;
use std::path::Path;

fn plain(report: &Report) -> String {
    let mut out = Vec::new();
    super::print(report, &mut anstream::StripStream::new(&mut out)).unwrap();
    String::from_utf8(out).unwrap()
}

fn coloured(report: &Report) -> String {
    let mut out = Vec::new();
    super::print(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn reports_are_printed_as_they_were() {
    for (name, report) in samples::all() {
        let path = format!("tests/snapshots/check-{name}.txt");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = plain(&report);
        if std::env::var_os("RELAKIT_BLESS").is_some_and(|bless| bless == "1") {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{name}: RELAKIT_BLESS=1 accepts what is printed now");
    }
}

#[test]
fn a_report_without_diagnostics_is_one_line() {
    assert_eq!(plain(&samples::accepted()).lines().count(), 1);
    let mut report = samples::warned();
    report.findings.clear();
    assert_eq!(plain(&report).lines().count(), 1);
}

#[test]
fn the_first_and_the_last_line_say_the_verdict() {
    for (name, report) in samples::all() {
        let text = plain(&report);
        let verdict = diagnostics::verdict(report.worst());
        assert!(text.starts_with(verdict), "{name}: {text}");
        assert!(text.lines().last().unwrap().starts_with(verdict), "{name}: {text}");
    }
}

#[test]
fn every_diagnostic_has_a_location_help_and_a_page() {
    let text = plain(&samples::rejected());
    let blocks: Vec<_> = text.split("\n\n").filter(|block| block.contains("-->")).collect();
    assert_eq!(blocks.len(), 5, "{text}");
    for block in blocks {
        assert!(block.contains("\n  --> build/livepatch.ko: section "), "{block}");
        assert!(
            block.contains("\n   = help: ") && block.contains("\n   = note: relakit explain "),
            "{block}"
        );
    }
}

#[test]
fn names_and_paths_cannot_write_escape_codes() {
    let report = samples::hostile();
    let text = coloured(&report);
    assert!(!text.contains("\u{1b}[31m:") && !text.contains("\u{1b}]"), "{text:?}");
    let none = plain(&report);
    assert!(none.chars().all(|character| character == '\n' || !character.is_control()), "{none:?}");
}

#[test]
fn long_names_lose_their_middle() {
    let text = plain(&samples::hostile());
    assert!(text.lines().all(|line| line.len() <= 200), "{text}");
    assert!(text.contains("nn...nn") && text.contains("mm...mm"), "{text}");
}

#[test]
fn a_consequence_of_a_failure_is_not_a_diagnostic() {
    let text = plain(&samples::others());
    assert_eq!(text.matches("nfs: is not loaded").count(), 1, "{text}");
    assert!(text.contains("\ngoing:nfs    rejected, ENOENT: nfs: is not loaded\n"), "{text}");
    assert!(
        text.ends_with("\nrejected with 2 errors, 1 warning: ENOENT at coming:nfs (symbols)\n"),
        "{text}"
    );
}
