//! The README's C program does what the README says.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test code: what is not as it should be is a failed test"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The first block of the README that is fenced as `kind`.
fn block<'r>(readme: &'r str, kind: &str) -> &'r str {
    let (_, rest) = readme.split_once(&format!("```{kind}\n")).expect(kind);
    rest.split_once("```").unwrap().0
}

#[test]
fn the_c_program_in_the_readme_compiles_and_prints_what_stands_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let built = Command::new("make").arg("-s").arg("-C").arg(root.join("ffi")).output().expect("make");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (out.join("readme.c"), out.join("readme"));
    fs::write(&source, block(&readme, "c")).unwrap();
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let compiled = Command::new(compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-I"])
        .arg(root.join("include"))
        .arg(&source)
        .arg(root.join("target/c/librelakit.a"))
        .arg("-o")
        .arg(&program)
        .output()
        .expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran = Command::new(&program).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), block(&readme, "text"));
}
