//! What a pass does with its entries: an operation, in phases.

/// What a pass does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// It relocates, in the order of the table.
    Apply,
    /// It restores the content before `Apply`, in the reverse order.
    Clear,
}

/// The part of a pass to which an entry belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Check the entry. Write nothing.
    Check,
    /// Check the entry, then write the field.
    Commit,
    /// Rollback: undo `Commit` without checking the content of the field.
    Revert,
}

impl Op {
    /// The entry that comes after `done` others, of a table with `count` entries.
    pub(super) const fn index(self, done: usize, count: usize) -> usize {
        match self {
            Self::Apply => done,
            Self::Clear => count.saturating_sub(done).saturating_sub(1),
        }
    }
}
