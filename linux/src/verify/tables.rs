//! The tables that Linux sorts while it loads a module.

use super::judge::Judge;
use super::{Cause, Seen};
use crate::special::{Entry, Sections, Table};
use relakit::verify::{Comparison, Difference};
use relakit::{Error, Memory};

impl<M: Memory + ?Sized> Sections for Comparison<'_, M> {
    fn section(&mut self, index: u32) -> Option<(u64, &mut [u8])> {
        self.expected(index)
    }
}

impl<M: Memory + ?Sized> Judge<'_, '_, '_, M> {
    /// Sorts the expected tables as Linux does, compares them, and takes what is found as expected.
    pub(super) fn tables(&mut self) -> Result<(), Error> {
        let module = self.comparison.module();
        let tables = Table::all(module, &mut self.comparison, self.kernel.version);
        for table in tables.into_iter().flatten() {
            table.sort(module, &mut self.comparison, self.places);
            for entry in 0..table.count {
                self.compare_entry(&table, entry)?;
            }
            // Jump labels are constant after init, and nothing else in their group is predictable.
            if !self.comparison.compares(table.part.section) {
                self.verified.judged_apart(table.part.offset(table.count));
            }
        }
        Ok(())
    }

    fn compare_entry(&mut self, table: &Table, entry: usize) -> Result<(), Error> {
        let mut found = [Entry::default(); 2];
        for (part, found) in table.parts().zip(&mut found) {
            let found = found.get_mut(..part.size).unwrap_or_default();
            self.comparison.found(part.section, part.offset(entry), found)?;
        }
        let comparison = &mut self.comparison;
        if table.has(comparison, entry, &found) || table.exchange(comparison, entry, &found) {
            return Ok(());
        }
        for (part, found) in table.parts().zip(&found) {
            let expected = part.read(&mut self.comparison, entry);
            let (Some(expected), Some(found)) = (expected.get(..part.size), found.get(..part.size)) else {
                continue;
            };
            if expected == found {
                continue;
            }
            let offset = part.offset(entry);
            let address = part.address.wrapping_add(offset);
            let difference = Difference::new(part.section, offset, address, expected, found);
            let cause = Cause::Table { section: part.section, entry: entry as u64 };
            self.mismatch(difference, cause, Seen::Other);
            self.comparison.settle(part.section, offset, found);
        }
        Ok(())
    }
}
