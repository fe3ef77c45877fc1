//! Reads the tables of DESIGN.md that say where things are.

use std::fs;
use std::path::Path;

/// The names in backticks at the beginning of each row, in the tables below a heading. A row may have several.
/// A name without a folder is in the folder of the name before it.
pub fn names(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../DESIGN.md")).unwrap();
    let rest = page.split_once(&format!("\n{heading}\n")).unwrap_or_default().1;
    let section = rest.split("\n#").next().unwrap();
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with("| `")).map(of_row).collect();
    assert!(!rows.is_empty(), "no table below {heading}");
    rows
}

fn of_row(row: &str) -> Vec<String> {
    let cell = row.split('|').nth(1).unwrap();
    let mut folder = String::new();
    let mut names = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        let end = name.trim_end_matches('/').rfind('/').map(|end| name.split_at(end).0);
        folder = end.map_or(folder, |folder| format!("{folder}/"));
        names.push(if end.is_some() { name.to_owned() } else { format!("{folder}{name}") });
    }
    names
}

/// Whether a module with this name is in the sources.
pub fn is_module(source: &Path, name: &str) -> bool {
    source.join(name).is_dir() || source.join(format!("{name}.rs")).is_file()
}
