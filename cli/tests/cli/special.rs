//! Mistakes in special sections.

use super::elf::{PROGBITS, SHN_ABS, module_with, section, this_module};
use super::help::{Folder, json};
use serde_json::Value;

/// A module with one entry without relocations in a special section.
fn broken(name: &str, size: usize) -> Vec<u8> {
    named("evil", name, size)
}

fn named(module: &str, name: &str, size: usize) -> Vec<u8> {
    let sections = vec![section(name, PROGBITS, 2, vec![0; size])];
    module_with(this_module(module), sections, &[("value", SHN_ABS, 0)])
}

fn check(files: &[(&str, &[u8])], arguments: &str) -> Value {
    let folder = Folder::new();
    for (name, file) in files {
        folder.write(name, file);
    }
    let command = format!("check evil.ko --symbols symbols.txt --format json {arguments}");
    json(&folder.relakit(&command).output().unwrap())
}

fn rules(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().filter_map(|finding| finding["rule"].as_str()).collect()
}

#[test]
fn an_entry_with_which_linux_crashes_is_unsafe_in_the_versions_that_read_it() {
    let file = broken(".parainstructions", 16);
    let old = check(&[("evil.ko", &file)], "--kernel 6.1");
    assert_eq!(
        (&old["verdict"], &old["phase"], &old["errno"]),
        (&"unsafe".into(), &"finalize".into(), &Value::Null)
    );
    let message = old["message"].as_str().unwrap();
    assert!(message.contains("apply_paravirt reads .parainstructions"), "{message}");
    assert_eq!(old["errors"][0]["kind"], "SpecialNotRelocated");
    assert!(rules(&old).is_empty(), "{old:#}");
    let new = check(&[("evil.ko", &file)], "--kernel 6.12");
    assert_eq!(new["verdict"], "accepted", "nothing reads the section");
}

#[test]
fn an_entry_that_linux_warns_of_is_a_finding_that_says_so() {
    let report = check(&[("evil.ko", &broken(".return_sites", 4))], "--kernel 6.12");
    assert_eq!(
        (&report["verdict"], rules(&report)),
        (&"accepted".into(), vec!["special-entry-not-relocated"])
    );
    let details = report["findings"][0]["details"].to_string();
    assert!(details.contains("apply_returns reads .return_sites and warns"), "{details}");
}

#[test]
fn a_target_with_which_linux_crashes_is_unsafe_in_its_step() {
    let files =
        [("evil.ko", &*broken(".data.more", 16)), ("bad.ko", &*named("bad", ".static_call_sites", 8))];
    let report = check(&files, "--kernel 6.12 --target bad=bad.ko --event coming:bad");
    assert_eq!(report["verdict"], "accepted");
    let step = &report["steps"][0];
    assert_eq!((&step["verdict"], &step["phase"]), (&"unsafe".into(), &"finalize".into()), "{report:#}");
}
