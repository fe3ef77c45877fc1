//! The pages name only what the header declares, and by its full name, so that a search finds it.
#![expect(clippy::unwrap_used, reason = "test code: a file that cannot be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of this repository that begin like those of the header: crates, variables of tests, and
/// files and functions of c-tests.
const OTHERS: [&str; 6] = [
    "RELAKIT_BLESS",
    "RELAKIT_ORACLE",
    "relakit_kexec",
    "relakit_kexec_relocate",
    "relakit_linux",
    "relakit_test",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Adds each page below `folder`.
fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("DESIGN.md")];
    walk(&root().join("docs"), &mut pages);
    walk(&root().join("c-tests"), &mut pages);
    pages
}

/// The identifiers in a text that begin with the name of the library.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|at: char| !at.is_ascii_alphanumeric() && at != '_');
    words.filter(|word| word.starts_with("RELAKIT_") || word.starts_with("relakit_")).collect()
}

/// The names that the header declares or asks for: those that are not only in a comment.
fn declared(header: &str) -> BTreeSet<&str> {
    let mut code = BTreeSet::new();
    for part in header.split("/*") {
        code.append(&mut names(part.split_once("*/").map_or(part, |(_, code)| code)));
    }
    code
}

/// The names in a page that the header does not have. A name that ends with `_` stands for all
/// names that begin with it.
fn unknown(page: &str, declared: &BTreeSet<&str>) -> Vec<String> {
    let is_known = |name: &str| {
        let of_a_family = name.ends_with('_') && declared.iter().any(|known| known.starts_with(name));
        declared.contains(name) || OTHERS.contains(&name) || of_a_family
    };
    names(page).into_iter().filter(|name| !is_known(name)).map(str::to_owned).collect()
}

/// The names in a page that are cut at the front, such as `_OVERFLOW` or `_early`. Names of the
/// compiler and the linker end with `_`.
fn cut(page: &str, declared: &BTreeSet<&str>) -> Vec<String> {
    let is_cut = |span: &str| {
        let is_name = span.chars().all(|at| at.is_ascii_alphanumeric() || at == '_');
        let is_constant = !span.chars().any(|at| at.is_ascii_lowercase()) && !span.starts_with("__");
        let families = ["relakit", "relakit_module", "relakit_klp", "relakit_index"];
        let is_function = families.iter().any(|family| declared.contains(format!("{family}{span}").as_str()));
        span.starts_with('_') && is_name && !span.ends_with('_') && (is_constant || is_function)
    };
    page.split('`').filter(|span| is_cut(span)).map(str::to_owned).collect()
}

#[test]
fn every_name_in_the_pages_is_one_of_the_header_and_is_not_cut() {
    let header = fs::read_to_string(root().join("include/relakit.h")).unwrap();
    let declared = declared(&header);
    let pages = pages();
    assert!(pages.len() > 50 && declared.len() > 100, "{} pages, {} names", pages.len(), declared.len());
    let mut wrong = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let page = page.strip_prefix(root()).unwrap().display();
        wrong.extend(unknown(&text, &declared).iter().map(|name| format!("{page}: {name} does not exist")));
        wrong.extend(cut(&text, &declared).iter().map(|name| format!("{page}: {name} is not a full name")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_that_is_only_in_a_comment_is_not_declared() {
    let header = "/* RELAKIT_GONE */ #define RELAKIT_HERE 1 /* relakit_gone */\nint relakit_here(void);";
    assert_eq!(declared(header), BTreeSet::from(["RELAKIT_HERE", "relakit_here"]));
}

#[test]
fn an_old_name_and_a_cut_name_are_found() {
    let declared = BTreeSet::from(["RELAKIT_ERR_OVERFLOW", "relakit_module_early"]);
    let page =
        "`RELAKIT_ERR_OVERFLOW`, `RELAKIT_ERR_`, `relakit_module_place`, `RELAKIT_OPT_`, `relakit_linux`";
    assert_eq!(unknown(page, &declared), ["RELAKIT_OPT_", "relakit_module_place"]);
    let page = "`_OVERFLOW`, `_early`, `_ftrace_events`, `_GLOBAL_OFFSET_TABLE_`, `__ex_table`, `_Thread_local`, `_early or late`";
    assert_eq!(cut(page, &declared), ["_OVERFLOW", "_early"]);
}
