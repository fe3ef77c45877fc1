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

/// What was measured of a group: a number for each heading of the column.
pub struct Cost {
    pub name: String,
    pub numbers: Vec<u64>,
}

/// Growth over the record that is let pass: compilers differ in their details.
const MARGIN_PERCENT: u64 = 2;

/// The table of the page: the rows between its two marks.
pub struct Table {
    before: String,
    after: String,
    /// Without that of the names.
    headings: Vec<String>,
    /// In the order of the page. A number is missing if its heading is new.
    rows: Vec<(String, BTreeMap<String, u64>)>,
}

const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- end -->\n";

impl Table {
    pub fn parse(page: &str) -> Result<Self> {
        let (before, rest) = page.split_once(BEGIN).context("the page has no table")?;
        let (table, after) = rest.split_once(END).context("the page's table has no end")?;
        let mut lines = table.lines().filter(|line| line.starts_with('|')).map(cells);
        let headings: Vec<_> = lines.next().unwrap_or_default().into_iter().skip(1).collect();
        let mut rows = Vec::new();
        for row in lines.skip(1) {
            let Some((name, numbers)) = row.split_first() else { continue };
            if numbers.len() != headings.len() {
                bail!("the row of {name} has {} numbers", numbers.len());
            }
            let numbers =
                headings.iter().zip(numbers).map(|(heading, number)| Ok((heading.clone(), number.parse()?)));
            rows.push((name.clone(), numbers.collect::<Result<_>>()?));
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned(), headings, rows })
    }

    pub fn record(&mut self, headings: &[String], costs: &[Cost]) {
        for heading in headings {
            if !self.headings.contains(heading) {
                self.headings.push(heading.clone());
            }
        }
        let mut old: BTreeMap<_, _> = std::mem::take(&mut self.rows).into_iter().collect();
        for cost in costs {
            let mut numbers = old.remove(&cost.name).unwrap_or_default();
            numbers.extend(headings.iter().cloned().zip(cost.numbers.iter().copied()));
            self.rows.push((cost.name.clone(), numbers));
        }
    }

    pub fn into_page(self) -> String {
        let headings: String = self.headings.iter().map(|heading| format!(" {heading} |")).collect();
        let mut table = format!("| |{headings}\n|---|{}\n", "--:|".repeat(self.headings.len()));
        for (name, numbers) in &self.rows {
            let numbers =
                self.headings.iter().map(|heading| numbers.get(heading).copied().unwrap_or_default());
            let numbers: String = numbers.map(|number| format!(" {number} |")).collect();
            table += &format!("| {name} |{numbers}\n");
        }
        format!("{}{BEGIN}{table}{END}{}", self.before, self.after)
    }

    /// Prints what was measured; fails when something has grown, or is not recorded.
    pub fn compare(&self, headings: &[String], costs: &[Cost]) -> Result<()> {
        if let Some((name, _)) =
            self.rows.iter().find(|(name, _)| !costs.iter().any(|cost| cost.name == *name))
        {
            bail!("{name} is recorded, and is not there any more");
        }
        let mut grown = Vec::new();
        for Cost { name, numbers } in costs {
            let Some((_, recorded)) = self.rows.iter().find(|(row, _)| row == name) else {
                bail!("{name} is not recorded");
            };
            for (heading, now) in headings.iter().zip(numbers) {
                let was = recorded.get(heading).with_context(|| format!("there is no column {heading}"))?;
                if now * 100 > was * (100 + MARGIN_PERCENT) {
                    grown.push(format!("{name}: {heading}: {now}, recorded {was}"));
                }
            }
            if !name.starts_with('`') {
                let numbers = headings.iter().zip(numbers).map(|(heading, now)| format!("{heading} {now}"));
                println!("{name}: {}", numbers.collect::<Vec<_>>().join("; "));
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

    fn page() -> Table {
        Table::parse(&format!("{BEGIN}| | code, 3 | stack, 3 |\n|---|--:|--:|\n| `f` | 100 | 0 |\n{END}"))
            .unwrap()
    }

    fn headings() -> Vec<String> {
        vec!["code, 3".to_owned(), "stack, 3".to_owned()]
    }

    fn cost(name: &str, code: u64, stack: u64) -> Cost {
        Cost { name: name.to_owned(), numbers: vec![code, stack] }
    }

    #[test]
    fn a_row_for_what_is_not_measured_and_a_missing_row_are_errors() {
        let compare = |costs: &[Cost]| page().compare(&headings(), costs);
        assert!(compare(&[cost("`f`", 100, 0)]).is_ok());
        assert!(compare(&[]).is_err());
        assert!(compare(&[cost("`f`", 100, 0), cost("`g`", 100, 0)]).is_err());
        assert!(page().compare(&["data, 3".to_owned()], &[cost("`f`", 100, 0)]).is_err());
    }

    #[test]
    fn two_percent_more_pass_and_a_recorded_zero_stays_zero() {
        let compare = |code, stack| page().compare(&headings(), &[cost("`f`", code, stack)]);
        assert!(compare(102, 0).is_ok());
        assert!(compare(103, 0).is_err());
        assert!(compare(100, 1).is_err());
        assert!(compare(1, 0).is_ok());
    }

    #[test]
    fn what_is_recorded_is_read_again_with_the_other_columns() {
        let mut table = page();
        table.record(&["data, 3".to_owned()], &[Cost { name: "`f`".to_owned(), numbers: vec![7] }]);
        let table = Table::parse(&table.into_page()).unwrap();
        assert!(
            table
                .compare(&["data, 3".to_owned()], &[Cost { name: "`f`".to_owned(), numbers: vec![7] }])
                .is_ok()
        );
        assert!(table.compare(&headings(), &[cost("`f`", 100, 0)]).is_ok());
    }
}
