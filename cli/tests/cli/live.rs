//! `relakit live` with made-up files of /proc and /sys.

use super::elf::{demo_disk, named};
use super::help::{Demo, FIRST, Folder, SYMBOLS, code, json, stderr, stdout};
use serde_json::Value;
use std::fs;

/// The release that the demo's livepatch is built for.
const OWN: &str = "6.12.0-demo";
/// Offset of `replace` in `struct klp_patch`, and the section with it.
const REPLACE: usize = 24;
const DATA: usize = 3;
const MODULES: &str = "\
earlier 16384 1 - Live 0xffffffffc0b00000
demo_user 16384 0 - Live 0xffffffffc0a80000
demo_disk 16384 1 demo_user, Live 0xffffffffc0a10000
idle 16384 0 - Live 0xffffffffc0900000
busy 16384 2 - Live 0xffffffffc0910000
stays 16384 1 [permanent], Live 0xffffffffc0920000
leaving 16384 0 - Unloading 0xffffffffc0930000
";

fn write(folder: &Folder, path: &str, content: &str) {
    let path = folder.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A livepatch in /sys that patches functions of vmlinux and of a module.
fn loaded(folder: &Folder, name: &str, transition: u8) {
    let root = format!("sys/kernel/livepatch/{name}");
    write(folder, &format!("{root}/enabled"), "1\n");
    write(folder, &format!("{root}/transition"), &format!("{transition}\n"));
    write(folder, &format!("{root}/vmlinux/patched"), "1\n");
    write(folder, &format!("{root}/idle/patched"), "1\n");
    fs::create_dir_all(folder.path(&format!("{root}/vmlinux/part_stat_show,1"))).unwrap();
    fs::create_dir_all(folder.path(&format!("{root}/idle/idle_call,2"))).unwrap();
}

/// A machine with some modules and the livepatch `earlier`, which is not the one of the demo.
pub fn running() -> Folder {
    let folder = Folder::new();
    let modules = "ffffffffc0900000 t idle_call\t[idle]\nffffffffc0910000 t busy_call\t[busy]\n";
    write(&folder, "proc/kallsyms", &format!("{SYMBOLS}{FIRST}{modules}"));
    write(&folder, "proc/modules", MODULES);
    write(&folder, "proc/sys/kernel/osrelease", &format!("{OWN}\n"));
    loaded(&folder, "earlier", 0);
    folder.write("plain.ko", named("plain", &format!("license=GPL\0vermagic={OWN} \0"), &[]));
    folder
}

fn ask(folder: &Folder, arguments: &str) -> (i32, Value) {
    let output = folder.run(format!("live --root . --format json {arguments}").trim_end());
    (code(&output), json(&output))
}

/// Verdict, errno and message of an answer.
fn answer(report: &Value, number: usize) -> (&str, &str, &str) {
    let answer = &report["answers"][number];
    let text = |key: &'static str| answer[key].as_str().unwrap_or_default();
    (text("verdict"), text("errno"), text("message"))
}

#[test]
fn without_a_question_the_state_is_shown_and_no_symbols_are_read() {
    let folder = running();
    fs::remove_file(folder.path("proc/kallsyms")).unwrap();
    let output = folder.run("live --root .");
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    for part in ["Linux 6.12.0-demo: 7 modules, 1 livepatch\n", "idle_call,2", "Patched modules: idle\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    let (_, report) = ask(&folder, "");
    let patch = &report["livepatches"][0];
    assert_eq!((&patch["name"], &patch["enabled"]), (&"earlier".into(), &true.into()));
    assert_eq!(
        patch["objects"][1]["functions"][0],
        serde_json::json!({"name": "part_stat_show", "sympos": 1})
    );
}

#[test]
fn a_livepatch_that_the_kernel_would_load_is_accepted() {
    let (status, report) = ask(&running(), "livepatch.ko");
    assert_eq!(answer(&report, 0), ("accepted", "", ""), "{report:#}");
    assert_eq!((status, &report["result"]), (0, &"accepted".into()));
}

#[test]
fn a_livepatch_with_a_missing_symbol_is_rejected() {
    let folder = running();
    folder.write("livepatch.ko", Demo::new().unknown_symbol().0);
    let (status, report) = ask(&folder, "livepatch.ko");
    let (verdict, errno, message) = answer(&report, 0);
    assert_eq!((status, verdict, errno), (1, "rejected", "EINVAL"), "{report:#}");
    assert!(message.contains("diskstats_kez"), "{message}");
}

#[test]
fn a_patched_module_that_is_not_loaded_does_not_stop_the_livepatch() {
    let folder = running();
    write(&folder, "proc/kallsyms", SYMBOLS);
    write(&folder, "proc/modules", "");
    let (status, report) = ask(&folder, "livepatch.ko");
    assert_eq!((status, answer(&report, 0).0), (0, "accepted"), "{report:#}");
    let notes = report["notes"].as_array().unwrap();
    assert!(
        notes.iter().any(|note| note.as_str().unwrap().starts_with("demo_disk is not loaded")),
        "{notes:?}"
    );
}

#[test]
fn a_transition_refuses_another_livepatch_with_ebusy() {
    let folder = running();
    loaded(&folder, "earlier", 1);
    let (status, report) = ask(&folder, "livepatch.ko");
    let message = "livepatch: the transition of earlier is not finished";
    assert_eq!((status, answer(&report, 0)), (1, ("rejected", "EBUSY", message)));
    // An error of the livepatch itself is found before.
    folder.write("livepatch.ko", Demo::new().unknown_symbol().0);
    assert_eq!(answer(&ask(&folder, "livepatch.ko").1, 0).1, "EINVAL");
}

#[test]
fn a_livepatch_that_replaces_needs_the_states_of_the_others() {
    let folder = running();
    let demo = Demo::new();
    let patch = (0..0x600)
        .step_by(8)
        .find(|at| {
            // The objects are the second pointer; `replace` is the only 1 that the parser then reads.
            folder.write("livepatch.ko", demo.clone().put(demo.content(DATA) + at + REPLACE, &[1]).0);
            let report = json(&folder.run("inspect livepatch.ko --format json"));
            report["patch"]["replace"] == true
        })
        .is_some();
    assert!(patch);
    let (status, report) = ask(&folder, "livepatch.ko");
    let message = "the states of earlier are not known: give --loaded earlier.ko";
    assert_eq!((status, answer(&report, 0)), (1, ("not judged", "", message)));
    fs::remove_dir_all(folder.path("sys/kernel/livepatch/earlier")).unwrap();
    assert_eq!(answer(&ask(&folder, "livepatch.ko").1, 0).0, "accepted");
}

#[test]
fn a_module_for_another_release_is_refused_and_with_crcs_it_is_not_judged() {
    let folder = running();
    write(&folder, "proc/sys/kernel/osrelease", "6.12.0-demi\n");
    for arguments in ["livepatch.ko", "--load plain.ko"] {
        let (status, report) = ask(&folder, arguments);
        let (verdict, errno, message) = answer(&report, 0);
        assert_eq!((status, verdict, errno), (1, "rejected", "ENOEXEC"), "{report:#}");
        assert!(message.ends_with("version magic 6.12.0-demo is not that of Linux 6.12.0-demi"), "{message}");
    }
    let mut entry = 7u64.to_le_bytes().to_vec();
    entry.extend_from_slice(b"module_layout");
    entry.resize(64, 0);
    let versions = vec![super::elf::section("__versions", super::elf::PROGBITS, 2, entry)];
    let modinfo = format!("license=GPL\0vermagic={OWN} \0");
    folder.write("plain.ko", super::elf::module_named("plain", &modinfo, versions, &[]));
    assert_eq!(answer(&ask(&folder, "--load plain.ko").1, 0).0, "not judged");
}

#[test]
fn proc_modules_tells_whether_a_module_can_be_unloaded() {
    let folder = running();
    for (name, expected) in [
        ("nothing", ("rejected", "ENOENT")),
        ("demo_disk", ("rejected", "EAGAIN")),
        ("busy", ("rejected", "EAGAIN")),
        ("leaving", ("rejected", "EBUSY")),
        ("stays", ("rejected", "EBUSY")),
        ("earlier", ("rejected", "EAGAIN")),
        ("demo_user", ("accepted", "")),
    ] {
        let (status, report) = ask(&folder, &format!("--unload {name}"));
        let (verdict, errno, _) = answer(&report, 0);
        assert_eq!((verdict, errno), expected, "{name}: {report:#}");
        assert_eq!(status, i32::from(verdict != "accepted"), "{name}");
    }
    // A user can be unloaded before.
    let (status, report) = ask(&folder, "--unload demo_user --unload demo_disk");
    assert_eq!(status, 0, "{report:#}");
    let (status, _) = ask(&folder, "--unload demo_disk --unload demo_user");
    assert_eq!(status, 1);
}

#[test]
fn a_module_that_a_loaded_livepatch_patches_needs_the_file_of_the_livepatch() {
    let folder = running();
    let (status, report) = ask(&folder, "--unload idle");
    let message = "earlier patches idle, and its relocations are not known: give --loaded earlier.ko";
    assert_eq!((status, answer(&report, 0)), (1, ("not judged", "", message)));
}

#[test]
fn a_load_is_accepted_once() {
    let folder = running();
    assert_eq!(answer(&ask(&folder, "--load plain.ko").1, 0), ("accepted", "", ""));
    folder.write("plain.ko", named("busy", &format!("license=GPL\0vermagic={OWN} \0"), &[]));
    assert_eq!(
        answer(&ask(&folder, "--load plain.ko").1, 0),
        ("rejected", "EEXIST", "busy: is loaded already")
    );
    folder.write("plain.ko", named("demo_user", &format!("license=GPL\0vermagic={OWN} \0"), &[]));
    let (status, report) = ask(&folder, "--unload demo_user --load plain.ko");
    assert_eq!(status, 0, "{report:#}");
}

#[test]
fn a_dependency_that_is_not_loaded_is_named() {
    let folder = running();
    let module = |name: &str, depends: &str| {
        named(name, &format!("depends={depends}\0license=GPL\0vermagic={OWN} \0"), &[])
    };
    folder.write("top.ko", module("top", "plain"));
    let (_, report) = ask(&folder, "--load top.ko");
    let message = "top needs plain, which is not loaded: load it first, or give --load plain.ko";
    assert_eq!(answer(&report, 0), ("not judged", "", message));
    let (status, report) = ask(&folder, "--load plain.ko --load top.ko");
    assert_eq!(status, 0, "{report:#}");
    assert_eq!(ask(&folder, "--load top.ko --load plain.ko").0, 1);
}

/// The demo's livepatch as a loaded module, with the addresses of its sections.
fn with_demo_loaded(moved: u64) -> Folder {
    let folder = running();
    let demo = json(&folder.run("inspect livepatch.ko --format json"));
    let mut symbols = fs::read_to_string(folder.path("proc/kallsyms")).unwrap();
    for (number, row) in (1u64..).zip(demo["sections"].as_array().unwrap()) {
        let name = row["name"].as_str().unwrap();
        let address = 0xffff_ffff_c0c0_0000 + number * 0x1000;
        if !name.is_empty() && !name.contains('/') {
            write(&folder, &format!("sys/module/livepatch_demo/sections/{name}"), &format!("{address:#x}\n"));
        }
        if name == ".text" {
            symbols += &format!("{:x} t new_diskstats_show\t[livepatch_demo]\n", address + moved);
        }
    }
    write(&folder, "proc/kallsyms", &symbols);
    write(&folder, "proc/modules", &format!("livepatch_demo 16384 1 - Live 0x0\n{MODULES}"));
    let root = "sys/kernel/livepatch/livepatch_demo";
    write(&folder, &format!("{root}/enabled"), "1\n");
    write(&folder, &format!("{root}/transition"), "0\n");
    write(&folder, &format!("{root}/vmlinux/patched"), "1\n");
    write(&folder, &format!("{root}/demo_disk/patched"), "1\n");
    folder
}

#[test]
fn the_file_of_a_loaded_livepatch_is_compared_with_the_kernel() {
    let unload = "--unload demo_user --unload demo_disk";
    let offset = 0x40; // of new_diskstats_show in .text
    let folder = with_demo_loaded(offset);
    assert_eq!(answer(&ask(&folder, unload).1, 1).0, "not judged");
    let (status, report) = ask(&folder, &format!("{unload} --loaded livepatch.ko"));
    assert_eq!((status, answer(&report, 1)), (0, ("accepted", "", "")), "{report:#}");
    let file = |report: &Value| {
        report["livepatches"].as_array().unwrap().iter().any(|row| row["file"] == "livepatch.ko")
    };
    assert!(file(&report));
    let other = with_demo_loaded(offset + 16);
    let (_, report) = ask(&other, &format!("{unload} --loaded livepatch.ko"));
    assert_eq!(answer(&report, 1).0, "not judged", "{report:#}");
    assert!(!file(&report));
    let note = "livepatch.ko is not the loaded livepatch_demo: the loaded module has new_diskstats_show at another address";
    assert_eq!(report["notes"][0], note);
}

#[test]
fn a_file_of_a_livepatch_that_is_not_loaded_is_an_error_of_the_command_line() {
    let folder = running();
    let output = folder.run("live --root . --unload idle --loaded livepatch.ko");
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("livepatch_demo is not a loaded livepatch"), "{output:?}");
    assert_eq!(code(&folder.run("live --root . --loaded livepatch.ko")), 2);
}

#[test]
fn a_livepatch_of_a_loaded_name_is_refused_with_eexist() {
    let (status, report) = ask(&with_demo_loaded(0x40), "livepatch.ko");
    assert_eq!((status, answer(&report, 0).1), (1, "EEXIST"));
}

#[test]
fn hidden_or_missing_addresses_are_refused_with_the_remedy() {
    let folder = running();
    let hidden: String = SYMBOLS.lines().map(|line| format!("0000000000000000{}\n", &line[16..])).collect();
    write(&folder, "proc/kallsyms", &hidden);
    for question in ["livepatch.ko", "--load plain.ko", "--unload idle"] {
        let output = folder.run(&format!("live --root . {question}"));
        assert_eq!(code(&output), 3, "{question}");
        let text = stderr(&output);
        assert!(text.contains("hides all addresses") && text.contains("as root"), "{text}");
        assert!(text.contains("sysctl kernel.kptr_restrict=1"), "{text}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(code(&folder.run("live --root .")), 0);
    fs::remove_file(folder.path("proc/kallsyms")).unwrap();
    let missing = folder.run("live --root . livepatch.ko");
    assert_eq!(code(&missing), 3);
    assert!(stderr(&missing).contains("CONFIG_KALLSYMS"), "{missing:?}");
}

#[test]
fn malformed_files_of_proc_and_sys_are_errors() {
    for (path, content) in [
        ("proc/modules", "one line\n"),
        ("sys/kernel/livepatch/earlier/enabled", "yes\n"),
        ("proc/sys/kernel/osrelease", "banana\n"),
    ] {
        let folder = running();
        write(&folder, path, content);
        let status = code(&folder.run("live --root . --load plain.ko"));
        assert!(matches!(status, 2 | 3), "{path}: {status}");
    }
    assert_eq!(code(&Folder::new().run("live --root .")), 3);
}

#[test]
fn a_kernel_that_does_not_clear_cannot_tell_whether_a_module_was_loaded_before() {
    let folder = with_demo_loaded(0x40);
    // demo_disk is not loaded.
    let symbols = fs::read_to_string(folder.path("proc/kallsyms")).unwrap();
    let symbols = symbols.lines().filter(|line| !line.ends_with("[demo_disk]"));
    write(&folder, "proc/kallsyms", &symbols.map(|line| format!("{line}\n")).collect::<String>());
    write(&folder, "proc/modules", "livepatch_demo 16384 1 - Live 0x0\nearlier 16384 1 - Live 0x0\n");
    folder.write("demo_disk.ko", demo_disk(&format!("license=GPL\0vermagic={OWN} \0")));
    let (_, report) =
        ask(&folder, "--load demo_disk.ko --loaded livepatch.ko --kernel 6.12,no-clears-on-going");
    let (verdict, _, message) = answer(&report, 0);
    assert_eq!(verdict, "not judged", "{report:#}");
    assert!(message.contains("does not clear the relocations of livepatch_demo"), "{message}");
    let (_, report) = ask(&folder, "--load demo_disk.ko --loaded livepatch.ko");
    assert_eq!(answer(&report, 0), ("accepted", "", ""), "{report:#}");
}
