//! Modules, symbols, names and kernel versions as the user gives them.

use super::elf::named;
use super::help::{Folder, code, json, relakit, stderr, stdout};
use super::input::packed_gzip;
use serde_json::Value;
use std::fs::{self, File};
use std::process::Output;

const CHECK: &str = "check livepatch.ko --symbols symbols.txt";
/// Section index of .text.
const TEXT_SECTION: u16 = 1;

/// Packs a file in each format that has a packer here. Returns the new names.
fn pack(folder: &Folder, name: &str) -> [String; 2] {
    let content = fs::read(folder.path(name)).unwrap();
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let [zst, gz] = ["zst", "gz"].map(|suffix| format!("{name}.{suffix}"));
    folder.write(&zst, ruzstd::encoding::compress_to_vec(&*content, level));
    folder.write(&gz, packed_gzip(&content));
    [zst, gz]
}

fn refuses(folder: &Folder, arguments: &str, status: i32, why: &str) {
    let output = folder.run(arguments);
    assert_eq!(code(&output), status, "{arguments}: {output:?}");
    assert!(stderr(&output).contains(why), "{arguments}: {}", stderr(&output));
}

/// The event and the verdict of each step.
fn steps(output: &Output) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let report = json(output);
    let steps = report["steps"].as_array().unwrap();
    steps.iter().map(|step| (text(&step["event"]), text(&step["verdict"]))).collect()
}

/// A folder with the module plain.ko, which needs nothing.
fn with_plain_module() -> Folder {
    let folder = Folder::new();
    folder.write("plain.ko", named("plain", "license=GPL\0", &[]));
    folder
}

#[test]
fn packed_files_are_read_like_plain_ones() {
    let folder = with_plain_module();
    let plain = folder.run("check plain.ko --symbols symbols.txt");
    assert_eq!(code(&plain), 0, "{plain:?}");
    for module in pack(&folder, "plain.ko") {
        for symbols in pack(&folder, "symbols.txt") {
            let output = folder.run(&format!("check {module} --symbols {symbols}"));
            assert_eq!(stdout(&output), stdout(&plain).replace("plain.ko", &module));
        }
        fs::create_dir(folder.path("tree")).unwrap();
        fs::rename(folder.path(&module), folder.path(&format!("tree/{module}"))).unwrap();
        let output = folder.run("check tree --symbols symbols.txt");
        assert!(stdout(&output).starts_with("1 modules: 1 accepted"), "{output:?}");
        fs::remove_dir_all(folder.path("tree")).unwrap();
    }
}

#[test]
fn a_module_that_is_not_elf_is_an_input_error_in_every_command() {
    let folder = Folder::new();
    for (content, why) in
        [("", "it is empty"), ("hello", "it is text"), ("BZh9", "it begins with bzip2 data")]
    {
        folder.write("x", content);
        for command in [
            "inspect x",
            "check x --symbols symbols.txt",
            "check livepatch.ko --symbols symbols.txt --target x",
            "apply x --place memory.json --symbols symbols.txt --out out",
            "verify x --place memory.json --memory . --symbols symbols.txt",
        ] {
            refuses(&folder, command, 3, &format!("x: not an ELF file; {why}"));
        }
    }
}

#[test]
fn a_malformed_elf_file_has_the_kernels_verdict() {
    let folder = Folder::new();
    folder.write("x.ko", b"\x7fELF");
    let report = json(&folder.run("check x.ko --symbols symbols.txt --format json"));
    assert_eq!(report["verdict"], "rejected", "{report:#}");
}

#[test]
fn a_minus_is_standard_input() {
    let folder = with_plain_module();
    let run = |arguments: &str, file: &str| {
        folder.relakit(arguments).stdin(File::open(folder.path(file)).unwrap()).output().unwrap()
    };
    assert_eq!(code(&run("inspect -", "livepatch.ko")), 0);
    let report = json(&run("check - --symbols symbols.txt --format json", "plain.ko"));
    assert_eq!((&report["name"], &report["verdict"]), (&"plain".into(), &"accepted".into()));
    assert_eq!(code(&run("check plain.ko --symbols -", "symbols.txt")), 0);
    assert_eq!(code(&run("check plain.ko --symbols symbols.txt -", "demo_disk-first.txt")), 0);
    let apply = "apply - --place memory.json --symbols symbols.txt --out out";
    assert_eq!(code(&run(apply, "livepatch.ko")), 0);
    let twice = run("check - --symbols -", "livepatch.ko");
    assert_eq!(code(&twice), 2);
    assert!(stderr(&twice).contains("only once"), "{twice:?}");
    let text = run("inspect -", "symbols.txt");
    assert_eq!(code(&text), 3);
    assert!(stderr(&text).contains("-: not an ELF file"), "{text:?}");
}

#[test]
fn quiet_leaves_the_verdict_and_the_exit_code() {
    let folder = Folder::new();
    let check = format!("{CHECK} --kernel 6.11 --event going:demo_disk");
    let (loud, quiet) = (folder.run(&check), folder.run(&format!("{check} --quiet")));
    assert!(stdout(&loud).contains("uses the rules of Linux 6.3"), "{loud:?}");
    assert_eq!((code(&quiet), stderr(&quiet)), (code(&loud), ""));
    assert_eq!(stdout(&quiet).lines().collect::<Vec<_>>(), [stdout(&loud).lines().next().unwrap()]);
    let inspect = folder.run("-q inspect livepatch.ko --kernel 6.11");
    assert_eq!((code(&inspect), stderr(&inspect)), (0, ""));
}

#[test]
fn a_target_has_the_name_of_its_file() {
    let folder = Folder::new();
    folder.write("a=b.ko", named("disk", "license=GPL\0", &[]));
    for target in ["--target ./a=b.ko", "--target disk=a=b.ko"] {
        let output = folder.run(&format!("{CHECK} {target} --event coming:disk --format json"));
        assert_eq!(steps(&output), [("coming:disk".to_owned(), "accepted".to_owned())], "{target}");
    }
    refuses(
        &folder,
        &format!("{CHECK} --target dusk=a=b.ko"),
        2,
        "--target dusk=a=b.ko: the file is the module disk",
    );
    refuses(
        &folder,
        &format!("{CHECK} --target disk=a=b.ko --target ./a=b.ko"),
        2,
        "--target disk is given twice",
    );
    refuses(&folder, &format!("{CHECK} --target disk="), 2, "expected FILE.ko or NAME=FILE.ko");
}

#[test]
fn an_event_needs_a_name_that_is_known() {
    let folder = Folder::new();
    folder.write("target.ko", named("snd_hda", "license=GPL\0", &[]));
    folder.write("symbols.txt", super::help::SYMBOLS.to_owned() + "ffffffffc0000000 t f\t[loop]\n");
    let check = |event: &str| format!("{CHECK} --target target.ko --event coming:{event}");
    for known in ["snd_hda", "loop", "demo_disk"] {
        assert_ne!(code(&folder.run(&check(known))), 2, "{known}");
    }
    refuses(&folder, &check("loob"), 2, "no module loob is known; did you mean loop?");
    refuses(&folder, &check("demo_disc"), 2, "did you mean demo_disk?");
    refuses(
        &folder,
        &check("snd-hda"),
        2,
        "module names have underscores, not hyphens; did you mean snd_hda?",
    );
    refuses(&folder, &check("ext4"), 2, "give --target FILE.ko or a symbol file that lists [ext4]");
}

#[test]
fn the_default_kernel_is_that_of_the_module() {
    let folder = Folder::new();
    let run =
        |arguments: &str| relakit().current_dir(folder.path("")).args(arguments.split(' ')).output().unwrap();
    let check = |file: &str, more: &str| {
        let output = run(&format!("check {file} --symbols symbols.txt --format json{more}"));
        let report = json(&output);
        let text = |key: &str| report[key].as_str().unwrap().to_owned();
        let notes = report["notes"].as_array().unwrap().iter().filter_map(Value::as_str);
        (text("kernel"), text("rules"), notes.collect::<Vec<_>>().join("\n"))
    };
    let module = |vermagic: &str| {
        folder.write("m.ko", named("m", &format!("vermagic={vermagic}\0license=GPL\0"), &[]));
    };
    module("6.1.0-56-amd64 SMP preempt mod_unload modversions ");
    let release = "6.1.0-56-amd64".to_owned();
    assert_eq!(check("m.ko", ""), (release.clone(), "6.1".to_owned(), String::new()));
    assert_eq!(check("m.ko", " --kernel 6.12").0, "6.12");
    assert!(stdout(&run("inspect m.ko")).contains(&release));

    module("6.5.1 SMP");
    assert!(check("m.ko", "").2.contains("Linux 6.5 uses the rules of Linux 6.3"));
    for unknown in ["", "banana SMP", "6.\u{1b}[31m SMP"] {
        module(unknown);
        let (kernel, _, note) = check("m.ko", "");
        assert_eq!(kernel, "7.3");
        assert!(note.contains("does not say for which kernel it is built"), "{note}");
    }
    assert_eq!(check("livepatch.ko", "").0, "6.12.0-demo");
    module("4.19.0 SMP");
    let old = run("check m.ko --symbols symbols.txt");
    assert_eq!(code(&old), 2);
    assert!(stderr(&old).contains("built for Linux 4.19.0"), "{old:?}");
}

#[test]
fn switches_of_a_kernel_are_said() {
    let folder = Folder::new();
    let output = folder.run(&format!("{CHECK} --kernel 5.14,clears-on-going,no-livepatch"));
    assert!(stdout(&output).contains("those of 5.8, with clears-on-going, no-livepatch"), "{output:?}");
    refuses(&folder, &format!("{CHECK} --kernel 5.14,clear-on-going"), 2, "did you mean clears-on-going?");
    refuses(&folder, &format!("{CHECK} --kernel elf"), 2, "the command needs a Linux version");
}

/// A folder `lib` with the modules `top`, `middle` and `base`. Each uses a symbol of the next one.
fn tree() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path("lib")).unwrap();
    let module = |name: &str, depends: &str, symbols: &[(&str, u16, u64)]| {
        let modinfo = format!("depends={depends}\0license=GPL\0");
        folder.write(&format!("lib/{name}.ko"), named(name, &modinfo, symbols));
    };
    let export = |name, ksymtab| [(name, TEXT_SECTION, 16), (ksymtab, TEXT_SECTION, 0)];
    let [of_base, of_middle] =
        [export("base_f", "__ksymtab_base_f"), export("middle_f", "__ksymtab_middle_f")];
    module("base", "", &of_base);
    module("middle", "base", &[&of_middle[..], &[("base_f", 0, 0)]].concat());
    module("top", "middle,base", &[("middle_f", 0, 0), ("base_f", 0, 0)]);
    folder
}

#[test]
fn files_beside_a_module_are_evidence_only_if_asked_for() {
    let folder = tree();
    for module in ["lib/middle.ko", "lib/top.ko"] {
        let check = format!("check {module} --symbols symbols.txt");
        assert_eq!(code(&folder.run(&check)), 1, "{module}");
        assert_eq!(code(&folder.run(&format!("{check} --modules lib"))), 0, "{module}");
    }
    assert_eq!(code(&folder.run("check lib --symbols symbols.txt")), 0);
    folder.write("text.ko", "hello");
    refuses(&folder, &format!("{CHECK} --modules ."), 3, "text.ko: not an ELF file");
    refuses(&folder, &format!("{CHECK} --modules nothing"), 3, "nothing");
}

#[test]
fn modules_has_the_files_of_events_and_of_their_dependencies() {
    let folder = tree();
    let check = format!("{CHECK} --modules lib --format json");
    let accepted = |events: &[&str]| -> Vec<_> {
        events.iter().map(|event| ((*event).to_owned(), "accepted".to_owned())).collect()
    };
    let output = folder.run(&format!("{check} --event coming:top"));
    assert_eq!(steps(&output), accepted(&["live:base", "live:middle", "coming:top"]));
    let output = folder.run(&format!("{check} --event live:base --event coming:middle --event coming:top"));
    assert_eq!(steps(&output), accepted(&["live:base", "coming:middle", "coming:top"]));
    refuses(&folder, &format!("{check} --event coming:tops"), 2, "did you mean top?");
}

#[test]
fn an_unknown_rule_is_refused_with_a_near_one() {
    let folder = Folder::new();
    refuses(&folder, &format!("{CHECK} --allow never-clered"), 2, "'never-cleared'");
    refuses(&folder, &format!("{CHECK} --deny fatal"), 2, "warning");
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&format!("completions {shell}"));
        assert!(stdout(&script).contains("never-cleared"), "{shell}");
    }
}
