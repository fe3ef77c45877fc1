//! Checks that the modules of a crate are layers.

pub mod design;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers of a crate, from the lowest. A module imports no layer that is after its own.
pub struct Layers<'a> {
    pub order: &'a [&'a str],
}

impl Layers<'_> {
    /// Fails if a module imports a higher layer, or if the modules are not the layers.
    pub fn check(&self, source: &Path) {
        let (mut modules, mut errors) = (BTreeSet::new(), BTreeSet::new());
        for file in files(source) {
            let path = module_path(source, &file);
            let Some(module) = path.first().filter(|name| !["lib", "main"].contains(&name.as_str())) else {
                continue;
            };
            errors.extend(self.errors(&path, &fs::read_to_string(&file).unwrap()));
            modules.insert(module.clone());
        }
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(
            modules,
            self.order.iter().map(|&layer| layer.to_owned()).collect(),
            "modules, and layers"
        );
    }

    /// The imports of higher layers in a text of the module `path`.
    pub fn errors(&self, path: &[String], text: &str) -> Vec<String> {
        let layer = |name: &str| self.order.iter().position(|layer| *layer == name);
        let own = layer(&path[0]);
        let is_higher =
            |import: &String| own.is_none() || layer(import).is_none_or(|import| Some(import) > own);
        imports(path, text)
            .iter()
            .filter(|import| is_higher(import))
            .map(|import| format!("{} imports {import}", path[0]))
            .collect()
    }
}

/// Every Rust file in a folder and the folders below it.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The path of the module in a file.
fn module_path(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).unwrap().with_extension("");
    let names = relative.iter().map(|name| name.to_str().unwrap().to_owned());
    names.filter(|name| name != "mod").collect()
}

/// The text without comments and without the unit tests at its end.
pub fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The modules at the top of the crate that a text imports. Comments and unit tests do not count.
fn imports(path: &[String], text: &str) -> BTreeSet<String> {
    let code = code(text);
    let after_crate = code.split("crate::").skip(1).map(str::to_owned);
    // `super::` as often as the module is deep leads to the top of the crate.
    let to_top = "super::".repeat(path.len());
    let after_super = code.split(&to_top).skip(1).map(str::to_owned);
    after_crate.chain(after_super).flat_map(|rest| names(&rest)).collect()
}

/// The names that a path begins with: one, or those in braces.
fn names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        text.chars().take_while(|char| char.is_alphanumeric() || "_*".contains(*char)).collect()
    };
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for char in group.chars() {
        match char {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(char),
        }
        depth += i32::from(char == '{') - i32::from(char == '}');
    }
    parts.iter().map(|part| name(part)).filter(|name| !name.is_empty()).collect()
}
