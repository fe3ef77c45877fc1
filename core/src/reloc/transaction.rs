//! Several steps as one pass: all of them, or none.

use crate::error::{Error, ErrorKind, HookError};

/// What is done in numbered steps.
pub(crate) trait Transaction {
    /// Does step `number`, and answers whether it was one. A step that fails has changed nothing.
    fn step(&mut self, number: u32) -> Result<bool, Error>;
    /// Takes back step `number`, which was done.
    fn undo(&mut self, number: u32) -> Result<(), Error>;
    /// Makes what was written visible; nothing, if no step tried to write.
    fn sync(&mut self) -> Result<(), HookError>;
}

/// Does `steps` in their order, or takes back in the reverse order what was done. Answers how many there were.
pub(crate) fn all_or_none<T: Transaction>(
    transaction: &mut T,
    steps: impl DoubleEndedIterator<Item = u32> + Clone,
) -> Result<usize, Error> {
    let mut count = 0usize;
    let mut failed = None;
    for number in steps.clone() {
        match transaction.step(number) {
            Ok(done) => count = count.saturating_add(usize::from(done)),
            Err(error) => {
                failed = Some((number, error));
                break;
            }
        }
    }
    let (failed, error) = match failed {
        Some((number, error)) => (Some(number), error),
        None => match transaction.sync() {
            Ok(()) => return Ok(count),
            Err(error) => (None, ErrorKind::Sync.error(error.number(), 0)),
        },
    };
    let undone = undo(transaction, steps, failed);
    // Whatever this answers, the fault is an earlier one.
    let _ = transaction.sync();
    undone.and(Err(error))
}

/// Takes back the steps that come before the one that failed, or all of them.
fn undo<T: Transaction>(
    transaction: &mut T,
    steps: impl DoubleEndedIterator<Item = u32>,
    failed: Option<u32>,
) -> Result<(), Error> {
    let mut was_done = failed.is_none();
    for number in steps.rev() {
        if was_done {
            transaction.undo(number)?;
        }
        was_done |= failed == Some(number);
    }
    Ok(())
}
