//! Sorting in place, without recursion, with a bound, and without a panic that a compiler sees.

use core::cmp::Ordering;

/// Sorts by heap: in place, without recursion, and never worse than n log n. What is in order is left alone.
pub(super) fn sort(items: &mut [u32], compare: &impl Fn(u32, u32) -> Ordering) {
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

/// Puts the item at `root` below all that are larger.
fn sift_down(heap: &mut [u32], mut root: usize, compare: &impl Fn(u32, u32) -> Ordering) {
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

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_as_the_standard_library_sorts(items: Vec<u8>) {
            let mut items: Vec<_> = items.into_iter().map(u32::from).collect();
            let mut expected = items.clone();
            expected.sort();
            sort(&mut items, &|one, other| one.cmp(&other));
            prop_assert_eq!(items, expected);
        }
    }
}
