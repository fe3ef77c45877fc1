//! The recipes in docs/ci are YAML, and their commands do what they say.

use super::help::{Demo, FIRST, SYMBOLS};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::{env, fs};
use yaml_rust2::{Yaml, YamlLoader};

fn recipe(name: &str) -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ci").join(name);
    let documents = YamlLoader::load_from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let [document] = documents.try_into().unwrap();
    document
}

/// Runs commands as CI does, in a folder with a livepatch and symbols. Returns the exit code.
fn run(folder: &Path, commands: &str, variables: &Yaml) -> Option<i32> {
    let bin = Path::new(env!("CARGO_BIN_EXE_relakit")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.args(["-e", "-o", "pipefail", "-c", commands]).current_dir(folder).env("PATH", path);
    for (name, value) in variables.as_hash().unwrap() {
        bash.env(name.as_str().unwrap(), value.as_str().unwrap());
    }
    assert_eq!(variables["OPTIONS"].as_str(), Some(""));
    bash.env("OPTIONS", "--kernel 6.12 --event coming:demo_disk");
    bash.output().unwrap().status.code()
}

fn folder(livepatch: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("livepatch.ko"), livepatch).unwrap();
    // With the patched module, so that nothing is left to be judged.
    fs::write(folder.path().join("System.map"), format!("{SYMBOLS}{FIRST}")).unwrap();
    folder
}

/// The exit codes of the report and of the gate must be right for the livepatch.
fn report_and_gate(report: &str, gate: &str, variables: &Yaml) {
    let good = folder(&Demo::new().0);
    assert_eq!(run(good.path(), report, variables), Some(0));
    assert_eq!(run(good.path(), gate, variables), Some(0));
    let bad = folder(&Demo::new().unknown_symbol().0);
    assert_eq!(run(bad.path(), report, variables), Some(0), "the report always succeeds");
    assert_eq!(run(bad.path(), gate, variables), Some(1));
    let log: Value = serde_json::from_slice(&fs::read(bad.path().join("relakit.sarif")).unwrap()).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "kernel-rejects");
    let none = tempfile::tempdir().unwrap();
    assert_ne!(run(none.path(), report, variables), Some(0), "without a livepatch, the report fails");
}

#[test]
fn the_workflow_for_github_does_what_it_says() {
    let workflow = recipe("github.yml");
    let steps = workflow["jobs"]["check"]["steps"].as_vec().unwrap();
    let commands: Vec<_> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let [install, report, gate] = commands.try_into().unwrap();
    assert!(install.starts_with("cargo install --locked "));
    report_and_gate(report, gate, &workflow["env"]);
    let actions: Vec<_> = steps.iter().filter_map(|step| step["uses"].as_str()).collect();
    for action in &actions {
        let (_, version) = action.split_once("@v").unwrap();
        assert!(version.parse::<u32>().is_ok(), "{action}: expected only a major version");
    }
    assert!(actions.iter().any(|action| action.starts_with("github/codeql-action/upload-sarif@")));
    assert_eq!(workflow["permissions"]["security-events"].as_str(), Some("write"));
}

#[test]
fn the_jobs_for_gitlab_do_what_they_say() {
    let jobs = recipe("gitlab.yml");
    let script = |job: &str| {
        let lines = jobs[job]["script"].as_vec().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [report, convert] = script("livepatch-report").try_into().unwrap();
    let [gate] = script("livepatch-check").try_into().unwrap();
    report_and_gate(&report, &gate, &jobs["variables"]);

    // The log has everything that jq reads. The test does not need jq.
    let bad = folder(&Demo::new().unknown_symbol().0);
    assert_eq!(run(bad.path(), &report, &jobs["variables"]), Some(0));
    let log: Value = serde_json::from_slice(&fs::read(bad.path().join("relakit.sarif")).unwrap()).unwrap();
    let result = &log["runs"][0]["results"][0];
    let paths: Vec<_> = convert
        .lines()
        .filter_map(|line| line.split_once(": .").map(|(_, path)| path))
        .chain(convert.contains("[.level]").then_some("level"))
        .map(|path| format!("/{}", path.trim_end_matches(['}', ',']).replace("[0]", ".0").replace('.', "/")))
        .collect();
    assert_eq!(paths.len(), 6, "{convert}");
    for path in paths {
        assert!(result.pointer(&path).is_some_and(|value| !value.is_null()), "{path}: {result:#}");
    }
}
