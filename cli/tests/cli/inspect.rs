//! `relakit inspect`, on the demo's livepatch, on malformed copies, and on the recorded modules. An
//! independent reader must find the same.

use super::help::{self, DEMO, Demo, Folder, code, snapshot, stderr, stdout};
use super::reader::{File, read};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::{env, fs};

/// Runs `relakit inspect` on a file in memory.
fn run(demo: &Demo, arguments: &str) -> Output {
    let folder = Folder::new();
    folder.write("livepatch.ko", &demo.0);
    folder.run(&format!("inspect livepatch.ko{arguments}"))
}

fn run_coloured(demo: &Demo) -> Output {
    let folder = Folder::new();
    folder.write("livepatch.ko", &demo.0);
    folder.relakit("inspect livepatch.ko").env("CLICOLOR_FORCE", "1").output().unwrap()
}

fn json(demo: &Demo, arguments: &str) -> Value {
    let output = run(demo, &format!(" --format json{arguments}"));
    assert!(output.status.success(), "{}", stderr(&output));
    help::json(&output)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The row of a special section.
fn special<'v>(report: &'v Value, name: &str) -> &'v Value {
    let rows = list(&report["special_sections"]);
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// The demo, and the modules of the recordings: of the small set, and of the full one if
/// `RELAKIT_ORACLE` names it.
fn modules() -> Vec<(PathBuf, Vec<u8>)> {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/recordings");
    let mut folders: Vec<PathBuf> = env::var_os("RELAKIT_ORACLE").map(PathBuf::from).into_iter().collect();
    folders.extend(small.is_dir().then_some(small));
    let mut found = vec![(Path::new(DEMO).join("livepatch.ko"), Demo::new().0)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                // The modules of the verdicts are malformed.
                folders.extend((name != "verdicts").then_some(path));
            } else if name.ends_with(".ko") || name.ends_with(".ko.xz") {
                found.push((path.clone(), read(&path)));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_demo_has_the_recorded_output() {
    let output = run(&Demo::new(), "");
    assert_eq!((code(&output), stderr(&output)), (0, ""));
    snapshot("inspect-demo", stdout(&output));
}

#[test]
fn only_terminals_get_escape_codes_by_default() {
    let plain = run(&Demo::new(), "");
    assert!(!plain.stdout.contains(&0x1b));
    let forced = run_coloured(&Demo::new());
    assert!(forced.stdout.contains(&0x1b));
}

#[test]
fn an_independent_reader_finds_the_same() {
    for (path, file) in modules() {
        let report = json(&Demo(file.clone()), "");
        let expected = File::read(&file).unwrap();
        let path = path.display();

        let rows = list(&report["sections"]);
        assert_eq!(number(&report["counts"]["sections"]), rows.len() as u64, "{path}");
        assert_eq!(rows.len(), expected.sections.len(), "{path}");
        for (row, section) in rows.iter().zip(&expected.sections) {
            assert_eq!(row["name"], *section.name, "{path}");
            let numbers = ["type", "flags", "size"].map(|key| number(&row[key]));
            assert_eq!(numbers, [u64::from(section.sh_type), section.flags, section.size], "{path} {row:#}");
        }
        assert_eq!(number(&report["counts"]["symbols"]), expected.symbols.len() as u64, "{path}");

        let klp_symbols = list(&report["klp_symbols"]).iter().filter(|row| row["livepatch"] == true);
        let klp_symbols: Vec<_> =
            klp_symbols.map(|row| (number(&row["index"]), row["name"].as_str().unwrap())).collect();
        let symbols = (0..).zip(&expected.symbols).filter(|(_, symbol)| symbol.shndx == 0xff20);
        let symbols: Vec<_> = symbols.map(|(index, symbol)| (index, &*symbol.name)).collect();
        assert_eq!(klp_symbols, symbols, "{path}");

        let relocations =
            |row: &Value| &expected.sections[usize::try_from(number(&row["index"])).unwrap()].relocations;
        for row in rows.iter().filter(|row| row["type"] == 4) {
            assert_eq!(number(&row["entries"]), relocations(row).len() as u64, "{path} {row:#}");
        }
        for pass in list(&report["relocations"]) {
            let is_of_pass = |row: &Value| {
                row["class"] == pass["class"] && (pass["object"].is_null() || row["object"] == pass["object"])
            };
            let all = || rows.iter().filter(|row| is_of_pass(row)).flat_map(relocations);
            for of_type in list(&pass["types"]) {
                let count = all().filter(|rela| of_type["type"] == rela.r_type).count();
                assert_eq!(of_type["relocations"], count, "{path} {pass:#}");
            }
            assert_eq!(pass["relocations"], all().count(), "{path} {pass:#}");
        }
    }
}

#[test]
fn a_livepatch_has_its_objects_and_symbols_in_json() {
    let report = json(&Demo::new(), "");
    let name = (&report["name"], &report["livepatch"], &report["kernel"], &report["rules"]);
    assert_eq!(name, (&"livepatch_demo".into(), &true.into(), &"6.12".into(), &"6.12".into()));
    assert_eq!(
        report["objects"],
        serde_json::json!([
            {"name": "vmlinux", "sections": [27, 29], "not_applied": [], "relocations": 2, "symbols": 2},
            {"name": "demo_disk", "sections": [26, 28], "not_applied": [], "relocations": 4, "symbols": 3},
        ])
    );
    let symbol = list(&report["klp_symbols"]).iter().find(|row| row["symbol"] == "demo_requests").unwrap();
    assert_eq!(
        *symbol,
        serde_json::json!({
            "index": 19, "name": ".klp.sym.demo_disk.demo_requests,0", "livepatch": true, "object": "demo_disk",
            "symbol": "demo_requests", "sympos": 0, "relocations": 2,
            "sections": [{"section": 26, "relocations": 1}, {"section": 28, "relocations": 1}], "notes": [],
        })
    );
    let jump_table = special(&report, "__jump_table");
    assert_eq!((&jump_table["ordinary"], &jump_table["klp_early"]), (&2.into(), &1.into()));
    assert_eq!((&jump_table["entries"], &jump_table["too_late"]), (&1.into(), &false.into()));
    assert_eq!(report["errors"], serde_json::json!([]));
}

#[test]
fn late_relocations_of_a_special_section_are_too_late() {
    // .klp.rela.demo_disk..data relocates __jump_table.
    let demo = Demo::new();
    let at = demo.header(28, 44);
    let demo = demo.put(at, &16u32.to_le_bytes());
    let report = json(&demo, "");
    let jump_table = special(&report, "__jump_table");
    assert_eq!(jump_table["too_late"], true);
    assert_eq!(
        jump_table["klp_late"],
        serde_json::json!([{"section": 28, "object": "demo_disk", "relocations": 1}])
    );
    assert_eq!(jump_table["notes"][0]["level"], "error");
    let text = run(&demo, "");
    assert!(
        stdout(&text).contains("too late: jump_label_add_module reads this section before 1 late relocation")
    );
    assert!(stdout(&text).contains("the name says .data, but sh_info says __jump_table"));

    // __bug_table is read on demand.
    let demo = demo.put(at, &14u32.to_le_bytes());
    assert_eq!(special(&json(&demo, ""), "__bug_table")["too_late"], false);
    assert!(!stdout(&run(&demo, "")).contains("too late"));
}

#[test]
fn sections_that_cannot_be_applied_have_a_reason_and_the_exit_code_is_0() {
    let demo = Demo::new();
    let flags = |section| demo.header(section, 8);
    let target = |section| demo.header(section, 44);
    for (at, bytes, class, expected) in [
        // A livepatch flag on .rela.text.
        (flags(2), 0x10_0040u64.to_le_bytes().to_vec(), "malformed", "malformed livepatch section name"),
        // sh_info of .klp.rela.demo_disk..text, of .klp.rela.vmlinux..text, of .rela.text.
        (
            target(26),
            99u32.to_le_bytes().to_vec(),
            "malformed",
            "the module loads, but demo_disk cannot be loaded",
        ),
        (target(27), 99u32.to_le_bytes().to_vec(), "skipped", "sh_info is not a section index"),
        (target(2), 23u32.to_le_bytes().to_vec(), "malformed", "the module cannot be loaded"),
        (target(2), 24u32.to_le_bytes().to_vec(), "malformed", "symbol table or its string table"),
        (target(2), 25u32.to_le_bytes().to_vec(), "skipped", "the target is not SHF_ALLOC"),
        // .klp.rela.vmlinux..text without the flag, or of 23 bytes more.
        (flags(27), 0x42u64.to_le_bytes().to_vec(), "ordinary", "without SHF_RELA_LIVEPATCH"),
        (demo.header(27, 32), 47u64.to_le_bytes().to_vec(), "KLP early", "the last 23 bytes"),
    ] {
        let spoilt = demo.clone().put(at, &bytes);
        let text = run(&spoilt, "");
        assert_eq!(text.status.code(), Some(0), "{expected}: {}", stderr(&text));
        let (_, reasons) = stdout(&text).split_once("\nReasons\n").unwrap();
        let (reasons, _) = reasons.split_once("\n\n").unwrap();
        let words = reasons.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(class) && words.contains(expected), "{expected}:\n{reasons}");
    }
}

#[test]
fn malformed_livepatch_symbols_have_a_reason() {
    let demo = Demo::new();
    let symbol = |number: usize| demo.content(23) + number * 24;
    let name = ".klp.sym.demo_disk.demo_queue,0";
    let bad = |new: &str| demo.clone().replace(24, name.as_bytes(), new.as_bytes());
    let marked = |number| demo.clone().put(symbol(number) + 6, &0xff20u16.to_le_bytes());
    for (spoilt, level, expected) in [
        (
            bad(".klp.sym.demo_disk.demo_queue_0"),
            "error",
            "malformed name: the sympos after a comma is missing",
        ),
        (bad(".klp.sym.demo_disk.demo_queue,x"), "error", "malformed name: the sympos is not a number"),
        (
            bad(".klp.sym.demo_disk_demo_queue,0"),
            "error",
            "malformed name: the symbol after the object is missing",
        ),
        (bad(".klp.tmb.demo_disk.demo_queue,0"), "error", "malformed name: it does not begin with .klp.sym."),
        (bad(".klp.sym.demo_disk.demo_que,0ue"), "warning", "\"ue\" after the sympos is ignored"),
        (
            bad(".klp.sym.vmlinux.demo_queue_2,0"),
            "error",
            "livepatch section for a module uses a vmlinux symbol",
        ),
        (
            demo.clone().put(symbol(20) + 6, &[0, 0]),
            "error",
            "symbol of a livepatch relocation is not SHN_LIVEPATCH",
        ),
        // `modinfo` is not used. An ordinary relocation uses `klp_enable_patch`.
        (marked(10), "info", "not a livepatch name, and not used"),
        (marked(17), "info", "not a livepatch name, and never resolved"),
    ] {
        let report = json(&spoilt, "");
        let notes: Vec<_> = list(&report["klp_symbols"]).iter().flat_map(|row| list(&row["notes"])).collect();
        assert_eq!(notes.len(), 1, "{expected}: {notes:?}");
        assert_eq!(notes[0]["level"], level, "{expected}");
        assert!(notes[0]["text"].as_str().unwrap().contains(expected), "{expected}: {notes:?}");
        let text = run(&spoilt, "");
        let words = stdout(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.status.success() && words.contains("Notes"), "{expected}");
    }
}

#[test]
fn types_that_cannot_be_applied_are_named() {
    let demo = Demo::new();
    let first = demo.content(27) + 8;
    for (r_type, expected) in [(9u8, "R_X86_64_GOTPCREL"), (255, "255 (no name)"), (12, "R_X86_64_16")] {
        let spoilt = demo.clone().put(first, &[r_type]);
        let text = run(&spoilt, "");
        let (_, others) = stdout(&text).split_once("\nTypes that cannot be applied\n").unwrap();
        assert!(others.lines().nth(2).unwrap().ends_with(expected), "{others}");
        let report = json(&spoilt, "");
        let early = list(&report["relocations"]).iter().find(|pass| pass["class"] == "klp-early").unwrap();
        assert!(list(&early["types"]).iter().any(|of| of["type"] == r_type && of["applied"] == false));
    }
}

#[test]
fn the_kernel_version_decides_when_special_sections_are_read() {
    let demo = Demo::new();
    let of = |kernel| json(&demo, &format!(" --kernel {kernel}"));
    assert_eq!(special(&of("5.19"), "__jump_table")["read_at"], "finalize");
    assert_eq!(special(&of("6.0"), "__jump_table")["read_at"], "coming");
    assert_eq!(special(&of("7.2"), ".smp_locks")["read_at"], "finalize");
    let gone = of("7.3");
    let gone = special(&gone, ".smp_locks");
    assert_eq!((&gone["read_at"], &gone["not_read"]), (&Value::Null, &"no-longer".into()));
    // An entry of the bug table has 12 bytes up to 6.18. Later it has more.
    assert_eq!(list(&special(&of("6.18"), "__bug_table")["notes"]).len(), 0);
    assert_eq!(list(&special(&of("6.19"), "__bug_table")["notes"]).len(), 1);
    let elf = of("elf");
    assert_eq!((&elf["rules"], &elf["special_sections_of"]), (&"elf".into(), &Value::Null));
    assert_eq!(list(&elf["special_sections"]).len(), 0);
}

#[test]
fn hostile_names_are_escaped_in_text_and_json() {
    let demo = Demo::new().replace(25, b".rodata.str1.1", b"\x1b[31m\r\n\t\x07\xff\"\\'x");
    let demo = demo.replace(24, b"demo_limits", b"\x1b]0;\x1b[2J\xc3\x28x");
    let text = run_coloured(&demo);
    assert!(stdout(&text).contains(r#"\x1b[31m\r\n\t\x07\xff\"\\\'x"#));
    assert!(
        !text.stdout.contains(&0x07)
            && !stdout(&text).contains("\x1b[31m")
            && !stdout(&text).contains("\x1b]")
    );
    let report = json(&demo, "");
    assert_eq!(report["sections"][6]["name"], r#"\x1b[31m\r\n\t\x07\xff\"\\\'x"#);
}

#[test]
fn long_names_are_shortened_in_tables_but_complete_in_json() {
    let mut demo = Demo::new();
    // A new name table at the end of the file, with a name of 3000 bytes for .rodata.str1.1.
    let (old, size) = (demo.content(25), File::read(&demo.0).unwrap().sections[25].size);
    let mut names = demo.0[old..old + usize::try_from(size).unwrap()].to_vec();
    let at = u32::try_from(names.len()).unwrap();
    let long = format!("start{}end", "n".repeat(2992));
    names.extend(long.as_bytes());
    names.push(0);
    let offset = demo.0.len() as u64;
    demo.0.extend(&names);
    let (header, name) = (demo.header(25, 24), demo.header(6, 0));
    let place = [offset.to_le_bytes(), (names.len() as u64).to_le_bytes()].concat();
    let demo = demo.put(header, &place).put(name, &at.to_le_bytes());

    let text = run(&demo, "");
    assert!(stdout(&text).lines().all(|line| line.len() <= 120 || line.contains("by the rules of")));
    assert!(stdout(&text).contains("startn") && stdout(&text).contains("n...n"));
    assert_eq!(json(&demo, "")["sections"][6]["name"], long);
}

#[test]
fn tables_that_together_are_larger_than_the_file_are_refused() {
    let mut demo = Demo::new();
    let count = 30 + 40u16;
    let (start, whole) = (demo.header(0, 0), (demo.0.len() as u64).to_le_bytes());
    let mut headers = demo.0[start..start + 30 * 64].to_vec();
    for _ in 30..count {
        // .rela.text, from the first byte of the file to the last
        let mut header = headers[2 * 64..3 * 64].to_vec();
        header[24..40].copy_from_slice(&[[0; 8], whole].concat());
        headers.extend(header);
    }
    let offset = (demo.0.len() as u64).to_le_bytes();
    demo.0.extend(headers);
    let demo = demo.put(40, &offset).put(60, &count.to_le_bytes());
    let text = run(&demo, "");
    assert_eq!(text.status.code(), Some(1), "{}", stderr(&text));
    assert!(stderr(&text).contains("total size of the relocation tables exceeds the file size"));
}

#[test]
fn a_truncated_file_is_an_error_with_its_location() {
    let demo = Demo::new().0;
    for size in (4..demo.len()).step_by(97) {
        let output = run(&Demo(demo[..size].to_vec()), "");
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{size} bytes");
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
        let output = run(&Demo(demo[..size].to_vec()), " --format json");
        assert_eq!(output.status.code(), Some(1), "{size} bytes");
        let report = help::json(&output);
        assert_eq!(list(&report["errors"]).len(), 1, "{report:#}");
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let folder = Folder::new();
    for (arguments, expected) in [
        ("livepatch.ko", 0),
        ("broken.ko", 1),
        ("symbols.txt", 3),
        ("livepatch.ko --kernel four", 2),
        ("livepatch.ko --kernel 4.19", 2),
        ("livepatch.ko --format xml", 2),
        ("no-such-module.ko", 3),
        (".", 3),
    ] {
        assert_eq!(code(&folder.run(&format!("inspect {arguments}"))), expected, "{arguments}");
    }
}
