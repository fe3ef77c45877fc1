//! What the header declares, what the sources export and what the archive defines are the same.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

use object::{Object, ObjectSymbol};
use relakit::ErrorKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Macros that a program may define before it includes the header.
const OF_THE_PROGRAM: [&str; 2] = ["RELAKIT_TYPES_H", "RELAKIT_MS_ABI"];

/// What the compiler may call and every program has.
const FROM_OUTSIDE: [&str; 5] = ["bcmp", "memcmp", "memcpy", "memmove", "memset"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn header() -> String {
    fs::read_to_string(root().join("include/relakit.h")).unwrap()
}

/// The lines of the header that are no comment.
fn code(header: &str) -> Vec<&str> {
    let mut in_comment = false;
    let mut lines = Vec::new();
    for line in header.lines() {
        let text = line.trim();
        in_comment |= text.starts_with("/*");
        if !in_comment {
            lines.push(line);
        }
        in_comment &= !text.ends_with("*/");
    }
    lines
}

/// The functions that the header declares: they begin in the first column, and their name is before the first bracket.
fn declared() -> BTreeSet<String> {
    let header = header();
    let lines = code(&header);
    let starts = lines.iter().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let functions = starts.filter(|line| !line.starts_with("typedef") && line.contains('('));
    let name = |line: &&&str| {
        let (before, _) = line.split_once('(').unwrap();
        let name = before.rsplit(|at: char| !at.is_ascii_alphanumeric() && at != '_').next().unwrap();
        name.to_owned()
    };
    functions.map(|line| name(&line)).collect()
}

/// The functions that the sources export; those of a feature that is not a user's are left out.
fn exported() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for file in fs::read_dir(root().join("ffi/src")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut of_feature = false;
        let mut awaited = false;
        for line in text.lines() {
            let line = line.trim();
            match line {
                "" => of_feature = false,
                _ if line.starts_with("#[cfg(feature") => of_feature = true,
                "#[unsafe(no_mangle)]" => awaited = !of_feature,
                _ if awaited && line.contains("fn ") => {
                    let (_, rest) = line.split_once("fn ").unwrap();
                    assert!(line.contains("extern \"C\""), "{line}");
                    let end = rest.find(|at: char| !at.is_ascii_alphanumeric() && at != '_').unwrap();
                    functions.insert(rest[..end].to_owned());
                    awaited = false;
                }
                _ => {}
            }
        }
    }
    functions
}

/// Builds the archive, and gives its global symbols: those that it defines, and those that it wants.
fn archive() -> (BTreeSet<String>, BTreeSet<String>) {
    let path = root().join("target/c/librelakit.a");
    let mut make = Command::new("make");
    let output = make.arg("--no-print-directory").arg("-C").arg(root().join("ffi")).arg(&path).output();
    let output = output.expect("make");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(&path).unwrap();
    let archive = object::read::archive::ArchiveFile::parse(&*bytes).unwrap();
    let (mut defined, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    let mut members = 0;
    for member in archive.members() {
        members += 1;
        let file = object::File::parse(member.unwrap().data(&*bytes).unwrap()).unwrap();
        for symbol in file.symbols().filter(ObjectSymbol::is_global) {
            let names = if symbol.is_undefined() { &mut wanted } else { &mut defined };
            names.insert(symbol.name().unwrap().to_owned());
        }
    }
    assert_eq!(members, 1, "the archive is of one object");
    (defined, wanted)
}

#[test]
fn the_header_declares_what_the_sources_export_and_the_archive_defines() {
    let (defined, wanted) = archive();
    assert!(declared().len() > 20, "{:?}", declared());
    assert_eq!(declared(), exported(), "header, sources");
    assert_eq!(declared(), defined, "header, archive");
    let others: Vec<_> = wanted.iter().filter(|name| !FROM_OUTSIDE.contains(&name.as_str())).collect();
    assert!(others.is_empty(), "the archive wants {others:?}");
}

/// The statuses that the header defines.
fn statuses() -> BTreeMap<String, i32> {
    let header = header();
    let define = |line: &&str| {
        let (name, number) = line.strip_prefix("#define RELAKIT_ERR_")?.split_once(' ')?;
        Some((name.to_owned(), number.trim_matches(['(', ')']).parse().unwrap()))
    };
    code(&header).iter().filter_map(define).collect()
}

/// `NotAModule` as `NOT_A_MODULE`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[test]
fn the_cores_kinds_of_fault_are_the_headers_statuses() {
    let core = ErrorKind::ALL.iter().map(|kind| (screaming(&format!("{kind:?}")), *kind as i32));
    let of_the_core: BTreeMap<_, _> = statuses().into_iter().filter(|(_, number)| *number > -100).collect();
    assert_eq!(of_the_core, core.collect());
}

#[test]
fn no_two_statuses_have_one_number_and_every_one_is_mentioned_by_its_name() {
    let statuses = statuses();
    let numbers: BTreeSet<_> = statuses.values().collect();
    assert_eq!(numbers.len(), statuses.len());
    assert!(statuses.values().all(|number| *number < 0));
    // Every full name that a comment mentions is one that there is.
    let header = header();
    let names: BTreeSet<_> = code(&header).iter().filter_map(|line| line.split(' ').nth(1)).collect();
    for word in header.split(|at: char| !at.is_ascii_alphanumeric() && at != '_') {
        if word.starts_with("RELAKIT_") && !word.ends_with('_') && word != "RELAKIT_H" {
            let is_there = OF_THE_PROGRAM.contains(&word)
                || names.iter().any(|name| name.split('(').next() == Some(word));
            assert!(is_there, "{word} is mentioned and not defined");
        }
    }
}
