use super::*;
use crate::output::samples;
use crate::simulate::report::FindingRow;
use std::collections::BTreeSet;

fn log(reports: Vec<Report>) -> Value {
    serde_json::to_value(Log::new(&mut reports.into_iter())).unwrap()
}

fn log_of_all() -> Value {
    log(samples::all().into_iter().map(|(_, report)| report).collect())
}

fn results_of(log: &Value) -> &[Value] {
    log["runs"][0]["results"].as_array().unwrap()
}

fn fingerprints(reports: Vec<Report>) -> Vec<String> {
    let log = log(reports);
    let of = |result: &Value| {
        result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap().to_owned()
    };
    results_of(&log).iter().map(of).collect()
}

/// The types of serde-sarif are generated from the schema. They must read and write the same log.
fn is_of_schema(log: &Value) -> bool {
    serde_json::from_value::<serde_sarif::sarif::Sarif>(log.clone())
        .is_ok_and(|known| serde_json::to_value(known).unwrap() == *log)
}

#[test]
fn logs_are_valid_by_the_schema_of_the_standard() {
    for log in [log(Vec::new()), log(vec![samples::accepted()]), log_of_all()] {
        assert!(is_of_schema(&log), "{log:#}");
    }
    // The check can fail.
    let spoilt = |pointer: &str, value: Value| {
        let mut log = log_of_all();
        *log.pointer_mut(pointer).unwrap() = value;
        !is_of_schema(&log)
    };
    assert!(spoilt("/runs/0/results/0/level", json!("info")));
    assert!(spoilt("/runs/0/results/0/locations/0/physicalLocation/region/startLine", json!("1")));
    assert!(spoilt("/runs/0/results/0/message", json!({ "txet": "" })));
    assert!(spoilt("/runs/0/tool/driver", json!({ "rules": [] })));
}

#[test]
fn every_error_and_finding_is_a_result() {
    let log = log_of_all();
    let expected: Vec<_> = samples::all()
        .iter()
        .flat_map(|(_, report)| diagnostics::all(report).map(|item| item.rule.unwrap()).collect::<Vec<_>>())
        .collect();
    let found: Vec<_> = results_of(&log).iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_rule_has_the_properties_that_github_requires() {
    let log = log(Vec::new());
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Lint::ALL.len() + KernelRule::ALL.len());
    for rule in rules {
        for pointer in
            ["/id", "/name", "/shortDescription/text", "/fullDescription/text", "/help/text", "/helpUri"]
        {
            let text = rule.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            assert!(!text.is_empty() && text.len() <= 1024, "{pointer}: {rule:#}");
        }
        let page = rule["helpUri"].as_str().unwrap();
        assert!(page.ends_with(&format!("/docs/findings/{}.md", rule["id"].as_str().unwrap())), "{page}");
    }
}

#[test]
fn every_result_has_the_properties_that_github_and_gitlab_require() {
    let mut long = samples::warned();
    long.findings[0].details = vec!["a long detail of the finding".to_owned(); 100];
    let reports: Vec<_> = samples::all().into_iter().map(|(_, report)| report).chain([long]).collect();
    let log = log(reports);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results_of(&log) {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let text = result["message"]["text"].as_str().unwrap();
        assert!(!text.is_empty() && text.len() <= 1024, "{text}");
        assert!(
            text.starts_with(|first: char| first.is_ascii_uppercase()) && text.ends_with(['.', '?']),
            "{text}"
        );
        let [location] = result["locations"].as_array().unwrap().as_slice() else { panic!("{result:#}") };
        let place = &location["physicalLocation"];
        assert!(!place["artifactLocation"]["uri"].as_str().unwrap().is_empty());
        assert_eq!(place["region"]["startLine"], 1);
        assert!(result["partialFingerprints"]["primaryLocationLineHash"].is_string());
    }
}

#[test]
fn a_path_is_encoded_as_a_uri() {
    for (path, expected) in [
        ("livepatch.ko", "livepatch.ko"),
        ("./build/livepatch.ko", "build/livepatch.ko"),
        ("../a b.ko", "../a%20b.ko"),
        ("c:d%20#?.ko", "c%3Ad%2520%23%3F.ko"),
        ("\u{e9}\u{1b}.ko", "%C3%A9%1B.ko"),
        ("/lib/modules/x.ko.xz", "file:///lib/modules/x.ko.xz"),
    ] {
        let uri = uri(path);
        assert_eq!(uri, expected);
        let back = percent_encoding::percent_decode_str(&uri).decode_utf8().unwrap();
        let back = back.strip_prefix("file://").unwrap_or(&back);
        assert_eq!(back, path.strip_prefix("./").unwrap_or(path));
    }
}

#[test]
fn fingerprints_are_unique_and_the_same_after_a_rebuild() {
    let first = fingerprints(vec![samples::rejected()]);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "{first:?}");
    let mut again = samples::rejected();
    let moved = |place: &mut Location| {
        for index in [&mut place.section, &mut place.symbol, &mut place.target].into_iter().flatten() {
            *index += 3;
        }
        place.entry.iter_mut().for_each(|entry| *entry += 1);
        place.offset.iter_mut().for_each(|offset| *offset += 8);
    };
    again.findings.iter_mut().for_each(|row| moved(&mut row.location));
    for step in &mut again.steps {
        step.prediction.errors.iter_mut().for_each(|error| moved(&mut error.location));
    }
    assert_eq!(fingerprints(vec![again]), first);
    // They do not depend on other reports.
    let both = fingerprints(vec![samples::hostile(), samples::rejected()]);
    assert!(both.ends_with(&first), "{both:?}");
}

#[test]
fn fingerprints_differ_by_rule_symbol_and_module_and_count_equal_results() {
    let one = || samples::warned();
    let with = |change: fn(&mut FindingRow)| {
        let mut report = one();
        change(&mut report.findings[0]);
        fingerprints(vec![report])
    };
    let first = fingerprints(vec![one()]);
    assert_ne!(with(|row| row.rule = Lint::SharedSymbol), first);
    assert_ne!(with(|row| row.location.symbol_name = None), first);
    assert_ne!(with(|row| row.location.section_name = Some(".klp.rela.ext4..text".to_owned())), first);
    let mut other = one();
    other.name = "other".to_owned();
    assert_ne!(fingerprints(vec![other]), first);
    let mut twice = one();
    twice.findings.push(twice.findings[0].clone());
    let twice = fingerprints(vec![twice]);
    assert_eq!(twice[0], first[0]);
    assert_eq!(twice[1], first[0].replace(":1", ":2"));
}

#[test]
fn hashes_are_those_of_fnv_1a() {
    let hash = |text: &str| {
        let mut hash = Fnv1a::default();
        hash.add(text.as_bytes());
        hash.0
    };
    // The test vectors of the authors of FNV.
    assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
}
