//! The committed header is what cbindgen makes of the sources.

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
fn the_header_is_what_cbindgen_makes_of_the_sources() {
    let Some(program) = cbindgen() else {
        let text =
            format!("there is no {VERSION} on PATH or in $CBINDGEN: include/relakit.h was NOT compared");
        assert!(std::env::var_os("RELAKIT_NEED_CBINDGEN").is_none_or(|need| need.is_empty()), "{text}");
        // Not `eprintln`, which the test's harness keeps to itself.
        std::io::Write::write_all(&mut std::io::stderr(), format!("\nNOTE: {text}\n").as_bytes()).unwrap();
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // As in ffi/Makefile, but to stdout.
    let output = Command::new(program)
        .current_dir(root)
        .args(["--quiet", "--config", "ffi/cbindgen.toml", "--crate", "relakit-ffi", "ffi"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = String::from_utf8(output.stdout).unwrap();
    let committed = std::fs::read_to_string(root.join("include/relakit.h")).unwrap();
    let differs = made.lines().zip(committed.lines()).zip(1..).find(|((a, b), _)| a != b);
    if let Some(((made, committed), line)) = differs {
        panic!(
            "include/relakit.h, line {line}, is\n{committed}\nand would be\n{made}\nafter `make -C ffi header`"
        );
    }
    assert!(made == committed, "include/relakit.h is of another length: `make -C ffi header`");
}
