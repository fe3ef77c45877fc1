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

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_sorts_as_the_standard_library_does(mut items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, &|one, other| one.cmp(&other));
            prop_assert_eq!(items, expected);
        }
    }
}
