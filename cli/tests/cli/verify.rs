//! `relakit verify`, on the demo's livepatch as `relakit apply` loads it.

use super::help::{Folder, code, json, relakit, stderr, stdout};
use serde_json::{Value, json};
use std::fmt::Write;
use std::fs;
use std::process::Output;

pub const VERIFY: &str =
    "verify livepatch.ko --place place.json --memory out/0-early --symbols symbols.txt demo_disk-first.txt";
const COMING: &str = "out/1-coming-demo_disk";

/// Section numbers in the demo's livepatch.
const TEXT: u32 = 1;
const STRINGS: u32 = 6;
const INIT_TEXT: u32 = 7;
const EX_TABLE: u32 = 18;

/// Offsets in .text: the field of the call of `seq_printf`, the NOP of a jump label, a lock prefix.
pub const CALL: usize = 0x72;
pub const JUMP_LABEL: usize = 0x40;
const LOCK: usize = 0x11;

/// A memory of Linux: its name, its base, and the sections in it with their offsets.
type LinuxMemory = (&'static str, u64, &'static [(u32, u64)]);

const MEMORIES: [LinuxMemory; 5] = [
    ("text", 0xffff_ffff_c020_1000, &[(TEXT, 0), (11, 0x83)]),
    (
        "rodata",
        0xffff_ffff_c020_3000,
        &[
            (STRINGS, 0),
            (9, 0x64),
            (12, 0x68),
            (EX_TABLE, 0x78),
            (26, 0x88),
            (27, 0xd0),
            (28, 0xe8),
            (29, 0x100),
        ],
    ),
    ("ro_after_init", 0xffff_ffff_c020_5000, &[(16, 0)]),
    ("data", 0xffff_ffff_c020_7000, &[(3, 0), (5, 0x560), (14, 0x560), (21, 0x570)]),
    ("init_text", 0xffff_ffff_c020_9000, &[(INIT_TEXT, 0)]),
];

fn sections() -> impl Iterator<Item = (u32, u64)> {
    MEMORIES.iter().flat_map(|(_, base, sections)| {
        sections.iter().map(move |(section, offset)| (*section, base + offset))
    })
}

/// A folder with the memory of the livepatch: loaded, with `demo_disk`, and without it again.
pub fn running() -> Folder {
    let folder = Folder::new();
    let entry = |(index, address)| json!({"index": index, "addr": format!("{address:#x}")});
    folder.write("place.json", json!({"sections": sections().map(entry).collect::<Vec<_>>()}).to_string());
    let apply = "apply livepatch.ko --place place.json --symbols symbols.txt --out out \
        --coming demo_disk=demo_disk-first.txt --going demo_disk";
    assert_eq!(code(&folder.run(apply)), 0);
    folder
}

/// Changes bytes of a section, and returns those that it had.
fn put(folder: &Folder, step: &str, section: u32, at: usize, bytes: &[u8]) -> Vec<u8> {
    let path = folder.path(&format!("{step}/{section}.bin"));
    let mut all = fs::read(&path).unwrap();
    let before = all[at..at + bytes.len()].to_vec();
    all[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, all).unwrap();
    before
}

fn flip(folder: &Folder, section: u32, at: usize) {
    let bytes = put(folder, "out/0-early", section, at, &[0]);
    put(folder, "out/0-early", section, at, &[bytes[0] ^ 0x40]);
}

fn report(folder: &Folder, arguments: &str) -> (i32, Value) {
    let output = folder.run(&format!("{arguments} --format json"));
    assert!(!output.stdout.is_empty(), "{output:?}");
    (code(&output), json(&output))
}

/// The reasons of all differences.
fn reasons(report: &Value) -> Vec<&str> {
    report["differences"].as_array().unwrap().iter().map(|row| row["why"].as_str().unwrap()).collect()
}

fn refused(output: &Output, expected: i32, why: &str) {
    assert_eq!(code(output), expected, "{output:?}");
    assert!(stderr(output).contains(why), "{why}: {output:?}");
}

#[test]
fn what_apply_writes_is_verified() {
    let folder = running();
    let done = folder.run(VERIFY);
    assert_eq!(code(&done), 0, "{done:?}");
    assert!(stdout(&done).starts_with("verified: livepatch.ko, by the rules of Linux 6.12\n"), "{done:?}");
    let (_, report) = report(&folder, VERIFY);
    assert_eq!(report["verdict"], "verified");
    // .text, .altinstr_replacement, the constants and __jump_table.
    assert_eq!(report["counts"]["compared"], 0x88 + 0x62 + 0x4 + 0xe + 0xc + 0x48 + 3 * 0x18 + 0x10);
    // .init.text, .data, __bug_table, .gnu.linkonce.this_module.
    assert_eq!(report["counts"]["not_judged"], 0x22 + 0x560 + 0xc + 0x58);
    // The lock prefix, the alternative and its replacement, the jump label.
    assert_eq!(report["counts"]["sites"], 3);
}

#[test]
fn each_changed_byte_is_found_unless_a_known_form_explains_it() {
    let folder = running();
    for (section, size) in [(TEXT, 0x83), (STRINGS, 0x62), (EX_TABLE, 0xc)] {
        for at in (0..size).step_by(7) {
            flip(&folder, section, at);
            let (exit, report) = report(&folder, VERIFY);
            let contains = |row: &Value| {
                let (offset, size) = (row["offset"].as_u64().unwrap(), row["size"].as_u64().unwrap());
                row["section"] == section && (offset..offset + size).contains(&(at as u64))
            };
            // A changed field of a late relocation looks applied, so that the others differ too.
            let found = report["differences"].as_array().unwrap().iter().any(contains);
            assert!(exit == 1 && found, "section {section} at {at:#x}: {report:#}");
            flip(&folder, section, at);
        }
    }
    assert_eq!(code(&folder.run(VERIFY)), 0);
}

#[test]
fn a_redirected_call_names_both_functions() {
    let folder = running();
    // _printk instead of seq_printf.
    let (from, to) = ("seq_printf", "_printk");
    let address = |name: &str| {
        let symbols = fs::read_to_string(folder.path("symbols.txt")).unwrap();
        let line = symbols.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap().to_owned();
        u64::from_str_radix(&line[..16], 16).unwrap()
    };
    let field = put(&folder, "out/0-early", TEXT, CALL, &[0; 4]);
    let distance = u32::from_le_bytes(field.try_into().unwrap());
    let distance = u64::from(distance).wrapping_add(address(to).wrapping_sub(address(from)));
    put(&folder, "out/0-early", TEXT, CALL, &distance.to_le_bytes()[..4]);
    let (exit, report) = report(&folder, VERIFY);
    assert_eq!((exit, reasons(&report)), (1, vec!["calls _printk instead of seq_printf"]), "{report:#}");
    let row = &report["differences"][0];
    assert_eq!((&row["cause"], &row["symbol"]), (&"relocation".into(), &"new_diskstats_show+0x32".into()));
    assert_eq!(row["relocation"]["symbol_name"], "seq_printf");
    assert_eq!(row["relocation"]["leads_to"], format!("{:#x}", address(to)));
    let text = folder.run(VERIFY);
    assert!(stdout(&text).starts_with("1 difference: livepatch.ko"), "{text:?}");
    assert!(stdout(&text).contains("calls _printk instead of seq_printf"), "{text:?}");
}

#[test]
fn a_site_is_accepted_in_its_known_forms_and_otherwise_named() {
    let folder = running();
    // A jump to the label at 0x80, and one elsewhere.
    put(&folder, "out/0-early", TEXT, JUMP_LABEL, &[0xe9, 0x3b, 0, 0, 0]);
    // On one CPU, the lock prefix becomes a DS prefix.
    put(&folder, "out/0-early", TEXT, LOCK, &[0x3e]);
    let (exit, known) = report(&folder, VERIFY);
    assert_eq!((exit, &known["counts"]["rewritten"]), (0, &2.into()), "{known:#}");
    let (exit, strict) =
        report(&folder, &format!("{VERIFY} --policy jump-label=untouched --policy lock=untouched"));
    let rows = strict["differences"].as_array().unwrap();
    let roles: Vec<_> = rows.iter().map(|row| row["site"]["role"].as_str().unwrap()).collect();
    assert_eq!(exit, 1);
    assert!(roles.contains(&"jump-label") && roles.contains(&"lock") && roles.len() == 2, "{strict:#}");
    put(&folder, "out/0-early", TEXT, JUMP_LABEL, &[0xe9, 0x3a, 0, 0, 0]);
    let (exit, wrong) = report(&folder, VERIFY);
    assert_eq!(exit, 1);
    assert!(
        reasons(&wrong)[0].starts_with("jump label, entry 0 of __jump_table: in no known form"),
        "{wrong:#}"
    );
    assert_eq!(code(&folder.run(&format!("{VERIFY} --policy jump-label=anything"))), 0);
}

#[test]
fn the_memory_shows_which_late_relocations_are_applied() {
    let folder = running();
    let at = |step: &str| VERIFY.replace("out/0-early", step);
    for (step, applied) in
        [("out/0-early", json!([])), (COMING, json!(["demo_disk"])), ("out/2-going-demo_disk", json!([]))]
    {
        let (exit, report) = report(&folder, &at(step));
        assert_eq!((exit, &report["applied"]), (0, &applied), "{step}: {report:#}");
    }
    // One of the fields is cleared: the others show that they are applied.
    put(&folder, COMING, TEXT, 0xb, &[0; 4]);
    let (exit, cleared) = report(&folder, &at(COMING));
    assert_eq!((exit, cleared["differences"].as_array().unwrap().len()), (1, 1), "{cleared:#}");
    assert!(reasons(&cleared)[0].contains("instead of demo_limits"), "{cleared:#}");
}

#[test]
fn applied_says_what_must_be_applied() {
    let folder = running();
    let (exit, missing) = report(&folder, &format!("{VERIFY} --applied demo_disk"));
    // In .text; the data is not compared.
    assert_eq!((exit, missing["differences"].as_array().unwrap().len()), (1, 3), "{missing:#}");
    let coming = VERIFY.replace("out/0-early", COMING);
    assert_eq!(code(&folder.run(&format!("{coming} --applied demo_disk"))), 0);
    refused(&folder.run(&format!("{VERIFY} --applied demo_dsk")), 2, "did you mean demo_disk?");
    // The symbols of the applied module are missing.
    let (exit, unknown) = report(&folder, &coming.replace(" demo_disk-first.txt", ""));
    assert_eq!((exit, &unknown["verdict"]), (1, &"not-judged".into()), "{unknown:#}");
    assert_eq!(unknown["not_judged"][0]["give"], "--symbols with the symbols of [demo_disk]");
}

#[test]
fn a_section_that_the_memory_does_not_contain_is_not_judged() {
    let folder = running();
    fs::remove_file(folder.path("out/0-early/18.bin")).unwrap();
    let (exit, missing) = report(&folder, VERIFY);
    assert_eq!((exit, &missing["verdict"]), (1, &"not-judged".into()), "{missing:#}");
    assert_eq!(missing["not_judged"][0]["what"], "section 18 __ex_table");
    // A difference elsewhere is reported all the same.
    flip(&folder, TEXT, 0);
    let (_, both) = report(&folder, VERIFY);
    assert_eq!((&both["verdict"], both["not_judged"].as_array().unwrap().len()), (&"differs".into(), 1));
    // Data and init sections are not needed.
    let folder = running();
    for section in [3, 7, 14, 21] {
        fs::remove_file(folder.path(&format!("out/0-early/{section}.bin"))).unwrap();
    }
    assert_eq!(code(&folder.run(VERIFY)), 0);
    folder.write("out/0-early/1.bin", [0; 3]);
    refused(&folder.run(VERIFY), 3, "1.bin: has 3 bytes; section 1 has 131");
}

#[test]
fn a_place_is_a_directory_of_sysfs_or_a_text_or_bases() {
    let folder = running();
    let inspect = json(&folder.run("inspect livepatch.ko --format json"));
    let name = |section: u32| {
        let rows = inspect["sections"].as_array().unwrap();
        rows[usize::try_from(section).unwrap()]["name"].as_str().unwrap().to_owned()
    };
    let (mut text, bss) = (String::new(), 5);
    fs::create_dir(folder.path("sections")).unwrap();
    // /sys lists no empty sections, and has the symbol table.
    for (section, address) in sections().filter(|(section, _)| *section != bss).chain([(23, 0x1234)]) {
        writeln!(text, "{} {address:#x}", name(section)).unwrap();
        folder.write(&format!("sections/{}", name(section)), format!("{address:#018x}\n"));
    }
    folder.write("sections.txt", &text);
    for place in ["sections", "sections.txt"] {
        let arguments = VERIFY.replace("place.json", place);
        let done = folder.run(&arguments);
        assert_eq!(code(&done), 0, "{place}: {done:?}");
    }
    let bases: Vec<_> = MEMORIES.iter().map(|(name, base, _)| format!("{name}={base:#x}")).collect();
    let with = |bases: &[String]| {
        folder.run(&VERIFY.replace("--place place.json", &format!("--bases {}", bases.join(","))))
    };
    assert_eq!(code(&with(&bases)), 0);
    // Without init memory and data: the fields that refer to them show where they are.
    let some = with(&bases[..3]);
    assert_eq!(code(&some), 0, "{some:?}");
    refused(&some, 0, "the memory shows that data is at 0xffffffffc0207000");
    // Without the constants, they are not judged.
    let text_only = with(&bases[..1]);
    assert_eq!(code(&text_only), 1, "{text_only:?}");
    assert!(stdout(&text_only).starts_with("not judged: livepatch.ko"), "{text_only:?}");
}

#[test]
fn a_wrong_place_is_refused_with_the_reason() {
    let folder = running();
    let place = |text: &str| {
        folder.write("sections.txt", text);
        folder.run(&VERIFY.replace("place.json", "sections.txt"))
    };
    for (text, why) in [
        (".text 0x0\n.data 0x0000000000000000\n", "all addresses are 0; /sys shows addresses only to root"),
        (".text\n", "line 1 is not \"section-name 0xaddress\""),
        (".text 0x1000\n\n.txet 0x2000\n", "line 3: the module has no section .txet; is it another module?"),
        (".text 0x1000\n.text 0x1000\n.text 0x1000\n", "section .text is listed twice"),
        ("", "has no address of a section in memory"),
    ] {
        refused(&place(text), 3, why);
    }
    let bases = |bases: &str| folder.run(&VERIFY.replace("--place place.json", &format!("--bases {bases}")));
    refused(&bases("core=0x1000"), 2, "modules of this kernel have the memories text, rodata,");
    refused(&bases("code=0x1000"), 2, "no memory of a module");
    refused(&folder.run(&VERIFY.replace("--place place.json ", "")), 2, "--place");
    refused(&folder.run(&format!("{VERIFY} --kernel elf")), 2, "needs a Linux version");
    refused(&folder.run(&format!("{VERIFY} --policy lock=all")), 2, "untouched, known or anything");
}

/// An ELF core file with these parts: address and content.
fn core(parts: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let count = u16::try_from(parts.len()).unwrap();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0u64, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64, 56, count, 64, 0, 0].map(u16::to_le_bytes).concat());
    let mut offset = 64 + 56 * u64::from(count);
    for (address, bytes) in parts {
        let size = bytes.len() as u64;
        file.extend([1u32, 7].map(u32::to_le_bytes).concat());
        file.extend([offset, *address, 0, size, size, 4096].map(u64::to_le_bytes).concat());
        offset += size;
    }
    parts.iter().for_each(|(_, bytes)| file.extend(bytes));
    file
}

#[test]
fn a_core_file_has_the_memory_by_address() {
    let folder = running();
    let part =
        |(section, address)| (address, fs::read(folder.path(&format!("out/0-early/{section}.bin"))).unwrap());
    let mut parts: Vec<_> = sections().map(part).filter(|(_, bytes)| !bytes.is_empty()).collect();
    // As in a dump of a guest, whose pages are scattered.
    let (address, text) = parts[0].clone();
    parts[0].1.truncate(0x10);
    parts.push((address + 0x10, text[0x10..].to_vec()));
    folder.write("core", core(&parts));
    let verify = VERIFY.replace("out/0-early", "core");
    assert_eq!(code(&folder.run(&verify)), 0);
    parts.last_mut().unwrap().1.pop();
    folder.write("core", core(&parts));
    let (exit, missing) = report(&folder, &verify);
    assert_eq!((exit, &missing["not_judged"][0]["what"]), (1, &"section 1 .text".into()), "{missing:#}");
    folder.write("core", "text");
    refused(&folder.run(&verify), 3, "core: neither an ELF core file, such as /proc/kcore, nor");
    refused(&folder.run(&VERIFY.replace("out/0-early", "nothing")), 3, "nothing: ");
    refused(&folder.run(&VERIFY.replace("out/0-early", "/dev/zero")), 3, "neither a file nor a directory");
}

#[test]
fn a_module_that_cannot_be_relocated_is_not_judged() {
    let folder = running();
    folder.write("few.txt", "ffffffff81000000 T _text\n");
    let failed = folder.run(&VERIFY.replace("symbols.txt demo_disk-first.txt", "few.txt"));
    refused(&failed, 1, "unknown symbol");
    refused(&failed, 1, "not judged: 3 errors");
    refused(&failed, 1, "the symbol files list no exports");
}

#[test]
fn differences_are_listed_up_to_a_limit_and_counted() {
    let folder = running();
    // The strings are long enough for one difference; every 8 bytes a new one begins.
    let size = fs::metadata(folder.path("out/0-early/6.bin")).unwrap().len();
    for at in (0..usize::try_from(size).unwrap()).step_by(9) {
        flip(&folder, STRINGS, at);
    }
    let (_, report) = report(&folder, VERIFY);
    let rows = report["differences"].as_array().unwrap();
    assert_eq!(rows.len(), 11, "{report:#}");
    assert!(rows.iter().all(|row| row["size"] == 1 && row["cause"] == "content"), "{report:#}");
}

#[test]
fn help_names_every_role() {
    let help = relakit().args(["verify", "--help"]).output().unwrap();
    let wrong = running().run(&format!("{VERIFY} --policy x=known"));
    let (_, roles) = stderr(&wrong).split_once("known are ").unwrap();
    let help = stdout(&help).split_whitespace().collect::<Vec<_>>().join(" ");
    for role in roles.split(['\n', '.']).next().unwrap().split(", ") {
        assert!(help.contains(role), "{role}: {help}");
    }
}
