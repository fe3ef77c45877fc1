//! The functions that a livepatch replaces, from its load to the events of its objects.

use super::help::{Demo, FIRST, Folder, SYMBOLS, json};
use serde_json::Value;

/// Sections of the demo's livepatch: its data and its texts.
const DATA: usize = 3;
const TEXTS: usize = 6;
/// Offset of `replace` in `struct klp_patch`.
const REPLACE: usize = 24;
/// Offset of the function of vmlinux in `.data`.
const FUNC: usize = 0x420;

fn check(files: &[(&str, &[u8])], arguments: &str) -> Value {
    let folder = Folder::new();
    for (name, bytes) in files {
        folder.write(name, bytes);
    }
    json(&folder.run(&format!("check livepatch.ko --format json {arguments}")))
}

/// Verdict, errno and kind of the first error of a load or a step.
fn verdict(prediction: &Value) -> (&str, &str, &str) {
    let text = |key: &'static str| prediction[key].as_str().unwrap_or_default();
    (text("verdict"), text("errno"), prediction["errors"][0]["kind"].as_str().unwrap_or_default())
}

fn rules(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["rule"].as_str().unwrap()).collect()
}

const LOADED: &str = "--symbols symbols.txt demo_disk-first.txt";

#[test]
fn a_load_counts_what_it_applies_and_replaces() {
    let report = check(&[], LOADED);
    assert_eq!(verdict(&report), ("accepted", "", ""));
    // Two relocations of vmlinux and four of demo_disk, which is loaded already.
    assert_eq!(report["applied"], serde_json::json!({"relocations": 6, "functions": 2}));
}

#[test]
fn an_object_without_an_event_is_not_judged_until_its_file_or_symbols_are_given() {
    let report = check(&[], "--symbols symbols.txt");
    assert_eq!(verdict(&report), ("accepted", "", ""));
    assert_eq!(report["not_judged"][0]["what"], "demo_disk (4 relocations, 1 function)");
    assert!(check(&[], LOADED)["not_judged"].as_array().unwrap().is_empty());
    let step = check(&[], "--symbols symbols.txt --event coming:demo_disk");
    assert_eq!(verdict(&step["steps"][0]), ("not judged", "", ""));
}

#[test]
fn a_function_that_the_kernel_does_not_have_is_refused_with_a_near_name() {
    for (symbols, expected) in [
        (SYMBOLS.replace("diskstats_show", "diskstats_shaw"), "FunctionNotFound"),
        (format!("{SYMBOLS}ffffffff815b8020 t diskstats_show\n"), "FunctionAmbiguous"),
        (SYMBOLS.replace("t diskstats_show", "d diskstats_show"), "FunctionNotTraced"),
        (
            format!("{SYMBOLS}ffffffff815b8000 T __init_begin\nffffffff815b9000 T __init_end\n"),
            "FunctionNotTraced",
        ),
    ] {
        let report = check(&[("map.txt", symbols.as_bytes())], "--symbols map.txt demo_disk-first.txt");
        assert_eq!(verdict(&report), ("rejected", "EINVAL", expected), "{report:#}");
        let help = report["errors"][0]["help"].as_str().unwrap_or_default();
        assert_eq!(help.contains("diskstats_shaw"), expected == "FunctionNotFound", "{help}");
    }
}

#[test]
fn a_position_past_the_end_says_how_many_symbols_there_are() {
    let at = |demo: &Demo| demo.content(DATA) + FUNC + 16;
    for (sympos, expected) in [(0u64, "accepted"), (1, "accepted"), (2, "rejected"), (u64::MAX, "rejected")] {
        let demo = Demo::new();
        let place = at(&demo);
        let report = check(&[("livepatch.ko", &demo.put(place, &sympos.to_le_bytes()).0)], LOADED);
        assert_eq!(report["verdict"], expected, "{sympos}: {report:#}");
        if expected == "rejected" {
            assert_eq!(verdict(&report), ("rejected", "EINVAL", "FunctionSympos"));
            assert_eq!(report["errors"][0]["details"][0], "sympos 1 is at 0xffffffff815b8010");
        }
    }
}

#[test]
fn a_missing_function_refuses_the_target_after_its_relocations_were_written() {
    let symbols = FIRST.replace("demo_submit", "demo_submitted");
    let report = check(
        &[("renamed.txt", symbols.as_bytes())],
        "--symbols symbols.txt renamed.txt --event coming:demo_disk --event coming:demo_disk",
    );
    assert_eq!(verdict(&report), ("accepted", "", ""));
    assert_eq!(verdict(&report["steps"][0]), ("rejected", "EINVAL", "FunctionNotFound"), "{report:#}");
    assert_eq!(verdict(&report["steps"][1]), ("rejected", "ENOEXEC", "TargetNotZero"), "{report:#}");
    assert!(rules(&report).contains(&"half-applied"), "{report:#}");
}

#[test]
fn what_the_kernel_can_trace_decides_if_it_is_given() {
    for (list, expected) in [
        ("diskstats_show\n", ("accepted", "", "")),
        ("diskstats_shaw\n", ("rejected", "EINVAL", "FunctionNotTraced")),
        ("ffffffff815b8014 diskstats_show\n", ("accepted", "", "")),
        (
            "ffffffff815b8015 diskstats_show\nffffffff815a1d90 part_stat_show\n",
            ("rejected", "EINVAL", "FunctionNotTraced"),
        ),
        ("ffffffff915b8010 diskstats_show\n", ("accepted", "", "")),
    ] {
        let report = check(&[("list.txt", list.as_bytes())], &format!("{LOADED} --traceable list.txt"));
        assert_eq!(verdict(&report), expected, "{list}: {report:#}");
    }
}

#[test]
fn a_function_that_two_kernels_cannot_trace_is_not_judged() {
    // Both names have 14 letters: lib/vsprintf.c is compiled without the tracer.
    let demo = Demo::new().replace(TEXTS, b"diskstats_show", b"snprintf\0\0\0\0\0\0");
    let symbols = format!("{SYMBOLS}ffffffff815b8100 T snprintf\n");
    let files = [("livepatch.ko", &*demo.0), ("map.txt", symbols.as_bytes()), ("list.txt", b"snprintf\n")];
    let unsure = check(&files, "--symbols map.txt demo_disk-first.txt");
    assert_eq!(verdict(&unsure), ("not judged", "", ""), "{unsure:#}");
    assert!(unsure["message"].as_str().unwrap().contains("--traceable"), "{unsure:#}");
    let sure = check(&files, "--symbols map.txt demo_disk-first.txt --traceable list.txt");
    assert_eq!(verdict(&sure), ("accepted", "", ""), "{sure:#}");
}

#[test]
fn a_name_that_differs_only_in_how_it_is_written_is_an_unknown_object() {
    for name in [b"Demo_disk", b"demo-disk"] {
        let demo = Demo::new().replace(TEXTS, b"demo_disk\0", &[name.as_slice(), b"\0"].concat());
        let report = check(&[("livepatch.ko", &demo.0)], LOADED);
        assert!(rules(&report).contains(&"object-unknown"), "{report:#}");
        assert!(report["not_judged"].as_array().unwrap().is_empty(), "once is enough: {report:#}");
    }
}

#[test]
fn a_name_that_the_file_does_not_have_is_not_judged() {
    // The addends of the two names of functions and of the name of the object in .rela.data.
    for (entries, names) in [(&[7usize][..], "1 name in"), (&[5, 7], "2 names in"), (&[3], "1 name in")] {
        let demo = entries.iter().fold(Demo::new(), |demo, entry| {
            let addend = demo.content(4) + entry * 24 + 16;
            demo.put(addend, &0x5000u64.to_le_bytes())
        });
        let report = check(&[("livepatch.ko", &demo.0)], LOADED);
        assert_eq!(report["result"], "not judged", "{report:#}");
        assert!(report["not_judged"][0]["what"].as_str().unwrap().starts_with(names), "{report:#}");
    }
}

/// The second livepatch of a run, which is a copy under another name.
fn second(edit: impl FnOnce(Demo) -> Demo) -> Vec<u8> {
    let demo = Demo::new();
    let this_module = demo.content(21) + 24;
    edit(demo.put(this_module, b"livepatch_two\0")).0
}

#[test]
fn livepatches_are_loaded_in_order_and_each_gets_the_events() {
    let other = second(|demo| demo);
    let folder = Folder::new();
    folder.write("second.ko", other);
    let command = "check livepatch.ko second.ko --format json --symbols symbols.txt demo_disk-first.txt \
                   --event coming:demo_disk";
    let reports = json(&folder.run(command));
    let [first, second] = &**reports.as_array().unwrap() else { panic!("{reports:#}") };
    for report in [first, second] {
        assert_eq!(verdict(report), ("accepted", "", ""));
        assert_eq!(report["steps"][0]["applied"], serde_json::json!({"relocations": 4, "functions": 1}));
    }
    let same = "check livepatch.ko livepatch.ko --format json --symbols symbols.txt";
    assert_eq!(verdict(&json(&folder.run(same))[1]), ("rejected", "EEXIST", "LoadedAlready"));
}

#[test]
fn a_livepatch_that_replaces_the_others_is_the_only_one_that_is_applied() {
    let replacing = second(|demo| {
        let at = demo.content(DATA) + REPLACE;
        demo.put(at, &[1])
    });
    let folder = Folder::new();
    folder.write("second.ko", replacing);
    let command = "check livepatch.ko second.ko --format json --symbols symbols.txt demo_disk-first.txt \
                   --event coming:demo_disk";
    let reports = json(&folder.run(command));
    assert_eq!(reports[0]["steps"][0]["applied"], Value::Null, "{reports:#}");
    assert_eq!(reports[1]["steps"][0]["applied"]["functions"], 1, "{reports:#}");
    assert!(
        reports[0]["notes"][0].as_str().unwrap().contains("livepatch_two replaces this livepatch"),
        "{reports:#}"
    );
}
