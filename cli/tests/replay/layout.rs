//! `layout.json` and the state files: the addresses of a module, the steps, and the memory after
//! them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compare::Image;
use super::{need, read};

/// A recording. The bytes of its states are read on demand.
pub struct Layout {
    /// The path of `layout.json`.
    pub path: PathBuf,
    /// Release of the kernel, as in `6.12.111+deb12-amd64`.
    pub kernel: Option<String>,
    pub module: String,
    /// The steps in order. An ordinary module has none.
    pub steps: Vec<Step>,
    /// The content of `layout.json`.
    pub json: Value,
}

/// A step and its result.
pub struct Step {
    pub action: Action,
    /// 0, or the positive errno.
    pub errno: i64,
    /// The lines of the kernel's log.
    pub log: Vec<String>,
    /// The file with the addresses of the loaded target.
    pub target: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Load the livepatch.
    Patch,
    /// Load another module.
    Load(String),
    /// Unload another module.
    Unload(String),
    /// Record the memory of the livepatch under a label.
    Take(String),
    /// Disable and unload the livepatch.
    Disable,
}

impl Layout {
    pub fn open(path: &Path) -> Self {
        let json: Value = serde_json::from_slice(&read(path)).unwrap();
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        let log = json["log"].as_array().cloned().unwrap_or_default();
        let steps = json["steps"].as_array().into_iter().flatten().enumerate();
        Self {
            path: path.to_path_buf(),
            kernel: text("kernel"),
            module: text("livepatch").or_else(|| text("module")).unwrap(),
            steps: steps.map(|(i, step)| Step::read(step, log.get(i))).collect(),
            json,
        }
    }

    /// Whether the memory was recorded under that label.
    pub fn has_state(&self, label: &str) -> bool {
        self.json["states"].get(label).is_some()
    }

    /// The recorded sections.
    pub fn state(&self, label: &str) -> Image {
        let state = &self.json["states"][label];
        let file = state["file"].as_str().unwrap();
        let bytes = read(&need(self.path.parent().unwrap(), file.strip_suffix(".xz").unwrap_or(file)));
        let sections = state["sections"].as_object().unwrap();
        let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let image = sections.iter().map(|(index, place)| {
            let section = bytes[number(&place[0])..].get(..number(&place[1])).unwrap();
            (index.parse().unwrap(), section.to_vec())
        });
        image.collect()
    }

    /// The value that each symbol had after relocation, in the order of the symbol table.
    pub fn symbol_values(&self) -> Vec<u64> {
        self.json["symbols"].as_array().unwrap().iter().map(hex).collect()
    }
}

impl Step {
    fn read(step: &Value, log: Option<&Value>) -> Self {
        let words = step.as_str().unwrap();
        let action = match words.split_once(':') {
            None if words == "P" => Action::Patch,
            None if words == "D" => Action::Disable,
            Some(("L", module)) => Action::Load(module.to_owned()),
            Some(("U", module)) => Action::Unload(module.to_owned()),
            Some(("S", label)) => Action::Take(label.to_owned()),
            _ => panic!("unknown step {words}"),
        };
        let entry = log.unwrap_or(&Value::Null);
        assert!(
            log.is_none() || entry["step"] == *words,
            "the log of step {words} is that of {}",
            entry["step"]
        );
        let lines = entry["dmesg"].as_array().into_iter().flatten();
        Self {
            action,
            errno: entry["errno"].as_i64().unwrap_or(0),
            log: lines.map(|line| line.as_str().unwrap().to_owned()).collect(),
            target: entry["target_layout"].as_str().map(str::to_owned),
        }
    }

    /// Whether the step failed because of the livepatch, and not because of the target module.
    pub fn refused_by_livepatch(&self) -> bool {
        self.errno != 0 && self.log.iter().any(|line| line.contains("refusing to load module"))
    }
}

/// `"0xffffffffc0201000"`.
fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}
