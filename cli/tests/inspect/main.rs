//! `relakit inspect` as a user runs it: on the demo's livepatch, on copies of it with something wrong, and on the
//! recorded modules, where an independent reader has to agree.

use std::fs;
use std::path::Path;

use help::{
    DEMO, Demo, json, list, modules, number, reader, relakit, run, run_coloured, special, stderr, stdout,
};
use serde_json::Value;

#[cfg(test)]
mod help;

#[test]
fn the_demo_is_shown_as_it_was() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/inspect-demo.txt");
    let output = relakit().arg(DEMO).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    if std::env::var_os("RELAKIT_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&golden, &output.stdout).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    assert_eq!(stdout(&output), expected, "RELAKIT_BLESS=1 accepts what is printed now");
}

#[test]
fn what_is_not_a_terminal_gets_no_escape_codes_unless_it_is_asked_for() {
    let plain = relakit().arg(DEMO).output().unwrap();
    assert!(!plain.stdout.contains(&0x1b));
    let forced = relakit().arg(DEMO).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(forced.stdout.contains(&0x1b));
}

#[test]
fn another_reader_finds_the_same() {
    let mut modules = modules();
    modules.push((DEMO.into(), Demo::new().0));
    for (path, file) in modules {
        let report = json(&file, &[]);
        let facts = reader(&file);
        let path = path.display();

        let sections: Vec<_> = list(&report["sections"])
            .iter()
            .map(|row| {
                let name = row["name"].as_str().unwrap().to_owned();
                (name, number(&row["type"]), number(&row["flags"]), number(&row["size"]))
            })
            .collect();
        assert_eq!(sections, facts.sections, "{path}");
        assert_eq!(number(&report["counts"]["sections"]), sections.len() as u64, "{path}");
        assert_eq!(number(&report["counts"]["symbols"]), facts.symbols, "{path}");

        let klp_symbols: Vec<_> = list(&report["klp_symbols"])
            .iter()
            .filter(|row| row["livepatch"] == true)
            .map(|row| (number(&row["index"]), row["name"].as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(klp_symbols, facts.klp_symbols, "{path}");

        let of_section = |index: u64| -> u64 {
            facts
                .relocations
                .iter()
                .filter(|((section, _), _)| *section == index)
                .map(|(_, count)| count)
                .sum()
        };
        for row in list(&report["sections"]).iter().filter(|row| row["type"] == 4) {
            assert_eq!(number(&row["entries"]), of_section(number(&row["index"])), "{path} {row:#}");
        }
        for pass in list(&report["relocations"]) {
            let is_of_pass = |row: &Value| {
                row["class"] == pass["class"] && (pass["object"].is_null() || row["object"] == pass["object"])
            };
            let rows = || list(&report["sections"]).iter().filter(|row| is_of_pass(row));
            for of_type in list(&pass["types"]) {
                let r_type = number(&of_type["type"]);
                let expected: u64 =
                    rows().filter_map(|row| facts.relocations.get(&(number(&row["index"]), r_type))).sum();
                assert_eq!(number(&of_type["relocations"]), expected, "{path} {pass:#}");
            }
            let expected: u64 = rows().map(|row| of_section(number(&row["index"]))).sum();
            assert_eq!(number(&pass["relocations"]), expected, "{path} {pass:#}");
        }
    }
}

#[test]
fn a_livepatch_has_its_objects_and_symbols_in_json() {
    let report = json(&Demo::new().0, &[]);
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
            "symbol": "demo_requests", "position": 0, "relocations": 2,
            "sections": [{"section": 26, "relocations": 1}, {"section": 28, "relocations": 1}], "notes": [],
        })
    );
    let jump_table = special(&report, "__jump_table");
    assert_eq!((&jump_table["ordinary"], &jump_table["klp_early"]), (&2.into(), &1.into()));
    assert_eq!((&jump_table["entries"], &jump_table["too_late"]), (&1.into(), &false.into()));
    assert_eq!(report["errors"], serde_json::json!([]));
}

#[test]
fn late_relocations_into_a_special_section_come_too_late() {
    // .klp.rela.demo_disk..data relocates __jump_table.
    let demo = Demo::new();
    let at = demo.header(28, 44);
    let demo = demo.put(at, &16u32.to_le_bytes());
    let report = json(&demo.0, &[]);
    let jump_table = special(&report, "__jump_table");
    assert_eq!(jump_table["too_late"], true);
    assert_eq!(
        jump_table["klp_late"],
        serde_json::json!([{"section": 28, "object": "demo_disk", "relocations": 1}])
    );
    assert_eq!(jump_table["notes"][0]["level"], "error");
    let text = run(&demo.0, &[]);
    assert!(stdout(&text).contains("ordering! 1 late relocation lands here (section 28, demo_disk)"));
    assert!(stdout(&text).contains("named for .data, and relocates __jump_table"));

    // A table that is read when something asks takes them in time.
    let demo = demo.put(at, &14u32.to_le_bytes());
    assert_eq!(special(&json(&demo.0, &[]), "__bug_table")["too_late"], false);
    assert!(!stdout(&run(&demo.0, &[])).contains("ordering!"));
}

#[test]
fn sections_that_cannot_be_applied_are_shown_with_the_reason_and_are_no_failure() {
    let demo = Demo::new();
    let flags = |section| demo.header(section, 8);
    let target = |section| demo.header(section, 44);
    for (at, bytes, class, expected) in [
        // A livepatch flag on .rela.text.
        (flags(2), 0x10_0040u64.to_le_bytes().to_vec(), "malformed", "incorrectly formatted name"),
        // sh_info of .klp.rela.demo_disk..text, of .klp.rela.vmlinux..text, of .rela.text.
        (
            target(26),
            99u32.to_le_bytes().to_vec(),
            "malformed",
            "the module loads, but demo_disk cannot come",
        ),
        (target(27), 99u32.to_le_bytes().to_vec(), "passed over", "sh_info names no section"),
        (target(2), 23u32.to_le_bytes().to_vec(), "malformed", "the module cannot be loaded"),
        (target(2), 24u32.to_le_bytes().to_vec(), "malformed", "symbol table or its strings"),
        (target(2), 25u32.to_le_bytes().to_vec(), "passed over", "the target is not SHF_ALLOC"),
        // .klp.rela.vmlinux..text without the flag, or of 23 bytes more.
        (flags(27), 0x42u64.to_le_bytes().to_vec(), "ordinary", "SHF_RELA_LIVEPATCH is not set"),
        (demo.header(27, 32), 47u64.to_le_bytes().to_vec(), "KLP early", "the last 23 bytes"),
    ] {
        let spoilt = Demo(demo.0.clone()).put(at, &bytes);
        let text = run(&spoilt.0, &[]);
        assert_eq!(text.status.code(), Some(0), "{expected}: {}", stderr(&text));
        let (_, reasons) = stdout(&text).split_once("\nReasons\n").unwrap();
        let (reasons, _) = reasons.split_once("\n\n").unwrap();
        let words = reasons.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(class) && words.contains(expected), "{expected}:\n{reasons}");
    }
}

#[test]
fn symbols_that_are_no_livepatch_symbols_say_why() {
    let demo = Demo::new();
    let symbol = |number: usize| demo.content(23) + number * 24;
    let name = ".klp.sym.demo_disk.demo_queue,0";
    let bad = |new: &str| Demo(demo.0.clone()).replace(24, name.as_bytes(), new.as_bytes());
    let marked = |number| Demo(demo.0.clone()).put(symbol(number) + 6, &0xff20u16.to_le_bytes());
    for (spoilt, level, expected) in [
        (bad(".klp.sym.demo_disk.demo_queue_0"), "error", "incorrectly formatted: no position after a comma"),
        (
            bad(".klp.sym.demo_disk.demo_queue,x"),
            "error",
            "incorrectly formatted: the position is not a number",
        ),
        (
            bad(".klp.sym.demo_disk_demo_queue,0"),
            "error",
            "incorrectly formatted: no symbol after the object",
        ),
        (
            bad(".klp.tmb.demo_disk.demo_queue,0"),
            "error",
            "incorrectly formatted: does not begin with .klp.sym.",
        ),
        (bad(".klp.sym.demo_disk.demo_que,0ue"), "warning", "\"ue\" after the position is ignored"),
        (bad(".klp.sym.vmlinux.demo_queue_2,0"), "error", "section uses a vmlinux symbol"),
        (Demo(demo.0.clone()).put(symbol(20) + 6, &[0, 0]), "error", "not marked as a livepatch symbol"),
        // `modinfo` and `klp_enable_patch`: nobody uses the one, and an ordinary relocation the other.
        (marked(10), "info", "not a KLP name, unused"),
        (marked(17), "info", "not a KLP name, never resolved"),
    ] {
        let report = json(&spoilt.0, &[]);
        let notes: Vec<_> = list(&report["klp_symbols"]).iter().flat_map(|row| list(&row["notes"])).collect();
        assert_eq!(notes.len(), 1, "{expected}: {notes:?}");
        assert_eq!(notes[0]["level"], level, "{expected}");
        assert!(notes[0]["text"].as_str().unwrap().contains(expected), "{expected}: {notes:?}");
        let text = run(&spoilt.0, &[]);
        let words = stdout(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.status.success() && words.contains("Notes"), "{expected}");
    }
}

#[test]
fn types_that_cannot_be_applied_are_named() {
    let demo = Demo::new();
    let first = demo.content(27) + 8;
    for (r_type, expected) in [(9u8, "R_X86_64_GOTPCREL"), (255, "255 (no name)"), (12, "R_X86_64_16")] {
        let spoilt = Demo(demo.0.clone()).put(first, &[r_type]);
        let text = run(&spoilt.0, &[]);
        let (_, others) = stdout(&text).split_once("\nTypes that cannot be applied\n").unwrap();
        assert!(others.lines().nth(2).unwrap().ends_with(expected), "{others}");
        let report = json(&spoilt.0, &[]);
        let early = list(&report["relocations"]).iter().find(|pass| pass["class"] == "klp-early").unwrap();
        assert!(list(&early["types"]).iter().any(|of| of["type"] == r_type && of["applied"] == false));
    }
}

#[test]
fn the_kernel_version_decides_when_special_sections_are_read() {
    let demo = Demo::new();
    let of = |kernel| json(&demo.0, &["--kernel", kernel]);
    assert_eq!(special(&of("5.19"), "__jump_table")["read_at"], "finalize");
    assert_eq!(special(&of("6.0"), "__jump_table")["read_at"], "coming");
    assert_eq!(special(&of("7.2"), ".smp_locks")["read_at"], "finalize");
    let gone = of("7.3");
    let gone = special(&gone, ".smp_locks");
    assert_eq!((&gone["read_at"], &gone["not_read"]), (&Value::Null, &"no-longer".into()));
    // 12 bytes are an entry of the bug table up to 6.18, and no whole one later.
    assert_eq!(list(&special(&of("6.18"), "__bug_table")["notes"]).len(), 0);
    assert_eq!(list(&special(&of("6.19"), "__bug_table")["notes"]).len(), 1);
    let elf = of("elf");
    assert_eq!((&elf["rules"], &elf["special_sections_of"]), (&"elf".into(), &"7.3".into()));
}

#[test]
fn hostile_names_reach_neither_the_terminal_nor_the_json_as_they_are() {
    let demo = Demo::new().replace(25, b".rodata.str1.1", b"\x1b[31m\r\n\t\x07\xff\"\\'x");
    let demo = demo.replace(24, b"demo_limits", b"\x1b]0;\x1b[2J\xc3\x28x");
    let text = run_coloured(&demo.0);
    assert!(stdout(&text).contains(r#"\x1b[31m\r\n\t\x07\xff\"\\\'x"#));
    assert!(
        !text.stdout.contains(&0x07)
            && !stdout(&text).contains("\x1b[31m")
            && !stdout(&text).contains("\x1b]")
    );
    let report = json(&demo.0, &[]);
    assert_eq!(report["sections"][6]["name"], r#"\x1b[31m\r\n\t\x07\xff\"\\\'x"#);
}

#[test]
fn long_names_are_shortened_in_tables_and_whole_in_json() {
    let mut demo = Demo::new();
    // A name table of its own at the end of the file, with a name of 3000 bytes for .rodata.str1.1.
    let (old, size) = (demo.content(25), reader(&demo.0).sections[25].3);
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

    let text = run(&demo.0, &[]);
    assert!(stdout(&text).lines().all(|line| line.len() <= 120 || line.contains("by the rules of")));
    assert!(stdout(&text).contains("startn") && stdout(&text).contains("n...n"));
    assert_eq!(json(&demo.0, &[])["sections"][6]["name"], long);
}

#[test]
fn tables_that_are_larger_together_than_the_file_are_refused() {
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
    let text = run(&demo.0, &[]);
    assert_eq!(text.status.code(), Some(1), "{}", stderr(&text));
    assert!(stderr(&text).contains("relocation tables together are larger than the file"));
}

#[test]
fn a_file_that_is_cut_short_is_a_fault_with_its_place() {
    let demo = Demo::new().0;
    for size in (0..demo.len()).step_by(97) {
        let output = run(&demo[..size], &[]);
        assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{size} bytes");
        assert!(stderr(&output).starts_with("error: "), "{}", stderr(&output));
        let output = run(&demo[..size], &["--format", "json"]);
        assert_eq!(output.status.code(), Some(1), "{size} bytes");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(list(&report["errors"]).len(), 1, "{report:#}");
    }
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let code = |arguments: &[&str]| relakit().args(arguments).output().unwrap().status.code();
    assert_eq!(code(&[DEMO]), Some(0));
    assert_eq!(code(&["demo/livepatch.c"]), Some(1));
    assert_eq!(code(&[DEMO, "--kernel", "four"]), Some(2));
    assert_eq!(code(&[DEMO, "--kernel", "4.19"]), Some(2));
    assert_eq!(code(&[DEMO, "--format", "xml"]), Some(2));
    assert_eq!(code(&["demo/no-such-module.ko"]), Some(3));
    assert_eq!(code(&["demo"]), Some(3));
}
