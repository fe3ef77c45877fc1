//! Names in tables: every lookup is what a look at all entries gives, and takes no more comparisons than was said.
#![expect(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "test code"
)]

mod steps;
mod tables;

use proptest::collection::vec;
use proptest::prelude::*;
use relakit::ErrorKind;
use relakit::elf::NAME_MAX;
use relakit::index::{Index, Names, find_sorted};
use tables::{Blob, Changing};

/// Defaults, and no files beside the sources: a failure prints its smallest input.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// Where the entries called `name` are, by looking at all.
fn positions<T: AsRef<[u8]>>(table: &[T], name: &[u8]) -> Vec<usize> {
    (0..table.len()).filter(|at| table[*at].as_ref() == name).collect()
}

/// `lookup` by name and position gives what looking at all entries gives, at and around every position.
fn agrees(table: &[Vec<u8>], name: &[u8], lookup: &dyn Fn(u64) -> Option<usize>) {
    let expected = positions(table, name);
    for (before, at) in expected.iter().enumerate() {
        assert_eq!(lookup(before as u64 + 1), Some(*at), "{name:?}, {} of {}", before + 1, expected.len());
    }
    let count = expected.len() as u64;
    for none in [0, count + 1, count + 2, 1 << 32, u64::MAX] {
        assert_eq!(lookup(none), None, "{name:?}, {none} of {count}");
    }
}

fn lent(count: usize) -> Vec<u32> {
    vec![0xa5a5_a5a5; Index::words(count)]
}

/// Names of a few letters, so that many are the same and many are the beginning of another; and some long ones.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let letter = || prop_oneof![Just(b'a'), Just(b'b'), Just(b'\x01'), Just(b'\xff')];
    prop_oneof![4 => vec(letter(), 0..4), 2 => vec(letter(), 7..10), 1 => vec(letter(), 0..40)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_lookup_is_what_looking_at_all_entries_gives(table in vec(name(), 0..120), others in vec(name(), 0..20)) {
        let blob = Blob::new(&table);
        let (mut memory, mut other_memory) = (lent(table.len()), lent(table.len()));
        let index = Index::build(&table[..], &mut memory).unwrap();
        let of_blob = Index::build(&blob, &mut other_memory).unwrap();
        for name in table.iter().chain(&others) {
            agrees(&table, name, &|position| index.nth(name, position));
            agrees(&table, name, &|position| of_blob.nth(name, position));
            prop_assert_eq!(index.find(name), index.nth(name, 1));
        }
        prop_assert_eq!(memory, other_memory, "the same names, the same index");

        let mut sorted = table;
        sorted.sort();
        let blob = Blob::new(&sorted);
        for name in sorted.iter().chain(&others) {
            agrees(&sorted, name, &|position| find_sorted(&sorted[..], name, position));
            agrees(&sorted, name, &|position| find_sorted(&blob, name, position));
        }
    }

    #[test]
    fn a_table_that_changes_is_never_a_wrong_answer(
        table in vec(name(), 0..60),
        then in vec(name(), 0..60),
        position in 0u64..5,
    ) {
        let changing = Changing::new(&table, &then);
        let mut memory = lent(table.len());
        let index = Index::build(&changing, &mut memory).unwrap();
        changing.change();
        for name in table.iter().chain(&then) {
            if let Some(at) = index.nth(name, position) {
                prop_assert_eq!(&then[at], name);
            }
            if let Some(at) = find_sorted(&then[..], name, position) {
                prop_assert_eq!(&then[at], name, "not in order");
            }
        }
    }

    #[test]
    fn names_compare_as_their_bytes_do(one in name(), other in name()) {
        let table = [&one[..]];
        prop_assert_eq!(table.compare(0, &other), one.cmp(&other));
        prop_assert_eq!(Blob::new(&table).compare(0, &other), one.cmp(&other));
        prop_assert_eq!(Blob::new(&table).is(0, &other), one == other);
    }
}

#[test]
fn memory_that_is_a_word_too_short_is_refused_and_left_alone_for_every_size_of_table() {
    let names: Vec<_> = (0..600).map(|number| format!("name_{number}").into_bytes()).collect();
    for count in 0..=names.len() {
        let table = &names[..count];
        let needed = Index::words(count);
        let mut memory = vec![7; needed + 1];
        for words in [0, needed / 2, needed - 1] {
            let error = Index::build(table, &mut memory[..words]).unwrap_err();
            let numbers = (error.kind, error.value, error.limit);
            assert_eq!(numbers, (ErrorKind::IndexTooShort, words as u64 * 4, needed as u64 * 4));
            assert!(memory.iter().all(|word| *word == 7));
        }
        let index = Index::build(table, &mut memory).unwrap();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(index.find(name), (at < count).then_some(at), "{count}");
        }
        assert_eq!(memory.last(), Some(&7), "{count}: only so many words as were asked for");
    }
}

#[test]
fn an_index_has_five_to_six_bytes_a_name_and_an_end() {
    for count in [1, 2, 3, 4, 5, 100, 4096, 4097, 30_000, 200_000, 1 << 30] {
        let (words, count) = (Index::words(count) as u64, count as u64);
        assert!(words * 4 >= count * 5 && words * 4 <= count * 6 + 12, "{count}: {words}");
    }
    assert_eq!(Index::words(0), 2);
    assert_eq!(Index::words(30_000), 38_193);
    assert_eq!(Index::words(200_000), 265_537);
    assert_eq!(Index::words((1 << 30) + 1), usize::MAX);
    assert_eq!(Index::words(usize::MAX), usize::MAX);
}

#[test]
fn a_name_ends_at_its_nul_and_no_name_has_one() {
    let table: [&[u8]; 4] = [b"a\0b", b"a", b"\0", b"a\0"];
    let mut memory = lent(4);
    let index = Index::build(&table[..], &mut memory).unwrap();
    assert_eq!([1, 2, 3, 4].map(|position| index.nth(b"a", position)), [Some(0), Some(1), Some(3), None]);
    assert_eq!(index.find(b""), Some(2));
    for name in [&b"a\0b"[..], b"a\0", b"\0", b"b"] {
        assert_eq!(index.find(name), None);
        assert_eq!(find_sorted(&[name][..], name, 1).is_some(), name == b"b");
    }
}

#[test]
fn names_of_4096_bytes_are_found_and_longer_ones_are_not_in_the_way() {
    let long = |bytes: usize, last: u8| {
        let mut name = vec![b'x'; bytes];
        name.push(last);
        name
    };
    // All have the same first bytes.
    let table = [
        long(NAME_MAX + 1, b'x'),
        long(NAME_MAX - 1, b'x'),
        long(NAME_MAX - 1, b'y'),
        long(NAME_MAX, b'x'),
        long(NAME_MAX - 1, b'x'),
        long(NAME_MAX - 2, b'x'),
    ];
    let mut memory = lent(table.len());
    let index = Index::build(&table[..], &mut memory).unwrap();
    for name in &table {
        match name.len() {
            0..=NAME_MAX => agrees(&table, name, &|position| index.nth(name, position)),
            _ => assert_eq!(index.find(name), None),
        }
    }
}

#[test]
fn the_last_of_463_symbols_of_one_name_in_a_recorded_kernel_is_the_one_with_the_highest_address() {
    let packed = include_bytes!("../../../testdata/recordings/klp-6.12/kallsyms-vmlinux.xz");
    let mut text = String::new();
    let mut reader = lzma_rust2::XzReader::new(&packed[..], true);
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    let symbols: Vec<(u64, &str)> = text.lines().map(tables::symbol).collect();
    let names: Vec<_> = symbols.iter().map(|(_, name)| name).collect();
    let mut memory = lent(names.len());
    let index = Index::build(&names[..], &mut memory).unwrap();
    let mut addresses = (1..).map_while(|position| Some(symbols[index.nth(b"__func__.0", position)?].0));
    let addresses: Vec<_> = addresses.by_ref().collect();
    assert_eq!(addresses.len(), 463);
    assert!(addresses.is_sorted());
    for (address, name) in &symbols {
        let all: Vec<_> = symbols.iter().filter(|other| other.1 == *name).map(|other| other.0).collect();
        let position = all.iter().position(|other| other == address).unwrap() as u64 + 1;
        assert_eq!(symbols[index.nth(name.as_bytes(), position).unwrap()].0, *address, "{name} {position}");
    }
}
