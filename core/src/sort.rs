//! Heap sort without a reachable panic. It is public for `relakit-linux` only, and has no stable
//! interface.

use core::cmp::Ordering;

/// Sorts `items` in place, without recursion, in n log n steps, or n steps if they are sorted.
///
/// `slice::sort_unstable_by` can panic when an order is not total, so it is not used here.
pub fn sort<T: Copy>(items: &mut [T], compare: &impl Fn(T, T) -> Ordering) {
    if items.is_sorted_by(|one, other| compare(*one, *other).is_le()) {
        return;
    }
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root, compare);
    }
    let mut heap = items;
    while let Some((last, rest)) = heap.split_last_mut() {
        let Some(largest) = rest.first_mut() else { break };
        core::mem::swap(largest, last);
        sift_down(rest, 0, compare);
        heap = rest;
    }
}

/// Rows of a table that are not items of one slice.
pub trait Rows {
    /// Returns whether the row with the number `one` comes before `other`.
    fn is_less(&mut self, one: usize, other: usize) -> bool;

    /// Swaps two rows.
    fn swap(&mut self, one: usize, other: usize);
}

/// Sorts the rows 0 to `count` - 1 as [`sort`] sorts items.
pub fn sort_rows(rows: &mut impl Rows, count: usize) {
    if !(1..count).any(|at| rows.is_less(at, at.saturating_sub(1))) {
        return;
    }
    for root in (0..count / 2).rev() {
        sift_row_down(rows, root, count);
    }
    for last in (1..count).rev() {
        rows.swap(0, last);
        sift_row_down(rows, 0, last);
    }
}

/// Moves the row `root` below every larger row.
fn sift_row_down(rows: &mut impl Rows, mut root: usize, count: usize) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        if left >= count {
            return;
        }
        let child = if right < count && rows.is_less(left, right) { right } else { left };
        if !rows.is_less(root, child) {
            return;
        }
        rows.swap(root, child);
        root = child;
    }
}

/// Moves the item at `root` below every larger item.
fn sift_down<T: Copy>(heap: &mut [T], mut root: usize, compare: &impl Fn(T, T) -> Ordering) {
    let Some(item) = heap.get(root).copied() else { return };
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let Some(mut child) = heap.get(left).copied() else { break };
        let mut at = left;
        if let Some(other) = heap.get(right).copied()
            && compare(child, other).is_lt()
        {
            (child, at) = (other, right);
        }
        if compare(item, child).is_ge() {
            break;
        }
        if let Some(slot) = heap.get_mut(root) {
            *slot = child;
        }
        root = at;
    }
    if let Some(slot) = heap.get_mut(root) {
        *slot = item;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Items(Vec<u8>);

    impl Rows for Items {
        fn is_less(&mut self, one: usize, other: usize) -> bool {
            self.0[one] < self.0[other]
        }

        fn swap(&mut self, one: usize, other: usize) {
            self.0.swap(one, other);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_sorts_as_the_standard_library_does(mut items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, &|one, other| one.cmp(&other));
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn rows_are_sorted_as_items_are(items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort_unstable();
            let count = items.len();
            let mut rows = Items(items);
            sort_rows(&mut rows, count);
            prop_assert_eq!(rows.0, expected);
        }
    }
}
