//! Output that cannot be written.

use super::help::{Folder, code, stderr};
use std::fs::{self, File};

const CHECK: &str = "check livepatch.ko --symbols symbols.txt demo_disk-first.txt --format";
const APPLY: &str = "apply livepatch.ko --place memory.json --symbols symbols.txt --out out --format";
/// The directory has no memory of a module, so nothing is judged.
const VERIFY: &str = "verify livepatch.ko --place memory.json --memory . --symbols symbols.txt --format";

/// Each command in each format, and its exit code if the output can be written.
fn commands() -> Vec<(String, i32)> {
    let mut commands: Vec<(String, i32)> = [
        "demo",
        "--help",
        "--version",
        "help check",
        "inspect --help",
        "apply --help",
        "check --help",
        "verify --help",
    ]
    .map(|command| (command.to_owned(), 0))
    .into();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        commands.push((format!("completions {shell}"), 0));
    }
    for format in ["text", "json", "html"] {
        commands.push((format!("inspect livepatch.ko --format {format}"), 0));
    }
    for format in ["text", "json", "sarif", "html"] {
        commands.push((format!("{CHECK} {format}"), 0));
        commands.push((format!("{CHECK} {format} --event coming:demo_disk --event coming:demo_disk"), 1));
        commands.push((format!("check broken.ko --symbols symbols.txt --format {format}"), 1));
    }
    for format in ["text", "json", "sarif"] {
        commands
            .push((format!("check modules --symbols symbols.txt demo_disk-first.txt --format {format}"), 0));
    }
    commands.push((format!("{APPLY} text"), 0));
    commands.push((format!("{APPLY} json"), 0));
    commands.push((format!("{APPLY} json --coming demo_disk"), 1));
    commands.push(("inspect broken.ko --format json".to_owned(), 1));
    for format in ["text", "json"] {
        commands.push((format!("{VERIFY} {format}"), 1));
    }
    commands.push((format!("{VERIFY} json").replace("livepatch.ko", "broken.ko"), 1));
    for format in ["text", "json"] {
        commands.push((format!("diff livepatch.ko livepatch.ko --format {format}"), 0));
        for what in ["", " half-applied", " EINVAL", " FunctionNotTraced", " --log dmesg.txt"] {
            commands.push((format!("explain{what} --format {format}"), 0));
        }
        commands.push((format!("explain --log symbols.txt --format {format}"), 1));
    }
    commands.push(("convert --header".to_owned(), 0));
    commands.push(("convert livepatch.ko -o out.ko".to_owned(), 0));
    commands.push(("convert livepatch.ko -o out.ko --symbols symbols.txt --format json".to_owned(), 1));
    commands
}

fn folder() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path("modules")).unwrap();
    fs::copy(folder.path("livepatch.ko"), folder.path("modules/livepatch.ko")).unwrap();
    folder.write("dmesg.txt", "nfs: module is already loaded\n");
    folder
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_full_standard_output_is_an_error_in_every_command_and_format() {
    let folder = folder();
    for (command, expected) in commands() {
        assert_eq!(code(&folder.relakit(&command).output().unwrap()), expected, "{command}");
        let output = folder.relakit(&command).stdout(full()).output().unwrap();
        assert_eq!(code(&output), 3, "{command}: {output:?}");
        assert!(stderr(&output).contains("standard output: "), "{command}: {output:?}");
    }
}

#[test]
fn a_closed_pipe_is_not_an_error_and_does_not_change_the_exit_code() {
    let folder = folder();
    for (command, expected) in commands() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = folder.relakit(&command).stdout(writer).output().unwrap();
        assert_eq!(code(&output), expected, "{command}: {output:?}");
        assert!(!stderr(&output).contains("standard output"), "{command}: {output:?}");
    }
}

#[test]
fn errors_and_notes_that_cannot_be_written_are_an_error() {
    let folder = folder();
    for command in [
        "inspect broken.ko".to_owned(),
        "inspect livepatch.ko --kernel 6.11".to_owned(),
        "apply broken.ko --place memory.json --symbols symbols.txt --out out".to_owned(),
        format!("{VERIFY} text").replace("livepatch.ko", "broken.ko"),
        format!("{APPLY} text --coming demo_disk"),
        format!("{APPLY} text --coming nothing"),
    ] {
        let output = folder.relakit(&command).stderr(full()).output().unwrap();
        assert_eq!(code(&output), 3, "{command}: {output:?}");
    }
}

#[test]
fn files_that_cannot_be_written_are_an_error() {
    let folder = folder();
    fs::create_dir(folder.path("man")).unwrap();
    for command in [
        "man man".to_owned(),
        format!("{APPLY} text"),
        "man /dev/full".to_owned(),
        "convert livepatch.ko -o out.ko".to_owned(),
    ] {
        // The limit for the size of files is 0.
        let output = folder.limited("trap '' XFSZ; ulimit -f 0", &command).output().unwrap();
        assert_eq!(code(&output), 3, "{command}: {output:?}");
        assert!(stderr(&output).contains("error"), "{command}: {output:?}");
    }
    assert!(!folder.path("out/0-early").exists());
}
