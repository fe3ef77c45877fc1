//! `include/relakit.h`: `make -C ffi header` makes it, nothing is lost on the way, and it is easy to read.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: what is not as it should be is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Another version may write the same sources down in another way.
const VERSION: &str = "cbindgen 0.29.4";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn committed() -> String {
    fs::read_to_string(root().join("include/relakit.h")).unwrap()
}

/// `$CBINDGEN`, or what is on PATH; none of another version. `NOTE` says what is not tested without it.
fn cbindgen(note: &str) -> Option<String> {
    let program = std::env::var("CBINDGEN").unwrap_or_else(|_| "cbindgen".to_owned());
    let output = Command::new(&program).arg("--version").output();
    if output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == VERSION) {
        return Some(program);
    }
    let text = format!("there is no {VERSION} on PATH or in $CBINDGEN: {note}");
    assert!(std::env::var_os("RELAKIT_NEED_CBINDGEN").is_none_or(|need| need.is_empty()), "{text}");
    // Not `eprintln`, which the test's harness keeps to itself.
    std::io::Write::write_all(&mut std::io::stderr(), format!("\nNOTE: {text}\n").as_bytes()).unwrap();
    None
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What cbindgen alone makes of the sources.
fn output_of(cbindgen: &str) -> String {
    let arguments = ["--quiet", "--config", "ffi/cbindgen.toml", "--crate", "relakit-ffi", "ffi"];
    let output = Command::new(cbindgen).current_dir(root()).args(arguments).output().unwrap();
    succeeds(&output);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_committed_header_is_what_make_header_makes() {
    let Some(program) = cbindgen("include/relakit.h was NOT compared") else { return };
    let made = scratch("relakit.h");
    let output = Command::new("make")
        .args(["--silent", "--no-print-directory", "-C"])
        .arg(root().join("ffi"))
        .arg("header")
        .arg(format!("CBINDGEN={program}"))
        .arg(format!("HEADER={}", made.display()))
        .output()
        .unwrap();
    succeeds(&output);
    let made = fs::read_to_string(made).unwrap();
    let committed = committed();
    let differs = made.lines().zip(committed.lines()).zip(1..).find(|((a, b), _)| a != b);
    if let Some(((made, committed), line)) = differs {
        panic!(
            "include/relakit.h, line {line}, is\n{committed}\nand would be\n{made}\nafter `make -C ffi header`"
        );
    }
    assert!(made == committed, "include/relakit.h is of another length: `make -C ffi header`");
}

/// The declarations of a header, each with its comment, in a form that does not depend on line breaks. Comments that
/// begin with `/*` instead of `/**` belong to no declaration.
fn declarations(header: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut rest = header;
    while let Some(next) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            let (comment, after) = comment.split_once("*/").expect("a comment ends");
            rest = after;
            if let Some(comment) = comment.strip_prefix("*<") {
                // Of the member before it.
                let before = text.trim_end_matches([';', ' ']).rfind(['{', ';', '/']).expect("a member");
                let member = text.split_off(before.saturating_add(1));
                text += &format!(" /** {comment} */ {member}");
            } else if let Some(comment) = comment.strip_prefix('*') {
                let lines =
                    comment.lines().map(|line| line.trim().trim_start_matches("* ").trim_matches('*'));
                text += &format!(" /** {} */ ", lines.collect::<Vec<_>>().join(" "));
            }
        } else if next == '#' {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            if let Some((name, value)) = line.strip_prefix("#define ").and_then(|line| line.split_once(' ')) {
                found.push(format!("{text} #define {name} {}", value_of(value)));
                text.clear();
            }
        } else if let Some(after) = rest.strip_prefix("extern \"C\" {\n").or_else(|| rest.strip_prefix("}\n"))
        {
            rest = after;
        } else {
            rest = &rest[next.len_utf8()..];
            text.push(next);
            if next == ';' && text.matches('{').count() == text.matches('}').count() {
                found.push(text.replace("RELAKIT_CALL ", ""));
                text.clear();
            }
        }
    }
    assert_eq!(text.trim(), "", "after the last declaration");
    let words = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let spaces = |text: String| text.replace("( ", "(").replace("* /**", "*/**");
    let mut found: Vec<_> = found.iter().map(words).map(spaces).collect();
    found.sort();
    found
}

/// A number without its brackets, suffixes and casts; other text as it is.
fn value_of(text: &str) -> String {
    let digits = |text: &str| {
        let text = text.trim_matches(['(', ')', ' ']).replace("(uint64_t)", "");
        let text = text.trim_start_matches("uint64_t)").trim_end_matches('U');
        match text.strip_prefix("0x") {
            Some(digits) => i128::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let number = match text.split_once(" << 32) | ") {
        Some((high, low)) => digits(high).zip(digits(low)).map(|(high, low)| (high << 32) | low),
        None => digits(text),
    };
    number.map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// A declaration without its own comment.
fn code(declaration: &str) -> &str {
    declaration
        .strip_prefix("/**")
        .and_then(|text| text.split_once("*/"))
        .map_or(declaration, |(_, code)| code.trim())
}

#[test]
fn each_declaration_of_cbindgen_is_in_the_header_once_and_with_its_comment() {
    let Some(program) = cbindgen("the header was NOT compared with cbindgen's output") else { return };
    let by_cbindgen = declarations(&output_of(&program));
    let mut in_header = declarations(&committed());
    in_header.retain(|declaration| code(declaration) != "#define RELAKIT_H");
    assert!(by_cbindgen.len() > 150, "{}", by_cbindgen.len());
    for (ours, theirs) in in_header.iter().zip(&by_cbindgen) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(in_header.len(), by_cbindgen.len());
}

#[test]
fn the_script_stops_at_what_it_does_not_understand() {
    let Some(program) = cbindgen("ffi/header.py was NOT tested") else { return };
    let good = output_of(&program);
    let strerror = "const char *relakit_strerror(relakit_status status);\n";
    let status = "typedef int32_t relakit_status;\n";
    let (before, after) = good.split_once(strerror).unwrap();
    let before = &before[..before.rfind("/**").unwrap()];
    let swapped = |from: &str, to: &str| {
        assert_eq!(good.matches(from).count(), 1, "{from}");
        good.replace(from, to)
    };
    let cases = [
        ("nothing is wrong", good.clone(), None),
        ("an enum", format!("{good}enum relakit_x {{ A }};\n"), Some("not understood: 'enum")),
        ("a lost function", format!("{before}{after}"), Some("relakit_strerror is only in the sources")),
        ("a comment alone", swapped(strerror, ""), Some("not understood: ''")),
        ("a doubled function", format!("{good}{strerror}"), Some("relakit_strerror is declared twice")),
        (
            "a new function",
            format!("{good}void relakit_x(void);\n"),
            Some("relakit_x is only in cbindgen's output"),
        ),
        ("a renamed function", swapped("relakit_strerror(", "relakit_x("), Some("is only in")),
        ("another number", swapped("_ERR_SYNC -44", "_ERR_SYNC -45"), Some("-44 in the sources and -45 for")),
        ("no number", swapped("_ERR_SYNC -44", "_ERR_SYNC (-44)"), Some("-44 in the sources and (-44) for")),
        (
            "no marker",
            swapped("/* cbindgen writes the items here. */\n", ""),
            Some("must have this line once"),
        ),
        (
            "an unknown member",
            swapped("    uint32_t rewrites_code;", "    union { int a; } rewrites_code;"),
            Some("not a member"),
        ),
        (
            "a nested callback",
            swapped(status, &status.replace("int32_t", "int32_t (*)(int)")),
            Some("not understood"),
        ),
    ];
    for (name, text, error) in cases {
        let (from, to) = (scratch("cbindgen.h"), scratch("from-cbindgen.h"));
        fs::write(&from, text).unwrap();
        let _ = fs::remove_file(&to);
        let script = root().join("ffi/header.py");
        let output =
            Command::new("python3").arg(script).arg(&from).arg(root().join("ffi/src")).arg(&to).output();
        let output = output.expect("python3");
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), error.is_none(), "{name}: {message}");
        assert_eq!(to.exists(), error.is_none(), "{name}");
        assert!(error.is_none_or(|error| message.contains(error)), "{name}: {message}");
    }
}

#[test]
fn everything_in_the_header_has_a_comment() {
    let declarations = declarations(&committed());
    assert!(declarations.len() > 150, "{}", declarations.len());
    for declaration in &declarations {
        // RELAKIT_CALL has several definitions below one comment.
        let exempt =
            ["#define RELAKIT_H", "#define RELAKIT_CALL"].iter().any(|start| declaration.starts_with(start));
        assert!(exempt || declaration.starts_with("/** "), "no comment: {declaration}");
        if let Some((_, members)) = code(declaration).split_once('{') {
            let mut rest = members.trim_end_matches("};").trim();
            while !rest.is_empty() {
                let (comment, member) = rest.split_once("*/").expect(rest);
                assert!(comment.starts_with("/** "), "no comment: {comment}");
                rest = member.split_once(';').expect(member).1.trim();
            }
        }
    }
}

/// The lines of the header with their numbers, without those of comments.
fn lines_of_code(header: &str) -> Vec<(usize, &str)> {
    let mut in_comment = false;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(header.lines()) {
        let line = line.split_once(" /**<").map_or(line, |(code, _)| code);
        in_comment |= line.trim().starts_with("/*");
        if !in_comment && !line.trim().is_empty() {
            lines.push((number, line));
        }
        in_comment &= !line.trim().ends_with("*/");
    }
    lines
}

#[test]
fn functions_and_callbacks_name_their_calling_convention_and_numbers_are_safe_in_every_expression() {
    let header = committed();
    let (mut functions, mut callbacks, mut numbers) = (0, 0, 0);
    for (number, line) in lines_of_code(&header) {
        if let Some(define) = line.strip_prefix("#define RELAKIT_") {
            let (name, value) = define.split_once(' ').unwrap_or((define, ""));
            if !["H", "CALL"].contains(&name) && !name.starts_with("LINUX(") {
                assert!(value.starts_with('(') && value.ends_with(')'), "line {number}: {line}");
                let signed = ["OK", "NOT_FOUND", "SKIP"].contains(&name)
                    || ["ERR_", "SEVERITY_"].iter().any(|family| name.starts_with(family));
                assert!(signed != value.contains('U'), "line {number}: {line}");
                numbers += 1;
            }
        } else if line.contains("(*") {
            panic!("line {number}: a callback without RELAKIT_CALL: {line}");
        } else if line.contains("(RELAKIT_CALL *") {
            callbacks += 1;
        } else if line.starts_with(|first: char| first.is_ascii_lowercase()) && line.contains('(') {
            assert!(line.contains("RELAKIT_CALL relakit_"), "line {number}: {line}");
            functions += 1;
        }
    }
    assert!(functions > 35 && callbacks > 5 && numbers > 130, "{functions} {callbacks} {numbers}");
}

#[test]
fn the_header_is_short_and_its_numbers_are_at_the_end() {
    let header = committed();
    let lines = lines_of_code(&header);
    let first =
        |text: &str| lines.iter().find(|(_, line)| line.contains(text)).map(|(number, _)| *number).unwrap();
    let last =
        |text: &str| lines.iter().rfind(|(_, line)| line.contains(text)).map(|(number, _)| *number).unwrap();
    assert!(first("RELAKIT_CALL relakit_") < 150, "{}", first("RELAKIT_CALL relakit_"));
    assert!(first("relakit_apply(") <= 300, "{}", first("relakit_apply("));
    assert!(header.lines().count() < 2000, "{}", header.lines().count());
    assert!(last("struct relakit_") < first("#define RELAKIT_OK "));
    assert!(header.lines().all(|line| line.len() <= 100));
}

#[test]
fn each_status_is_named_where_a_function_can_return_it() {
    let header = committed();
    // The groups of errors and the comments of functions.
    let (_, groups) = header.split_once("Groups of errors that several functions return").unwrap();
    let (groups, _) = groups.split_once("*/").unwrap();
    let declarations = declarations(&header);
    let is_function =
        |declaration: &&String| code(declaration).contains('(') && !code(declaration).contains('{');
    let functions = declarations.iter().filter(is_function).filter(|text| !code(text).starts_with('#'));
    let texts: Vec<_> = functions.map(String::as_str).chain([groups]).collect();
    assert!(texts.len() > 35);
    let named: BTreeSet<_> = texts
        .iter()
        .flat_map(|text| text.split(|at: char| !at.is_ascii_alphanumeric() && at != '_'))
        .collect();
    let statuses = declarations.iter().filter(|text| code(text).starts_with("#define RELAKIT_ERR_"));
    assert!(statuses.clone().count() > 70);
    for status in statuses {
        let name = code(status).split(' ').nth(1).unwrap();
        assert!(named.contains(name) || status.contains("No function"), "no function names {name}");
    }
}

/// As C90, with nothing from outside but the types that the header's text names.
#[test]
fn the_header_needs_only_the_types_that_it_names() {
    let folder = scratch("types");
    fs::create_dir_all(&folder).unwrap();
    let types = [
        ("int32_t", "int"),
        ("int64_t", "long"),
        ("uint32_t", "unsigned int"),
        ("uint64_t", "unsigned long"),
        ("size_t", "unsigned long"),
    ];
    let compiles = |without: &str| {
        let own = types.iter().filter(|(name, _)| *name != without);
        let own: String = own.map(|(name, is)| format!("typedef {is} {name};\n")).collect();
        fs::write(folder.join("own-types.h"), own).unwrap();
        fs::write(folder.join("all.c"), "#include \"relakit.h\"\nint f(void);\n").unwrap();
        let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
        compile.args([
            "-std=c90",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wundef",
            "-Werror",
            "-nostdinc",
            "-ffreestanding",
        ]);
        compile
            .args(["-fsyntax-only", "-DRELAKIT_TYPES_H=\"own-types.h\"", "-I"])
            .arg(root().join("include"));
        compile.arg("-I").arg(&folder).arg(folder.join("all.c"));
        let output = compile.output().expect("a C compiler");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (success, message) = compiles("");
    assert!(success, "{message}");
    assert!(!compiles("uint64_t").0, "the header needs uint64_t, so the compiler does not read this file");
}
