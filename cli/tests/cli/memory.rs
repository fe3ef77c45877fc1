//! The size of the file bounds the memory that the tool uses. The limits are for the address space,
//! in KiB.

use super::elf::{
    DATA, FIRST, LIVEPATCH, PROGBITS, SHN_ABS, SHN_LIVEPATCH, Section, TEXT, module, nobits, relocations,
    section,
};
use super::help::{Folder, code, json};
use serde_json::Value;
use std::fs;
use std::process::Output;

const R_X86_64_NONE: u32 = 0;
const R_X86_64_64: u32 = 1;
const R_X86_64_PC32: u32 = 2;
/// A type that Linux does not know.
const UNKNOWN: u32 = 99;

const FORMATS: [&str; 4] = ["text", "json", "sarif", "html"];
/// The limit for the largest file of these tests.
const LIMIT: &str = "ulimit -v 200000";

fn run(file: &[u8], limit: &str, arguments: &str) -> Output {
    let folder = Folder::new();
    folder.write("evil.ko", file);
    folder.limited(limit, &format!("{arguments} evil.ko")).output().unwrap()
}

/// Checks a file in each format under the limit. Returns the JSON report.
fn check(file: &[u8], expected: i32) -> Value {
    let mut report = Value::Null;
    for format in FORMATS {
        let output = run(file, LIMIT, &format!("check --symbols symbols.txt --format {format}"));
        assert_eq!(code(&output), expected, "{format}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.len() < 32 << 20, "{format}: {} bytes", output.stdout.len());
        if format == "json" {
            report = json(&output);
        }
    }
    report
}

/// The number of findings of a rule, and of those that are listed.
fn findings(report: &Value, rule: &str) -> (u64, usize) {
    let rows = report["findings"].as_array().unwrap().iter();
    let rows: Vec<_> = rows.filter(|row| row["rule"] == rule).collect();
    (rows.iter().map(|row| 1 + row["more"].as_u64().unwrap()).sum(), rows.len())
}

#[test]
fn findings_of_one_section_are_counted_beyond_ten() {
    let entries = (0..200_000).map(|_| (8, R_X86_64_PC32, 1));
    let late = relocations(".klp.rela.other..text", LIVEPATCH, TEXT, entries);
    let file = module(vec![late], &[(".klp.sym.other.f,0", SHN_LIVEPATCH, 0)]);
    let report = check(&file, 1);
    assert_eq!(findings(&report, "repeated-field"), (199_999, 10));
}

#[test]
fn findings_of_many_sections_are_counted_beyond_a_hundred() {
    let late = |number: u64| {
        let name = format!(".klp.rela.other{number}..{}", "x".repeat(1000));
        relocations(&name, LIVEPATCH, TEXT, std::iter::once((8 * (number % 500), R_X86_64_64, 1)))
    };
    let file = module((0..1_000).map(late).collect(), &[(".klp.sym.other.f,0", SHN_LIVEPATCH, 0)]);
    let report = check(&file, 1);
    assert_eq!(findings(&report, "third-module-symbol"), (1_000, 100));
    assert_eq!(findings(&report, "repeated-field"), (500, 100));
}

#[test]
fn findings_about_symbols_are_counted_beyond_ten() {
    let symbols: Vec<_> =
        (0..100_000).map(|_| (".klp.sym.vmlinux.part_in_flight,0", SHN_LIVEPATCH, 0)).collect();
    // Equal names are not shared, so the file has 3 MB.
    let report = check(&module(Vec::new(), &symbols), 1);
    assert_eq!(findings(&report, "sympos-missing"), (100_000, 10));
}

#[test]
fn errors_are_counted_beyond_a_hundred() {
    let entries = (0..200_000).map(|_| (8, UNKNOWN, 1));
    let file = module(vec![relocations(".rela.text", 0x40, TEXT, entries)], &[("f", SHN_ABS, 0)]);
    let report = check(&file, 1);
    let errors = report["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 100, "{}", report["message"]);
    assert_eq!(errors[99]["more"], 199_900);
    assert!(errors[..99].iter().all(|fault| fault["more"] == 0));
    let output = run(&file, LIMIT, "check --symbols symbols.txt --format text");
    assert!(String::from_utf8_lossy(&output.stdout).contains("and 199988 more like this"));
}

#[test]
fn apply_lists_a_thousand_errors_and_counts_the_rest() {
    let entries = (0..200_000).map(|_| (8, UNKNOWN, 1));
    let file = module(vec![relocations(".rela.text", 0x40, TEXT, entries)], &[("f", SHN_ABS, 0)]);
    let folder = Folder::new();
    folder.write("evil.ko", &file);
    folder.write("memory.json", br#"{"sections": [{"index": 1, "addr": 4096}]}"#);
    let command = "apply evil.ko --place memory.json --symbols symbols.txt --out out --format json";
    let output = folder.limited(LIMIT, command).output().unwrap();
    assert_eq!(code(&output), 1, "{output:?}");
    let report = json(&output);
    assert_eq!((report["errors"].as_array().unwrap().len(), &report["more_errors"]), (1000, &199_000.into()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("and 199000 more errors") && said.contains("200000 errors, nothing written"));
}

#[test]
fn sections_that_are_not_relocated_cost_no_memory() {
    for (flags, size) in [(0, 4 << 30), (0, u64::MAX), (DATA, 900 << 20)] {
        let report = check(&module(vec![nobits(flags, size)], &[]), 0);
        assert_eq!(report["verdict"], "accepted", "{size:#x}: {report:#}");
    }
}

#[test]
fn sections_that_are_too_large_to_simulate_are_not_judged() {
    let relocated = || relocations(".rela.big", 0x40, FIRST, std::iter::once((0, R_X86_64_64, 1)));
    for (flags, size, relocated, why) in [
        (DATA, 900 << 20, vec![relocated()], "the module is too large"),
        (DATA, 4 << 30, vec![], "larger than the kernel's address range for modules"),
        (DATA, u64::MAX, vec![relocated()], "larger than the kernel's address range for modules"),
    ] {
        let sections = [vec![nobits(flags, size)], relocated].concat();
        let report = check(&module(sections, &[("f", SHN_ABS, 0)]), 1);
        assert_eq!(report["verdict"], "not judged", "{size:#x}: {report:#}");
        assert!(report["message"].as_str().unwrap().contains(why), "{size:#x}: {report:#}");
    }
}

#[test]
fn a_large_module_with_another_error_is_rejected() {
    let file = module(vec![nobits(DATA | 0x4, 4 << 30)], &[]);
    let report = check(&file, 1);
    assert_eq!((&report["verdict"], &report["errno"]), (&"rejected".into(), &"ENOEXEC".into()), "{report:#}");
}

#[test]
fn a_target_that_cannot_be_simulated_is_not_judged() {
    let folder = Folder::new();
    let relocated = relocations(".rela.big", 0x40, FIRST, std::iter::once((0, R_X86_64_64, 1)));
    let file = module(vec![nobits(DATA, 900 << 20), relocated], &[("f", SHN_ABS, 0)]);
    folder.write("evil.ko", &file);
    let command =
        "check livepatch.ko --symbols symbols.txt --target evil=evil.ko --event coming:evil --format json";
    let output = folder.limited(LIMIT, command).output().unwrap();
    assert_eq!(json(&output)["steps"][0]["verdict"], "not judged", "{output:?}");
}

#[test]
fn apply_has_a_memory_limit() {
    let folder = Folder::new();
    folder.write("evil.ko", module(vec![nobits(DATA, 4 << 30)], &[]));
    folder.write("memory.json", br#"{"sections": [{"index": 4, "addr": 4096}]}"#);
    let command = "apply evil.ko --place memory.json --symbols symbols.txt --out out";
    let output = folder.limited(LIMIT, command).output().unwrap();
    assert_eq!(code(&output), 3, "{output:?}");
}

#[test]
fn long_names_are_shortened() {
    let name = format!(".klp.rela.other..{}", "\u{1}".repeat(4000));
    let late = relocations(&name, LIVEPATCH, TEXT, std::iter::once((8, R_X86_64_NONE, 1)));
    let report = check(&module(vec![late], &[("f", SHN_ABS, 0)]), 1);
    let findings = report["findings"].as_array().unwrap();
    let names: Vec<_> = findings.iter().filter_map(|row| row["place"]["section_name"].as_str()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.len() <= 1024), "{report:#}");
}

#[test]
fn modules_of_a_directory_are_not_all_in_memory() {
    let folder = Folder::new();
    fs::create_dir(folder.path("modules")).unwrap();
    // Each has 2 MiB of relocated sections and a thousand findings; together they have 200 MiB.
    let sections = |number: u64| -> Vec<Section> {
        let entries = (0..1_000).map(|_| (8, R_X86_64_PC32, 1));
        vec![
            section(".data", PROGBITS, DATA, vec![0; 2 << 20]),
            relocations(".rela.data", 0x40, FIRST, std::iter::once((8 * number, R_X86_64_64, 1))),
            relocations(".klp.rela.other..text", LIVEPATCH, TEXT, entries),
        ]
    };
    for number in 0..100 {
        let file = module(sections(number), &[("f", SHN_ABS, 0)]);
        folder.write(&format!("modules/evil{number:03}.ko"), &file);
    }
    for format in ["text", "json", "sarif"] {
        let command = format!("check modules --symbols symbols.txt --format {format}");
        let output = folder.limited("ulimit -v 200000", &command).output().unwrap();
        assert_eq!(code(&output), 1, "{format}: {}", String::from_utf8_lossy(&output.stderr));
        let count = match format {
            "text" => output
                .stdout
                .split(|byte| *byte == b'\n')
                .filter(|line| line.starts_with(b"accepted "))
                .count(),
            "json" => json(&output).as_array().unwrap().len(),
            _ => json(&output)["runs"][0]["results"].as_array().unwrap().len() / 11,
        };
        assert!(count >= 100, "{format}: {count}");
    }
}
