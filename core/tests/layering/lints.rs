//! Checks that every crate has the lints of the workspace, and that each comment about unsafe code
//! says why it is sound.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lints that tests and tools do not need: they export nothing, and a panic reports an error.
/// The crates with `workspace = true` have them.
const NOT_FOR_TOOLS: [&str; 12] = [
    "unreachable_pub",
    "multiple_unsafe_ops_per_block",
    "indexing_slicing",
    "arithmetic_side_effects",
    "unwrap_used",
    "expect_used",
    "panic",
    "cast_possible_truncation",
    "cast_sign_loss",
    "cast_possible_wrap",
    "missing_docs",
    "missing_debug_implementations",
];

/// The crates with unsafe code: the C ABI, what calls it, and what exports functions.
const WITH_UNSAFE: [&str; 6] = ["ffi", "fuzz", "bench", "proof", "proof/loader", "packaging/other-rust"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of the repository that `is_wanted`, without what Cargo and git make.
fn files(folder: &Path, is_wanted: &impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let names =
        entries.filter_map(|entry| Some((entry.file_type().ok()?, entry.file_name().into_string().ok()?)));
    let mut found = Vec::new();
    for (kind, name) in names.filter(|(_, name)| name != "target" && !name.starts_with('.')) {
        let path = folder.join(&name);
        if kind.is_dir() {
            found.extend(files(&path, is_wanted));
        } else if is_wanted(&name) {
            found.push(path);
        }
    }
    found
}

/// The lints of a manifest with their levels. The sections' names begin with `prefix`.
fn lints(manifest: &str, prefix: &str) -> BTreeMap<String, String> {
    let (mut group, mut lints) = (None, BTreeMap::new());
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            group = section.trim_end_matches(']').strip_prefix(prefix);
        } else if let (Some(group), Some((lint, level))) = (group, line.split_once(" = ")) {
            lints.insert(format!("{group}::{lint}"), level.trim_matches('"').to_owned());
        }
    }
    lints
}

/// The lints of the workspace that the crate in `folder` lacks.
fn missing(workspace: &str, manifest: &str, folder: &str) -> Vec<String> {
    let own = match manifest.contains("[lints]\nworkspace = true") {
        true => lints(workspace, "workspace.lints."),
        false => lints(manifest, "lints."),
    };
    let is_missing = |lint: &str, level: &str| match own.get(lint).map(String::as_str) {
        None => !NOT_FOR_TOOLS.iter().any(|name| lint.ends_with(&format!("::{name}"))),
        Some("allow") => !(lint == "rust::unsafe_code" && WITH_UNSAFE.contains(&folder)),
        Some(own) => own != level && own != "forbid",
    };
    let missing =
        lints(workspace, "workspace.lints.").into_iter().filter(|(lint, level)| is_missing(lint, level));
    missing.map(|(lint, _)| format!("{folder}: {lint}")).collect()
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(lints(&workspace, "workspace.lints.").len() > 20);
    let manifests = files(&root(), &|name| name == "Cargo.toml");
    assert!(manifests.len() > 10, "{manifests:?}");
    for path in manifests {
        let folder = path.parent().unwrap().strip_prefix(root()).unwrap().to_str().unwrap();
        let manifest = fs::read_to_string(&path).unwrap();
        if !manifest.contains("[package]") {
            continue;
        }
        assert_eq!(missing(&workspace, &manifest, folder), [""; 0]);
        let has_unsafe = WITH_UNSAFE.contains(&folder);
        let forbids = |file: &str| {
            let file = fs::read_to_string(path.with_file_name("src").join(file)).unwrap_or_default();
            file.contains("#![forbid(unsafe_code)]")
        };
        let forbids =
            manifest.contains("unsafe_code = \"forbid\"") || forbids("lib.rs") || forbids("main.rs");
        assert_eq!(forbids, !has_unsafe, "{folder}: forbid(unsafe_code)");
    }
}

#[test]
fn a_missing_lint_is_noticed() {
    let workspace = "[workspace.lints.rust]\nunsafe_code = \"deny\"\nmissing = \"warn\"\n\
        [workspace.lints.clippy]\npanic = \"deny\"\n[profile.release]\nlto = \"fat\"\n";
    for (manifest, folder, expected) in [
        ("[lints]\nworkspace = true\n", "x", 0),
        ("[lints.rust]\nunsafe_code = \"forbid\"\nmissing = \"warn\"\n", "x", 0),
        ("[lints.rust]\nunsafe_code = \"allow\"\nmissing = \"warn\"\n", "ffi", 0),
        ("[lints.rust]\nunsafe_code = \"allow\"\nmissing = \"warn\"\n", "x", 1),
        ("[lints.rust]\nunsafe_code = \"forbid\"\n", "x", 1),
        ("[lints.rust]\nunsafe_code = \"forbid\"\n[lints.clippy]\nmissing = \"warn\"\n", "x", 1),
        ("[lints.rust]\nunsafe_code = \"forbid\"\nmissing = \"allow\"\n", "x", 1),
        ("[package]\n", "x", 2),
    ] {
        assert_eq!(missing(workspace, manifest, folder).len(), expected, "{manifest}");
    }
}

/// The comments of a text that begin with `SAFETY:`, each as one line without this word.
fn safety_comments(text: &str) -> Vec<String> {
    let mut comments: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let comment = line.trim_start().strip_prefix("// ");
        match comment.map(|comment| comment.strip_prefix("SAFETY: ").ok_or(comment)) {
            Some(Ok(begin)) => comments.push(begin.to_owned()),
            Some(Err(rest)) if is_inside => *comments.last_mut().unwrap() += &format!(" {rest}"),
            _ => {
                is_inside = false;
                continue;
            }
        }
        is_inside = true;
    }
    comments
}

/// Whether a comment has its reason itself: a sentence that does not refer to another comment.
fn stands_alone(comment: &str) -> bool {
    let refers =
        ["above", "below", "same as", "ditto", "as before", "as documented", "passed on", "this function"];
    let is_sentence = comment.split_whitespace().count() >= 5 && comment.ends_with('.');
    is_sentence && !refers.iter().any(|words| comment.contains(words))
}

#[test]
fn every_safety_comment_stands_alone() {
    let mut comments = 0;
    for file in files(&root(), &|name| Path::new(name).extension().is_some_and(|end| end == "rs")) {
        let found = safety_comments(&fs::read_to_string(&file).unwrap());
        comments += found.len();
        let not: Vec<_> = found.iter().filter(|comment| !stands_alone(comment)).collect();
        assert!(file.ends_with("layering/lints.rs") || not.is_empty(), "{}: {not:?}", file.display());
    }
    assert!(comments > 100, "{comments} comments");
}

#[test]
fn a_safety_comment_without_a_reason_is_noticed() {
    let text = "// A\n// SAFETY: as above.\nx;\n    // SAFETY: the buffer is\n    // not NULL.\n//\n// y";
    assert_eq!(safety_comments(text), ["as above.", "the buffer is not NULL."]);
    for (comment, expected) in [
        ("as above.", false),
        ("checked by the function above, which refused NULL.", false),
        ("constant text.", false),
        ("`new` refused NULL; the caller promises a readable struct.", true),
    ] {
        assert_eq!(stands_alone(comment), expected, "{comment}");
    }
}
