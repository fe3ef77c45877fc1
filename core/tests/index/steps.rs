//! How many entries are looked at, for names as they come and for names that were chosen to have one hash.

use crate::lent;
use crate::tables::Counted;
use relakit::index::{Index, find_sorted};

/// `count` names of 24 bytes with one hash: the second word of each takes back what the first one did. That they have is seen
/// by what it costs.
fn colliding(count: usize) -> Vec<Vec<u8>> {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let has_nul = |word: u64| word.to_le_bytes().contains(&0);
    let name = |number: u64| {
        let first = number.wrapping_mul(0x2545_f491_4f6c_dd1d);
        let second = (24 ^ first).wrapping_mul(FACTOR).rotate_left(29) ^ 0x0123_4567_89ab_cdef;
        let words = [first, second, 0x0101_0101_0101_0101];
        (!words.into_iter().any(has_nul)).then(|| words.into_iter().flat_map(u64::to_le_bytes).collect())
    };
    (1..).filter_map(name).take(count).collect()
}

fn plain(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("symbol_{number:x}").into_bytes()).collect()
}

#[test]
fn a_name_is_found_by_one_look_at_the_table_and_the_nth_by_two() {
    let mut names = plain(30_000);
    names.extend(vec![b"__func__.0".to_vec(); 463]);
    let counted = Counted::new(&names);
    let mut memory = lent(names.len());
    let index = Index::build(&counted, &mut memory).unwrap();
    counted.looks();
    let mut more = 0;
    for (at, name) in names.iter().enumerate().take(30_000) {
        assert_eq!(index.find(name), Some(at));
        more += counted.looks() - 1;
    }
    assert!(more <= 3, "{more} looks at other names");
    for position in 1..=463 {
        assert_eq!(index.nth(b"__func__.0", position), Some(29_999 + position as usize));
        assert_eq!(counted.looks(), if position == 1 { 1 } else { 2 });
    }
}

#[test]
fn names_with_one_hash_are_found_as_in_a_table_that_is_sorted() {
    for bits in [2, 6, 10, 14] {
        let mut names = colliding(1 << bits);
        let counted = Counted::new(&names);
        let mut memory = lent(names.len());
        let index = Index::build(&counted, &mut memory).unwrap();
        // Once to hash it; then sorting, of two names at a time, at most twice at each level of the heap.
        let reads = counted.looks();
        assert!(reads <= names.len() * (1 + 4 * bits), "{reads} names read to index {}", names.len());
        let mut most = 0;
        for (at, name) in names.iter().enumerate() {
            assert_eq!(index.find(name), Some(at));
            most = most.max(counted.looks());
        }
        assert!(most > bits / 2, "these names have several hashes, so that nothing is tested");
        assert!(most <= bits + 3, "{most} looks to find one of {}", names.len());
        assert_eq!(index.find(&colliding(names.len() + 1)[names.len()]), None, "one more of that hash");

        names.sort();
        let sorted = Counted::new(&names);
        for (at, name) in names.iter().enumerate() {
            assert_eq!(find_sorted(&sorted, name, 1), Some(at));
            assert!(sorted.looks() <= bits + 2);
        }
    }
}

#[test]
fn an_index_of_one_name_many_times_is_made_by_reading_each_three_times() {
    let names = vec![b"__func__.0".to_vec(); 10_000];
    let counted = Counted::new(&names);
    let mut memory = lent(names.len());
    let index = Index::build(&counted, &mut memory).unwrap();
    assert!(counted.looks() <= 3 * names.len());
    assert_eq!(index.nth(b"__func__.0", 10_000), Some(9_999));
    assert_eq!(index.nth(b"__func__.0", 10_001), None);
}

#[test]
fn names_as_they_come_are_read_once_to_index_them() {
    let names = plain(30_000);
    let counted = Counted::new(&names);
    Index::build(&counted, &mut lent(names.len())).unwrap();
    let reads = counted.looks();
    assert!((30_000..30_100).contains(&reads), "{reads}");
}
