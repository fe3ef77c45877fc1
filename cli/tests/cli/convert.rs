//! `relakit convert` with the demo's livepatch, taken apart.

use super::help::{Demo, Folder, code, json, stderr, stdout};
use apart::{Form, take_apart};
use serde_json::Value;
use std::fs;

#[path = "../../../convert/tests/convert/apart.rs"]
#[expect(dead_code, reason = "the tests of the crate relakit-convert use the rest")]
pub mod apart;

/// A folder with `apart.ko` in a form, and `map.txt`.
fn folder(form: Form) -> Folder {
    let folder = Folder::new();
    let (file, map) = take_apart(&Demo::new().0, form);
    folder.write("apart.ko", file);
    folder.write("map.txt", map);
    folder
}

/// The objects and what the livepatch replaces, without the numbers of the livepatch sections.
fn inspected(folder: &Folder, file: &str) -> (Value, Value) {
    let mut report = json(&folder.run(&format!("inspect {file} --format json")));
    for object in report["objects"].as_array_mut().unwrap() {
        object["sections"] = object["sections"].as_array().unwrap().len().into();
    }
    (report["objects"].clone(), report["patch"].clone())
}

#[test]
fn a_livepatch_in_each_form_becomes_the_livepatch_that_it_was() {
    for form in [Form::Macro, Form::Map, Form::Kpatch] {
        let folder = folder(form);
        let output = folder.run("convert apart.ko -o out.ko --map map.txt");
        assert_eq!(code(&output), 0, "{form:?}: {output:?}");
        assert!(stdout(&output).starts_with("converted: apart.ko to out.ko: "), "{form:?}: {output:?}");
        assert!(stdout(&output).contains("applied each time demo_disk is loaded\n"), "{form:?}: {output:?}");
        assert_eq!(inspected(&folder, "out.ko"), inspected(&folder, "livepatch.ko"), "{form:?}");
    }
}

#[test]
fn the_output_is_checked_with_the_same_input() {
    let folder = folder(Form::Macro);
    let without = folder.run("convert apart.ko -o out.ko");
    assert!(stdout(&without).contains("note: the output is not checked; give --symbols"), "{without:?}");
    let output = folder.run("convert apart.ko -o out.ko --symbols symbols.txt");
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stdout(&output).contains("\nnot judged with "), "demo_disk has no file: {output:?}");
    let output = folder.run("convert apart.ko -o out.ko --symbols symbols.txt --no-check");
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(!stdout(&output).contains("not judged"), "{output:?}");
}

#[test]
fn a_refused_livepatch_writes_no_file_and_says_what_to_do() {
    let folder = folder(Form::Macro);
    folder.write("two.txt", "ffffffff81000000 t diskstats_key\nffffffff81000010 t diskstats_key\n");
    let output = folder.run("convert apart.ko -o out.ko --symbols two.txt");
    assert_eq!((code(&output), stdout(&output)), (1, ""), "{output:?}");
    for part in [
        "error: vmlinux has 2 symbols diskstats_key\n",
        "   = 2: 0xffffffff81000010\n",
        "   = help: give the number of the right one: KLP_RELOC_SYMBOL_POS(vmlinux, vmlinux, diskstats_key, N)\n",
        "error: vmlinux has no symbol part_in_flight\n",
    ] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
    assert!(!folder.path("out.ko").exists());
}

#[test]
fn a_converted_file_is_copied() {
    let folder = Folder::new();
    let output = folder.run("convert livepatch.ko -o out.ko");
    assert!(
        stdout(&output).starts_with("nothing to convert: out.ko is the same as livepatch.ko\n"),
        "{output:?}"
    );
    assert_eq!(fs::read(folder.path("out.ko")).unwrap(), Demo::new().0);
}

#[test]
fn the_header_declares_the_macros() {
    let output = Folder::new().run("convert --header");
    assert_eq!(code(&output), 0, "{output:?}");
    for name in ["KLP_RELOC_SYMBOL(LP_OBJ, SYM_OBJ, SYM)", "KLP_RELOC_SYMBOL_POS(LP_OBJ, SYM_OBJ, SYM, POS)"]
    {
        assert!(stdout(&output).contains(&format!("#define {name}")), "{name}");
    }
}

#[test]
fn a_missing_argument_and_a_malformed_map_are_errors() {
    let folder = folder(Form::Map);
    for arguments in ["convert apart.ko", "convert -o out.ko", "convert --header apart.ko"] {
        assert_eq!(code(&folder.run(arguments)), 2, "{arguments}");
    }
    folder.write("bad.txt", "vmlinux f\nvmlinux\n");
    let output = folder.run("convert apart.ko -o out.ko --map bad.txt");
    assert_eq!(code(&output), 3, "{output:?}");
    assert!(stderr(&output).contains("bad.txt: line 2: "), "{output:?}");
}
