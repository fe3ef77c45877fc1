//! `--kernel elf` is for loaders that are not Linux: no word of Linux, and a plain symbol list.

use super::elf::{FIRST, TEXT, module_named, relocations, section};
use super::help::{Folder, code, json, stderr, stdout};
use std::fs;
use std::process::Output;

/// R_X86_64_64, and a type with a global offset table (psABI, table 4.10).
const ABSOLUTE: u32 = 1;
const GOTPCREL: u32 = 9;
const ALLOC: u64 = 0x2;

/// A module for Linux with a special section, and a relocation of .text.
fn plain(r_type: u32) -> Vec<u8> {
    let more = vec![
        section("__mcount_loc", super::elf::PROGBITS, ALLOC, vec![0; 8]),
        relocations(".rela.text", 0, TEXT, [(16, r_type, 1)].into_iter()),
    ];
    let modinfo = "license=GPL\0vermagic=6.12.1-amd64 SMP mod_unload \0name=plain\0";
    module_named("plain", modinfo, more, &[("service", 0, 0)])
}

fn folder(r_type: u32, symbols: &str) -> Folder {
    let folder = Folder::new();
    folder.write("plain.ko", plain(r_type));
    folder.write("list.txt", symbols);
    let sections = [TEXT, 2, 3, FIRST].map(|index| serde_json::json!({"index": index, "addr": "0x100000"}));
    folder.write("memory.json", serde_json::json!({"sections": sections}).to_string());
    folder
}

fn apply(folder: &Folder, more: &str) -> Output {
    folder.run(&format!("apply plain.ko --place memory.json --symbols list.txt --out out --kernel elf{more}"))
}

/// Fails if a text has a word of Linux.
fn has_no_word_of_linux(text: &str) {
    for word in ["linux", "livepatch", "kernel", "klp", "errno\": \"", "returns -e"] {
        // The name of the option is in `"kernel": "elf"`.
        let text = text.to_lowercase().replace("\"kernel\": \"elf\"", "").replace("\"livepatch\": false", "");
        let text = text.replace("\"klp_symbols\": []", "");
        assert!(!text.contains(word), "{word}: {text}");
    }
}

#[test]
fn inspect_has_no_word_of_linux() {
    let folder = folder(ABSOLUTE, "");
    for format in ["text", "json"] {
        let shown = folder.run(&format!("inspect plain.ko --kernel elf --format {format}"));
        assert_eq!(code(&shown), 0, "{}", stderr(&shown));
        has_no_word_of_linux(stdout(&shown));
    }
    let linux = folder.run("inspect plain.ko --kernel 6.12");
    assert!(stdout(&linux).contains("not a livepatch"), "{}", stdout(&linux));
    assert!(stdout(&linux).contains("Special sections, as Linux 6.12 reads them"), "{}", stdout(&linux));
}

#[test]
fn the_html_page_has_no_word_of_linux() {
    let shown = folder(ABSOLUTE, "").run("inspect plain.ko --kernel elf --format html");
    assert_eq!(code(&shown), 0, "{}", stderr(&shown));
    let page = scraper::Html::parse_document(stdout(&shown));
    let body = scraper::Selector::parse("body > :not(script)").unwrap();
    let text: String = page.select(&body).flat_map(|part| part.text()).collect();
    assert!(text.contains("by the rules of ELF"), "{text}");
    has_no_word_of_linux(&text);
    let targets = scraper::Selector::parse("nav a").unwrap();
    for link in page.select(&targets) {
        let anchor = scraper::Selector::parse(link.attr("href").unwrap()).unwrap();
        assert!(page.select(&anchor).next().is_some(), "{:?}", link.attr("href"));
    }
}

#[test]
fn a_livepatch_is_shown_as_one() {
    let shown = Folder::new().run("inspect livepatch.ko --kernel elf");
    assert!(stdout(&shown).contains("a livepatch, by the rules of ELF"), "{}", stdout(&shown));
    assert!(stdout(&shown).contains("KLP early"), "{}", stdout(&shown));
}

#[test]
fn errors_have_no_errno() {
    let folder = folder(GOTPCREL, "1000 T service\n");
    let failed = apply(&folder, " --format json");
    assert_eq!(code(&failed), 1);
    has_no_word_of_linux(stderr(&failed));
    assert_eq!(json(&failed)["errors"][0]["errno"], serde_json::Value::Null);
    folder.write("bad.ko", &plain(ABSOLUTE)[..100]);
    let shown = folder.run("inspect bad.ko --kernel elf --format json");
    assert_eq!(code(&shown), 1);
    has_no_word_of_linux(stderr(&shown));
    assert_eq!(json(&shown)["errors"][0]["errno"], serde_json::Value::Null);
    let linux = folder.run("inspect bad.ko --kernel 6.12 --format json");
    assert_eq!(json(&linux)["errors"][0]["errno"], "ENOEXEC");
}

/// The format of nm is that of kallsyms, but undefined symbols have no address.
#[test]
fn a_list_of_nm_is_enough() {
    let folder =
        folder(ABSOLUTE, "                 U memcpy\n0000000000001230 t local\n0000000000001240 T service\n");
    let done = apply(&folder, "");
    assert_eq!(code(&done), 0, "{}", stderr(&done));
    let text = fs::read(folder.path("out/0-early/1.bin")).unwrap();
    assert_eq!(text[16..24], 0x1240u64.to_le_bytes());
    let missing = self::folder(ABSOLUTE, "1230 t local\n                 U service\n");
    let failed = apply(&missing, "");
    assert_eq!(code(&failed), 1);
    has_no_word_of_linux(stderr(&failed));
}

#[test]
fn in_linux_a_symbol_must_be_exported() {
    let arguments = "apply plain.ko --place memory.json --symbols list.txt --out out --kernel 6.12";
    assert_eq!(code(&folder(ABSOLUTE, "1240 T service\n").run(arguments)), 1);
    let exported = folder(ABSOLUTE, "1240 T service\n2000 r __ksymtab_service\n").run(arguments);
    assert_eq!(code(&exported), 0, "{}", stderr(&exported));
}
