//! `relakit diff`, on the demo's livepatch and changed copies.

use super::docs::example;
use super::help::{Demo, Folder, code, json, stdout};
use serde_json::Value;

/// Sections of the demo's livepatch.
const TEXT: usize = 1;
const DATA: usize = 3;
const POINTERS: usize = 4;
const TEXTS: usize = 6;
const INIT: usize = 7;
const MODINFO: usize = 20;
const SYMBOLS: usize = 23;
const NAMES: usize = 24;
/// Offset of `replace` in `struct klp_patch`, and of its states.
const REPLACE: usize = 24;
/// Offset of the function of vmlinux in `.data`.
const FUNC: usize = 0x420;
/// Size of new_demo_submit, which is before new_diskstats_show in `.text`.
const SUBMIT: u64 = 64;
const SHOW: u64 = 67;

fn diff(old: Demo, new: Demo) -> (i32, Value) {
    let folder = Folder::new();
    folder.write("a.ko", old.0);
    folder.write("b.ko", new.0);
    let output = folder.run("diff a.ko b.ko --format json");
    (code(&output), json(&output))
}

fn text(old: Demo, new: Demo) -> String {
    let folder = Folder::new();
    folder.write("a.ko", old.0);
    folder.write("b.ko", new.0);
    stdout(&folder.run("diff a.ko b.ko")).to_owned()
}

fn put(demo: Demo, section: usize, offset: usize, bytes: &[u8]) -> Demo {
    let at = demo.content(section) + offset;
    demo.put(at, bytes)
}

/// The function of vmlinux has another name.
fn other_function() -> Demo {
    Demo::new().replace(TEXTS, b"diskstats_show", b"diskstats_shew")
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["function"].as_str().unwrap()).collect()
}

#[test]
fn a_livepatch_does_not_differ_from_itself() {
    let (code, report) = diff(Demo::new(), Demo::new());
    assert_eq!((code, report["same"].as_u64()), (0, Some(2)), "{report:#}");
    for key in [
        "no_longer_patched",
        "not_judged",
        "added",
        "changed",
        "callbacks",
        "states",
        "relocations",
        "sections",
        "modinfo",
    ] {
        assert_eq!(report[key], serde_json::json!([]), "{key}");
    }
    for (key, lists) in [
        ("objects", &["added", "removed"][..]),
        ("other_code", &["added", "removed", "changed"]),
        ("symbols", &["added", "removed", "sympos_changed"]),
    ] {
        for list in lists {
            assert_eq!(report[key][list], serde_json::json!([]), "{key} {list}");
        }
    }
}

#[test]
fn what_is_no_longer_patched_comes_first_and_fails() {
    let (code, report) = diff(Demo::new(), other_function());
    assert_eq!(code, 1);
    assert_eq!(names(&report["no_longer_patched"]), ["diskstats_show"]);
    assert_eq!(report["no_longer_patched"][0]["why"], "not in B");
    assert_eq!(names(&report["added"]), ["diskstats_shew"]);
    let text = text(Demo::new(), other_function());
    assert!(text.starts_with("no longer patched: 1 function: A is a.ko, B is b.ko\n"), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[2], "No longer patched", "{text}");
    assert!(lines[5].contains("diskstats_show"), "{text}");
}

#[test]
fn the_page_has_the_real_output() {
    let newer = other_function().replace(TEXTS, b"%u in flight", b"%u on flight");
    let newer = newer.replace(NAMES, b"demo_disk.demo_queue", b"demo_disk.demo_quiet");
    let folder = Folder::new();
    folder.write("livepatch-7.ko", Demo::new().0);
    folder.write("livepatch-8.ko", put(newer, DATA, REPLACE, &[1]).0);
    let output = folder.run("diff livepatch-7.ko livepatch-8.ko");
    example("diff.md", &format!("$ relakit diff livepatch-7.ko livepatch-8.ko\n{}", stdout(&output)));
}

#[test]
fn an_object_that_is_not_patched_any_more_is_a_reason() {
    let (code, report) = diff(Demo::new(), Demo::new().replace(TEXTS, b"demo_disk\0", b"demo_tape\0"));
    assert_eq!(code, 1);
    assert_eq!(report["no_longer_patched"][0]["why"], "B does not patch the object");
    assert_eq!(report["objects"], serde_json::json!({"removed": ["demo_disk"], "added": ["demo_tape"]}));
}

#[test]
fn a_function_is_the_same_with_sympos_0_and_1_and_another_one_with_2() {
    let at = |sympos: u64| put(Demo::new(), DATA, FUNC + 16, &sympos.to_le_bytes());
    assert_eq!(diff(at(0), at(1)).0, 0);
    assert_eq!(diff(at(1), at(0)).0, 0);
    let (code, report) = diff(at(1), at(2));
    assert_eq!(code, 1);
    assert_eq!(report["no_longer_patched"][0]["why"], "B patches sympos 2");
    assert_eq!(report["added"][0]["sympos"], 2);
}

#[test]
fn other_bytes_are_other_code() {
    // The last byte of each function: ret or a call's displacement.
    for (offset, function) in [(SUBMIT - 1, "demo_submit"), (SUBMIT, "diskstats_show")] {
        let offset = usize::try_from(offset).unwrap();
        let (code, report) = diff(Demo::new(), put(Demo::new(), TEXT, offset, &[0xcc]));
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(names(&report["changed"]), [function]);
        assert_eq!(report["same"], 1);
    }
}

#[test]
fn another_symbol_is_other_code_and_another_livepatch_symbol() {
    let other = Demo::new().replace(NAMES, b"demo_disk.demo_queue", b"demo_disk.demo_quiet");
    let (code, report) = diff(Demo::new(), other);
    assert_eq!(code, 0);
    assert_eq!(names(&report["changed"]), ["demo_submit"]);
    assert_eq!(report["symbols"]["removed"][0]["name"], "demo_queue");
    assert_eq!(report["symbols"]["added"][0]["name"], "demo_quiet");
    let other = Demo::new().replace(NAMES, b"part_in_flight,2", b"part_in_flight,1");
    let (_, report) = diff(Demo::new(), other);
    assert_eq!(
        report["symbols"]["sympos_changed"],
        serde_json::json!([{"object": "vmlinux", "name": "part_in_flight", "a": [2], "b": [1]}])
    );
}

#[test]
fn another_text_is_other_code() {
    let other = Demo::new().replace(TEXTS, b"%u in flight", b"%u on flight");
    let (_, report) = diff(Demo::new(), other);
    assert_eq!(names(&report["changed"]), ["diskstats_show"], "{report:#}");
}

/// The same livepatch with its two functions in the other order.
fn swapped() -> Demo {
    let moved = |at: u64| if at < SUBMIT { at + SHOW } else { at - SUBMIT };
    let mut demo = Demo::new();
    let text = demo.content(TEXT);
    let (submit, show) = (usize::try_from(SUBMIT).unwrap(), usize::try_from(SHOW).unwrap());
    demo.0[text..text + submit + show].rotate_left(submit);
    let number = |demo: &Demo, at: usize| u64::from_le_bytes(demo.0[at..at + 8].try_into().unwrap());
    for section in [2, 4, 10, 13, 15, 17, 19, 26, 27, 28, 29] {
        let target = demo.0[demo.header(section, 44)];
        let size = usize::try_from(number(&demo, demo.header(section, 32))).unwrap();
        let start = demo.content(section);
        for entry in (start..start + size).step_by(24) {
            if usize::from(target) == TEXT {
                let offset = moved(number(&demo, entry));
                demo = demo.put(entry, &offset.to_le_bytes());
            }
            // Symbol 2 is that of .text.
            if number(&demo, entry + 8) >> 32 == 2 {
                let addend = moved(number(&demo, entry + 16));
                demo = demo.put(entry + 16, &addend.to_le_bytes());
            }
        }
    }
    for symbol in [6, 9] {
        let value = demo.content(SYMBOLS) + symbol * 24 + 8;
        let new = moved(number(&demo, value));
        demo = demo.put(value, &new.to_le_bytes());
    }
    demo
}

#[test]
fn functions_that_have_only_moved_are_the_same() {
    assert_ne!(swapped().0, Demo::new().0);
    let (code, report) = diff(Demo::new(), swapped());
    assert_eq!((code, report["same"].as_u64()), (0, Some(2)), "{report:#}");
    assert_eq!(report["other_code"]["changed"], serde_json::json!([]));
}

#[test]
fn a_function_without_a_size_is_not_judged() {
    let size = |demo: &Demo| demo.content(SYMBOLS) + 6 * 24 + 16;
    let demo = Demo::new();
    let at = size(&demo);
    let (code, report) = diff(Demo::new(), demo.put(at, &[0; 8]));
    assert_eq!(code, 1);
    assert!(report["not_judged"][0]["what"].as_str().unwrap().contains("demo_submit"), "{report:#}");
}

#[test]
fn a_tree_that_the_init_function_makes_is_not_judged() {
    // The two instructions that load %rdi load %rsi, and the pointer to __this_module has the type NONE.
    let made = |demo: Demo| {
        let demo = [4, 0x12].iter().fold(demo, |demo, at| put(demo, INIT, at + 2, &[0xc6]));
        put(demo, POINTERS, 8, &[0])
    };
    let (code, report) = diff(Demo::new(), made(Demo::new()));
    assert_eq!(code, 1, "{report:#}");
    let what = report["not_judged"][0]["what"].as_str().unwrap();
    assert!(what.starts_with("the functions of B: its init function makes the list"), "{what}");
    assert_eq!(report["no_longer_patched"], serde_json::json!([]));
}

#[test]
fn a_name_that_cannot_be_read_is_not_judged() {
    let demo = Demo::new();
    let addend = demo.content(4) + 7 * 24 + 16;
    let (code, report) = diff(Demo::new(), demo.put(addend, &0x5000u64.to_le_bytes()));
    assert_eq!(code, 1);
    let what = report["not_judged"][0]["what"].as_str().unwrap();
    assert!(what.starts_with("functions of B without a name that can be read: 1"), "{report:#}");
}

#[test]
fn a_livepatch_that_does_not_replace_leaves_the_functions_of_the_first_one_patched() {
    let note = |report: &Value| {
        let notes = report["notes"].as_array().unwrap().clone();
        notes.iter().any(|note| note.as_str().unwrap().starts_with("B does not replace other livepatches"))
    };
    let replacing = put(Demo::new(), DATA, REPLACE, &[1]);
    let (_, report) = diff(Demo::new(), replacing.clone());
    assert!(!note(&report));
    assert_eq!(report["replace"], serde_json::json!({"a": false, "b": true}));
    assert!(note(&diff(replacing, Demo::new()).1));
}

#[test]
fn entries_of_modinfo_are_compared() {
    let other = Demo::new().replace(MODINFO, b"vermagic=6.12.0-demo", b"vermagic=6.12.1-demo");
    let (code, report) = diff(Demo::new(), other);
    assert_eq!(code, 0);
    assert_eq!(
        report["modinfo"],
        serde_json::json!([{"key": "vermagic", "a": "6.12.0-demo ", "b": "6.12.1-demo "}])
    );
    assert!(report["notes"][0].as_str().unwrap().contains("different kernels"), "{report:#}");
}

#[test]
fn relocations_are_counted_by_class_and_section() {
    // Without the flag, a livepatch section is ordinary.
    let demo = Demo::new();
    let flags = demo.header(28, 8) + 2;
    let (_, report) = diff(Demo::new(), demo.put(flags, &[0]));
    let late = serde_json::json!({"class": "klp-late", "object": "demo_disk", "a": 4, "b": 3});
    assert!(report["relocations"].as_array().unwrap().contains(&late), "{report:#}");
    let section =
        serde_json::json!({"class": "klp-late", "section": ".klp.rela.demo_disk..data", "a": 1, "b": 0});
    assert!(report["sections"].as_array().unwrap().contains(&section), "{report:#}");
}

#[test]
fn quiet_prints_the_first_line_only() {
    let folder = Folder::new();
    let output = folder.run("-q diff livepatch.ko livepatch.ko --kernel 6.12");
    let expected = "B patches each function that A patches: A is livepatch.ko, B is livepatch.ko\n";
    assert_eq!((code(&output), stdout(&output)), (0, expected));
}

#[test]
fn exit_codes_are_those_of_check() {
    let folder = Folder::new();
    folder.write("b.ko", other_function().0);
    for (command, expected) in [
        ("diff livepatch.ko livepatch.ko", 0),
        ("diff b.ko b.ko", 0),
        ("diff livepatch.ko b.ko", 1),
        ("diff livepatch.ko broken.ko", 1),
        ("diff livepatch.ko", 2),
        ("diff - -", 2),
        ("diff livepatch.ko b.ko --kernel elf", 2),
        ("diff livepatch.ko symbols.txt", 3),
        ("diff livepatch.ko missing.ko", 3),
    ] {
        let output = folder.run(command);
        assert_eq!(code(&output), expected, "{command}: {output:?}");
    }
}
