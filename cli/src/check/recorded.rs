//! Every recorded verdict of a real kernel, held against what `relakit check` says of the same files.
//!
//! A small set of recordings is part of the repository. The full one is compared too where it can be found, `shared/oracle`
//! beside the repository or where `RELAKIT_ORACLE` says, and where it cannot that is said.

use super::life::{self, Event, Kernel};
use super::report::{Answer, Report, Verdict};
use super::world::{Target, Targets, World};
use crate::image;
use crate::input::{self, Kind};
use crate::symbols::Symbols;
use relakit::Module;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where Linux read or wrote out of bounds and lived, or read what was freed: what was recorded then depends on what lay
/// there. Case, and the event, or "" for the load.
const OUT_OF_BOUNDS: &[(&str, &str)] = &[
    ("klp_offset_negative", ""),
    ("plain_offset_at_size", ""),
    ("sec_no_alloc_module_early", ""),
    ("sec_no_alloc_module", "coming:orc_tgt1"),
    ("sec_info_nonalloc_module", "coming:orc_tgt1"),
];

/// Recordings that are here.
fn oracles() -> Vec<PathBuf> {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR"));
    let full =
        std::env::var_os("RELAKIT_ORACLE").map_or_else(|| cli.join("../../shared/oracle"), PathBuf::from);
    let found = |root: &PathBuf| {
        let here = there(&root.join("verdicts/verdicts.json")).is_some();
        if !here {
            println!("no recordings in {}: nothing of it compared", root.display());
        }
        here
    };
    [cli.join("../testdata/recordings"), full].into_iter().filter(found).collect()
}

/// The file, plain or as .xz.
fn there(path: &Path) -> Option<PathBuf> {
    let mut packed = path.as_os_str().to_owned();
    packed.push(".xz");
    [path.to_owned(), packed.into()].into_iter().find(|path| path.exists())
}

fn read(path: &Path) -> Vec<u8> {
    let path = there(path).unwrap_or_else(|| panic!("{} is missing", path.display()));
    input::read(&path, Kind::Module).unwrap()
}

/// The events of a case, with what the kernel answered to each, and the modules in them.
struct Life {
    events: Vec<Event>,
    answers: Vec<(String, Option<String>)>,
    targets: Targets,
}

fn life_of(case: &Value, verdicts: &Path, kernel: &Kernel) -> Life {
    let mut life = Life { events: Vec::new(), answers: Vec::new(), targets: Targets::new() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for name in case["preload"].as_array().into_iter().flatten().map(text) {
        life.answers.push((format!("live:{name}"), None));
        life.events.push(Event::Live(name));
    }
    for step in case["steps"].as_array().into_iter().flatten() {
        let errno = step["errname"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        match step["step"].as_str().and_then(|step| step.split_once(':')).unwrap() {
            ("L", name) => {
                life.answers.push((format!("coming:{name}"), errno));
                life.events.push(Event::Coming(name.to_owned()));
            }
            ("U", name) => {
                life.answers.push((format!("going:{name}"), errno));
                life.events.push(Event::Going(name.to_owned()));
            }
            _ => {}
        }
    }
    for event in &life.events {
        let name = event.module();
        let own = verdicts.join(format!("cases/{}/{name}.ko", case["case"].as_str().unwrap()));
        let path = if there(&own).is_some() { own } else { verdicts.join(format!("base/{name}.ko")) };
        let file = read(&path);
        let module = Module::parse(&file, kernel.profile).unwrap();
        let own_name = image::module_name(&module, &path);
        life.targets.insert(name.to_owned(), Target { name: own_name, file: file.clone() });
    }
    life
}

fn check(case: &Value, oracle: &Path, symbols: &Symbols) -> (Report, Life) {
    let kernel = Kernel::new("6.12").unwrap();
    let verdicts = oracle.join("verdicts");
    let life = life_of(case, &verdicts, &kernel);
    let path = verdicts.join(case["file"].as_str().unwrap());
    let yet_to_come = life.events.iter().filter_map(|event| match event {
        Event::Coming(name) => Some(name.as_str()),
        _ => None,
    });
    let world = World::new(kernel.profile, symbols, &life.targets, yet_to_come);
    (life::check(&path, &read(&path), &kernel, world, &life.events, None), life)
}

/// What is not as the kernel had it.
fn differs(case: &str, event: &str, errno: Option<&str>, crashed: bool, answer: &Answer) -> Option<String> {
    let out_of_bounds = crashed || OUT_OF_BOUNDS.contains(&(case, event));
    let expected = match errno {
        _ if out_of_bounds => (Verdict::Unsafe, None),
        Some(_) => (Verdict::Rejected, errno),
        None => (Verdict::Accepted, None),
    };
    let given = (answer.verdict, answer.errno);
    (given != expected)
        .then(|| format!("{case} {event}: {expected:?}, and not {given:?} {:?}", answer.message))
}

#[test]
fn the_verdict_of_every_recorded_case_is_the_kernels() {
    let mut differences = Vec::new();
    let mut cases = 0;
    for oracle in oracles() {
        let kallsyms = there(&oracle.join("klp-6.12/kallsyms-vmlinux")).unwrap();
        let symbols = Symbols::read([&*kallsyms]).unwrap();
        let list: Value = serde_json::from_slice(&read(&oracle.join("verdicts/verdicts.json"))).unwrap();
        for case in list["cases"].as_array().unwrap() {
            let name = case["case"].as_str().unwrap();
            let (report, life) = check(case, &oracle, &symbols);
            let errno = case["errname"].as_str().filter(|errno| !errno.is_empty());
            let crashed = case["verdict"] == "crash";
            differences.extend(differs(name, "", errno, crashed, &report.answer));
            // Of what was live, the load of the livepatch tells.
            let steps = report.steps.iter().zip(&life.answers);
            for (step, (event, errno)) in steps {
                assert_eq!(&step.event, event, "{name}");
                differences.extend(differs(name, event, errno.as_deref(), false, &step.answer));
            }
            assert_eq!(report.steps.len(), life.answers.len(), "{name}");
            cases += 1;
        }
    }
    assert!(cases >= 20, "{cases} cases");
    assert_eq!(differences, Vec::<String>::new(), "{} of {cases} cases", differences.len());
    println!("{cases} cases");
}
