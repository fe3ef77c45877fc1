//! docs/schema describes the JSON of inspect, check, apply, verify, convert, live, diff and explain. No object may have a key that the
//! schema does not have.

use super::convert::apart::{Form, take_apart};
use super::help::{Demo, Folder, json};
use jsonschema::Validator;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn schema(command: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    let text = fs::read_to_string(folder.join(format!("{command}.schema.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn validator(command: &str) -> Validator {
    let schema = schema(command);
    jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{command}: {error}"));
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn validate(validator: &Validator, report: &Value) {
    let errors: Vec<_> =
        validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
}

/// Runs a command in a folder, validates the JSON, and returns it.
#[track_caller]
fn valid(folder: &Folder, validator: &Validator, arguments: &str) -> Value {
    let report = json(&folder.run(&format!("{arguments} --format json")));
    validate(validator, &report);
    assert_eq!(report.get(0).unwrap_or(&report)["schema"], 1);
    report
}

fn is_empty(list: &Value) -> bool {
    list.as_array().unwrap().is_empty()
}

#[test]
fn inspect_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("inspect"));
    let report = valid(&folder, &schema, "inspect livepatch.ko");
    for key in ["sections", "objects", "klp_symbols", "special_sections", "relocations"] {
        assert!(!is_empty(&report[key]), "{key}");
    }
    assert!(!is_empty(&report["patch"]["objects"][0]["functions"]));
    valid(&folder, &schema, "inspect livepatch.ko --kernel elf");
    folder.write("got.ko", super::got::module(&[(9, 1)], &[("service", 0, 0)]));
    let with_got = valid(&folder, &schema, "inspect got.ko --kernel elf");
    assert!(!is_empty(&with_got["got"]["symbols"]));
    let resolved = valid(&folder, &schema, "inspect livepatch.ko --symbols symbols.txt");
    assert!(!is_empty(&resolved["resolved"][0]["same"]) || !is_empty(&resolved["resolved"][3]["same"]));
    let unreadable = valid(&folder, &schema, "inspect broken.ko");
    assert_eq!(unreadable["errors"].as_array().unwrap().len(), 1);
    // A malformed section has an error, and its symbols have notes.
    folder.write("bad.ko", Demo::new().replace(25, b".klp.rela.demo_disk.", b".klp.rexa.demo_disk.").0);
    let bad = valid(&folder, &schema, "inspect bad.ko");
    assert!(bad["sections"].as_array().unwrap().iter().any(|row| !row["error"].is_null()), "{bad:#}");
}

#[test]
fn check_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("check"));
    let not_judged = valid(&folder, &schema, "check livepatch.ko --symbols symbols.txt");
    assert!(!is_empty(&not_judged["not_judged"]));
    let events = "--event coming:demo_disk --event going:demo_disk --event coming:demo_disk";
    let all = format!("check livepatch.ko --symbols symbols.txt demo_disk-first.txt {events}");
    assert_eq!(valid(&folder, &schema, &all)["steps"].as_array().unwrap().len(), 3);
    // A step that fails.
    folder.write("other.txt", "ffffffffc0a10000 t demo_other\t[demo_disk]\n");
    let failed = format!("check livepatch.ko --symbols symbols.txt other.txt {events}");
    let failed = valid(&folder, &schema, &failed);
    assert!(!is_empty(&failed["steps"][0]["errors"]), "{failed:#}");
    // A load that fails.
    folder.write("unknown.ko", Demo::new().unknown_symbol().0);
    let unknown = valid(&folder, &schema, "check unknown.ko --symbols symbols.txt");
    assert!(!is_empty(&unknown["errors"]));
    assert_eq!(valid(&folder, &schema, "check broken.ko --symbols symbols.txt")["verdict"], "rejected");
    assert!(valid(&folder, &schema, "check . --symbols symbols.txt").is_array());
    let with_root = valid(&super::root::root(), &schema, "check livepatch.ko --root root");
    assert!(!is_empty(&with_root["used"]["targets"]) && !is_empty(&with_root["resolved"]), "{with_root:#}");
    // A finding with a second location.
    let overlap = Demo::new();
    let at = overlap.content(26);
    let first: [u8; 8] = overlap.0[at..at + 8].try_into().unwrap();
    folder.write("overlap.ko", overlap.put(at + 24, &first).0);
    let overlap = valid(&folder, &schema, "check overlap.ko --symbols symbols.txt");
    let findings = overlap["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| !finding["other"].is_null()), "{findings:#?}");
}

#[test]
fn apply_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("apply"));
    let arguments = "apply livepatch.ko --place memory.json --symbols symbols.txt --out out";
    let done = valid(&folder, &schema, arguments);
    assert!(!is_empty(&done["steps"]) && is_empty(&done["errors"]));
    let failed = valid(&folder, &schema, &format!("{arguments} --coming demo_disk"));
    assert!(!is_empty(&failed["steps"]) && !is_empty(&failed["errors"]));
    let parse = valid(&folder, &schema, &arguments.replace("livepatch.ko", "broken.ko"));
    assert_eq!(parse["failed"], "parse");
}

#[test]
fn verify_has_the_keys_of_its_schema() {
    let (folder, schema) = (super::verify::running(), validator("verify"));
    let report = |arguments: &str| valid(&folder, &schema, arguments);
    assert_eq!(report(super::verify::VERIFY)["verdict"], "verified");
    let parse = report(&super::verify::VERIFY.replace("livepatch.ko", "broken.ko"));
    assert_eq!((&parse["verdict"], is_empty(&parse["errors"])), (&"not-judged".into(), false));
    let not_judged = report(&super::verify::VERIFY.replace("out/0-early", "."));
    assert!(!is_empty(&not_judged["not_judged"]), "{not_judged:#}");
    // A call, a byte of the file, a jump label.
    let text = folder.path("out/0-early/1.bin");
    for at in [super::verify::CALL, 0, super::verify::JUMP_LABEL] {
        let mut bytes = fs::read(&text).unwrap();
        bytes[at] ^= 0x10;
        fs::write(&text, bytes).unwrap();
    }
    let differs = report(super::verify::VERIFY);
    for key in ["relocation", "site", "symbol"] {
        let rows = differs["differences"].as_array().unwrap();
        assert!(rows.iter().any(|row| !row[key].is_null()), "{key}: {differs:#}");
    }
}

#[test]
fn a_kernel_set_has_the_keys_of_its_schema() {
    let (folder, schema) = (super::kernel_set::kernels(), validator("kernel-set"));
    let report = valid(&folder, &schema, super::kernel_set::CHECK);
    assert_eq!(report["groups"].as_array().unwrap().len(), 3);
    fs::create_dir(folder.path("kernels/empty")).unwrap();
    valid(&folder, &schema, &format!("{} --any-vermagic --deny info", super::kernel_set::CHECK));
}

#[test]
fn live_has_the_keys_of_its_schema() {
    let (folder, schema) = (super::live::running(), validator("live"));
    let report = valid(&folder, &schema, "live --root .");
    assert!(report["result"].is_null() && is_empty(&report["answers"]), "{report:#}");
    let asked = valid(&folder, &schema, "live --root . livepatch.ko --unload demo_disk --load plain.ko");
    assert_eq!(asked["answers"].as_array().unwrap().len(), 3);
}

#[test]
fn convert_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("convert"));
    folder.write("apart.ko", take_apart(&Demo::new().0, Form::Macro).0);
    let done = valid(&folder, &schema, "convert apart.ko -o out.ko --symbols symbols.txt");
    assert!(!is_empty(&done["sections"]) && !is_empty(&done["symbols"]) && !is_empty(&done["notes"]));
    validate(&validator("check"), &{
        let mut check = done["check"].clone();
        check["schema"] = 1.into();
        check
    });
    folder.write("two.txt", "ffffffff81000000 t diskstats_key\nffffffff81000010 t diskstats_key\n");
    let refused = valid(&folder, &schema, "convert apart.ko -o none.ko --symbols two.txt");
    assert!(!is_empty(&refused["refusals"]) && refused["out"].is_null() && refused["check"].is_null());
}

#[test]
fn diff_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("diff"));
    let other = Demo::new().replace(6, b"diskstats_show", b"diskstats_shew");
    let other =
        other.replace(6, b"%u in flight", b"%u on flight").replace(24, b"demo_queue,0", b"demo_queues0");
    folder.write("other.ko", other.replace(24, b"demo_limits,0", b"demo_limits,1").0);
    valid(&folder, &schema, "diff livepatch.ko livepatch.ko");
    let report = valid(&folder, &schema, "diff livepatch.ko other.ko");
    assert!(!is_empty(&report["no_longer_patched"]) && !is_empty(&report["added"]), "{report:#}");
    assert!(!is_empty(&report["symbols"]["sympos_changed"]), "{report:#}");
}

#[test]
fn explain_has_the_keys_of_its_schema() {
    let (folder, schema) = (Folder::new(), validator("explain"));
    folder.write("dmesg.txt", "[    1.000000] nfs: Unknown symbol foo (err -2)\nother\n");
    for (arguments, key) in [
        ("explain", "rules"),
        ("explain half-applied", "rules"),
        ("explain FunctionNotTraced", "checks"),
        ("explain FunctionNotTraced", "messages"),
        ("explain -22", "checks"),
        ("explain EKEYREJECTED", "messages"),
        ("explain --log dmesg.txt", "next"),
    ] {
        assert!(!is_empty(&valid(&folder, &schema, arguments)[key]), "{arguments}");
    }
}

#[test]
fn a_key_that_the_schema_does_not_have_is_an_error() {
    let folder = Folder::new();
    let arguments = "check livepatch.ko --symbols symbols.txt demo_disk-first.txt --event coming:demo_disk";
    let mut report = json(&folder.run(&format!("{arguments} --format json")));
    let schema = validator("check");
    assert!(schema.is_valid(&report));
    report["steps"][0]["surprise"] = Value::Null;
    assert!(!schema.is_valid(&report));
}

/// Every object in a schema lists all of its keys.
#[test]
fn no_schema_allows_more_keys() {
    fn objects(value: &Value, found: &mut usize) {
        if value["type"] == "object" {
            *found += 1;
            assert!(!value["additionalProperties"].is_null(), "{value:#}");
        }
        let more: Vec<&Value> = match value {
            Value::Object(keys) => keys.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        more.into_iter().for_each(|value| objects(value, found));
    }
    for command in ["inspect", "check", "apply", "verify", "convert", "diff", "explain"] {
        let mut found = 0;
        objects(&schema(command), &mut found);
        assert!(found > 2, "{command}");
    }
}
