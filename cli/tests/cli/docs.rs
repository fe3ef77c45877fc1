//! docs/findings has a page for each rule, with the text of the rule.

use super::help::bless;
use relakit::{ErrorKind, Profile};
use relakit_linux::findings::Lint;
use relakit_linux::loader_check::LoaderCheck;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Name, severity and sentence of the rules for errors of the kernel.
const KERNEL: [(&str, &str, &str); 3] = [
    ("kernel-rejects", "error", "the kernel refuses the module, or another one because of it"),
    ("kernel-unsafe", "error", "the kernel crashes, or uses memory that it must not use"),
    ("not-judged", "warning", "the input is not enough to predict what the kernel does"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/findings")
}

/// Name, severity and sentence of every rule.
fn rules() -> Vec<(&'static str, &'static str, &'static str)> {
    let findings =
        Lint::ALL.iter().map(|rule| (rule.name(), rule.severity().name(), rule.message().to_str().unwrap()));
    findings.chain(KERNEL).collect()
}

/// The beginning of a page.
fn head((name, severity, sentence): (&str, &str, &str)) -> String {
    format!("# {name}\n\n**{severity}**: {sentence}.\n")
}

fn page(name: &str) -> (PathBuf, String) {
    let path = folder().join(format!("{name}.md"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (path, text)
}

#[test]
fn every_rule_has_a_page_with_its_sentence() {
    for rule in rules() {
        let (path, text) = page(rule.0);
        let mut blocks = text.splitn(3, "\n\n");
        let (Some(title), Some(sentence), Some(rest)) = (blocks.next(), blocks.next(), blocks.next()) else {
            panic!("{}: no text", path.display());
        };
        if bless() {
            fs::write(&path, format!("{}\n{rest}", head(rule))).unwrap();
        }
        let (_, text) = page(rule.0);
        let found = format!("{title}\n\n{sentence}\n");
        assert!(text.starts_with(&head(rule)), "{found}: RELAKIT_BLESS=1 corrects it");
    }
}

#[test]
fn every_page_has_an_example_a_correction_and_how_to_silence_it() {
    for (name, ..) in rules() {
        let (_, text) = page(name);
        let titles: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(titles.len(), 4, "{name}: {titles:?}");
        assert!(
            titles.ends_with(&["What it looks like", "What to do", "How to silence it"]),
            "{name}: {titles:?}"
        );
        assert!(text.contains("\n```text\n"), "{name}");
        let (_, silence) = text.split_once("## How to silence it\n\n").unwrap();
        let is_the_kernels = KERNEL.iter().any(|(kernel, ..)| *kernel == name);
        let expected =
            if is_the_kernels { "It cannot be allowed".to_owned() } else { format!("`--allow {name}`. ") };
        assert!(silence.starts_with(&expected), "{name}: {silence}");
    }
}

#[test]
fn every_page_belongs_to_a_rule() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".md").unwrap();
        assert!(name == "README" || rules().iter().any(|(rule, ..)| *rule == name), "{name}.md");
    }
}

#[test]
fn the_table_has_every_rule_in_the_order_of_the_numbers() {
    let path = folder().join("README.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, table) = text.split_once("\n| name |").expect("a table");
    let (_, after) = table.split_once("\n\n").expect("text after the table");
    let mut expected = "\n| name | severity | message |\n|---|---|---|\n".to_owned();
    for (name, severity, sentence) in rules() {
        writeln!(expected, "| [{name}]({name}.md) | {severity} | {} |", escaped(sentence)).unwrap();
    }
    let expected = format!("{before}{expected}\n{after}");
    if bless() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), expected, "RELAKIT_BLESS=1 corrects it");
}

/// Escapes characters that have a meaning in Markdown.
fn escaped(sentence: &str) -> String {
    sentence.replace('<', "&lt;").replace('|', "\\|")
}

#[test]
fn links_of_the_pages_have_a_target() {
    let docs = folder().join("..");
    let pages = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let others = ["check.md", "kernel-set.md", "live.md", "ci/README.md", "diff.md", "explain.md"];
    for page in pages.chain(others.map(|page| docs.join(page))) {
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.starts_with("https://")) {
            let (file, anchor) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let linked = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(linked.exists(), "{}: {link}", page.display());
            let Some(anchor) = anchor else { continue };
            let headings = fs::read_to_string(&linked).unwrap();
            let found = headings.lines().any(|line| slug(line).as_deref() == Some(anchor));
            assert!(found, "{}: {link}", page.display());
        }
    }
}

/// The anchor that GitHub gives a heading.
fn slug(line: &str) -> Option<String> {
    let heading = line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))?;
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// The rows of the tables in kernel-rejects.md: kind, what the library says, and what to do, which
/// only the page has.
#[test]
fn kernel_rejects_lists_every_check_and_every_error_with_an_errno() {
    let (path, text) = page("kernel-rejects");
    let to_do = |kind: &str| {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{kind}` |")))?;
        row.trim_end_matches(" |").rsplit(" | ").next().filter(|cell| !cell.is_empty())
    };
    let row = |kind: String, cells: &[&str]| {
        let to_do = to_do(&kind).unwrap_or_else(|| panic!("{kind}: add a row that says what to do"));
        format!("| `{kind}` | {} | {to_do} |\n", cells.join(" | "))
    };
    let checks: String = LoaderCheck::ALL
        .iter()
        .map(|check| {
            let (major, minor) = check.since();
            let (message, since) = (check.message().to_str().unwrap(), format!("{major}.{minor}"));
            row(format!("{check:?}"), &[&escaped(message), errno(check.errno()), &since])
        })
        .collect();
    let errors: String = ErrorKind::ALL
        .iter()
        .filter(|kind| Profile::LINUX_DEFAULT.errno(**kind) != 0)
        .map(|kind| {
            let returned = errno(Profile::LINUX_DEFAULT.errno(*kind));
            row(format!("{kind:?}"), &[&escaped(&kind.to_string()), returned])
        })
        .collect();
    let tables: [(&str, &str, String); 2] = [
        ("### Checks of the loader\n", "| kind | message | errno | since | what to do |\n", checks),
        ("### Errors of the file and of relocations\n", "| kind | message | errno | what to do |\n", errors),
    ];
    let mut expected = text.clone();
    for (title, header, rows) in tables {
        let start = expected.find(title).unwrap_or_else(|| panic!("{title}"));
        let at = start + expected[start..].find(header).unwrap_or_else(|| panic!("{header}"));
        let first = at + header.len() + expected[at + header.len()..].find('\n').unwrap() + 1;
        let end = first + expected[first..].find("\n\n").unwrap() + 1;
        expected.replace_range(first..end, &rows);
    }
    if bless() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), expected, "RELAKIT_BLESS=1 corrects it");
}

fn errno(number: i32) -> &'static str {
    match number {
        1 => "EPERM",
        2 => "ENOENT",
        8 => "ENOEXEC",
        11 => "EAGAIN",
        16 => "EBUSY",
        17 => "EEXIST",
        22 => "EINVAL",
        _ => panic!("{number}"),
    }
}

/// Compares the block after the mark of a page in docs with the real output.
#[track_caller]
pub fn example(page: &str, output: &str) {
    let path = folder().join("..").join(page);
    let text = fs::read_to_string(&path).unwrap();
    const MARK: &str = "compares the block -->\n```text\n";
    let at = text.find(MARK).unwrap_or_else(|| panic!("{page}: no block")) + MARK.len();
    let end = at + text[at..].find("```\n").unwrap();
    let expected = format!("{}{output}{}", &text[..at], &text[end..]);
    if bless() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), expected, "RELAKIT_BLESS=1 corrects it");
}
