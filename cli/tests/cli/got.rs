//! Position-independent code: a loader by the psABI makes a global offset table, and Linux does not.

use super::elf::{FIRST, TEXT, module_named, relocations};
use super::help::{Folder, code, json, stderr, stdout};
use serde_json::json;
use std::fs;

/// psABI, table 4.10.
const GOTPCREL: u32 = 9;
const GOTTPOFF: u32 = 22;
const TPOFF32: u32 = 23;
const GOTPC32: u32 = 26;
/// The number of sections in the file of [`module`], and the section index of its GOT.
const GOT: u32 = 8;

/// A module whose code has these relocations: type and symbol. Symbols are counted from 1.
pub fn module(entries: &[(u32, u32)], symbols: &[(&str, u16, u64)]) -> Vec<u8> {
    let modinfo = "license=GPL\0vermagic=6.12.1-amd64 SMP mod_unload \0name=plain\0";
    let entry = |(offset, (r_type, symbol)): (u64, &(u32, u32))| (8 * offset, *r_type, *symbol);
    let table = relocations(".rela.text", 0, TEXT, (2..).zip(entries).map(entry));
    module_named("plain", modinfo, vec![table], symbols)
}

fn folder(entries: &[(u32, u32)]) -> Folder {
    let folder = Folder::new();
    folder.write("plain.ko", module(entries, &[("service", 0, 0), ("other", 0, 0)]));
    folder.write("list.txt", "1240 T service\n1250 T other\n");
    folder
}

/// The sections of the file have addresses, and so have `more`.
fn memory(folder: &Folder, more: &[serde_json::Value]) {
    let mut sections: Vec<_> =
        (TEXT..FIRST).map(|index| json!({"index": index, "addr": 0x10_0000 * index})).collect();
    sections.extend_from_slice(more);
    folder.write("memory.json", json!({ "sections": sections }).to_string());
}

const APPLY: &str = "apply plain.ko --place memory.json --symbols list.txt --out out --kernel elf";
const CHECK: &str = "check plain.ko --symbols list.txt --kernel 6.12";

#[test]
fn inspect_shows_the_slots_and_their_symbols() {
    let folder = folder(&[(GOTPCREL, 1), (GOTPCREL, 2), (GOTPCREL, 1)]);
    let shown = folder.run("inspect plain.ko --kernel elf");
    assert_eq!(code(&shown), 0, "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(text.contains("Global offset table (section 8): 2 slots, 16 bytes"), "{text}");
    assert!(text.contains("service") && text.contains("other"), "{text}");
    assert!(!text.contains("Types that cannot be applied"), "{text}");
    let got = &json(&folder.run("inspect plain.ko --kernel elf --format json"))["got"];
    let symbols = [json!({"index": 1, "name": "service"}), json!({"index": 2, "name": "other"})];
    assert_eq!(*got, json!({"section": GOT, "slots": 2, "size": 16, "align": 8, "symbols": symbols}));
}

#[test]
fn a_table_of_which_only_the_address_is_used_has_one_slot() {
    let folder = folder(&[(GOTPC32, 1)]);
    let text = stdout(&folder.run("inspect plain.ko --kernel elf")).to_owned();
    assert!(text.contains("1 slot, 8 bytes") && text.contains("only the address of the table"), "{text}");
}

#[test]
fn inspect_lists_forty_symbols_and_counts_the_others() {
    let names: Vec<_> = (0..41).map(|number| format!("symbol_{number}")).collect();
    let symbols: Vec<_> = names.iter().map(|name| (name.as_str(), 0, 0)).collect();
    for (count, more) in [(40, false), (41, true)] {
        let entries: Vec<_> = (1..=count).map(|symbol| (GOTPCREL, symbol)).collect();
        let folder = Folder::new();
        folder.write("plain.ko", module(&entries, &symbols));
        let text = stdout(&folder.run("inspect plain.ko --kernel elf")).to_owned();
        assert!(text.contains("symbol_39") && !text.contains("symbol_40"), "{text}");
        assert_eq!(text.contains("and 1 more symbols"), more, "{text}");
        let table = &text[text.find("Global offset table").unwrap()..];
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let listed = &json(&folder.run("inspect plain.ko --kernel elf --format json"))["got"]["symbols"];
        assert_eq!(listed.as_array().unwrap().len() as u64, u64::from(count));
    }
}

#[test]
fn linux_makes_no_table_and_refuses_the_module() {
    let folder = folder(&[(GOTPCREL, 1)]);
    let shown = json(&folder.run("inspect plain.ko --kernel 6.12 --format json"));
    assert_eq!(shown["got"], serde_json::Value::Null);
    assert!(stdout(&folder.run("inspect plain.ko --kernel 6.12")).contains("R_X86_64_GOTPCREL"));
    let checked = folder.run(CHECK);
    assert_eq!(code(&checked), 1);
    let text = format!("{}{}", stdout(&checked), stderr(&checked));
    assert!(text.contains("unknown relocation type") && text.contains("-fno-pic"), "{text}");
}

#[test]
fn thread_local_data_is_refused_with_the_reason() {
    for r_type in [GOTTPOFF, TPOFF32] {
        let folder = folder(&[(r_type, 1)]);
        memory(&folder, &[]);
        for arguments in [APPLY, CHECK] {
            let refused = folder.run(arguments);
            assert_eq!(code(&refused), 1, "{}", stderr(&refused));
            let text = format!("{}{}", stdout(&refused), stderr(&refused));
            assert!(text.contains("TLS block") && text.contains("-femulated-tls"), "{text}");
        }
    }
}

#[test]
fn apply_fills_the_table_at_its_address() {
    for got in [json!({"name": ".got", "addr": "0x200000"}), json!({"index": GOT, "addr": "0x200000"})] {
        let folder = folder(&[(GOTPCREL, 1), (GOTPCREL, 2)]);
        memory(&folder, &[got]);
        let done = folder.run(APPLY);
        assert_eq!(code(&done), 0, "{}", stderr(&done));
        assert!(stdout(&done).contains("4 files written"), "{}", stdout(&done));
        let image = |index: u32| fs::read(folder.path(&format!("out/0-early/{index}.bin"))).unwrap();
        assert_eq!(image(GOT), [0x1240u64, 0x1250].map(u64::to_le_bytes).concat());
        let field = |offset: u32| 0x20_0000 + 8 * (offset / 8 - 2) - (0x10_0000 + offset);
        assert_eq!(image(TEXT)[16..20], field(16).to_le_bytes());
        assert_eq!(image(TEXT)[24..28], field(24).to_le_bytes());
    }
}

#[test]
fn a_table_without_an_address_is_an_error() {
    let folder = folder(&[(GOTPCREL, 1)]);
    memory(&folder, &[]);
    let failed = folder.run(APPLY);
    assert_eq!(code(&failed), 1);
    assert!(stderr(&failed).contains("section 8 .got"), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("add the section to the file of --place"), "{}", stderr(&failed));
    assert!(!folder.path("out").exists());
}

#[test]
fn a_table_with_two_addresses_is_an_error_of_the_file() {
    let folder = folder(&[(GOTPCREL, 1)]);
    memory(&folder, &[json!({"name": ".got", "addr": 4096}), json!({"index": GOT, "addr": 8192})]);
    let failed = folder.run(APPLY);
    assert_eq!(code(&failed), 3);
    assert!(stderr(&failed).contains("section 8 is listed twice"), "{}", stderr(&failed));
}

#[test]
fn a_module_that_needs_no_table_has_no_section_of_its_name_or_index() {
    let folder = folder(&[(1, 1)]);
    for got in [json!({"name": ".got", "addr": 4096}), json!({"index": GOT, "addr": 4096})] {
        memory(&folder, &[got]);
        assert_eq!(code(&folder.run(APPLY)), 3);
    }
}

#[test]
fn the_addresses_that_apply_writes_name_the_table_and_can_be_used_again() {
    let folder = folder(&[(GOTPCREL, 1)]);
    memory(&folder, &[json!({"name": ".got", "addr": "0x200000"})]);
    assert_eq!(code(&folder.run(APPLY)), 0);
    let place = fs::read_to_string(folder.path("out/place.json")).unwrap();
    assert!(place.contains(".got") && place.contains("0x200000"), "{place}");
    folder.write("memory.json", place);
    let again = folder.run(APPLY);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
}
