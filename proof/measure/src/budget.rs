//! The recorded table, and how it is held against what was measured.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// The functions of the first level.
const LEVEL_1: [&str; 4] = ["relakit_apply", "relakit_clear", "relakit_dry_run", "relakit_relocate"];
/// Of the second.
const LEVEL_2: [&str; 4] =
    ["relakit_apply_relocate_add", "relakit_clear_relocate_add", "relakit_klp_apply", "relakit_klp_clear"];

/// Functions that are measured together, or one by itself.
pub struct Group {
    pub name: String,
    pub functions: Vec<String>,
}

/// The levels, everything, and each function.
pub fn groups(functions: &[String]) -> Result<Vec<Group>> {
    if let Some(name) = LEVEL_1.iter().chain(&LEVEL_2).find(|name| !functions.iter().any(|it| it == **name)) {
        bail!("the header does not declare {name}, which is in a list of src/budget.rs");
    }
    let group = |name: &str, is_in: &dyn Fn(&str) -> bool| Group {
        name: name.to_owned(),
        functions: functions.iter().filter(|name| is_in(name)).cloned().collect(),
    };
    let mut groups = vec![
        group("level 1", &|name| LEVEL_1.contains(&name)),
        group("level 2", &|name| LEVEL_2.contains(&name)),
        group("level 3", &|name| name.starts_with("relakit_module_") && !name.ends_with("_findings")),
        group("everything", &|_| true),
    ];
    for function in functions {
        groups.push(Group { name: format!("`{function}`"), functions: vec![function.clone()] });
    }
    Ok(groups)
}

/// What was measured, in bytes.
pub struct Cost {
    pub name: String,
    pub text: u64,
    pub stack: u64,
}

/// Growth over the record that is let pass: compilers differ in their details.
const MARGIN_PERCENT: u64 = 2;

/// The table of the page: the rows between its two marks.
pub struct Table {
    before: String,
    after: String,
    /// By column name, by row name: code, stack.
    columns: BTreeMap<String, BTreeMap<String, (u64, u64)>>,
    order: Vec<String>,
}

const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- end -->\n";

impl Table {
    pub fn parse(page: &str) -> Result<Self> {
        let (before, rest) = page.split_once(BEGIN).context("the page has no table")?;
        let (table, after) = rest.split_once(END).context("the page's table has no end")?;
        let mut lines = table.lines().filter(|line| line.starts_with('|')).map(cells);
        let heads = lines.next().unwrap_or_default();
        let names: Vec<_> = heads
            .iter()
            .skip(1)
            .step_by(2)
            .map(|head| head.trim_start_matches("code, ").to_owned())
            .collect();
        let mut columns: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
        let mut order = Vec::new();
        for row in lines.skip(1) {
            let Some((name, numbers)) = row.split_first() else { continue };
            order.push(name.clone());
            for (column, pair) in names.iter().zip(numbers.chunks(2)) {
                let [text, stack] = pair else { bail!("a row of the table is too short") };
                columns
                    .entry(column.clone())
                    .or_default()
                    .insert(name.clone(), (text.parse()?, stack.parse()?));
            }
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), columns, order })
    }

    pub fn record(&mut self, column: &str, costs: &[Cost]) {
        self.order = costs.iter().map(|cost| cost.name.clone()).collect();
        let rows = costs.iter().map(|cost| (cost.name.clone(), (cost.text, cost.stack)));
        self.columns.insert(column.to_owned(), rows.collect());
    }

    pub fn into_page(self) -> String {
        let heads: String =
            self.columns.keys().map(|name| format!(" code, {name} | stack, {name} |")).collect();
        let mut table = format!("| |{heads}\n|---|{}\n", "--:|--:|".repeat(self.columns.len()));
        for name in &self.order {
            let numbers = self.columns.values().map(|rows| rows.get(name).copied().unwrap_or_default());
            let numbers: String = numbers.map(|(text, stack)| format!(" {text} | {stack} |")).collect();
            table += &format!("| {name} |{numbers}\n");
        }
        format!("{}{BEGIN}{table}{END}{}", self.before, self.after)
    }

    /// Prints what was measured; fails when something has grown, or is not recorded.
    pub fn compare(&self, column: &str, costs: &[Cost]) -> Result<()> {
        let recorded = self.columns.get(column).with_context(|| format!("there is no column {column}"))?;
        if let Some(name) = recorded.keys().find(|name| !costs.iter().any(|cost| cost.name == **name)) {
            bail!("{name} is recorded, and is not there any more");
        }
        let mut grown = Vec::new();
        for Cost { name, text, stack } in costs {
            let Some((text_was, stack_was)) = recorded.get(name) else {
                bail!("{name} is not recorded");
            };
            let is_over = |now: u64, was: u64| now * 100 > was * (100 + MARGIN_PERCENT);
            if is_over(*text, *text_was) || is_over(*stack, *stack_was) {
                grown.push(format!(
                    "{name}: code {text} (recorded {text_was}), stack {stack} (recorded {stack_was})"
                ));
            }
            if !name.starts_with('`') {
                println!("{column}, {name}: {text} bytes of code, {stack} bytes of stack");
            }
        }
        if !grown.is_empty() {
            bail!("grown by more than {MARGIN_PERCENT} %:\n{}", grown.join("\n"));
        }
        Ok(())
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_what_is_not_measured_and_a_missing_row_are_errors() {
        let page = format!("{BEGIN}| | code, 3 | stack, 3 |\n|---|--:|--:|\n| `f` | 10 | 10 |\n{END}");
        let cost = |name: &str| Cost { name: name.to_owned(), text: 10, stack: 10 };
        let compare = |costs: &[Cost]| Table::parse(&page).unwrap().compare("3", costs);
        assert!(compare(&[cost("`f`")]).is_ok());
        assert!(compare(&[]).is_err());
        assert!(compare(&[cost("`f`"), cost("`g`")]).is_err());
    }
}
