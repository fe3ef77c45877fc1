//! Compares each recorded verdict of a real kernel with the prediction of `relakit check`.
//!
//! A small set of recordings is part of the repository. `RELAKIT_ORACLE` names the folder of the
//! full set; the default is `shared/oracle` beside the repository. If it is missing, the test says
//! so.

use super::report::{Prediction, Report, Verdict};
use super::world::{Target, Targets, World};
use super::{Event, Given, check};
use crate::input::files::{self, Kind};
use crate::input::kernel::Kernel;
use crate::input::symbols::Symbols;
use crate::view::names::module_name;
use relakit::Module;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Cases in which Linux accessed memory out of bounds, or freed memory, and did not crash. Their
/// recorded results depend on the content of this memory. The event is "" for the load.
const OUT_OF_BOUNDS: &[(&str, &str)] = &[
    ("klp_offset_negative", ""),
    ("plain_offset_at_size", ""),
    ("sec_no_alloc_module_early", ""),
    ("sec_no_alloc_module_early", "going:orc_tgt1"),
    ("sec_no_alloc_module", "coming:orc_tgt1"),
    ("sec_info_nonalloc_module", "coming:orc_tgt1"),
];

/// The folders with recordings that exist.
fn oracles() -> Vec<PathBuf> {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    let full =
        std::env::var_os("RELAKIT_ORACLE").map_or_else(|| cli.join("../../shared/oracle"), PathBuf::from);
    let found = |root: &PathBuf| {
        let exists = find(&root.join("verdicts/verdicts.json")).is_some();
        if !exists {
            println!("{} has no recordings, so none of them are compared", root.display());
        }
        exists
    };
    [cli.join("../testdata/recordings"), full].into_iter().filter(found).collect()
}

/// The file itself, or with the suffix .xz.
fn find(path: &Path) -> Option<PathBuf> {
    let mut packed = path.as_os_str().to_owned();
    packed.push(".xz");
    [path.to_owned(), packed.into()].into_iter().find(|path| path.exists())
}

fn read(path: &Path) -> Vec<u8> {
    let path = find(path).unwrap_or_else(|| panic!("{} is missing", path.display()));
    files::read(&path, Kind::Module).unwrap()
}

/// The events of a case, the errno of each in the kernel, and the target modules.
struct Life {
    events: Vec<Event>,
    recorded: Vec<(String, Option<String>)>,
    targets: Targets,
}

fn life_of(case: &Value, verdicts: &Path, kernel: &Kernel) -> Life {
    let mut life = Life { events: Vec::new(), recorded: Vec::new(), targets: Targets::new() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for name in case["preload"].as_array().into_iter().flatten().map(text) {
        life.recorded.push((format!("live:{name}"), None));
        life.events.push(Event::Live(name));
    }
    for step in case["steps"].as_array().into_iter().flatten() {
        let errno = step["errname"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        match step["step"].as_str().and_then(|step| step.split_once(':')).unwrap() {
            ("L", name) => {
                life.recorded.push((format!("coming:{name}"), errno));
                life.events.push(Event::Coming(name.to_owned()));
            }
            ("U", name) => {
                life.recorded.push((format!("going:{name}"), errno));
                life.events.push(Event::Going(name.to_owned()));
            }
            _ => {}
        }
    }
    for event in &life.events {
        let name = event.module();
        let own = verdicts.join(format!("cases/{}/{name}.ko", case["case"].as_str().unwrap()));
        let path = if find(&own).is_some() { own } else { verdicts.join(format!("base/{name}.ko")) };
        let file = read(&path);
        let module = Module::parse(&file, kernel.profile).unwrap();
        let own_name = module_name(&module, &path);
        life.targets.insert(name.to_owned(), Target { name: own_name, file: file.clone() });
    }
    life
}

fn check_case(case: &Value, oracle: &Path, symbols: &Symbols) -> (Report, Life) {
    let kernel = Kernel::new("6.12").unwrap();
    let verdicts = oracle.join("verdicts");
    let life = life_of(case, &verdicts, &kernel);
    let path = verdicts.join(case["file"].as_str().unwrap());
    let unloaded = life.events.iter().filter_map(|event| match event {
        Event::Coming(name) => Some(name.as_str()),
        _ => None,
    });
    let world = World::new(kernel.profile, symbols, &life.targets, unloaded);
    let file = read(&path);
    let given = Given { path: &path, file: &file, kernel: &kernel };
    let [report] = check(&[given], world, &life.events, None).try_into().unwrap();
    (report, life)
}

/// Describes a prediction that differs from the kernel's result.
fn differs(
    case: &str,
    event: &str,
    errno: Option<&str>,
    crashed: bool,
    predicted: &Prediction,
) -> Option<String> {
    let out_of_bounds = crashed || OUT_OF_BOUNDS.contains(&(case, event));
    let expected = match errno {
        _ if out_of_bounds => (Verdict::Unsafe, None),
        Some(_) => (Verdict::Rejected, errno),
        None => (Verdict::Accepted, None),
    };
    let found = (predicted.verdict, predicted.errno);
    (found != expected)
        .then(|| format!("{case} {event}: expected {expected:?}, found {found:?} {:?}", predicted.message))
}

#[test]
fn each_prediction_is_the_recorded_verdict() {
    // Only a packed crate has this file. It does not contain the recordings.
    if Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml.orig").exists() {
        println!("a packed crate has no recordings");
        return;
    }
    let mut differences = Vec::new();
    let mut cases = 0;
    for oracle in oracles() {
        let kallsyms = find(&oracle.join("klp-6.12/kallsyms-vmlinux")).unwrap();
        let symbols = Symbols::read([&*kallsyms]).unwrap();
        let list: Value = serde_json::from_slice(&read(&oracle.join("verdicts/verdicts.json"))).unwrap();
        for case in list["cases"].as_array().unwrap() {
            let name = case["case"].as_str().unwrap();
            let (report, life) = check_case(case, &oracle, &symbols);
            let errno = case["errname"].as_str().filter(|errno| !errno.is_empty());
            let crashed = case["verdict"] == "crash";
            differences.extend(differs(name, "", errno, crashed, &report.load));
            let steps = report.steps.iter().zip(&life.recorded);
            for (step, (event, errno)) in steps {
                assert_eq!(&step.event, event, "{name}");
                differences.extend(differs(name, event, errno.as_deref(), false, &step.prediction));
            }
            assert_eq!(report.steps.len(), life.recorded.len(), "{name}");
            cases += 1;
        }
    }
    assert!(cases >= 20, "{cases} cases");
    assert_eq!(differences, Vec::<String>::new(), "{} of {cases} cases", differences.len());
    println!("{cases} cases");
}
