//! `relakit check --kernel-set`: one livepatch against many kernels.

use super::elf::{PROGBITS, demo_disk, module_named, named, section, small};
use super::help::{Demo, FIRST, Folder, SYMBOLS, bless, code, json, stderr, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The release that the demo's livepatch is built for.
const OWN: &str = "6.12.0-demo";
pub const CHECK: &str = "check livepatch.ko --kernel-set kernels";

fn all_symbols() -> String {
    format!("{SYMBOLS}{FIRST}")
}

/// Adds a kernel with one file.
fn add(folder: &Folder, kernel: &str, file: &str, content: impl AsRef<[u8]>) {
    let path = folder.path(&format!("kernels/{kernel}/{file}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A kernel for the livepatch, one without a function, and one that the livepatch is not built for.
pub fn kernels() -> Folder {
    let folder = Folder::new();
    add(&folder, OWN, "kallsyms", all_symbols());
    add(&folder, "6.12.1-other", "kallsyms", all_symbols());
    add(&folder, "6.12.2-other", "kallsyms", all_symbols());
    add(&folder, "6.9.9", "System.map-6.9.9", all_symbols().replace("diskstats_show", "diskstats_shaw"));
    folder
}

/// The name of the folder, the results as it is and rebuilt, and the result that counts.
fn rows(report: &Value) -> Vec<(&str, &str, &str, &str)> {
    let kernels = report["kernels"].as_array().unwrap();
    kernels
        .iter()
        .map(|row| {
            (
                row["folder"].as_str().unwrap(),
                row["file"]["outcome"].as_str().unwrap(),
                row["rebuilt"]["outcome"].as_str().unwrap_or_default(),
                row["result"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_kernel_of_another_release_refuses_the_file_and_the_rest_is_still_checked() {
    let output = kernels().run(&format!("{CHECK} --format json"));
    assert_eq!(code(&output), 1);
    assert_eq!(
        rows(&json(&output)),
        [
            ("6.9.9", "rejected", "rejected", "rejected"),
            ("6.12.1-other", "rejected", "fits", "rejected"),
            ("6.12.2-other", "rejected", "fits", "rejected"),
            (OWN, "accepted", "", "accepted"),
        ]
    );
}

#[test]
fn with_any_vermagic_the_best_result_of_another_release_is_not_accepted() {
    let folder = kernels();
    let output = folder.run(&format!("{CHECK} --any-vermagic --format json"));
    assert_eq!(code(&output), 1);
    assert_eq!(
        rows(&json(&output)),
        [
            ("6.9.9", "rejected", "rejected", "rejected"),
            ("6.12.1-other", "rejected", "fits", "fits"),
            ("6.12.2-other", "rejected", "fits", "fits"),
            (OWN, "accepted", "", "accepted"),
        ]
    );
    fs::remove_dir_all(folder.path("kernels/6.9.9")).unwrap();
    assert_eq!(code(&folder.run(&format!("{CHECK} --any-vermagic"))), 0);
    assert_eq!(code(&folder.run(CHECK)), 1);
}

#[test]
fn kernels_with_the_same_result_are_a_group() {
    let report = json(&kernels().run(&format!("{CHECK} --format json")));
    let groups = report["groups"].as_array().unwrap();
    let kernels: Vec<_> = groups.iter().map(|group| group["kernels"].as_array().unwrap().len()).collect();
    assert_eq!(kernels, [1, 2, 1]);
    let message = groups[1]["file"]["message"].as_str().unwrap();
    assert_eq!(message, "livepatch_demo: version magic 6.12.0-demo is not that of Linux RELEASE");
    for row in report["kernels"].as_array().unwrap() {
        let group = &groups[usize::try_from(row["group"].as_u64().unwrap()).unwrap() - 1];
        assert!(group["kernels"].as_array().unwrap().contains(&row["folder"]), "{row:#}");
    }
}

/// The block of docs/kernel-set.md.
#[test]
fn the_text_fits_80_columns_and_the_page_shows_it() {
    let output = kernels().run(CHECK);
    let text = stdout(&output);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kernel-set.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("```text\n").unwrap();
    let (_, after) = rest.split_once("```\n").unwrap();
    let expected = format!("{before}```text\n{text}```\n{after}");
    if bless() {
        fs::write(&path, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), expected, "RELAKIT_BLESS=1 corrects it");
}

#[test]
fn long_names_are_shortened_to_80_columns() {
    let folder = kernels();
    let long = format!("6.12.3-{}", "x".repeat(200));
    add(&folder, &long, "kallsyms", all_symbols());
    let output = folder.run(CHECK);
    let (table, _) = stdout(&output).split_once("\nGroups\n").unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn quiet_prints_one_line() {
    let output = kernels().run(&format!("{CHECK} --quiet"));
    assert_eq!(stdout(&output), "4 kernels: 3 rejected, 1 accepted; livepatch.ko\n");
}

/// A module that relakit does not need, so that reading it is an error.
const NOT_READ: &str = "this is not a module";

/// A livepatch that patches `target`, which depends on `base`, as modules of one kernel.
fn with_modules(kernel: &str) -> Folder {
    let folder = Folder::new();
    let modinfo = |depends: &str| format!("depends={depends}\0license=GPL\0vermagic={OWN} \0");
    add(&folder, kernel, "System.map", SYMBOLS);
    add(&folder, kernel, "lib/demo_disk.ko", demo_disk(&modinfo("base")));
    add(&folder, kernel, "lib/base.ko", small("base", &modinfo(""), vec![], &[]));
    add(&folder, kernel, "lib/other.ko", NOT_READ);
    add(&folder, kernel, "lib/another.ko.xz", NOT_READ);
    folder
}

#[test]
fn only_patched_modules_and_their_dependencies_are_read() {
    let folder = with_modules(OWN);
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    let row = &report["kernels"][0];
    assert_eq!(row["result"], "accepted", "{report:#}");
    assert_eq!(row["objects"], serde_json::json!([{"name": "demo_disk", "found": "file"}]));
    // Without its dependency, the module is not judged.
    fs::remove_file(folder.path(&format!("kernels/{OWN}/lib/base.ko"))).unwrap();
    add(&folder, OWN, "lib/demo_disk.ko", NOT_READ);
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    let row = &report["kernels"][0];
    assert_eq!(row["result"], "not judged");
    assert!(row["file"]["message"].as_str().unwrap().contains("demo_disk.ko: not an ELF file"), "{row:#}");
}

#[test]
fn the_release_is_that_of_the_modules_if_the_folder_has_another_name() {
    let folder = with_modules("customer");
    // The first module tells the release.
    add(&folder, "customer", "lib/another.ko.xz", named("another", &format!("vermagic={OWN} \0"), &[]));
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    assert_eq!(report["kernels"][0]["release"], OWN, "{report:#}");
    assert_eq!(report["kernels"][0]["built_for"], true);
    for other in ["6.12", "demo"] {
        let folder = Folder::new();
        add(&folder, other, "kallsyms", all_symbols());
        let report = json(&folder.run(&format!("{CHECK} --format json")));
        assert_eq!(rows(&report), [(other, "not judged", "", "not judged")]);
        let message = report["kernels"][0]["file"]["message"].as_str().unwrap();
        assert!(message.contains("name the folder as uname -r prints it"), "{message}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_does_not_hide_the_others() {
    let folder = kernels();
    fs::create_dir(folder.path("kernels/empty")).unwrap();
    add(&folder, "6.12.5-twice", "kallsyms", all_symbols());
    add(&folder, "6.12.5-twice", "kallsyms.txt", all_symbols());
    add(&folder, "6.12.6-text", "System.map", "hello");
    add(&folder, "4.19.0", "System.map", all_symbols());
    // A file of the source is no list of symbols.
    add(&folder, OWN, "kallsyms.c", "int main(void);");
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    let message = |name: &str| {
        let row = report["kernels"].as_array().unwrap().iter().find(|row| row["folder"] == name).unwrap();
        assert_eq!(row["denied"], row["result"] != "accepted", "{row:#}");
        row["file"]["message"].as_str().unwrap_or_default().to_owned()
    };
    assert!(message("empty").contains("put kallsyms, System.map or Module.symvers into it"));
    assert!(message("6.12.5-twice").contains("kallsyms and kallsyms.txt; leave one of them"));
    assert!(message("6.12.6-text").contains("line 1 is not"));
    assert!(message("4.19.0").contains("older than every version"));
    assert_eq!(message(OWN), "");
}

#[test]
fn what_is_missing_is_named_as_a_file_of_the_folder() {
    let folder = Folder::new();
    add(&folder, OWN, "System.map", SYMBOLS);
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    let row = &report["kernels"][0];
    assert_eq!(row["result"], "not judged");
    let message = "demo_disk (4 relocations, 1 function): put into the folder: demo_disk.ko";
    assert_eq!(row["file"]["message"], message);
    assert_eq!(row["objects"][0]["found"], "missing");
}

#[test]
fn crcs_of_another_release_are_not_judged_until_they_are_known() {
    let folder = Folder::new();
    let mut entry = 7u64.to_le_bytes().to_vec();
    entry.extend_from_slice(b"module_layout");
    entry.resize(64, 0);
    let versions = || vec![section("__versions", PROGBITS, 2, entry.clone())];
    let modinfo = |flags: &str| format!("license=GPL\0vermagic=6.12.7-own {flags}\0");
    folder.write("livepatch.ko", module_named("own", &modinfo("SMP "), versions(), &[]));
    let symvers = |crc: u32| format!("{crc:#010x}\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
    let of_kernel = |flags: &str| named("any", &format!("vermagic=6.12.8-other {flags}\0"), &[]);
    let outcome = || {
        let report = json(&folder.run(&format!("{CHECK} --format json")));
        let row = &report["kernels"][0];
        assert_eq!(row["rebuilt"]["outcome"], "fits", "{row:#}");
        row["file"]["outcome"].as_str().unwrap().to_owned()
    };
    add(&folder, "6.12.8-other", "System.map", SYMBOLS);
    assert_eq!(outcome(), "not judged");
    add(&folder, "6.12.8-other", "Module.symvers", symvers(7));
    assert_eq!(outcome(), "not judged");
    add(&folder, "6.12.8-other", "any.ko", of_kernel("SMP preempt "));
    assert_eq!(outcome(), "not judged");
    add(&folder, "6.12.8-other", "any.ko", of_kernel("SMP "));
    assert_eq!(outcome(), "accepted");
    add(&folder, "6.12.8-other", "Module.symvers", symvers(8));
    assert_eq!(outcome(), "rejected");
}

#[test]
fn a_patched_module_of_another_release_than_its_folder_is_not_judged() {
    let folder = Folder::new();
    folder.write("livepatch.ko", named("own", &format!("depends=base\0vermagic={OWN} \0"), &[]));
    add(&folder, OWN, "System.map", SYMBOLS);
    add(&folder, OWN, "base.ko", named("base", &format!("vermagic={OWN} \0"), &[]));
    assert_eq!(code(&folder.run(CHECK)), 0);
    add(&folder, OWN, "base.ko", named("base", "vermagic=6.12.0-demi \0", &[]));
    let output = folder.run(&format!("{CHECK} --deny error"));
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("base.ko of the folder is built for 6.12.0-demi"), "{output:?}");
}

#[test]
fn a_module_without_vermagic_is_never_accepted() {
    let folder = Folder::new();
    folder.write("livepatch.ko", named("own", "license=GPL\0", &[]));
    add(&folder, OWN, "System.map", SYMBOLS);
    let report = json(&folder.run(&format!("{CHECK} --format json")));
    assert_eq!(rows(&report), [(OWN, "not judged", "fits", "not judged")]);
}

#[test]
fn a_misspelt_event_is_an_error_of_the_command_line() {
    let folder = kernels();
    let output = folder.run(&format!("{CHECK} --event going:demo_disk"));
    assert_eq!(code(&output), 1);
    let output = folder.run(&format!("{CHECK} --event going:demo_disc"));
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("did you mean demo_disk?"), "{output:?}");
}

#[test]
fn the_options_of_one_kernel_are_refused() {
    let folder = kernels();
    for (more, status) in [
        ("--symbols symbols.txt", 2),
        ("--kernel 6.12", 2),
        ("--format sarif", 2),
        ("--target livepatch.ko", 2),
    ] {
        assert_eq!(code(&folder.run(&format!("{CHECK} {more}"))), status, "{more}");
    }
    assert_eq!(code(&folder.run("check livepatch.ko --any-vermagic --symbols symbols.txt --kernel 6.12")), 2);
    assert_eq!(code(&folder.run("check kernels --kernel-set kernels")), 2);
    let empty = folder.run("check livepatch.ko --kernel-set nothing");
    assert_eq!(code(&empty), 3);
    fs::create_dir(folder.path("nothing")).unwrap();
    let empty = folder.run("check livepatch.ko --kernel-set nothing");
    assert_eq!(code(&empty), 3);
    assert!(stderr(&empty).contains("make a folder for each kernel"), "{empty:?}");
}

#[test]
fn the_page_has_a_row_for_each_kernel_and_a_card_for_each_group() {
    let output = kernels().run(&format!("{CHECK} --format html"));
    let page = scraper::Html::parse_document(stdout(&output));
    assert!(page.errors.is_empty(), "{:?}", page.errors);
    let count = |selector: &str| page.select(&scraper::Selector::parse(selector).unwrap()).count();
    assert_eq!((count("tbody tr"), count("article.card")), (4, 3));
    for row in 1..=3 {
        assert_eq!(count(&format!("#group-{row}")), 1);
    }
}

#[test]
fn names_of_folders_are_escaped() {
    let folder = kernels();
    add(&folder, "<b>\u{1b}[31m", "kallsyms", all_symbols());
    let text = folder.run(CHECK);
    assert!(!text.stdout.contains(&0x1b), "{text:?}");
    let page = folder.run(&format!("{CHECK} --format html"));
    assert!(stdout(&page).contains("&lt;b&gt;") && !stdout(&page).contains("<b>"));
}

#[test]
fn a_finding_that_is_denied_makes_the_exit_code_1() {
    let folder = Folder::new();
    folder.write("livepatch.ko", Demo::new().replace(24, b"diskstats_key,0", b"diskstats_key,1").0);
    add(&folder, OWN, "kallsyms", all_symbols());
    assert_eq!(code(&folder.run(CHECK)), 0);
    let report = json(&folder.run(&format!("{CHECK} --deny info --format json")));
    let row = &report["kernels"][0];
    assert_eq!((&row["result"], &row["denied"]), (&"accepted".into(), &true.into()), "{row:#}");
    assert_eq!(row["findings"][0]["rule"], "sympos-not-needed");
}
