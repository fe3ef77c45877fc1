//! `relakit apply`, on the livepatch of the demo.

use super::help::{Folder, code, json, relakit, stderr};
use serde_json::Value;
use std::fs;
use std::process::Output;

/// Section numbers in the demo's livepatch.
const TEXT: usize = 1;
const DATA: usize = 3;

/// `relakit apply`, with more arguments.
fn apply(folder: &Folder, more: &str) -> Output {
    apply_to(folder, "livepatch.ko", more)
}

fn apply_to(folder: &Folder, module: &str, more: &str) -> Output {
    let space = if more.is_empty() { "" } else { " " };
    folder.run(&format!("apply {module} --place memory.json --symbols symbols.txt --out out{space}{more}"))
}

fn section(folder: &Folder, step: &str, index: usize) -> Vec<u8> {
    fs::read(folder.path(&format!("out/{step}/{index}.bin"))).unwrap()
}

fn steps(folder: &Folder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.path("out")) else { return Vec::new() };
    let folders = entries.map(Result::unwrap).filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FIRST: &str = "--coming demo_disk=demo_disk-first.txt";
const SECOND: &str = "--coming demo_disk=demo_disk-second.txt";

#[test]
fn steps_run_in_the_given_order_and_each_writes_its_memory() {
    let folder = Folder::new();
    let done = apply(&folder, &format!("{FIRST} --going demo_disk {SECOND}"));
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let expected = ["0-early", "1-coming-demo_disk", "2-going-demo_disk", "3-coming-demo_disk"];
    assert_eq!(steps(&folder), expected);
    // stats.requests, an R_X86_64_64 against demo_requests.
    let pointer = |step| u64::from_le_bytes(section(&folder, step, DATA)[0x550..0x558].try_into().unwrap());
    assert_eq!(expected.map(pointer), [0, 0xffff_ffff_c0a1_2400, 0, 0xffff_ffff_c0b3_6400]);
    assert_eq!(section(&folder, "0-early", TEXT), section(&folder, "2-going-demo_disk", TEXT));
    // part_in_flight,2: the second by address, from the field at .text+0x5d.
    let field = &section(&folder, "0-early", TEXT)[0x5d..0x61];
    let distance = 0xffff_ffff_815b_7e60u64.wrapping_sub(0xffff_ffff_c090_1000 + 0x61);
    assert_eq!(field, &distance.to_le_bytes()[..4]);
}

#[test]
fn a_step_that_fails_writes_nothing_and_ends_the_run() {
    let folder = Folder::new();
    let failed = apply(&folder, "--coming demo_disk --going demo_disk");
    assert_eq!(code(&failed), 1);
    assert_eq!(steps(&folder), ["0-early"]);
    let said = stderr(&failed);
    // All symbols of both sections, not only the first one.
    assert_eq!(said.matches("livepatch symbol not found").count(), 4, "{said}");
    for part in
        ["section 26 .klp.rela.demo_disk..text", "section 28", "EINVAL", "1-coming-demo_disk: 4 errors"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn an_early_pass_that_fails_reports_all_unknown_symbols() {
    let folder = Folder::new();
    folder.write("few.txt", "ffffffff81000000 T _text\n");
    let failed = folder.run("apply livepatch.ko --place memory.json --symbols few.txt --out out");
    assert_eq!(code(&failed), 1);
    assert!(steps(&folder).is_empty());
    let said = stderr(&failed);
    for name in ["_printk", "klp_enable_patch", "seq_printf"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(said.matches("unknown symbol").count(), 3, "{said}");
}

#[test]
fn unloading_first_and_loading_twice_are_refused() {
    let folder = Folder::new();
    assert!(stderr(&apply(&folder, "--going demo_disk")).contains("are not applied"));
    let twice = apply(&folder, &format!("{FIRST} {SECOND}"));
    assert_eq!(code(&twice), 1);
    assert!(stderr(&twice).contains("already applied"));
}

#[test]
fn linux_before_6_3_does_not_clear_and_so_cannot_apply_again() {
    let folder = Folder::new();
    let failed = apply(&folder, &format!("--kernel 6.1 {FIRST} --going demo_disk {FIRST}"));
    assert_eq!(code(&failed), 1);
    assert_eq!(section(&folder, "1-coming-demo_disk", TEXT), section(&folder, "2-going-demo_disk", TEXT));
    assert!(stderr(&failed).contains("not zero"), "{}", stderr(&failed));
}

#[test]
fn an_object_without_relocations_causes_a_note() {
    let folder = Folder::new();
    let done = apply(&folder, "--coming demo-disk");
    assert_eq!(code(&done), 0);
    assert!(stderr(&done).contains("no relocations for \"demo-disk\""));
    assert_eq!(section(&folder, "0-early", TEXT), section(&folder, "1-coming-demo-disk", TEXT));
}

#[test]
fn a_kernel_without_a_profile_uses_the_older_one_and_a_note_says_so() {
    let folder = Folder::new();
    let done = apply(&folder, "--kernel 6.8.0-45-generic");
    assert_eq!(code(&done), 0);
    assert!(stderr(&done).contains("uses the rules of Linux 6.3"), "{}", stderr(&done));
    for wrong in ["5.7", "banana", ""] {
        assert_eq!(code(&apply(&folder, &format!("--kernel {wrong}"))), 2, "{wrong}");
    }
}

#[test]
fn json_has_the_steps_and_the_errors() {
    let folder = Folder::new();
    let done = json(&apply(&folder, &format!("--format json {FIRST}")));
    assert_eq!(done["failed"], serde_json::Value::Null);
    assert_eq!(done["steps"][1]["step"], "1-coming-demo_disk");
    assert_eq!(done["steps"][1]["relocation_sections"], 2);
    let failed = json(&apply(&folder, "--format json --coming demo_disk"));
    assert_eq!(failed["failed"], "1-coming-demo_disk");
    let error = &failed["errors"][0];
    assert_eq!(error["kind"], "KlpNotFound");
    assert_eq!(error["errno"], "EINVAL");
    assert_eq!(error["symbol_name"], ".klp.sym.demo_disk.demo_limits,0");
    assert_eq!(error["numbers"]["offset"], "0xb");
}

#[test]
fn a_file_that_cannot_be_read_has_its_own_exit_code() {
    let folder = Folder::new();
    assert_eq!(code(&apply_to(&folder, "/nonexistent.ko", "")), 3);
    assert_eq!(code(&apply(&folder, "--coming demo_disk=/nonexistent")), 3);
    folder.write("memory.json", "{");
    let failed = apply(&folder, "");
    assert_eq!(code(&failed), 3);
    assert!(stderr(&failed).contains("memory.json"));
    folder.write("memory.json", r#"{"sections": [{"index": 99, "addr": 1}]}"#);
    assert!(stderr(&apply(&folder, "")).contains("section 99"));
}

#[test]
fn a_truncated_module_is_an_error() {
    let folder = Folder::new();
    let module = fs::read(folder.path("livepatch.ko")).unwrap();
    folder.write("cut.ko", &module[..module.len() - 1]);
    let failed = apply_to(&folder, "cut.ko", "");
    assert_eq!(code(&failed), 1);
    assert!(stderr(&failed).contains("extends past the end of the file"), "{}", stderr(&failed));
    assert_eq!(code(&apply_to(&folder, "broken.ko", "")), 1);
    let text = apply_to(&folder, "symbols.txt", "");
    assert_eq!(code(&text), 3);
    assert!(stderr(&text).contains("not an ELF file; it is text"), "{}", stderr(&text));
}

#[test]
fn a_relocated_section_needs_an_address() {
    let folder = Folder::new();
    folder.write("memory.json", r#"{"sections": [{"index": 1, "addr": "0xffffffffc0901000"}]}"#);
    let failed = apply(&folder, "");
    assert_eq!(code(&failed), 1);
    // Each relocated section once.
    assert_eq!(stderr(&failed).matches("section has no memory").count(), 8, "{}", stderr(&failed));
}

#[test]
fn names_that_cannot_be_modules_are_refused_on_the_command_line() {
    let folder = Folder::new();
    for step in ["--coming vmlinux", "--coming =x", "--coming a/../b", "--going "] {
        assert_eq!(code(&apply(&folder, step)), 2, "{step}");
    }
}

#[test]
fn a_second_run_into_the_same_folder_leaves_no_old_files() {
    let folder = Folder::new();
    assert_eq!(code(&apply(&folder, "")), 0);
    fs::write(folder.path("out/0-early/999.bin"), "old").unwrap();
    assert_eq!(code(&apply(&folder, "")), 0);
    assert!(!folder.path("out/0-early/999.bin").exists());
}

#[test]
fn a_shorter_run_into_the_same_folder_leaves_no_steps_of_the_longer_one() {
    let folder = Folder::new();
    assert_eq!(code(&apply(&folder, &format!("{FIRST} --going demo_disk"))), 0);
    folder.write("out/notes.txt", "mine");
    fs::create_dir(folder.path("out/.7-going-x.partial")).unwrap();
    assert_eq!(code(&apply(&folder, "")), 0);
    assert_eq!(steps(&folder), ["0-early"]);
    assert!(folder.path("out/notes.txt").exists());
    // Also if nothing new is written.
    folder.write("few.txt", "ffffffff81000000 T _text\n");
    assert_eq!(code(&folder.run("apply livepatch.ko --place auto --symbols few.txt --out out")), 1);
    assert!(steps(&folder).is_empty());
}

#[test]
fn a_step_folder_with_a_file_that_relakit_does_not_write_is_not_removed() {
    let folder = Folder::new();
    assert_eq!(code(&apply(&folder, FIRST)), 0);
    folder.write("out/1-coming-demo_disk/notes.txt", "mine");
    let refused = apply(&folder, "");
    assert_eq!(code(&refused), 3);
    assert!(stderr(&refused).contains("notes.txt: relakit does not write this file"), "{refused:?}");
    assert_eq!(steps(&folder), ["0-early", "1-coming-demo_disk"]);
}

/// Runs with another place into another folder. Returns the memory after the early pass.
fn placed(folder: &Folder, place: &str, out: &str) -> Vec<(String, Vec<u8>)> {
    let output = folder.run(&format!("apply livepatch.ko --place {place} --symbols symbols.txt --out {out}"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let entries = fs::read_dir(folder.path(&format!("{out}/0-early"))).unwrap().map(Result::unwrap);
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

#[test]
fn a_run_with_automatic_addresses_can_be_repeated_in_every_format() {
    let folder = Folder::new();
    let first = placed(&folder, "auto", "out");
    assert_eq!(placed(&folder, "out/place.json", "again"), first);
    // The same addresses by name, as text, and as a folder.
    let place: Value = serde_json::from_slice(&fs::read(folder.path("out/place.json")).unwrap()).unwrap();
    let sections = place["sections"].as_array().unwrap();
    let mut named = place.clone();
    for section in named["sections"].as_array_mut().unwrap() {
        section.as_object_mut().unwrap().remove("index");
    }
    folder.write("named.json", named.to_string());
    assert_eq!(placed(&folder, "named.json", "by-name"), first);
    let text = |key: &str, section: &Value| section[key].as_str().unwrap().to_owned();
    fs::create_dir(folder.path("sections")).unwrap();
    let mut lines = String::new();
    for section in sections {
        lines += &format!("{} {}\n", text("name", section), text("addr", section));
        folder.write(&format!("sections/{}", text("name", section)), text("addr", section) + "\n");
    }
    folder.write("sections.txt", lines);
    assert_eq!(placed(&folder, "sections.txt", "by-line"), first);
    assert_eq!(placed(&folder, "sections", "by-file"), first);
}

#[test]
fn what_sys_does_not_show_is_an_error_that_says_why() {
    let folder = Folder::new();
    for (place, why) in [
        (".text 0x0\n", "all addresses are 0; /sys shows addresses only to root"),
        (".txet 0x1000\n", "the module has no section .txet"),
        (r#"{"sections": [{"name": ".txet", "addr": 1}]}"#, "the module has no section .txet"),
        (
            r#"{"sections": [{"index": 1, "addr": 1}, {"name": ".text", "addr": 2}]}"#,
            "section 1 is listed twice",
        ),
        (r#"{"sections": [{"index": 99, "addr": 1}]}"#, "section 99: the module has"),
    ] {
        folder.write("place", place);
        let output = folder.run("apply livepatch.ko --place place --symbols symbols.txt --out out");
        assert_eq!(code(&output), 3, "{place}: {output:?}");
        assert!(stderr(&output).contains(why), "{place}: {}", stderr(&output));
    }
    let elf = folder.run("apply livepatch.ko --place auto --symbols symbols.txt --out out --kernel elf");
    assert_eq!(code(&elf), 2);
    assert!(stderr(&elf).contains("give a file with addresses"), "{}", stderr(&elf));
}

#[test]
fn only_terminals_get_colours() {
    let folder = Folder::new();
    let failed = apply(&folder, "--coming demo_disk");
    let demo = relakit().arg("demo").output().unwrap();
    for text in [&failed.stdout, &failed.stderr, &demo.stdout] {
        assert!(!text.contains(&0x1b));
    }
}

#[test]
fn the_demo_shows_all_steps() {
    let demo = relakit().arg("demo").output().unwrap();
    assert_eq!(code(&demo), 0);
    let story = String::from_utf8(demo.stdout).unwrap();
    for part in [
        "early",
        "__jump_table",
        "Load demo_disk at",
        "Unload",
        "Load demo_disk again",
        "Nothing was written",
    ] {
        assert!(story.contains(part), "{part}");
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish"] {
        let script = relakit().args(["completions", shell]).output().unwrap();
        assert!(String::from_utf8(script.stdout).unwrap().contains("inspect"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(code(&relakit().arg("man").arg(dir.path()).output().unwrap()), 0);
    assert!(fs::read_to_string(dir.path().join("relakit-apply.1")).unwrap().contains("MEMORY.json"));
}
