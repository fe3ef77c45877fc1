//! `relakit check` with one flag: `--root` or `--modules` finds the modules, the symbols and the events.

use super::elf::{FIRST, PROGBITS, named, relocations, section, with_modinfo};
use super::help::{Demo, FIRST as LISTED, Folder, SYMBOLS, code, json, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::process::Output;

/// The release that the demo's livepatch is built for.
const RELEASE: &str = "6.12.0-demo";
/// The size of `struct module` in the demo's kernel.
const THIS_MODULE: usize = 0x58;
const STUB: &str = "ffffffffffffffff B The real System.map is in the linux-image-6.12.0-demo-dbg package\n";
/// The events of a livepatch with one object, in the order of the steps.
const LIFE: [&str; 5] =
    ["live:demo_disk", "load-first", "coming:demo_disk", "going:demo_disk", "coming:demo_disk"];

/// The module that the demo's livepatch patches. `missing` is the name of a symbol that it does not
/// have.
fn demo_disk(depends: &str, missing: &str) -> Vec<u8> {
    let symbols = LISTED.lines().map(|line| line.split_whitespace().nth(2).unwrap());
    let symbols = symbols.filter(|name| *name != "__this_module" && *name != missing);
    let symbols: Vec<(&str, u16, u64)> = (0..).zip(symbols).map(|(at, name)| (name, 1, at * 16)).collect();
    let submit = (1..).zip(&symbols).find(|(_, (name, ..))| *name == "demo_submit").unwrap().0;
    let mut this_module = vec![0; THIS_MODULE];
    this_module[24..33].copy_from_slice(b"demo_disk");
    let traced = vec![
        section("__mcount_loc", PROGBITS, 2, vec![0; 8]),
        // R_X86_64_64.
        relocations(".rela__mcount_loc", 0x40, FIRST, [(0, 1, submit)].into_iter()),
    ];
    let modinfo = format!("license=GPL\0depends={depends}\0name=demo_disk\0");
    with_modinfo(this_module, &modinfo, traced, &symbols)
}

/// A root file system `root` with the demo's kernel.
pub fn root() -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("root/boot")).unwrap();
    fs::create_dir_all(folder.path(&format!("root/lib/modules/{RELEASE}/kernel"))).unwrap();
    folder.write(&format!("root/boot/System.map-{RELEASE}"), SYMBOLS);
    set_module(&folder, "demo_disk", demo_disk("", ""));
    folder
}

fn set_module(folder: &Folder, name: &str, file: Vec<u8>) {
    folder.write(&format!("root/lib/modules/{RELEASE}/kernel/{name}.ko"), file);
}

fn check(folder: &Folder, more: &str) -> Output {
    let space = if more.is_empty() { "" } else { " " };
    folder.run(&format!("check livepatch.ko --root root{space}{more}"))
}

/// The event and the verdict of each step.
fn steps(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().map(|step| (step["event"].as_str().unwrap(), step["verdict"].as_str().unwrap())).collect()
}

fn notes(report: &Value) -> String {
    let notes = report["notes"].as_array().unwrap();
    notes.iter().map(|note| note.as_str().unwrap().to_owned() + "\n").collect()
}

#[test]
fn one_flag_finds_the_modules_the_symbols_and_the_events() {
    let folder = root();
    let report = json(&check(&folder, "--format json"));
    assert_eq!(steps(&report), LIFE.map(|event| (event, "accepted")), "{report:#}");
    assert_eq!(report["applied"], serde_json::json!({"relocations": 6, "functions": 2}));
    assert_eq!(report["steps"][1]["applied"], serde_json::json!({"relocations": 2, "functions": 1}));
    let used = &report["used"];
    assert_eq!(used["release"], RELEASE);
    assert_eq!(used["symbols"], serde_json::json!(["root/boot/System.map-6.12.0-demo"]));
    assert_eq!(used["targets"][0]["file"], "root/lib/modules/6.12.0-demo/kernel/demo_disk.ko");
    assert!(notes(&report).contains("symbols are read from root/boot/System.map-6.12.0-demo"));
    let text = check(&folder, "");
    assert_eq!(code(&text), 0, "{}", stdout(&text));
    assert!(stdout(&text).contains("without --event, relakit checks two orders: demo_disk loaded"));
    // The same with a directory of modules, and in a directory.
    fs::rename(folder.path("root/boot/System.map-6.12.0-demo"), folder.path("System.map")).unwrap();
    let modules = format!("root/lib/modules/{RELEASE}");
    fs::rename(folder.path("System.map"), folder.path(&format!("{modules}/System.map"))).unwrap();
    let output = folder.run(&format!("check livepatch.ko --modules {modules} --format json"));
    let report = json(&output);
    assert_eq!((code(&output), &report["used"]["release"]), (0, &Value::Null), "{report:#}");
    assert_eq!(steps(&report), LIFE.map(|event| (event, "accepted")));
    fs::create_dir(folder.path("several")).unwrap();
    fs::rename(folder.path("livepatch.ko"), folder.path("several/livepatch.ko")).unwrap();
    let report = json(&folder.run("check several --root root --format json"));
    assert_eq!(report[0]["used"]["release"], RELEASE, "{report:#}");
}

#[test]
fn an_error_at_the_load_and_one_at_coming_are_both_found() {
    let folder = root();
    set_module(&folder, "demo_disk", demo_disk("", "demo_limits"));
    let output = check(&folder, "--format json");
    let report = json(&output);
    assert_eq!(
        (code(&output), &report["verdict"], &report["phase"]),
        (1, &"rejected".into(), &"init".into())
    );
    let verdicts = ["accepted", "accepted", "rejected", "rejected", "rejected"];
    assert_eq!(steps(&report).iter().map(|(_, verdict)| *verdict).collect::<Vec<_>>(), verdicts);
    let text = check(&folder, "");
    let text = stdout(&text);
    assert!(text.contains("at load, Linux returns -EINVAL"), "{text}");
    assert!(text.contains("at coming:demo_disk, Linux returns -EINVAL"), "{text}");
}

#[test]
fn a_mistake_that_both_simulations_find_is_reported_once() {
    let folder = root();
    folder.write("livepatch.ko", Demo::new().replace(24, b"part_in_flight,2", b"part_in_flight,0").0);
    let report = json(&check(&folder, "--format json"));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.iter().filter(|row| row["rule"] == "sympos-missing").count(), 1, "{report:#}");
    folder.write("livepatch.ko", Demo::new().unknown_symbol().0);
    let text = check(&folder, "");
    assert_eq!(stdout(&text).matches("error[kernel-rejects]").count(), 1, "{}", stdout(&text));
}

#[test]
fn modules_that_a_patched_module_needs_are_loaded_first_and_stay() {
    let folder = root();
    set_module(&folder, "demo_disk", demo_disk("base", ""));
    set_module(&folder, "base", named("base", "license=GPL\0", &[]));
    let report = json(&check(&folder, "--format json"));
    let mut expected = vec!["live:base"];
    expected.extend(LIFE);
    assert_eq!(steps(&report).iter().map(|(event, _)| *event).collect::<Vec<_>>(), expected, "{report:#}");
}

#[test]
fn a_stub_of_debian_is_not_used_and_the_package_is_named() {
    let folder = root();
    let map = format!("root/boot/System.map-{RELEASE}");
    folder.write(&map, STUB);
    let output = check(&folder, "--format json");
    let report = json(&output);
    assert_eq!((code(&output), &report["result"]), (1, &"not judged".into()));
    let notes = notes(&report);
    assert!(
        notes.contains("is a stub without symbols: install the package linux-image-6.12.0-demo-dbg"),
        "{notes}"
    );
    assert!(report["used"]["symbols"].as_array().unwrap().is_empty());
    // The package is installed.
    fs::create_dir_all(folder.path("root/usr/lib/debug/boot")).unwrap();
    folder.write(&format!("root/usr/lib/debug/{}", &map[5..]), SYMBOLS);
    let output = check(&folder, "");
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    // Symbols of the command line come first.
    fs::remove_file(folder.path(&format!("root/usr/lib/debug/{}", &map[5..]))).unwrap();
    let report = json(&check(&folder, "--symbols symbols.txt --format json"));
    assert_eq!(
        (&report["result"], report["used"]["symbols"].as_array().unwrap().len()),
        (&"accepted".into(), 0)
    );
}

#[test]
fn without_symbols_nothing_is_accepted_and_the_note_says_what_to_give() {
    let folder = root();
    fs::remove_file(folder.path(&format!("root/boot/System.map-{RELEASE}"))).unwrap();
    let output = check(&folder, "--format json");
    let report = json(&output);
    assert_eq!((code(&output), &report["result"]), (1, &"not judged".into()), "{report:#}");
    let notes = notes(&report);
    assert!(notes.contains("no System.map is found for 6.12.0-demo in root: give --symbols with"), "{notes}");
}

#[test]
fn a_module_symvers_of_the_headers_is_used() {
    let folder = root();
    let headers = format!("root/usr/src/linux-headers-{RELEASE}");
    fs::create_dir_all(folder.path(&headers)).unwrap();
    folder.write(&format!("{headers}/Module.symvers"), "0x00000001\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n");
    let report = json(&check(&folder, "--format json"));
    assert_eq!(report["used"]["symbols"][1], format!("{headers}/Module.symvers"), "{report:#}");
}

#[cfg(unix)]
#[test]
fn an_absolute_link_leads_to_a_place_in_the_root() {
    let folder = root();
    let map = format!("boot/System.map-{RELEASE}");
    fs::rename(folder.path(&format!("root/{map}")), folder.path("root/real")).unwrap();
    std::os::unix::fs::symlink("/real", folder.path(&format!("root/{map}"))).unwrap();
    assert_eq!(code(&check(&folder, "")), 0);
    // The same name outside of the root is not read.
    fs::rename(folder.path("root/real"), folder.path("real")).unwrap();
    fs::remove_file(folder.path(&format!("root/{map}"))).unwrap();
    std::os::unix::fs::symlink(folder.path("real"), folder.path(&format!("root/{map}"))).unwrap();
    let report = json(&check(&folder, "--format json"));
    assert_eq!(report["result"], "not judged", "{report:#}");
}

#[test]
fn a_wrong_root_or_release_is_refused_with_what_to_give() {
    let folder = root();
    for (arguments, status, why) in [
        ("--root nothing", 3, "it has no modules; give the directory of a root file system"),
        ("--root root --kernel 6.12.1-other", 3, "give --kernel 6.12.0-demo, which it has"),
        ("--root root --kernel 6.1", 2, "--root needs the full release"),
        ("--root root --kernel 6.12.0/../x", 2, "--root needs the full release"),
        ("--root root --modules root", 2, "cannot be used with"),
        ("--format json", 2, "--symbols"),
    ] {
        let output = folder.run(&format!("check livepatch.ko {arguments}"));
        assert_eq!(code(&output), status, "{arguments}: {output:?}");
        assert!(stderr(&output).contains(why), "{arguments}: {}", stderr(&output));
    }
}

#[test]
fn an_object_that_no_module_has_is_reported() {
    let folder = root();
    set_module(&folder, "other", named("other", "license=GPL\0", &[]));
    fs::remove_file(folder.path(&format!("root/lib/modules/{RELEASE}/kernel/demo_disk.ko"))).unwrap();
    let output = check(&folder, "");
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("has no such module"), "{}", stdout(&output));
}

#[test]
fn events_of_the_command_line_replace_the_two_orders() {
    let folder = root();
    let report = json(&check(&folder, "--event coming:demo_disk --format json"));
    assert_eq!(steps(&report), [("coming:demo_disk", "accepted")]);
    assert!(!notes(&report).contains("two orders"));
}

#[test]
fn the_json_and_inspect_say_which_symbol_is_meant_and_which_others_have_its_name() {
    let folder = root();
    let report = json(&check(&folder, "--format json"));
    let rows = report["resolved"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{rows:#?}"));
    let same = serde_json::json!([
        {"sympos": 1, "address": "0xffffffff815a1c40", "chosen": false},
        {"sympos": 2, "address": "0xffffffff815b7e60", "chosen": true},
    ]);
    assert_eq!(
        (&row("part_in_flight")["address"], &row("part_in_flight")["same"]),
        (&same[1]["address"], &same)
    );
    assert_eq!(
        (&row("demo_submit")["kind"], &row("demo_limits")["kind"]),
        (&"function".into(), &"symbol".into())
    );
    assert!(row("demo_limits")["address"].as_str().unwrap().starts_with("0xffffffffc0"));
    let inspected = json(&folder.run("inspect livepatch.ko --symbols symbols.txt --format json"));
    let of_inspect = inspected["resolved"].as_array().unwrap();
    assert_eq!(of_inspect.iter().find(|row| row["name"] == "part_in_flight"), Some(row("part_in_flight")));
    assert!(of_inspect.iter().any(|row| row["name"] == "demo_limits" && row["address"].is_null()));
    let text = folder.run("inspect livepatch.ko --symbols symbols.txt");
    let line = |part: &str| stdout(&text).lines().any(|line| line.contains(part) && line.ends_with("yes"));
    assert!(line("0xffffffff815b7e60") && line("diskstats_show()"), "{}", stdout(&text));
    let without = folder.run("inspect livepatch.ko");
    assert!(!stdout(&without).contains("Symbols of the kernel"));
}
