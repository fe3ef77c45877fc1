//! The report about a module that two simulations check: its objects are loaded before it, and after
//! it.

use super::report::{FindingRow, Report, Step};

/// The step for the load in the second simulation.
pub(crate) const LOAD_FIRST: &str = "load-first";

impl Report {
    /// Adds the results of the second simulation. The steps for modules that are live in both are
    /// those of the first one.
    pub(crate) fn join(&mut self, second: Self) {
        self.steps.push(Step { event: LOAD_FIRST.to_owned(), prediction: second.load });
        self.steps.extend(second.steps.into_iter().filter(|step| !step.event.starts_with("live:")));
        add_new(&mut self.not_judged, second.not_judged);
        add_new(&mut self.notes, second.notes);
        for row in second.findings {
            match self.findings.iter_mut().find(|known| is_same(known, &row)) {
                Some(known) => known.more = known.more.max(row.more),
                None => self.findings.push(row),
            }
        }
        self.findings.sort_by_key(|row| std::cmp::Reverse(row.severity));
        // A module has init symbols only while it is loaded, so the second simulation can know more.
        for (row, second) in self.resolved.iter_mut().zip(second.resolved) {
            if row.address.is_none() && !second.same.is_empty() {
                *row = second;
            }
        }
        self.result = self.worst();
    }
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !all.contains(&item) {
            all.push(item);
        }
    }
}

/// Whether two rows are about the same mistake. The details of a row can differ, because modules
/// have other addresses.
fn is_same(one: &FindingRow, other: &FindingRow) -> bool {
    (one.rule, &one.location, &one.other) == (other.rule, &other.location, &other.other)
}
