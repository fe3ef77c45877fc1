//! Tables of names.

use core::cmp::Ordering;
use core::hint::black_box;
use relakit::Error;
use relakit::index::{Index, Names, find_sorted};

/// What the embedder provides for names.
pub struct LentNames<'a> {
    names: &'a [&'a [u8]],
    memory: &'a mut [u32],
    name: &'a [u8],
    position: u64,
    at: usize,
    fault: Option<Error>,
}

/// A table with functions of its own.
struct Own<'a>(&'a [&'a [u8]]);

impl Names for Own<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, at: usize) -> &[u8] {
        self.0.get(at).copied().unwrap_or_default()
    }

    fn is(&self, at: usize, name: &[u8]) -> bool {
        self.name(at) == name
    }

    fn compare(&self, at: usize, name: &[u8]) -> Ordering {
        self.name(at).cmp(name)
    }
}

#[unsafe(no_mangle)]
extern "C" fn proof_names(lent: &mut LentNames<'_>) -> usize {
    let LentNames { names, memory, name, position, at, fault } = lent;
    black_box(Index::words(*at));
    table(*names, *at, name);
    table(&*names, *at, name);
    let own = Own(names);
    let found = search(*names, memory, name, *position, fault);
    let found = found.or_else(|| search(&own, memory, name, *position, fault));
    let found = found.or_else(|| find_sorted(*names, name, *position));
    found.or_else(|| find_sorted(&own, name, *position)).unwrap_or(usize::MAX)
}

fn table(names: &(impl Names + ?Sized), at: usize, name: &[u8]) {
    black_box((names.count(), names.name(at), names.is(at, name), names.compare(at, name)));
}

fn search(
    names: impl Names,
    memory: &mut [u32],
    name: &[u8],
    position: u64,
    fault: &mut Option<Error>,
) -> Option<usize> {
    match Index::build(names, memory) {
        Ok(index) => index.nth(name, position).or_else(|| index.find(name)),
        Err(error) => {
            *fault = Some(error);
            None
        }
    }
}
