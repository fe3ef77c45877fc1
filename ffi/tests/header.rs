//! `make -C ffi header` makes the committed header.

use std::path::Path;
use std::process::Command;

/// Another version may write the same sources down in another way.
const VERSION: &str = "cbindgen 0.29.4";

/// `$CBINDGEN`, or what is on PATH; none of another version.
fn cbindgen() -> Option<String> {
    let program = std::env::var("CBINDGEN").unwrap_or_else(|_| "cbindgen".to_owned());
    let output = Command::new(&program).arg("--version").output().ok()?;
    (String::from_utf8_lossy(&output.stdout).trim() == VERSION).then_some(program)
}

#[test]
fn the_committed_header_is_what_make_header_makes() {
    let Some(program) = cbindgen() else {
        let text =
            format!("there is no {VERSION} on PATH or in $CBINDGEN: include/relakit.h was NOT compared");
        assert!(std::env::var_os("RELAKIT_NEED_CBINDGEN").is_none_or(|need| need.is_empty()), "{text}");
        // Not `eprintln`, which the test's harness keeps to itself.
        std::io::Write::write_all(&mut std::io::stderr(), format!("\nNOTE: {text}\n").as_bytes()).unwrap();
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("relakit.h");
    let output = Command::new("make")
        .args(["--silent", "--no-print-directory", "-C"])
        .arg(root.join("ffi"))
        .arg("header")
        .arg(format!("CBINDGEN={program}"))
        .arg(format!("HEADER={}", made.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read_to_string(made).unwrap();
    let committed = std::fs::read_to_string(root.join("include/relakit.h")).unwrap();
    let differs = made.lines().zip(committed.lines()).zip(1..).find(|((a, b), _)| a != b);
    if let Some(((made, committed), line)) = differs {
        panic!(
            "include/relakit.h, line {line}, is\n{committed}\nand would be\n{made}\nafter `make -C ffi header`"
        );
    }
    assert!(made == committed, "include/relakit.h is of another length: `make -C ffi header`");
}
