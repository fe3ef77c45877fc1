//! The tests in C, with the compiler that is there. `c-tests/run all` does the same with all of them, sanitizers and
//! valgrind.

use std::path::Path;
use std::process::Command;

#[test]
fn the_c_tests_pass() {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../c-tests/run");
    let output = Command::new(&run).output().unwrap_or_else(|error| panic!("{}: {error}", run.display()));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    // Nothing is left out in silence.
    for program in std::fs::read_dir(run.with_file_name("unit")).unwrap() {
        let path = program.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "c") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(text.contains(&format!(": {name}: ")), "{name} did not run:\n{text}");
        }
    }
}
